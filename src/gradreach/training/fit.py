"""Train on one split, choose on another, report the third once."""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import nn

from gradreach.config import OptimizerSettings, TrainerSettings
from gradreach.tasks import Batches, Splits, Task
from gradreach.training.callbacks import EpochEnd
from gradreach.training.module import Epochs, TrainingModule

EVALUATION_BATCH = 512

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # which devices there are is no news


@dataclass(frozen=True)
class Fit:
    """What training yielded.

    - ``figures``: ``train/*`` and ``val/*`` of the chosen epoch, ``test/*`` of its weights.
    - ``best_epoch``: the chosen epoch, from 1.
    - ``seconds``: time spent in training and validation, without what was measured in between.
    - ``steps``: how often the weights were moved.
    """

    figures: dict[str, float]
    best_epoch: int
    seconds: float
    steps: int


def fit(
    model: nn.Module,
    task: Task,
    splits: Splits,
    optimizer: OptimizerSettings,
    budget: TrainerSettings,
    *,
    seed: int,
    device: str,
    epochs: EpochEnd,
) -> Fit:
    """Train a model; afterwards it holds the weights of the epoch that validation chose.

    Args:
        model: on its device, with its initial weights.
        task: says what loss and score are.
        splits: to learn from, to choose by, to report once.
        optimizer: how the weights are moved.
        budget: how long.
        seed: draws the order of the batches.
        device: where it is done, ``cpu`` or ``cuda:0``.
        epochs: what happens at the end of each; where it has saved a run, that run goes on.

    Raises:
        Diverged: the training loss stopped being finite.
        Interrupted: the process was asked to stop.
    """
    shortest = _shortest(model)
    batches = Batches(splits.train.to(device), budget.batch_size, seed=seed, shortest=shortest)
    chosen_by = Batches(splits.validation.to(device), EVALUATION_BATCH, shortest=shortest)
    reported = Batches(splits.test.to(device), EVALUATION_BATCH, shortest=shortest)
    module = TrainingModule(
        model,
        task,
        make_optimizer=lambda parameters: make_optimizer(optimizer, parameters),
        make_schedule=lambda made: make_schedule(optimizer.schedule, made, budget.epochs * len(batches)),
        clip_norm=budget.clip_norm,
        after_step=epochs.after_step,
    )
    saved = epochs.saving.path if epochs.saving is not None and epochs.saving.path.exists() else None
    with warnings.catch_warnings():
        # advice on worker processes and on srun: we use neither
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        trainer = _lean_trainer(budget.epochs, device, [epochs])
        trainer.fit(module, Epochs(batches), chosen_by, ckpt_path=saved, weights_only=True)
        seconds, steps = epochs.training_seconds, module.steps
        model.load_state_dict(epochs.best_weights)
        trainer.test(module, reported, verbose=False)
    chosen = {key: value for key, value in epochs.best_row.items() if key.startswith(("train/", "val/"))}
    tested = {key: value for key, value in module.figures.items() if key.startswith("test/")}
    return Fit({**chosen, **tested}, epochs.best_row["epoch"], seconds, steps)


def _shortest(model: nn.Module) -> int:
    """Return how many steps a padded batch must keep, so that convolutions without padding still give a step."""
    return getattr(getattr(model, "encoder", None), "receptive_field", None) or 1


def make_optimizer(settings: OptimizerSettings, parameters: Any) -> torch.optim.Optimizer:
    """Make an optimizer, with a fused kernel where torch has one."""
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    match settings.name:
        case "adam":
            return torch.optim.Adam(parameters, **common, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, **common, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, **common)
        case "sgd":
            return torch.optim.SGD(parameters, **common, fused=True)


def make_schedule(name: str, optimizer: torch.optim.Optimizer, steps: int) -> Any:
    """Make a learning-rate schedule that is stepped after every batch; None for a constant rate."""
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps) if name == "cosine" else None


def _lean_trainer(epochs: int, device: str, callbacks: list[lightning.Callback]) -> lightning.Trainer:
    """Make a Trainer that does nothing but train: what it could log and save, we log and save ourselves."""
    accelerator, _, index = device.partition(":")
    return lightning.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_epochs=epochs,
        accelerator=accelerator,
        devices=[int(index)] if index else 1,
        callbacks=callbacks,
        plugins=[LightningEnvironment()],  # one process: not what Lightning would make of a SLURM job's variables
    )
