"""A W&B run, started and finished: no questions, no output, no machine metrics."""

import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any

import wandb

from gradreach.config import TrackingSettings
from gradreach.errors import ConfigError, advise, first_line
from gradreach.tracking.server import mode_now

WAITING: dict[str, Any] = {"init_timeout": 30.0, "finish_timeout": 30.0}
"""How long the server is waited for, in seconds; ``WANDB_INIT_TIMEOUT`` and ``WANDB_FINISH_TIMEOUT`` say other numbers.

A run that a server does not take up in time is tracked offline; what it has not got when a run's end has waited is on
disk, for ``gradreach sync``.
"""


def begin(tracking: TrackingSettings, results_dir: Path, goes_on: bool = True, **what: Any) -> "wandb.Run":
    """Begin a W&B run that says nothing, asks nothing, and measures nothing of the machine.

    Args:
        tracking: where it is sent.
        results_dir: its files go below.
        goes_on: online, whether it adds to what the server has of this id, or takes its place.
        what: id, name and the like, for ``wandb.init``.

    Raises:
        RuntimeError: another W&B run is still open in this process.
    """
    if wandb.run is not None:
        raise RuntimeError(f"W&B run {wandb.run.id} is still open in this process; finish it first")
    results_dir.mkdir(parents=True, exist_ok=True)
    os.environ.pop("WANDB_SERVICE", None)  # a parent's: each process has wandb's process for itself
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        **{name: seconds for name, seconds in WAITING.items() if f"WANDB_{name.upper()}" not in os.environ},
        finish_timeout_raises=True,
        x_disable_stats=True,
        x_save_requirements=False,  # it would list what is installed for each run; config has versions
    )
    common: Any = {
        **what,
        "project": tracking.project,
        "entity": tracking.entity,
        "dir": results_dir.resolve(),
        "settings": settings,
    }
    try:
        if mode_now(tracking) == "online":
            with undone(results_dir / "wandb"):
                return wandb.init(mode="online", resume="allow" if goes_on else None, **common)
    except (ConfigError, wandb.errors.Error) as error:  # the server was well when the sweep began
        advise(f"{first_line(error)}: tracked offline; 'gradreach sync' sends it later")
    return wandb.init(mode="offline", **common)


@contextmanager
def undone(folder: Path) -> Iterator[None]:
    """Clean up a W&B run that could not be started: its files and wandb's process.

    The process would still hold its id, and what is told of a second run of that id would go to the first, and be lost.
    """
    before = set(folder.glob("run-*"))
    try:
        yield
    except BaseException:
        with suppress(Exception):
            wandb.teardown(1)
        for left in set(folder.glob("run-*")) - before:
            shutil.rmtree(left, ignore_errors=True)
        raise


def end(run: "wandb.Run", exit_code: int) -> None:
    """Finish a W&B run, and note it as sent where the server has got all of it; where all went well no logs are kept.

    Raises:
        TimeoutError: the server has not taken all in time; ``gradreach sync`` sends it later.
    """
    try:
        with redirect_stderr(io.StringIO()):  # wandb would say in two lines what we say in one
            run.finish(exit_code)
    except TimeoutError:
        raise TimeoutError("the server has not received everything; send the rest with 'gradreach sync'") from None
    if went_well(Path(run.settings.log_internal)):
        if not run.offline:
            Path(f"{run.settings.sync_file}.synced").touch()  # as ``wandb sync`` does
        _tidy(Path(run.settings.sync_file).parent)


def _tidy(folder: Path) -> None:
    """Remove from a run's folder what only tells how W&B worked: on a cluster the number of files is often limited."""
    for name in ("logs", "tmp"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for link in folder.parent.glob("debug*.log"):
        if not link.exists():
            link.unlink(missing_ok=True)


def went_well(log: Path) -> bool:
    """Return whether the log of wandb's process has no error; one that cannot be read is not proof."""
    try:
        levels = [json.loads(line)["level"] for line in log.read_text("utf-8").splitlines()]
        return bool(levels) and not any(level.startswith("ERROR") for level in levels)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
