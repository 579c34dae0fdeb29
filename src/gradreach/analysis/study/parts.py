"""Parts of a claim: a quantity and its threshold, several of them, or arithmetic."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from gradreach.analysis.results import Results, Where
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.statistics import Interval
from gradreach.analysis.stats.verdict import Effect, State, Verdict, as_aside, combine_named
from gradreach.analysis.study.selection import in_words
from gradreach.rounding import number, threshold_text

FEWEST = 3
"""The fewest seeds for a meaningful interval of a mean."""
MANY = 1000
"""The most seeds: a part that needs more is never decided."""
NOTHING = "no runs to compare"
SPANS = "the interval contains the threshold"
MEDIAN = "the median's interval by signs alone"


class Threshold(NamedTuple):
    """The threshold of a part: what its quantity is compared with.

    >>> str(Threshold("within", 2)), str(Threshold("below", 1.1920929e-5))
    ('within ±2', 'below 1.2e−05')
    """

    kind: Literal["above", "below", "within"]
    at: float

    def __str__(self) -> str:
        return f"{self.kind} {'±' * (self.kind == 'within')}{threshold_text(self.at)}"

    def judge(self, effect: Effect) -> tuple[State, str]:
        """Return what the whole interval decides, or why it decides nothing."""
        if effect.full:
            return "no room", effect.full
        if effect.n == 0:
            return "open", NOTHING
        if effect.absent:
            return "open", f"{effect.absent} of {effect.n + effect.absent} seeds have no value"
        if not effect.known or (effect.n < FEWEST and not effect.alike):
            return "open", f"{effect.n} seeds are too few"
        state = self._says(effect.low, effect.high)
        if state == "open":
            return "open", SPANS
        if state != self._says(np.fmin(effect.low, effect.other_low), np.fmax(effect.high, effect.other_high)):
            ends = f"{number(effect.other_low, '.3g')} to {number(effect.other_high, '.3g')}"
            return "open", f"{MEDIAN}, {ends}, contains the threshold"
        return state, ""

    def margin(self, effect: Effect) -> float | None:
        """Return the interval's distance from the threshold, relative to the threshold, or if zero to the value.

        None where there is no interval; of one that holds the threshold, how far its nearer end is from it.

        >>> Threshold("below", 10).margin(Effect("", 4, 3, 5, 6))
        0.5
        """
        bounds = (self.at, -self.at) if self.kind == "within" else (self.at,)
        distance = min(abs(end - at) for end in (effect.low, effect.high) for at in bounds)
        scale = abs(self.at) or abs(effect.value)
        return float(distance / scale) if scale and math.isfinite(distance) else None

    def _says(self, low: float, high: float) -> State:
        """Return what an interval with these ends decides."""
        at = self.at
        if self.kind == "within":
            supported, refuted = -at < low and high < at, low > at or high < -at
        else:
            above, below = low > at, high < at
            supported, refuted = (above, below) if self.kind == "above" else (below, above)
        return "supported" if supported else "refuted" if refuted else "open"


@dataclass(frozen=True)
class Quantity(ABC):
    """A number with its interval, not yet compared with a threshold."""

    def above(self, threshold: float) -> "Part":
        """Claim that it lies above a threshold; refuted where it lies below."""
        return Part(self, Threshold("above", threshold))

    def below(self, threshold: float) -> "Part":
        """Claim that it lies below a threshold; refuted where it lies above."""
        return Part(self, Threshold("below", threshold))

    def within(self, threshold: float) -> "Part":
        """Claim that it lies between plus and minus a threshold; refuted if it lies beyond."""
        return Part(self, Threshold("within", threshold))

    @property
    @abstractmethod
    def words(self) -> str:
        """Its description, before anything is known about the runs."""

    @abstractmethod
    def of(self, results: Results, part: str = "", threshold: "Threshold | None" = None) -> Effect:
        """Return it with its interval, at the level of the results.

        Args:
            results: the runs that count: those whose setting was chosen.
            part: what an error calls it.
            threshold: what it is compared with, which decides whether there is room.

        Raises:
            ConfigError: no run has the metric, or a selector leaves a setting open that was swept.
        """

    @abstractmethod
    def check(self, results: Results, part: str) -> None:
        """Check before the runs that it selects one configuration per seed.

        Raises:
            ConfigError: it leaves a setting open that is swept.
        """

    def shown(self, found: Interval) -> Interval:
        """Return an interval in the unit in which thresholds are written."""
        scale = OUTCOMES[self.outcome].scale
        return found._replace(value=scale * found.value, low=scale * found.low, high=scale * found.high)

    @property
    @abstractmethod
    def outcome(self) -> str:
        """Its outcome class, one of ``OUTCOMES``, which determines its test."""

    @property
    def sides(self) -> "tuple[Where, ...]":
        """The selected runs of each side; empty if they are unknown before it is computed."""
        return ()

    def nothing(self, results: Results) -> str:
        """Say why it has no data, if it has none."""
        return NOTHING

    def split(self, results: Results) -> "list[tuple[Where, Quantity]]":
        """Return one quantity for each value of ``each=``, and which; none where there is none."""
        return []


@dataclass(frozen=True)
class Part:
    """A quantity and what is claimed about it."""

    quantity: Quantity
    threshold: Threshold

    @property
    def rule(self) -> str:
        """The part in words: supported if the whole interval lies so, refuted if it lies beyond."""
        return f"{self.quantity.words}: {self.threshold}"

    def judge(self, results: Results, name: str = "") -> Verdict:
        """Compare the quantity with its threshold; with ``each=``, that of every value."""
        several = self.quantity.split(results)
        if several:
            return combine_named(
                {
                    in_words(place): Part(each, self.threshold).judge(results, f"{name}, {in_words(place)}")
                    for place, each in several
                }
            )
        effect = self.quantity.of(results, name, self.threshold)
        unit = effect.unit if effect.unit in ("%", "points", "steps") else ""
        words = f"{self.threshold}{f' {unit}' if unit else ''}"
        state, why = self.threshold.judge(effect)
        if effect.n == 0:
            why = self.quantity.nothing(results)
        said = f"; {why}" if why else ""
        sentence, margin = f"{effect}; threshold: {words}{said}.", self.threshold.margin(effect)
        return Verdict(state, effect, sentence, threshold=words, why=why, margin=margin)

    def number(self, results: Results) -> int:
        """Return its number of tests: one per value of ``each=``, none for fixed values."""
        return 0 if self.quantity.outcome == "fixed" else len(self.quantity.split(results)) or 1

    def least(self, level: float) -> int:
        """Return the number of seeds with which some outcome supports it at a level."""
        outcome = OUTCOMES[self.quantity.outcome]
        if outcome.extremes is None:
            return 1 if self.quantity.outcome == "fixed" else FEWEST
        for n in range(1, MANY):
            for values in outcome.extremes(n):
                found = outcome.deciding(values, level)
                state, _ = self.threshold.judge(Effect("", *self.quantity.shown(found), level=level))
                if state == "supported":
                    return n
        return MANY


@dataclass(frozen=True)
class Arithmetic:
    """A part that needs no run: true or false by calculation."""

    holds: Callable[[], bool]
    words: str

    @property
    def rule(self) -> str:
        """The part in words."""
        return "arithmetic"

    def judge(self, results: Results, name: str = "") -> Verdict:
        """Calculate."""
        return Verdict("supported" if self.holds() else "refuted", None, f"Arithmetic: {self.words}")


def arithmetic(holds: Callable[[], bool], words: str) -> Arithmetic:
    """Declare a part that needs no run.

    Args:
        holds: whether it is true.
        words: why, in a sentence.

    >>> arithmetic(lambda: 3 * 4 < 4 * 4, "A GRU has three matrices, an LSTM four.").judge(None).state
    'supported'
    """
    return Arithmetic(holds, words)


Parts = Mapping[str, "Part | Arithmetic | Parts"]
"""Parts by their names; a mapping within is one part that has parts."""


def judge_parts(parts: Parts, results: Results, asides: Parts | None = None) -> Verdict:
    """Judge every part, and combine them; asides stand beside them, and the state is that of the parts alone."""

    def each(some: Parts) -> dict[str, Verdict]:
        return {
            name: judge_parts(part, results) if isinstance(part, Mapping) else part.judge(results, name)
            for name, part in some.items()
        }

    return combine_named(each(parts) | {name: as_aside(found) for name, found in each(asides or {}).items()})


def leaves_of(parts: Parts, prefix: str = "") -> "dict[str, Part | Arithmetic]":
    """Return the parts that have no parts, by their names; one within another has both names."""
    found: dict[str, Part | Arithmetic] = {}
    for name, part in parts.items():
        if isinstance(part, Mapping):
            found |= leaves_of(part, f"{prefix}{name}: ")
        else:
            found[f"{prefix}{name}"] = part
    return found


def named_leaves(verdict: Verdict, prefix: str = "") -> list[Verdict]:
    """Return the leaves of a verdict in order; one within another has both names."""
    if not verdict.parts:
        return [replace(verdict, name=f"{prefix}{verdict.name}")]
    inner = f"{prefix}{verdict.name}: " if verdict.name else prefix
    return [leaf for part in verdict.parts for leaf in named_leaves(part, inner)]
