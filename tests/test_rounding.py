"""One mean is one number, wherever it is printed."""

import ast
import math
import re
from fractions import Fraction

import numpy as np
import pytest

from gradreach.rounding import number, rounded, score_text, with_interval
from project import PROJECT

SRC = PROJECT / "src" / "gradreach"
PRINTED = ("analysis", "cli.py", "describe.py", "display.py", "sweeps/status.py", "sweeps/overview.py", "tasks/card.py")
"""Where numbers are written for people."""
ROUNDS = re.compile(r"\.\d*[efg%]|[efg%]$")


@pytest.mark.parametrize("noise", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("share", [0.9645, 0.125, 0.53125, 0.005, 0.9995])
def test_a_mean_is_rounded_alike_whichever_way_it_was_summed_and_written(share, noise):
    """In per cent with one digit, as a share, with three digits, and negated."""
    for _ in range(abs(noise)):
        share = float(np.nextafter(share, noise * np.inf))
    exact = Fraction(f"{share:.12g}") * 1000 + Fraction(1, 2)
    told = f"{exact.numerator // exact.denominator / 10:.1f}"
    assert number(share * 100, ".1f") == told
    assert number(share, ".1%") == score_text("accuracy", share) == f"{told}%"
    assert number(-share * 100, ".1f").removeprefix("−") == told
    if 0.1 <= share < 0.99:
        assert f"{float(number(share * 100, '.3g')):.1f}" == told


def test_numbers_that_are_no_halves_are_written_as_python_writes_them():
    chance = np.random.default_rng(0)
    for value in (chance.normal(size=2000) * 10.0 ** chance.integers(-12, 4, size=2000)).tolist():
        for form in (".0f", ".1f", ".3f", ".3g", ".5g", "g", ".1%", ",.0f"):
            plain = format(value, form)
            assert number(value, form) == (plain.replace("-", "−") if plain.strip("-0.%") else plain.removeprefix("-"))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 0.0, 1e300, 5e-324, 123456789012345.0])
def test_what_cannot_be_rounded_stays_as_it_is(value):
    for form in (".1f", ".3g", ".0%"):
        assert format(rounded(value, form), form) == format(value, form)


FILES = {p for place in PRINTED for p in [SRC / place, *(SRC / place).rglob("*.py")] if p.is_file()}
GEOMETRY = SRC / "analysis" / "pages" / "report" / "svg.py"


@pytest.mark.parametrize("path", sorted(FILES - {GEOMETRY}), ids=lambda path: str(path.relative_to(SRC)))
def test_no_other_place_rounds_what_people_read(path):
    """A format of its own would round halves by their last bit, and write a hyphen for a minus."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        spec = node.format_spec if isinstance(node, ast.FormattedValue) else None
        form = "".join(part.value for part in spec.values if isinstance(part, ast.Constant)) if spec else ""
        assert not ROUNDS.search(form), f"{path}:{node.lineno}: write it by gradreach.rounding.number"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((93.214, 91.8, 94.628), "93.2 ± 1.4"),
        ((0.0001234, 0.00004, 0.0002068), "0.000123 ± 0.000083"),
        ((91.8, -60.0, 243.8, ".3g", (0.0, 127.0)), "92 [0, 127]"),
        ((99.967, 99.8, 100.134, ".1f", (0.0, 100.0)), "99.97 [99.80, 100]"),
        ((1234.5, 1200.25, 1268.75), "1,235 ± 34"),
        ((0.75, 0.75, 0.75), "0.75"),
        ((60.0, math.nan, math.nan, ".1f"), "60.0"),
        ((2.0, -math.inf, 5.0), "2.0 [−∞, 5.0]"),
    ],
)
def test_an_estimate_has_two_digits_of_its_error_and_an_interval_that_ends_where_the_measure_does(found, text):
    assert with_interval(*found) == text
