"""A sweep: finished runs are not repeated, failed and killed ones are retried a few times, and all are reported."""

import os
import platform
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from omegaconf import DictConfig

from gradreach.compose import raised_or_returned
from gradreach.config import RunEnvironment
from gradreach.display import SweepDisplay, counted
from gradreach.errors import DISK, ConfigError, explain, no_room
from gradreach.launchers.slurm import Cancelled, jobs_line
from gradreach.records import SETTLED, RecordStore, left_alone
from gradreach.run_table.committed import read_columns, run_table
from gradreach.run_table.join import done_elsewhere
from gradreach.sweeps.means import Score, means_table
from gradreach.sweeps.plan import Job, check_devices, labels, plan
from gradreach.sweeps.summarize import summarize_sweep
from gradreach.system.files import alive
from gradreach.system.interruption import GRACE_SECONDS, STOPPING, exit_code, hung_up, with_terminal
from gradreach.system.worker import become_driver
from gradreach.tracking import mode_now
from gradreach.tracking.summary_run import is_summarized

STOPPED = "stopped: finished runs are kept; re-run the same command to resume"
ATTEMPTS = 3
"""How often a run may end without a result before it counts as the cause; the last time it runs alone."""
KILLED = f"its worker ended {ATTEMPTS} times without a result: killed from outside, or out of memory"


def sweep(
    jobs: Sequence[Sequence[str]],
    compose: Callable[[Sequence[str]], DictConfig],
    launch: Callable[[Sequence[Sequence[str]]], Any],
    here: bool = False,
    debugging: bool = False,
) -> None:
    """Execute the rest of a sweep, show its progress, and exit with code 1 if a run is unfinished at the end.

    Args:
        jobs: the overrides of each.
        compose: makes a configuration of overrides.
        launch: starts runs, by their overrides, and returns when the last has ended.
        here: whether it does on this machine, which then must have their device.
        debugging: whether it does in this process, where a debugger may have the terminal: nothing is drawn on it.

    Raises:
        ConfigError: a setting is invalid; nothing has been started or written then.
    """
    planned = plan(jobs, compose)
    environment = planned[0].environment
    store = RecordStore(environment.results_dir / "runs")
    elsewhere = {} if environment.force else _done_elsewhere(store, planned)
    done = {job.run_id for job in planned if is_done(store, job, elsewhere)}  # once: it reads all their files
    left = [job for job in planned if environment.force or job.run_id not in done]
    if here:
        check_devices(left)
    store.check_writable()
    mode_now(environment.tracking)
    left.sort(key=lambda job: -job.cost)  # the longest first, so that all workers end at about the same time
    runs = [job.run for job in planned]
    if environment.experiment is not None:
        from gradreach.analysis.study.planned_rule import rule_to_store
        from gradreach.run_table.committed import write_plan

        judged = environment.published is None  # otherwise it belongs to a paper, not to a study of the same name
        write_plan(environment, runs, rule_to_store(environment.experiment, runs, done) if judged else None)
    code, unrecorded = 0, {}
    to_do = [job.run for job in left]
    run_ids, driver = [run.run_id for run in to_do], become_driver()
    with SweepDisplay(store, len(jobs), runs, to_do, labels(planned), not debugging) as display:
        if committed := elsewhere.keys() - set(run_ids):
            display.note(f"  {len(committed)} of them are committed, made by this code; force=true re-runs them here")
        try:
            with stopping(store, run_ids, driver, here):
                unrecorded = do_all(left, store, launch, display.note)
        except KeyboardInterrupt as asked:
            code = exit_code(asked)
            display.note(STOPPED)
    states = Counter(_state(store, run.run_id, elsewhere) for run in runs)
    means = means_table(planned, scores_of(display.records, elsewhere, environment))
    display.summary(states, environment, unrecorded, means)
    if code:
        sys.exit(code)
    if left or (len(elsewhere) < len(planned) and not is_summarized(environment)):
        summarize_sweep(environment)
    if set(states) - set(SETTLED):
        sys.exit(1)


def do_all(
    left: Sequence[Job],
    store: RecordStore,
    launch: Callable[..., Any],
    note: Callable[[str], None],
    is_over: Callable[[str], bool] | None = None,
) -> dict[str, str]:
    """Launch until every run has come to an end.

    A worker that is killed takes a whole launcher with it, so what had not ended is launched again. A run whose workers
    are killed repeatedly is a suspect: it is launched alone when the others are done, so that no innocent run fails
    with it. A run that failed on a full disk, or whose job was cancelled, is not retried.

    Args:
        left: the runs.
        store: where they write.
        launch: starts some, by their overrides.
        note: called with the launcher's exceptions.
        is_over: whether a run that has written its record has come to an end; None: where it has settled, or failed.

    Returns:
        Why runs have no final record.

    Raises:
        KeyboardInterrupt: jobs were cancelled, and all others are finished.
    """
    ended = is_over or (lambda run_id: store.status(run_id) in (*SETTLED, "failed"))
    waiting = {job.run_id: job for job in left}
    before = {run_id: store.stamp(run_id) for run_id in waiting}

    def is_done_with(run_id: str) -> bool:
        return store.stamp(run_id) != before[run_id] and ended(run_id)

    deaths: Counter[str] = Counter()
    errors: dict[str, str] = {}
    unrecorded: dict[str, str] = {}
    cancelled: dict[str, str] = {}
    in_vain = 0
    while True:
        for run_id in filter(is_done_with, [*waiting]):
            del waiting[run_id]
        if not waiting or in_vain == ATTEMPTS:
            break
        free = [run_id for run_id in waiting if not store.claimed(run_id)]
        if not free:
            time.sleep(1)  # another sweep is at all of them
            continue
        unsuspected = [run_id for run_id in free if deaths[run_id] < ATTEMPTS - 1]
        ready = {run_id: store.stamp(run_id) for run_id in unsuspected or free[:1]}
        raised, reason = _launch(launch, {run_id: waiting[run_id] for run_id in ready})
        if reason is not None:
            note(f"launcher: {reason}")
        errors.update({run_id: _line(error) for run_id, error in raised.items()})
        for run_id, error in raised.items():
            if isinstance(error, OSError) and error.errno in DISK:
                unrecorded[run_id] = no_room(error)
                del waiting[run_id]
            elif isinstance(error, Cancelled) and not is_done_with(run_id):
                cancelled[run_id] = str(error)
                del waiting[run_id]
        started = [run_id for run_id, stamp in ready.items() if store.stamp(run_id) != stamp]
        in_vain = 0 if started else in_vain + 1
        for run_id in waiting.keys() & started:
            if store.died(run_id):
                deaths[run_id] += 1
            if deaths[run_id] == ATTEMPTS:
                unrecorded |= _give_up(store, waiting.pop(run_id), errors.get(run_id, KILLED))
    if cancelled:
        note(f"cancelled and not resubmitted: {counted(len(cancelled))}, {jobs_line(cancelled.values())}")
        raise KeyboardInterrupt
    return unrecorded | {run_id: errors.get(run_id, reason or "the launcher did not start it") for run_id in waiting}


def _launch(launch: Callable[..., Any], ready: Mapping[str, Job]) -> tuple[dict[str, Exception], str | None]:
    """Launch some runs, and return what each raised outside its own record, and what the launcher itself raised."""
    try:
        # auto is resolved here, once: a worker without numba must not turn it into another run
        returned = launch([[*job.overrides, f"kernels={job.run.trainer.kernels}"] for job in ready.values()])
    except ConfigError:
        raise
    except Exception as error:
        return {}, _line(error)
    ends = {run_id: raised_or_returned(each) for run_id, each in zip(ready, returned, strict=False)}
    return {run_id: end for run_id, end in ends.items() if isinstance(end, Exception)}, None


def _line(error: Exception) -> str:
    return str(explain(error) or "") or f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"


def _give_up(store: RecordStore, job: Job, error: str) -> dict[str, str]:
    """Record that a run kills its worker; return an error if that could not be recorded."""
    record = store.read(job.run_id) or {"run_id": job.run_id, "config": job.run.canonical()}
    try:
        store.write({**record, "label": job.run.label, "status": "failed", "error": error})
    except OSError:
        return {job.run_id: error}
    return {}


def _done_elsewhere(store: RecordStore, planned: Sequence[Job]) -> dict[str, str]:
    """Return the status of runs that are committed, made by the present code, and have no record here."""
    environment = planned[0].environment
    known = done_elsewhere(environment.results_dir, environment.experiment)
    run_ids = known.keys() & {job.run_id for job in planned}
    return {run_id: known[run_id] for run_id in run_ids if store.read(run_id) is None}


def _state(store: RecordStore, run_id: str, elsewhere: Mapping[str, str]) -> str:
    status = store.status(run_id)
    return elsewhere.get(run_id, status) if status == "missing" else status


def scores_of(
    records: Mapping[str, Mapping[str, Any]], elsewhere: Mapping[str, str], environment: RunEnvironment
) -> dict[str, Score]:
    """Return the test score of each run that has one: by its record, or where it has none by what is committed."""
    found: dict[str, Score] = {}
    if elsewhere and environment.experiment is not None:
        names = {f"test/{metric}": metric for metric in ("accuracy", "mse")}
        table = read_columns(run_table(environment.results_dir, environment.experiment), ["run_id", *names])
        known = table[table["run_id"].isin(list(elsewhere))].set_index("run_id")
        found = {str(i): (names[name], value) for name in names for i, value in known[name].dropna().items()}
    for run_id, record in records.items():
        if record.get("status") == "finished":
            metric = record.get("metric", "accuracy")
            found[run_id] = metric, record["metrics"][f"test/{metric}"]
    return found


def is_done(store: RecordStore, job: Job, elsewhere: Mapping[str, str]) -> bool:
    """Return whether a run need not be done: its record is intact, or it is committed (``elsewhere``: its status)."""
    run_id, enough = job.run_id, left_alone(job.environment.retry)
    return elsewhere.get(run_id) in enough or (store.status(run_id) in enough and store.intact(run_id))


@contextmanager
def stopping(store: RecordStore, run_ids: Sequence[str], driver: str, here: bool) -> Iterator[None]:
    """On SIGTERM or Ctrl-C let the workers save what they have, then stop; on a second signal stop at once.

    Raises KeyboardInterrupt, with the signal, when they have stopped.

    Args:
        store: where they write.
        run_ids: what they do; looked at when the signal comes.
        driver: the name by which they know the sweep that started them; others are left alone.
        here: whether they are on this machine, where the end of the terminal (SIGHUP) ends them too.
    """
    previous: dict[int, Any] = {number: signal.getsignal(number) for number in (with_terminal() if here else STOPPING)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def stop(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            previous[number] = hung_up()
        restore()
        if number != signal.SIGINT:  # Ctrl-C in a terminal has reached them already
            for worker in _workers(store, run_ids, driver):
                with suppress(ProcessLookupError):
                    os.kill(worker, number)
        _wait_while(lambda: bool(_workers(store, run_ids, driver)))
        raise KeyboardInterrupt(number)

    for each in previous:
        signal.signal(each, stop)
    try:
        yield
    except KeyboardInterrupt:
        restore()
        _wait_while(lambda: _unfinished(store, run_ids, driver))
        raise
    finally:
        restore()


def _wait_while(going: Callable[[], bool]) -> None:
    """Wait for runs that have been asked to stop, as long as an epoch may take."""
    deadline = time.monotonic() + GRACE_SECONDS + 5
    while going() and time.monotonic() < deadline:
        time.sleep(0.1)


def _running(store: RecordStore, run_ids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Go through where runs are going on: a record that says so is believed while somebody holds its claim."""
    for run_id in run_ids:
        record = store.read(run_id)
        if record is not None and store.status_of(record) == "running":
            yield record["host"]


def _workers(store: RecordStore, run_ids: Sequence[str], driver: str) -> set[int]:
    """Return other processes of this machine that were started by this sweep and execute one of its runs."""
    here = (host for host in _running(store, run_ids) if host["name"] == platform.node())
    workers = {host["process"] for host in here if host.get("driver") == driver}
    return {worker for worker in workers if worker != os.getpid() and alive(worker)}


def _unfinished(store: RecordStore, run_ids: Sequence[str], driver: str) -> bool:
    """Return whether a run goes on that is not known to be another sweep's: jobs of a cluster may know of none."""
    return any(host.get("driver") in (None, driver) for host in _running(store, run_ids))
