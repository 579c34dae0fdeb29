"""Checkpoints, from which a killed run resumes."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch import nn

from gradreach.run_state import Run
from gradreach.system.files import replacing
from gradreach.training.epochs import BestWeights
from gradreach.training.stopping import Interruptible


@dataclass(frozen=True)
class Saving:
    """When a run saves a checkpoint.

    - ``after``: seconds; a shorter run is not saved.
    - ``keep``: save after the last epoch too.
    """

    after: float
    keep: bool

    def due(self, seconds: float, last: bool, stopping: bool) -> bool:
        """Return whether to save at the end of this epoch."""
        return self.keep if last else stopping or seconds >= self.after


class Resume(Checkpoint):
    """Saves the run at the end of an epoch, when all other callbacks have seen it, and lets it go on from there.

    Beside what Lightning saves, weights, optimizer, loops and the state of every callback, these are what the run
    knows of itself, the random generator, and whether somebody had asked Lightning to stop.
    """

    def __init__(self, run: Run, interruptible: Interruptible) -> None:
        self.run = run
        self.interruptible = interruptible
        budget = run.config.trainer
        self.saving = Saving(budget.checkpoint_seconds, budget.keep_checkpoint)
        self.random_state: torch.Tensor | None = None
        self.stop = False

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Restore the random generator after everything else has drawn its initial numbers."""
        if self.random_state is not None:
            torch.set_rng_state(self.random_state)
            trainer.should_stop = self.stop

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Save if the run has become long, or is left here before it is done."""
        self.stop = trainer.should_stop
        last = self.stop or trainer.current_epoch + 1 == trainer.max_epochs
        trying = self.run.config.trainer.fast_dev_run
        if self.saving.due(self.run.training.seconds, last, self.interruptible.leaving) and not trying:
            with replacing(self.run.checkpoint) as temporary:
                trainer.save_checkpoint(temporary)

    def state_dict(self) -> dict[str, Any]:
        """Return what of a run does not lie in Lightning's own checkpoint: tensors and plain values only."""
        return {"run": self.run.state_dict(), "random_state": torch.get_rng_state(), "stop": self.stop}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.run.load_state_dict(state["run"])
        self.random_state, self.stop = state["random_state"], state["stop"]


def flaw(run: Run, model: nn.Module) -> str | None:
    """Return why a run cannot resume from its checkpoint; None if it can.

    Every bit is looked at: torch writes a checksum with each tensor, but does not compare it when it reads.

    Args:
        run: which has one.
        model: of the run, also on the device ``meta``: the weights of another do not fit into it.
    """
    path: Path = run.checkpoint
    try:
        with zipfile.ZipFile(path) as archive:
            if (name := archive.testzip()) is not None:
                return f"its {name} is damaged"
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        return f"it cannot be read ({type(error).__name__})"
    expected = {f"model.{name}": value.shape for name, value in model.state_dict().items()}
    try:
        if {name: value.shape for name, value in saved["state_dict"].items()} != expected:
            return "its weights belong to another model"
        own = {callback: saved["callbacks"][callback.__name__] for callback in (Resume, BestWeights)}
        known = Resume(run, Interruptible(run.interruption)).state_dict()
        same = (
            set(own[Resume]) == set(known)
            and set(own[Resume]["run"]) == set(known["run"])
            and set(own[BestWeights]) == set(BestWeights().state_dict())
        )
        if not (same and saved["optimizer_states"] and "fit_loop" in saved["loops"]):
            return "it was written by another version"
    except (KeyError, AttributeError, TypeError):
        return "it was written by another version"
    return None
