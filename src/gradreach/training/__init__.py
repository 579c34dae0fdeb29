"""Training: the LightningModule, and the Trainer it runs in."""

from gradreach.training.callbacks import Diverged
from gradreach.training.fit import Fit, fit

__all__ = ["Diverged", "Fit", "fit"]
