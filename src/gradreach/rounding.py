"""How numbers are written for people: rounded the same way everywhere, with a real minus sign."""

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

SURE = 12
"""Reliable digits of a computed number; later ones change with the order of a sum."""
SHOWN = 6
"""Digits behind the point, beyond which numbers are written as powers of ten."""
LARGE = 1e7
"""From where on they are, too."""
THOUSAND = 1000
"""From where on ``in_short`` writes no digits behind the point."""
TINY = 1e-3
"""Thresholds below are shown with two digits."""
FORM = re.compile(r"[+,]*(?:\.(\d+))?([fg%]?)")


def number(value: float, form: str = "") -> str:
    """Return a number for people: halves are rounded up, the minus is not a hyphen, and zero has no sign.

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


def in_short(value: float, form: str) -> str:
    """Return a number in a form; from 1,000 on as a whole number with commas, with a sign if the form has one.

    >>> in_short(-0.9249, "+.3g"), in_short(1643259.8, "+.3g"), in_short(1646574.75, ".5g")
    ('−0.925', '+1,643,260', '1,646,575')
    """
    return number(value, f"{'+' if form.startswith('+') else ''},.0f" if abs(value) >= THOUSAND else form)


def with_interval(
    value: float,
    low: float,
    high: float,
    form: str = ".3g",
    limits: tuple[float, float] = (-math.inf, math.inf),
    brackets: bool = False,
) -> str:
    """Return an estimate with its interval: two digits of the error, and ends within the possible range.

    Args:
        value: the estimate.
        low: lower end, NaN where there is no interval.
        high: upper end.
        form: the format if there is no interval, or one without width.
        limits: bounds of the measure.
        brackets: write both ends also where they lie as far from the estimate.

    >>> with_interval(93.214, 91.8, 94.628), with_interval(91.8, -60, 243.8, limits=(0, 127))
    ('93.2 ± 1.4', '92 [0, 127]')
    >>> with_interval(0.752, 0.752, 0.752), with_interval(1234.5, 1200, 1260, brackets=True)
    ('0.752', '1,234 [1,200, 1,260]')
    """
    if math.isnan(low) or math.isnan(high) or math.isclose(low, high, rel_tol=1e-3):
        return number(value, form)
    cut = max(low, limits[0]), min(high, limits[1])
    known = [abs(end - value) for end in (low, high) if math.isfinite(end) and end != value]
    error = math.fsum(known) / len(known) if known else 0.0
    digits = 1 - math.floor(math.log10(error)) if error else 3
    form = f",.{max(digits, 0)}f" if digits <= SHOWN and abs(value) < LARGE else ".3g"
    shown = number(value, form)
    if not brackets and cut == (low, high) and math.isclose(high - value, value - low, rel_tol=1e-6):
        return f"{shown} ± {number(high - value, form)}"
    ends = [_end(end, form, end in limits) for end in cut]
    return f"{shown} [{', '.join(ends)}]"


def _end(end: float, form: str, last: bool) -> str:
    """Return the end of an interval; one that is a limit is known exactly."""
    if math.isinf(end):
        return "−∞" if end < 0 else "∞"
    return number(end, ",g" if last else form)


def threshold_text(at: float) -> str:
    """Return a threshold as people read it: with two digits of what is tiny, such as the rounding of floats.

    >>> threshold_text(1.1920929e-5), threshold_text(0.125)
    ('1.2e−05', '0.125')
    """
    return number(float(at), ".2g" if abs(at) < TINY else "g")


def score_text(metric: str, value: Any) -> str:
    """Return a score for people: an accuracy in per cent.

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
