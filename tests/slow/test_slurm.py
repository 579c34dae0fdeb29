"""What may happen to a sweep on a real SLURM; skipped where none answers, or where it may not be administered."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

import pytest

from gradreach.launchers import slurm
from gradreach.records import RecordStore
from project import PROJECT
from slow.test_launchers import TINY, figures, slurm_answers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not slurm_answers(), reason="no SLURM answers to sinfo"),
]

SEEDS = 4
LONG = ["model=rnn", "model.width=4", "trainer.epochs=100", "trainer.checkpoint_seconds=0", "tracking=off"]
"""A run that takes some eight seconds."""
STOPPED = "stopped: finished runs are kept; re-run the same command to resume"
ACTIVE = ("PENDING", "RUNNING", "COMPLETING")


class Sweep:
    """A sweep that goes on in a folder, by jobs with a name that no others have."""

    def __init__(self, folder, *line):
        self.name = f"gradreach-{secrets.token_hex(4)}"
        own = ["hydra/launcher=slurm", f"hydra.launcher.name={self.name}", "hydra.launcher.mem_gb=1"]
        self.store = RecordStore(folder / "results" / "runs")
        command = [sys.executable, str(PROJECT / "run.py"), "-m", *line, *own]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.driver = subprocess.Popen(command, cwd=folder, start_new_session=True, **pipes)

    def jobs(self):
        """Return the state of each job that it has ever submitted."""
        told = subprocess.run(
            ["squeue", "--noheader", "--array", "--states=all", "--format=%i|%T", f"--name={self.name}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split("|") for line in told.stdout.splitlines())

    def statuses(self):
        return [self.store.status(run_id) for run_id in self.store.run_ids()]

    def wait_for(self, happened, seconds=120):
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, (self.jobs(), self.statuses())
            assert self.driver.poll() is None, self.driver.communicate()[0]
            time.sleep(0.2)

    def wait_for_checkpoints(self, count):
        self.wait_for(lambda: len(list(self.store.root.glob("*/checkpoint.ckpt"))) >= count)

    def end(self):
        said = self.driver.communicate(timeout=300)[0]
        print(said)
        return self.driver.returncode, said


@pytest.fixture
def sweep(tmp_path):
    begun = []

    def call(*line):
        begun.append(Sweep(tmp_path, *line))
        return begun[-1]

    yield call
    for each in begun:
        subprocess.run(["scancel", f"--name={each.name}"], check=False)
        each.driver.kill()
        each.driver.communicate()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    line = [sys.executable, str(PROJECT / "run.py"), "-m", f"seed=range({SEEDS})", *LONG]
    subprocess.run(line, cwd=folder, capture_output=True, timeout=600, check=True)
    return figures(folder / "results")


def scontrol(*words):
    subprocess.run(["scontrol", *words], check=True, timeout=60)


def begin_now(going):
    """Spare a test the minutes for which SLURM lets a job wait that it has put into the queue again."""
    for job_id, state in going.jobs().items():
        if state == "PENDING":
            subprocess.run(["scontrol", "update", f"JobId={job_id}", "StartTime=now"], capture_output=True, check=False)


def test_a_cancelled_array_stays_cancelled_and_ends_its_sweep_in_one_line(sweep):
    going = sweep(f"seed=range({SEEDS})", *LONG)
    going.wait_for_checkpoints(1)
    (array,) = {job_id.partition("_")[0] for job_id in going.jobs()}
    subprocess.run(["scancel", array], check=True)
    code, said = going.end()
    assert code == 130
    assert said.count("cancelled") == 1
    assert f"cancelled and not resubmitted: {SEEDS} runs, SLURM job {array}\n{STOPPED}" in said
    assert set(going.jobs().values()) == {"CANCELLED"}
    assert len(going.jobs()) == SEEDS
    assert "running" not in going.statuses()


def test_of_a_job_that_is_cancelled_the_others_know_nothing(sweep):
    going = sweep(f"seed=range({SEEDS})", *LONG)
    going.wait_for(lambda: len(going.jobs()) == SEEDS)
    cancelled = max(going.jobs())  # still in the queue
    subprocess.run(["scancel", cancelled], check=True)
    code, said = going.end()
    assert code == 130
    assert f"cancelled and not resubmitted: 1 run, SLURM job {cancelled}\n" in said
    assert [state for job_id, state in going.jobs().items() if job_id != cancelled] == ["COMPLETED"] * (SEEDS - 1)
    assert going.statuses() == ["finished"] * (SEEDS - 1)


def test_a_job_that_is_put_into_the_queue_again_is_waited_for_and_gets_no_twin(sweep, tmp_path, undisturbed):
    going = sweep(f"seed=range({SEEDS})", *LONG)
    going.wait_for_checkpoints(1)
    running = next(job_id for job_id, state in going.jobs().items() if state == "RUNNING")
    scontrol("requeue", running)
    going.wait_for(lambda: going.jobs()[running] == "PENDING")
    assert "interrupted" in going.statuses()  # told by SLURM, it has saved what it had, and its job has left a result
    going.wait_for(lambda: sorted(going.jobs().values()) == [*["COMPLETED"] * (SEEDS - 1), "PENDING"])
    time.sleep(3 * slurm.POLL_SECONDS)  # the driver has seen that the others have ended
    assert going.driver.poll() is None
    begin_now(going)
    code, said = going.end()
    assert code == 0
    assert f"{SEEDS} runs: {SEEDS} finished" in said
    assert list(going.jobs().values()) == ["COMPLETED"] * SEEDS
    assert figures(tmp_path / "results") == undisturbed


def test_a_node_that_goes_down_costs_no_run_and_no_twin(sweep, tmp_path, undisturbed):
    node = subprocess.run(["sinfo", "--noheader", "--format=%n"], capture_output=True, text=True, check=True)
    (name,) = set(node.stdout.split())  # whoever owns a larger cluster would not thank us
    going = sweep(f"seed=range({SEEDS})", *LONG)
    going.wait_for_checkpoints(1)
    scontrol("update", f"NodeName={name}", "State=DOWN", "Reason=tried")
    try:
        going.wait_for(lambda: set(going.jobs().values()) == {"PENDING"})
        time.sleep(2 * slurm.POLL_SECONDS)
        assert going.driver.poll() is None
    finally:  # it may have come back by itself
        subprocess.run(["scontrol", "update", f"NodeName={name}", "State=RESUME"], capture_output=True, check=False)
    begin_now(going)
    code, said = going.end()
    assert code == 0, said
    assert list(going.jobs().values()) == ["COMPLETED"] * SEEDS
    assert figures(tmp_path / "results") == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("runs_per_job", [1, 2])
def test_who_stops_the_driver_takes_back_all_jobs_and_the_same_line_goes_on(
    sweep, tmp_path, undisturbed, number, runs_per_job
):
    line = [f"seed=range({SEEDS})", *LONG, f"hydra.launcher.runs_per_job={runs_per_job}"]
    going = sweep(*line)
    going.wait_for_checkpoints(1)
    os.killpg(going.driver.pid, number) if number == signal.SIGINT else going.driver.send_signal(number)
    code, said = going.end()
    assert code == 128 + number
    assert said.count(STOPPED) == 1
    assert "Traceback" not in said
    assert set(going.jobs().values()) <= {"CANCELLED", "COMPLETED", "COMPLETING"}
    assert set(going.statuses()) <= {"interrupted", "finished"}
    if runs_per_job > 1:
        code, said = sweep(*line).end()
        assert code == 0, said
        assert figures(tmp_path / "results") == undisturbed


SLOWLY = """#!{python}
import pathlib, subprocess, sys, time
code = subprocess.run(["{real}", *sys.argv[1:]]).returncode
pathlib.Path("{submitted}").touch()
time.sleep(3)
sys.exit(code)
"""


def test_jobs_that_are_just_being_submitted_are_taken_back_too(sweep, tmp_path, monkeypatch):
    real, bin_dir = shutil.which("sbatch"), tmp_path / "bin"
    bin_dir.mkdir()
    script = bin_dir / "sbatch"
    script.write_text(SLOWLY.format(python=sys.executable, real=real, submitted=bin_dir / "submitted"))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}{os.pathsep}{os.environ['PATH']}")
    going = sweep("seed=0,1,2", *LONG)
    going.wait_for((bin_dir / "submitted").exists)
    os.killpg(going.driver.pid, signal.SIGINT)
    code, said = going.end()
    assert (code, said.count(STOPPED)) == (130, 1)
    assert len(going.jobs()) == 3
    assert set(going.jobs().values()) <= {"CANCELLED", "COMPLETING", "FAILED"}


def test_what_is_more_than_an_array_may_have_is_split(sweep, tmp_path, monkeypatch):
    real, bin_dir = shutil.which("scontrol"), tmp_path / "bin"
    bin_dir.mkdir()
    script = bin_dir / "scontrol"
    script.write_text(f'#!/bin/sh\n[ "$*" = "show config" ] && echo "MaxArraySize = 2" || exec {real} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_dir}{os.pathsep}{os.environ['PATH']}")
    going = sweep("seed=range(5)", *TINY, "hydra.launcher.array_parallelism=2")
    code, said = going.end()
    assert code == 0
    assert "5 runs: 5 finished" in said
    arrays = [job_id.partition("_")[0] for job_id in going.jobs()]
    assert sorted(map(arrays.count, set(arrays))) == [1, 2, 2]


def test_slurm_takes_as_many_jobs_in_an_array_as_it_is_said_to_and_not_one_more():
    size = slurm.largest_array()
    for count, code in ((size, 0), (size + 1, 1)):
        line = ["sbatch", "--parsable", "--hold", f"--array=0-{count - 1}", "--wrap=true", "--output=/dev/null"]
        told = subprocess.run(line, capture_output=True, text=True, check=False)
        if told.stdout.strip():
            subprocess.run(["scancel", told.stdout.strip()], check=True)
        assert told.returncode == code, told.stderr


def test_a_run_leaves_twelve_files_and_folders_or_fewer_also_where_jobs_do_several(sweep, tmp_path):
    going = sweep("seed=range(5)", *TINY, "tracking=offline", "hydra.launcher.runs_per_job=2")
    code, said = going.end()
    assert code == 0, said
    assert len(going.jobs()) == 3
    results = tmp_path / "results"
    common = {results / name for name in ("runs", "runs/.claims", "wandb", "jobs")}
    found = set(results.rglob("*")) - common
    print(*sorted(found), sep="\n")
    assert len(found) <= 5 * 12


def test_a_partition_that_there_is_not_is_one_line(sweep):
    code, said = sweep("seed=0,1", *TINY, "hydra.launcher.partition=absent").end()
    assert code == 1
    assert "invalid partition" in said
    assert "Traceback" not in said
