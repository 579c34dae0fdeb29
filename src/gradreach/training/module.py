"""What Lightning trains: a model, a task's loss, and the epoch's figures."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from gradreach.diagnostics import GradientNorms
from gradreach.tasks import Batch, Batches, Task


class Mean:
    """The mean over examples, summed on the device so that no step has to wait for it."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Count one value an example."""
        self.total = self.total + values.detach().sum()
        self.count += len(values)

    def take(self) -> float:
        """Return the mean and begin anew; NaN of nothing."""
        mean = float(self.total) / self.count if self.count else math.nan
        self.total, self.count = 0.0, 0
        return mean


class Epochs:
    """What Lightning takes for a loader of one batch: all batches of an epoch together.

    Its own way around a single step takes as long as a small network's step itself, and drives the network out of the
    processor's cache.
    """

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batches]:
        yield self.batches


class TrainingModule(LightningModule):
    """A model that learns a task.

    After every training epoch ``figures`` holds what it yielded: ``train/*``, ``val/*``, and of the gradient before
    clipping its mean norm, how often it was clipped and how often it was no number (by parameter and layer in
    ``by_parameter``); after the test, ``test/*``. The score goes by the name of the task's metric: ``val/accuracy`` or
    ``val/mse``.

    - ``make_optimizer``: given the parameters.
    - ``make_schedule``: given the optimizer; stepped after every batch. What gives None keeps the learning rate.
    - ``clip_norm``: gradients with a larger total norm are scaled down to it; None leaves them.
    - ``after_step``: called after every step with how many there have been, and how many make an epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        make_optimizer: Callable[[Any], torch.optim.Optimizer],
        make_schedule: Callable[[torch.optim.Optimizer], Any] = lambda optimizer: None,
        clip_norm: float | None = None,
        after_step: Callable[[int, int], None] = lambda step, length: None,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.make_optimizer = make_optimizer
        self.make_schedule = make_schedule
        self.after_step = after_step
        self.automatic_optimization = False
        self.steps = 0
        self.figures: dict[str, float] = {}
        self.means = {stage: (Mean(), Mean()) for stage in ("train", "val", "test")}
        self.gradient_norms = GradientNorms(model, math.inf if clip_norm is None else clip_norm)
        self.by_parameter = pd.DataFrame()

    def configure_optimizers(self) -> Any:
        """Make the optimizer and its schedule."""
        optimizer = self.make_optimizer(self.model.parameters())
        schedule = self.make_schedule(optimizer)
        return optimizer if schedule is None else {"optimizer": optimizer, "lr_scheduler": schedule}

    def training_step(self, epoch: Batches, index: int) -> None:
        """Learn from all batches of an epoch."""
        epoch.epoch = self.current_epoch
        optimizer = self.optimizers(use_pl_optimizer=False)
        schedule = self.lr_schedulers()
        assert not isinstance(optimizer, list)
        assert not isinstance(schedule, list)
        for batch in epoch:
            optimizer.zero_grad()
            self._losses("train", batch).mean().backward()
            self.gradient_norms.clip()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            self.steps += 1
            self.after_step(self.steps, len(epoch))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save how many steps there have been: Lightning does not see them."""
        checkpoint["steps"] = self.steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Count on from there."""
        self.steps = checkpoint["steps"]

    def validation_step(self, batch: Batch, index: int) -> None:
        """Count a batch."""
        self._losses("val", batch)

    def test_step(self, batch: Batch, index: int) -> None:
        """Count a batch."""
        self._losses("test", batch)

    def _losses(self, stage: str, batch: Batch) -> Tensor:
        logits = self.model(batch.x, batch.lengths)
        losses = self.task.loss(logits, batch.target)
        loss, score = self.means[stage]
        loss.add(losses)
        score.add(self.task.score(logits.detach(), batch.target))
        return losses

    def on_validation_epoch_end(self) -> None:
        """Close the training epoch that this validation belongs to."""
        self._take("train")
        self._take("val")
        summary, self.by_parameter = self.gradient_norms.take()
        self.figures.update({f"gradient/{name}": value for name, value in summary.items()})

    def on_test_epoch_end(self) -> None:
        """Close the test."""
        self._take("test")

    def _take(self, stage: str) -> None:
        for name, mean in zip(("loss", self.task.metric), self.means[stage], strict=True):
            self.figures[f"{stage}/{name}"] = mean.take()
