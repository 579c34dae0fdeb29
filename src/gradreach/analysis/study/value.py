"""The mean of a metric over seeds, or the share of runs for which a column is true."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradreach.analysis.results import Results, Where
from gradreach.analysis.stats.draws import draws
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.of_runs import Beside, OfRuns
from gradreach.analysis.study.parts import Threshold
from gradreach.analysis.study.selection import Over, keys_of, listed, selector
from gradreach.errors import ConfigError
from gradreach.rounding import number


@dataclass(frozen=True, kw_only=True)
class Value(OfRuns):
    """The mean of a metric over seeds; runs of one seed count with their mean, or by whether it is at least so much.

    A seed counts if all of its runs have a number.
    """

    least: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least is not None and not (self.outcome == "share" and keys_of(self.over)):
            allowed = "works only for a share over several runs per seed"
            raise ConfigError("least", self.least, allowed, "write share(..., over=)")
        if self.outcome == "examples":
            raise ConfigError("outcome", self.outcome, "compares two networks on one test set", "write compare(...)")

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Return the outcome class's effect for one value per seed."""
        column = results.column(self.metric)
        values = self.draws(results, part)
        return self._labelled(self._effect(values, column.unit, self._possible(results), results.level), results)

    def draws(self, results: Results, part: str = "") -> np.ndarray:
        """Return the value of each seed, NaN where a run of it has none."""
        cells = self._cells(results, self.a, part)
        values = draws(cells["value"], cells["seed"], cells["counts"]).to_numpy(float)
        if self.least is None:
            return values
        return np.where(np.isnan(values), math.nan, OUTCOMES["share"].scale * (values >= self.least))

    def _taken(self, over: str) -> str:
        if self.least is None:
            return super()._taken(over)
        return f"seeds with at least {number(self.least, 'g')} % of their runs over {over}"

    @property
    def words(self) -> str:
        """What it is, before anything is known of the runs."""
        said = super().words
        return said if self.least is None or self.label else f"{said}, {self._taken(listed(self._keys))}"


def value(
    metric: str,
    a: str | Where,
    *,
    where: Where | None = None,
    over: Over = None,
    each: Over = None,
    needs: tuple[str, float] | None = None,
    label: str = "",
    beside: Beside | None = None,
    outcome: str = "mean",
    least: float | None = None,
) -> Value:
    """Declare the mean of a metric over seeds.

    Args:
        metric: a column of the run table, or of the study itself.
        a: the runs: an architecture, or values for columns.
        where: further conditions, for example those that several parts share.
        over: settings over whose values each seed counts with its mean: ``"seq_len"``, or ``{"seq_len": [100, 200]}``.
        each: settings each of whose values becomes its own part.
        needs: another column and the minimum it must have for a run's number to count, such as R² for a half-life.
        label: what it is called; by default the words of the metric and of the selector.
        beside: what else is shown beside the number, by name.
        outcome: what kind of numbers they are, one of ``OUTCOMES``, and so the test: ``mean`` of such as are near
            normal, by Student's t; ``ranks``, symmetric about their middle; ``share``, true or not; ``fixed`` by what
            is built, such as the number of parameters.
        least: for ``share`` with ``over``: a seed counts as true if the column is true in at least this share of its
            runs, in per cent. Runs of one seed are not independent draws; seeds are.

    >>> value("gradient/start/h.decay", "rnn", over="seq_len").below(0.9).rule
    'gradient/start/h.decay, rnn: below 0.9'
    """
    return Value(
        metric=metric,
        a=selector(a),
        where=where or {},
        over=over,
        each=each,
        needs=needs,
        label=label,
        beside=beside or {},
        outcome=outcome,
        least=least,
    )


def share(column: str, a: str | Where, **options: Any) -> Value:
    """Declare the share of runs, in per cent, for which a column is true, with its exact binomial interval.

    The options are those of ``value``. With ``over=`` and ``least=`` it is the share of seeds for which the column is
    true in at least this share of the runs.

    >>> share("solved", {"model": "lstm"}, where={"seq_len": 100}).above(50).rule
    'solved, seq_len 100, lstm: above 50'
    >>> share("solved", "lstm", over="seq_len", least=90).above(50).rule
    'solved, lstm, seeds with at least 90 % of their runs over seq_len: above 50'
    """
    return value(column, a, **{"outcome": "share", **options})
