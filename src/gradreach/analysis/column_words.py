"""Names, units, digits and the better direction of the run table's columns."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from gradreach.run_table.lengths import AT_LENGTH

Best = Literal["max", "min"]


@dataclass(frozen=True)
class Column:
    """How a column of the run table is shown to people.

    - ``words``: its name for people.
    - ``unit``: of the shown values; columns in ``%`` and ``points`` hold fractions and are shown times 100.
    - ``digits``: after the decimal point.
    - ``best``: which end is better; None if neither is.
    - ``needs``: another column and the minimum it must have for the number to be meaningful.
    - ``bounds``: bounds of the shown values; None: those of the unit.
    - ``compute``: computes the column from the run table; None if the run table has it.
    """

    words: str
    unit: str = ""
    digits: int = 3
    best: Best | None = None
    needs: tuple[str, float] | None = None
    compute: Callable[[pd.DataFrame], Any] | None = None
    bounds: tuple[float, float] | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """Bounds of the shown values."""
        if self.bounds is not None:
            return self.bounds
        if self.unit in ("%", "points"):
            return (0.0 if self.unit == "%" else -100.0), 100.0
        return (0.0 if self.best == "min" else -math.inf), math.inf

    @property
    def worst(self) -> float:
        """The value that a diverged run counts as; NaN if neither end is bad."""
        if self.best is None:
            return math.nan
        return self.limits[0] if self.best == "max" else self.limits[1]

    @property
    def scale(self) -> float:
        """The factor by which values are multiplied when they are shown."""
        return 100.0 if self.unit in ("%", "points") else 1.0

    @property
    def label(self) -> str:
        """The words with the unit, as on an axis."""
        return f"{self.words} ({self.unit})" if self.unit else self.words


def column(
    compute: Callable[[pd.DataFrame], Any],
    words: str = "",
    unit: str = "",
    digits: int | None = None,
    best: Best | None = None,
) -> Column:
    """Declare a column of a study's own, for ``derive``.

    Args:
        compute: returns the column, given the run table with the columns derived before it.
        words: its name for people; by default the column's name.
        unit: ``%`` or ``points`` for fractions, which are then shown times 100; otherwise any, or none.
        digits: after the decimal point; by default one for fractions, otherwise three.
        best: which end is better.

    >>> gap = column(lambda runs: runs["train/accuracy"] - runs["test/accuracy"], "training − test accuracy", "points")
    >>> gap.label, gap.scale, gap.digits
    ('training − test accuracy (points)', 100.0, 1)
    """
    return Column(words, unit, (1 if unit in ("%", "points") else 3) if digits is None else digits, best, None, compute)


SPLITS = {"test": "test", "val": "validation", "train": "training"}
METRICS: dict[str, tuple[str, str, int, Best]] = {
    "accuracy": ("accuracy", "%", 1, "max"),
    "mse": ("mean squared error", "", 4, "min"),
    "loss": ("loss", "", 3, "min"),
    "f1": ("macro F1", "%", 1, "max"),
    "balanced_accuracy": ("balanced accuracy", "%", 1, "max"),
}
FACTS = {
    "parameters": Column("parameters", digits=0),
    "multiply_adds": Column("multiply-adds", digits=0),
    "training_seconds": Column("training time", "s", 1),
    "seconds": Column("time", "s", 1),
    "solved": Column("runs that solved the task", "%", 0, "max"),
}
TIMES = {
    "time/forward": Column("CPU time, forward", "s"),
    "time/backward": Column("CPU time, backward", "s"),
    "time/step": Column("CPU time, a training step", "s"),
}
SUMMARIES: dict[str, tuple[str, str, int]] = {
    "decay": ("factor of one step", "", 3),
    "half_life": ("half-life", "steps", 1),
    "reach": ("reach", "steps", 0),
    "lyapunov": ("λ_1, per step", "", 3),
    "r2": ("R² of an exponential decay", "", 3),
    "centroid": ("centre", "steps", 2),
    "closed": ("values below 0.1", "%", 1),
    "open": ("values above 0.9", "%", 1),
    "mean": ("mean", "", 3),
    "q10": ("a tenth below", "", 2),
    "median": ("median", "", 2),
    "q90": ("a tenth above", "", 2),
    "coupled": ("values within ±0.1", "%", 1),
    "correlation": ("correlation of i with f", "", 2),
    "decoded_inputs": ("R² of past inputs", "", 3),
    "decoded_target": ("R² of the target before the end", "", 3),
    "shift": ("movement under a shift by one step", "", 3),
    **{f"noise_{size}": (f"movement under noise of {size} %", "", 3) for size in (1, 5, 10, 25)},
}
STAGES = {"start": "before training", "end": "after training"}
QUANTITIES = {
    "x": "input",
    "h": "hidden state",
    "c": "cell",
    "gate_f": "forget gate",
    "gate_i": "input gate",
    "gate_coupling": "i + f − 1",
}
EXPONENTIAL = 0.9
"""The least R² at which a half-life describes a curve."""


def column_of(name: str, derived: Mapping[str, Column]) -> Column:
    """Return how a column is shown: as declared by the study, as known here, or by its name.

    >>> column_of("test/accuracy", {}).label
    'test accuracy (%)'
    >>> column_of("gradient/start/h.half_life", {}).words
    'half-life, hidden state, before training'
    >>> column_of("test/accuracy/160", {}).label
    'test accuracy, 160 steps (%)'
    >>> column_of("gradient/start/h.half_life", {}).needs
    ('gradient/start/h.r2', 0.9)
    """
    if name in derived:
        return derived[name]
    if at := AT_LENGTH.fullmatch(name):
        whole = column_of(at[1], derived)
        needs = None if whole.needs is None else (f"{whole.needs[0]}/{at[2]}", whole.needs[1])
        return replace(whole, words=f"{whole.words}, {at[2]} steps", needs=needs)
    if name in FACTS or name in TIMES:
        return (FACTS | TIMES)[name]
    split, _, metric = name.partition("/")
    if split in SPLITS and metric in METRICS:
        words, unit, digits, best = METRICS[metric]
        return Column(f"{SPLITS[split]} {words}", unit, digits, best)
    found = re.fullmatch(r"gradient/(start|end)/(\w+)\.(\w+)", name)
    if found and found[3] in SUMMARIES:
        words, unit, digits = SUMMARIES[found[3]]
        bounds = (-math.inf, 1.0) if words.startswith("R²") else (-1.0, 1.0) if found[3] == "correlation" else None
        needs = (f"{name.rpartition('.')[0]}.r2", EXPONENTIAL) if found[3] == "half_life" else None
        return Column(
            f"{words}, {QUANTITIES.get(found[2], found[2])}, {STAGES[found[1]]}",
            unit,
            digits,
            None,
            needs,
            None,
            bounds,
        )
    return Column(name)
