"""How far a measured number is from the known one."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import head, tell
from gradreach.analysis.figures.labels import SMALL
from gradreach.analysis.results import Results
from gradreach.drawing import INK, figure_of, save_figure
from gradreach.look import display_name, look_of
from gradreach.rounding import number, threshold_text


def against_known(
    results: Results, stem: Path, *, measured: str = "gradient/start/h.decay", threshold: float | None = None
) -> Figure:
    """Draw the error of the measured factor per step, in per cent of ``factor/known``: one line per layer.

    The axis is linear within the threshold and logarithmic beyond it, so that rounding and a real difference both show.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        measured: the column that is compared.
        threshold: how far off a rule allows, in per cent; a band.
    """
    runs = results.finished
    runs = runs[runs["factor/known"].notna()] if measured in runs else runs.iloc[:0]
    groups = list(runs.groupby("architecture", sort=False))
    look = look_of("after training")
    with save_figure(stem, size=(4.4, 1.0 + 0.3 * max(len(groups), 1))) as (axes,):
        for at, (name, some) in enumerate(groups):
            off = 100 * (some[measured] / some["factor/known"] - 1).to_numpy(float)
            axes.plot(off, np.full(len(off), at), ".", color=look.color, markersize=4, alpha=0.45)
            (mark,) = axes.plot(off.mean(), at, look.marker, color=look.color, markersize=6)
            known = number(some["factor/known"].mean(), ".4g")
            tell(mark, f"{display_name(name)}: off by {number(off.mean(), '.2g')} % of {known} ({len(off)} seeds)")
        axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
        if threshold is not None:
            axes.set_xscale("symlog", linthresh=threshold)
            band = axes.axvspan(-threshold, threshold, color=INK, alpha=0.12, linewidth=0, zorder=0)
            words = f"threshold: ± {threshold_text(threshold)} %"
            tell(band, words)
            axes.set_title(words, fontsize=SMALL)
        axes.set_yticks(range(len(groups)), [display_name(name) for name, _ in groups])
        axes.set(xlabel="measured factor of one step − known one (%)", ylim=(max(len(groups), 1) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        head(figure_of([axes]), "Factor of one step: measured against known")
    return figure_of([axes])
