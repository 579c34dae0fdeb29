"""Train on one split, choose on another, report the third once."""

import logging
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.profilers import PassThroughProfiler
from torch import nn

from gradreach.config import OptimizerSettings, TrainerSettings
from gradreach.tasks import Batches, Splits, Task
from gradreach.training.callbacks import EpochEnd
from gradreach.training.module import TrainingModule

EVALUATION_BATCH = 512

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # which devices there are is no news


@dataclass(frozen=True)
class Fit:
    """What training yielded.

    - ``figures``: ``train/*`` and ``val/*`` of the chosen epoch, ``test/*`` of its weights.
    - ``best_epoch``: the chosen epoch, from 1.
    - ``seconds``: time spent in training and validation.
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
    tell: Callable[[dict[str, Any]], None],
) -> Fit:
    """Train a model; afterwards it holds the weights of the epoch that validation chose.

    Args:
        model: on its device, with its initial weights.
        task: says what loss and accuracy are.
        splits: to learn from, to choose by, to report once.
        optimizer: how the weights are moved.
        budget: how long.
        seed: draws the order of the batches.
        device: where it is done, ``cpu`` or ``cuda:0``.
        tell: called with each epoch's row of figures.

    Raises:
        Diverged: the training loss stopped being finite.
    """
    batches = Batches(splits.train.to(device), budget.batch_size, seed=seed)
    chosen_by = Batches(splits.validation.to(device), EVALUATION_BATCH)
    reported = Batches(splits.test.to(device), EVALUATION_BATCH)
    module = TrainingModule(
        model,
        task,
        make_optimizer=lambda parameters: make_optimizer(optimizer, parameters),
        make_schedule=lambda made: make_schedule(optimizer.schedule, made, budget.epochs * len(batches)),
        clip_norm=budget.clip_norm,
    )
    epochs = EpochEnd(tell)
    trainer = _lean_trainer(budget.epochs, device, [epochs])
    start = time.perf_counter()
    with warnings.catch_warnings():
        # advice on worker processes and on clusters: a run is one process
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        trainer.fit(module, batches, chosen_by)
        seconds, steps = time.perf_counter() - start, trainer.global_step
        model.load_state_dict(epochs.best_weights)
        trainer.test(module, reported, verbose=False)
    chosen = {key: value for key, value in epochs.best_row.items() if key.startswith(("train/", "val/"))}
    tested = {key: value for key, value in module.figures.items() if key.startswith("test/")}
    return Fit({**chosen, **tested}, epochs.best_row["epoch"], seconds, steps)


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
        profiler=NoProfiler(),
        plugins=[LightningEnvironment()],  # one process, also within a cluster's job, which Lightning would join
    )


class NoProfiler(PassThroughProfiler):
    """Costs nothing: Lightning's own makes a generator for each of some 40 hooks a step."""

    nothing: AbstractContextManager[None] = nullcontext()

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        """Return the one context that does nothing."""
        return self.nothing
