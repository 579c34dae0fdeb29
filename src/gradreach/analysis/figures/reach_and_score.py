"""The project's question in one figure: how far gradients reach, and what was learned."""

from collections import Counter
from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import (
    ONE_PER_CENT,
    STAGES,
    Series,
    draw_curve,
    of_one_length,
    opacity,
    series_of,
    tell,
)
from gradreach.analysis.figures.labels import label_lines
from gradreach.analysis.figures.profiles import matrix, relative
from gradreach.analysis.figures.scales import show_whole_range
from gradreach.analysis.figures.scores import ACCURACY, draw_chance
from gradreach.analysis.results import Results, numbers
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, figure_of, save_figure
from gradreach.rounding import number

SIZE = (4.4, 3.0)
"""Of a panel: the picture is 300 pixels high at the head of a page."""
LOWEST = 1e-4
"""The smallest share that is shown: reach ends at a hundred times as much."""
HEAP = 10
"""From this many points in one place on, their number is written."""


def reach_and_score(
    results: Results,
    stem: Path,
    *,
    seq_len: int | None = None,
    quantity: str = "x",
    stage: str = "end",
    by: str = "architecture",
    measure: Measure = ACCURACY,
) -> Figure:
    """Draw gradient norm against lag at one length; beside it reach ÷ (length − 1) against a score, one dot per run.

    Left, the median of the seeds' median examples, relative to that at lag 1. Right, all lengths: larger if longer.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        seq_len: of the left panel; None takes the longest.
        quantity: ``x``, ``h`` or ``c``: gradient with respect to the input, the hidden state, the cell state.
        stage: ``start`` or ``end``: before training, or of the chosen weights.
        by: what makes a line, and the look of a dot.
        measure: the score.
    """
    runs, (some, _) = results.runs, of_one_length(results.runs, seq_len)
    groups = series_of(runs, by)
    with save_figure(stem, 1, 2, sharex=False, sharey=False, size=SIZE) as (left, right):
        draw_norms(left, results.curves(quantity), some, by, stage, groups)
        left.set(ylabel=f"‖dL/d{quantity}‖ ÷ that at lag 1", xlabel="lag (steps back from the last one)")
        length = f", {number(some['seq_len'].max(), 'g')} steps" if some["seq_len"].notna().any() else ""
        left.set_title(f"Gradient {STAGES[stage]}{length}")
        draw_runs(right, results.finished, f"gradient/{stage}/{quantity}.reach", by, measure, groups)
        draw_chance(right, mean_chance(runs), measure)
        right.set(ylabel=measure.label, xlabel="reach ÷ (length − 1)", xlim=(-0.03, 1.05))
        right.set_title("One dot per run, larger for longer sequences")
        show_whole_range(right, measure)
        label_lines(figure_of([left]))
    return figure_of([left])


def mean_chance(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with one chance level, the mean: of drawn data it differs a little from length to length."""
    return runs.assign(chance=runs["chance"].mean()) if "chance" in runs else runs


def draw_norms(
    axes: Axes, data: pd.DataFrame, runs: pd.DataFrame, by: str, stage: str, groups: Mapping[Hashable, Series]
) -> None:
    """Draw a line for each group."""
    axes.set(yscale="log", ylim=(LOWEST, 3))
    axes.axhline(0.01, color=INK, linewidth=0.8, label=ONE_PER_CENT)
    largest = 1.0
    for key, series in groups.items():
        some = runs[runs[by] == key]
        curves = matrix(data, list(some["run_id"]), stage)
        if curves.empty:
            continue
        lags, middle = curves.index.to_numpy(float), np.median(10.0 ** relative(curves).to_numpy(float), 1)
        middle[(middle == 0) | ~np.isfinite(middle)] = np.nan
        largest = max(largest, np.nanmax(middle, initial=0))
        look = series.look
        line = draw_curve(axes, lags, middle, series.label, color=look.color)
        line.set(linestyle=look.linestyle, alpha=opacity(some))
        tell(line, f"{look.name}: the median of {curves.shape[1]} seeds")
    axes.set_ylim(top=3 * largest)
    if runs["seq_len"].notna().any():
        axes.set_xlim(0, runs["seq_len"].max() - 1)


def draw_runs(
    axes: Axes, runs: pd.DataFrame, reach: str, by: str, measure: Measure, groups: Mapping[Hashable, Series]
) -> None:
    """Draw a dot for each run, and say how many there are where many lie on one place."""
    longest = numbers(runs, "seq_len").max(initial=1)
    places: Counter[tuple[float, float]] = Counter()
    for key, series in groups.items():
        some, look = runs[runs[by] == key], series.look
        lengths = numbers(some, "seq_len")
        shares = numbers(some, reach) / np.maximum(lengths - 1, 1)
        for run_id, length, x, y in zip(some["run_id"], lengths, shares, measure.values(some), strict=True):
            size = 3 + 8 * np.sqrt(length / longest)
            (dot,) = axes.plot(x, y, look.marker, color=look.color, markersize=size, markerfacecolor="none")
            dot.set_clip_on(False)
            at = f"reach {number(x, '.2f')}, {number(y, '.3g')}"
            tell(dot, f"{look.name}, {number(length, 'g')} steps: {at}; run {run_id}")
            if np.isfinite([x, y]).all():
                places[round(x, 1), round(y / measure.scale, 1)] += 1
    for (x, y), count in places.items():
        if count >= HEAP:
            aside, align = (-9, "right") if x > 0.5 else (9, "left")
            axes.annotate(
                f"{count} runs",
                (x, y * measure.scale),
                (aside, 0),
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=8,
            )
