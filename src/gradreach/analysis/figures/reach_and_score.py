"""The question of the project in one picture: how far gradients reach, and what was learned."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gradreach.analysis.figures.common import ONE_PER_CENT, draw_curve, labels, of_one_length, tell
from gradreach.analysis.figures.profiles import STAGES, matrix, relative
from gradreach.analysis.figures.scales import show_whole_range
from gradreach.analysis.figures.scores import ACCURACY, draw_chance
from gradreach.analysis.results import Results, numbers
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import figure_of, save_figure, series
from gradreach.rounding import number

SIZE = (4.4, 3.0)
"""Of a panel: the picture is 300 pixels high at the head of a page."""
LOWEST = 1e-4
"""The smallest share that is shown: reach ends at a hundred times as much."""
HEAP = 5
"""So many points on one place are counted in words."""


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
    """Draw gradient norm against lag at one length, and beside it reach ÷ (length − 1) against a score, a dot a run.

    Left, the median of the seeds' median examples, relative to its largest. Right, all lengths: the longer, the larger.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        seq_len: of the left panel; None takes the longest.
        quantity: ``x``, ``h`` or ``c``: gradient by the input, the hidden state, the cell state.
        stage: ``start`` or ``end``: before training, or of the chosen weights.
        by: what makes a colour.
        measure: the score.
    """
    runs, (some, _) = results.runs, of_one_length(results.runs, seq_len)
    looks = {key: series(i) for i, key in enumerate(labels(runs, by))}
    with save_figure(stem, 1, 2, sharex=False, sharey=False, size=SIZE) as (left, right):
        draw_norms(left, results.curves(quantity), some, by, stage, looks)
        left.set(ylabel=f"‖dL/d{quantity}‖ ÷ its largest", xlabel="lag (steps back from the last one)")
        length = number(some["seq_len"].max(), "g") if len(some) else "no"
        left.set_title(f"Gradient {STAGES[stage]}, {length} steps")
        draw_runs(right, results.finished, f"gradient/{stage}/{quantity}.reach", by, measure, looks)
        draw_chance(right, runs, measure)
        right.set(ylabel=measure.label, xlabel="reach ÷ (length − 1)", xlim=(-0.03, 1.08))
        right.set_title("A dot a run, larger for longer sequences")
        show_whole_range(right, measure)
    return figure_of([left])


def draw_norms(
    axes: Axes, data: pd.DataFrame, runs: pd.DataFrame, by: str, stage: str, looks: dict[Any, dict[str, Any]]
) -> None:
    """Draw a line for each group, with its name beside it."""
    axes.set(yscale="log", ylim=(LOWEST, 3))
    axes.axhline(0.01, color="black", linewidth=0.8, label=ONE_PER_CENT)
    drawn: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for key, look in looks.items():
        curves = matrix(data, list(runs.loc[runs[by] == key, "run_id"]), stage)
        if curves.empty:
            continue
        middle = np.median(10.0 ** relative(curves).to_numpy(float), 1)
        middle[(middle == 0) | ~np.isfinite(middle)] = np.nan
        lags = curves.index.to_numpy(float)
        line = draw_curve(axes, lags, middle, color=look["color"], linestyle=look["linestyle"])
        tell(line, f"{key}: median of {curves.shape[1]} seeds")
        drawn[str(key)] = lags, middle
    axes.set_xlim(0, 1.02 * max((lags.max() for lags, _ in drawn.values()), default=1))
    name_lines(axes, drawn, {str(key): look["color"] for key, look in looks.items()})


def name_lines(axes: Axes, lines: dict[str, tuple[np.ndarray, np.ndarray]], colours: dict[str, str]) -> None:
    """Write the name of each line at that of its points where it covers least of the others."""
    figure_of([axes]).draw_without_rendering()  # places are known once there is a layout
    to_pixels = axes.transData.transform
    inside = axes.get_window_extent()
    shown = {name: (xy := to_pixels(np.column_stack(line)))[np.isfinite(xy).all(1)] for name, line in lines.items()}
    points = np.concatenate([_dense(xy) for xy in shown.values()] or [np.zeros((0, 2))])
    taken: list[Bbox] = []
    for name, xy in shown.items():
        visible = [place for place in xy if inside.contains(*place)]
        text = axes.text(0, 0, name, color=colours[name], fontsize=8.5, va="bottom")
        box = text.get_window_extent()
        best = min(
            (
                (_crowded(where, points, taken, inside), -where.x0, tuple(where.p0))
                for x, y in visible
                for where in (
                    Bbox.from_bounds(x + aside, y + above, box.width, box.height)
                    for aside in (4, -box.width - 4)
                    for above in (3, -box.height - 3)
                )
            ),
            default=None,
        )
        if best is None:
            text.remove()
            continue
        text.set_position(axes.transData.inverted().transform(best[2]))
        taken.append(Bbox.from_bounds(*best[2], box.width, box.height))


def _dense(xy: np.ndarray) -> np.ndarray:
    """Return points along a line, near to each other."""
    if len(xy) < 2:
        return xy
    at = np.linspace(0, len(xy) - 1, 8 * len(xy))
    return np.column_stack([np.interp(at, np.arange(len(xy)), column) for column in xy.T])


def _crowded(box: Bbox, points: np.ndarray, taken: list[Bbox], inside: Bbox) -> float:
    """Return how much a name would cover in a box: points of lines, and of other names much more."""
    covered = (box.x0 <= points[:, 0]) & (points[:, 0] <= box.x1) & (box.y0 <= points[:, 1]) & (points[:, 1] <= box.y1)
    outside = not (inside.contains(*box.p0) and inside.contains(*box.p1))
    return float(covered.sum()) + 1000 * sum(box.overlaps(other) for other in taken) + 10_000 * outside


def draw_runs(
    axes: Axes, runs: pd.DataFrame, reach: str, by: str, measure: Measure, looks: dict[Any, dict[str, Any]]
) -> None:
    """Draw a dot for each run, and say how many there are where many lie on one place."""
    longest = numbers(runs, "seq_len").max(initial=1)
    places: Counter[tuple[float, float]] = Counter()
    for key, look in looks.items():
        some = runs[runs[by] == key]
        shares = numbers(some, reach) / np.maximum(numbers(some, "seq_len") - 1, 1)
        for run_id, length, x, y in zip(
            some["run_id"], numbers(some, "seq_len"), shares, measure.values(some), strict=True
        ):
            size = 4 + 7 * np.sqrt(length / longest)
            (dot,) = axes.plot(
                x, y, look["marker"], color=look["color"], markerfacecolor="none", markersize=size, clip_on=False
            )
            tell(dot, f"{key}, {number(length, 'g')} steps, run {run_id}: reach {number(x, '.2f')}, {number(y, '.3g')}")
            places[round(x, 1), round(y, -1)] += 1
    for (x, y), count in places.items():
        if count >= HEAP:
            axes.annotate(
                f"{count} runs", (x, y), (0, 12 if y < 50 else -18), textcoords="offset points", ha="center", fontsize=8
            )
