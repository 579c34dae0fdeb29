"""A run in progress: its configuration, its results and cost so far, and its listeners."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.config import RunConfig, RunEnvironment
from gradreach.diagnostics import Instrument
from gradreach.records import RecordStore
from gradreach.system.interruption import Interruption

Row = dict[str, Any]
"""The metrics at one moment, including ``epoch`` and ``step``."""
Tell = Callable[[Row], None]
Watch = Callable[[int, int, int, int], None]
"""Called within an epoch with the finished epochs, batches and number of batches of this one, and total steps."""
AT_LENGTH = ("reach", "half_life", "r2")
"""The profile metrics that are reported for every test length."""


def sign(metric: str) -> int:
    """Return the sign that makes a higher score better."""
    return -1 if metric == "mse" else 1


def fell_behind(scores: Mapping[int, float], bounds: Sequence[float | None], metric: str) -> int | None:
    """Return the epoch after which the best validation score so far was worse than its bound; None if there is none.

    >>> fell_behind({1: 0.2, 2: 0.4, 3: 0.3}, [None, 0.3, 0.5], "accuracy")
    3

    Args:
        scores: by epoch, from 1.
        bounds: of each epoch; None where it has none.
        metric: of the scores.
    """
    best: float | None = None
    for epoch in sorted(scores):
        score = sign(metric) * scores[epoch]
        best = score if best is None else max(best, score)
        bound = bounds[epoch - 1] if epoch <= len(bounds) else None
        if bound is not None and best < sign(metric) * bound:
            return epoch
    return None


class Stopwatch:
    """Counts seconds from its start, and adds those of earlier parts of the run."""

    def __init__(self) -> None:
        self.before = 0.0
        self.since: float | None = None

    def start(self) -> None:
        """Start counting."""
        self.since = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return self.before + (0.0 if self.since is None else time.perf_counter() - self.since)


@dataclass
class Run:
    """Passes from the runner through assembly and training to the record, collecting what is known about the run.

    - ``config``, ``environment``: what to run; where and how.
    - ``interruption``: whether the process was asked to stop.
    - ``listeners``: called with each row of figures.
    - ``watch``: called within epochs with the progress of training; None if unused.
    - ``instrument``: measures the model; None before there is one.
    - ``by_length``: those that measure it at test lengths, at the start and at the end.
    - ``record``: the content of the future record.
    - ``history``: a row for each epoch, and one wherever something was measured within.
    - ``tables``: what was tabulated, by name.
    - ``metrics``: the figures of the whole run.
    - ``warnings``: each warning once.
    - ``stopped``: why training ended before its epochs were over.
    - ``started``: when the run began, before any interruption.
    - ``whole``, ``training``: since when the run, and its training, go on.
    - ``measuring``: seconds spent on diagnostics within training; ``diagnosing``: on diagnostics in total.
    """

    config: RunConfig
    environment: RunEnvironment
    interruption: Interruption = field(default_factory=Interruption)
    listeners: list[Tell] = field(default_factory=list)
    watch: Watch | None = None
    instrument: Instrument | None = None
    by_length: dict[int, Instrument] = field(default_factory=dict)
    record: Row = field(default_factory=dict)
    history: list[Row] = field(default_factory=list)
    tables: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    stopped: str | None = None
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    whole: Stopwatch = field(default_factory=Stopwatch)
    training: Stopwatch = field(default_factory=Stopwatch)
    measuring: float = 0.0
    diagnosing: float = 0.0

    def __post_init__(self) -> None:
        self.whole.start()

    @property
    def store(self) -> RecordStore:
        """The store of its record."""
        return RecordStore(self.environment.results_dir / "runs")

    @property
    def checkpoint(self) -> Path:
        """The path of its checkpoint."""
        return self.store.checkpoint(self.config.run_id)

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return max((int(row["epoch"]) for row in self.history), default=0)

    def tell(self, row: Row) -> None:
        """Add a row to the history, and send it to all listeners."""
        self.history.append(row)
        self._tell(row)

    def _tell(self, row: Row) -> None:
        for listener in self.listeners:
            listener(row)

    def measure(self, stage: str, passed: tuple[float, int] | None = None) -> dict[str, float]:
        """Measure the quantities that are due.

        Args:
            stage: the name of this moment in the tables: ``start``, ``epoch 3``, ``end``.
            passed: within training, how many epochs and how many steps.

        Returns:
            ``gradient/*``; what is measured outside training is among the run's metrics too.

        Raises:
            Interrupted: the process was asked to stop, and test lengths are still to be measured.
        """
        if self.instrument is None:
            return {}
        begun = time.perf_counter()
        before = self.instrument.seconds
        measured = self.instrument.measure(stage, passed)
        self.diagnosing += self.instrument.seconds - before
        if passed is None:
            self.metrics.update({f"gradient/{stage}/{name}": value for name, value in measured.items()})
            for length, instrument in self.by_length.items():
                self.interruption.at_epoch_end()
                self._measure_at(length, instrument, stage)
        else:
            self.measuring += time.perf_counter() - begun
        return {f"gradient/{name}": value for name, value in measured.items()}

    def _measure_at(self, length: int, instrument: Instrument, stage: str) -> None:
        """Measure at a test length: a few metrics, and a profile in the table ``profile_by_length``."""
        before = instrument.seconds
        measured = instrument.measure(stage)
        self.diagnosing += instrument.seconds - before
        for name, value in measured.items():
            if name.rpartition(".")[2] in AT_LENGTH:
                self.metrics[f"gradient/{stage}/{name}/{length}"] = value
        profile = instrument.tables["profile"][-1].assign(test_length=length)
        self.tables.setdefault("profile_by_length", []).append(profile)

    def spent(self) -> Row:
        """Return the cost of the run, summed over all parts of an interrupted one."""
        return {
            "started": self.started,
            "seconds": round(self.whole.seconds, 3),
            "diagnostics_seconds": round(self.diagnosing, 3),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs, as plain values."""
        return {
            "history": self.history,
            "tables": {name: [frame.to_dict("list") for frame in frames] for name, frames in self.tables.items()},
            "warnings": self.warnings,
            "stopped": self.stopped,
            "started": self.started,
            "seconds": self.whole.seconds,
            "training_seconds": self.training.seconds,
            "measuring": self.measuring,
            "diagnosing": self.diagnosing,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this state; earlier rows are sent to the listeners again."""
        self.history, self.stopped, self.started = state["history"], state["stopped"], state["started"]
        self.warnings[:] = dict.fromkeys([*state.get("warnings", ()), *self.warnings])
        self.whole.before, self.training.before = state["seconds"], state["training_seconds"]
        self.measuring, self.diagnosing = state["measuring"], state["diagnosing"]
        self.tables.clear()  # in place: who measures adds to the same
        self.tables.update({name: [pd.DataFrame(f) for f in frames] for name, frames in state["tables"].items()})
        for row in self.history:
            self._tell(row)
