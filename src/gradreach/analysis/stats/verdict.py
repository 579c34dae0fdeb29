"""Effects, and the verdict on a claim with its parts."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from gradreach.analysis.stats.intervals import OUTCOMES, lopsided
from gradreach.analysis.stats.statistics import LEVEL, Interval
from gradreach.rounding import SURE, number, rounded, with_interval

State = Literal["supported", "refuted", "no room", "open", "supported in part", "refuted in part"]
"""Outcomes; the first four are those of a part. A claim may also come out in part, and never has no room."""

UNITS = {"times": "×"}
"""Units that have a sign."""
LOPSIDED = "far from symmetric"
"""The note on an effect whose mean and median lie far apart."""
DECIDED = ("supported", "refuted")
"""Outcomes of a part that say something about the world."""

READING = (
    "A part is supported where its whole interval lies as its threshold says, and refuted where it lies beyond. It has "
    "no room where the reference is so near to a bound of what is possible, or both sides so near to chance, that "
    "nothing could come out. Else it is open, and says why. A claim is supported or refuted where all its parts are; "
    "refuted in part as soon as one part is; supported in part where some are and the rest is open or has no room. "
    "Asides are our own questions beside its words: they are tested as parts are, and its state is not made of them. "
    "Parts and the looks at them share an error of 5 %, so that each has a wider interval than one of 95 %. n counts "
    "seeds, or pairs of runs (several runs of one seed count with their mean). What rests on signed ranks is decided "
    "only where the interval of the median by signs alone agrees, which needs no symmetry; values are far from "
    "symmetric where mean and median lie half a standard deviation apart, or more. Seeds draw weights and the order of "
    "batches; data and made-up patterns are one draw: intervals are over training, not over data, but for those by "
    "example."
)
"""How verdicts and their effects are read, wherever several stand together."""


class Effect(NamedTuple):
    """The number behind a verdict.

    - ``label``: what it is, for people.
    - ``value``, ``low``, ``high``: estimate and interval; NaN or infinite where there are too few runs for one.
    - ``n``: how many seeds, or pairs, it rests on.
    - ``unit``: of the three, such as ``points`` or ``steps``.
    - ``level``: α, what the interval may miss: it covers 1 − α.
    - ``absent``: how many seeds, or pairs, have no such number; as long as there are any, nothing is decided.
    - ``test``: by which its interval is found.
    - ``full``: why nothing could come out, whatever the runs; empty where something could.
    - ``other_low``, ``other_high``: of another interval, which has to agree before anything is decided; NaN where the
      class asks for none.
    - ``note``: what a reader has to know of the values.
    """

    label: str
    value: float
    low: float
    high: float
    n: int
    unit: str = ""
    level: float = LEVEL
    absent: int = 0
    test: str = ""
    full: str = ""
    other_low: float = math.nan
    other_high: float = math.nan
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there are enough values for an interval."""
        return not math.isnan(self.low)

    @property
    def alike(self) -> bool:
        """Whether the interval has practically no width: arithmetic, or identical in all runs."""
        return math.isclose(self.low, self.high, rel_tol=1e-3)

    @property
    def estimate(self) -> str:
        """The number for people, with its interval."""
        if self.n == 0:
            return "no runs to compare"
        value, low, high = (number(each, ".3g") for each in (self.value, self.low, self.high))
        unit = f" {self.unit}" if self.unit else ""
        if not self.known:
            return f"{value}{unit} (n = {self.n}, too small for an interval)"
        if self.alike:
            return f"{value}{unit}, identical in all runs"
        note = f"; {self.note}" if self.note else ""
        return f"{value}{unit}, {number(100 * (1 - self.level), '.3g')} % interval {low} to {high} (n = {self.n}{note})"

    @property
    def number(self) -> str:
        """The number with its interval in brackets, as short as possible."""
        if self.n == 0:
            return "–"
        unit = f" {UNITS.get(self.unit, self.unit)}" if self.unit else ""
        low, high = (math.nan, math.nan) if self.alike else (self.low, self.high)
        value, space, ends = with_interval(self.value, low, high, brackets=True).partition(" ")
        return f"{value}{unit}{space}{ends}"

    @property
    def what(self) -> str:
        """What the number measures, without the runs behind it."""
        return self.label.partition(" (")[0].partition(", ")[0]

    def with_other(self, other: Interval, values: Sequence[float] | np.ndarray) -> "Effect":
        """Return it with the interval that has to agree, and told where its values are far from symmetric."""
        note = LOPSIDED if lopsided(values) else ""
        return self._replace(other_low=other.low, other_high=other.high, note=note)

    def __str__(self) -> str:
        return f"{self.label}: {self.estimate}"


@dataclass(frozen=True)
class Verdict:
    """What the records say about a claim, or a part of it.

    - ``state``: what came out.
    - ``effect``: what it rests on; None where only ``parts`` have one, or nothing was measured.
    - ``sentence``: the finding, for people.
    - ``parts``: the verdicts that it combines.
    - ``name``: of the part of a claim that it is on.
    - ``threshold``: what its effect was compared with; empty of what has parts, or is arithmetic.
    - ``why``: it is open, or has no room.
    - ``aside``: whether it is our own question beside the claim, which does not count in the claim's state.
    - ``margin``: how far the interval stays from the threshold, relative to it; None where that is not known.
    """

    state: State
    effect: Effect | None
    sentence: str
    parts: tuple["Verdict", ...] = ()
    name: str = ""
    threshold: str = ""
    why: str = ""
    aside: bool = False
    margin: float | None = None

    @property
    def leaves(self) -> tuple["Verdict", ...]:
        """The parts without parts of their own; itself if it has none."""
        return tuple(leaf for part in self.parts for leaf in part.leaves) or (self,)

    @property
    def asides(self) -> tuple["Verdict", ...]:
        """The parts that are asides."""
        return tuple(part for part in self.parts if part.aside)

    @property
    def counted(self) -> tuple["Verdict", ...]:
        """The leaves that decide its state: of a claim all but its asides."""
        return tuple(leaf for leaf in self.leaves if leaf.aside == self.aside)

    @property
    def by_arithmetic(self) -> bool:
        """Whether it was decided without a test: by calculation, or of what is the same in every run."""
        return self.state in DECIDED and (self.effect is None or self.effect.test == OUTCOMES["fixed"].words)

    @property
    def counts(self) -> str:
        """How many of the parts came out how, as in ``1 refuted, 1 open``; empty where all agree.

        Where all that is decided is so by arithmetic alone, that is told first.
        """
        decided = [leaf for leaf in self.counted if leaf.state in DECIDED]
        alone = bool(decided) and all(leaf.by_arithmetic for leaf in decided)
        states = _states(self.counted)
        told = ["by arithmetic alone"] * alone + [states] * (", " in states)
        return "; ".join(told)

    @property
    def words(self) -> str:
        """The state with these counts, and how asides came out."""
        said = f"{self.state}: {self.counts}" if self.counts else self.state
        asides = [leaf for leaf in self.leaves if leaf.aside and not self.aside]
        return f"{said}; aside: {_states(asides)}" if asides else said

    @property
    def lead(self) -> "Verdict | None":
        """The leaf to show where there is room for one: refuted, else supported by more than arithmetic, else any.

        Of a part that consists of several it is the one that came nearest to its threshold, so that no other of the
        same outcome is worse than what is shown.
        """
        known = [leaf for leaf in self.counted if leaf.effect is not None]
        first = min(known, key=_rank, default=None)
        if first is None:
            return None
        parts = (self,) if self.name else self.parts or (self,)
        beside = next(part.leaves for part in parts if any(leaf is first for leaf in part.leaves))
        return min((leaf for leaf in beside if leaf.effect is not None and leaf.state == first.state), key=_nearness)

    @property
    def refuted(self) -> tuple["Verdict", ...]:
        """The parts that count and are refuted as a whole, wherever they stand; a part of a part has both names."""
        if self.state == "refuted" and (self.name or not self.parts):
            return (self,)
        found = (each for part in self.parts if part.aside == self.aside for each in part.refuted)
        return tuple(replace(each, name=": ".join(filter(None, (self.name, each.name)))) for each in found)


def _states(leaves: Sequence[Verdict]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(leaf.state for leaf in leaves).items())


def _rank(leaf: Verdict) -> int:
    assert leaf.effect is not None
    return 0 if leaf.state == "refuted" else 1 + leaf.effect.alike if leaf.state == "supported" else 3


def _nearness(leaf: Verdict) -> float:
    return math.inf if leaf.margin is None else rounded(leaf.margin, f".{SURE}g")  # of equal ones the first


def stored_verdict(values: Mapping[str, Any]) -> Verdict:
    """Return a verdict as ``summary.json`` holds it, where what is not a number is null."""
    numbers = values["effect"] and {
        key: math.nan if value is None else value for key, value in values["effect"].items()
    }
    effect, parts = Effect(**numbers) if numbers else None, tuple(map(stored_verdict, values["parts"]))
    more = {key: values[key] for key in ("name", "threshold", "why", "aside", "margin") if key in values}
    return Verdict(values["state"], effect, values["sentence"], parts, **more)


def effect_of(
    label: str, values: Sequence[float] | np.ndarray, unit: str = "", level: float = LEVEL, outcome: str = "mean"
) -> Effect:
    """Return what an outcome class makes of independent draws, one value each: by default their mean, by Student's t.

    Values that are not there are counted as absent.

    Args:
        label: what it is.
        values: one a seed.
        unit: of the values.
        level: what the interval may miss; in a part of a claim ``results.level``.
        outcome: one of ``OUTCOMES``; of ``share`` values are true or not, and what is told is in per cent.

    >>> str(effect_of("solved", [True] * 12, "%", outcome="share"))
    'solved: 100 %, 95 % interval 73.5 to 100 (n = 12)'
    """
    kind = OUTCOMES[outcome]
    found = kind.interval(np.asarray(values, float), level)
    value, low, high = (kind.scale * end for end in found[:3])
    effect = Effect(label, value, low, high, found.n, unit, level, len(values) - found.n, kind.words)
    return effect if kind.agrees is None else effect.with_other(kind.agrees(np.asarray(values, float), level), values)


def combine(parts: Sequence[Verdict], sentence: str = "") -> Verdict:
    """Combine several verdicts into one.

    Supported or refuted where all are; refuted in part as soon as one is, wholly or in part; else supported in part
    where one is; else open: one that has no room is not support. Asides do not count, but among themselves.

    Args:
        parts: the verdicts on parts of a claim, or on one claim in several settings.
        sentence: the finding; by default how many parts say what.

    Raises:
        ValueError: there are no parts.
    """
    if not parts:
        raise ValueError("a verdict needs at least one part")
    aside = all(part.aside for part in parts)
    states = [part.state for part in parts if part.aside == aside]
    state: State = "open"
    if set(states) in ({"supported"}, {"refuted"}):
        state = states[0]
    elif {"refuted", "refuted in part"} & set(states):
        state = "refuted in part"
    elif {"supported", "supported in part"} & set(states):
        state = "supported in part"
    counts = ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states))
    return Verdict(state, None, sentence or f"Of {len(states)} parts: {counts}.", tuple(parts), aside=aside)


def combine_named(parts: Mapping[str, Verdict]) -> Verdict:
    """Return one verdict of several, with a sentence that says which part came out how."""
    named = [replace(part, name=name) for name, part in parts.items()]
    aside = all(part.aside for part in named)
    said = _said([part for part in named if part.aside == aside])
    beside = _said([part for part in named if part.aside != aside])
    sentence = f"{said[:1].upper()}{said[1:]}.{f' Aside, {beside}.' if beside else ''}"
    return combine(named, sentence)


def _said(parts: Sequence[Verdict]) -> str:
    return "; ".join(
        f"{state}: {', '.join(part.name for part in parts if part.state == state)}"
        for state in dict.fromkeys(part.state for part in parts)
    )


def as_aside(verdict: Verdict) -> Verdict:
    """Return a verdict whose leaves are all marked as asides.

    >>> own, ours = Verdict("open", None, ""), as_aside(Verdict("refuted", None, ""))
    >>> combine_named({"it is": own, "is it worth it?": ours}).words
    'open; aside: 1 refuted'
    """
    if verdict.parts:
        return replace(verdict, parts=tuple(map(as_aside, verdict.parts)), aside=True)
    return replace(verdict, aside=True)
