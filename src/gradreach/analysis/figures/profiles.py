"""How far back the gradient reaches: norm against lag, and lag against training."""

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from gradreach.analysis.figures.common import (
    ONE_PER_CENT,
    STAGES,
    THIN,
    Series,
    draw_curve,
    head,
    of_one_length,
    opacity,
    series_of,
    tell,
)
from gradreach.analysis.figures.labels import label_lines
from gradreach.analysis.figures.panels import grid, panels_of, split
from gradreach.analysis.results import Results
from gradreach.drawing import INK, PANEL, epoch_of, figure_of, save_figure

FLOOR = 1e-12
"""The smallest share that figures show."""
GRADIENT_BY = {"x": "input", "h": "hidden state", "c": "cell"}
MANY = 20
"""More seeds than these are drawn as a band."""


def gradient_by_lag(
    results: Results,
    stem: Path,
    *,
    quantity: str = "x",
    by: str = "architecture",
    panels: str = "seq_len",
    annotate: Callable[[Axes, int], None] = lambda axes, seq_len: None,
) -> Figure:
    """Draw gradient norm against lag: before training on the left, after it on the right, a row for each panel.

    A thin line is the median example of a seed, a thick one the median of the seeds, relative to the norm at lag 1.
    With more than 20 seeds a band shows the middle 80 %. Reach is the largest lag at or above the line at 1 %.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        quantity: ``x``, ``h`` or ``c``: gradient w.r.t. the input, the hidden state, the cell state; of several
            recurrent layers the last one.
        by: what makes a line; more than five are parts below each other.
        panels: what makes a row.
        annotate: adds to a panel, given its axes and the largest sequence length in it.
    """
    contents = panels_of(results.runs, panels)
    parts = split(series_of(results.runs, by))
    data = results.curves(quantity)
    size = (PANEL[0] + 0.8, PANEL[1])
    with save_figure(stem, len(contents) * len(parts), 2, sharex=len(contents) == 1 or "row", size=size) as drawn:
        for row, ((title, runs), part) in enumerate(product(contents, parts)):
            for axes, (stage, name) in zip(drawn[2 * row : 2 * row + 2], STAGES.items(), strict=True):
                for key, series in part.items():
                    some = runs[runs[by] == key]
                    curves = matrix(data, list(some["run_id"]), stage)
                    if not curves.empty:
                        draw_seeds(axes, curves, series, opacity(some))
                axes.axhline(0.01, color=INK, linewidth=0.8, label=ONE_PER_CENT)
                if runs["seq_len"].notna().any():
                    annotate(axes, int(runs["seq_len"].max()))
                axes.set_title(f"{title}, {name}" if title else name)
            drawn[2 * row].set_ylabel(f"‖dL/d{quantity}‖ ÷ that at lag 1")
        for axes in drawn[-2:]:
            axes.set_xlabel("lag (steps back from the last one)")
        smallest = min(0.001, *(axes.dataLim.minposy for axes in drawn))
        largest = max(1.0, *(axes.dataLim.y1 for axes in drawn))
        drawn[0].set(ylim=(max(FLOOR, smallest / 2), 3 * largest), yscale="log")
        head(figure_of(drawn), f"Gradient w.r.t. the {GRADIENT_BY.get(quantity, quantity)}, against lag")
        label_lines(figure_of(drawn))
    return figure_of(drawn)


def gradient_through_training(
    results: Results,
    stem: Path,
    *,
    quantity: str = "x",
    by: str = "architecture",
    seq_len: int | None = None,
) -> Figure:
    """Draw a heat map of lag × epoch for each architecture: the gradient norm relative to that at lag 1.

    The median over seeds of the median examples. Bright is large; a dot stands at the reach, the largest lag with at
    least 1 %; what is exactly zero, or no number, is hatched. Needs ``diagnostics.profile=1``.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        quantity: as for ``gradient_by_lag``.
        by: what makes a panel.
        seq_len: of the runs that are drawn; None takes the longest.
    """
    runs, length = of_one_length(results.runs, seq_len)
    data = results.curves(quantity)
    measured = runs[runs["run_id"].isin(list(data["run_id"].unique()))]
    named = series_of(runs, by)
    contents = [(named[key].label, group) for key, group in measured.groupby(by, sort=False)] or [("", measured)]
    with save_figure(stem, *grid(len(contents)), sharex=False, size=(PANEL[0], 2.4)) as drawn:
        mesh = None
        for axes in drawn[len(contents) :]:
            axes.remove()
        for axes, (title, some) in zip(drawn, contents, strict=False):
            axes.set_title(title)
            axes.set(xlabel="epoch", ylabel="lag (steps back)")
            values = by_epoch(data, list(some["run_id"]))
            if values.shape[1] < 2:
                axes.text(0.5, 0.5, "not measured during training", ha="center", transform=axes.transAxes)
                continue
            mesh = draw_heat_map(axes, values)
        head(figure_of(drawn), length)
        if mesh is not None:
            shown = [axes for axes in drawn if axes.figure is not None]
            bar = figure_of(drawn).colorbar(mesh, ax=shown, aspect=40, shrink=0.9)
            bar.set_label(f"log10 ‖dL/d{quantity}‖ ÷ that at lag 1")
    return figure_of(drawn)


def matrix(data: pd.DataFrame, run_ids: list[str], stage: str) -> pd.DataFrame:
    """Return log10 of the median norm: a row a lag, a column a run."""
    mine = ((data["stage"] == stage) & data["run_id"].isin(run_ids)).to_numpy(bool)
    runs, names = pd.factorize(data["run_id"][mine])
    places, lags = pd.factorize(data["lag"].to_numpy()[mine], sort=True)
    norms = np.full((len(lags), len(names)), math.nan)  # by hand: a pivot sorts millions of rows
    norms[places, runs] = data["median"].to_numpy(float)[mine]
    curves = pd.DataFrame(norms, pd.Index(lags, name="lag"), pd.Index(names, dtype=object).astype(str))
    return curves.sort_index(axis=1)


def by_epoch(data: pd.DataFrame, run_ids: list[str]) -> pd.DataFrame:
    """Return log10 of the norm relative to that at lag 1: a row a lag, a column an epoch, over all seeds."""
    columns = {}
    for stage in map(str, data["stage"].unique()):
        curves = matrix(data, run_ids, stage)
        if not curves.empty and not math.isnan(epoch_of(stage)):
            columns[epoch_of(stage)] = relative(curves).median(axis=1)
    return pd.DataFrame(columns).sort_index(axis=1)


def relative(curves: pd.DataFrame) -> pd.DataFrame:
    """Return log10 norms relative to that at lag 1 of each column, so that 1 % is the threshold of reach.

    Where the norm at lag 1 is exactly zero, or no number, they are relative to the largest finite one.
    """
    finite = curves.replace([np.inf, -np.inf], np.nan)
    return curves - finite.reindex([1]).iloc[0].fillna(finite.max())


def draw_seeds(axes: Axes, curves: pd.DataFrame, series: Series, alpha: float = 1) -> None:
    """Draw curves ``(lags, seeds)`` of log10 norms thin (many: a band), their median thick; zeros leave gaps."""
    look = series.look
    lags = curves.index.to_numpy(float)
    shares = 10.0 ** relative(curves).to_numpy(float)
    middle = np.median(shares, 1)  # of zeros, too: where one seed has one the others are not without a middle
    for values in (shares, middle):
        values[(values == 0) | ~np.isfinite(values)] = np.nan
    if shares.shape[1] > MANY:
        low, high = np.nanquantile(shares, (0.1, 0.9), axis=1)
        axes.fill_between(lags, low, high, color=look.color, alpha=0.2, linewidth=0)
    else:
        for run_id, share in zip(curves, shares.T, strict=True):
            tell(draw_curve(axes, lags, share, color=look.color, **THIN), f"{look.name}, run {run_id}")
    draw_curve(axes, lags, middle, series.label, color=look.color, linestyle=look.linestyle, alpha=alpha)


def draw_heat_map(axes: Axes, values: pd.DataFrame) -> ScalarMappable:
    """Draw lag × epoch, the farthest 1 % of every epoch as a dot, and return the image for a colour bar."""
    epochs, lags = values.columns.to_numpy(float), values.index.to_numpy(float)
    shown = np.ma.masked_invalid(values.to_numpy(float))
    middles = (epochs[1:] + epochs[:-1]) / 2
    edges = [2 * epochs[0] - middles[0], *middles, 2 * epochs[-1] - middles[-1]]
    mesh = axes.pcolormesh(
        edges, [*(lags - 0.5), lags[-1] + 0.5], shown, cmap="cividis", vmin=-6, vmax=0, rasterized=True
    )
    axes.grid(visible=False)
    blank = Rectangle((0, 0), 1, 1, transform=axes.transAxes, zorder=0, fill=False, hatch="////", edgecolor="#999999")
    blank.set_linewidth(0)
    axes.add_patch(blank)
    for epoch in epochs:
        arrived = values.index[values[epoch] >= -2]
        if len(arrived):
            axes.plot(epoch, arrived.max(), "o", color="white", markeredgecolor="#222222", markersize=4, clip_on=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    return mesh
