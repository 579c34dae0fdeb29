"""What the documentation promises, run."""

import inspect
import re
import runpy
from pathlib import Path

import pytest

from gradreach import diagnostics

DOCS = Path(__file__).parents[2] / "docs"
SIZE_ENDS = 33
"""Bytes of a PNG, to the end of its width, height and colours."""


def test_the_five_line_recipe_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "diagnostics.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    names: dict = {}
    for block in blocks:
        exec(block, names)
    said = re.fullmatch(r"half-life ([\d.]+) steps, reaches (\d+) steps back\n", capsys.readouterr().out)
    assert said
    assert 0.5 < float(said[1]) < 3
    assert int(said[2]) < 99
    lines = [line for line in blocks[1].splitlines() if line and "import" not in line]
    assert len(lines) <= 5
    assert names["traced"].names == [("lstm.0", "forward"), ("lstm.1", "forward")]
    assert names["exponents"].shape == (16, 3)


def test_every_function_that_wants_a_layer_is_shown_with_one_after_the_page_has_said_what_that_is():
    text = (DOCS / "diagnostics.md").read_text(encoding="utf-8")
    shown = text.index("layer = traced.layers[1]")
    for name in diagnostics.__all__:
        offered = getattr(diagnostics, name)
        if inspect.isfunction(offered) and "layer" in inspect.signature(offered).parameters and name in text:
            assert text.index(f"{name}(layer") > shown, name


@pytest.mark.slow
def test_the_pictures_are_drawn_by_the_tool(tmp_path):
    script = runpy.run_path(str(DOCS / "draw_diagnostics.py"))
    text = (DOCS / "diagnostics.md").read_text(encoding="utf-8")
    for function in ("draw_profiles", "draw_terms", "draw_field", "draw_training"):
        script[function].__globals__["FIGURES"] = tmp_path
        script[function]()
    for name in re.findall(r"figures/(\w+\.png)", text):
        drawn, kept = (tmp_path / name).read_bytes(), (DOCS / "figures" / name).read_bytes()
        if name == "training.png":  # 400 steps make another network of the last digits, which processors differ in
            drawn, kept = drawn[:SIZE_ENDS], kept[:SIZE_ENDS]
        assert drawn == kept
