"""A verdict, look by look: decided parts stay decided, and pilots decide nothing."""

from dataclasses import replace

from gradreach.analysis.results import Results
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.verdict import Verdict, combine_named
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.looks import Looks, looks_of
from gradreach.analysis.study.parts import SPANS, Part, judge_parts, leaves_of

PILOTS = "pilot seeds"
"""Why parts that rest on seeds below 100 are open."""
DECIDED = ("supported", "refuted", "no room")
SEEDLESS = [OUTCOMES[name].words for name in ("fixed", "rounds")]
"""Tests for values that do not depend on the seed."""


def looks_at(study: Study, results: Results, seeds: list[int]) -> Looks:
    """Return the looks of a study at runs whose seeds were planned so.

    Raises:
        ConfigError: the looks do not end by that many seeds.
    """
    chosen = study.of_chosen(results)
    number = sum(part.number(chosen) for part in leaves_of(study.parts).values() if isinstance(part, Part))
    return looks_of(number, study.looks, seeds)


def judged(study: Study, results: Results, looks: Looks) -> Verdict | None:
    """Judge a claim at every look whose runs have all been done; None where there is no claim.

    A part is decided at the first look at which it can be. A look is not judged before it is complete.
    """
    if study.claim is None:
        return None
    if not looks.seeds:
        if results.to_do:
            left = f"{results.to_do} of {len(results.runs)} planned runs are still to be done."
            return Verdict("open", None, left)
        return _pilot(_at(study, results, looks))
    verdict: Verdict | None = None
    for seeds in looks.seeds:
        seen = results.where({"seed": seeds})
        if seen.to_do:
            left = f"{seen.to_do} of the {len(seen.runs)} runs of the look at {len(seeds)} seeds are still to be done"
            return Verdict("open", None, f"{left}.") if verdict is None else _waiting(verdict, left)
        found = _at(study, seen, looks)
        verdict = found if verdict is None else _kept(verdict, found)
    return verdict


def _at(study: Study, seen: Results, looks: Looks) -> Verdict:
    """Judge the runs of a look; settings are chosen by these alone."""
    prepared = seen.reordered(study.prepare(seen.runs))
    assert study.claim is not None
    return judge_parts(study.claim.parts, study.of_chosen(prepared).at(looks.level), study.claim.asides)


def _kept(before: Verdict, now: Verdict) -> Verdict:
    """Return what is known after another look."""
    if not now.parts:
        return before if before.state in DECIDED else now
    known = {part.name: part for part in before.parts}
    return combine_named({part.name: _kept(known.get(part.name, part), part) for part in now.parts})


def _waiting(verdict: Verdict, left: str) -> Verdict:
    """Add to open parts that another look is still to come."""
    if verdict.parts:
        return combine_named({part.name: _waiting(part, left) for part in verdict.parts})
    if verdict.state in DECIDED:
        return verdict
    return replace(verdict, why=f"{verdict.why}; {left}", sentence=f"{verdict.sentence.removesuffix('.')}; {left}.")


def _pilot(verdict: Verdict) -> Verdict:
    """Mark parts that rest on pilot seeds as open, and say what they point to."""
    if verdict.parts:
        return combine_named({part.name: _pilot(part) for part in verdict.parts})
    if verdict.effect is None or verdict.effect.test in SEEDLESS or not verdict.effect.n:
        return verdict
    points = f"they would say {verdict.state}" if verdict.state in DECIDED else verdict.why or SPANS
    why = f"{PILOTS}; {points}"
    return replace(verdict, state="open", why=why, sentence=f"{verdict.effect}; {why}.")
