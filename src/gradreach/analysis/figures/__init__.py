"""Pictures of whole experiments: each takes results and the name of its files, and returns what it drew.

In ``experiments/<name>.py``::

    figures=(captioned("accuracy_by_kernel", metric_against, x="kernel_size", by="model"), ...)
"""

from gradreach.analysis.figures.captions import captioned
from gradreach.analysis.figures.costs import metric_by_cost
from gradreach.analysis.figures.critical_difference import critical_difference
from gradreach.analysis.figures.decoding_by_lag import decoding_by_lag
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.epochs import gates_through_training, learning_curves
from gradreach.analysis.figures.profiles import gradient_by_lag, gradient_through_training
from gradreach.analysis.figures.scores import half_life_and_reach, metric_against

__all__ = [
    "captioned",
    "critical_difference",
    "decoding_by_lag",
    "dots",
    "gates_through_training",
    "gradient_by_lag",
    "gradient_through_training",
    "half_life_and_reach",
    "learning_curves",
    "metric_against",
    "metric_by_cost",
]
