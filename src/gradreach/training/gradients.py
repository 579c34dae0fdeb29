"""Gradient norms through training, before clipping."""

from typing import Any

import pandas as pd
from pytorch_lightning import Callback, Trainer

from gradreach.diagnostics import GradientNorms


class GradientMonitor(Callback):
    """Takes the norm of every step's gradient, and logs at the end of an epoch what came of it.

    ``gradient/norm`` is the mean over steps of the norm by all parameters, ``gradient/clip_rate`` how often it was
    clipped, ``gradient/nonfinite`` how many steps had none.

    - ``tables``: where to add, as ``parameters``, the norms by parameter and layer of every epoch.
    """

    def __init__(self, tables: dict[str, list[pd.DataFrame]] | None = None) -> None:
        self.tables = {} if tables is None else tables

    def setup(self, trainer: Trainer, module: Any, stage: str) -> None:
        """Let the module clip by the norms that are taken here."""
        if stage == "fit":
            limit = module.clip_norm if trainer.gradient_clip_val is None else float(trainer.gradient_clip_val)
            self.norms = GradientNorms(module.model, limit or float("inf"))
            module.gradient_norms = self.norms

    def on_before_optimizer_step(self, trainer: Trainer, module: Any, optimizer: Any) -> None:
        """Take the norm; gradients are unscaled by now, and not clipped yet."""
        self.norms.add()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Log the epoch's norms."""
        summary, by_parameter = self.norms.take()
        figures = {f"gradient/{name}": value for name, value in summary.items()}
        module.figures.update(figures)
        module.log_dict(figures, batch_size=1)
        stage = f"epoch {trainer.current_epoch + 1}"
        self.tables.setdefault("parameters", []).append(by_parameter.assign(stage=stage))
