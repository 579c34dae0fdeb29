"""The benchmark measures the same thing on both sides, and writes what it finds."""

import subprocess
import sys

import pandas as pd
import pytest
from benchmarks import report
from benchmarks.loop import Setting, train
from benchmarks.measure import AT_LEAST, Row, alternate, ratios
from benchmarks.one_run import MODELS

from project import PROJECT


@pytest.mark.parametrize("model", MODELS)
def test_the_loop_by_hand_and_a_run_come_to_the_same_figures(configured, model):
    from gradreach.runner import execute

    setting = Setting(model, width=4, epochs=2)
    metrics = execute(*configured(*setting.overrides(), "diagnostics=off"))["metrics"]
    by_hand = train(setting)
    assert by_hand["test/accuracy"] == pytest.approx(metrics["test/accuracy"], abs=1e-6)
    assert by_hand["test/loss"] == pytest.approx(metrics["test/loss"], abs=1e-6)


def test_things_are_timed_in_turn():
    done = []
    seconds = alternate({"a": lambda: done.append("a"), "b": lambda: done.append("b")}, rounds=3)
    assert done == ["a", "b"] * 3
    assert [len(part) for values in seconds.values() for part in values] == [3] * 4
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]


def test_a_budget_is_met_or_missed_or_the_range_leaves_it_open():
    assert Row("a", "b", 1.1, "×", 1.0, 1.2, budget=1.15).verdict == "undecided"
    assert Row("a", "b", 1.1, "×", 1.0, 1.15, budget=1.15).verdict == "met"
    assert Row("a", "b", 1.15, "×", budget=1.15).verdict == "met"
    assert Row("a", "b", 1.16, "×", budget=1.15).verdict == "missed"
    assert Row("a", "b", 1.6, "×", budget=1.7, sign=AT_LEAST).verdict == "missed"
    assert Row("a", "b", 1.8, "×", budget=1.7, sign=AT_LEAST).verdict == "met"
    assert Row("a", "b", 1.8, "×").verdict == ""


def test_a_part_that_is_measured_anew_leaves_the_others_as_they_were_written(tmp_path):
    start = report.Part([Row("start-up", "--help", 0.33, "s", 0.32, 0.34, budget=1.0)], "2026-01-01 at revision a")
    swept = report.Part([Row("throughput", "24 runs", 1.8, "×", budget=1.7, sign=AT_LEAST, note="n")], "2026-01-02")
    assert report.read(tmp_path) == {}
    report.write({"start-up": start, "sweep": swept}, tmp_path)
    assert report.read(tmp_path) == {"start-up": start, "sweep": swept}
    assert "- sweep: 2026-01-02" in (tmp_path / "speed.md").read_text()


@pytest.mark.slow
def test_the_quick_benchmark_measures_every_budget(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--into", str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pd.read_csv(tmp_path / "speed.csv")
    measured = set(rows["what"])
    assert {
        "one run ÷ loop, all on",
        "W&B offline adds to start and end",
        "sweep on all cores ÷ loop in sequence",
        "gradient diagnostics ÷ training",
    } <= measured
    assert {
        "a finished run met again",
        "gradreach tables",
        "start-up",
        "peak memory",
        "training ÷ matrix peak",
    } <= measured
    assert (rows.loc[rows["what"] == "training ÷ matrix peak", "value"] < 100).all()
    assert (tmp_path / "speed.md").read_text().startswith("# What gradreach costs")
