"""What a part of a claim rests on: a level, a comparison, a share, or a number that a function makes of the results."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results, Where, has
from gradreach.analysis.stats.by_example import mcnemar
from gradreach.analysis.stats.intervals import OUTCOMES, mean_interval
from gradreach.analysis.stats.statistics import LEVEL, Interval
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.parts import Quantity, Threshold
from gradreach.analysis.study.room import chance_of, no_room
from gradreach.analysis.study.selection import Over, check_closed, in_words, keys_of, listed, selector, values_of
from gradreach.analysis.tables.specification import Measure
from gradreach.errors import ConfigError, advise
from gradreach.rounding import number
from gradreach.run_table.measurements import bits_of

BY_EXAMPLE = "test/accuracy"
"""What alone is known example by example."""
Beside = Mapping[str, "Quantity | Callable[[Results], Any]"]
"""What stands in brackets beside a number, by what it is called: a quantity, or a function of the results."""


@dataclass(frozen=True, kw_only=True)
class _OfRuns(Quantity):
    metric: str
    a: Where
    where: Where = field(default_factory=dict)
    over: Over = None
    each: Over = None
    needs: tuple[str, float] | None = None
    label: str = ""
    beside: Beside = field(default_factory=dict)
    outcome: str = "mean"

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ConfigError("outcome", self.outcome, choices=[*OUTCOMES])

    def _meant(self, side: Where) -> dict[str, Any]:
        return {**self.where, **values_of(self.over), **values_of(self.each), **side}

    def _sides(self) -> tuple[Where, ...]:
        return (self.a,)

    @property
    def sides(self) -> tuple[Where, ...]:
        """Which runs it is of, of each side."""
        return tuple(map(self._meant, self._sides()))

    @property
    def _keys(self) -> list[str]:
        """What tells the runs of one seed apart."""
        return list(keys_of(self.over))

    def check(self, results: Results, part: str) -> None:
        """See before the runs that every selector means one configuration a seed; none at all is worth a note."""
        for _, each in self.split(results) or [({}, self)]:
            assert isinstance(each, _OfRuns)
            for side in each._sides():
                meant = each._meant(side)
                if meant.keys() & {"solved", *(results.derived.keys() - set(results.runs))}:
                    continue  # rests on what is measured first
                check_closed(results, meant, each._keys, part)
                if results.where(meant).runs.empty:
                    advise(f"part “{part}”: the sweep has no run of {in_words(meant)}, so nothing decides it")

    def split(self, results: Results) -> list[tuple[Where, Quantity]]:
        keys = list(keys_of(self.each))
        if not keys:
            return []
        found = pd.concat([results.where(self._meant(side)).runs[keys] for side in self._sides()])
        places = found.drop_duplicates().sort_values(keys).to_dict("records")
        return [(place, self._at(place)) for place in ({str(k): v for k, v in each.items()} for each in places)]

    def _at(self, place: Where) -> Quantity:
        kept = {name: value for name, value in vars(self).items() if name != "each"}
        return type(self)(**{**kept, "where": {**self.where, **place}})

    def _cells(self, results: Results, side: Where, part: str) -> pd.DataFrame:
        """Return the values of one side: a row a run, its seed, and where it stands in ``over``."""
        meant = self._meant(side)
        has(results.runs, self.metric)
        check_closed(results, meant, self._keys, part or self.words)
        runs = results.where(meant).ended
        column = results.column(self.metric)
        values = Measure(self.metric, "", scale=column.scale, needs=self.needs or column.needs).values(runs)
        return runs.assign(value=np.where(runs["status"] == "diverged", column.worst, values))

    def _effect(self, values: np.ndarray, unit: str, limits: tuple[float, float], level: float) -> Effect:
        """Return the interval of one value a seed, by the outcome class, cut at what is possible."""
        outcome = OUTCOMES[self.outcome]
        found = self.shown(outcome.interval(self.scaled(values), level))
        effect = Effect("", *found, unit, level, len(values) - found.n, outcome.words)
        if not effect.known:
            return effect
        return effect._replace(low=max(found.low, limits[0]), high=min(found.high, limits[1]))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return the values that are there, one a seed, as the outcome class counts them."""
        values = values[~(np.isnan(values) if values.ndim == 1 else np.isnan(values).any(1))]
        if not self.outcome.startswith("share"):
            return values
        counted = values / OUTCOMES[self.outcome].scale
        if not np.isin(counted, (-1.0, 0.0, 1.0)).all():
            hint = "choose each= in place of over=, or outcome='mean'"
            raise ConfigError(f"outcome of {self.words}", self.outcome, "is of runs that are true or not", hint)
        return counted

    def _labelled(self, effect: Effect, results: Results) -> Effect:
        column, label = results.column(self.metric), self.label
        if not label:
            over = [name for name in keys_of(self.over) if name not in values_of(self.over)]
            taken = self._taken(listed(over)) if over else ""
            label = ", ".join(filter(None, (column.words or self.metric, self._selection(), taken)))
        beside = "; ".join(f"{words} {_said(each, results)}" for words, each in self.beside.items())
        return effect._replace(label=f"{label} ({beside})" if beside else label)

    def _taken(self, over: str) -> str:
        """Say what is made of the runs of a seed."""
        return f"mean over {over}"

    def _selection(self) -> str:
        return in_words(self._meant(self.a))

    @property
    def words(self) -> str:
        return self.label or f"{self.metric}, {self._selection()}"


def _said(each: "Quantity | Callable[[Results], Any]", results: Results) -> str:
    if isinstance(each, Quantity):
        effect = each.of(results)
        return f"{number(effect.value, '.3g')}{f' {effect.unit}' if effect.unit else ''}"
    found = each(results)
    return number(found, ".3g") if isinstance(found, float) else str(found)


@dataclass(frozen=True, kw_only=True)
class Value(_OfRuns):
    """The mean of a metric over seeds; runs of one seed count with their mean, or by whether it is at least so much."""

    least: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least is not None and not (self.outcome == "share" and keys_of(self.over)):
            allowed = "is of a share, over several runs of a seed"
            raise ConfigError("least", self.least, allowed, "say share(..., over=)")
        if self.outcome == "examples":
            raise ConfigError("outcome", self.outcome, "is of two networks on one test set", "say compare(...)")

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Return what its outcome class makes of one value a seed."""
        column = results.column(self.metric)
        values = self.draws(results, part)
        return self._labelled(self._effect(values, column.unit, column.limits, results.level), results)

    def draws(self, results: Results, part: str = "") -> np.ndarray:
        """Return the value of each seed."""
        values = self._cells(results, self.a, part).groupby("seed")["value"].mean().to_numpy(float)
        if self.least is None:
            return values
        return np.where(np.isnan(values), math.nan, OUTCOMES["share"].scale * (values >= self.least))

    def _taken(self, over: str) -> str:
        if self.least is None:
            return super()._taken(over)
        return f"seeds with at least {self.least:g} % of their runs over {over}"

    @property
    def words(self) -> str:
        """What it is, before anything is known of the runs."""
        said = super().words
        return said if self.least is None or self.label else f"{said}, {self._taken(listed(self._keys))}"


@dataclass(frozen=True, kw_only=True)
class Comparison(_OfRuns):
    """How much more one side has of a metric than the other, in pairs of runs."""

    b: Where
    paired_by: tuple[str, ...] = ("seed",)
    ratio: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = self.metric == BY_EXAMPLE and self.paired_by == ("seed",) and not self.ratio and not keys_of(self.over)
        if self.outcome == "examples" and not plain:
            allowed = f"is of {BY_EXAMPLE}, in pairs of one seed"
            raise ConfigError("outcome", self.outcome, allowed, "leave out ratio=, paired_by= and over=")

    def _sides(self) -> tuple[Where, ...]:
        return self.a, self.b

    @property
    def _keys(self) -> list[str]:
        return [*keys_of(self.over), *(key for key in self.paired_by if key != "seed")]

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Return what its outcome class makes of the differences of pairs, or of the logarithms of their ratios."""
        first, second = (self._cells(results, side, part) for side in self._sides())
        means = self._paired(first, second, results)
        column = results.column(self.metric)
        unit = "times" if self.ratio else "points" if column.unit == "%" else column.unit
        low, high = column.limits
        limits = (0.0, math.inf) if self.ratio else (low - high, high - low)
        effect = self._labelled(self._effect(means, unit, limits, results.level), results)
        if self.outcome == "examples" and effect.n:
            apart = sum(mcnemar(pair) < LEVEL for pair in self.scaled(means))
            beside = f"pairs of runs that McNemar's test tells apart: {apart} of {effect.n}"
            effect = effect._replace(label=f"{effect.label} ({beside})")
        if threshold is None or self.ratio:
            return effect
        one, other = (
            mean_interval(side.groupby("seed")["value"].mean().to_numpy(float), results.level)
            for side in (first, second)
        )
        return effect._replace(full=no_room(column, threshold, one, other, chance_of(first, self.metric)))

    def draws(self, results: Results, part: str = "") -> np.ndarray:
        """Return the difference of each pair, or the logarithm of its ratio; by example, ``(pairs, examples)``."""
        first, second = (self._cells(results, side, part) for side in self._sides())
        return self._paired(first, second, results)

    def _paired(self, first: pd.DataFrame, second: pd.DataFrame, results: Results) -> np.ndarray:
        return self._by_example(first, second, results) if self.outcome == "examples" else self._by_run(first, second)

    def _by_example(self, first: pd.DataFrame, second: pd.DataFrame, results: Results) -> np.ndarray:
        """Return where the first of a pair alone is right (1), where the second is (−1); NaN where it is not known."""
        known = {each["run_id"]: bits_of(each["right"], each["n"]) for each in results.examples.to_dict("records")}
        pairs = first.merge(second, on="seed", suffixes=("_a", "_b"))
        sizes = sorted({len(known[run_id]) for run_id in (*pairs["run_id_a"], *pairs["run_id_b"]) if run_id in known})
        if len(sizes) > 1:
            wrong = f"compares tests of {listed(map(str, sizes))} examples"
            raise ConfigError(f"outcome of {self.words}", self.outcome, wrong, "choose runs of one test")
        values = np.full((2, len(pairs), *(sizes or [1])), math.nan)
        for side, of_side in zip("ab", values, strict=True):
            for i, (run_id, status) in enumerate(zip(pairs[f"run_id_{side}"], pairs[f"status_{side}"], strict=True)):
                of_side[i] = 0 if status == "diverged" else known.get(run_id, math.nan)
        return np.asarray(values[0] - values[1])

    def _by_run(self, first: pd.DataFrame, second: pd.DataFrame) -> np.ndarray:
        keys = list(self.paired_by)
        cells = list(dict.fromkeys([*keys, *self._keys]))
        pairs = first[[*cells, "value"]].merge(second[[*cells, "value"]], on=cells, suffixes=("_a", "_b"))
        a, b = (pairs[f"value_{side}"].to_numpy(float) for side in "ab")
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = np.log(a) - np.log(b) if self.ratio else a - b
        difference = np.where((a == b) & np.isinf(a), 0.0, difference)  # both have diverged
        return pairs.assign(difference=difference).groupby(keys)["difference"].mean().to_numpy(float)

    def shown(self, found: Interval) -> Interval:
        """Return an interval in the unit in which thresholds are written."""
        if not self.ratio:
            return super().shown(found)
        with np.errstate(over="ignore"):
            value, low, high = (float(np.exp(each)) for each in found[:3])
        return found._replace(value=value, low=low, high=high)

    def _selection(self) -> str:
        a, b = self._meant(self.a), self._meant(self.b)
        common = {column: value for column, value in a.items() if column in b and b[column] == value}
        sides = (in_words({k: v for k, v in side.items() if k not in common}) for side in (a, b))
        return ", ".join(filter(None, ((" ÷ " if self.ratio else " − ").join(sides), in_words(common))))


@dataclass(frozen=True)
class Computed(Quantity):
    """A number that a function makes of the results."""

    compute: Callable[[Results], Effect]

    outcome: str = "mean"

    @property
    def words(self) -> str:
        """The first line of what the function says of itself."""
        return (self.compute.__doc__ or self.compute.__name__).strip().splitlines()[0].rstrip(".")

    def check(self, results: Results, part: str) -> None:
        """Nothing is known of a function before it is called."""

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Call the function."""
        return self.compute(results)


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
        metric: a column of the run table, or one of the study's own.
        a: which runs: an architecture, or values for columns.
        where: more of the same, as where several parts share it.
        over: settings over whose values each seed counts with its mean: ``"seq_len"``, or ``{"seq_len": [100, 200]}``.
        each: settings of which every value makes a part of its own.
        needs: another column and the least it must be for a run's number to count, as R² for a half-life.
        label: what it is called; by default the words of the metric and of the selector.
        beside: what else is told beside the number, by what it is called.
        outcome: what kind of numbers they are, one of ``OUTCOMES``, and so the test: ``mean`` of such as are near
            normal, by Student's t; ``ranks``, symmetric about their middle; ``share``, true or not; ``fixed`` by what
            is built, such as the number of parameters.
        least: of ``share`` with ``over``: a seed counts as true where the column is so in at least that share of its
            runs, in per cent. Runs of one seed are no independent draws; seeds are.

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
    """Declare the share of runs, in per cent, of which a column is true, with its exact binomial interval.

    The options are those of ``value``. With ``over=`` and ``least=`` it is the share of seeds at which at least that
    share of the runs is so.

    >>> share("solved", {"model": "lstm"}, where={"seq_len": 100}).above(50).rule
    'solved, seq_len 100, lstm: above 50'
    >>> share("solved", "lstm", over="seq_len", least=90).above(50).rule
    'solved, lstm, seeds with at least 90 % of their runs over seq_len: above 50'
    """
    return value(column, a, **{"outcome": "share", **options})


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
    """Declare how much more ``a`` has of a metric than ``b``.

    Pairs share their seed and what ``over=`` names; one without a partner does not count. The arguments that are not
    told here are those of ``value``.

    Args:
        metric: a column of the run table, or one of the study's own.
        a: which runs are compared.
        b: with which.
        where: what both sides share.
        over: settings over which the pairs of a seed count with their mean.
        each: settings of which every value makes a part of its own.
        ratio: a ÷ b by their logarithms, for what is positive and spans magnitudes; else a − b.
        paired_by: what two runs share that are compared with each other.
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


def by_function(compute: Callable[[Results], Effect], outcome: str = "mean") -> Computed:
    """Declare a number that a function makes of the results: what no other word of this vocabulary says.

    Args:
        compute: returns the effect, with an interval that covers ``1 − results.level``.
        outcome: what kind of numbers it rests on, see ``value``.
    """
    return Computed(compute, outcome)
