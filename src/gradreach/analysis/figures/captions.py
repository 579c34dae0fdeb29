"""How to read each kind of figure: a fixed paragraph, so that a reader of one figure can read all."""

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.lines import Line2D

from gradreach.analysis.figures.against_known import against_known
from gradreach.analysis.figures.common import COUNT, LONELY, THRESHOLD, TIP, TRAINED, is_reference
from gradreach.analysis.figures.costs import metric_by_cost
from gradreach.analysis.figures.critical_difference import critical_difference
from gradreach.analysis.figures.decoding_by_lag import decoding_by_lag
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.profiles import gradient_by_lag, gradient_through_training
from gradreach.analysis.figures.reach_and_score import reach_and_score
from gradreach.analysis.figures.scores import half_life_and_reach, metric_against
from gradreach.analysis.figures.shares import gate_shares
from gradreach.analysis.figures.through_training import gates_through_training, learning_curves
from gradreach.drawing import PALE

MEANS = "Points: mean over seeds; bars: its 95 % interval (Student's t), cut at what is possible, or shown."
MEDIANS = (
    "On a logarithmic axis points are medians over seeds, and bars the median's 95 % interval (order statistics), which "
    "takes six seeds."
)
ONE_LENGTH = "Where runs have several lengths, one is shown: the head says which."
READING: dict[Callable[..., Any], str] = {
    metric_against: "Each line is named where it ends; names joined by = share one line.",
    half_life_and_reach: (
        "Half-life: the steps in which the gradient's norm halves, if its decay is exponential (R² at least 0.9); "
        "reach: the largest lag with at least 1 % of the norm at lag 1. Dotted: the longest possible lag; a reach on that line is a lower bound."
    ),
    gradient_by_lag: (
        "The norm of each example's own gradient against lag, steps back from the last one, divided by the norm at lag 1: left "
        "before training, right at the best-validation checkpoint. Thin: the median example of every seed (with more than 20 seeds, a band shows the middle 80 %); thick: the median of the seeds. Exact zeros leave gaps. Reach is the largest lag at which a curve is at or above the line at 1 %. Where the norm at lag 1 is exactly zero, a curve is divided by its "
        "largest norm instead. Inputs where a line is far below 1 % have almost no influence on what is learned at that moment."
    ),
    gradient_through_training: (
        "Training runs from left to right, lag from bottom to top. Bright: the gradient's norm is that at lag 1 "
        "(where that is zero, the largest), or more; each step of the scale is a factor of ten; darkest: a millionth or less. "
        f"A dot: the reach, the largest lag with at least 1 %. Hatched: exactly zero, or not measured. Medians over examples and seeds. {ONE_LENGTH}"
    ),
    reach_and_score: (
        "Left: the norm of each example's own gradient against lag, steps back from the last one, divided by the norm "
        "at lag 1 (where that is exactly zero, by its largest); the median of the seeds' median examples. Right: each run's score against its reach, the largest lag at which its own curve is at or above the line at 1 %, as a share of the longest possible lag: at 1 the gradient reaches the first step."
    ),
    learning_curves: ("Thin: every seed; thick: the median of those that are still running."),
    gates_through_training: (
        "Thin: every seed; thick: their median; epoch 0 is before training. Left the mean of the gate that weighs the old "
        "state; then the shares of values below 0.1 and above 0.9, over examples, steps and units. A saturated gate "
        f"has one of the two near 1. {ONE_LENGTH}"
    ),
    metric_by_cost: (
        f"Further left is cheaper. The line and the rings are the Pareto front: what beats all that is cheaper by "
        "its whole interval; costs that differ by less than 1 % are equal. Incomplete groups are left out of it. Times depend on the machine, and on what else ran on it. "
        f"{ONE_LENGTH}"
    ),
    decoding_by_lag: (
        "R² of a linear map from the hidden state and from the cell, on held-out examples; dotted: before training, solid: at the best-validation checkpoint. Left: the inputs some steps back; right: the target, by how much of the sequence has passed. 1 is perfect, 0 no better than the mean."
    ),
    critical_difference: (
        "Each model stands at its mean rank over the tasks; left is best. A thick bar joins those without a significant difference: "
        "their ranks differ by less than the critical difference (Nemenyi, 5 %). Friedman's p: how well all being equal "
        "fits. A model without a finished run in a task ranks last there."
    ),
    dots: "Mean of the seeds with its 95 % interval (Student's t); small points are seeds.",
    gate_shares: "Distribution of a gate's values: below 0.1, in between, above 0.9; mean over seeds.",
    against_known: (
        "Each line is one layer: the error, in per cent, of the measured factor by which a step back multiplies the gradient; large: mean of the seeds. An accurate instrument stays within the band, where the axis is linear; "
        "beyond it the axis is logarithmic."
    ),
}
KINDS = {draw.__name__: draw for draw in READING}
"""All kinds of figures, by name."""


def explained(caption: str, picture: Picture) -> str:
    """Return a caption completed with the reading of marks that only some figures have."""
    panels = [axes for axes in picture.axes if axes.get_label() != "<colorbar>"]
    lines = [line for axes in panels for line in axes.get_lines()]
    said = {
        MEANS: any(line.get_label() == "_mean" for line in lines),
        MEDIANS: any(line.get_label() == "_median" for line in lines),
        "A number above a point, as in 4/5: this many of its runs solved the task; without one all or none did.": any(
            "/" in text.get_text() for axes in panels for text in axes.texts if text.get_fontsize() == COUNT
        ),
        "n = 3 above a point: this many runs have a value.": any(
            text.get_text().startswith("n = ") for axes in panels for text in axes.texts
        ),
        "Dashed black: the threshold of the rule.": any(line.get_label() == THRESHOLD for line in lines),
        "Black dots: chance.": any(line.get_label() == "chance" for line in lines),
        "Small points: the seeds.": any(line.get_marker() == "." for line in lines),
        "Hollow and pale: not every planned run has a value there.": any(map(_hollow, lines)),
        "A dot in a gap: one value between two that are missing or zero.": any(
            line.get_marker() == LONELY for line in lines
        ),
        "A cross at the foot: no seed has a value.": any(_crossed(line) and line.get_alpha() == PALE for line in lines),
        "A cross: there the run diverged or failed.": any(
            _crossed(line) and line.get_alpha() is None for line in lines
        ),
        "A pale line: runs are missing.": any(line.get_alpha() == PALE + 0.2 for line in lines)
        and not any(map(_hollow, lines)),
        "A horizontal line with its band: a model to which the axis does not apply.": any(map(_level, lines)),
        "Shaded, or a grey line: the lengths of training.": any(
            mark.get_label() == TRAINED for axes in panels for mark in (*axes.patches, *axes.get_lines())
        ),
        "The axis does not begin at zero.": any(map(_cut, panels)),
    }
    new = (
        each for each, holds in said.items() if holds and each.rstrip(".").split(":")[0].lower() not in caption.lower()
    )
    return " ".join([caption, *new])


def _hollow(line: Line2D) -> bool:
    return line.get_markerfacecolor() == "none" and line.get_alpha() == PALE


def _crossed(line: Line2D) -> bool:
    return line.get_marker() == "x"


def _level(line: Line2D) -> bool:
    """Return whether a line across a panel shows runs; the chance level does not."""
    across = line.axes is not None and line.get_transform() == line.axes.get_yaxis_transform(which="grid")
    return across and str(line.get_gid() or "").startswith(TIP) and not is_reference(line)


def _cut(axes: Axes) -> bool:
    """Return whether the axis of values begins above zero: the vertical one, but where names stand there, from above."""
    axis = axes.xaxis if axes.yaxis_inverted() else axes.yaxis
    return axis.get_scale() == "linear" and min(axis.get_view_interval()) > 0
