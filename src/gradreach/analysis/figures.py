"""Pictures of whole experiments."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gradreach.analysis.results import Results
from gradreach.drawing import COLOURS, DASHES, saved

FLOOR = 1e-12
"""The smallest share that pictures show."""
MANY = 20
"""More seeds than these are drawn as a band."""


def gradient_by_lag(
    results: Results,
    stem: Path,
    *,
    quantity: str = "x",
    annotate: Callable[[Axes, int], None] = lambda axes, seq_len: None,
) -> None:
    """Draw gradient norm against lag: a row for start and end, a column for each ``seq_len``, a colour a model.

    A thin line is the median example of a seed, a thick one the median of the seeds; each relative to its largest norm.
    Of more than 20 seeds a band shows the middle 80 %.
    """
    runs, profiles = results.runs, results.profiles
    data = profiles[profiles["quantity"] == quantity].merge(runs[["run_id", "architecture", "seq_len"]], on="run_id")
    architectures = list(runs["architecture"].unique())
    lengths = sorted(runs["seq_len"].dropna().unique())
    with saved(stem, rows=2, columns=len(lengths)) as panels:
        for axes, (stage, seq_len) in zip(panels, product(("start", "end"), lengths), strict=True):
            for i, architecture in enumerate(architectures):
                chosen = (data["stage"] == stage) & (data["seq_len"] == seq_len)
                some = data[chosen & (data["architecture"] == architecture)]
                curves = some.pivot_table(index="lag", columns="run_id", values="median", aggfunc="first")
                if not curves.empty:
                    draw_seeds(axes, curves.index.to_numpy(float), curves.to_numpy(dtype=float), i, architecture)
            axes.axhline(0.01, color="black", linewidth=0.8)
            annotate(axes, int(seq_len))
            axes.set(title=f"seq_len {seq_len}, {stage}", yscale="log")
            axes.set_ylim(bottom=FLOOR)
            if stage == "end":
                axes.set_xlabel("lag (steps back from the last one)")
        for axes in panels[:: len(lengths)]:
            axes.set_ylabel(f"‖dL/d{quantity}‖ relative to its largest")
        drawn = [axes for axes in panels if axes.get_legend_handles_labels()[0]]
        if drawn:
            drawn[0].legend()


def draw_seeds(axes: Axes, lag: np.ndarray, log10: np.ndarray, i: int, label: str) -> None:
    """Draw curves ``(lags, seeds)`` of log10 norms thin, or many as a band, and their median thick."""
    relative = 10.0 ** (log10 - log10.max(0))
    relative[relative == 0] = np.nan
    style: Any = {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}
    if relative.shape[1] > MANY:
        low, high = np.quantile(relative, (0.1, 0.9), axis=1)
        axes.fill_between(lag, low, high, color=style["color"], alpha=0.2, linewidth=0)
    else:
        axes.plot(lag, relative, linewidth=0.6, alpha=0.5, **style)
    axes.plot(lag, np.median(relative, 1), label=label, **style)
