"""Does a published number agree with ours? Prediction intervals, and the words for outcomes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from gradreach.config.published import PER_CENT, Cell
from gradreach.rounding import in_short, number

LEVEL = 0.95
"""The coverage of each cell's interval: of twenty cells that agree, one lies outside by chance."""


@dataclass(frozen=True)
class Measured:
    """The results of a cell so far.

    - ``values``: one a seed, in the unit of the published number.
    - ``planned``: how many are planned.
    - ``lost``: how many seeds have none.
    - ``fixed``: whether nothing is drawn, so that one value is all.
    - ``why``: what became of those that are lost.
    """

    values: Sequence[float] = ()
    planned: int = 0
    lost: int = 0
    fixed: bool = False
    why: str = "diverged or failed"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a cell: ``words`` begin with ``within``, ``off by``, ``too wide to tell``, ``not``."""

    words: str
    ours: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0

    @property
    def kind(self) -> str:
        """The outcome without the details of the cell."""
        kinds = ("within", "off by", "too wide to tell", "not comparable", "not run")
        return next(kind for kind in kinds if self.words.startswith(kind))


def prediction_interval(values: Sequence[float], further: int = 1, level: float = LEVEL) -> tuple[float, float]:
    """Return the prediction interval of the mean of further runs from the same normal distribution.

    ``m ± t(n − 1) s √(1/further + 1/n)`` (source: G. J. Hahn and W. Q. Meeker, Statistical Intervals, 1991).

    Args:
        values: of our runs; two at least.
        further: of how many runs of theirs the published number is the mean.
        level: the coverage.

    >>> low, high = prediction_interval([91.0, 92.0, 93.0], further=1)
    >>> round(low, 2), round(high, 2)
    (87.03, 96.97)
    """
    n = len(values)
    half = stats.t.ppf((1 + level) / 2, n - 1) * np.std(values, ddof=1) * math.sqrt(1 / further + 1 / n)
    mean = float(np.mean(values))
    return mean - float(half), mean + float(half)


def indistinguishable(values: Sequence[float], theirs: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Return where the mean of their runs may lie, spread as they are, without Welch's t-test telling it from ours.

    The published mean lies in it exactly where the test's p is above ``1 − level`` (source: B. L. Welch, 1947).

    >>> low, high = indistinguishable([91.0, 92.0, 93.0], [90.0, 92.0])
    >>> round(low, 1), round(high, 1)
    (85.0, 99.0)
    """
    own, other = (np.var(each, ddof=1) / len(each) for each in (values, theirs))
    mean, error = float(np.mean(values)), own + other
    if error == 0:
        return mean, mean
    freedom = error**2 / (own**2 / (len(values) - 1) + other**2 / (len(theirs) - 1))
    half = float(stats.t.ppf((1 + level) / 2, freedom) * math.sqrt(error))
    return mean - half, mean + half


def judge(cell: Cell, measured: Measured) -> Outcome:
    """Return the outcome of a cell.

    A seed that is lost counts as chance; of a cell without a chance level "within" is not said then.
    There is no outcome before all planned seeds have ended, so that nobody adds seeds until a cell agrees.
    """
    if cell.not_comparable is not None:
        return Outcome(f"not comparable: {cell.not_comparable}")
    if cell.not_run is not None:
        return Outcome(f"not run: {cell.not_run}{_cost(cell, ', ')}")
    values, lost = list(measured.values), measured.lost
    if not measured.planned or len(values) + lost < measured.planned:
        begun = f"not run: {len(values) + lost} of {measured.planned} seeds{_cost(cell, ', ')}"
        return Outcome(begun if values or lost else f"not run{_cost(cell, ': ')}")
    told = f"; {lost} of {measured.planned} seeds {measured.why}" if lost else ""
    if cell.chance is not None:
        values += [cell.chance] * lost
    if not values or (lost and cell.chance is None):
        return Outcome(f"too wide to tell{told}", float(np.mean(values)) if values else math.nan, n=len(values))
    ours = float(np.mean(values))
    if not measured.fixed and len(values) < 2:
        return Outcome(f"too wide to tell{told}", ours, n=1)
    low, high = (ours, ours) if measured.fixed else interval(cell, values)
    words = _agreement(cell, ours, low, high)
    origin = "" if cell.origin == "printed" else f" ({cell.origin})"
    return Outcome(f"{words}{origin}{told}", ours, low, high, len(values))


def interval(cell: Cell, values: Sequence[float]) -> tuple[float, float]:
    """Return the interval in which the published number should lie, from the published details."""
    if len(cell.runs) > 1:
        return indistinguishable(values, cell.runs)
    return prediction_interval(values, cell.n or 1)


def _agreement(cell: Cell, ours: float, low: float, high: float) -> str:
    rounding = cell.half_digit * (1 + 1e-9)
    if not low - rounding <= cell.value <= high + rounding:
        unit = " points" if cell.unit == PER_CENT else f" {cell.unit}".rstrip()
        return f"off by {in_short(ours - cell.value, '+.3g')}{unit}"
    return "within" if (high - low) / 2 <= cell.allowed else "too wide to tell"


def _cost(cell: Cell, before: str) -> str:
    if cell.minutes is None:
        return ""
    return f"{before}about {number(float(cell.minutes), ',.0f' if cell.minutes >= 1 else '.1g')} core-minutes"
