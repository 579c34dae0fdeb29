"""What all figures share: the runs behind a point, how complete it is, how it is drawn and described."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradreach.analysis.results import numbers
from gradreach.analysis.stats.intervals import mean_interval, median_interval
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PALE
from gradreach.look import Look, looks_of
from gradreach.rounding import number
from gradreach.run_table.lengths import TEST_LENGTH

ONE_PER_CENT = "1 %"
"""The name of the line at which reach ends."""
THIN: Any = {"linewidth": 0.6, "alpha": 0.45, "zorder": 1.9}
"""How the curve of one seed is drawn: below all medians."""
TIP = "tip: "
"""The prefix of ids of figure parts that show their values when the reader points at them."""
LONELY = "h"
"""The marker of a value between two gaps of a curve; nothing else uses it."""
TRAINED = "lengths of training"
THRESHOLD = "threshold"
HEAD = "head"
"""The id of the line above all panels."""
HEAD_HEIGHT = 0.25
"""Its height in inches."""
COUNT = 7.5
"""The font size of counts above points; nothing else uses it."""
STAGES = {"start": "before training", "end": "after training"}
FEW = 10
"""Up to this many seeds are drawn individually beside their mean."""


@dataclass(frozen=True)
class Point:
    """The runs of one group at one place.

    - ``value``, ``low``, ``high``: mean of their measure, or median, with the 95 % interval; NaN where it has none.
    - ``values``: of each run that has one.
    - ``states``: how many of the planned runs are finished, diverged, failed, missing.
    - ``run_ids``: of the finished ones.
    - ``solved``: how many of the runs solved their task; None if the study does not define it.
    - ``centre``: whether it is a ``mean`` or a ``median``.
    - ``survivors``: how many finished runs have a value, if the measure is meaningless for the others.
    """

    value: float
    low: float
    high: float
    values: tuple[float, ...]
    states: dict[str, int]
    run_ids: tuple[str, ...]
    solved: int | None = None
    centre: str = "mean"
    survivors: int | None = None

    @property
    def valid(self) -> int:
        """The number of runs behind the value."""
        return len(self.values)

    @property
    def planned(self) -> int:
        """The number of planned runs."""
        return sum(self.states.values())

    @property
    def complete(self) -> bool:
        """Whether all of them count."""
        return self.valid == self.planned

    @property
    def count(self) -> str:
        """How many of the runs solved their task, as ``4/5``, or have a value; empty if all or none do."""
        if self.survivors is not None and self.survivors < self.planned:
            return f"n = {self.survivors}"
        return "" if self.solved in (None, 0, self.planned) else f"{self.solved}/{self.planned}"

    def __str__(self) -> str:
        if not self.valid:
            return f"no value ({counted(self.states)})"
        value, low, high = (number(value, ".4g") for value in (self.value, self.low, self.high))
        interval = "" if math.isnan(self.low) else f", 95 % interval {low} to {high}"
        which = "" if self.centre == "mean" else f"{self.centre} "
        solved = "" if self.solved is None else f", {self.solved} solved"
        runs = f"of {self.valid}/{self.planned} runs ({counted(self.states)}{solved}): {' '.join(self.run_ids)}"
        return f"{which}{value}{interval}, {runs}"


def point(runs: pd.DataFrame, measure: Measure, *, median: bool = False) -> Point:
    """Summarize a measure over a group of runs; values that are not finite lower ``valid``.

    The interval ends where the measure does. That of a median is by order statistics; it needs six values.
    """
    finished = runs[runs["status"] == "finished"]
    values = measure.values(finished)
    found = (median_interval if median else mean_interval)(values[np.isfinite(values)])
    states = {str(state): int(count) for state, count in runs["status"].value_counts().sort_index().items()}
    low, high = np.clip([found.low, found.high], *_possible(measure, finished)).tolist()
    known = tuple(values[np.isfinite(values)])
    solved = int(runs["solved"].sum()) if "solved" in runs and measure.scored(finished) else None
    ids, survivors = tuple(finished["run_id"]), len(known) if measure.needs else None
    return Point(found.value, low, high, known, states, ids, solved, "median" if median else "mean", survivors)


def _possible(measure: Measure, runs: pd.DataFrame) -> tuple[float, float]:
    """Return the smallest and the largest value that a measure can have."""
    if measure.metric.endswith("accuracy"):
        return 0, measure.scale
    if measure.metric.endswith(".reach"):
        steps = TEST_LENGTH if TEST_LENGTH in runs else "seq_len"
        return 0, (numbers(runs, steps).max(initial=1) - 1) * measure.scale
    return (0 if measure.metric.endswith(("/mse", ".half_life")) else -math.inf), math.inf


def counted(states: dict[str, int]) -> str:
    """Count runs by status: ``2 finished, 1 diverged``."""
    order = sorted(states, key=lambda state: (state != "finished", state))
    return ", ".join(f"{states[state]} {state}" for state in order)


@dataclass(frozen=True)
class Series:
    """What is drawn in one look.

    - ``label``: what people call it, and how many of its runs have finished where some have not.
    """

    look: Look
    label: str


def series_of(runs: pd.DataFrame, by: str) -> dict[Hashable, Series]:
    """Return the groups of runs, in the order of the run table, with the look and the name of each."""
    groups = list(runs.groupby(by, sort=False))
    looks = looks_of(str(key) for key, _ in groups)
    named: dict[Hashable, Series] = {}
    for key, group in groups:
        look, states = looks[str(key)], group["status"].value_counts()
        finished = states.get("finished", 0)
        ended = [f"{states[state]} {state}" for state in ("diverged", "failed") if state in states]
        short = "" if finished == len(group) else f" ({', '.join([f'{finished}/{len(group)}', *ended])})"
        named[key] = Series(look, look.name + short)
    return named


def opacity(runs: pd.DataFrame) -> float:
    """Return the opacity of a group's line: pale if runs are missing."""
    return 1.0 if (runs["status"] == "finished").all() else PALE + 0.2


def tell(artist: Artist, text: str) -> None:
    """Make a part of a figure show its value in the report."""
    artist.set_gid(TIP + text)


def is_reference(line: Line2D) -> bool:
    """Return whether a line is a reference (chance, a threshold, the whole sequence): no series is black."""
    return line.get_color() == INK


def draw_point(axes: Axes, x: float, y: Point, look: Look, name: str) -> None:
    """Draw value and interval; hollow and pale if runs are missing, a cross at the bottom if there is no value.

    Above it stands how many runs solved their task, or how many have a value, where not all do.
    """
    alpha = 1.0 if y.complete else PALE
    if not y.valid:
        (mark,) = axes.plot(
            x, 0.02, "x", color=look.color, alpha=PALE, transform=axes.get_xaxis_transform(), clip_on=False
        )
    else:
        if not math.isnan(y.low):
            axes.vlines(x, y.low, y.high, color=look.color, alpha=alpha, linewidth=1.2)
        face = look.color if y.complete else "none"
        (mark,) = axes.plot(
            x, y.value, look.marker, color=look.color, markerfacecolor=face, alpha=alpha, markersize=5.5
        )
        mark.set_label(f"_{y.centre}")
        if y.count:
            above: Any = {"textcoords": "offset points", "ha": "center", "fontsize": COUNT, "color": INK}
            axes.annotate(y.count, (x, y.value), (0, 5), **above)
    tell(mark, f"{name}: {y}")


def draw_few(axes: Axes, x: float, y: Point, look: Look) -> None:
    """Draw each seed as a small point if there are few: a mean between two clusters is like neither."""
    if 1 < y.valid <= FEW:
        axes.plot([x] * y.valid, y.values, ".", color=look.color, markersize=4, alpha=0.45, zorder=3)


def draw_curve(axes: Axes, x: Sequence[float] | np.ndarray, y: np.ndarray, label: str = "", **look: Any) -> Line2D:
    """Draw a curve with gaps; a value between two gaps, of which a line shows nothing, is a dot.

    Args:
        axes: where.
        x: its places.
        y: its values, NaN where there is none.
        label: what the legend calls it; where it has no value, the legend says so.
        look: colour, width, dashes.
    """
    known = np.concatenate([[False], np.isfinite(y), [False]])
    lonely = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:])
    dots: Any = {"marker": LONELY, "markersize": 2.5, "markevery": lonely.tolist()} if len(lonely) else {}
    said: Any = {"label": label if known.any() or "(0/" in label else f"{label} (no value)"} if label else {}
    (line,) = axes.plot(x, y, **look, **dots, **said)
    return line


def draw_line(axes: Axes, x: Sequence[float], points: Sequence[Point], series: Series, names: Sequence[str]) -> None:
    """Draw the points of a group, each with what it is called, and the line through them."""
    look = series.look
    known = [(at, y.value) for at, y in zip(x, points, strict=True) if y.valid]
    complete = all(y.complete for y in points)
    axes.plot(
        [at for at, _ in known],
        [value for _, value in known],
        **look.line,
        markevery=[],
        alpha=1.0 if complete else PALE + 0.2,
        label=series.label,
    )
    for at, y, name in zip(x, points, names, strict=True):
        draw_few(axes, at, y, look)
        draw_point(axes, at, y, look, name)


def of_one_length(runs: pd.DataFrame, seq_len: int | None) -> tuple[pd.DataFrame, str]:
    """Return the runs of one length, by default the longest, and a note on which it is, empty if there is only one."""
    lengths = sorted(runs["seq_len"].dropna().unique())
    if not lengths:
        return runs, ""
    one = lengths[-1] if seq_len is None else seq_len
    others = ", ".join(str(length) for length in lengths if length != one)
    return runs[runs["seq_len"] == one], f"sequence length {one} (not shown: {others})" if others else ""


def head(figure: Figure, text: str) -> None:
    """Put a line above all panels that says what they show, and make room for it."""
    if text:
        figure.set_figheight(figure.get_figheight() + HEAD_HEIGHT)
        text = text[0].upper() + text[1:] if text[0].isascii() else text
        figure.suptitle(text, fontsize=10, fontweight="bold").set_gid(HEAD)


Threshold = float | Mapping[str, float] | None
"""The threshold of a rule, or several by name."""


def draw_threshold(axes: Axes, threshold: Threshold, *, upright: bool = False) -> None:
    """Draw a rule's thresholds: across the panel, or vertical if values lie along the x axis."""
    if threshold is None:
        return
    lines = threshold if isinstance(threshold, Mapping) else {THRESHOLD: threshold}
    for name, value in lines.items():
        look: Any = {"color": INK, "linewidth": 0.8, "linestyle": (0, (6, 2)), "zorder": 3, "label": name}
        line = axes.axvline(value, **look) if upright else axes.axhline(value, **look)
        tell(line, f"{name}: {number(value, '.4g')}")
