"""A sweep: every job checked first, identical runs once, finished runs not again."""

import os
import platform
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from omegaconf import DictConfig

from gradreach.config import RunConfig, Workplace, parse, plain
from gradreach.display import SweepDisplay
from gradreach.errors import advise
from gradreach.files import alive
from gradreach.interruption import GRACE_SECONDS
from gradreach.models import caveat
from gradreach.records import SETTLED, RecordStore
from gradreach.runner import check
from gradreach.tracking import mode_now
from gradreach.tracking.summary import is_summarized, summarize_sweep

ATTEMPTS = 3
"""How often a run may end without a result before it is taken for the cause; the last time it is alone."""


@dataclass(frozen=True)
class Job:
    """One combination of a sweep.

    - ``overrides``: what the launcher is given.
    - ``cost``: multiply-adds of a sequence, times epochs: enough to tell long runs from short ones.
    """

    overrides: Sequence[str]
    run: RunConfig
    workplace: Workplace
    cost: int


def plan(jobs: Sequence[Sequence[str]], compose: Callable[[Sequence[str]], DictConfig]) -> list[Job]:
    """Compose and check all jobs; of identical runs the first is kept.

    Raises:
        ConfigError: naming the first setting that cannot be; nothing has been started or written then.
    """
    distinct: dict[str, Job] = {}
    for overrides in jobs:
        run, workplace = parse(plain(compose(overrides)))
        if run.run_id not in distinct:
            task, model = check(run, workplace)
            advise(caveat(model, task.shape))
            cost = model.multiply_adds(task.shape.length) * run.trainer.epochs
            distinct[run.run_id] = Job(overrides, run, workplace, cost)
    return list(distinct.values())


def sweep(
    jobs: Sequence[Sequence[str]],
    compose: Callable[[Sequence[str]], DictConfig],
    launch: Callable[[Sequence[Sequence[str]]], Any],
) -> None:
    """Do what is left of a sweep, show how it goes, and exit with code 1 where a run is not done at the end.

    Raises:
        ConfigError: a setting cannot be; nothing has been started or written then.
    """
    planned = plan(jobs, compose)
    workplace = planned[0].workplace
    store = RecordStore(workplace.results_dir / "runs")
    store.check_writable()
    mode_now(workplace.tracking)
    left = [job for job in planned if workplace.force or not _done(store, job, workplace)]
    left.sort(key=lambda job: -job.cost)  # the longest first, so that all workers end at about the same time
    if workplace.experiment is not None:
        from gradreach.analysis.run_table import write_plan

        write_plan(workplace, [job.run for job in planned])
    interrupted = False
    with SweepDisplay(store, len(jobs), len(planned), [job.run for job in left]) as display:
        try:
            with stopping(store, [job.run.run_id for job in left]):
                _do_all(left, store, launch, display)
        except KeyboardInterrupt:
            interrupted = True
            ids = [job.run.run_id for job in left]
            _wait_while(lambda: any(store.status(run_id) == "running" for run_id in ids))  # jobs of a cluster
            display.note("stopped: what was finished is kept; the same line goes on from here")
    states = Counter(store.status(job.run.run_id) for job in planned)
    display.summary(states, workplace)
    if interrupted:
        sys.exit(130)
    if left or not is_summarized(workplace):
        summarize_sweep(workplace)
    if set(states) - set(SETTLED):
        sys.exit(1)


def _do_all(left: list[Job], store: RecordStore, launch: Callable[..., Any], display: SweepDisplay) -> None:
    """Launch until every run has come to an end.

    A worker that is killed takes a whole launcher with it, so what had not ended is launched anew. A run whose workers
    are killed again and again is a suspect: it is launched alone when the others are done, so that none is condemned
    for its company.
    """
    waiting = {job.run.run_id: job for job in left}
    before = {run_id: store.stamp(run_id) for run_id in waiting}
    deaths: Counter[str] = Counter()
    in_vain = 0
    while waiting and in_vain < ATTEMPTS:
        free = [run_id for run_id in waiting if not store.claimed(run_id)]
        if not free:
            time.sleep(1)  # another sweep is at all of them
            continue
        unsuspected = [run_id for run_id in free if deaths[run_id] < ATTEMPTS - 1]
        ready = {run_id: store.stamp(run_id) for run_id in unsuspected or free[:1]}
        try:
            for returned in launch([waiting[run_id].overrides for run_id in ready]):
                _ = returned.return_value  # raises what a worker raised
        except Exception as error:
            display.note(f"launcher: {type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}")
        started = [run_id for run_id, stamp in ready.items() if store.stamp(run_id) != stamp]
        in_vain = 0 if started else in_vain + 1
        for run_id in list(waiting):
            ended = store.status(run_id) in (*SETTLED, "failed") and store.stamp(run_id) != before[run_id]
            if not ended and run_id in started and not store.claimed(run_id):
                deaths[run_id] += 1
            if deaths[run_id] >= ATTEMPTS:
                _give_up(store, waiting[run_id])
            if ended or deaths[run_id] >= ATTEMPTS:
                del waiting[run_id]
    if waiting:
        display.note(f"the launcher starts no run any more, {len(waiting)} are left")


def _give_up(store: RecordStore, job: Job) -> None:
    """Record that a run takes its worker with it, most often by needing more memory than there is."""
    error = f"its worker ended {ATTEMPTS} times without a result: killed from outside, or out of memory"
    record = store.read(job.run.run_id) or {"run_id": job.run.run_id, "config": job.run.canonical()}
    try:
        store.write({**record, "label": job.run.label, "status": "failed", "error": error})
    except OSError as reason:
        print(f"gradreach: {store.folder(job.run.run_id)}: cannot be written ({reason})", file=sys.stderr)


def _done(store: RecordStore, job: Job, workplace: Workplace) -> bool:
    return store.status(job.run.run_id) in (SETTLED if workplace.retry == "failed" else (*SETTLED, "failed"))


@contextmanager
def stopping(store: RecordStore, run_ids: Sequence[str]) -> Iterator[None]:
    """On SIGTERM or Ctrl-C let the workers save what they have, then stop; on a second signal stop at once."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        restore()
        if number == signal.SIGTERM:  # Ctrl-C in a terminal has reached them already
            for worker in _workers(store, run_ids):
                os.kill(worker, signal.SIGTERM)
        _wait_while(lambda: bool(_workers(store, run_ids)))
        raise KeyboardInterrupt

    for number in previous:
        signal.signal(number, stop)
    try:
        yield
    finally:
        restore()


def _wait_while(going: Callable[[], bool]) -> None:
    """Wait for runs that have been asked to stop, as long as an epoch may take them."""
    deadline = time.monotonic() + GRACE_SECONDS + 5
    while going() and time.monotonic() < deadline:
        time.sleep(0.1)


def _workers(store: RecordStore, run_ids: Sequence[str]) -> set[int]:
    """Return the processes of this machine, beside this one, that do a run of the sweep."""
    workers = set()
    for run_id in run_ids:
        record = store.read(run_id)
        if record is not None and record["status"] == "running" and record["host"]["name"] == platform.node():
            workers.add(record["host"]["process"])
    return {worker for worker in workers if worker != os.getpid() and alive(worker)}
