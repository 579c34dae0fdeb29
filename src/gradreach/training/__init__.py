"""Training: the LightningModule, its callbacks with one job each, and the Trainer they run in."""

from gradreach.training.checkpoint import Resume, Saving, flaw
from gradreach.training.epochs import BestWeights, Diverged, Divergence, History
from gradreach.training.fit import Fit, fit
from gradreach.training.gradients import GradientMonitor
from gradreach.training.measuring import Measurement
from gradreach.training.module import TrainingModule
from gradreach.training.stopping import Interruptible, StopAtStep, StopWhen

__all__ = [
    "BestWeights",
    "Diverged",
    "Divergence",
    "Fit",
    "GradientMonitor",
    "History",
    "Interruptible",
    "Measurement",
    "Resume",
    "Saving",
    "StopAtStep",
    "StopWhen",
    "TrainingModule",
    "fit",
    "flaw",
]
