"""Groups one below the other: mean with interval, and every seed."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import COUNT, Threshold, draw_threshold, head, point, tell
from gradreach.analysis.figures.labels import key_beside
from gradreach.analysis.figures.scores import ACCURACY
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PALE, figure_of, save_figure
from gradreach.look import display_name, looks_of, without_unit


def dots(
    results: Results,
    stem: Path,
    *,
    by: str = "architecture",
    beside: str = "task",
    measure: Measure = ACCURACY,
    threshold: Threshold = None,
    order: Sequence[str] = (),
) -> Figure:
    """Draw a measure of groups that have no order: a line for each, a colour for each value of another key.

    Where that key has but one value, each line has the look of its group.

    Large: mean with 95 % interval, hollow and pale where runs are lacking; small, beside it: the seeds.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        by: what stands on a line of its own.
        beside: what stands beside each other on a line.
        measure: what is measured of a run.
        threshold: a value that a rule compares with, or several by what they are called.
        order: of the lines; by default that of the run table.
    """
    runs = results.runs
    places = [place for place in dict.fromkeys([*order, *runs[by].dropna()]) if (runs[by] == place).any()]
    kinds = list(runs[beside].dropna().unique())
    height = 0.9 + len(places) * max(0.3, 0.17 * len(kinds))
    with save_figure(stem, size=(4.4, height)) as (axes,):
        looks = looks_of(map(str, kinds if len(kinds) > 1 else places))
        for i, kind in enumerate(kinds):
            if len(kinds) > 1:
                look = looks[str(kind)]
                axes.plot([], [], look.marker, color=look.color, label=look.name)
            for at, place in enumerate(places):
                look = looks[str(kind if len(kinds) > 1 else place)]
                some = runs[(runs[by] == place) & (runs[beside] == kind)]
                if some.empty:
                    continue
                y, found = at + 0.7 * ((i + 0.5) / len(kinds) - 0.5), point(some, measure)
                alpha = 1.0 if found.complete else PALE
                values = measure.values(some[some["status"] == "finished"])
                axes.plot(values, np.full(len(values), y + 0.09), ".", color=look.color, markersize=3, alpha=0.45)
                if not math.isnan(found.low):
                    axes.hlines(y, found.low, found.high, color=look.color, alpha=alpha, linewidth=1.2)
                if found.valid:
                    face = look.color if found.complete else "none"
                    (mark,) = axes.plot(
                        found.value, y, look.marker, color=look.color, markerfacecolor=face, alpha=alpha
                    )
                    tell(mark, f"{display_name(place)}, {display_name(kind)}: {found}")
                    if found.count:
                        axes.annotate(
                            found.count,
                            (found.value, y),
                            (0, 4),
                            textcoords="offset points",
                            ha="center",
                            fontsize=COUNT,
                        )
        if (level := chance_of(runs, measure)) is not None:
            axes.axvline(level, color=INK, linestyle=":", linewidth=1, label="chance")
        draw_threshold(axes, threshold, upright=True)
        axes.set_yticks(range(len(places)), [display_name(place) for place in places])
        axes.set(xlabel=measure.label, ylim=(len(places) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        head(figure_of([axes]), without_unit(measure.label))
        key_beside(figure_of([axes]))
    return figure_of([axes])


def chance_of(runs: pd.DataFrame, measure: Measure) -> float | None:
    """Return the chance level of a measure, where all runs share one."""
    if "chance" not in runs or "metric" not in runs:
        return None
    mine = runs[runs["metric"] == measure.metric.rpartition("/")[2]]
    levels = mine["chance"].dropna().unique() * measure.scale
    return float(levels[0]) if len(levels) == 1 else None
