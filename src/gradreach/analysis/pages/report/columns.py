"""Which columns a figure has, so that a narrow page shows one below the other."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

POINTS = 72
"""An inch."""


@dataclass(frozen=True)
class Column:
    """A part of a figure that can stand by itself.

    - ``left``, ``right``: where it begins and ends, in points.
    - ``axes``: its panels, by their places among those of the figure.
    """

    left: float
    right: float
    axes: tuple[int, ...]


def columns_of(figure: Figure) -> list[Column]:
    """Return the columns of a figure from left to right; what reaches into the next column is one with it.

    >>> figure = Figure(figsize=(8, 3))
    >>> _ = figure.subplots(1, 2)
    >>> [column.axes for column in columns_of(figure)]
    [(0,), (1,)]
    """
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    own = [_column(axes) for axes in figure.axes]
    most = max((place for place in own if place is not None), default=0)
    places = [most if place is None else place for place in own]
    scale = POINTS / figure.dpi
    whole = min([POINTS * figure.get_figwidth(), *(box[0] for box in keys_of(figure))])
    found, left, mine = [], 0.0, list[int]()
    for column in range(most + 1):
        mine += [i for i, place in enumerate(places) if place == column]
        ends = [box.x1 for box, place in zip(boxes, places, strict=True) if box is not None and place <= column]
        begins = [box.x0 for box, place in zip(boxes, places, strict=True) if box is not None and place > column]
        if ends and begins and max(ends) <= min(begins):
            right = scale * (max(ends) + min(begins)) / 2
            found.append(Column(left, right, tuple(mine)))
            left, mine = right, []
    return [*found, Column(left, whole, tuple(mine))]


def keys_of(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Return where the keys beside the panels are: left, top, width and height in points."""
    renderer, scale = FigureCanvasAgg(figure).get_renderer(), POINTS / figure.dpi
    boxes = [key.get_window_extent(renderer) for key in figure.legends]
    top = POINTS * figure.get_figheight()
    return [(scale * box.x0, top - scale * box.y1, scale * box.width, scale * box.height) for box in boxes]


def _column(axes: Axes) -> int | None:
    """Return the column of a panel; a colour bar has none of its own."""
    place = axes.get_subplotspec()
    return None if place is None or axes.get_label() == "<colorbar>" else place.colspan.start
