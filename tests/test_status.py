"""How a sweep stands."""

import pandas as pd
import pytest

import gradreach.sweeps.status
from gradreach.records import RecordStore
from gradreach.sweeps.plan import plan
from gradreach.sweeps.status import planned, show, survey
from project import PROJECT


@pytest.fixture
def jobs(composed, tmp_path):
    def call(lines):
        return plan(lines, lambda overrides: composed(f"results_dir={tmp_path}", "tracking=off", *overrides))

    return call


def write(job, status, **more):
    run = job.run
    record = {"run_id": run.run_id, "config": run.canonical(), "status": status, **more}
    RecordStore(job.environment.results_dir / "runs").write(record)


def test_a_line_may_change_the_grids_of_an_experiment():
    whole, without, shorter = (
        [job.run.canonical() for job in planned(["quickstart", *more], PROJECT / "conf")]
        for more in ([], ["hydra.sweeper.params.seed='0'"], ["hydra.sweeper.params.seed='0'", "model=rnn"])
    )
    assert {run["seed"] for run in without} == {0} < {run["seed"] for run in whole}
    assert 0 < len(shorter) < len(without) < len(whole)


def test_the_time_left_is_reckoned_by_model_and_divided_by_cores(jobs, monkeypatch, capsys):
    planned = jobs([[f"model={model}", f"seed={seed}"] for model in ("rnn", "lstm") for seed in (0, 1)])
    write(planned[0], "finished", seconds=60.0)
    write(planned[2], "finished", seconds=600.0)
    frame = survey(planned)
    assert frame["status"].tolist() == ["finished", "missing", "finished", "missing"]
    assert frame["expected_seconds"].dropna().tolist() == [60.0, 600.0]
    monkeypatch.setattr(gradreach.sweeps.status.os, "cpu_count", lambda: 4)
    show(frame)
    said = capsys.readouterr().out
    assert "time spent in runs: 11 min 00 s, about 2 min 45 s left on 4 cores" in said


def test_what_is_left_is_reckoned_from_the_same_task_where_it_can_be(jobs):
    planned = jobs(
        [["model=gru", f"task={task}", f"seed={seed}"] for task in ("digits", "recall", "adding") for seed in (0, 1)]
    )
    write(planned[0], "finished", seconds=10.0)
    write(planned[2], "finished", seconds=500.0)
    expected = survey(planned)["expected_seconds"]
    assert expected[[1, 3]].tolist() == [10.0, 500.0]
    both = (10 + 500) * planned[5].cost / (planned[0].cost + planned[2].cost)
    assert expected[[4, 5]].tolist() == pytest.approx([both, both], abs=0.1)
    assert survey(jobs([["model=rnn"]]))["expected_seconds"].isna().all()


def test_every_key_that_varies_is_a_column_and_part_of_the_name(jobs, tmp_path, capsys):
    planned = jobs([["model=cnn", f"optimizer.lr={lr}", f"kernel_size={k}"] for lr in (0.1, 0.01) for k in (3, 5)])
    write(planned[0], "failed", seconds=1.0, error="ValueError: on purpose")
    frame = survey(planned)
    assert {"kernel_size", "optimizer.lr"} <= set(frame)
    assert not {"model", "task", "seq_len"} & set(frame)
    frame.to_csv(tmp_path / "status.csv", index=False)
    read = pd.read_csv(tmp_path / "status.csv")
    assert list(zip(read["optimizer.lr"], read["kernel_size"], strict=True)) == [
        (0.1, 3),
        (0.1, 5),
        (0.01, 3),
        (0.01, 5),
    ]
    show(frame)
    assert "failed       cnn · digits · T=64 · k=3 · lr=0.1 · seed 0: ValueError: on purpose" in capsys.readouterr().out
