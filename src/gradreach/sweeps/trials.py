"""The trials of a search, and their table."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gradreach.sweeps.plan import Job
from gradreach.sweeps.space import Value, written
from gradreach.system.files import write_text


@dataclass
class Trial:
    """A proposal and its result.

    - ``number``: from 0; people count from 1.
    - ``values``: by key.
    - ``job``: None if the values cannot work together.
    - ``state``: ``waiting``, ``interrupted``, or one of what a sampler is told: see ``Proposals.tell``.
    - ``reason``: why it has no score.
    - ``score``: on validation, of a finished run; ``scores``: of its epochs.
    """

    number: int
    values: dict[str, Value]
    job: Job | None = None
    state: str = "waiting"
    reason: str = ""
    score: float | None = None
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The id of its run; empty if it has none."""
        return "" if self.job is None else self.job.run_id

    def __str__(self) -> str:
        """Return its values much as they would stand on the command line; ``trials.csv`` has all digits."""
        short = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in self.values.items()}
        return " ".join(f"{key}={value}" for key, value in short.items())


def write_trials(folder: Path, trials: Sequence[Trial], metric: str) -> None:
    """Write ``trials.csv``: one row per trial, whatever its state. There must be at least one."""
    keys = list(trials[0].values)
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["trial", "state", f"val/{metric}", "reason", "run", *(key.lstrip("+") for key in keys)])
    for trial in trials:
        values = [written(trial.values[key]) for key in keys]
        rows.writerow([trial.number + 1, trial.state, trial.score, trial.reason, trial.run_id, *values])
    write_text(folder / "trials.csv", file.getvalue())
