"""``gradreach time``: a claim's comparisons, measured and written whole."""

import sys

import pandas as pd
import pytest

from gradreach import cli
from gradreach.errors import ConfigError
from gradreach.run_table.times import read_times
from gradreach.timing import measure, medians, to_time
from project import PROJECT

EXPERIMENTS, CONF = PROJECT / "experiments", PROJECT / "conf"


@pytest.fixture
def timed(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    return to_time("gru_vs_lstm_quick", CONF, EXPERIMENTS, results_dir=tmp_path)


def test_what_is_compared_stands_beside_each_other_once_whatever_seeds_and_directions_there_are(timed, tmp_path):
    path, runs = timed
    assert path == tmp_path / "gru_vs_lstm" / "times.csv"
    assert [(run.model.name, run.task.name) for run, _ in runs.values()] == [
        ("gru", "adding"), ("lstm", "adding"), ("gru", "mnist1d"), ("lstm", "mnist1d")
    ]  # fmt: skip
    assert {run.task.arguments()["train_size"] for run, _ in runs.values()} == {3200}


def test_times_are_written_and_the_claim_is_judged_by_them(timed):
    path, runs = timed
    adding = {setting: run for setting, run in runs.items() if "task=adding" in setting}
    told = []
    times = measure(path, adding, rounds=12, seconds=0, tell=told.append)
    assert told == [*range(1, 13)]
    pd.testing.assert_frame_equal(read_times(path), times[list(read_times(path))])
    assert set(times["kernels"][times["setting"].str.startswith("model=gru")]) == {"torch", "compiled"}
    assert (times["forward_cpu"] + times["backward_cpu"] < times["step_cpu"]).all()
    table = medians(times)
    assert "model=gru" in table["setting"][0]
    assert "task=adding" not in table["setting"][0]  # all have it


def test_an_interrupted_measurement_leaves_what_stood_there(timed):
    path, runs = timed
    path.parent.mkdir()
    path.write_text("as it was")

    def interrupted(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(path, dict(list(runs.items())[:1]), 12, 0, interrupted)
    assert path.read_text() == "as it was"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["padding_quick"], "padding_quick: compares no times; give its claim a part time_ratio"),
        (["gru_vs_lstm_quick", "--rounds", "3"], "--rounds=3: cannot decide anything; at least 12 are needed"),
        (["gru_vs_lstn"], "gru_vs_lstn"),
    ],
)
def test_what_cannot_be_timed_is_one_line(line, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(cli, "own_process", lambda: None)
    monkeypatch.setattr(sys, "argv", ["gradreach", "time", *line, "--results-dir", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_data_that_are_not_there_are_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    with pytest.raises(ConfigError, match="trec"):
        to_time("gru_vs_lstm", CONF, EXPERIMENTS, results_dir=tmp_path, data_dir=tmp_path / "none")
