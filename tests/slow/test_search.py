"""A search in real processes: stopped, killed and gone on with it yields what an undisturbed one does."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pandas as pd
import pytest

from gradreach.records import RecordStore
from gradreach.run_table.columns import read_csv
from kill import members, working
from project import PROJECT

pytest.importorskip("optuna", minversion="4.9", reason="needs the extra gradreach[optuna]")
pytestmark = pytest.mark.slow

SMALL = ["task.train_size=400", "task.validation_size=100", "task.test_size=100", "diagnostics=off", "tracking=off"]
LINE = ["-m", "+search=training", "task=adding", "seq_len=20", "model=rnn", "trainer.epochs=8", *SMALL]
FEW = [f"hydra.sweeper.{name}={value}" for name, value in {"n_trials": 6, "n_jobs": 2, "startup_trials": 2}.items()]


def start(folder, *more):
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "COLUMNS": "200", "GRADREACH_DRIVER": "none"}
    environment.pop("HYDRA_FULL_ERROR", None)
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "run.py"), *LINE, *FEW, *more],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process):
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def trials(folder):
    return read_csv(folder / "results" / "searches" / "training" / "trials.csv")


def at_work(folder, process):
    """Wait until a run is being done; return by which processes."""
    while not (found := working(folder / "results")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an undisturbed search comes to, with and without pruning."""

    def call(*more):
        if more not in known:
            folder = tmp_path_factory.mktemp("whole")
            code, out, err = ended(start(folder, *more))
            assert code == 0, out + err
            known[more] = (trials(folder), out)
        return known[more]

    known = {}
    return call


@pytest.mark.parametrize("prune", ["none", "median"])
@pytest.mark.parametrize("by", ["SIGTERM", "Ctrl-C"])
def test_a_search_that_is_stopped_says_so_in_one_line_and_goes_on(tmp_path, whole, by, prune):
    option = f"hydra.sweeper.prune={prune}"
    expected, said = whole(option)
    assert ("pruned" in set(expected["state"])) is (prune == "median")
    folder, chance, stops = tmp_path / "stopped", random.Random(0), 0
    while stops < 3:
        process = start(folder, option)
        at_work(folder, process)
        time.sleep(chance.uniform(0, 2))
        if by == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        code, out, err = ended(process)
        assert err == ""
        if code == 0:  # it was faster
            break
        assert code == 128 + {"SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}[by], out + err
        assert out.endswith("stopped: finished runs are kept; re-run the same command to resume\n")
        assert "failed" not in set(trials(folder)["state"])
        deadline = time.monotonic() + 20
        while members(process.pid) and time.monotonic() < deadline:  # Python's tracker of resources is the last
            time.sleep(0.1)
        assert members(process.pid) == []
        stops += 1
    assert stops
    code, out, err = ended(start(folder, option))
    assert (code, err) == (0, "")
    assert out == said
    pd.testing.assert_frame_equal(trials(folder), expected)


def test_a_worker_that_is_killed_does_not_end_a_search(tmp_path, whole):
    expected, said = whole()
    folder = tmp_path / "killed"
    process = start(folder)
    for _ in range(2):
        os.kill(at_work(folder, process)[0], signal.SIGKILL)
        time.sleep(3)
    code, out, err = ended(process)
    assert code == 0, out + err
    assert "Traceback" not in out + err
    assert [line for line in out.splitlines() if not line.startswith("launcher: ")] == said.splitlines()
    pd.testing.assert_frame_equal(trials(folder), expected)


def test_a_search_whose_driver_is_killed_goes_on(tmp_path, whole):
    expected, said = whole()
    folder, chance = tmp_path / "killed", random.Random(1)
    for _ in range(3):
        process = start(folder)
        at_work(folder, process)
        time.sleep(chance.uniform(0, 3))
        process.kill()
        process.wait()
        for worker in members(process.pid):  # they end by themselves, but not at once
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        process.communicate()
    code, out, err = ended(start(folder))
    assert code == 0, out + err
    assert out == said
    pd.testing.assert_frame_equal(trials(folder), expected)


def test_a_pruned_run_goes_on_to_what_it_would_have_been(tmp_path):
    line = [sys.executable, str(PROJECT / "run.py"), "model=rnn", "model.width=4", "trainer.epochs=6", *SMALL[3:]]

    def record(*more):
        done = subprocess.run([*line, *more], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        (folder,) = {word.partition("=")[2] for word in more if word.startswith("results_dir=")}
        store = RecordStore(tmp_path / folder / "runs")
        (run_id,) = store.run_ids()
        return done.returncode, store.read(run_id), store.read_history(run_id).splitlines()

    code, left, rows = record("results_dir=pruned", "+prune=[null,null,0.9]")
    assert (code, left["status"], len(rows)) == (130, "interrupted", 1 + 3)
    assert left["error"] == "stopped by prune, since validation was behind its bound, after epoch 3"
    code, finished, rows = record("results_dir=pruned")
    assert (code, finished["status"], len(rows)) == (0, "finished", 1 + 6)
    assert finished["metrics"] == record("results_dir=whole")[1]["metrics"]
    code, last, _ = record("results_dir=last", "+prune=[null,null,null,null,null,0.9]")
    assert (code, last["status"]) == (0, "finished")  # it had no epoch left
