"""Effects and what is found of a claim: a verdict with its parts."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from gradreach.analysis.stats.statistics import estimate
from gradreach.rounding import number

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


def effect_of(label: str, values: Sequence[float] | np.ndarray, unit: str = "") -> Effect:
    """Return the mean of independent draws, one value each, with its 95 % t-interval."""
    mean, _, half_width, n = estimate(values)
    return Effect(label, mean, mean - half_width, mean + half_width, n, unit)


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
