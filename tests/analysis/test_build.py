"""From records to tables, without training."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradreach.analysis.pages.build import build
from gradreach.analysis.results import Results
from gradreach.analysis.tables.formats import markdown
from gradreach.analysis.tables.layout import make
from gradreach.analysis.tables.specification import Measure, Table
from gradreach.config import parse, plain
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.committed import read_runs, stored_cells, write_plan, write_runs
from gradreach.run_table.load import load_runs
from project import PROJECT

EXPERIMENTS = PROJECT / "experiments"


@pytest.fixture(scope="module")
def planned(composed, tmp_path_factory):
    """Twelve runs of a study, planned, with made-up records for some."""
    results = tmp_path_factory.mktemp("project") / "results"
    runs = []
    for model in ("cnn", "lstm"):
        for seq_len in (64, 128):
            for seed in (0, 1, 2):
                overrides = [f"model={model}", f"seq_len={seq_len}", f"seed={seed}", f"results_dir={results}"]
                runs.append(parse(plain(composed("experiment=digits", *overrides))))
    write_plan(runs[0][1], [run for run, _ in runs])
    store = RecordStore(results / "runs")
    for number, (run, _) in enumerate(runs):
        lag = np.arange(run.task.arguments()["seq_len"])
        decay = -lag * (0.01 if run.model.name == "cnn" else 0.3) - run.seed
        curve = {"layer": np.full(len(lag), "input"), "quantity": np.full(len(lag), "x"), "lag": lag, "n": lag * 0 + 4}
        profile = curve | {name: decay + shift for name, shift in (("q10", -0.1), ("median", 0.0), ("q90", 0.1))}
        profile |= {"stage": np.full(len(lag), "end")}
        status = {3: "failed", 4: "diverged", 5: None}.get(number, "finished")
        metrics = {"test/accuracy": 0.5 + 0.1 * run.seed, "gradient/end/x.reach": 6.0 + run.seed}
        metrics |= {"gradient/end/x.half_life": 1.0, "gradient/end/x.r2": 0.99 if run.seed else 0.5}
        facts = {"chance": 0.1, "parameters": 100, "seconds": 1.25, "revision": "abc"}
        if status:
            whole = {"metrics": metrics} if status == "finished" else {"metrics": {}, "error": "why"}
            record = {"run_id": run.run_id, "status": status, "config": run.canonical(), **facts, **whole}
            store.write(record, [], {"profile": pd.DataFrame(profile)})
    return results


@pytest.fixture
def results(planned, tmp_path):
    return Path(shutil.copytree(planned, tmp_path / "results"))


def tree(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_records_give_the_same_bytes(results):
    build("digits", results, EXPERIMENTS)
    first = tree(results / "digits")
    build("digits", results, EXPERIMENTS)
    assert tree(results / "digits") == first
    expected = {
        f"{t}.{s}" for t in ("accuracy", "gradient_reach", "gradient_half_life") for s in ("csv", "md", "tex", "html")
    }
    expected |= {"runs.csv", "profiles.csv", "summary.json", "README.md", "gradient_by_lag.png", "gradient_by_lag.pdf"}
    expected |= {"accuracy_by_length.png", "accuracy_by_length.pdf"}
    assert set(first) == expected


def test_a_clone_without_raw_records_regenerates_the_same_bytes(results):
    build("digits", results, EXPERIMENTS)
    first = tree(results / "digits")
    shutil.rmtree(results / "runs")
    build("digits", results, EXPERIMENTS)
    assert tree(results / "digits") == first


def test_a_half_finished_sweep_says_so(results):
    built = build("digits", results, EXPERIMENTS)
    assert "9 of 12 planned runs finished; 1 diverged, 1 failed, 1 missing: not complete." in built.state
    assert "Chance level: digits 10.0 %." in built.state
    for name in ("accuracy.md", "README.md"):
        assert "not complete" in (results / "digits" / name).read_text()
    accuracy = pd.read_csv(results / "digits" / "accuracy.csv").set_index(["architecture", "seq_len"])
    cell = accuracy.loc[("cnn k=3", 128)]
    assert (cell["n_finished"], cell["n_diverged"], cell["n"]) == (0, 1, 3)
    whole = accuracy.loc[("lstm", 64)]
    assert (whole["n_finished"], whole["n"], whole["parameters"], whole["chance"]) == (3, 3, 100, 0.1)


def test_a_cell_is_mean_and_interval_of_its_seeds(results):
    built = build("digits", results, EXPERIMENTS)
    half = stats.t.ppf(0.975, 2) * 10 / np.sqrt(3)  # 24.8: two digits of the error
    line = built.views[0].text.set_index("architecture").loc["LSTM"]
    assert line["accuracy, sequence length 64"] == f"60 ± {half:.0f}"
    assert "parameters" not in line  # all have as many


def test_a_half_life_counts_only_where_the_curve_is_exponential(results):
    built = build("digits", results, EXPERIMENTS)
    frame = built.views[2].text
    line = frame[(frame["architecture"] == "LSTM") & (frame["gradient by"] == "input, end")].iloc[0]
    assert line["half-life, sequence length 64"] == "1.0 (2/3)"


def test_latex_has_no_sign_that_latex_does_not_know(results):
    build("digits", results, EXPERIMENTS)
    text = (results / "digits" / "accuracy.tex").read_text()
    assert text.isascii()
    assert "\\toprule" in text
    assert "60 $\\pm$" in text


def test_a_new_plan_keeps_what_is_known_of_its_runs(results, composed):
    build("digits", results, EXPERIMENTS)
    shutil.rmtree(results / "runs")
    overrides = [f"results_dir={results}", "model=lstm"]
    kept, environment = parse(plain(composed("experiment=digits", *overrides, "seed=0")))
    new, _ = parse(plain(composed("experiment=digits", *overrides, "seed=7")))
    write_plan(environment, [kept, new])
    table = load_runs("digits", results).set_index("run_id")
    assert table.loc[kept.run_id, "test/accuracy"] == 0.5
    assert table.loc[new.run_id, "status"] == "missing"
    assert len(table) == 2


def test_own_runs_are_never_mixed_with_committed_ones(results):
    build("digits", results, EXPERIMENTS)
    whole = load_runs("digits", results)
    own = whole.loc[whole["status"] == "finished", "run_id"].iloc[0]
    for folder in (results / "runs").iterdir():
        if folder.name != own:
            shutil.rmtree(folder)
    runs = load_runs("digits", results).set_index("run_id")
    assert runs.loc[own, "status"] == "finished"
    assert (runs.drop(own)["status"] == "missing").all()
    assert runs.drop(own)["test/accuracy"].isna().all()
    assert len(runs) == 12


def test_a_run_whose_process_is_gone_is_not_running(results):
    store = RecordStore(results / "runs")
    run_id = load_runs("digits", results)["run_id"].iloc[0]
    record = store.read(run_id)
    store.write(record | {"status": "running"})
    assert store.status(run_id) == "interrupted"
    with store.claim(run_id):
        assert store.status(run_id) == "running"


def test_a_run_table_reads_as_it_was_written(results):
    build("digits", results, EXPERIMENTS)
    path = results / "digits" / "runs.csv"
    text = path.read_text()
    write_runs(path, read_runs(path), stored_cells(path))
    assert path.read_text() == text


def test_raw_records_load_without_an_experiment(results):
    runs = load_runs(results)
    assert len(runs) == 11
    assert runs["model.width"].eq(32).all()
    assert runs["kernel_size"].isna().sum() == 6


def test_an_unknown_experiment_is_named_with_the_nearest(results):
    with pytest.raises(ConfigError, match="digist: there is no such experiment; did you mean digits"):
        build("digist", results, EXPERIMENTS)


def test_an_experiment_without_runs_says_how_to_make_them(tmp_path):
    with pytest.raises(ConfigError, match=r"python run\.py -m experiment=digits"):
        build("digits", tmp_path, EXPERIMENTS)


def test_a_markdown_table_has_a_column_for_each_value():
    runs = pd.DataFrame(
        {
            "status": "finished",
            "model": ["a", "a", "b"],
            "T": [1, 2, 1],
            "x": [1.0, 2.0, 3.0],
            "parameters": 5,
            "chance": 0.5,
        }
    )
    table = Table("t", "c", "r", (Measure("x", "x"),), rows="model", columns="T")
    view = make(table, Results(runs))
    text = markdown(view.text, view.marked)
    assert text.splitlines()[0] == "| model | x, T 1 | x, T 2 |"
    assert text.splitlines()[3] == "| b | 3.0 |  |"
    assert text.splitlines()[4] == "| chance | 0.5 | 0.5 |"


def test_profiles_are_committed_only_of_the_runs_that_an_experiment_shows(results, tmp_path):
    whole = (EXPERIMENTS / "digits.py").read_text(encoding="utf-8")
    only = "from dataclasses import replace\nSTUDY = replace(STUDY, profiles={'seq_len': 64})"
    (tmp_path / "digits.py").write_text(
        f"{whole}\n{only}\n",
        encoding="utf-8",
    )
    build("digits", results, tmp_path)
    runs = read_runs(results / "digits" / "runs.csv").set_index("run_id")
    shown = pd.read_csv(results / "digits" / "profiles.csv")["run_id"].unique()
    assert len(shown) > 0
    assert set(runs.loc[shown, "seq_len"]) == {64}
