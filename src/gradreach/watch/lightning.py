"""The instrument as a callback of Lightning's."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from torch import Tensor

from gradreach.errors import first_line
from gradreach.schedule import Schedule
from gradreach.watch.probe import OwnLoss
from gradreach.watch.watcher import LEAST, Watcher, schedule_of, tell

if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    try:
        from pytorch_lightning import Callback
    except ModuleNotFoundError:  # the same by its other name
        from lightning.pytorch import Callback


MOST_DRAWN = 8
"""The most layers in a picture."""


class Moments(Callback):
    """Calls ``take`` after every epoch and, where a schedule counts steps, after every step within one.

    - ``by_step``: whether one does.
    """

    by_step = False
    step = 0

    def take(self, trainer: "Trainer", module: Any, stage: str, passed: tuple[float, int]) -> None:
        """Measure what is due; within an epoch the stage is a fraction, and nothing can be logged by the module."""

    def on_train_start(self, trainer: "Trainer", module: Any) -> None:
        """Begin where the training goes on."""
        self.step = trainer.global_step

    def on_train_batch_end(self, trainer: "Trainer", module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Take a moment within an epoch; a batch that only adds to the gradient is not a step."""
        if not self.by_step or trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        if trainer.should_stop or batch_idx + 1 == trainer.num_training_batches:
            return  # the epoch ends here
        epoch: float = trainer.current_epoch
        if trainer.num_training_batches != float("inf"):
            epoch = round(epoch + (batch_idx + 1) / trainer.num_training_batches, 6)
        self.take(trainer, module, f"epoch {epoch}", (epoch, self.step))

    def on_train_epoch_end(self, trainer: "Trainer", module: Any) -> None:
        """Take the end of an epoch."""
        epoch = trainer.current_epoch + 1
        self.take(trainer, module, f"epoch {epoch}", (epoch, trainer.global_step))


class GradientReach(Moments):
    """Measures during training how far back the gradient of any LightningModule reaches.

    Logs by the module's own loggers ``gradient/reach/<layer>``, ``gradient/half_life/<layer>``, ``gradient/nonfinite``,
    and at the end a picture and a table to W&B, a picture to TensorBoard. Weights, random numbers and modes stay as
    they are: a copy is measured, of which nothing is logged. With several processes the first one measures.

    - ``probe``: a batch as the module's ``training_step`` takes it; 16 examples are enough.
    - ``every``: ``epoch``, a number of epochs, or of steps such as ``"200 steps"``.
    - ``quantities``, ``loss``, ``lengths``, ``layers``, ``least``, ``layout``: see ``Watcher``.

    ``profile`` holds all measurements; ``watcher`` does the measuring.

    Raises:
        ValueError: ``every`` is not a schedule.

    >>> from gradreach.watch import GradientReach
    >>> GradientReach(probe=(torch.randn(16, 20, 1), torch.arange(16) % 2), every="200 steps").by_step
    True
    """

    def __init__(
        self,
        probe: Any,
        every: Schedule = "epoch",
        quantities: Sequence[str] = ("profile",),
        loss: OwnLoss | None = None,
        lengths: Tensor | None = None,
        layers: Sequence[str] | None = None,
        least: float | None = LEAST,
        layout: str = "NLC",
    ) -> None:
        self.by_step = isinstance(schedule_of(every), str)
        self.asked = (probe, loss, quantities, every, lengths, layers, least, layout)
        self.watcher: Watcher | None = None

    @property
    def profile(self) -> pd.DataFrame:
        """The ``gradient_profile`` of every measurement so far, with a column ``stage``."""
        return pd.DataFrame() if self.watcher is None else self.watcher.profile

    def on_train_start(self, trainer: "Trainer", module: "LightningModule") -> None:
        """Measure the module before its first step."""
        super().on_train_start(trainer, module)
        if not trainer.is_global_zero:
            return
        if not _is_a(trainer.strategy, "SingleDeviceStrategy", "DDPStrategy"):
            tell(f"not measured: with {type(trainer.strategy).__name__} no process holds all weights; use ddp")
            return
        try:
            self.watcher = Watcher(module, *self.asked)
        except (TypeError, ValueError) as error:
            tell(f"not measured: {first_line(error)}")
            return
        self._log(trainer, self.watcher.measure("start"))

    def take(self, trainer: "Trainer", module: Any, stage: str, passed: tuple[float, int]) -> None:
        """Measure what is due, and log it."""
        if self.watcher is None:
            return
        found = self.watcher.measure(stage, passed)
        self._log(trainer, found)
        trainer.callback_metrics.update({key: Tensor([value]).squeeze() for key, value in found.items()})

    def on_train_end(self, trainer: "Trainer", module: "LightningModule") -> None:
        """Draw the profile, where a logger takes pictures."""
        if self.watcher is not None and len(self.watcher.profile):
            try:
                _show(trainer, self.watcher.profile)
            except ModuleNotFoundError as error:
                tell(f"no picture: needs {error.name}: pip install matplotlib")
            except Exception as error:
                tell(f"no picture: {first_line(error)}")

    def _log(self, trainer: "Trainer", found: dict[str, float]) -> None:
        for logger in trainer.loggers if found else ():
            logger.log_metrics(found, step=trainer.global_step)


def _show(trainer: "Trainer", profile: pd.DataFrame) -> None:
    """Send a picture, and to W&B a table, to the loggers that accept them."""
    boards: list[Any] = [logger for logger in trainer.loggers if _is_a(logger, "WandbLogger")]
    sheets: list[Any] = [logger for logger in trainer.loggers if _is_a(logger, "TensorBoardLogger")]
    for logger in boards:
        logger.log_table("gradient/profile_table", dataframe=profile, step=trainer.global_step)
    if not boards and not sheets:
        return
    from gradreach.drawing import as_image, draw_run_profile

    places = [*dict.fromkeys(profile["layer"])]
    drawn = places[:: math.ceil(len(places) / MOST_DRAWN)]  # of many blocks some, evenly
    end = profile[profile["stage"] == profile["stage"].iloc[-1]].assign(stage="end")
    shown = pd.concat([profile, end], ignore_index=True)
    figure = draw_run_profile(shown[shown["layer"].isin(drawn)])
    for logger in boards:
        logger.log_image("gradient/profile", [as_image(figure)], step=trainer.global_step)
    for logger in sheets:
        logger.experiment.add_figure("gradient/profile", figure, trainer.global_step)


def _is_a(thing: object, *names: str) -> bool:
    """Return whether something is of a class of Lightning's: of ``pytorch_lightning`` or of ``lightning.pytorch``."""
    return any(kind.__name__ in names for kind in type(thing).__mro__)
