"""Lines are labelled at their ends, so that nobody has to look up a legend."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradreach.analysis.figures.common import TRAINED, is_reference
from gradreach.drawing import INK, figure_of

SMALL = 8
"""Size of a label, in points."""
TIE = 0.004
"""Lines that are nowhere further apart than this share of the panel's height look like one."""
EARLY = 0.5
"""Lines that leave their panel before this share of its width are labelled there, not at its far side."""


def label_lines(figure: Figure) -> None:
    """Name every labelled line of every panel at its end, in the margin, and no two names on top of each other.

    Those that fall out of their panel in its first half have their names at its foot, the last to leave lowest.

    Lines that lie on each other throughout share one label, joined by ``=``. What the caption explains (lengths of
    training), and lines to compare with that lie outside, have none. A labelled line without a value is named
    at the foot of the margin. A panel without data says so.
    """
    for axes in figure.axes:
        if axes.axison and axes.get_label() != "<colorbar>":
            _say_if_empty(axes)
            _label(axes)


def key_beside(figure: Figure) -> None:
    """Put one key beside all panels, each label once, for marks that end nowhere: points of a row, parts of a bar."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        _say_if_empty(axes)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.set_figwidth(figure.get_figwidth() + 0.4 + 0.065 * max(map(len, found)))
        figure.legend(list(found.values()), list(found), loc="outside right upper", fontsize=SMALL)


def spread(heights: Sequence[float], sizes: Sequence[float]) -> np.ndarray:
    """Return heights for labels of some sizes that do not overlap, as near as can be to those asked for, within 0 to 1.

    >>> spread([0.5, 0.5, 0.9], [0.1, 0.1, 0.1]).round(2).tolist()
    [0.45, 0.55, 0.9]
    """
    wanted = np.asarray(heights, float)
    order = np.argsort(wanted, kind="stable")
    half = np.asarray(sizes, float)[order] / 2
    below = np.concatenate([[0.0], np.cumsum(half[:-1] + half[1:])])  # how far each is above the first at least
    free = wanted[order] - below
    places = range(len(free))  # isotonic regression, by its min-max formula: labels are few
    found = np.array([max(min(free[a : b + 1].mean() for b in places[i:]) for a in places[: i + 1]) for i in places])
    top = 1 - below[-1] - half[-1]
    found = np.clip(found, min(half[0], top), max(half[0], top)) + below
    placed: np.ndarray = np.empty(len(order))
    placed[order] = found
    return placed


def _label(axes: Axes) -> None:
    groups: list[tuple[list[Line2D], np.ndarray]] = []
    for line in axes.get_lines():
        path = _path(axes, line)
        beyond = is_reference(line) and not _seen(path).any()
        if str(line.get_label()).startswith("_") or line.get_label() == TRAINED or beyond:
            continue
        for lines, other in groups:
            if len(path) > 1 and path.shape == other.shape and np.allclose(path, other, rtol=0, atol=TIE):
                lines.append(line)
                break
        else:
            groups.append(([line], path))
    if not groups:
        return
    texts = [" =\n".join(str(line.get_label()) for line in lines) for lines, _ in groups]
    panel = figure_of([axes])
    height = 0.7 * panel.get_figheight() / max(1, _rows(panel))
    sizes = [1.3 * SMALL / 72 / height * (1 + text.count("\n")) for text in texts]
    ends = [_end(path) for _, path in groups]
    wanted = [(1.05, 0.0 if end is None else float(np.clip(end[1], 0, 1))) for end in ends]
    left = {i: end[0] for i, (end, (_, path)) in enumerate(zip(ends, groups, strict=True)) if _falls_early(end, path)}
    for i, x in left.items():
        wanted[i] = (max(left.values()) + 0.05, -x)
    for (lines, _), text, end, at in zip(groups, texts, ends, _apart(wanted, sizes), strict=True):
        look: Any = {"fontsize": SMALL, "color": INK, "va": "center", "ha": "left", "annotation_clip": False}
        arrow = None
        if end is not None:
            stroke: Any = {"color": lines[0].get_color(), "linewidth": 0.8, "alpha": 0.8}
            arrow = {"arrowstyle": "-", "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5), **stroke}
        place = (
            1.0 if end is None else float(np.clip(end[0], 0, 1)),
            at[1] if end is None else float(np.clip(end[1], 0, 1)),
        )
        axes.annotate(text, place, at, "axes fraction", "axes fraction", arrow, **look)


def _falls_early(end: np.ndarray | None, path: np.ndarray) -> TypeGuard[np.ndarray]:
    """Return whether a line leaves through the foot of its panel in its first half."""
    return end is not None and bool(end[0] < EARLY and path[-1][1] < 0)


def _apart(wanted: Sequence[tuple[float, float]], sizes: Sequence[float]) -> list[tuple[float, float]]:
    """Return places for names in columns: in none of them does one overlap another."""
    placed = [*wanted]
    for column in {x for x, _ in wanted}:
        mine = [i for i, (x, _) in enumerate(wanted) if x == column]
        for i, y in zip(mine, spread([wanted[i][1] for i in mine], [sizes[i] for i in mine]), strict=True):
            placed[i] = (column, float(y))
    return placed


def _seen(path: np.ndarray) -> np.ndarray:
    """Return which places of a line lie inside its panel; the ends of a line across it do, to rounding."""
    return np.asarray(((path > -1e-6) & (path < 1 + 1e-6)).all(1))


def _end(path: np.ndarray) -> np.ndarray | None:
    """Return the last visible place of a line: a line that leaves its panel is labelled there."""
    inside = path[_seen(path)]
    return inside[-1] if len(inside) else path[-1] if len(path) else None


def _path(axes: Axes, line: Line2D) -> np.ndarray:
    """Return the finite places of a line in shares of its panel."""
    axes.get_xlim(), axes.get_ylim()  # which brings the scales up to date
    points = np.column_stack([np.asarray(values, float) for values in line.get_data()])
    with np.errstate(all="ignore"):
        places = axes.transAxes.inverted().transform(line.get_transform().transform(points))
    finite: np.ndarray = places[np.isfinite(places).all(1)]
    return finite


def _rows(figure: Figure) -> int:
    grids = [axes.get_gridspec() for axes in figure.axes]
    return max((each.nrows for each in grids if each is not None), default=1)


def _has_values(axes: Axes, line: Line2D) -> bool:
    """Return whether a line shows measurements, and is not a reference or a note that nothing was measured."""
    own = line.get_transform().contains_branch_seperately(axes.transData)[1]  # the spelling is matplotlib's
    return own and bool(np.isfinite(line.get_ydata()).any()) and not is_reference(line)


def _say_if_empty(axes: Axes) -> None:
    drawn = [
        *axes.collections,
        *axes.patches,
        *axes.texts,
        *(line for line in axes.get_lines() if _has_values(axes, line)),
    ]
    if drawn:
        return
    axes.text(0.5, 0.5, "nothing measured yet", ha="center", va="center", transform=axes.transAxes)
    beside = axes.get_shared_y_axes().get_siblings(axes)
    if axes.get_autoscaley_on() and not any(np.isfinite(each.dataLim.y1) for each in beside):
        axes.set_yticks([])  # those that would stand there are of no value
