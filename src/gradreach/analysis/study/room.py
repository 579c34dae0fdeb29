"""Whether a comparison has room: at a bound of the metric, or at chance, it cannot be decided."""

import math

import pandas as pd

from gradreach.analysis.column_words import Column
from gradreach.analysis.stats.statistics import Interval
from gradreach.analysis.study.parts import Threshold
from gradreach.rounding import number

NEAR_CHANCE = 0.1
"""The share by which an error must be below that of chance to show that a model has learned."""


def no_room(column: Column, threshold: Threshold, first: Interval, reference: Interval, chance: float) -> str:
    """Say why ``first`` − ``reference`` could not come out as claimed; empty if it could.

    Args:
        column: the compared metric.
        threshold: of the part; its size is the margin.
        first: interval of the side that is compared.
        reference: of the side that it is compared with.
        chance: the level of chance as it is shown; NaN where there is none.

    >>> from gradreach.analysis.study.room import Column, Interval, Threshold
    >>> both = Interval(97, 96, 98, 9)
    >>> no_room(Column("accuracy", "%", best="max"), Threshold("above", 5), both, both, 10)
    'the reference, 96 to 98, lies within 5 of the bound 100'
    """
    margin = abs(threshold.at)
    upwards = threshold.at >= 0 if threshold.kind == "above" else threshold.at > 0
    low, high = column.limits
    if math.isfinite(reference.low):
        for bound, asked in ((high, upwards), (low, not upwards)):
            if (asked or threshold.kind == "within") and _near(reference, bound, margin):
                ends = " to ".join(number(each, ".3g") for each in (reference.low, reference.high))
                return f"the reference, {ends}, lies within {number(margin, 'g')} of the bound {number(bound, 'g')}"
    if all(_at_chance(side, column, chance, margin) for side in (first, reference)):
        return f"both sides are at chance, {number(chance, '.3g')}"
    return ""


def _near(reference: Interval, bound: float, margin: float) -> bool:
    return math.isfinite(bound) and max(abs(reference.low - bound), abs(reference.high - bound)) <= margin


def _at_chance(side: Interval, column: Column, chance: float, margin: float) -> bool:
    if math.isnan(chance) or math.isnan(side.low) or column.best is None:
        return False
    if column.best == "max":
        return side.low <= chance + margin and side.high <= chance + max(margin, 2.0)
    return side.low >= (1 - NEAR_CHANCE) * chance


def chance_of(runs: pd.DataFrame, metric: str) -> float:
    """Return the level of chance of what a task is scored by, as it is shown; NaN of any other metric."""
    split, _, name = metric.partition("/")
    if "chance" not in runs or runs.empty or split not in ("test", "val", "train") or name not in ("accuracy", "mse"):
        return math.nan
    return float(runs["chance"].mean()) * (100 if name == "accuracy" else 1)
