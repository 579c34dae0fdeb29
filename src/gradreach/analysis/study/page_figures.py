"""Figures that a study shows. How to read them follows from their kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Picture
from pandas.api.types import is_string_dtype

from gradreach.analysis.figures.captions import KINDS, READING
from gradreach.analysis.figures.figure import Figure
from gradreach.analysis.naming import plain
from gradreach.analysis.order import in_order
from gradreach.analysis.results import Results, Where
from gradreach.analysis.study.asked import Asked, file_stem
from gradreach.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class FigureOf:
    """A figure, as a study declares it."""

    name: str
    draw: Callable[..., Picture]
    caption: str
    where: Where = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, results: Results) -> Figure:
        """Return the figure, ready to be drawn from its runs."""
        options = dict(self.options)
        if isinstance(asked := options.get("measure"), str | Asked):
            options["measure"] = (Asked(asked) if isinstance(asked, str) else asked).measure(results)
        draw = partial(self.draw, **options)
        keys = [key for key in map(options.get, ("by", "beside")) if isinstance(key, str)]
        places = [key for key in map(options.get, ("x", "panels", "by")) if isinstance(key, str)]

        def drawn(every: Results, stem: Path) -> Picture:
            return draw(in_groups(every.along(places).where(self.where), keys), stem)

        return Figure(self.name, self.caption, drawn)


def in_groups(results: Results, keys: Sequence[str]) -> Results:
    """Return the results with groups that numbers tell apart in order; those that have no value are a group, too.

    Groups that have names stay in the order of the run table.
    """
    numbers = [key for key in keys if key in results.runs and not is_string_dtype(results.runs[key].dtype)]
    runs = in_order(results.runs, numbers)
    named = {key: runs[key].map(plain) for key in keys if key in runs and runs[key].isna().any()}
    return results.reordered(runs.assign(**named))


def figure(
    kind: str | Callable[..., Picture],
    *,
    name: str = "",
    about: str = "",
    caption: str = "",
    where: Where | None = None,
    **options: Any,
) -> FigureOf:
    """Declare a figure of the runs whose setting was chosen.

    Args:
        kind: one of docs/figures.md, such as ``metric_against``; or a function that is given the results and the name
            of the files without their ending, and returns what it drew.
        name: of its files; by default what it measures, otherwise its kind.
        about: what is special about this figure, before the reading of its kind.
        caption: the whole caption instead.
        where: which runs.
        options: of the kind; ``measure`` is a column, or ``measure(...)``.

    Raises:
        ConfigError: there is no such kind, or a function has no caption.

    >>> figure("metric_against", x="seq_len").name
    'accuracy'
    >>> figure("metric_againts")
    Traceback (most recent call last):
    gradreach.errors.ConfigError: figure=metric_againts: there is no such kind; did you mean metric_against? ...
    """
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ConfigError("figure", kind, "there is no such kind", choices=KINDS)
        draw = KINDS[kind]
        caption = caption or " ".join(filter(None, (about, READING[draw])))
    else:
        draw = kind
        if not caption:
            needs = "a figure of your own needs a caption"
            raise ConfigError(f"figure {kind.__name__}", allowed=needs, hint="explain how to read it")
    asked = options.get("measure", "test/accuracy" if kind in ("metric_against", "dots") else None)
    stem = (
        file_stem(asked.column if isinstance(asked, Asked) else asked) if asked else getattr(draw, "__name__", "figure")
    )
    return FigureOf(name=name or stem, draw=draw, caption=caption, where=where or {}, options=options)
