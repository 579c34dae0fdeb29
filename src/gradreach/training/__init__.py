"""Training: the LightningModule, and the Trainer it runs in."""

from gradreach.training.callbacks import Diverged, EpochEnd, Saving
from gradreach.training.checkpoint import flaw
from gradreach.training.fit import Fit, fit

__all__ = ["Diverged", "EpochEnd", "Fit", "Saving", "fit", "flaw"]
