"""What a table shows: which numbers of which runs, grouped by what."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results, numbers

KEYS = "architecture"
POSITIVE = re.compile(r"gradient/.*\.(reach|half_life|decay)(?:/(\d+))?")
"""Metrics that are never below zero."""


@dataclass(frozen=True)
class Measure:
    """One number of a run, as a table shows it.

    - ``metric``: its column in the run table.
    - ``label``: its name for readers.
    - ``line``: distinguishes measures of one group that are shown below each other.
    - ``digits``: after the decimal point.
    - ``scale``: 100 for per cent.
    - ``needs``: another column and the minimum it must have for the number to be meaningful.
    - ``best``: which end is better; the best of a column is marked if it beats all others.
    - ``unit``: of the shown values, if the label does not contain it.
    - ``limits``: bounds of the shown values.
    """

    metric: str
    label: str
    line: str = ""
    digits: int = 1
    scale: float = 1.0
    needs: tuple[str, float] | None = None
    best: Literal["max", "min"] | None = None
    unit: str = ""
    limits: tuple[float, float] = (-math.inf, math.inf)

    @property
    def title(self) -> str:
        """The label with its unit, as the head of a table that shows nothing else."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def values(self, runs: pd.DataFrame) -> np.ndarray:
        """Return the measure of every run, NaN where it has none."""
        values = numbers(runs, self.metric) * self.scale
        if self.needs is not None:
            values[~self.counts(runs)] = math.nan
        return values

    def scored(self, runs: pd.DataFrame) -> bool:
        """Return whether the measure is the runs' score, on any split."""
        split, _, metric = self.metric.partition("/")
        return split in ("test", "val") and "metric" in runs and bool((runs["metric"] == metric).any())

    def counts(self, runs: pd.DataFrame) -> np.ndarray:
        """Return which runs have what the measure needs to mean anything."""
        if self.needs is None:
            return np.ones(len(runs), dtype=bool)
        return np.asarray(numbers(runs, self.needs[0]) >= self.needs[1])

    def possible(self, runs: pd.DataFrame) -> tuple[float, float]:
        """Return the bounds of the measure for some runs."""
        return possible(self.metric, self.limits, runs)


def possible(metric: str, limits: tuple[float, float], runs: pd.DataFrame) -> tuple[float, float]:
    """Return the limits of a metric; a reach of some runs ends at their longest lag, and is no less than none.

    >>> possible("gradient/end/h.reach", (-math.inf, math.inf), pd.DataFrame({"seq_len": [50, 128]}))
    (0.0, 127.0)
    """
    found = POSITIVE.fullmatch(metric)
    if not found:
        return limits
    lengths = [float(found[2])] if found[2] else numbers(runs, "test_length" if "test_length" in runs else "seq_len")
    known = [length for length in lengths if not math.isnan(length)]
    longest = max(known) - 1 if found[1] == "reach" and known else math.inf
    return max(limits[0], 0.0), min(limits[1], longest)


@dataclass(frozen=True)
class Table:
    """A grouped table of means over seeds.

    - ``name``: of its files.
    - ``caption``: what it shows.
    - ``reading``: how to read its cells.
    - ``measures``: side by side, but for their lines.
    - ``rows``, ``columns``: a key of the run table, or several; no columns: one column a measure.
    - ``lines``: what the lines of a group are called.
    - ``where``: which runs; a value, or a list of values, for columns of the run table.
    - ``general``: those sentences of ``reading`` that are not of this table alone.
    """

    name: str
    caption: str
    reading: str
    measures: tuple[Measure, ...]
    rows: str | tuple[str, ...] = KEYS
    columns: str | tuple[str, ...] = "seq_len"
    lines: str = "line"
    where: Mapping[str, Any] = field(default_factory=dict)
    general: tuple[str, ...] = ()

    @property
    def row_keys(self) -> list[str]:
        """The keys of the rows."""
        return [self.rows] if isinstance(self.rows, str) else list(self.rows)

    @property
    def column_keys(self) -> list[str]:
        """The keys of the columns."""
        return [self.columns] if isinstance(self.columns, str) else list(self.columns)


@dataclass(frozen=True)
class Computed:
    """A table that is not a mean over seeds, such as the longest length solved.

    - ``name``, ``caption``, ``reading``: as of ``Table``.
    - ``compute``: given the results, returns it; what is text stands as it is.
    - ``digits``: significant ones of its numbers.
    """

    name: str
    caption: str
    reading: str
    compute: Callable[[Results], pd.DataFrame]
    digits: int = 3
