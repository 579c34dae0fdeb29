"""How a sweep stands."""

import os
import re
import shutil
from dataclasses import replace

import pandas as pd
import pytest

import gradreach.sweeps.overview
import gradreach.sweeps.status
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.committed import write_plan
from gradreach.sweeps.overview import overview, show_overview, studies
from gradreach.sweeps.plan import plan
from gradreach.sweeps.status import costed, planned, show, survey
from project import PROJECT


@pytest.fixture
def jobs(composed, tmp_path):
    def call(lines):
        return plan(lines, lambda overrides: composed(f"results_dir={tmp_path}", "tracking=off", *overrides))

    return call


def write(job, status, **more):
    run = job.run
    record = {"run_id": run.run_id, "config": run.canonical(), "status": status, **more}
    store = RecordStore(job.environment.results_dir / "runs")
    store.write(record)
    return store


def test_a_line_may_change_the_grids_of_an_experiment():
    whole, without, shorter = (
        [job.run.canonical() for job in planned(["digits", *more], PROJECT / "conf")]
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


def test_where_steps_are_the_budget_a_run_costs_the_rounds_of_ten_thousand_examples_that_they_make(jobs):
    steps = ["trainer.epochs=null", "trainer.max_steps=1000"]
    planned = jobs([["model=rnn"], ["model=rnn", *steps], ["model=rnn", *steps, "trainer.accumulate_grad_batches=2"]])
    of_epochs = planned[0].cost // 15
    assert [job.cost // of_epochs for job in planned] == [15, 7, 13]  # 64 and 128 thousand examples
    rows = [{f"trainer.{key}": value for key, value in job.run.trainer} for job in planned]
    frame = costed(pd.DataFrame(rows).assign(multiply_adds=of_epochs))
    assert frame["cost"].tolist() == [job.cost for job in planned]


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


def test_the_time_left_is_told_in_core_hours_and_what_is_unknown_is_said(jobs, monkeypatch, capsys):
    planned = jobs([[f"model={model}", f"seed={seed}"] for model in ("rnn", "lstm") for seed in (0, 1)])
    show(survey(planned))
    assert "core-hours left: unknown, no similar run has finished" in capsys.readouterr().out
    write(planned[0], "finished", seconds=7200.0)
    frame = survey(planned)
    show(frame)
    hours = frame["expected_seconds"].sum() / 3600
    assert hours > 2
    assert f"core-hours left: {hours:.1f}\n" in capsys.readouterr().out
    for job in planned:
        write(job, "finished", seconds=3600.0)
    show(survey(planned))
    assert "core-hours" not in capsys.readouterr().out


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with two small sweeps, one of which cannot be."""
    shutil.copytree(PROJECT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("experiment"))
    (tmp_path / "run.py").touch()
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir()
    for name, models in (("one", "rnn,gru"), ("two", "gru")):
        sweep = f"{{model: '{models}', seed: '0,1'}}"
        text = f"# @package _global_\nexperiment: {name}\nhydra: {{sweeper: {{params: {sweep}}}}}\n"
        (folder / f"{name}.yaml").write_text(text)
    (folder / "one_quick.yaml").write_text("# @package _global_\ndefaults: [one, _self_]\n")
    return tmp_path


def test_without_a_name_every_study_has_a_line_and_all_a_sum(project, capsys):
    conf = project / "conf"
    assert studies(conf) == ["one", "two"]
    first, *_ = planned(["one"], conf)
    write(first, "finished", seconds=3600.0, multiply_adds=first.cost // first.run.trainer.epochs)
    frame = overview(["one", "two"], [], conf)
    assert frame["planned"].tolist() == [4, 2]
    assert frame["done"].tolist() == [1, 0]
    assert frame["left"].tolist() == [3, 2]
    assert frame["seconds_left"].iloc[0] == pytest.approx(
        survey(planned(["one"], conf))["expected_seconds"].sum(), abs=1
    )
    assert frame["seconds_left"].iloc[1] > 0  # by the runs of the other
    assert frame["unknown"].tolist() == [0, 0]
    show_overview(frame)
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"one 4 1 3 \d+\.\d two 2 0 2 \d+\.\d+ all 6 1 5 \d+\.\d", said)
    assert overview(["two"], ["seed=0"], conf)["planned"].tolist() == [1]


def test_a_plan_of_this_sweep_is_read_and_runs_of_another_identity_are_left_to_do(project, monkeypatch):
    conf = project / "conf"
    jobs = planned(["one"], conf)
    write_plan(jobs[0].environment, [job.run for job in jobs])
    write(jobs[0], "finished", seconds=3600.0, multiply_adds=jobs[0].cost // jobs[0].run.trainer.epochs)
    composed = []
    monkeypatch.setattr(gradreach.sweeps.overview, "planned", lambda *a: composed.append(a) or planned(*a))
    first = overview(["one"], [], conf)
    assert len(composed) == 1  # what a gru costs no run has told
    assert first.iloc[0][["planned", "done", "left", "unknown"]].tolist() == [4, 1, 3, 0]
    write(jobs[2], "diverged", seconds=1.0, multiply_adds=jobs[2].cost // jobs[2].run.trainer.epochs)
    second = overview(["one"], [], conf)
    assert len(composed) == 1
    assert second.iloc[0][["planned", "done", "left", "unknown"]].tolist() == [4, 2, 2, 0]
    gru = jobs[3].cost / jobs[0].cost * 3600.0
    assert second["seconds_left"].iloc[0] == pytest.approx(3600.0 + gru, abs=1)
    model = conf / "model" / "gru.yaml"
    model.write_text(model.read_text().replace("layers: 1", "layers: 2"))
    third = overview(["one"], [], conf)
    assert len(composed) == 1
    assert third.iloc[0][["planned", "done", "left", "unknown"]].tolist() == [4, 0, 4, 0]
    assert third["seconds_left"].iloc[0] > second["seconds_left"].iloc[0]
    (conf / "experiment" / "one.yaml").write_text((conf / "experiment" / "one.yaml").read_text().replace("rnn", "lstm"))
    overview(["one"], [], conf)
    assert len(composed) == 2


def test_the_table_of_a_pilot_is_not_taken_for_the_plan(project):
    conf = project / "conf"
    jobs = planned(["one", "seed=0"], conf)
    write_plan(jobs[0].environment, [job.run for job in jobs])
    for job in jobs:
        write(job, "finished", seconds=3600.0, multiply_adds=job.cost // job.run.trainer.epochs)
    assert overview(["one"], [], conf).iloc[0][["planned", "done", "left", "unknown"]].tolist() == [4, 2, 2, 0]


def test_a_study_that_cannot_be_planned_stops_no_other(project, capsys):
    (project / "conf/experiment/one.yaml").write_text(
        "# @package _global_\nexperiment: one\nhydra: {sweeper: {params: {seed: '-1,0'}}}\n"
    )
    show_overview(overview(["one", "two"], [], project / "conf"))
    said = " ".join(capsys.readouterr().out.split())
    assert "one – – – cannot be planned" in said
    assert "two 2 0 2 unknown" in said
    assert "one: seed=-1" in said


def test_what_follows_another_setting_is_told_as_what_it_came_to(jobs):
    follows = r"model.chrono=$\{seq_len\}"  # as Hydra hands an interpolation of a sweep on
    planned = jobs([["model=lstm", follows.replace("\\", ""), "seq_len=70"], ["model=lstm", "seq_len=70"]])
    planned[0] = replace(planned[0], overrides=["model=lstm", follows, "seq_len=70"])
    names = survey(planned).set_index("run_id")["run"]
    assert names[planned[0].run.run_id] == "lstm · digits · T=70 · chrono=70"
    assert "$" not in "".join(names)


def test_a_process_is_a_whole_number_beside_runs_without_one(jobs, tmp_path, capsys):
    planned = jobs([["model=rnn", f"seed={seed}"] for seed in (0, 1)])
    store = write(planned[0], "running", host={"name": "here", "process": os.getpid()}, started="now")
    with store.claim(planned[0].run.run_id):
        frame = survey(planned)
        show(frame)
    assert f"on here, process {os.getpid()}, since now" in capsys.readouterr().out
    frame.to_csv(tmp_path / "status.csv", index=False)
    assert f",{os.getpid()}," in (tmp_path / "status.csv").read_text()


def test_results_below_a_file_are_refused_and_nothing_is_moved(tmp_path, capsys):
    (tmp_path / "file").touch()
    for results in ("file", "file/below"):
        line = ["digits", f"results_dir={tmp_path / results}"]
        with pytest.raises(ConfigError, match=f"results_dir={tmp_path / results}: is not a folder; choose another"):
            survey(planned(line, PROJECT / "conf"))
        with pytest.raises(ConfigError, match="is not a folder"):
            overview(["digits", "pooling"], line[1:], PROJECT / "conf")
    assert capsys.readouterr() == ("", "")
