"""What docs/tasks.md says should come out are lines that can be typed, with figures that are good enough."""

import re
import runpy

import pytest

from gradreach.config import parse, plain
from project import PROJECT

sanity = runpy.run_path(str(PROJECT / "docs" / "sanity.py"))
LINES = sanity["SHORT"] | sanity["LONG"]


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_a_configuration_and_stands_on_the_page_with_a_figure_that_is_good_enough(name, composed):
    line = LINES[name]
    assert parse(plain(composed(*line.overrides.split())))
    [row] = [row for row in sanity["PAGE"].read_text().splitlines() if row.startswith(f"| `{line.overrides}` |")]
    figure = row.split("|")[2].strip()
    metric, value = ("mse", figure.removeprefix("mse ")) if figure.startswith("mse") else ("accuracy", figure)
    assert re.fullmatch(r"[\d.e-]+%?", value)
    reached = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    assert sanity["good_enough"](line, {"metric": metric, "metrics": {f"test/{metric}": reached}})
