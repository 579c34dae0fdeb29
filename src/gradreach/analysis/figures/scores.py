"""A metric against an axis of the sweep."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from gradreach.analysis.figures.common import (
    STAGES,
    TRAINED,
    Point,
    Series,
    Threshold,
    draw_line,
    draw_threshold,
    head,
    point,
    series_of,
    tell,
)
from gradreach.analysis.figures.labels import label_lines
from gradreach.analysis.figures.panels import Panel, layout, leftmost, split
from gradreach.analysis.figures.scales import log_scale, show_whole_range
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PALE, PANEL, figure_of, save_figure
from gradreach.look import axis_label, without_unit
from gradreach.rounding import number
from gradreach.run_table.lengths import TEST_LENGTH, lengths_in

ACCURACY = Measure("test/accuracy", "test accuracy (%)", scale=100)
LENGTHS = ("seq_len", TEST_LENGTH)
EXPONENTIAL = 0.9
"""The least R² at which a half-life describes a curve."""


def metric_against(
    results: Results,
    stem: Path,
    *,
    x: str = "seq_len",
    measure: Measure = ACCURACY,
    by: str = "architecture",
    panels: str | None = "task",
    log: bool = False,
    whole: bool = True,
    threshold: Threshold = None,
) -> Figure:
    """Draw a measure against a key: a line for each group, 95 % intervals, the chance level as a dotted line.

    Of up to ten seeds each is a small point. Groups that have no value of ``x`` (a recurrent model has no kernel size)
    are horizontal lines. All panels share the vertical axis.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        x: a key with numbers, such as ``seq_len``, ``kernel_size``, or ``test_length``.
        measure: what is measured of a run.
        by: what makes a group; ``model`` where ``x`` is the kernel size.
        panels: what makes a panel; a row of them holds at most five groups.
        log: whether the measure stands on a logarithmic axis; points are medians there.
        whole: whether an accuracy is shown from 0 to 1; else the axis begins where the values do.
        threshold: a value that a rule compares with, or several by what they are called.
    """
    shown = layout(results.runs, panels, by)
    with save_figure(stem, shown.rows, shown.columns, sharey=True, sharex=False, size=shown.size) as drawn:
        panes = list(shown.fill(drawn))
        for axes, panel in panes:
            draw_measure(axes, panel, x, measure, by, median=log)
            draw_threshold(axes, threshold)
        limits = panes[0][0].get_ylim()  # before chance, which may be far off
        for axes, panel in panes:
            draw_chance(axes, panel.runs, measure, x)
            shade_training(axes, panel.runs, x)
            if x == TEST_LENGTH and measure.metric.endswith(".reach"):
                draw_whole(axes, panel.runs, x)
            axes.set(xlabel=axis_label(x), ylabel=measure.label if leftmost(axes) else "")
        if whole:
            show_whole_range(panes[0][0], measure)
        else:
            panes[0][0].set_ylim(limits)
        if log:
            log_scale(*(axes for axes, _ in panes))
        head(figure_of(drawn), f"{without_unit(measure.label)}, by {without_unit(axis_label(x))}")
        label_lines(figure_of(drawn))
    return figure_of(drawn)


def half_life_and_reach(
    results: Results,
    stem: Path,
    *,
    x: str = "seq_len",
    quantity: str = "h",
    stages: tuple[str, ...] = ("start", "end"),
    by: str = "architecture",
) -> Figure:
    """Draw half-life above and reach below against a key, a column for each stage.

    A half-life counts only where the curve is an exponential (R² at least 0.9) and decays: how many runs have one
    stands at the point. The dotted line is the largest lag there is. More than five groups are parts below each other.
    """
    half_life = Measure("half_life", "half-life (steps)")
    reach = Measure("reach", "reach (steps)")
    runs, columns = results.runs, len(stages)
    parts = split(series_of(runs, by))
    size = (PANEL[0] + 0.8, PANEL[1])
    with save_figure(stem, 2 * len(parts), columns, sharey="row", sharex=True, size=size) as drawn:
        for i, (part, measure) in enumerate(product(parts, (half_life, reach))):
            row = drawn[i * columns : (i + 1) * columns]
            panel = Panel("", runs[runs[by].isin(list(part))] if len(parts) > 1 else runs, part)
            for axes, stage in zip(row, stages, strict=True):
                name = f"gradient/{stage}/{quantity}"
                needs = (f"{name}.r2", EXPONENTIAL) if measure is half_life else None
                of_stage = replace(measure, metric=f"{name}.{measure.metric}", needs=needs)
                draw_measure(axes, panel, x, of_stage, by, median=measure is half_life)
                axes.set_title(f"{without_unit(measure.label)} {STAGES.get(stage, stage)}")
                shade_training(axes, panel.runs, x)
                if measure is reach and x in LENGTHS:
                    draw_whole(axes, panel.runs, x)
            row[0].set_ylabel(measure.label)
            if measure is half_life:
                log_scale(*row)
            else:
                row[0].set_ylim(0, 1.05 * largest(runs[x if x in LENGTHS else "seq_len"], default=1.0))
        for axes in drawn[-columns:]:
            axes.set_xlabel(axis_label(x))
        label_lines(figure_of(drawn))
    return figure_of(drawn)


def shade_training(axes: Axes, runs: pd.DataFrame, x: str) -> None:
    """Shade the lengths of training, or draw a line at the one there is, where test lengths stand along the axis."""
    if x != TEST_LENGTH or not axes.get_lines():
        return
    ranges = {
        (int(length), int(length)) if not (drawn := lengths_in(told)) else (drawn[0], drawn[1])
        for told, length in zip(
            runs.get("task.train_lengths", pd.Series(None, runs.index)), runs["seq_len"], strict=True
        )
    }
    if len(ranges) != 1:
        return
    ((low, high),) = ranges
    look: Any = {"color": "#666666", "zorder": 0, "label": TRAINED}
    if low < high:
        axes.axvspan(low, high, alpha=0.12, linewidth=0, **look)
    else:
        axes.axvline(high, alpha=0.5, linewidth=0.8, **look)


def draw_whole(axes: Axes, runs: pd.DataFrame, x: str) -> None:
    """Draw the largest lag that there is at each length."""
    lengths = np.array(sorted(runs[x].dropna().unique()), float) if x in runs else np.array([])
    axes.plot(lengths, lengths - 1, ":", color=INK, linewidth=1, label="the whole sequence")


def largest(values: pd.Series, default: float) -> float:
    """Return the largest value, if there is any."""
    return float(values.max()) if values.notna().any() else default


def draw_measure(axes: Axes, panel: Panel, x: str, measure: Measure, by: str, *, median: bool = False) -> None:
    """Draw one line for each group that has the measure.

    There are ticks at the places. Where they grow by factors, as from 25 to 400, their axis is logarithmic.
    """
    runs = panel.runs
    places = sorted(float(at) for at in runs[x].dropna().unique()) if x in runs else []
    even = len(places) > 2 and np.median(np.diff(places)) == np.diff(places).min()
    if len(places) > 1 and 0 < 8 * places[0] < places[-1] and not even:
        axes.set_xscale("log")
    for key, series in panel.series.items():
        some = runs[runs[by] == key]
        finished = some[some["status"] == "finished"]
        if some.empty or (len(finished) and (measure.metric not in some or finished[measure.metric].isna().all())):
            continue
        found = [(at, point(some[some[x] == at], measure, median=median)) for at in places if (some[x] == at).any()]
        if found:
            names = [f"{series.look.name}, {without_unit(axis_label(x))} {number(at, 'g')}" for at, _ in found]
            draw_line(axes, [at for at, _ in found], [y for _, y in found], series, names)
        else:
            draw_level(axes, point(some, measure, median=median), series)
    if places:
        axes.xaxis.set_major_locator(FixedLocator(places, nbins=16 if even else 8))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: number(at, "g")))
        axes.minorticks_off()


def draw_level(axes: Axes, y: Point, series: Series) -> None:
    """Draw a group that has no place on the axis as a horizontal line with its interval."""
    look, alpha = series.look, 1.0 if y.complete else PALE
    line = axes.axhline(y.value, color=look.color, linestyle=look.linestyle, alpha=alpha, label=series.label)
    tell(line, f"{look.name}: {y}")
    if not math.isnan(y.low):
        axes.axhspan(y.low, y.high, color=look.color, alpha=0.1, linewidth=0)


def draw_chance(axes: Axes, runs: pd.DataFrame, measure: Measure, x: str | None = None) -> None:
    """Draw the chance level, where the measure is the metric that it belongs to; a curve where it depends on ``x``."""
    if "chance" not in runs or "metric" not in runs:
        return
    look: Any = {"color": INK, "linestyle": ":", "linewidth": 1, "label": "chance"}
    mine = runs[runs["metric"] == measure.metric.rpartition("/")[2]].dropna(subset=["chance"])
    levels = mine["chance"].unique() * measure.scale
    if len(levels) == 1:
        tell(axes.axhline(levels[0], **look), f"chance: {number(levels[0], '.4g')}")
    elif len(levels) and x is not None:
        curve = mine.groupby(x)["chance"].mean() * measure.scale
        axes.plot(curve.index.to_numpy(float), curve.to_numpy(float), **look)
