"""A metric against an axis of the sweep."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from gradreach.analysis.figures.common import (
    TRAINED,
    draw_line,
    fill,
    grid,
    labels,
    legend,
    panels_of,
    point,
    size_of,
    tell,
)
from gradreach.analysis.figures.scales import log_scale, show_whole_range
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import PALE, figure_of, save_figure, series
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
    lines: Sequence[float] = (),
) -> Figure:
    """Draw a measure against a key: a colour for each group, 95 % intervals, the chance level as a dotted line.

    Of up to ten seeds each is a small point. Groups that have no value of ``x`` (a recurrent model has no kernel size)
    are horizontal lines.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        x: a key with numbers, such as ``seq_len``, ``kernel_size``, or ``test_length``.
        measure: what is measured of a run.
        by: what makes a group; ``model`` where ``x`` is the kernel size.
        panels: what makes a panel.
        log: whether the measure stands on a logarithmic axis.
        whole: whether an accuracy is shown from 0 to 1; else each panel shows where its values are.
        lines: values to compare with; the panels then share one axis.
    """
    contents = panels_of(results.runs, panels)
    rows, columns = grid(len(contents))
    with save_figure(stem, rows, columns, sharey=bool(lines), sharex=False, size=size_of(columns)) as drawn:
        named = labels(results.runs, by)
        for axes, runs in fill(drawn, contents):
            draw_measure(axes, runs, x, measure, by, named)
            for value in lines:
                axes.axhline(value, color="black", linewidth=0.8, zorder=0)
            shown = axes.get_ylim()
            draw_chance(axes, runs, measure, x)
            shade_training(axes, runs, x)
            if x == TEST_LENGTH and measure.metric.endswith(".reach"):
                draw_whole(axes, runs, x)
            axes.set(xlabel=x, ylabel=measure.label)
            if whole:
                show_whole_range(axes, measure)
            else:
                axes.set_ylim(shown)
            if log:
                log_scale(axes)
        legend(figure_of(drawn), named.values())
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

    A half-life counts only where the curve is an exponential (R² at least 0.9) and decays. The dotted line is the
    largest lag there is.
    """
    half_life = Measure("half_life", "half-life (steps)")
    reach = Measure("reach", "reach (steps)")
    runs = results.runs
    with save_figure(stem, 2, len(stages), sharey="row", sharex=True) as drawn:
        named = labels(runs, by)
        for row, measure in enumerate((half_life, reach)):
            for column, stage in enumerate(stages):
                axes = drawn[row * len(stages) + column]
                name = f"gradient/{stage}/{quantity}"
                needs = (f"{name}.r2", EXPONENTIAL) if measure is half_life else None
                draw_measure(axes, runs, x, replace(measure, metric=f"{name}.{measure.metric}", needs=needs), by, named)
                axes.set(ylabel="" if column else measure.label, xlabel=x if row else "")
                axes.set_title("" if row else {"start": "before training", "end": "after training"}.get(stage, stage))
                shade_training(axes, runs, x)
                if row and x in LENGTHS:
                    draw_whole(axes, runs, x)
                if row:
                    axes.set_ylim(0, 1.05 * largest(runs[x if x in LENGTHS else "seq_len"], default=1.0))
        log_scale(*drawn[: len(stages)])
        legend(figure_of(drawn), named.values())
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
    axes.plot(lengths, lengths - 1, ":", color="black", linewidth=1, label="the whole sequence")


def largest(values: pd.Series, default: float) -> float:
    """Return the largest value, if there is any."""
    return float(values.max()) if values.notna().any() else default


def draw_measure(
    axes: Axes, runs: pd.DataFrame, x: str, measure: Measure, by: str, named: Mapping[Hashable, str]
) -> None:
    """Draw one line for each group that has the measure; at one place, groups stand beside each other.

    There are ticks at the places. Where they grow by factors, as from 25 to 400, their axis is logarithmic.
    """
    places = sorted(float(at) for at in runs[x].dropna().unique()) if x in runs else []
    even = len(places) > 2 and np.median(np.diff(places)) == np.diff(places).min()
    far = len(places) > 1 and 0 < 8 * places[0] < places[-1] and not even
    apart = min(0.03, 0.3 / max(len(named), 1) / max(len(places) - 1, 1))
    if far:
        axes.set_xscale("log")
    for i, (key, label) in enumerate(named.items()):
        some = runs[runs[by] == key]
        finished = some[some["status"] == "finished"]
        if some.empty or (len(finished) and (measure.metric not in some or finished[measure.metric].isna().all())):
            continue
        found = [(at, point(some[some[x] == at], measure)) for at in places if (some[x] == at).any()]
        if found:
            aside = apart * (i - (len(named) - 1) / 2)
            names = [f"{key}, {x} {number(at, 'g')}" for at, _ in found]
            beside = [
                at * (places[-1] / places[0]) ** aside if far else at + aside * (places[-1] - places[0])
                for at, _ in found
            ]
            draw_line(axes, beside, [y for _, y in found], i, label, names)
        else:
            draw_level(axes, some, measure, i, label, str(key))
    if places:
        axes.xaxis.set_major_locator(FixedLocator(places, nbins=16 if even else 8))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: number(at, "g")))
        axes.minorticks_off()


def draw_level(axes: Axes, runs: pd.DataFrame, measure: Measure, i: int, label: str, name: str) -> None:
    """Draw a group that has no place on the axis as a horizontal line with its interval."""
    y = point(runs, measure)
    look = series(i)
    line = axes.axhline(
        y.mean, color=look["color"], linestyle=look["linestyle"], alpha=1.0 if y.complete else PALE, label=label
    )
    tell(line, f"{name}: {y}")
    if not math.isnan(y.low):
        axes.axhspan(y.low, y.high, color=look["color"], alpha=0.1, linewidth=0)


def draw_chance(axes: Axes, runs: pd.DataFrame, measure: Measure, x: str | None = None) -> None:
    """Draw the chance level, where the measure is the metric that it belongs to; a curve where it depends on ``x``."""
    if "chance" not in runs or "metric" not in runs:
        return
    look: Any = {"color": "black", "linestyle": ":", "linewidth": 1, "label": "chance"}
    mine = runs[runs["metric"] == measure.metric.rpartition("/")[2]].dropna(subset=["chance"])
    levels = mine["chance"].unique() * measure.scale
    if len(levels) == 1:
        tell(axes.axhline(levels[0], **look), f"chance: {number(levels[0], '.4g')}")
    elif len(levels) and x is not None:
        curve = mine.groupby(x)["chance"].mean() * measure.scale
        axes.plot(curve.index.to_numpy(float), curve.to_numpy(float), **look)
