"""The difference of two columns of the same runs, as the quantity of a part."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results, Where
from gradreach.analysis.stats.draws import draws
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.parts import Threshold
from gradreach.analysis.study.room import no_room
from gradreach.analysis.study.value import Value, value


@dataclass(frozen=True, kw_only=True)
class Contrast(Value):
    """How much a run's metric exceeds another of its columns; runs of one seed count with their mean."""

    reference: str

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Return the effect for one difference per seed; there is no room if the reference is at its bound."""
        column = results.column(self.metric)
        low, high = column.limits
        unit = "points" if column.unit == "%" else column.unit
        metric, reference = self._both(results, part)
        values = self._difference(metric, reference)
        effect = self._labelled(self._effect(values, unit, (low - high, high - low), results.level), results)
        if threshold is None:
            return effect
        sides = (draws(each["value"], each["seed"], each["counts"]).to_numpy(float) for each in (metric, reference))
        first, other = (self._side(each, results.level) for each in sides)
        return effect._replace(full=no_room(column, threshold, first, other, math.nan))

    def draws(self, results: Results, part: str = "") -> np.ndarray:
        """Return the difference of each seed, NaN where a run of it lacks either number."""
        return self._difference(*self._both(results, part))

    def _both(self, results: Results, part: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the same runs twice, with the value of either column."""
        metric, reference = (
            replace(self, metric=name)._cells(results, self.a, part) for name in (self.metric, self.reference)
        )
        return metric, reference

    @staticmethod
    def _difference(metric: pd.DataFrame, reference: pd.DataFrame) -> np.ndarray:
        counts = metric["counts"] & reference["counts"]
        return draws(metric["value"] - reference["value"], metric["seed"], counts).to_numpy(float)

    @property
    def words(self) -> str:
        """Both columns, and of which runs."""
        return self.label or f"{self.metric} − {self.reference}, {self._selection()}"


def contrast(metric: str, reference: str, a: str | Where, *, label: str, **options: Any) -> Contrast:
    """Declare how much one column of each run exceeds another, such as R² from c over R² from h.

    There is no room if the reference is as good as possible.

    Args:
        metric: a column of the run table, or one of the study's own.
        reference: the column that is subtracted.
        a: which runs.
        label: what it is called.
        options: those of ``value``; ``outcome`` is ``ranks`` by default.

    >>> contrast("val/accuracy", "test/accuracy", "mlp", label="lost").above(5).rule
    'lost: above 5'
    """
    named = value(metric, a, **{"outcome": "ranks", "label": label, **options})
    return Contrast(**vars(named), reference=reference)
