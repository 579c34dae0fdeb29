"""Figures of whole experiments: each function takes results and a file name, and returns what it drew."""

from gradreach.analysis.figures.against_known import against_known
from gradreach.analysis.figures.costs import metric_by_cost
from gradreach.analysis.figures.critical_difference import critical_difference
from gradreach.analysis.figures.decoding_by_lag import decoding_by_lag
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.profiles import gradient_by_lag, gradient_through_training
from gradreach.analysis.figures.reach_and_score import reach_and_score
from gradreach.analysis.figures.scores import half_life_and_reach, metric_against
from gradreach.analysis.figures.shares import gate_shares
from gradreach.analysis.figures.through_training import gates_through_training, learning_curves

__all__ = [
    "against_known",
    "critical_difference",
    "decoding_by_lag",
    "dots",
    "gate_shares",
    "gates_through_training",
    "gradient_by_lag",
    "gradient_through_training",
    "half_life_and_reach",
    "learning_curves",
    "metric_against",
    "metric_by_cost",
    "reach_and_score",
]
