"""The style of our figures: safe for the colour-blind, readable in grey, the same bytes every time."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL.Image import Dither, Image, fromarray
from PIL.Image import open as open_image

from gradreach.look import INKS, Look, axis_label, look_of, looks_of, on_dark
from gradreach.system.files import write_atomically, write_text

INK = INKS[0]
"""Of axes, texts and lines to compare with; no series has it. Pages show it in the colour of their text."""
PALE = 0.35
"""The opacity of incomplete data."""


STYLE: Any = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "gradreach",
}

Shared = bool | Literal["none", "all", "row", "col"]
Inches = tuple[float, float]
PANEL: Inches = (3.6, 2.8)
"""Width and height of a panel in inches: two beside each other fill the width of a text."""
WIDE: Inches = (4.4, 3.0)
"""Of a panel with names in its margin: as wide as a phone shows without making its texts small."""

TIMELESS: Any = {"png": None, "pdf": {"Creator": None, "Producer": None, "CreationDate": None}}
"""Metadata that would otherwise contain the date and the matplotlib version."""

ANONYMOUS: Any = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""The same for SVG."""

QUANTITIES = {"x": "input, ‖dL/dx‖", "h": "state, ‖dL/dh‖", "c": "cell, ‖dL/dc‖", "y": "output, ‖dL/dy‖"}


def draw_band(axes: Axes, lag: np.ndarray, low: np.ndarray, middle: np.ndarray, high: np.ndarray, look: Look) -> None:
    """Draw a line with its band; values that are not finite leave a gap."""
    low, middle, high = (np.where(np.isfinite(values), values, np.nan) for values in (low, middle, high))
    axes.plot(lag, middle, color=look.color, linestyle=look.linestyle, label=look.name)
    axes.fill_between(lag, low, high, color=look.color, alpha=0.18, linewidth=0)


def draw_run_profile(profile: pd.DataFrame) -> Figure:
    """Draw one run's gradient norms by lag, at the start and at the end of training.

    Where it was measured in between, a heat map of lag × epoch stands below. Kept plain, without a layout engine:
    every run draws one.

    Args:
        profile: rows of ``gradient_profile`` with a column ``stage``: ``start``, ``end`` or ``epoch n``, n a fraction
            within an epoch.

    Returns:
        The figure; the next run of as many curves is drawn on the same.
    """
    profile = profile.assign(epoch=[epoch_of(stage) for stage in profile["stage"]])
    curves = dict(list(profile.groupby(["layer", "direction", "quantity"], sort=False)))
    figure, panels, bar = _run_profile_panels(2 if profile["epoch"].nunique() > 2 else 1, len(curves))
    finite = profile["median"][np.isfinite(profile["median"])]
    shades = Normalize(finite.min(), finite.max()) if len(finite) else Normalize(0, 1)
    for column, ((layer, direction, quantity), curve) in zip(panels.T, curves.items(), strict=True):
        draw_norms(column[0], curve[curve["stage"].isin(["start", "end"])])
        which = f" of {layer}" if quantity != "x" and len(curves) > 3 else ""
        title = QUANTITIES[str(quantity)] + which + (" ←" if direction == "backward" else "")
        column[0].set_title(title, fontsize=9, y=1)  # where it would stand anyway, but for a measurement
        if bar is not None:
            draw_heat_map(column[1], curve, shades)
    panels[0, 0].legend(frameon=False, loc="lower left")  # where a gradient that vanishes leaves room
    if bar is not None:
        figure.colorbar(ScalarMappable(shades, "viridis"), bar, label="log10 of the median norm")
    return figure


def draw_by_length(measured: pd.DataFrame) -> Figure:
    """Draw one run's score at its test lengths, and how far its gradient reaches there.

    Args:
        measured: ``test_length``, ``test/accuracy`` or ``test/mse``, and ``gradient/end/h.reach`` where that was
            measured.
    """
    scores = [name for name in ("test/accuracy", "test/mse") if name in measured]
    reaches = [str(name) for name in measured if str(name).startswith("gradient/end/") and str(name).endswith(".reach")]
    shown = [names for names in (scores, reaches) if names]
    figure = Figure(figsize=(3.2 * len(shown), 2.8), dpi=100)
    for axes, names in zip(figure.subplots(1, len(shown), squeeze=False).flat, shown, strict=True):
        looks = looks_of(name.rpartition("/")[2] for name in names)
        for name, look in zip(names, looks.values(), strict=True):
            axes.plot(measured["test_length"], measured[name], **look.line, label=look.name)
        axes.set(xlabel=axis_label("test_length"), ylabel="reach (steps)" if names is reaches else names[0])
        axes.legend(frameon=False)
    figure.subplots_adjust(left=0.12, right=0.97, bottom=0.17, wspace=0.35)
    return figure


def as_image(figure: Figure) -> Image:
    """Return a figure as pixels, drawn once."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _run_profile_panels(rows: int, columns: int) -> tuple[Figure, Any, Axes | None]:
    """Return a figure, its empty panels, and that of the colour bar if there are heat maps."""
    figure, panels, bar = _made_run_profile_panels(rows, columns)
    for axes in panels.flat:
        for artist in (*axes.lines, *axes.collections):
            artist.remove()
        axes.relim()
    if bar is not None:
        bar.clear()
    return figure, panels, bar


@lru_cache(maxsize=4)
def _made_run_profile_panels(rows: int, columns: int) -> tuple[Figure, Any, Axes | None]:
    """Make them once: it takes as long as to draw on them."""
    figure = Figure(figsize=(3.2 * columns, 2.8 * rows), dpi=100)
    panels = figure.subplots(rows, columns, sharey="row", squeeze=False)
    width = figure.get_figwidth()
    left, right = 0.75 / width, 1 - (0.95 if rows == 2 else 0.15) / width
    figure.subplots_adjust(left=left, right=right, bottom=0.17 / rows, top=1 - 0.1 / rows, wspace=0.12, hspace=0.35)
    panels[0, 0].set_ylabel("log10 norm: median, 10–90 %")
    for axes in panels.flat:  # each number, mark and line takes a hundredth of the drawing time
        axes.tick_params(bottom=False, left=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_label_coords(0.5, -0.13)
    if rows == 1:
        return figure, panels, None
    panels[1, 0].set_ylabel("lag (steps back)")
    low, high = panels[1, -1].get_position().intervaly
    return figure, panels, figure.add_axes((right + 0.12 / width, low, 0.12 / width, high - low))


def draw_norms(axes: Axes, curves: pd.DataFrame) -> None:
    """Draw the rows of one layer and quantity against lag, a band for each stage."""
    for stage, curve in curves.groupby("stage", sort=False):
        lag, low, middle, high = (curve[name].to_numpy(float) for name in ("lag", "q10", "median", "q90"))
        draw_band(axes, lag, low, middle, high, look_of(f"{'before' if stage == 'start' else 'after'} training"))
    axes.set_xlabel("lag (steps back)")


def draw_heat_map(axes: Axes, curve: pd.DataFrame, shades: Normalize) -> None:
    """Draw lag × epoch: log10 of the median norm, dark is small; what is zero or no number stays white."""
    grid = curve.dropna(subset=["epoch"]).pivot_table(index="lag", columns="epoch", values="median", dropna=False)
    values = np.ma.masked_invalid(grid.to_numpy(float))
    epochs = grid.columns.to_numpy(float)
    middles = (epochs[1:] + epochs[:-1]) / 2
    edges = np.array([epochs[0], *middles, epochs[-1]])
    lags = np.arange(len(grid) + 1) - 0.5
    axes.pcolormesh(edges, lags, values, cmap="viridis", norm=shades, rasterized=True)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, prune="upper"))  # or panels' numbers meet
    axes.set_xlabel("epoch")


def epoch_of(stage: str) -> float:
    """Return the epoch of a stage; the end belongs to the chosen weights, which are on no axis."""
    return 0.0 if stage == "start" else float(stage.removeprefix("epoch ")) if stage.startswith("epoch ") else np.nan


@contextmanager
def save_figure(
    stem: Path, rows: int = 1, columns: int = 1, *, sharex: Shared = "col", sharey: Shared = True, size: Inches = PANEL
) -> Iterator[Sequence[Axes]]:
    """Give axes to draw on, row by row, and save them as PNG and PDF with the same bytes every time.

    Args:
        stem: the name of the files without their ending.
        rows: of panels.
        columns: of panels.
        sharex: which panels share the horizontal axis, as for ``matplotlib.pyplot.subplots``.
        sharey: the same for the vertical one.
        size: width and height of a panel.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows))
        panels = list(figure.subplots(rows, columns, sharey=sharey, sharex=sharex, squeeze=False).flat)
        for axes in panels:
            axes.tick_params(axis="y", labelleft=True)  # a narrow page shows columns below each other
        yield panels
        for suffix, metadata in TIMELESS.items():
            write_atomically(stem.with_suffix(f".{suffix}"), partial(_save, figure, suffix, metadata))
            figure.set_layout_engine("none")  # the layout is found once and kept


def figure_of(panels: Sequence[Axes]) -> Figure:
    """Return the figure that panels stand in."""
    figure = panels[0].figure
    assert isinstance(figure, Figure)
    return figure


def as_svg(figure: Figure) -> str:
    """Return a figure as SVG whose texts are texts, on no background; the same every time."""
    file = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", transparent=True, metadata=ANONYMOUS)
    return file.getvalue()


def save_svgs(figure: Figure, stem: Path) -> None:
    """Save a figure as ``<stem>.svg``, and in the shades of a dark page as ``<stem>-dark.svg``, on no background."""
    light = as_svg(figure).replace("<svg ", f'<svg fill="{INK}" ', 1)  # of what matplotlib leaves to be black
    write_text(stem.with_suffix(".svg"), light)
    write_text(stem.with_name(f"{stem.name}-dark.svg"), on_dark(light))


def _save(figure: Figure, suffix: str, metadata: Any, file: BinaryIO) -> None:
    if suffix != "png":
        figure.savefig(file, format=suffix, metadata=metadata)
        return
    figure.savefig(drawn := io.BytesIO(), format=suffix, metadata=metadata)
    with open_image(drawn) as image:  # lines and texts have few colours: a palette of 256 takes a third of the bytes
        image.convert("RGB").quantize(256, dither=Dither.NONE).save(file, suffix, optimize=True)
