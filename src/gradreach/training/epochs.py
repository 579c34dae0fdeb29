"""Callbacks on the metrics at the end of an epoch."""

import math
import time
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import Checkpoint

from gradreach.run_state import Run, Watch, sign

EVERY_SECONDS = 0.2
"""How often progress within an epoch is told at most."""


class AfterEpoch(Checkpoint):
    """Runs when an epoch's figures are there.

    Lightning ends an epoch with all other callbacks first, then the module, which logs; then come those that monitor
    what was logged: early stopping, and what is a ``Checkpoint``. A validation does not end an epoch: there may be
    several in an epoch, and one before the first.
    """


class History(AfterEpoch):
    """Sends the row of every epoch to the run's listeners."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Start the clock."""
        self.run.training.start()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Tell the epoch."""
        figures = module.figures
        ordered = {key: figures[key] for stage in ("train/", "val/") for key in figures if key.startswith(stage)}
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **ordered, **figures}
        self.run.tell({**row, "time/seconds": round(self.run.training.seconds, 3)})


class Progress(Callback):
    """Reports progress within epochs, a few times a second.

    - ``watch``: is told.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch, self.told = watch, -math.inf

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tell, unless it has just been told."""
        now = time.monotonic()
        if now - self.told >= EVERY_SECONDS:
            self.told = now
            self.watch(trainer.current_epoch, batch_idx + 1, int(trainer.num_training_batches), trainer.global_step)


class Diverged(RuntimeError):
    """The loss is no longer finite: a result, not a defect."""


def see_finite(name: str, loss: float, when: str = "") -> None:
    """Go on where a loss is finite.

    Raises:
        Diverged: it is infinite or not a number.
    """
    if not math.isfinite(loss):
        raise Diverged(f"the {name} loss is {loss}{when}")


class Divergence(AfterEpoch):
    """Ends training where a loss is no longer finite."""

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Look at the losses.

        Raises:
            Diverged: the training or the validation loss is infinite or not a number.
        """
        for stage, name in (("train", "training"), ("val", "validation")):
            see_finite(name, module.figures.get(f"{stage}/loss", 0.0), f" after epoch {trainer.current_epoch + 1}")


class BestWeights(AfterEpoch):
    """Keeps the best-validation checkpoint: the best score, of equals the lowest validation loss.

    - ``select``: ``last`` keeps those of the last epoch, whatever its score; ``train_loss`` those of the epoch with the
      lowest training loss.
    - ``row``: epoch, step, and the figures of training and validation then; empty before the first.
    - ``weights``: the model's state then.
    """

    def __init__(self, select: str = "best") -> None:
        self.select = select
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.row: dict[str, Any] = {}
        self.weights: dict[str, torch.Tensor] = {}

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Keep the weights if no earlier epoch was as good, or if the last ones are wanted."""
        metric, figures = module.task.metric, module.figures
        if f"val/{metric}" not in figures:
            return
        score = figures[f"val/{metric}"]
        candidate = (sign(metric) * score, -figures["val/loss"])
        if self.select == "train_loss":
            candidate = (-figures["train/loss"], 0.0)
        if candidate > self.best or self.select == "last":
            self.best = candidate
            shown = {key: value for key, value in figures.items() if key.startswith(("train/", "val/"))}
            self.row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **shown}
            self.weights = {name: value.clone() for name, value in module.model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what was kept."""
        return {"best": list(self.best), "row": self.row, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what was kept."""
        self.best, self.row, self.weights = (state["best"][0], state["best"][1]), state["row"], state["weights"]
