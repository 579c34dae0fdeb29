"""What happens in the course of training, mostly at the end of every epoch."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer

from gradreach.system.files import replacing
from gradreach.system.interruption import Interruption
from gradreach.training.module import TrainingModule


class Diverged(RuntimeError):
    """The loss is no longer finite: a result, not a defect."""


class EpochEnd(Callback):
    """Tell each epoch's figures, keep the best weights, save what a killed run needs to go on.

    The best epoch is the one with the best validation score; of equals, the lowest validation loss.

    - ``tell``: called with each row of figures: one an epoch, and one wherever something was measured within.
    - ``tables``: what was tabulated, by name; the gradient by each parameter, and what ``measure`` adds.
    - ``measure``: asked for further figures after every step, given how many epochs and steps have passed.
    - ``spent``: what the run has cost so far, for the checkpoint; ``spent_before``: what the one it goes on from tells.
    - ``saving``: where and when to save; None never.
    - ``interruption``: whether the process was asked to stop.
    """

    def __init__(
        self,
        tell: Callable[[dict[str, Any]], None],
        saving: "Saving | None" = None,
        interruption: Interruption | None = None,
    ) -> None:
        self.tell = tell
        self.saving = saving
        self.interruption = interruption or Interruption()
        self.measure: Callable[[float, int], dict[str, float]] = lambda epoch, step: {}
        self.spent: Callable[[], dict[str, Any]] = dict
        self.spent_before: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.tables: dict[str, list[pd.DataFrame]] = {}
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.best_row: dict[str, Any] = {}
        self.best_weights: dict[str, torch.Tensor] = {}
        self.seconds_before = 0.0
        self.measuring = 0.0
        self.started = time.perf_counter()
        self.random_state: torch.Tensor | None = None

    @property
    def seconds(self) -> float:
        """Time since training began, also before an interruption."""
        return self.seconds_before + time.perf_counter() - self.started

    @property
    def training_seconds(self) -> float:
        """Time spent in training and validation, also before an interruption; what was measured in between is not."""
        return self.seconds - self.measuring

    @property
    def done(self) -> int:
        """How many epochs are done."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def on_train_start(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Start the clock, and put the random generator where an interrupted run left it."""
        self.interruption.install()  # Lightning's own handler of SIGTERM ends the process, and its record with it
        self.started = time.perf_counter()
        if self.random_state is not None:
            torch.set_rng_state(self.random_state)

    def after_step(self, step: int, length: int) -> None:
        """Measure what is due; leave if the process was asked to stop and the epoch takes too long to wait for.

        Args:
            step: how many there have been.
            length: how many make an epoch.
        """
        if step % length and (measured := self._measure(round(step / length, 6), step)):
            self.history.append({"epoch": round(step / length, 6), "step": step, **measured})
            self.tell(self.history[-1])
        self.interruption.within_epoch()

    def _measure(self, epoch: float, step: int) -> dict[str, float]:
        start = time.perf_counter()
        measured = self.measure(epoch, step)
        self.measuring += time.perf_counter() - start
        return measured

    def on_validation_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Close the epoch.

        Raises:
            Diverged: the training or the validation loss is infinite or not a number.
        """
        epoch, step = trainer.current_epoch + 1, module.steps
        measured = self._measure(epoch, step)
        self.tables.setdefault("parameters", []).append(module.by_parameter.assign(stage=f"epoch {epoch}"))
        row = {"epoch": epoch, "step": step, **module.figures}
        self.history.append({**row, **measured, "time/seconds": round(self.seconds, 3)})
        self.tell(self.history[-1])
        for stage, name in (("train", "training"), ("val", "validation")):
            if not math.isfinite(row[f"{stage}/loss"]):
                raise Diverged(f"the {name} loss is {row[f'{stage}/loss']} after epoch {row['epoch']}")
        score = row[f"val/{module.task.metric}"]
        candidate = (-score if module.task.metric == "mse" else score, -row["val/loss"])
        if candidate > self.best:
            self.best, self.best_row = candidate, row
            self.best_weights = {name: value.clone() for name, value in module.model.state_dict().items()}

    def on_train_epoch_end(self, trainer: Trainer, module: TrainingModule) -> None:  # type: ignore[override]
        """Save if the run has become long, or is asked to stop and cannot be done in this epoch."""
        last = trainer.current_epoch + 1 == trainer.max_epochs
        stopping = self.interruption.signal is not None  # asked once: what comes later waits for the next epoch's end
        if self.saving is not None and self.saving.due(self.seconds, last, stopping):
            with replacing(self.saving.path) as temporary:
                trainer.save_checkpoint(temporary)
        if stopping and not last:
            self.interruption.at_epoch_end()

    def state_dict(self) -> dict[str, Any]:
        """Return what of a run does not lie in Lightning's own checkpoint: tensors and plain values only."""
        return {
            "history": self.history,
            "tables": {name: [frame.to_dict("list") for frame in frames] for name, frames in self.tables.items()},
            "best": list(self.best),
            "best_row": self.best_row,
            "best_weights": self.best_weights,
            "seconds": self.seconds,
            "measuring": self.measuring,
            "spent": self.spent(),
            "random_state": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; the epochs before are told again."""
        self.history, self.best_row, self.best_weights = state["history"], state["best_row"], state["best_weights"]
        self.best = (state["best"][0], state["best"][1])
        self.seconds_before, self.measuring, self.spent_before = state["seconds"], state["measuring"], state["spent"]
        self.random_state = state["random_state"]
        self.tables.clear()  # in place: who measures adds to the same
        self.tables.update({name: [pd.DataFrame(f) for f in frames] for name, frames in state["tables"].items()})
        for row in self.history:
            self.tell(row)


@dataclass(frozen=True)
class Saving:
    """Where a run saves what it needs to go on, and when.

    - ``after``: seconds; a shorter run is not saved.
    - ``keep``: save after the last epoch too.
    """

    path: Path
    after: float
    keep: bool

    def due(self, seconds: float, last: bool, stopping: bool) -> bool:
        """Return whether to save at the end of this epoch."""
        return self.keep if last else stopping or seconds >= self.after
