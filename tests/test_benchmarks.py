"""The benchmark measures the same thing on both sides, and writes what it finds."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks import budgets, gpu_check, one_run, report, trajectories
from benchmarks.budgets import BUDGETS, SWEEP, flushed
from benchmarks.growth import GROWTH
from benchmarks.loop import Setting, train
from benchmarks.measure import Patience, Race, Row, Spent, call, median_interval, median_row
from benchmarks.one_run import LOOP, LOOP_FLUSHING, MODELS, RUNS, configure, epochs_of
from benchmarks.page import Part, page
from benchmarks.picture import curves

from gradreach.system import machine
from project import PROJECT

STEP, RECALL = budgets.STEP, {"task": "recall", "train_size": 128, "batch_size": 32}
KERNELS = ["kernels=torch"]


@pytest.mark.parametrize(
    "setting",
    [
        Setting("gru", **RECALL),
        *(pytest.param(Setting(model, width=4, epochs=2), marks=pytest.mark.slow) for model in MODELS),
    ],
)
def test_the_loop_by_hand_and_a_run_come_to_the_same_figures(configured, setting):
    from gradreach.runner import execute

    setting = replace(setting, width=4, epochs=2)
    metrics = execute(*configured(*setting.overrides(), "diagnostics=off", *KERNELS))["metrics"]
    by_hand = train(setting)
    assert by_hand.accuracy == pytest.approx(metrics["test/accuracy"], abs=1e-6)
    assert by_hand.loss == pytest.approx(metrics["test/loss"], abs=1e-6)
    assert by_hand.cpu > 0
    assert by_hand.wall > 0


def test_the_loop_flushes_only_where_it_is_asked_to(monkeypatch):
    seen = []
    original = torch.nn.functional.cross_entropy

    def spy(*arguments):
        seen.append(machine.flushes())
        return original(*arguments)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", spy)
    for flush in (True, False):
        seen.clear()
        train(Setting("rnn", width=4, epochs=1), flush)
        assert set(seen) == {flush}
    assert not machine.flushes()


def test_both_clocks_count_the_epochs_of_a_real_run_and_nothing_else(tmp_path):
    run, environment = configure(Setting("gru", width=4, epochs=2), tmp_path, "diagnostics=off", "tracking=off")
    spent, first = epochs_of(run, environment)
    history = pd.read_csv(tmp_path / "runs" / run.run_id / "history.csv")
    assert first == history["val/loss"].iloc[0]
    told = history["time/seconds"].iloc[-1]  # to a millisecond
    assert told - 1e-3 <= spent.wall < told + 5  # on a busy machine
    assert 0 < spent.cpu < 2 * spent.wall


def test_a_comparison_of_different_work_is_refused():
    one_run.check_same("gru", {"loop": 2.3, "gradreach": 2.3000001})
    with pytest.raises(RuntimeError, match="gru: not the same"):
        one_run.check_same("gru", {"loop": 2.3, "gradreach": 2.4})


def test_things_are_timed_in_turn():
    done = []
    race = Race({"a": lambda: done.append("a"), "b": lambda: done.append("b") or Spent(wall=6.0, cpu=4.0)})
    for _ in range(3):
        race.round()
    assert done == ["a", "b"] * 3
    assert race.wall["b"] == [6.0] * 3
    assert race.cpu["b"] == [4.0] * 3
    assert all(0 <= seconds < 1 for seconds in race.wall["a"])
    race.cpu["a"], race.wall["a"] = [2.0, 4.0, 8.0], [6.0, 12.0, 18.0]
    row = race.ratio("a ÷ b", "case", "a", "b")
    assert (row.value, row.low, row.high, row.wall, row.rounds) == (1.0, 0.5, 2.0, 2.0, 3)


@pytest.mark.parametrize("n", [1, 5, 9, 15])
def test_the_range_holds_the_true_median_nineteen_times_of_twenty(n):
    generator = np.random.default_rng(0)
    intervals = np.array([median_interval(generator.exponential(size=n)) for _ in range(4000)])
    held = ((intervals[:, 0] <= np.log(2)) & (np.log(2) <= intervals[:, 1])).mean()
    assert held >= (0.94 if n >= 6 else 1 - 2 / 2**n - 0.02)
    assert held < 0.99
    if n == 15:
        assert median_interval(range(15)) == (3, 11)


def test_a_budget_is_met_or_missed_by_the_median_and_spanned_by_the_range():
    assert BUDGETS[STEP, "gru, T = 64"].bound == 0.4

    def row(value, low, high, what=STEP, case="gru, T = 64"):
        return Row(what, case, value, "×", low, high)

    assert (row(0.4, 0.3, 0.4).verdict, row(0.4, 0.3, 0.4).spans) == ("met", False)
    assert (row(0.39, 0.3, 0.5).verdict, row(0.39, 0.3, 0.5).spans) == ("met", True)
    assert (row(0.41, 0.3, 0.5).verdict, row(0.41, 0.3, 0.5).spans) == ("missed", True)
    assert row(1.69, 1.6, 1.69, SWEEP, "24 default runs").verdict == "missed"
    assert row(1.7, 1.7, 1.9, SWEEP, "24 default runs").verdict == "met"
    assert (row(9, 8, 10, "no budget").verdict, row(9, 8, 10, "no budget").spans) == ("", False)


def measured(values, patience):
    """Return the row and how many of the values were taken."""
    taken = []

    def rows():
        return [median_row(STEP, "gru, T = 64", taken, "×")]

    (row,) = patience.measure(lambda: taken.append(values[len(taken)]), rows)
    return row, len(taken)


def test_a_row_whose_range_spans_its_budget_is_measured_longer():
    settled = [0.1, 0.2, 0.3]
    assert measured(settled, Patience(3, 15, 60))[1] == 3
    row, rounds = measured([0.5, *[0.3] * 20], Patience(3, 15, 60))
    assert (rounds, row.verdict, row.note) == (9, "met", "")  # of nine the largest no longer counts
    row, rounds = measured([0.3, 0.5] * 10, Patience(3, 15, 60))
    assert (rounds, row.verdict, row.note) == (15, "met", "by the median")
    assert measured([0.3, 0.5] * 10, Patience(3, 15, 0))[1] == 3  # no time is left


def test_a_command_is_measured_with_its_children(tmp_path):
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7)); print(7)'], check=True)"
    spent = call("-c", child, folder=tmp_path)
    assert spent.printed == "7\n"
    assert spent.cpu > 0.1
    assert 5 < spent.memory < 50  # not what this process holds
    with pytest.raises(RuntimeError, match=r"exit code 1\n.*no such thing"):
        call("-c", "raise SystemExit('no such thing')", folder=tmp_path)


def test_a_part_that_is_measured_anew_leaves_the_others_as_they_were_written(tmp_path):
    steps = Part([Row(STEP, "gru, T = 200", 0.19, "×", 0.18, 0.21, 0.2, 9, "by the median")], "2026-01-01, commit a")
    swept = Part([Row(SWEEP, "24 default runs", 1.8, "×")], "2026-01-02")
    assert report.read(tmp_path) == {}
    report.write({"a step": steps, "sweeps": swept}, tmp_path)
    assert report.read(tmp_path) == {"a step": steps, "sweeps": swept}
    assert "- sweeps: 2026-01-02" in (tmp_path / "speed.md").read_text()
    table = pd.read_csv(tmp_path / "speed.csv")
    assert table.loc[0, ["landed", "budget", "verdict"]].tolist() == [0.91, 0.2, "met"]
    (tmp_path / "speed.csv").write_text("part,what,case,value\na,b,c,1\n")
    assert report.read(tmp_path) == {}


def test_the_page_answers_first_and_sets_every_row_beside_the_loop_with_flushing(tmp_path):
    rows = [Row(what, f"{model}, T = 200", 0.12 if what == STEP else 0.34, "×", rounds=1)
            for model in ("gru", "rnn", "lstm") for what in (STEP, flushed(STEP))]  # fmt: skip
    grown = [Row(f"{GROWTH}, {name}", f"T = {length}", length / 10 + i, "ms")
             for i, name in enumerate((LOOP, LOOP_FLUSHING, RUNS)) for length in (100, 50)]  # fmt: skip
    parts = {"a step": Part(rows, "today"), "growth": Part(grown, "today")}
    text = page(parts, drawn=True)
    assert text[1].startswith(
        "A training step over 200 time steps, compared with a PyTorch loop written by hand that fl"
    )
    assert "a GRU takes **0.34 ×** its time" in text[1]
    assert text[1].endswith("3 of 3 budgets are met.")
    assert "![" in text[2]
    assert "| a step ÷ the loop | gru, T = 200 | 0.91 | ≤ 0.2 × | 0.12 × |  |  | 0.34 × | met |" in "\n".join(text)
    assert curves(grown)[LOOP] == [(50, 5.0), (100, 10.0)]
    report.write(parts, tmp_path)
    first = (tmp_path / "speed.png").read_bytes()
    report.write(parts, tmp_path)
    assert (tmp_path / "speed.png").read_bytes() == first
    assert "these figures say that the benchmark works" in page(parts, drawn=False, quick=True)[1]


def test_every_budget_with_a_loop_has_a_companion_of_another_name():
    for what, _ in BUDGETS:
        assert (flushed(what) != what) == ("the loop" in what)


@pytest.mark.slow
def test_lightning_as_its_users_set_it_up_learns_the_same_job(tmp_path):
    spent = call(str(PROJECT / "benchmarks/peer.py"), "trainer.max_epochs=8", "seed=1", folder=tmp_path)
    accuracy = float(spent.printed.rpartition("test/acc: ")[2].splitlines()[0])
    ours = train(Setting("lstm", epochs=8, seed=1)).accuracy
    assert accuracy == pytest.approx(ours, abs=0.25)
    assert accuracy > 0.2
    (written,) = tmp_path.glob("logs/train/runs/*/csv/version_0/metrics.csv")
    assert pd.read_csv(written)["val/acc"].count() == 8
    assert len(list(tmp_path.glob("logs/train/runs/*/checkpoints/*.ckpt"))) == 2  # the best, and the last


def test_the_gpu_check_tells_a_difference():
    equal = [1.0, np.nan, -np.inf]
    assert gpu_check.difference(equal, equal) == 0
    assert gpu_check.difference([1.0, 2.0], [1.0, 2.5]) == 0.5
    assert gpu_check.difference([1.0], [np.nan]) > 1e100
    assert gpu_check.difference([1.0], [1.0, 2.0]) == np.inf


def test_the_gpu_check_finds_the_instrument_right_on_the_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, "MODELS", ("lru",))
    found = [*gpu_check.instrument("cpu", tmp_path), *gpu_check.evaluation("cpu")]
    assert [check.right for check in found] == [True, True], found
    monkeypatch.setattr(gpu_check, "TOLERANCE", -1.0)
    assert not any(check.right for check in [*gpu_check.instrument("cpu", tmp_path), *gpu_check.evaluation("cpu")])
    rates = [("lstm", "100.0", "20.0", "5.0")]
    assert "All 2 checks are right." in gpu_check.page("cpu", found, rates, 1.0)
    assert "Wrong: a run." in gpu_check.page("cpu", [gpu_check.Check("a run", False, "failed")], rates, 1.0)


@pytest.mark.slow
def test_the_gpu_check_finds_all_right_on_the_cpu(tmp_path):
    found = [
        *gpu_check.instrument("cpu", tmp_path),
        *gpu_check.runs("cpu", tmp_path, epochs=1),
        *gpu_check.sweep("cpu", tmp_path, seeds=1, epochs=1),
        *gpu_check.resume("cpu", tmp_path, epochs=20),
    ]
    assert all(check.right for check in found), found
    assert found[-1].found.endswith("apart by 0.0e+00")
    rates = list(gpu_check.throughput("cpu", tmp_path, width=4, steps=2))
    assert [name for name, *_ in rates] == list(gpu_check.MODELS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_check_says_so_and_a_run_of_before_stays(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--into", str(tmp_path)]

    def check():
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env={**os.environ})

    done = check()
    assert (done.returncode, done.stderr) == (1, "gpu-check: not run: torch finds no CUDA device here\n")
    assert gpu_check.NOT_RUN in (tmp_path / "gpu.md").read_text()
    (tmp_path / "gpu.md").write_text("# On a GPU\n\n**Run on a GPU**\n")
    gpu_check.not_run(tmp_path)
    assert (tmp_path / "gpu.md").read_text() == "# On a GPU\n\n**Run on a GPU**\n"


def test_trajectories_are_compared_seed_by_seed(tmp_path, monkeypatch):
    seen = []
    original = trajectories.finished

    def finished(*configured):
        with machine.training(1):
            seen.append(machine.flushes())
        return original(*configured)

    monkeypatch.setattr(trajectories, "finished", finished)
    pair = trajectories.Pair(trajectories.FLUSHING, "rnn")
    runs = trajectories.accuracies(pair, range(2), tmp_path, epochs=1)
    assert seen == [True, False] * 2
    assert runs["seed"].tolist() == [0, 1]
    assert set(runs.columns) > {"test/accuracy, a", "test/accuracy, b", "val/loss, a"}


def test_trajectories_that_differ_are_told_apart():
    def made(model, shift):
        seeds = np.arange(20)
        a = 0.5 + 0.01 * np.sin(seeds)
        columns = {"change": "kernels", "model": model, "seq_len": 64, "seed": seeds, "test/accuracy, a": a}
        more = {"test/accuracy, b": a + shift, "val/loss, a": a, "val/loss, b": a + shift}
        return pd.DataFrame(columns | more)

    noise = 0.001 * np.where(np.arange(20) % 2, 1, -1)
    found = trajectories.compared(pd.concat([made("rnn", noise), made("gru", noise + 0.01), made("lstm", 0.0)]))
    assert (found["p"] < 0.05).tolist() == [False, True, False]
    assert found["same bits"].tolist() == [0, 0, 20]
    assert found["difference"].tolist() == pytest.approx([0, -1, 0], abs=1e-9)
    assert "Significant difference: gru, T = 64, kernels." in trajectories.page(found, 1.0)
    assert "No significant difference: kernels." in trajectories.page(found[found["model"] != "gru"], 1.0)


@pytest.mark.slow
def test_the_quick_benchmark_measures_every_part(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--into", str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = pd.read_csv(tmp_path / "speed.csv")
    assert {what for what, _ in BUDGETS} <= set(rows["what"])
    text = Path(tmp_path / "speed.md").read_text()
    assert text.startswith("# What gradreach costs")
    assert (tmp_path / "speed.png").is_file()
