"""One page of everything: what it says, and how large it is."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
from typer.testing import CliRunner

from gradreach.analysis.column_words import column_of
from gradreach.analysis.pages.report import section_of, write_report
from gradreach.analysis.pages.report.page import spans
from gradreach.analysis.pages.report.winners import contests, most_telling, ranking
from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import READING, Verdict, combine_named
from gradreach.analysis.tables.specification import Measure, Table
from gradreach.cli import app
from made_up import results
from made_up_report import CAVEATS, CLAIM, FIGURES, STUDY, built
from project import PROJECT


def text_of(page):
    """What a page says, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


class Elements(HTMLParser):
    """All elements with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_the_same_sections_give_the_same_bytes(sections, page, tmp_path):
    write_report(sections, tmp_path / "again.html", {"not_yet": STUDY})
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_the_page_loads_nothing_and_links_only_to_files_beside_it(page):
    text = page.read_text(encoding="utf-8")
    for tag, attributes in Elements(text).found:
        for name in ("src", "href", "xlink:href", "action"):
            link = attributes.get(name) or "#"
            beside = tag == "a" and re.fullmatch(r"(long_memory|lacking|wide)/\w+\.(png|csv|md)", link)
            assert link.startswith(("#", "data:")) or beside
    assert "@import" not in text
    assert set(re.findall(r"url\((.)", text)) == {"#"}
    assert not re.findall(r"https?://", text)


def test_every_reference_has_its_target_once(page):
    text = page.read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) <= set(ids)


def test_figures_are_whole_elements(page):
    """Within HTML a browser forgives much, and draws nothing."""
    figures = re.findall(r"<svg .*?</svg>", page.read_text(encoding="utf-8"), re.DOTALL)
    drawn = [ElementTree.fromstring(figure) for figure in figures]
    assert len(drawn) == 7  # that of markers, and three columns of the two figures of each experiment that has any
    assert all(len(list(figure.iter("path"))) > 5 for figure in drawn)


def test_every_figure_and_table_has_an_id_and_a_link_to_its_file(page):
    text = page.read_text(encoding="utf-8")
    for name in ("figure-by_length", "figure-by_lag", "table-accuracy"):
        kind, _, file = name.partition("-")
        assert f'id="lacking-{name}"' in text
        assert f'href="lacking/{file}.{"png" if kind == "figure" else "csv"}"' in text
    assert 'href="lacking/runs.csv"' in text


def test_every_number_and_every_point_names_its_runs(sections, page):
    text = page.read_text(encoding="utf-8")
    runs = results(models=("cnn", "lstm", "rnn")).runs
    group = runs[(runs["model"] == "lstm") & (runs["seq_len"] == 16)]
    ids = re.search(r'id="long_memory"[^>]* data-ids="([^"]*)"', text)[1].split(" ")
    assert ids == runs["run_id"].tolist()
    first = ids.index(group["run_id"].iloc[0])
    mean = f"mean {100 * group['test/accuracy'].mean():.5g}"
    (cell,) = re.findall(rf'title="{mean}, sd 1" data-runs="({first}-{first + 2})"', text)
    assert text.count(f'data-runs="{cell}"') > 1  # the cell, and the point of the figure


def test_claim_rule_and_verdict_are_told(page):
    text = page.read_text(encoding="utf-8")
    for said in (
        CLAIM.original,
        CLAIM.text,
        *CAVEATS[1:],
        "Refuted below 0.",
        "It does not &lt;at all&gt;.",
        "somebody, 2018",
    ):
        assert said in text
    assert READING in text
    assert re.search(r'title="not_yet">.*not run yet', text)
    assert "python run.py -m experiment=long_memory" in text


def test_every_part_has_a_row_with_sign_outcome_number_and_threshold(page):
    rows = re.findall(r"<tr>(.*?)</tr>", page.read_text(encoding="utf-8").partition('class="parts"')[2])
    cells = [re.sub(r"<[^>]+>", "|", row).strip("|") for row in rows[1:3]]
    assert re.split(r"\|+", cells[0]) == ["✘", "it gains", "refuted", "−3.0 points [−4.0, −2.0]", "gain above 0"]
    assert re.split(r"\|+", cells[1]) == ["◌", "it is certain", "open: there are too few runs", "None yet"]


def test_the_first_screen_has_a_line_of_signs_for_every_claim_in_its_order(tmp_path):
    ten, two = (replace(STUDY, claim=replace(CLAIM, id=number)) for number in ("C10", "C2"))
    write_report([], tmp_path / "report.html", {"ten": ten, "two": two})
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<span class="number">(C\d+)</span>', text) == ["C2", "C10"]


def test_signs_are_words_for_those_who_hear_the_page():
    verdict = combine_named({name: Verdict(name, None, "") for name in ("supported", "open", "no room")})
    assert str(spans(verdict)) == (
        '<span class="signs"><span aria-hidden="true"><span class="supported">✔</span><span class="open">◌</span>'
        '<span class="no-room">▫</span></span><span class="heard">1 supported, 1 open, 1 no room</span></span>'
    )


def test_what_is_lacking_is_counted(page):
    assert "46 of 54 planned runs finished, 4 diverged, 4 failed" in text_of(page)


def test_who_wins_is_told_only_where_a_test_tells_it():
    seeds = range(8)
    apart, near = ({seed: level + 0.1 * seed for seed in seeds} for level in (90, 70))
    values = {"lstm": pd.Series(apart), "rnn": pd.Series(near), "gru": pd.Series(apart) - 0.05}
    accuracy = column_of("test/accuracy", {})
    assert ranking({name: values[name] for name in ("lstm", "rnn")}, accuracy) == ("lstm", [], True)
    noise = pd.Series({seed: (-1) ** seed for seed in seeds})
    assert ranking(values | {"gru": values["gru"] + noise}, accuracy)[1] == ["gru"]
    assert ranking({name: each[:2] for name, each in values.items()}, accuracy) == ("lstm", ["rnn", "gru"], False)
    assert ranking(values, column_of("test/mse", {}))[0] == "rnn", "an error is good where it is small"


def test_a_contest_is_of_one_protocol_and_its_variants_are_chosen_by_validation():
    made = results(models=("cnn", "lstm"), lengths=(8, 16), seeds=8)
    other = made.runs.assign(**{"model.bias": 1.0, "val/accuracy": 0.2, "test/accuracy": 0.99})
    runs = pd.concat([made.runs.assign(**{"model.bias": 0.0, "val/accuracy": 0.9}), other], ignore_index=True)
    short, long = contests("study", Results(runs.assign(seed=runs["seed"] + 100)))
    assert (short.where, long.where) == ("seq_len 8", "seq_len 16")
    assert most_telling([short, long]) == [long]
    assert list(long.entries) == ["cnn", "lstm"]
    assert long.entries["cnn"].text == "77.5", "the better on the test is not the better on validation"
    assert long.entries["cnn"].best
    assert long.finding == "CNN, ahead of the others here"


def test_nobody_wins_on_pilot_seeds_and_variants_are_named_in_the_cell():
    runs = results(models=("cnn", "lstm"), lengths=(8,), seeds=8).runs
    runs["architecture"] = runs["model"].replace("lstm", "lstm, chrono")
    (pilots,), (decisive,) = (contests("study", Results(runs.assign(seed=runs["seed"] + first))) for first in (0, 100))
    assert pilots.finding == "pilot seeds: not decided"
    assert not any(entry.best for entry in pilots.entries.values())
    assert decisive.entries["cnn"].best
    assert {model: entry.variant for model, entry in pilots.entries.items()} == {"cnn": "", "lstm": "LSTM, chrono"}


def test_a_study_that_shows_no_test_score_takes_no_part_in_contests(tmp_path):
    data = results(models=("cnn", "lstm"))
    reach = Table("reach", "Reach.", "", (Measure("gradient/end/h.reach", "reach"),))
    assert section_of(built("study", tmp_path, data, figures=())).contests
    assert not section_of(built("study", tmp_path, data, tables=(reach,), figures=())).contests


def test_the_page_of_the_project_has_room_left():
    assert (PROJECT / "results" / "report.html").stat().st_size <= 2e6


def test_the_page_grows_by_little_for_every_seed(tmp_path):
    """Run tables are linked, so a study with four times the seeds costs what its curves and the ids of its runs do."""
    sizes = []
    for seeds in (6, 24):
        data = results(models=("lstm",), seeds=seeds)
        write_report([section_of(built("study", tmp_path, data, figures=FIGURES[:1]))], tmp_path / "report.html")
        sizes.append((tmp_path / "report.html").stat().st_size)
    assert sizes[1] - sizes[0] < 60 * 36, "of 36 more runs"


def test_what_stands_in_backticks_is_code_and_a_minus_is_one(page):
    text = page.read_text(encoding="utf-8")
    assert "<code>made_up</code> alone" in text
    assert "`" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert "mean −0.25" in text


def test_tables_and_report_write_the_same_page_and_check_knows_it(tmp_path, monkeypatch):
    results_dir = tmp_path / "results"
    shutil.copytree(PROJECT / "results" / "quickstart", results_dir / "quickstart")
    monkeypatch.chdir(PROJECT)

    def call(*arguments):
        return CliRunner().invoke(app, [*arguments, "--results-dir", str(results_dir)])

    assert call("tables").exit_code == 0
    page = (results_dir / "report.html").read_bytes()
    for link in re.findall(r'<a href="([^"#]+)"', page.decode()):
        assert (results_dir / link).is_file()
    assert (results_dir / re.search(r'"og:image" content="([^"]+)"', page.decode())[1]).is_file()
    (results_dir / "report.html").write_bytes(page + b" ")
    checked = call("tables", "--check")
    assert checked.exit_code == 1
    assert "report.html: differs from what the experiments give" in checked.output
    assert call("report").exit_code == 0
    assert (results_dir / "report.html").read_bytes() == page
