"""What docs/tasks.md says should come out are lines that can be typed, with figures that are good enough."""

import re
import runpy

import pytest

from gradreach.config import parse, plain
from project import PROJECT

sanity = runpy.run_path(str(PROJECT / "docs" / "sanity.py"))
LINES = sanity["SHORT"] | sanity["LONG"]
GLOBALS = sanity["main"].__globals__
LINEAR = 0.6
"""What a made-up linear model reaches on the test."""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of its own, for a script that does no run."""
    path = tmp_path / "tasks.md"
    path.write_text(f"before\n{sanity['BEGIN']}\nold\n{sanity['END']}\nafter\n")
    monkeypatch.setitem(GLOBALS, "PAGE", path)
    monkeypatch.setitem(GLOBALS, "run", lambda line, settings: None)
    monkeypatch.setitem(GLOBALS, "linear_of", lambda line, settings: sanity["Linear"](0.5, LINEAR))
    return path


def just_at_the_threshold(line, settings):
    metric = "mse" if line.overrides.startswith("task=adding") else "accuracy"
    metrics = {f"{split}/{metric}": line.must_reach for split in ("val", "test")}
    figures = {"metric": metric, "metrics": metrics, "chance": 0.5, "examples": {"test": 100}}
    return {**figures, "best_epoch": 1, "parameters": 1, "config": {"trainer": {"epochs": 1}}}


def test_an_accuracy_must_be_reached_and_an_error_undercut(page, monkeypatch, capsys):
    monkeypatch.setitem(GLOBALS, "record_of", just_at_the_threshold)
    assert sanity["main"]([]) == 1
    assert capsys.readouterr().err.startswith("sanity: 1 of the lines do not reach")
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    [missed] = [row for row in text.splitlines() if "**missed**" in row]
    assert missed.startswith(
        "| `task=adding seq_len=100 model=gru` | mse 0.01 | mse 0.01 | less than mse 0.01, **missed** |"
    )


def test_a_network_below_a_linear_model_is_marked_and_a_line_without_a_run_is_missed(page, monkeypatch, capsys):
    below = LINES["imdb"]._replace(must_reach=0.5)
    monkeypatch.setitem(GLOBALS, "SHORT", {"below": below})
    monkeypatch.setitem(GLOBALS, "LONG", {"at": below._replace(must_reach=below.whole), "undone": LINES["copy"]})
    monkeypatch.setitem(
        GLOBALS, "record_of", lambda line, _: None if line == LINES["copy"] else just_at_the_threshold(line, _)
    )
    assert sanity["main"]([]) == 1
    first, second, third = [row for row in page.read_text().splitlines() if row.startswith("| `")]
    assert f"| 50.0% ± 5.0 | 50.0% | 50.0%, {LINEAR:.1%}, **better** | {below.whole:.1%}, **better** |" in first
    assert f"| 50.0%, {LINEAR:.1%} | {below.whole:.1%} |" in second
    assert "**no finished run**" in third


@pytest.mark.parametrize(("tokens", "separator"), [("basic_english", " "), ("characters", "")])
def test_the_linear_model_reads_what_the_network_is_given(tmp_path, tokens, separator):
    def text(number, *end):
        return separator.join(["xyzuvw"[(number >> shift) % 3 + 3 * (shift % 2)] for shift in range(8)] + list(end))

    rows = [f"ab\t{text(number, 'a', 'b')}" for number in range(90)]
    rows += [f"ba\t{text(number, 'b', 'a')}" for number in range(90)]
    (tmp_path / "texts.tsv").write_text("\n".join(["label\ttext", *rows]), encoding="utf-8")
    line = sanity["Line"](f"task=text_file task.file=texts.tsv task.tokens={tokens}", 0.5, whole=0.5)
    settings = [f"data_dir={tmp_path}", f"results_dir={tmp_path}"]
    assert sanity["linear_of"](line, settings) == (1, 1)  # in which order two tokens stand: pairs tell, tokens do not
    cut = line._replace(overrides=f"{line.overrides} seq_len=8")
    assert max(sanity["linear_of"](cut, settings)) < 0.8


@pytest.mark.parametrize("setting", ["seed=1", "trainer.epochs=1", "experiment=quickstart", "nonsense"])
def test_settings_that_change_a_figure_are_refused(page, setting, capsys):
    assert sanity["main"](["data_dir=/data", setting]) == 2
    assert setting in capsys.readouterr().err
    assert "old" in page.read_text()


@pytest.mark.parametrize("text", ["no table here\n", f"before\n{sanity['BEGIN']}\nthe rest of the page\n"])
def test_a_page_whose_table_has_no_end_keeps_its_text(page, text, capsys):
    page.write_text(text)
    assert sanity["main"]([]) == 2
    assert "must stand around the table" in capsys.readouterr().err
    assert page.read_text() == text


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_a_configuration_and_stands_on_the_page_with_a_figure_that_is_good_enough(name, composed):
    line = LINES[name]
    assert parse(plain(composed(*line.overrides.split())))
    [row] = [row for row in sanity["PAGE"].read_text().splitlines() if row.startswith(f"| `{line.overrides}` |")]
    figure = row.split("|")[3].split("±")[0].strip()
    metric, value = ("mse", figure.removeprefix("mse ")) if figure.startswith("mse") else ("accuracy", figure)
    assert re.fullmatch(r"[\d.e-]+%?", value)
    reached = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    assert sanity["good_enough"](line, {"metric": metric, "metrics": {f"test/{metric}": reached}})
