"""Warnings of a run, kept with its results: in a sweep nobody sees its output."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

MOST = 20
"""The most different warnings kept of a run."""
LONGEST = 500
"""The most characters of each."""
NUMBERS = re.compile(r"\d+")


@contextmanager
def noted(told: list[str]) -> Iterator[None]:
    """Add each warning that is shown within to a list, in one line and once; it is shown all the same.

    What an earlier run of this process was warned of is shown again: Python forgets it when filters change.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, *where: Any, **more: Any) -> None:
            text = " ".join(str(message).split())[:LONGEST]
            if text and text not in told and len(told) < MOST:
                told.append(text)
            show(message, *where, **more)

        warnings.showwarning = note
        yield


def kinds(warned: Iterable[Sequence[str]]) -> dict[str, int]:
    """Count in how many runs each kind of warning was given; those that differ in numbers alone are of one kind.

    >>> kinds([["gru: called 8 times"], ["gru: called 16 times", "slow"], []])
    {'gru: called 8 times': 2, 'slow': 1}
    """
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for texts in warned:
        for kind, text in {NUMBERS.sub("0", text): text for text in reversed(texts)}.items():
            name = first.setdefault(kind, text)
            counts[name] = counts.get(name, 0) + 1
    return counts
