"""The LightningModule: a model, a task's loss, and the epoch's metrics."""

import inspect
import math
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from gradreach.config import OptimizerSettings
from gradreach.diagnostics import GradientNorms
from gradreach.errors import ConfigError
from gradreach.models import answers
from gradreach.tasks import Batch, Batches, Task
from gradreach.training.class_scores import ClassScores
from gradreach.training.optimizers import make_optimizer, make_plateau, make_schedule


class Mean:
    """The mean over examples, summed on the device so that no step has to wait for it."""

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Count one value an example."""
        self.total = self.total + values.detach().sum()
        self.count += len(values)

    def reset(self) -> None:
        """Reset."""
        self.total, self.count = 0.0, 0

    def value(self) -> float:
        """Return the mean; NaN of nothing."""
        return float(self.total) / self.count if self.count else math.nan


class TrainingModule(LightningModule):
    """A model that learns a task, in any Trainer and from any loader.

    Batches are ``Batch``, or what a plain ``DataLoader`` collates: ``(x, target)`` or ``(x, lengths, target)``. At the
    end of an epoch loss and score are logged: ``train/loss``, ``val/accuracy`` (or ``val/mse``: the task's metric), and
    ``test/*`` after a test; of classes also ``val/f1`` and ``val/balanced_accuracy``. ``figures`` holds those of the
    epoch to the last bit, which logged values are not.

    - ``optimizer``: how the weights are updated. A schedule ends with ``trainer.estimated_stepping_batches``; where the
      rate moves, ``optimizer/lr`` is logged too.
    - ``clip_norm``: gradients with a larger total norm are scaled down to it; None leaves them. The Trainer's
      ``gradient_clip_val`` wins.
    - ``max_steps``: where training ends earlier than the Trainer knows.
    - ``planned``: steps of the whole training, of which a try-out (``fast_dev_run``) takes the first; None: unknown,
      and a try-out has no schedule.
    - ``heard``: whether figures are logged: false where no callback and no logger listens, as each takes Lightning a
      millisecond.
    - ``right``: of the batches of the last test, which examples were answered right; where steps are labelled, at every
      one that is. Empty where answers are not classes.
    - ``test_length``: of the test that is under way, where it is one of several (``test/accuracy/160``).
    - ``plateau``: what lowers the rate by a loss; None: nothing does.
    - ``gradient_norms``: of every step, where a ``GradientMonitor`` takes them: clipping then takes no second norm.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        optimizer: OptimizerSettings,
        clip_norm: float | None = None,
        max_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self.max_steps = max_steps
        self.planned: int | None = None
        self.heard = True
        self.figures: dict[str, float] = {}
        self.right: list[Tensor] = []
        self.test_length: int | None = None
        self.gradient_norms: GradientNorms | None = None
        self.plateau: ReduceLROnPlateau | None = None
        self.plateau_state: dict[str, Any] = {}
        self.means = {stage: {"loss": Mean(), task.metric: Mean()} for stage in ("train", "val", "test")}
        self.class_scores = {stage: scores for stage in ("val", "test") if (scores := ClassScores.of(task)) is not None}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; Lightning's note of the present hook without the look for parameters and modules.

        It is set some forty times a step, which would take a tenth of a small network's.
        """
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> Any:
        """Make the optimizer, and its schedule with one value a step."""
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        optimizer = make_optimizer(self.optimizer, self.model, fused=not scaled)
        if self.optimizer.schedule == "plateau":
            self.plateau = make_plateau(self.optimizer, optimizer)
            self.plateau.load_state_dict(self.plateau_state)
        trying = getattr(self.trainer, "fast_dev_run", False)
        if self.plateau is not None or not self.optimizer.moves or (trying and self.planned is None):
            return optimizer
        whole = self.planned if trying and self.planned is not None else self.trainer.estimated_stepping_batches
        steps = min(whole, self.max_steps or math.inf)
        schedule = make_schedule(self.optimizer, optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save how long a plateau has been waited for."""
        if self.plateau is not None:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take that up when there is an optimizer, which comes later."""
        self.plateau_state = checkpoint.get("plateau", {})

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the model's answers: ``(batch, length, channels), (batch,) -> (batch, outputs)``."""
        answers: Tensor = self.model(x, lengths)
        return answers

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the model's answers to a batch."""
        x, lengths, _ = as_batch(batch)
        return self.forward(x, lengths)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the mean loss of a batch."""
        return self._losses("train", batch).mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Count a batch."""
        self._losses("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Count a batch."""
        self._losses("test", batch)

    def _losses(self, stage: str, batch: Any) -> Tensor:
        x, lengths, target = as_batch(batch)
        logits, target = answers(self.model, x, lengths, target)
        losses = self.task.loss(logits, target)
        loss, score = self.means[stage].values()
        loss.add(losses)
        scores = self.task.score(logits.detach(), target)
        score.add(scores)
        if stage == "test" and self.task.metric == "accuracy":
            self.right.append(scores == 1)
        if stage in self.class_scores:
            self.class_scores[stage].add(logits.detach(), target)
        return losses

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by the Trainer's value where it has one, else by ``clip_norm``."""
        limit = self.clip_norm if gradient_clip_val is None else float(gradient_clip_val)
        if limit is None or limit <= 0:
            return
        norms = self.gradient_norms
        if norms is None or norms.total is None or gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, limit, gradient_clip_algorithm or "norm")
        else:
            nn.utils.clip_grads_with_norm_(norms.parameters.values(), limit, norms.total)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Leave a batch that is there already: looking through its parts takes longer."""
        if isinstance(batch, Batch) and batch.x.device == device:
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_train_epoch_start(self) -> None:
        """Reset the epoch's sums, and tell a loader that draws its own order the epoch, also in a resumed run.

        Lightning tells it to the samplers of a ``DataLoader`` alone.
        """
        loader = self.trainer.train_dataloader
        if isinstance(loader, Batches):
            loader.set_epoch(self.current_epoch)
        self.figures.clear()
        self._reset("train")

    def on_validation_epoch_start(self) -> None:
        """Forget what another validation has counted."""
        self._reset("val")

    def on_test_epoch_start(self) -> None:
        """Forget what another test has counted."""
        self.right.clear()
        self._reset("test")

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training loss and score; with a loss that is no lower than it was the rate may fall."""
        self._close("train")
        if self.optimizer.moves:
            rate = {"optimizer/lr": float(self.trainer.optimizers[0].param_groups[0]["lr"])}
            self.figures.update(rate)
            self.log_dict(rate, batch_size=1)
        if self.plateau is not None:
            if (monitored := f"{self.optimizer.monitor}/loss") not in self.figures:
                raise ConfigError("optimizer.monitor", "val", "this epoch had no validation", "choose train")
            self.plateau.step(self.figures[monitored])

    def on_validation_epoch_end(self) -> None:
        """Log the validation's loss and score; those of a sanity check are forgotten when the first epoch starts."""
        self._close("val")

    def on_test_epoch_end(self) -> None:
        """Log the test's loss and score."""
        self._close("test")

    def log_dict(self, *figures: Any, **options: Any) -> None:
        """Log figures, where anybody listens."""
        if self.heard:
            super().log_dict(*figures, **options)

    def _reset(self, stage: str) -> None:
        for mean in self.means[stage].values():
            mean.reset()
        if stage in self.class_scores:
            self.class_scores[stage].reset()

    def _close(self, stage: str) -> None:
        at_length = stage == "test" and self.test_length is not None
        end = f"/{self.test_length}" if at_length else ""
        figures = {f"{stage}/{name}{end}": mean.value() for name, mean in self.means[stage].items()}
        if stage in self.class_scores and not at_length:
            figures |= {f"{stage}/{name}": value for name, value in self.class_scores[stage].values().items()}
        if stage == "test" and not math.isfinite(figures[f"test/loss{end}"]):  # without numbers there is no largest
            figures |= dict.fromkeys(set(figures) - {f"test/loss{end}"}, math.nan)
        self.figures.update(figures)
        self.log_dict(figures, batch_size=1)


# Lightning reads it before every step; rebuilding it takes as long as the optimizer step
TrainingModule.training_step.__signature__ = inspect.signature(TrainingModule.training_step)  # type: ignore[attr-defined]


def as_batch(batch: Any) -> Batch:
    """Return what a loader gives as a batch.

    Args:
        batch: ``Batch``, ``(x, target)``, or ``(x, lengths, target)``.

    Raises:
        TypeError: it is none of these.
    """
    match batch:
        case Batch():
            return batch
        case (x, target):
            return Batch(x, None, target)
        case (x, lengths, target):
            return Batch(x, lengths, target)
    raise TypeError(f"a batch of type {type(batch).__name__}: must be Batch, (x, target) or (x, lengths, target)")
