"""What happens at the end of every epoch."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer

from gradreach.training.module import TrainingModule


class Diverged(RuntimeError):
    """The loss is no longer finite: a result, not a defect."""


class EpochEnd(Callback):
    """Tell each epoch's figures, keep the best weights, and stop a run whose loss is no longer finite.

    The best epoch is the one with the best validation score; of equals, the lowest validation loss.

    - ``tell``: called with each epoch's row of figures.
    - ``metric``: what the score is called; an ``mse`` is better when lower, an ``accuracy`` when higher.
    """

    def __init__(self, tell: Callable[[dict[str, Any]], None], metric: str) -> None:
        self.tell = tell
        self.score = f"val/{metric}"
        self.sign = -1.0 if metric == "mse" else 1.0
        self.started = time.perf_counter()
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.best_row: dict[str, Any] = {}
        self.best_weights: dict[str, torch.Tensor] = {}

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Start the clock."""
        self.started = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Close the epoch.

        Raises:
            Diverged: the training or the validation loss is infinite or not a number.
        """
        elapsed = time.perf_counter() - self.started
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **module.figures}
        self.tell({**row, "time/seconds": round(elapsed, 3)})
        for stage, name in (("train", "training"), ("val", "validation")):
            if not math.isfinite(row[f"{stage}/loss"]):
                raise Diverged(f"the {name} loss is {row[f'{stage}/loss']} after epoch {row['epoch']}")
        candidate = (self.sign * row[self.score], -row["val/loss"])
        if candidate > self.best:
            self.best, self.best_row = candidate, row
            self.best_weights = {name: value.clone() for name, value in module.model.state_dict().items()}
