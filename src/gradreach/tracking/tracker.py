"""What a run tells while it goes; W&B is one listener, nobody the other."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import pandas as pd

from gradreach.config import RunConfig, Workplace


class Tracker(Protocol):
    """Listens to one run."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Take the figures of a moment; ``epoch`` among them says when."""

    def summarize(self, metrics: Mapping[str, float], profiles: list[pd.DataFrame]) -> None:
        """Take the final figures and the gradient profiles."""


class Silence:
    """Listens to nothing."""

    def log(self, row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def summarize(self, metrics: Mapping[str, float], profiles: list[pd.DataFrame]) -> None:
        """Do nothing."""


@contextmanager
def track(run: RunConfig, workplace: Workplace, record: Mapping[str, Any]) -> Iterator[Tracker]:
    """Open the tracker that the configuration names; it is closed whatever happens."""
    if workplace.tracking.mode == "off":
        yield Silence()
        return
    from gradreach.tracking.wandb import WandbRun

    with WandbRun(run, workplace, record) as tracker:
        yield tracker
