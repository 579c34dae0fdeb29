"""A verdict in signs, one per part, where there is no room for words; and who makes a claim."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, TypeVar

from gradreach.analysis.order import natural
from gradreach.analysis.stats.verdict import Verdict

SIGNS = {"supported": "✔", "refuted": "✘", "open": "◌", "no room": "▫"}
LEGEND = " · ".join(f"{sign} {state}" for state, sign in SIGNS.items())
"""What the signs mean, to be printed beside them: who hears a page hears the words here, and beside every part."""
MANY = 6
"""More signs than these are counted."""


def sign(verdict: Verdict) -> str:
    """Return the sign of a part; of one that came out differently in its settings, one of each, in brackets.

    >>> sign(Verdict("refuted", None, ""))
    '✘'
    """
    if verdict.state in SIGNS:
        return SIGNS[verdict.state]
    states = dict.fromkeys(leaf.state for leaf in verdict.leaves)
    return f"({''.join(SIGNS[state] for state in states)})"


def signs(verdict: Verdict | None) -> str:
    """Return one sign for each part that a claim consists of, in order; asides have none. Nothing: it was not run.

    Of more than six, equal ones are counted: ``✔×4◌×3``.

    >>> from gradreach.analysis.stats.verdict import combine_named
    >>> smaller, faster = Verdict("supported", None, ""), Verdict("open", None, "")
    >>> signs(combine_named({"smaller": smaller, "faster": faster}))
    '✔◌'
    """
    if verdict is None:
        return ""
    each = [sign(part) for part in verdict.parts if part.aside == verdict.aside] or [sign(verdict)]
    if len(each) <= MANY:
        return "".join(each)
    counted = ((same, len([*some])) for same, some in groupby(each))
    return "".join(f"{same}{f'×{number}' if number > 1 else ''}" for same, number in counted)


T = TypeVar("T")


def in_groups(each: Iterable[T], claim_of: Callable[[T], Any]) -> dict[str, list[T]]:
    """Return what stands together: claims of the notes, questions of ours, studies that make no claim; C2 before C13.

    Args:
        each: studies, in any form.
        claim_of: returns the claim of one, as ``Claim`` or as its words in ``summary.json``; None where it has none.
    """
    groups: dict[str, list[T]] = {"claims of the notes": [], "questions of our own": [], "without a claim": []}
    notes, ours, others = groups.values()
    for one in each:
        claim = claim_of(one)
        (others if not claim else notes if _said(claim, "section") else ours).append(one)
    for some in (notes, ours):
        some.sort(key=lambda one: natural(_said(claim_of(one), "id")))
    return {name: some for name, some in groups.items() if some}


def _said(claim: Any, word: str) -> str:
    return str(claim.get(word, "") if isinstance(claim, dict) else getattr(claim, word))
