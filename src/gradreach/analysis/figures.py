"""Pictures of whole experiments."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gradreach.drawing import draw_band, saved

FLOOR = 1e-12
"""The smallest share that pictures show."""


def gradient_by_lag(
    runs: pd.DataFrame,
    profiles: pd.DataFrame,
    stem: Path,
    *,
    quantity: str = "x",
    stage: str = "end",
    annotate: Callable[[Axes, int], None] = lambda axes, seq_len: None,
) -> None:
    """Draw relative gradient norm against lag: a panel for each ``seq_len``, a line for each architecture.

    A line is the median over seeds of the median example, a band the range over seeds; each run relative to its
    largest norm.
    """
    chosen = profiles[(profiles["quantity"] == quantity) & (profiles["stage"] == stage)]
    data = chosen.merge(runs[["run_id", "architecture", "seq_len"]], on="run_id")
    architectures = list(runs["architecture"].unique())
    lengths = sorted(runs["seq_len"].dropna().unique())
    with saved(stem, panels=len(lengths)) as panels:
        for axes, seq_len in zip(panels, lengths, strict=True):
            for i, architecture in enumerate(architectures):
                some = data[(data["seq_len"] == seq_len) & (data["architecture"] == architecture)]
                curves = some.pivot_table(index="lag", columns="run_id", values="median", aggfunc="first")
                if curves.empty:
                    continue
                values = curves.to_numpy(dtype=float)
                relative = 10.0 ** (values - values.max(0))
                low, middle, high = relative.min(1), np.median(relative, 1), relative.max(1)
                draw_band(axes, curves.index.to_numpy(float), low, middle, high, i, architecture)
            axes.axhline(0.01, color="black", linewidth=0.8)
            annotate(axes, int(seq_len))
            axes.set(title=f"seq_len = {seq_len}", xlabel="lag (steps back from where the loss reads)")
            axes.set(yscale="log")
            axes.set_ylim(bottom=FLOOR)
        panels[0].set_ylabel(f"‖dL/d{quantity}‖ relative to its largest")
        panels[0].legend()
