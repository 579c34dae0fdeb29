"""What all figures share: which runs make a point, how complete it is, how it is drawn and what it says."""

import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradreach.analysis.naming import plain
from gradreach.analysis.order import in_order
from gradreach.analysis.results import numbers
from gradreach.analysis.stats.statistics import estimate
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import PALE, PANEL, WIDE, Inches, series
from gradreach.rounding import number
from gradreach.run_table.lengths import TEST_LENGTH

ONE_PER_CENT = "1 %"
"""What the line where reach ends is called."""
THIN: Any = {"linewidth": 0.6, "alpha": 0.45, "zorder": 1.9}
"""How the curve of one seed is drawn: below all medians."""
TIP = "tip: "
"""What the ids of those parts of a figure begin with that tell their values where the reader points at them."""
LONELY = "h"
"""How a value between two gaps of a curve is drawn: at its size a dot, which nothing else is drawn as."""
TRAINED = "lengths of training"
REFERENCES = ("chance", "the whole sequence", ONE_PER_CENT, TRAINED)
LISTED = 12
"""How many run ids a point names."""
FEW = 10
"""Of so many seeds each is drawn beside its mean."""


@dataclass(frozen=True)
class Point:
    """The runs of one group at one place.

    - ``mean``, ``low``, ``high``: of their measure, with the 95 % interval; NaN where it has none.
    - ``values``: of each run that has one.
    - ``states``: how many of the planned runs are finished, diverged, failed, missing.
    - ``run_ids``: of the finished ones.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    states: dict[str, int]
    run_ids: tuple[str, ...]

    @property
    def valid(self) -> int:
        """How many runs the mean rests on."""
        return len(self.values)

    @property
    def planned(self) -> int:
        """How many runs there should be."""
        return sum(self.states.values())

    @property
    def complete(self) -> bool:
        """Whether all of them count."""
        return self.valid == self.planned

    def __str__(self) -> str:
        if not self.valid:
            return f"no value ({counted(self.states)})"
        mean, low, high = (number(value, ".4g") for value in (self.mean, self.low, self.high))
        interval = "" if math.isnan(self.low) else f", 95 % interval {low} to {high}"
        more = len(self.run_ids) - LISTED
        listed = " ".join(self.run_ids[:LISTED]) + (f" and {more} more" if more > 0 else "")
        return f"{mean}{interval}, of {self.valid}/{self.planned} runs ({counted(self.states)}): {listed}"


def point(runs: pd.DataFrame, measure: Measure) -> Point:
    """Return what a group of runs says of a measure; values that are not finite lower ``valid``.

    The interval ends where the measure does.
    """
    finished = runs[runs["status"] == "finished"]
    values = measure.values(finished)
    found = estimate(values)
    states = {str(state): int(count) for state, count in runs["status"].value_counts().sort_index().items()}
    low, high = found.mean - found.half_width, found.mean + found.half_width
    low, high = np.clip([low, high], *_possible(measure, finished)).tolist()
    return Point(found.mean, low, high, tuple(values[np.isfinite(values)]), states, tuple(finished["run_id"]))


def _possible(measure: Measure, runs: pd.DataFrame) -> tuple[float, float]:
    """Return the least and the greatest value that a measure can have."""
    if measure.metric.endswith("accuracy"):
        return 0, measure.scale
    if measure.metric.endswith(".reach"):
        steps = TEST_LENGTH if TEST_LENGTH in runs else "seq_len"
        return 0, (numbers(runs, steps).max(initial=1) - 1) * measure.scale
    return (0 if measure.metric.endswith(("/mse", ".half_life")) else -math.inf), math.inf


def counted(states: dict[str, int]) -> str:
    """Say how many runs are what: ``2 finished, 1 diverged``."""
    order = sorted(states, key=lambda state: (state != "finished", state))
    return ", ".join(f"{states[state]} {state}" for state in order)


def labels(runs: pd.DataFrame, by: str) -> dict[Hashable, str]:
    """Return what the groups are called, in the order of the run table; one that is not complete says how many runs
    have finished, diverged and failed."""
    named: dict[Hashable, str] = {}
    for key, group in runs.groupby(by, sort=False):
        states = group["status"].value_counts()
        ended = [f"{states[state]} {state}" for state in ("diverged", "failed") if state in states]
        short = ", ".join([f"{states.get('finished', 0)}/{len(group)}", *ended])
        named[key] = str(key) if states.get("finished", 0) == len(group) else f"{key} ({short})"
    return named


def opacity(runs: pd.DataFrame) -> float:
    """Return how opaque a group's line is: pale where runs are lacking."""
    return 1.0 if (runs["status"] == "finished").all() else PALE + 0.2


def panels_of(runs: pd.DataFrame, key: str | None) -> list[tuple[str, pd.DataFrame]]:
    """Return title and runs of each panel: one for each value of a key, in order; None makes one of all."""
    if key is None or runs.empty:
        return [("", runs)]
    groups = [group for _, group in in_order(runs, [key]).groupby([key], sort=False, dropna=False)]
    if len(groups) == 1:
        return [("", groups[0])]
    values = [group[key].iloc[0] for group in groups]
    titles = [value if isinstance(value, str) else f"{key} {plain(value)}" for value in values]
    return list(zip(titles, groups, strict=True))


def grid(count: int) -> tuple[int, int]:
    """Return rows and columns for so many panels: as few columns as leave no hole, two where there are many."""
    columns = 3 if count == 3 else min(count, 2)
    return -(-count // columns), columns


def size_of(columns: int) -> Inches:
    """Return how large one of so many panels beside each other is, so that they stay readable."""
    return {1: WIDE, 2: PANEL}.get(columns, (2.6, 2.8))


def fill(panels: Sequence[Axes], contents: Sequence[tuple[str, pd.DataFrame]]) -> Iterator[tuple[Axes, pd.DataFrame]]:
    """Give each panel its title and its runs, and take away the panels that are left over."""
    for axes, (title, runs) in zip(panels, contents, strict=False):
        axes.set_title(title)
        yield axes, runs
    for axes in panels[len(contents) :]:
        axes.remove()


def tell(artist: Artist, text: str) -> None:
    """Let a part of a figure tell its value in the report."""
    artist.set_gid(TIP + text)


def draw_point(axes: Axes, x: float, y: Point, look: dict[str, Any], name: str) -> None:
    """Draw mean and interval; hollow and pale where runs are lacking, a cross at the foot where there is no value."""
    alpha = 1.0 if y.complete else PALE
    if not y.valid:
        (mark,) = axes.plot(
            x, 0.02, "x", color=look["color"], alpha=PALE, transform=axes.get_xaxis_transform(), clip_on=False
        )
    else:
        if not math.isnan(y.low):
            axes.vlines(x, y.low, y.high, color=look["color"], alpha=alpha, linewidth=1.2)
        face = look["color"] if y.complete else "none"
        (mark,) = axes.plot(
            x, y.mean, look["marker"], color=look["color"], markerfacecolor=face, alpha=alpha, markersize=5.5
        )
    tell(mark, f"{name}: {y}")


def draw_few(axes: Axes, x: float, y: Point, look: dict[str, Any]) -> None:
    """Draw each seed as a small point, where they are few: a mean between two heaps is like neither."""
    if 1 < y.valid <= FEW:
        axes.plot([x] * y.valid, y.values, ".", color=look["color"], markersize=4, alpha=0.45, zorder=3)


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
    said: Any = {"label": label if known.any() else f"{label} (no value)"} if label else {}
    (line,) = axes.plot(x, y, **look, **dots, **said)
    return line


def explain_thin(axes: Axes) -> None:
    """Say in the legend what thin and thick lines are, where there are thin ones."""
    if any(line.get_linewidth() == THIN["linewidth"] for line in axes.get_lines()):
        axes.plot([], [], color="#666666", label="a seed", **THIN)
        axes.plot([], [], color="#666666", label="the seeds' median")


def draw_line(
    axes: Axes, x: Sequence[float], points: Sequence[Point], i: int, label: str, names: Sequence[str]
) -> None:
    """Draw the points of a group, each with what it is called, and the line through them."""
    look = series(i)
    known = [(at, y.mean) for at, y in zip(x, points, strict=True) if y.valid]
    complete = all(y.complete for y in points)
    axes.plot(
        [at for at, _ in known],
        [mean for _, mean in known],
        color=look["color"],
        linestyle=look["linestyle"],
        marker=look["marker"],
        markevery=[],
        alpha=1.0 if complete else PALE + 0.2,
        label=label,
    )
    for at, y, name in zip(x, points, names, strict=True):
        draw_few(axes, at, y, look)
        draw_point(axes, at, y, look, name)


def of_one_length(runs: pd.DataFrame, seq_len: int | None) -> tuple[pd.DataFrame, str]:
    """Return the runs of one length, the longest if none is named, and which it is; no word where there is but one."""
    lengths = sorted(runs["seq_len"].dropna().unique())
    if not lengths:
        return runs, ""
    one = lengths[-1] if seq_len is None else seq_len
    others = ", ".join(str(length) for length in lengths if length != one)
    return runs[runs["seq_len"] == one], f"seq_len {one} (not shown: {others})" if others else ""


def head(figure: Figure, text: str) -> None:
    """Put a line above all panels, and make room for it."""
    if text:
        figure.set_figheight(figure.get_figheight() + 0.25)
        figure.suptitle(text, fontsize=9)


def _has_values(axes: Axes, line: Line2D) -> bool:
    """Return whether a line shows what was measured, and is not there for comparison, or to say that nothing is."""
    own = line.get_transform().contains_branch_seperately(axes.transData)[1]  # the spelling is matplotlib's
    return own and bool(np.isfinite(line.get_ydata()).any()) and line.get_label() not in REFERENCES


def legend(figure: Figure, order: Iterable[str] = ()) -> None:
    """Put one legend below all panels, each label once, and make room for it; a panel without data says so."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        drawn = [
            *axes.collections,
            *axes.patches,
            *axes.texts,
            *(line for line in axes.get_lines() if _has_values(axes, line)),
        ]
        if not drawn:
            axes.text(0.5, 0.5, "nothing measured yet", ha="center", va="center", transform=axes.transAxes)
            beside = axes.get_shared_y_axes().get_siblings(axes)
            if axes.get_autoscaley_on() and not any(np.isfinite(each.dataLim.y1) for each in beside):
                axes.set_yticks([])  # those that would stand there are of no value
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return
    found = {label: found[label] for label in [*(label for label in order if label in found), *found]}
    longest = max(len(label) for label in found)
    columns = max(1, min(len(found), int(figure.get_figwidth() * 14 / (longest + 8))))
    rows = -(-len(found) // columns)
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.19 * rows)
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns)
