"""A measured number against the one that is known."""

from pathlib import Path

from matplotlib.figure import Figure

from gradreach.analysis.figures.common import tell
from gradreach.analysis.results import Results
from gradreach.drawing import WIDE, figure_of, save_figure, series
from gradreach.rounding import number


def against_known(results: Results, stem: Path, *, measured: str = "gradient/start/h.decay") -> Figure:
    """Draw the measured factor of one step against ``factor/known``, of the layers that have one."""
    runs = results.finished
    runs = runs[runs["factor/known"].notna()] if measured in runs else runs.iloc[:0]
    with save_figure(stem, size=WIDE) as (axes,):
        axes.axline((0.5, 0.5), slope=1, color="black", linewidth=0.8)
        for i, (name, some) in enumerate(runs.groupby("architecture", sort=False)):
            x, y = some["factor/known"].mean(), some[measured].mean()
            look = series(i)
            (mark,) = axes.plot(x, y, look["marker"], color=look["color"], markersize=7, label=str(name))
            tell(mark, f"{name}: {number(y, '.4f')}, reference {number(x, '.4f')} ({len(some)} seeds)")
        axes.set(xlabel="known factor of one step", ylabel="measured factor of one step")
        axes.set_aspect("equal", adjustable="datalim")
        if len(runs):
            axes.legend()
    return figure_of([axes])
