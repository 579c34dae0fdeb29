"""How each kind of figure is read: a fixed paragraph, so that who has read one can read all."""

from collections.abc import Callable
from functools import partial
from typing import Any

from gradreach.analysis.experiment import Figure
from gradreach.analysis.figures.costs import metric_by_cost
from gradreach.analysis.figures.decoding import decoding_by_lag
from gradreach.analysis.figures.profiles import gradient_by_lag, gradient_through_training
from gradreach.analysis.figures.ranks import critical_difference
from gradreach.analysis.figures.scores import half_life_and_reach, metric_against
from gradreach.analysis.figures.training import gates_through_training, learning_curves

LACKING = (
    "Hollow and pale: not every planned run counts, as the legend tells; a cross at the foot: none has a value there."
)
POINTS = f"Points: mean over seeds; bars: its 95 % interval (Student's t), cut where the axis ends. {LACKING}"
ONE_LENGTH = "Where runs have several lengths, one is shown: the head says which."
READING: dict[Callable[..., Any], str] = {
    metric_against: (
        f"{POINTS} Points of one place stand beside each other so that their bars can be told apart. A horizontal line with "
        "its band: a model to which the axis does not apply. Dotted: chance."
    ),
    half_life_and_reach: (
        "Above: the steps in which the gradient's norm halves, where it decays as an exponential does (R² at least 0.9); "
        f"below: the largest lag with at least 1 % of the norm at lag 1. {POINTS} Dotted: the longest lag there is; a reach "
        "that touches it means at least so far."
    ),
    gradient_by_lag: (
        "The norm of each example's own gradient against lag, steps back from the last one, relative to its largest: left "
        "before training, right of the weights that validation chose. Thin: the median example of every seed (of more than "
        "20, a band holds the middle 80 %); thick: the median of the seeds. Exact zeros leave gaps. The black line is 1 %: "
        "what was shown where a line has fallen far below it can hardly teach the model."
    ),
    gradient_through_training: (
        "From left to right training goes on, from below upwards one looks further back. Bright: the gradient's norm is near "
        "the largest of its epoch; each step of the scale is a factor of ten; darkest: a millionth or less. A dot: the largest "
        f"lag with at least 1 %. Hatched: exactly zero, or not measured. Medians over examples and seeds. {ONE_LENGTH}"
    ),
    learning_curves: (
        "Thin: every seed; thick: the median of those that are still running; pale: runs are lacking. A cross: there the run "
        "diverged or failed. Dotted: chance."
    ),
    gates_through_training: (
        "Thin: every seed; thick: their median; epoch 0 is before training. Left the mean of the gate that weighs the old "
        "state; then the shares of values below 0.1 and above 0.9, over examples, steps and units. A gate that is saturated "
        f"stands near 1 in one of the two. {ONE_LENGTH}"
    ),
    metric_by_cost: (
        f"Further left is cheaper. {POINTS} The line and the rings are the Pareto front: what nothing cheaper equals. Groups "
        "that are not complete do not count for it. Times are of whatever machine made the runs, with others beside them. "
        f"{ONE_LENGTH}"
    ),
    decoding_by_lag: (
        "How much a linear map reads from the hidden state (blue) and from the cell (orange), dotted before training and "
        "solid of the weights that validation chose, on examples that it was not fitted to: left of the inputs some steps back, right of the target, by how much of the sequence has passed. 1 is "
        f"perfect, 0 as good as knowing nothing. {POINTS}"
    ),
    critical_difference: (
        "Each model stands at its mean rank over the tasks; left is best. A thick bar joins those that are not told apart: "
        "their ranks differ by less than the critical difference (Nemenyi, 5 %). Friedman's p: how well all being equal "
        "fits. A model without a finished run in a task ranks last there."
    ),
}


def captioned(name: str, draw: Callable[..., Any], about: str = "", **options: Any) -> Figure:
    """Return a figure of an experiment whose caption says what it is about, and how its kind is read.

    Args:
        name: of its files.
        draw: one of the functions of ``gradreach.analysis.figures``.
        about: what is special about this one.
        options: of ``draw``.
    """
    return Figure(name, " ".join(filter(None, (about, READING[draw]))), partial(draw, **options))
