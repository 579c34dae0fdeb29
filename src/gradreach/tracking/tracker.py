"""Trackers: receive a run's reports, for W&B or for nobody."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import pandas as pd
from pydantic import ValidationError

from gradreach.config import RunEnvironment
from gradreach.errors import first_line, report
from gradreach.system.garbage import importing


class Tracker(Protocol):
    """Listens to one run.

    - ``url``: the page that shows it; None where there is none.
    """

    url: str | None

    def log(self, row: Mapping[str, Any]) -> None:
        """Take the figures of a moment; ``epoch`` and ``step`` among them say when."""

    def summarize(self, result: Mapping[str, Any], profiles: list[pd.DataFrame]) -> None:
        """Take what the record will say of the result, ``metrics`` among it, and the gradient profiles."""


class NullTracker:
    """Listens to nothing."""

    url: str | None = None

    def log(self, row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def summarize(self, result: Mapping[str, Any], profiles: list[pd.DataFrame]) -> None:
        """Do nothing."""


class Listener(Tracker, Protocol):
    """A tracker that has to be closed."""

    def close(self, exit_code: int) -> None:
        """End; the exit code says whether the run raised."""

    def abandon(self) -> None:
        """Clean up after a failure; must not raise."""


class FailSafeTracker:
    """Forwards to another tracker until that fails; then says so in one line, and the run continues without tracking.

    A run's record never depends on who listens.

    - ``trouble``: what that failed with; None where it listens.
    """

    url: str | None = None
    trouble: str | None = None

    def __init__(self, make: Callable[[], Listener]) -> None:
        self.listener: Listener | None = None
        with self._surviving():
            self.listener = make()
            self.url = self.listener.url

    def log(self, row: Mapping[str, Any]) -> None:
        """Pass on."""
        with self._surviving():
            if self.listener is not None:
                self.listener.log(row)

    def summarize(self, result: Mapping[str, Any], profiles: list[pd.DataFrame]) -> None:
        """Pass on."""
        with self._surviving():
            if self.listener is not None:
                self.listener.summarize(result, profiles)

    def close(self, exit_code: int) -> None:
        """Pass on."""
        with self._surviving():
            if self.listener is not None:
                self.listener.close(exit_code)

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.trouble = reason(error)
            report(f"tracking stops; the run continues and is recorded: {self.trouble}")
            if self.listener is not None:
                self.listener.abandon()
            self.listener = None


def reason(error: Exception) -> str:
    """Say in one line what failed: of a setting that wandb refuses, which one and why."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return first_line(error)


@contextmanager
def track(environment: RunEnvironment, record: dict[str, Any]) -> Iterator[Tracker]:
    """Open the tracker that the configuration names; it is closed whatever happens, and no failure of it gets out.

    The record is told where the run is shown (``page``), and why it is not tracked to its end (``untracked``).
    """
    if environment.tracking.mode == "off":
        yield NullTracker()
        return

    def open_run() -> Listener:
        with importing():  # wandb imports half of itself when its first run begins
            from gradreach.tracking.wandb_run import WandbRun

            place = {"device": environment.device, "threads": environment.threads}
            return WandbRun(record, environment.tracking, environment.results_dir, place)

    tracker, exit_code = FailSafeTracker(open_run), 1
    if tracker.url is not None:
        record["page"] = tracker.url
    try:
        yield tracker
        exit_code = 0
    finally:
        tracker.close(exit_code)
        if tracker.trouble is not None:
            record["untracked"] = tracker.trouble
