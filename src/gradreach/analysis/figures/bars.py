"""Groups beside each other: mean with interval, and every seed."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gradreach.analysis.figures.groups import draw_point, legend, point, tell
from gradreach.analysis.figures.scores import ACCURACY, draw_chance
from gradreach.analysis.results import Results
from gradreach.analysis.tables import Measure
from gradreach.drawing import WIDE, figure_of, saved, series


def bars(
    results: Results,
    stem: Path,
    *,
    by: str = "architecture",
    beside: str = "task",
    measure: Measure = ACCURACY,
    chance: bool = False,
    line: tuple[float, str] | None = None,
) -> Figure:
    """Draw a measure of groups that have no order: a place for each, a colour for each value of another key.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        by: what stands at a place of its own.
        beside: what stands beside each other at a place.
        measure: what is measured of a run.
        chance: whether to draw the chance level.
        line: a value to compare with, and what it is.
    """
    runs = results.runs
    places = list(dict.fromkeys(runs[by]))
    kinds = sorted(runs[beside].dropna().unique(), key=str)
    with saved(stem, size=(max(WIDE[0], 0.75 * len(places) + 1.2), 3.4)) as (axes,):
        for i, kind in enumerate(kinds):
            look = series(i)
            axes.plot([], [], look["marker"], color=look["color"], label=str(kind))
            for at, place in enumerate(places):
                some = runs[(runs[by] == place) & (runs[beside] == kind)]
                if some.empty:
                    continue
                x = at + 0.6 * ((i + 0.5) / len(kinds) - 0.5)
                finished = some[some["status"] == "finished"]
                values = measure.values(finished)
                side = x + 0.06 + 0.03 * np.linspace(-1, 1, max(len(values), 1))
                for run_id, offset, value in zip(finished["run_id"], side, values, strict=False):
                    (dot,) = axes.plot(offset, value, ".", color=look["color"], markersize=2.5, alpha=0.5)
                    tell(dot, f"{place}, {kind}, run {run_id}: {value:.4g}")
                draw_point(axes, x, point(some, measure), look, f"{place}, {kind}")
        if chance:
            draw_chance(axes, runs, measure)
        if line is not None:
            axes.axhline(line[0], color="black", linewidth=0.8, label=line[1])
        axes.set_xticks(range(len(places)), [str(place).replace(" ", "\n") for place in places])
        axes.set(ylabel=measure.label, xlim=(-0.6, len(places) - 0.4))
        axes.grid(visible=False, axis="x")
        legend(figure_of([axes]))
    return figure_of([axes])
