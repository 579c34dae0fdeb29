"""Scales and ticks of axes."""

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from gradreach.analysis.tables.specification import Measure
from gradreach.rounding import number


def log_scale(*panels: Axes) -> None:
    """Make the vertical axis logarithmic if any value has a logarithm."""
    low = min(axes.dataLim.minposy for axes in panels)
    if math.isfinite(low):
        for axes in panels:
            axes.set_yscale("log")
            few_decades(axes.yaxis, max(axes.dataLim.y1 for axes in panels) / low)


def few_decades(axis: Axis, ratio: float) -> None:
    """Tick a logarithmic axis that shows few decades at 1, 2, 5, 10, 20, …, or evenly where it shows less than one."""
    if ratio < 5:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    elif ratio < 500:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    if ratio < 500:
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value, "g")))
        axis.set_minor_formatter(NullFormatter())


def show_whole_range(axes: Axes, measure: Measure) -> None:
    """Show an accuracy from 0 to 1."""
    if measure.metric.endswith("accuracy"):
        axes.set_ylim(-0.03 * measure.scale, 1.03 * measure.scale)
