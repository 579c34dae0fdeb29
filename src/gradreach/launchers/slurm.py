"""SLURM jobs: submitted as arrays, watched until each has ended, cancelled when a sweep is stopped.

Only a job's state tells what happened to it: a requeued job leaves a result before it has ended.
"""

import re
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradreach.system.interruption import at_once, deferred

POLL_SECONDS, LONGEST_SECONDS = 2.0, 30.0
"""Time between two queries of the queue: at first, and when nothing has happened for long."""
GRACE_SECONDS = 10.0
"""How much later than the queue a shared file system may show what a job wrote."""
ANSWER_SECONDS = 60.0
"""Time limit of one SLURM command."""
DEFAULT_ARRAY = 1001
"""SLURM's own ``MaxArraySize``."""
CANCELLED, FORGOTTEN = "CANCELLED", "FORGOTTEN"
ENDED = {
    *(CANCELLED, "COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY"),
    *("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "DEADLINE", FORGOTTEN),
}
"""Final states of a job; a requeued job is pending."""


class Cancelled(RuntimeError):
    """Somebody has cancelled a job, so it is not resubmitted; the message is the job's name."""


def jobs_line(job_ids: Collection[str]) -> str:
    """Name jobs; where there are many, their arrays.

    >>> jobs_line(["7_0", "7_1"]), jobs_line(["7_0", "7_1", "7_2", "7_3"])
    ('SLURM job 7_0, 7_1', 'SLURM job 7')
    """
    few = len(set(job_ids)) <= 3
    return f"SLURM job {', '.join(sorted({job_id if few else job_id.partition('_')[0] for job_id in job_ids}))}"


def do_all(executor: Any, function: Any, calls: Sequence[Any], parallel: int) -> list[Any]:
    """Call a function with each argument in its own job; return when the last has ended.

    SIGTERM and Ctrl-C take all jobs out of the queue, also those that were being submitted.

    Args:
        executor: submitit's.
        function: what submitit can pickle.
        calls: its arguments.
        parallel: how many jobs run at the same time, at most.

    Returns:
        For each call its result, or the exception that prevented it.

    Raises:
        KeyboardInterrupt: the process was asked to stop; the jobs are on their way out.
    """
    jobs: list[Any] = []
    with at_once():
        try:
            refused = _submit(executor, function, calls, parallel, jobs)
            by_id = {job.job_id: job for job in jobs}
            results = {job_id: _result(by_id[job_id], state) for job_id, state in ended(by_id)}
        except KeyboardInterrupt:
            _take_back(jobs)
            raise
    return [*(results[job.job_id] for job in jobs), *[refused] * (len(calls) - len(jobs))]


def _submit(executor: Any, function: Any, calls: Sequence[Any], parallel: int, jobs: list[Any]) -> Exception | None:
    """Submit the calls as arrays, and add their jobs to a list; return why the last of them could not be.

    Raises:
        Exception: none of them could be.
    """
    size = largest_array()
    arrays = [calls[at : at + size] for at in range(0, len(calls), size)]
    executor.update_parameters(slurm_array_parallelism=max(1, parallel // len(arrays)))
    for array in arrays:
        try:
            with deferred():  # submitted jobs must be known for cancelling them
                jobs += executor.map_array(function, array)
                _tidy_submission(executor.folder, jobs[-1])
        except Exception as error:
            if not jobs:
                raise
            return error  # submitted jobs continue
    return None


def largest_array() -> int:
    """Return how many jobs an array may have."""
    with suppress(OSError, subprocess.TimeoutExpired):
        told = _ask("scontrol", "show", "config")
        if found := re.search(r"MaxArraySize\s*=\s*(\d+)", told.stdout):
            return max(int(found[1]), 1)
    return DEFAULT_ARRAY


def ended(job_ids: Collection[str]) -> Iterator[tuple[str, str]]:
    """Wait for jobs; give each as soon as it has ended, with its state."""
    waiting, missed, pause = set(job_ids), set[str](), POLL_SECONDS
    while waiting:
        told, over = states(waiting), dict[str, str]()
        if told is not None:
            over = {job_id: state for job_id, state in told.items() if job_id in waiting and state in ENDED}
            over |= dict.fromkeys(sorted(missed - told.keys()), FORGOTTEN)  # not at the first look: it may be too new
            missed = waiting - told.keys() - over.keys()
        yield from over.items()
        waiting -= over.keys()
        pause = POLL_SECONDS if over else min(1.1 * pause, LONGEST_SECONDS)
        if waiting:
            time.sleep(pause)


def states(job_ids: Collection[str]) -> dict[str, str] | None:
    """Return the state of each job that SLURM knows, of others in their arrays too; None while it does not answer.

    It knows of a job for some minutes after its end (``MinJobAge``). Not every cluster keeps accounts for ``sacct``.
    """
    arrays = ",".join(sorted({job_id.partition("_")[0] for job_id in job_ids}))
    try:
        told = _ask("squeue", "--noheader", "--array", "--states=all", "--format=%i|%T", f"--jobs={arrays}")
    except subprocess.TimeoutExpired:
        return None
    if told.returncode and "Invalid job id" not in told.stderr:
        return None
    return dict(line.strip().split("|") for line in told.stdout.splitlines() if "|" in line)


def _ask(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)


def _result(job: Any, state: str) -> Any:
    """Return what a job that has ended returned, or the exception that says why it did not.

    Of a job that is cancelled before it begins SLURM may know nothing any more.
    """
    begun = job.paths.stdout.exists()
    if state == CANCELLED or (state == FORGOTTEN and not begun):
        if not begun:
            _tidy(job)
        return Cancelled(job.job_id)
    deadline = time.monotonic() + GRACE_SECONDS
    while not job.paths.result_pickle.exists():
        if time.monotonic() >= deadline:
            return RuntimeError(f"SLURM job {job.job_id} ended as {state}; its output: {job.paths.stderr}")
        time.sleep(POLL_SECONDS)
    try:
        result = job.result()
    except Exception as error:
        return error
    _tidy(job)
    return result


def _take_back(jobs: Sequence[Any]) -> None:
    """Cancel jobs; running ones are asked to stop, and save their state."""
    arrays = sorted({job.job_id.partition("_")[0] for job in jobs})
    if not arrays:
        return
    with deferred(), suppress(subprocess.TimeoutExpired):
        _ask("scancel", *arrays)
    for job in jobs:
        if not job.paths.stdout.exists():  # it has not begun
            _tidy(job)


def _tidy(job: Any) -> None:
    """Remove the files of a finished job: on a cluster their number is often limited."""
    paths = job.paths
    for path in (paths.submitted_pickle, paths.result_pickle, paths.stdout, paths.stderr):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # others' files are in it
        paths.folder.rmdir()


def _tidy_submission(folder: Path, job: Any) -> None:
    """Remove the script by which a job or its array was submitted: SLURM has a copy."""
    from submitit.core.utils import JobPaths

    number = job.job_id.partition("_")[0]
    for link in JobPaths.get_first_id_independent_folder(folder).glob(".submission_file_*.sh"):
        script = link.resolve()
        if link.is_symlink() and script.name.partition("_")[0] == number:
            link.unlink()
            script.unlink(missing_ok=True)
            with suppress(OSError):
                script.parent.rmdir()
