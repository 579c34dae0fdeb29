"""The instrument as a callback of Hugging Face's Trainer."""

from typing import Any

import pandas as pd
from transformers import Trainer, TrainerCallback

from gradreach.schedule import Schedule
from gradreach.watch.watcher import Watcher, schedule_of


class GradientReachCallback(TrainerCallback):  # type: ignore[misc]  # an extra
    """Measures how far back the gradient reaches, through a training by Hugging Face's Trainer.

    Measurements go through the trainer's own ``log``, so that they appear wherever its metrics do.

    - ``trainer``: to which it is added: ``trainer.add_callback(GradientReachCallback(trainer, probe))``.
    - ``probe``: a batch as the model takes it, with ``labels``; 16 examples are enough.
    - ``every``: ``epoch``, a number of epochs, or of steps such as ``"200 steps"``.
    - ``options``: see ``Watcher``.

    ``profile`` holds all measurements.
    """

    def __init__(self, trainer: Trainer, probe: Any, every: Schedule = "epoch", **options: Any) -> None:
        self.trainer = trainer
        self.by_step = isinstance(schedule_of(every), str)
        self.watcher = Watcher(trainer.model, probe, every=every, **options)

    @property
    def profile(self) -> pd.DataFrame:
        """The ``gradient_profile`` of every measurement so far, with a column ``stage``."""
        return self.watcher.profile

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Measure the model before its first step."""
        self._take(state, "start")

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Measure what is due within an epoch."""
        if self.by_step:
            self._take(state, f"epoch {round(state.epoch, 6)}", (state.epoch, state.global_step))

    def on_epoch_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Measure what is due after an epoch."""
        if not self.by_step:
            self._take(state, f"epoch {round(state.epoch)}", (round(state.epoch), state.global_step))

    def _take(self, state: Any, stage: str, passed: tuple[float, int] | None = None) -> None:
        if state.is_world_process_zero and (found := self.watcher.measure(stage, passed)):
            self.trainer.log(found)
