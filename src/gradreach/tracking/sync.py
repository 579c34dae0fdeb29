"""Sends W&B what was tracked offline, or what a server lacks."""

import io
import os
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import filelock
from rich.console import Console

from gradreach.config import TrackingSettings
from gradreach.display import make_console, progress_bar
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.committed import read_runs, run_table
from gradreach.tracking.on_server import known_there, missing_lines, own_place
from gradreach.tracking.replay import lines_told, rebuild
from gradreach.tracking.server import Unreachable, check_server, unreachable, use_server
from gradreach.tracking.wandb_files import marker, run_id_note, summary_id

POLL_SECONDS = 0.5
QUIET_SECONDS = 10.0
"""When nothing has arrived for so long, we ask whether the server is still there."""
LOST_SECONDS = 300.0
"""When nothing has arrived for so long and the server is gone, we give up; wandb itself would try for hours."""


class UnsentRun:
    """The W&B files of one run that wait to be sent.

    Every file of a run tells it from its beginning, so the newest says all: it is sent, and the older ones are noted
    as sent with it.

    - ``run_id``: that of the record, which below an agent of a W&B sweep is not W&B's.
    """

    def __init__(self, wandb_id: str, files: Sequence[Path]) -> None:
        self.wandb_id = wandb_id
        self.newest, self.older = files[-1], files[:-1]
        note = run_id_note(self.newest)
        self.run_id = note.read_text("utf-8") if note.exists() else wandb_id

    @property
    def sent(self) -> bool:
        """Whether the newest file has been sent; ``wandb sync`` leaves this mark when it has got it all over."""
        return marker(self.newest).exists()

    def close(self) -> None:
        """Note that the older files need not be sent any more."""
        for file in self.older:
            marker(file).touch()


def waiting(results_dir: Path, wanted: Collection[str] | None = None) -> list[UnsentRun]:
    """Return what has not been sent, the oldest first; runs that somebody is doing now are left alone.

    Args:
        results_dir: the folder of results.
        wanted: only runs of these ids; None: all.
    """
    store = RecordStore(results_dir / "runs")
    files: dict[str, list[Path]] = {}
    for file in sorted((results_dir / "wandb").glob("*run-*/run-*.wandb"), key=_begun):
        files.setdefault(file.stem.removeprefix("run-"), []).append(file)
    found = [UnsentRun(wandb_id, paths) for wandb_id, paths in files.items()]
    found = [one for one in found if wanted is None or one.run_id in wanted]
    return [one for one in found if not one.sent and not store.claimed(one.run_id)]


def _begun(file: Path) -> str:
    """Return when a W&B file was begun, from its folder: ``offline-run-<date>_<time>-<run id>``."""
    return file.parent.name.removeprefix("offline-").removeprefix("run-")


def runs_of(results_dir: Path, what: Sequence[str]) -> set[str] | None:
    """Return the ids of the runs that are meant: of experiments, or themselves; None, all, where nothing is.

    Raises:
        ConfigError: there is neither such an experiment, nor such a run.
    """
    store, wanted = RecordStore(results_dir / "runs"), set[str]()
    for name in what:
        table = run_table(results_dir, name)
        if table.exists():
            wanted |= {*read_runs(table)["run_id"], summary_id(name)}
        elif store.stamp(name):
            wanted.add(name)
        else:
            hint = f"make some with python run.py -m experiment={name}"
            raise ConfigError(
                name, allowed=f"{results_dir} has no runs of this experiment and no run with this id", hint=hint
            )
    return wanted if what else None


def sync(
    results_dir: Path,
    what: Sequence[str],
    parallel: int,
    base_url: str | None,
    from_records: TrackingSettings | None = None,
) -> bool:
    """Send all waiting runs, and report what was sent, according to the server.

    Killed and started again it goes on with what is left: a run counts as sent once the server has got all of it, and
    what is sent twice until then takes the place of what was there.

    Args:
        results_dir: the folder of results.
        what: only these experiments, or runs; empty: all.
        parallel: how many runs at a time.
        base_url: the server; None: the one of wandb's own environment.
        from_records: where runs go that are rebuilt from their records, as far as the server has not got them whole;
            None: what W&B's own files hold is sent.

    Returns:
        Whether nothing is left.

    Raises:
        ConfigError: the server does not answer or refuses the key, or another sync is at work.
    """
    console, results_dir = make_console(), results_dir.resolve()
    wanted, store = runs_of(results_dir, what), RecordStore(results_dir / "runs")
    os.environ.pop("WANDB_SERVICE", None)  # a worker of our own, which ends with us
    if from_records is not None:
        (results_dir / "wandb").mkdir(parents=True, exist_ok=True)
    with _alone(results_dir):
        left = waiting(results_dir, wanted)
        if not left and from_records is None:
            console.print("nothing to send: everything tracked here has been sent")
            return True
        try:
            with _own_log(results_dir):  # wandb reads it when it is first used
                url = use_server(base_url)
                check_server(url, "gradreach sync")
        except Unreachable as error:
            raise replace(error, hint=f"{len(left)} runs are waiting; try again later") from None
        if from_records is not None:
            rebuilt = lacking_there(store, wanted, from_records)
            console.print(f"{len(rebuilt)} runs are rebuilt from their records")
            rebuild(rebuilt, results_dir, from_records)
            left = waiting(results_dir, {str(record["run_id"]) for record in rebuilt})
            if not left:
                console.print("nothing to send: the server has every recorded run")
                return True
        with _own_log(results_dir):
            said = _send(left, url, parallel, console)
        lacks = _asked(left, said, store)
        sent = [one for one in left if one.sent]
        for one in sent:
            one.close()
    for name in names(results_dir, sent):
        console.print(f"  sent  {name}", markup=False)
    console.print(f"[bold]{len(sent)} of {len(left)} runs sent[/bold] to {url}")
    for line in [*lacks, *(said.splitlines()[-3:] if len(sent) + len(lacks) < len(left) else [])]:
        console.print(f"  {line}", markup=False)
    if len(sent) < len(left):
        console.print("re-run the same command to send the rest")
    return len(sent) == len(left)


def lacking_there(
    store: RecordStore, wanted: Collection[str] | None, tracking: TrackingSettings
) -> list[dict[str, Any]]:
    """Return the records of those runs, not under way, that a server has not got whole, with the id it has them by."""
    ids = [run_id for run_id in store.run_ids() if wanted is None or run_id in wanted]
    records = {
        run_id: record
        for run_id in ids
        if (record := store.read(run_id)) is not None and "label" in record and not store.claimed(run_id)
    }
    there = known_there(own_place(tracking.project, tracking.entity), records) if records else {}
    lacking = []
    for run_id, record in records.items():
        wandb_id, lines = there.get(run_id, (run_id, -1))
        if lines < lines_told(record, store.read_history(run_id)):
            lacking.append({**record, "wandb_id": wandb_id})
    return lacking


def _asked(runs: Sequence[UnsentRun], said: str, store: RecordStore) -> list[str]:
    """Ask the server for what wandb says that it has sent; of what it has not got the mark goes. Return what to say."""
    wanted = {}
    for one in runs:
        if one.sent:
            record = store.read(one.run_id)
            wanted[one.wandb_id] = 0 if record is None else lines_told(record, store.read_history(one.run_id))
    try:
        lacking = missing_lines(said, wanted)
    except ConfigError as error:
        return [f"{error}: what was sent is known only from wandb's own output"]
    for one in runs:
        if one.wandb_id in lacking:
            marker(one.newest).unlink(missing_ok=True)
    rebuilds = "gradreach sync --from-records rebuilds it"
    return [
        f"{one.run_id}: the server has {lacking[one.wandb_id]} of {wanted[one.wandb_id]} lines of history; {rebuilds}"
        for one in runs
        if one.wandb_id in lacking
    ]


def names(results_dir: Path, runs: Iterable[UnsentRun]) -> Iterator[str]:
    """Say which runs these are, as people know them."""
    store = RecordStore(results_dir / "runs")
    for one in runs:
        record = store.read(one.run_id) or {}
        label = f"{record['label']} · seed {record['config']['seed']}" if "label" in record else ""
        yield f"{one.run_id}  {label}".rstrip()


@contextmanager
def _own_log(results_dir: Path) -> Iterator[None]:
    """Let wandb keep its log of what is sent beside what is sent, not in the folder from which we are called."""
    before = os.environ.get("WANDB_DIR")
    os.environ["WANDB_DIR"] = str(results_dir)
    try:
        yield
    finally:
        os.environ.pop("WANDB_DIR")
        if before is not None:
            os.environ["WANDB_DIR"] = before


@contextmanager
def _alone(results_dir: Path) -> Iterator[None]:
    folder = results_dir / "wandb"
    if not folder.is_dir():
        raise ConfigError(folder, allowed="nothing was tracked here", hint="make runs with python run.py")
    try:
        with filelock.FileLock(folder / ".sync.lock", timeout=0):
            yield
    except filelock.Timeout:
        busy = "another gradreach sync is sending from this folder"
        raise ConfigError(folder, allowed=busy, hint="wait until it ends") from None


def _send(left: Sequence[UnsentRun], url: str, parallel: int, console: Console) -> str:
    """Let wandb send, and show how far it is; return what it said."""
    from wandb.cli.cli import cli

    bar = progress_bar(console)
    task = bar.add_task("sending", total=len(left))
    closing = threading.Event()

    def watch() -> None:
        sent, since = 0, time.monotonic()
        while not closing.wait(POLL_SECONDS):
            now = sum(one.sent for one in left)
            bar.update(task, completed=now)
            quiet = time.monotonic() - since
            if now > sent or (QUIET_SECONDS < quiet < LOST_SECONDS and unreachable(url) is None):
                sent, since = now, time.monotonic()
            elif quiet > LOST_SECONDS:
                os.kill(os.getpid(), signal.SIGINT)
                return

    # In this process: wandb's own worker ends with it, so that a sync that is killed sends nothing behind our back.
    said = io.StringIO()
    watcher = threading.Thread(target=watch, daemon=True)
    words = ["sync", "--include-online", "-n", str(parallel), *(str(one.newest) for one in left)]
    with bar, redirect_stderr(said):
        watcher.start()
        try:
            cli.main(words, standalone_mode=False)
        except (click.ClickException, click.Abort, KeyboardInterrupt, SystemExit) as end:
            said.write(f"{type(end).__name__}: {end}\n")
        closing.set()
        watcher.join()
        bar.update(task, completed=sum(one.sent for one in left))
    return said.getvalue()
