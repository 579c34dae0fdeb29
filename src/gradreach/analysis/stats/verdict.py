"""Effects and what is found of a claim: a verdict with its parts."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from gradreach.analysis.naming import number
from gradreach.analysis.results import has, selected
from gradreach.analysis.stats.statistics import estimate

State = Literal["supported", "refuted", "mixed", "undecided"]

LEAST = 3
"""Fewer runs (or pairs of runs) than these decide nothing."""

READING = (
    "Supported or refuted: all parts of a claim came out so. Mixed: at least one part is supported and one refuted. "
    "Undecided: otherwise, where a part cannot be told: too few runs, an interval that spans its threshold, or a sweep "
    "that is not complete. Where parts differ they are counted beside the word. Intervals are 95 %; n counts seeds, or "
    "pairs of runs (several runs of one seed count with their mean). Seeds draw weights and the order of batches; data "
    "and made-up patterns are one draw: intervals are over training, not over data."
)
"""How verdicts and their effects are read, wherever several stand together."""

Where = Mapping[str, Any]
"""Which runs are meant: a value, or a list of values, for columns of the run table."""


class Effect(NamedTuple):
    """A number that a verdict rests on.

    - ``label``: what it is, for people.
    - ``value``, ``low``, ``high``: estimate and 95 % interval; NaN where there are too few runs.
    - ``n``: how many seeds, or pairs, it rests on.
    - ``unit``: of the three, such as ``points`` or ``steps``.
    """

    label: str
    value: float
    low: float
    high: float
    n: int
    unit: str = ""

    @property
    def alike(self) -> bool:
        """Whether the interval has no width to speak of: of what is arithmetic, or came out alike in all runs."""
        return math.isclose(self.low, self.high, rel_tol=1e-3)

    @property
    def estimate(self) -> str:
        """The number for people, with its interval."""
        if self.n == 0:
            return "no runs to compare"
        value, low, high = (number(each, ".3g") for each in (self.value, self.low, self.high))
        unit = f" {self.unit}" if self.unit else ""
        if math.isnan(self.low):
            return f"{value}{unit} (n = {self.n}, too small for an interval)"
        if self.alike:
            return f"{value}{unit}, alike in all runs"
        return f"{value}{unit}, 95 % interval {low} to {high} (n = {self.n})"

    def __str__(self) -> str:
        return f"{self.label}: {self.estimate}"


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim.

    - ``state``: ``mixed`` where one part supports and another refutes; ``undecided`` where a part cannot be told: too
      few runs, or an interval that spans the threshold.
    - ``effect``: what it rests on; None where only ``parts`` have one.
    - ``sentence``: the finding, for people.
    - ``parts``: the verdicts that it combines.
    - ``name``: of the part of a claim that it is on.
    - ``threshold``: what its effect was compared with; empty of what has parts, or is arithmetic.
    """

    state: State
    effect: Effect | None
    sentence: str
    parts: tuple["Verdict", ...] = ()
    name: str = ""
    threshold: str = ""

    @property
    def leaves(self) -> tuple["Verdict", ...]:
        """The parts that have no parts; itself where it has none."""
        return tuple(leaf for part in self.parts for leaf in part.leaves) or (self,)

    @property
    def counts(self) -> str:
        """How many of the parts came out how, as in ``1 refuted, 1 undecided``; empty where all agree."""
        states = Counter(leaf.state for leaf in self.leaves)
        return ", ".join(f"{count} {state}" for state, count in states.items()) if len(states) > 1 else ""

    @property
    def words(self) -> str:
        """The state with these counts."""
        return f"{self.state}: {self.counts}" if self.counts else self.state

    @property
    def lead(self) -> "Verdict | None":
        """The part to show where there is room for one: refuted, else supported by more than arithmetic, else any."""
        known = [leaf for leaf in self.leaves if leaf.effect is not None]
        return min(known, key=_rank, default=None)

    @property
    def refuted(self) -> tuple["Verdict", ...]:
        """The parts that are refuted as a whole, wherever they stand; a part of a part has both names."""
        if self.state == "refuted" and (self.name or not self.parts):
            return (self,)
        found = (each for part in self.parts for each in part.refuted)
        return tuple(replace(each, name=": ".join(filter(None, (self.name, each.name)))) for each in found)


def _rank(leaf: Verdict) -> int:
    assert leaf.effect is not None
    return 0 if leaf.state == "refuted" else 1 if leaf.state == "supported" and not leaf.effect.alike else 2


def stored_verdict(values: Mapping[str, Any]) -> Verdict:
    """Return a verdict as ``summary.json`` holds it, where what is not a number is null."""
    numbers = values["effect"] and {
        key: math.nan if value is None else value for key, value in values["effect"].items()
    }
    effect, parts = Effect(**numbers) if numbers else None, tuple(map(stored_verdict, values["parts"]))
    named = values.get("name", ""), values.get("threshold", "")
    return Verdict(values["state"], effect, values["sentence"], parts, *named)


def chosen(runs: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the finished runs that ``where`` means.

    Raises:
        ConfigError: there is no such column.
    """
    for column in where:
        has(runs, column)
    runs = selected(runs, where)
    return runs[runs["status"] == "finished"]


def effect_of(label: str, values: Sequence[float] | np.ndarray, unit: str = "") -> Effect:
    """Return the mean of independent draws, one value each, with its 95 % t-interval."""
    mean, _, half_width, n = estimate(values)
    return Effect(label, mean, mean - half_width, mean + half_width, n, unit)


def level(
    runs: pd.DataFrame, metric: str, where: Where, *, label: str = "", scale: float = 1.0, unit: str = ""
) -> Effect:
    """Return the mean of a metric over seeds, with its 95 % t-interval.

    Several runs of one seed (of several lengths, say) count with their mean: they share initial weights or data, so
    each of them is no new draw.
    """
    has(runs, metric)
    values = chosen(runs, where).groupby("seed")[metric].mean().to_numpy(dtype=float, na_value=math.nan)
    return effect_of(label or f"{metric} of {_named(where)}", values * scale, unit)


def compare(
    runs: pd.DataFrame,
    metric: str,
    a: Where,
    b: Where,
    *,
    paired_by: str | Sequence[str] = "seed",
    ratio: bool = False,
    label: str = "",
    scale: float = 1.0,
    unit: str = "",
) -> Effect:
    """Return how much more ``a`` has of a metric than ``b``, with its 95 % t-interval.

    Args:
        runs: the run table.
        metric: its column.
        a: which runs are compared.
        b: with which.
        paired_by: what two runs share that are compared with each other; a run without a partner does not count, and
            several partners (of one seed and several tasks, say) count with their mean.
        ratio: a ÷ b by their logarithms, for what is positive and spans magnitudes (several partners then count with
            their geometric mean); else a − b.
        label: what it is, for people.
        scale: 100 for accuracy in per cent; not for ratios.
        unit: of the result.

    Raises:
        ConfigError: no run has the metric.
        ValueError: a ratio with a scale.
    """
    has(runs, metric)
    if ratio and scale != 1:
        raise ValueError(f"scale={scale}: a ratio has none; leave it at 1")
    keys = [paired_by] if isinstance(paired_by, str) else list(paired_by)
    if ratio:
        with np.errstate(divide="ignore", invalid="ignore"):
            runs = runs.assign(**{metric: np.log(runs[metric].to_numpy(dtype=float, na_value=math.nan))})
    sides = [chosen(runs, where).groupby(keys)[metric].mean() for where in (a, b)]
    first, second = (side.to_numpy(float) for side in sides[0].align(sides[1]))  # without a partner: NaN
    sign, effect = "÷" if ratio else "−", effect_of("", (first - second) * scale, unit)
    if ratio:
        value, low, high = (math.exp(each) for each in (effect.value, effect.low, effect.high))
        effect = effect._replace(value=value, low=low, high=high)
    return effect._replace(label=label or f"{metric}, {_named(a)} {sign} {_named(b)}")


def combine(parts: Sequence[Verdict], sentence: str = "") -> Verdict:
    """Return one verdict of several: ``mixed`` where some support and some refute, theirs where they agree, else
    ``undecided``.

    Args:
        parts: the verdicts on parts of a claim, or on one claim in several settings.
        sentence: the finding; by default how many parts say what.

    Raises:
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("a verdict needs at least one part")
    states = [part.state for part in parts]
    state: State = "undecided"
    if "mixed" in states or {"supported", "refuted"} <= set(states):
        state = "mixed"
    elif len(set(states)) == 1:
        state = states[0]
    counts = ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states))
    return Verdict(state, None, sentence or f"Of {len(parts)} parts: {counts}.", tuple(parts))


def combine_named(parts: Mapping[str, Verdict]) -> Verdict:
    """Return one verdict of several, with a sentence that says which part came out how."""
    states = [part.state for part in parts.values()]
    said = [
        f"{state}: {', '.join(name for name, part in parts.items() if part.state == state)}"
        for state in dict.fromkeys(states)
    ]
    sentence = "; ".join(said)
    named = [replace(part, name=name) for name, part in parts.items()]
    return combine(named, f"{sentence[:1].upper()}{sentence[1:]}.")


def _named(where: Where) -> str:
    return " ".join(str(value) if column == "model" else f"{column}={value}" for column, value in where.items())
