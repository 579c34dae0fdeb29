"""The instrument during training."""

from typing import Any

from pytorch_lightning import Trainer

from gradreach.run_state import Run
from gradreach.watch.lightning import Moments


class Measurement(Moments):
    """Measures what is due after an epoch, or after a number of steps; both are logged."""

    def __init__(self, run: Run) -> None:
        self.run = run
        schedules = {} if run.instrument is None else run.instrument.schedules
        self.by_step = any(isinstance(schedule, str) and schedule != "ends" for schedule in schedules.values())

    def take(self, trainer: Trainer, module: Any, stage: str, passed: tuple[float, int]) -> None:
        """Measure, and tell the run; the module logs what belongs to an epoch."""
        measured = self.run.measure(stage, passed)
        if not measured:
            return
        epoch, step = passed
        if isinstance(epoch, int):
            module.figures.update(measured)
            module.log_dict(measured, batch_size=1)
            return
        self.run.tell({"epoch": epoch, "step": step, **measured})
        for logger in trainer.loggers:
            logger.log_metrics(measured, step=step)
