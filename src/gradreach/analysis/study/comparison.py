"""The difference of a metric between two sides, in pairs of runs."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results, Where
from gradreach.analysis.stats.by_example import mcnemar
from gradreach.analysis.stats.draws import draws
from gradreach.analysis.stats.statistics import LEVEL, Interval
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.of_runs import Beside, OfRuns
from gradreach.analysis.study.parts import Threshold
from gradreach.analysis.study.room import chance_of, no_room
from gradreach.analysis.study.selection import Over, in_words, keys_of, listed, selector
from gradreach.errors import ConfigError
from gradreach.run_table.measurements import bits_of

BY_EXAMPLE = "test/accuracy"
"""The only metric that is recorded example by example."""


@dataclass(frozen=True, kw_only=True)
class Comparison(OfRuns):
    """The difference of a metric between two sides, in pairs of runs."""

    b: Where
    paired_by: tuple[str, ...] = ("seed",)
    ratio: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = self.metric == BY_EXAMPLE and self.paired_by == ("seed",) and not self.ratio and not keys_of(self.over)
        if self.outcome == "examples" and not plain:
            allowed = f"works only for {BY_EXAMPLE}, in pairs of one seed"
            raise ConfigError("outcome", self.outcome, allowed, "leave out ratio=, paired_by= and over=")

    def _sides(self) -> tuple[Where, ...]:
        return self.a, self.b

    @property
    def _keys(self) -> list[str]:
        return [*keys_of(self.over), *(key for key in self.paired_by if key != "seed")]

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Return the outcome class's effect for the differences of pairs, or for the logarithms of their ratios."""
        first, second = (self._cells(results, side, part) for side in self._sides())
        pairs = self._paired(first, second, results)
        column = results.column(self.metric)
        unit = "times" if self.ratio else "points" if column.unit == "%" else column.unit
        low, high = column.limits
        limits = (0.0, math.inf) if self.ratio else (low - high, high - low)
        effect = self._labelled(self._effect(pairs, unit, limits, results.level), results)
        if self.outcome == "examples" and effect.n:
            apart = sum(mcnemar(pair) < LEVEL for pair in self.scaled(pairs))
            beside = f"pairs of runs that differ by McNemar's test: {apart} of {effect.n}"
            effect = effect._replace(label=f"{effect.label} ({beside})")
        if threshold is None or self.ratio:
            return effect
        one, other = (self._side(values, results.level) for values in self._apart(first, second, results))
        return effect._replace(full=no_room(column, threshold, one, other, chance_of(first, self.metric)))

    def draws(self, results: Results, part: str = "") -> np.ndarray:
        """Return the difference of each pair, or the logarithm of its ratio; by example, ``(pairs, examples)``.

        NaN where a run of it has no number.
        """
        first, second = (self._cells(results, side, part) for side in self._sides())
        return self._paired(first, second, results)

    def reference(self, results: Results) -> float:
        """Return the mean of the side that is subtracted, over seeds; NaN where it has none."""
        _, other = (self._cells(results, side, "") for side in self._sides())
        return float(draws(other["value"], other["seed"], other["counts"]).mean())

    def _paired(self, first: pd.DataFrame, second: pd.DataFrame, results: Results) -> np.ndarray:
        if self.outcome != "examples":
            return self._by_run(first, second)
        one, other = self._by_example(first, second, results)
        return np.asarray(one - other)

    def _apart(self, first: pd.DataFrame, second: pd.DataFrame, results: Results) -> tuple[np.ndarray, np.ndarray]:
        """Return either side by itself, one value a seed, or by example."""
        if self.outcome == "examples":
            return self._by_example(first, second, results)
        one, other = (draws(side["value"], side["seed"], side["counts"]).to_numpy(float) for side in (first, second))
        return one, other

    def _by_example(self, first: pd.DataFrame, second: pd.DataFrame, results: Results) -> tuple[np.ndarray, np.ndarray]:
        """Return where either of a pair is right (1) and where not (0), ``(pairs, examples)``; NaN: not known."""
        known = {each["run_id"]: bits_of(each["right"], each["n"]) for each in results.examples.to_dict("records")}
        pairs = first.merge(second, on="seed", suffixes=("_a", "_b"))
        sizes = sorted({len(known[run_id]) for run_id in (*pairs["run_id_a"], *pairs["run_id_b"]) if run_id in known})
        if len(sizes) > 1:
            wrong = f"compares test sets of {listed(map(str, sizes))} examples"
            raise ConfigError(f"outcome of {self.words}", self.outcome, wrong, "choose runs with one test set")
        values = np.full((2, len(pairs), *(sizes or [1])), math.nan)
        for side, of_side in zip("ab", values, strict=True):
            for i, (run_id, status) in enumerate(zip(pairs[f"run_id_{side}"], pairs[f"status_{side}"], strict=True)):
                of_side[i] = 0 if status == "diverged" else known.get(run_id, math.nan)
        return values[0], values[1]

    def _by_run(self, first: pd.DataFrame, second: pd.DataFrame) -> np.ndarray:
        keys = list(self.paired_by)
        cells = list(dict.fromkeys([*keys, *self._keys]))
        first, second = (side[[*cells, "value", "counts"]] for side in (first, second))
        pairs = first.merge(second, on=cells, suffixes=("_a", "_b"))
        a, b = (pairs[f"value_{side}"].to_numpy(float) for side in "ab")
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.log(a) - np.log(b) if self.ratio else a - b
        difference = np.where((a == b) & np.isinf(a), 0.0, difference)  # both have diverged
        counts = pairs["counts_a"] & pairs["counts_b"]
        return draws(pd.Series(difference, pairs.index), [pairs[key] for key in keys], counts).to_numpy(float)

    def shown(self, found: Interval) -> Interval:
        """Return an interval in the unit in which thresholds are written."""
        if not self.ratio:
            return super().shown(found)
        with np.errstate(over="ignore"):
            value, low, high = (float(np.exp(each)) for each in found[:3])
        return found._replace(value=value, low=low, high=high)

    def _selection(self, *, keys: bool = True) -> str:
        a, b = self._meant(self.a), self._meant(self.b)
        common = {column: value for column, value in a.items() if column in b and b[column] == value}
        sides = (in_words({k: v for k, v in side.items() if k not in common}, keys=keys) for side in (a, b))
        return ", ".join(filter(None, ((" ÷ " if self.ratio else " − ").join(sides), in_words(common, keys=keys))))


def compare(
    metric: str,
    a: str | Where,
    b: str | Where,
    *,
    where: Where | None = None,
    over: Over = None,
    each: Over = None,
    ratio: bool = False,
    paired_by: str | tuple[str, ...] = "seed",
    needs: tuple[str, float] | None = None,
    label: str = "",
    beside: Beside | None = None,
    outcome: str = "ranks",
) -> Comparison:
    """Declare by how much ``a`` exceeds ``b`` in a metric.

    Pairs share their seed and the settings in ``over=``; a run without a partner does not count. For arguments not
    explained here see ``value``.

    Args:
        metric: a column of the run table, or of the study itself.
        a: which runs are compared.
        b: the runs they are compared with.
        where: conditions for both sides.
        over: settings over which the pairs of a seed are averaged.
        each: settings each of whose values becomes its own part.
        ratio: a ÷ b by logarithms, for positive metrics that span magnitudes; otherwise a − b.
        paired_by: what the two runs of a pair share.
        needs: see ``value``.
        label: see ``value``.
        beside: see ``value``.
        outcome: ``ranks`` of differences, exact whatever their size; ``mean`` where they are near normal; ``share
            difference`` of a column that is true or not; ``examples`` of test accuracy on a small test set, where both
            seeds and examples count as drawn; ``fixed``.

    >>> compare("test/accuracy", "lstm", "rnn", over={"seq_len": [100, 200]}).above(5).rule
    'test/accuracy, lstm − rnn, seq_len 100 and 200: above 5'
    """
    return Comparison(
        metric=metric,
        a=selector(a),
        b=selector(b),
        where=where or {},
        over=over,
        each=each,
        ratio=ratio,
        paired_by=(paired_by,) if isinstance(paired_by, str) else tuple(paired_by),
        needs=needs,
        label=label,
        beside=beside or {},
        outcome=outcome,
    )
