"""A metric against its cost."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from gradreach.analysis.figures.common import (
    Point,
    draw_few,
    draw_point,
    head,
    of_one_length,
    point,
    series_of,
)
from gradreach.analysis.figures.labels import key_beside
from gradreach.analysis.figures.panels import grid
from gradreach.analysis.figures.scales import few_decades, show_whole_range
from gradreach.analysis.figures.scores import ACCURACY, draw_chance
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PANEL, figure_of, save_figure
from gradreach.look import without_unit
from gradreach.rounding import number

ALIKE = 1.01
"""Costs with at most this ratio count as equal."""

COSTS = {
    "parameters": "parameters",
    "multiply_adds": "multiply-adds per sequence",
    "seconds": "training time (s)",
}


def metric_by_cost(
    results: Results,
    stem: Path,
    *,
    costs: Sequence[str] = ("parameters", "multiply_adds", "seconds"),
    measure: Measure = ACCURACY,
    lower_is_better: bool = False,
    by: str = "architecture",
    seq_len: int | None = None,
) -> Figure:
    """Draw a measure against its costs, one panel per cost, and mark the Pareto front.

    A point is on the front if its whole interval beats everything cheaper: a step line with ringed points.
    Groups that are not complete are drawn, but do not make the front.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        costs: columns of the run table; their mean over the runs is the place of a point.
        measure: what is measured of a run.
        lower_is_better: as it is for an error.
        by: what makes a point.
        seq_len: of the runs that are drawn; None takes the longest.
    """
    runs, length = of_one_length(results.runs, seq_len)
    with save_figure(stem, *grid(len(costs)), sharex=False, size=PANEL) as drawn:
        named = series_of(runs, by)
        for axes, cost in zip(drawn, costs, strict=False):
            whole: list[tuple[float, Point]] = []
            for key, series in named.items():
                some = runs[runs[by] == key]
                y, x = point(some, measure), point(some, Measure(cost, cost)).value
                if math.isfinite(x) and y.valid:
                    axes.plot([], [], series.look.marker, color=series.look.color, label=series.label)
                    draw_few(axes, x, y, series.look)
                    draw_point(
                        axes, x, y, series.look, f"{series.look.name}, {COSTS.get(cost, cost)} {number(x, ',.4g')}"
                    )
                    whole += [(x, y)] if y.complete else []
                else:
                    axes.plot([], [], label=series.label)
            front = pareto(whole, lower_is_better=lower_is_better)
            if front:
                at, best = np.array([(x, y.value) for x, y in front]).T
                axes.step(at, best, where="post", color=INK, linewidth=0.8, zorder=0, label="Pareto front")
                axes.plot(at, best, "o", markersize=11, markerfacecolor="none", markeredgecolor=INK, linewidth=0.8)
            draw_chance(axes, runs, measure)
            axes.set(xlabel=COSTS.get(cost, cost), ylabel=measure.label)
            if math.isfinite(axes.dataLim.minposx):
                axes.set_xscale("log")
                few_decades(axes.xaxis, axes.dataLim.x1 / axes.dataLim.minposx)
                axes.xaxis.set_major_formatter(EngFormatter(sep=""))
                axes.xaxis.set_minor_formatter(NullFormatter())
            show_whole_range(axes, measure)
        for axes in drawn[len(costs) :]:
            axes.remove()
        head(figure_of(drawn), ", ".join(filter(None, (f"{without_unit(measure.label)}, by cost", length))))
        key_beside(figure_of(drawn))
    return figure_of(drawn)


def pareto(points: Iterable[tuple[float, Point]], *, lower_is_better: bool = False) -> list[tuple[float, Point]]:
    """Return the points that beat all that cost less, each by its whole interval, the cheapest first.

    Of points whose costs differ by less than one per cent, the one of the best mean counts.
    """
    sign = -1 if lower_is_better else 1
    front: list[tuple[float, Point]] = []
    for cost, y in sorted(points, key=lambda point: (point[0], -sign * point[1].value)):
        cheaper = [(c, other) for c, other in front if c * ALIKE < cost]
        equal = [other for c, other in front if c * ALIKE >= cost]
        beats = all(y.low > other.high if sign > 0 else y.high < other.low for _, other in cheaper)
        if beats and all(sign * y.value > sign * other.value for other in equal):
            front = [*cheaper, (cost, y)]
    return front
