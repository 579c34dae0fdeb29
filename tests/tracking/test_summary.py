"""After a sweep one W&B run says what came out."""

import json
import math
import os
import shutil
import time

import pandas as pd
import pytest

from gradreach.analysis.pages.build import build
from gradreach.records import RecordStore
from gradreach.run_table.columns import read_csv
from gradreach.sweeps.summarize import summarize_sweep
from gradreach.sweeps.sweep import sweep
from gradreach.tracking.summary_run import is_summarized
from project import PROJECT
from wandb_files import inspect, logs, path_of


@pytest.fixture
def environment(configured):
    _, environment = configured("tracking=offline", "experiment=quickstart")
    shutil.copytree(PROJECT / "results" / "quickstart", environment.results_dir / "quickstart")
    return environment


def test_tables_and_figures_of_the_experiment_are_one_run_of_job_type_summary(environment, capsys):
    summarize_sweep(environment, PROJECT / "experiments")
    assert capsys.readouterr().err == ""
    (log,) = logs(environment.results_dir)
    said = inspect(log)
    assert (said["id"], said["job_type"], said["exit"]) == ("summary-quickstart", "summary", 0)
    assert said["config"]["run_id"] == "summary-quickstart"
    assert said["summary"]["state"] == build("quickstart", environment.results_dir, PROJECT / "experiments").state
    for name in ("accuracy", "reach", "counts"):
        table = json.loads((log.parent / "files" / path_of(said, f"tables/{name}")).read_text())
        shown = pd.DataFrame(table["data"], columns=table["columns"])
        built = read_csv(environment.results_dir / "quickstart" / f"{name}.csv")
        pd.testing.assert_frame_equal(shown.where(shown.notna(), math.nan), built, check_dtype=False)
    picture = log.parent / "files" / path_of(said, "figures/gradient_by_lag")
    assert picture.read_bytes() == (environment.results_dir / "quickstart" / "gradient_by_lag.png").read_bytes()


def test_what_cannot_be_summarized_is_said_in_one_line_and_raises_nothing(environment, capsys, tmp_path):
    (tmp_path / "quickstart.py").write_text("STUDY = 1")
    summarize_sweep(environment, tmp_path)
    told = capsys.readouterr().err
    path = tmp_path / "quickstart.py"
    assert told.startswith(f"gradreach: note: no summary of quickstart for W&B: {path}: has no STUDY")
    assert told.count("\n") == 1


def test_nothing_is_summarized_without_tracking(environment):
    off = environment.model_copy(update={"tracking": environment.tracking.model_copy(update={"mode": "off"})})
    summarize_sweep(off, PROJECT / "experiments")
    assert logs(environment.results_dir) == []


def test_a_summary_that_is_missing_failed_or_older_than_the_tables_is_made_again(environment, tmp_path, monkeypatch):
    assert not is_summarized(environment)
    monkeypatch.setattr("gradreach.tracking.wandb_run.tell_table", lambda *_: 1 / 0)
    summarize_sweep(environment, PROJECT / "experiments")
    assert not is_summarized(environment)
    monkeypatch.undo()
    time.sleep(1.1)  # W&B names folders by the second
    summarize_sweep(environment, PROJECT / "experiments")
    assert is_summarized(environment)
    page = environment.results_dir / "quickstart" / "README.md"
    later = page.stat().st_mtime + 1000
    os.utime(page, (later, later))
    assert not is_summarized(environment)
    off = environment.model_copy(update={"tracking": environment.tracking.model_copy(update={"mode": "off"})})
    assert is_summarized(off)


@pytest.mark.parametrize(
    ("done", "summarized", "made"), [(False, True, True), (True, False, True), (True, True, False)]
)
def test_a_sweep_makes_the_summary_after_runs_and_where_there_is_none(
    configured, composed, tmp_path, monkeypatch, done, summarized, made
):
    line = ["tracking=offline", f"results_dir={tmp_path / 'results'}", "experiment=quickstart", "model=rnn"]
    run, environment = configured(*line)
    store = RecordStore(environment.results_dir / "runs")
    record = {"run_id": run.run_id, "config": run.canonical(), "label": run.label, "status": "finished"}
    record |= {"metric": "accuracy", "metrics": {"test/accuracy": 0.5}}
    if done:
        store.write(record)
    calls = []
    monkeypatch.setattr("gradreach.sweeps.sweep.summarize_sweep", calls.append)
    monkeypatch.setattr("gradreach.sweeps.sweep.is_summarized", lambda environment: summarized)
    sweep([line], lambda overrides: composed(*overrides), lambda lines: store.write(record) or [])
    assert len(calls) == made
