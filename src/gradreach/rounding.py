"""How numbers are written for people: rounded in one way everywhere, with a minus that is one."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

SURE = 12
"""Digits of a computed number that are meant; those behind them change with the order of a sum."""
FORM = re.compile(r"[+,]*(?:\.(\d+))?([fg%]?)")


def number(value: float, form: str = "") -> str:
    """Return a number for people: a half is rounded up, its minus is one, no hyphen, and zero has none.

    A mean of 96.45 may be stored as 96.4499…9 or 96.450…1, by the order in which it was summed. Both are 96.5 here,
    as is 96.45 itself, whose next digits as a float nobody sees. CSV keeps what Python writes.

    Args:
        value: the number.
        form: how it is written, as in ``format``: ``.1f``, ``.3g``, ``,.0f``, ``.1%``; empty: as Python writes it.

    >>> number(96.45, ".1f"), number(96.44999999999999, ".3g"), number(0.9645, ".1%"), number(-0.04, ".1f")
    ('96.5', '96.5', '96.5%', '0.0')
    """
    text = format(rounded(value, form) if isinstance(value, float) else value, form)
    return text.removeprefix("-") if not text.strip("-0.%") else text.replace("-", "−")


def score_text(metric: str, value: Any) -> str:
    """Return a score as people read it: an accuracy in per cent.

    >>> score_text("accuracy", 0.118), score_text("mse", 0.1634)
    ('11.8%', '0.163')
    """
    return number(float(value), ".1%" if metric == "accuracy" else ".3g")


def rounded(value: float, form: str) -> float:
    """Return what a number is once it is written in a form, halves rounded away from zero."""
    found = FORM.fullmatch(form)
    if not math.isfinite(value) or value == 0 or found is None or not found[2]:
        return value
    exact = Decimal(f"{value:.{SURE}g}")
    digits = 6 if found[1] is None else int(found[1])
    last = exact.adjusted() - max(digits, 1) + 1 if found[2] == "g" else -digits - 2 * (found[2] == "%")
    if exact.adjusted() - last >= SURE:  # of so large a number even the last digit that is sure is shown
        return value
    return float(exact.quantize(Decimal(1).scaleb(last), ROUND_HALF_UP))
