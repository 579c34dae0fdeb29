"""The picture of the benchmark: what a training step costs, against the length of the sequence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.growth import GROWTH
from benchmarks.measure import Row
from benchmarks.one_run import LOOP, LOOP_FLUSHING, RUNS, RUNS_TORCH
from gradreach.drawing import INK, save_figure
from gradreach.look import Look, looks_of

LINES = {
    LOOP: "loop by hand",
    LOOP_FLUSHING: "loop that flushes denormal numbers",
    RUNS_TORCH: "gradreach, kernels=torch",
    RUNS: "gradreach",
}
"""One architecture, the GRU, and what is added from line to line: a flag, the harness, its kernels."""
CLOSEST = 0.055
"""How close two labels may come, as a share of the height."""


def curves(rows: Sequence[Row]) -> dict[str, list[tuple[int, float]]]:
    """Return length and milliseconds a step of every line, from the rows of growth."""
    found: dict[str, list[tuple[int, float]]] = {}
    for name in LINES:
        points = [
            (int(row.case.removeprefix("T = ")), row.value)
            for row in rows
            if row.what == f"{GROWTH}, {name}" and row.case.startswith("T = ")
        ]
        if points:
            found[name] = sorted(points)
    return found


def look(name: str) -> Look:
    """Return colour, dash and marker of a line: the same whichever others there are."""
    return looks_of(LINES)[name]


def draw(rows: Sequence[Row], stem: Path) -> bool:
    """Draw cost against length as PNG and PDF; return whether there was anything to draw."""
    found = curves(rows)
    if not found:
        return False
    with save_figure(stem, size=(6.2, 3.6)) as (axes,):
        for name, points in found.items():
            axes.plot(*zip(*points, strict=True), **look(name).line, markersize=4)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        lengths = sorted({length for points in found.values() for length, _ in points})
        axes.xaxis.set_major_locator(FixedLocator(lengths))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda length, _: f"{length:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set(xlabel="steps of the sequence, T", ylabel="a training step (ms of CPU)")
        label(axes, found)
    return True


def label(axes: Axes, found: dict[str, list[tuple[int, float]]]) -> None:
    """Name each line at its end, and no two names on top of each other."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {name: to_axes.transform(points[-1])[1] for name, points in found.items()}
    height = -1.0
    for name in sorted(found, key=lambda name: heights[name]):
        height = max(heights[name], height + CLOSEST)
        place: Any = {"transform": axes.transAxes, "va": "center", "fontsize": 8}
        axes.text(1.01, height, LINES[name], color=INK, **place)
