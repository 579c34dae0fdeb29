"""What all quantities of runs share: the selected runs, their values, and the interval over one value per seed."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.results import PENDING, Results, Where, has
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.statistics import Interval
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.parts import Quantity
from gradreach.analysis.study.selection import Over, check_closed, check_even, in_words, keys_of, listed, values_of
from gradreach.analysis.tables.specification import Measure, possible
from gradreach.errors import ConfigError, advise
from gradreach.look import axis_label, display_name, without_unit
from gradreach.rounding import number

BEFORE = "gradient/start/"
"""What is measured before training: a run that diverges later has measured it all the same."""
Beside = Mapping[str, "Quantity | Callable[[Results], Any]"]
"""What is shown in brackets beside a number, by name: a quantity, or a function of the results."""


@dataclass(frozen=True, kw_only=True)
class OfRuns(Quantity):
    """A number computed from a metric of some runs; ``value`` explains the arguments."""

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
        """The selected runs of each side."""
        return tuple(map(self._meant, self._sides()))

    @property
    def _keys(self) -> list[str]:
        """The settings that distinguish the runs of one seed."""
        return list(keys_of(self.over))

    def _along(self, results: Results) -> Results:
        return results.along([*keys_of(self.over), *keys_of(self.each), *(key for side in self.sides for key in side)])

    def check(self, results: Results, part: str) -> None:
        """Check before the runs that every selector means one configuration per seed; warn if it selects none."""
        results = self._along(results)
        for _, each in self.split(results) or [({}, self)]:
            assert isinstance(each, OfRuns)
            for side in each._sides():
                meant = each._meant(side)
                if meant.keys() & {"solved", *(results.derived.keys() - set(results.runs))}:
                    continue  # rests on what is measured first
                check_closed(results, meant, each._keys, part)
                check_even(results, meant, each._keys, part)
                if results.where(meant).runs.empty:
                    advise(f"part “{part}”: the sweep has no run with {in_words(meant)}, so nothing decides it")

    def split(self, results: Results) -> list[tuple[Where, Quantity]]:
        """Return one quantity for each value of ``each=``, and which; none where there is none."""
        keys = list(keys_of(self.each))
        if not keys:
            return []
        results = self._along(results)
        found = pd.concat([results.where(self._meant(side)).runs[keys] for side in self._sides()])
        places = found.drop_duplicates().sort_values(keys).to_dict("records")
        return [(place, self._at(place)) for place in ({str(k): v for k, v in each.items()} for each in places)]

    def _at(self, place: Where) -> Quantity:
        kept = {name: value for name, value in vars(self).items() if name != "each"}
        return type(self)(**{**kept, "where": {**self.where, **place}})

    def _cells(self, results: Results, side: Where, part: str) -> pd.DataFrame:
        """Return a row a run of one side: its seed, where it stands in ``over``, its value, and whether it counts.

        A seed of which a run is still to come does not count yet. A run that failed has no value, and so its seed has
        none; one that diverged counts as the worst there is, unless the metric is from before training. One that lacks
        what it ``needs`` does not count.
        """
        meant, results = self._meant(side), self._along(results)
        has(results.runs, self.metric)
        check_closed(results, meant, self._keys, part or self.words)
        runs = results.where(meant).runs
        runs = runs[~runs["seed"].isin(runs.loc[runs["status"].isin(PENDING), "seed"])]
        column = results.column(self.metric)
        measure = Measure(self.metric, "", scale=column.scale, needs=self.needs or column.needs)
        worst = (runs["status"] == "diverged") & (not self.metric.startswith(BEFORE))
        values = np.where(worst, column.worst, measure.values(runs))
        values = np.where(runs["status"] == "failed", math.nan, values)
        return runs.assign(value=values, counts=measure.counts(runs) | (runs["status"] != "finished"))

    def _possible(self, results: Results) -> tuple[float, float]:
        """Return the bounds of the metric in the selected runs."""
        runs = self._along(results).where(self._meant(self.a)).runs
        return possible(self.metric, results.column(self.metric).limits, runs)

    def _side(self, values: np.ndarray, level: float) -> Interval:
        """Return the interval of one side by itself, of one value a seed, by the outcome class."""
        return self.shown(OUTCOMES[self.outcome].of_side(self.scaled(values), level))

    def _effect(self, values: np.ndarray, unit: str, limits: tuple[float, float], level: float) -> Effect:
        """Return the interval over one value per seed, by the outcome class, cut at the bounds of the metric."""
        outcome = OUTCOMES[self.outcome]
        found = self.shown(outcome.interval(self.scaled(values), level))
        effect = Effect("", *found, unit, level, len(values) - found.n, outcome.words)
        if not effect.known:
            return effect
        if outcome.agrees is not None:
            effect = effect.with_other(self.shown(outcome.agrees(self.scaled(values), level)), values)
        return effect._replace(low=max(found.low, limits[0]), high=min(found.high, limits[1]))

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return the existing values, one per seed, as the outcome class counts them."""
        values = values[~(np.isnan(values) if values.ndim == 1 else np.isnan(values).any(1))]
        if not self.outcome.startswith("share"):
            return values
        counted = values / OUTCOMES[self.outcome].scale
        if not np.isin(counted, (-1.0, 0.0, 1.0)).all():
            hint = "use each= instead of over=, or outcome='mean'"
            raise ConfigError(f"outcome of {self.words}", self.outcome, "needs a column of true and false", hint)
        return counted

    def _labelled(self, effect: Effect, results: Results) -> Effect:
        column, label = results.column(self.metric), self.label
        if not label:
            over = [without_unit(axis_label(k)) for k in keys_of(self.over) if k not in values_of(self.over)]
            taken = self._taken(listed(over)) if over else ""
            label = ", ".join(filter(None, (column.words or self.metric, self._selection(keys=False), taken)))
        beside = "; ".join(f"{display_name(words)} {_said(each, results)}" for words, each in self.beside.items())
        return effect._replace(label=f"{label} ({beside})" if beside else label)

    def _taken(self, over: str) -> str:
        """Say how the runs of a seed are combined."""
        return f"mean over {over}"

    def _selection(self, *, keys: bool = True) -> str:
        return in_words(self._meant(self.a), keys=keys)

    @property
    def words(self) -> str:
        """Its name: its label, or the metric and the selected runs."""
        return self.label or f"{self.metric}, {self._selection()}"


def _said(each: "Quantity | Callable[[Results], Any]", results: Results) -> str:
    if isinstance(each, Quantity):
        effect = each.of(results)
        return f"{number(effect.value, '.3g')}{f' {effect.unit}' if effect.unit else ''}"
    found = each(results)
    return number(found, ".3g") if isinstance(found, float) else str(found)
