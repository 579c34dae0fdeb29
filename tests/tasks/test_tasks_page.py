"""What docs/tasks.md says works: its example, word for word, and its lines, with figures that are good enough."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradreach.config import parse, plain
from gradreach.tasks.baseline import Baseline
from project import PROJECT

sanity = runpy.run_path(str(PROJECT / "docs" / "sanity.py"))
LINES = sanity["SHORT"] | sanity["LONG"]
GLOBALS = sanity["main"].__globals__
LINEAR = Baseline("a made-up model", 0.4, 0.6, 100, 100)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page of its own, for a script that does no run."""
    path = tmp_path / "tasks.md"
    path.write_text(f"before\n{sanity['BEGIN']}\nold\n{sanity['END']}\nafter\n")
    monkeypatch.setitem(GLOBALS, "PAGE", path)
    monkeypatch.setitem(GLOBALS, "run", lambda line, settings: None)
    monkeypatch.setitem(GLOBALS, "linear_of", lambda line, settings: LINEAR)
    return path


def just_at_the_threshold(line, settings):
    metric = "mse" if line.overrides.startswith("task=adding") else "accuracy"
    metrics = {f"test/{metric}": line.must_reach, f"val/{metric}": 0.8}
    examples = {"validation": 25, "test": 100}
    figures = {"metric": metric, "metrics": metrics, "chance": 0.5, "examples": examples}
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
        "| `task=adding seq_len=100 model=gru` | mse 0.8 | mse 0.01 | less than mse 0.01, **missed** | mse 0.4, mse 0.6"
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
    assert f"| 80.0% ± 8.0 | 50.0% ± 5.0 | 50.0% | 40.0%, 60.0%, **better** | {below.whole:.1%}, **better** |" in first
    assert f"| 40.0%, 60.0% | {below.whole:.1%} |" in second
    assert "**no finished run**" in third


def test_from_any_folder_the_runs_and_the_table_are_of_the_same_places_and_data_that_are_absent_stop_nothing(
    page, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(GLOBALS, "linear_of", sanity["linear_of"])
    assert sanity["main"]([f"data_dir={tmp_path}", f"results_dir={tmp_path / 'results'}"]) == 1
    assert Path.cwd() == PROJECT
    assert page.read_text().count("**no finished run**") == len(LINES)


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


@pytest.mark.slow
def test_the_new_task_of_the_page_works(tmp_path):
    def block(language):
        text = (PROJECT / "docs" / "tasks.md").read_text(encoding="utf-8")
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)[0]

    def call(*command):
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)

    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    shutil.copy(PROJECT / "run.py", tmp_path)
    (tmp_path / "conf" / "task" / "majority.yaml").write_text(block("yaml"), encoding="utf-8")
    (tmp_path / "majority.py").write_text(block("python"), encoding="utf-8")
    assert len([line for line in block("python").splitlines() if line]) <= 15

    described = call(str(Path(sys.executable).with_name("gradreach")), "describe", "task=majority").stdout
    assert "Say whether a sequence of bits has more ones than zeros." in described
    assert "train 10,000, validation 1,000, test 2,000" in described
    small = ["model=rnn", "trainer.epochs=1", "diagnostics=off", "tracking=off", "seq_len=20"]
    done = call(sys.executable, "run.py", "task=majority", *small)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    wrong = call(sys.executable, "run.py", "task=majority", "task.ones=many", *small)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("gradreach: task.ones=many: must be a valid number")
