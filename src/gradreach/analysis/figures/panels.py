"""The panels of a figure: one per value of a key, split where one would have too many lines to read."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from gradreach.analysis.figures.common import Series, series_of
from gradreach.analysis.naming import plain
from gradreach.analysis.order import in_order
from gradreach.drawing import PANEL, WIDE, Inches
from gradreach.look import FAMILIES, model_of, panel_title

MOST = 5
"""The most series in one panel."""


@dataclass(frozen=True)
class Panel:
    """What one panel shows.

    - ``title``: which value of the key it is of; empty where there is but one.
    - ``runs``: those of its series.
    - ``series``: at most five, by their keys.
    """

    title: str
    runs: pd.DataFrame
    series: Mapping[Hashable, Series]


@dataclass(frozen=True)
class Layout:
    """The panels of a figure, row by row."""

    rows: int
    columns: int
    panels: tuple[Panel, ...]

    @property
    def size(self) -> Inches:
        """How large each of this many panels side by side is: readable, with a margin for names."""
        return {1: WIDE, 2: (PANEL[0] + 0.8, PANEL[1])}.get(self.columns, (3.4, 2.8))

    def fill(self, drawn: Sequence[Axes]) -> Iterator[tuple[Axes, Panel]]:
        """Give each panel its title, and remove those without runs, unless all are."""
        lonely = all(panel.runs.empty for panel in self.panels)
        for axes, panel in zip(drawn, self.panels, strict=False):
            if panel.runs.empty and not lonely:
                axes.remove()
                continue
            axes.set_title(panel.title)
            yield axes, panel
        for axes in drawn[len(self.panels) :]:
            axes.remove()


def layout(runs: pd.DataFrame, key: str | None, by: str) -> Layout:
    """Return the panels of a figure: one for each value of a key, and a row for each part of its series.

    Args:
        runs: what is drawn.
        key: what makes a panel.
        by: what makes a series.
    """
    contents, parts = panels_of(runs, key), split(series_of(runs, by))
    found = [
        [Panel(title, some if len(parts) == 1 else some[some[by].isin(list(part))], part) for title, some in contents]
        for part in parts
    ]
    if len(parts) == 1:
        return Layout(*grid(len(contents)), tuple(found[0]))
    if len(contents) > 3:  # too many to stand beside each other
        return Layout(len(contents), len(parts), tuple(panel for row in zip(*found, strict=True) for panel in row))
    return Layout(len(parts), len(contents), tuple(panel for row in found for panel in row))


def split(series: Mapping[Hashable, Series]) -> list[dict[Hashable, Series]]:
    """Return series in parts of at most five: families stay together, and share a part where both fit.

    One that is too large for a part shares none with those before it. Recurrent and gated come first: hues of recurrent
    models and of linear recurrences are too near for the colour-blind to fill a panel together.

    >>> from gradreach.analysis.figures.common import Series
    >>> from gradreach.look import look_of
    >>> names = ["gru", "lstm", "lstm b=1", "lstm chrono", "rnn", "tcn"]
    >>> [list(part) for part in split({name: Series(look_of(name), name) for name in names})]
    [['rnn', 'gru', 'lstm', 'lstm b=1', 'lstm chrono'], ['tcn']]
    """
    if len(series) <= MOST:
        return [dict(series)]
    families: dict[str, list[Hashable]] = {family: [] for family in (*FAMILIES, "")}
    for key, each in series.items():
        families.setdefault(each.look.family, []).append(key)
    parts: list[list[Hashable]] = []
    for keys in families.values():
        whole, first = ([keys], 0) if len(keys) <= MOST else (_by_model(keys), len(parts))
        for some in (group[i : i + MOST] for group in whole for i in range(0, len(group), MOST)):
            room = next((part for part in parts[first:] if len(part) + len(some) <= MOST), None)
            room.extend(some) if room is not None else parts.append(list(some))
    return [{key: series[key] for key in part} for part in parts]


def _by_model(keys: Sequence[Hashable]) -> list[list[Hashable]]:
    models: dict[str, list[Hashable]] = {}
    for key in keys:
        models.setdefault(model_of(str(key))[0], []).append(key)
    return list(models.values())


def panels_of(runs: pd.DataFrame, key: str | None) -> list[tuple[str, pd.DataFrame]]:
    """Return title and runs of each panel: one for each value of a key, in order; None makes one of all."""
    if key is None or runs.empty:
        return [("", runs)]
    groups = [group for _, group in in_order(runs, [key]).groupby([key], sort=False, dropna=False)]
    if len(groups) == 1:
        return [("", groups[0])]
    return [(panel_title(key, plain(group[key].iloc[0])), group) for group in groups]


def grid(count: int) -> tuple[int, int]:
    """Return rows and columns for this many panels: as few columns as leave no gap, two for many panels."""
    columns = 3 if count == 3 else min(count, 2)
    return -(-count // columns), columns


def leftmost(axes: Axes) -> bool:
    """Return whether a panel stands in the first column."""
    place = axes.get_subplotspec()
    return place is None or place.is_first_col()
