"""What is known of jobs of SLURM, and what follows from it; tests/slow/test_slurm.py asks a real one."""

import os
import re
import signal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hydra.core.utils import JobReturn, JobStatus

import gradreach.launchers.clusters as launchers
from gradreach.compose import raised_or_returned
from gradreach.errors import ConfigError
from gradreach.launchers import slurm


def done(value):
    returned = JobReturn()
    returned.status, returned.return_value = JobStatus.COMPLETED, value
    return returned


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Put a program in the place of another; its lines of the shell."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def call(name, *lines):
        path = tmp_path / "bin" / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)

    return call


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["echo '7_0|RUNNING'", "echo '7_1|PENDING'", "echo '8|COMPLETED'"],
            {"7_0": "RUNNING", "7_1": "PENDING", "8": "COMPLETED"},
        ),
        (["exit 0"], {}),
        (["echo 'slurm_load_jobs error: Invalid job id specified' >&2", "exit 1"], {}),
        (["echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2", "exit 1"], None),
        (["exec sleep 60"], None),
    ],
    ids=["known", "none", "forgotten", "no controller", "no answer"],
)
def test_the_queue_is_asked_for_all_jobs_at_once(command, tmp_path, monkeypatch, lines, expected):
    monkeypatch.setattr(slurm, "ANSWER_SECONDS", 1)
    command("squeue", f'echo "$*" > {tmp_path}/asked', *lines)
    assert slurm.states(["7_1", "8", "7_0"]) == expected
    assert "--jobs=7,8" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (
            [{"7_0": "PENDING", "7_1": "RUNNING"}, {"7_0": "RUNNING", "7_1": "COMPLETED"}, {"7_0": "FAILED"}],
            ["7_1 COMPLETED", "7_0 FAILED"],
        ),
        (
            [
                {"7_0": "COMPLETING", "7_1": "REQUEUED"},
                {"7_0": "PENDING", "7_1": "PENDING"},
                {"7_0": "COMPLETED", "7_1": "CANCELLED"},
            ],
            ["7_0 COMPLETED", "7_1 CANCELLED"],
        ),
        ([{"7_0": "COMPLETED"}, {}], ["7_0 COMPLETED", "7_1 FORGOTTEN"]),
        (
            [{}, {"7_0": "RUNNING", "7_1": "RUNNING"}, None, {"7_0": "NODE_FAIL", "7_1": "TIMEOUT"}],
            ["7_0 NODE_FAIL", "7_1 TIMEOUT"],
        ),
        ([None, {}, None, {}], ["7_0 FORGOTTEN", "7_1 FORGOTTEN"]),
    ],
    ids=["one by one", "requeued", "cancelled before it began", "too new at first", "no controller"],
)
def test_a_job_is_waited_for_until_its_state_is_its_last(monkeypatch, looks, expected):
    told = iter(looks)
    monkeypatch.setattr(slurm, "states", lambda job_ids: None if (look := next(told)) is None else dict(look))
    monkeypatch.setattr(slurm.time, "sleep", lambda seconds: None)
    assert [" ".join(end) for end in slurm.ended(["7_0", "7_1"])] == expected
    assert next(told, "all seen") == "all seen"


class Job:
    """A job of submitit, in a folder of its own."""

    def __init__(self, folder, job_id, returned="returned"):
        self.job_id, self.returned = job_id, returned
        names = {"submitted_pickle": "in.pkl", "result_pickle": "out.pkl", "stdout": "log.out", "stderr": "log.err"}
        own = folder / job_id
        own.mkdir(parents=True)
        self.paths = SimpleNamespace(folder=own, **{name: own / path for name, path in names.items()})
        self.paths.submitted_pickle.touch()

    def result(self):
        if isinstance(self.returned, Exception):
            raise self.returned
        return self.returned


@pytest.mark.parametrize(
    ("state", "left", "expected", "kept"),
    [
        ("COMPLETED", ["stdout", "result_pickle"], "returned", False),
        ("FAILED", ["stdout", "result_pickle"], "returned", False),
        ("CANCELLED", ["stdout", "result_pickle"], "Cancelled: 7_0", True),
        ("CANCELLED", [], "Cancelled: 7_0", False),
        ("FORGOTTEN", [], "Cancelled: 7_0", False),
        ("FORGOTTEN", ["stdout", "result_pickle"], "returned", False),
        ("FORGOTTEN", ["stdout"], r"RuntimeError: SLURM job 7_0 ended as FORGOTTEN; its output: .*log\.err", True),
        (
            "OUT_OF_MEMORY",
            ["stdout"],
            r"RuntimeError: SLURM job 7_0 ended as OUT_OF_MEMORY; its output: .*log\.err",
            True,
        ),
    ],
)
def test_what_a_job_came_to_is_told_and_its_files_are_kept_where_they_say_why(
    tmp_path, monkeypatch, state, left, expected, kept
):
    monkeypatch.setattr(slurm, "GRACE_SECONDS", 0)
    job = Job(tmp_path, "7_0")
    for name in left:
        getattr(job.paths, name).touch()
    found = slurm._result(job, state)
    said = f"{type(found).__name__}: {found}" if isinstance(found, Exception) else found
    assert re.fullmatch(expected, said)
    assert job.paths.folder.exists() is kept


class Executor:
    """Takes arrays of at most three jobs, as many arrays as it is told, and runs them on the spot."""

    def __init__(self, folder, arrays=99):
        self.folder, self.arrays, self.told, self.parallel = folder, arrays, [], None

    def update_parameters(self, slurm_array_parallelism):
        self.parallel = slurm_array_parallelism

    def map_array(self, function, calls):
        if len(self.told) == self.arrays:
            raise RuntimeError("no more jobs")
        assert len(calls) <= 3
        self.told.append(list(calls))
        jobs = [Job(self.folder, f"{len(self.told)}_{place}", function(call)) for place, call in enumerate(calls)]
        for job in jobs:
            job.paths.result_pickle.touch()
        return jobs


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    pytest.importorskip("submitit", reason="needs the extra gradreach[slurm]")
    monkeypatch.setattr(slurm, "largest_array", lambda: 3)
    monkeypatch.setattr(slurm, "ended", lambda jobs: [(job, "COMPLETED") for job in sorted(jobs, reverse=True)])
    return lambda calls, **options: (
        executor := Executor(tmp_path, **options),
        slurm.do_all(executor, lambda call: call * 10, calls, parallel=9),
    )


def test_more_jobs_than_an_array_may_have_are_several_arrays_that_share_what_may_run_at_a_time(submitted):
    executor, results = submitted([*range(7)])
    assert results == [0, 10, 20, 30, 40, 50, 60]
    assert executor.told == [[0, 1, 2], [3, 4, 5], [6]]
    assert executor.parallel == 3


def test_what_could_not_be_submitted_does_not_leave_alone_what_was(submitted):
    _, results = submitted([*range(5)], arrays=1)
    assert results[:3] == [0, 10, 20]
    assert [str(each) for each in results[3:]] == ["no more jobs"] * 2
    with pytest.raises(RuntimeError, match="no more jobs"):
        submitted([*range(5)], arrays=0)


@pytest.mark.parametrize("when", ["while it is submitted", "afterwards"])
def test_who_is_asked_to_stop_takes_back_what_was_submitted(tmp_path, monkeypatch, submitted, command, when):
    command("scancel", f'echo "$*" > {tmp_path}/taken')

    def stop(*_):
        signal.raise_signal(signal.SIGTERM)
        return []

    if when == "afterwards":
        monkeypatch.setattr(slurm, "ended", stop)
        calls = lambda call: call  # noqa: E731
    else:
        calls = stop
    executor = Executor(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        slurm.do_all(executor, calls, [*range(5)], parallel=1)
    assert (tmp_path / "taken").read_text() == ("1\n" if when != "afterwards" else "1 2\n")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_how_large_an_array_may_be_slurm_says(command):
    command("scontrol", "echo 'MaxArraySize            = 17'")
    assert slurm.largest_array() == 17
    command("scontrol", "exit 1")
    assert slurm.largest_array() == 1001


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "two", None])
def test_a_number_of_runs_a_job_that_is_none_is_refused_in_one_line(number):
    launcher = launchers.SubmititLauncher("slurm", runs_per_job=number)
    with pytest.raises(ConfigError, match=r"^hydra.launcher.runs_per_job=\S+: must be a number of runs, 1 or more$"):
        launcher.setup(hydra_context=None, task_function=None, config=None)


@pytest.mark.parametrize(("runs_per_job", "jobs"), [(1, 5), (2, 3), (3, 2), (9, 1)])
def test_a_job_does_several_runs_of_which_each_gets_its_own_return(monkeypatch, runs_per_job, jobs):
    pytest.importorskip("submitit", reason="needs the extra gradreach[slurm]")
    given = []

    def one(overrides, key, number, job_id, state):
        assert (key, job_id) == ("hydra.sweep.dir", f"job_{number}")
        if overrides == ["seed=3"]:
            raise RuntimeError("cannot be composed")
        return done((overrides, number))

    def do_all(executor, function, calls, parallel):
        given.extend([run[0] for run in call] for call in calls)
        return [
            RuntimeError("a node died") if ["seed=4"] in given[place] else function(call)
            for place, call in enumerate(calls)
        ]

    monkeypatch.setattr(slurm, "do_all", do_all)
    monkeypatch.setattr("submitit.AutoExecutor", Mock())
    launcher = launchers.SubmititLauncher("slurm", runs_per_job)
    launcher.job = Mock(side_effect=one, params={"submitit_folder": "jobs", "array_parallelism": 8})
    returned = launcher.launch([[f"seed={seed}"] for seed in range(5)], 10)
    assert len(given) == jobs
    assert sorted(run for call in given for run in call) == [[f"seed={seed}"] for seed in range(5)]
    assert all(call[0] == [f"seed={place}"] for place, call in enumerate(given))  # the longest runs are apart
    company = next(call for call in given if ["seed=4"] in call)
    for seed, each in enumerate(returned):
        if [f"seed={seed}"] in company:
            assert str(raised_or_returned(each)) == "a node died"
        elif seed == 3:
            assert str(raised_or_returned(each)) == "cannot be composed"
        else:
            assert each.return_value == ([f"seed={seed}"], 10 + seed)
