"""The instrument in the course of training."""

from typing import Any

from pytorch_lightning import Callback, Trainer

from gradreach.run_state import Run


class Measurement(Callback):
    """Measures what is due after an epoch, or after a number of steps; both are logged."""

    def __init__(self, run: Run) -> None:
        self.run = run
        schedules = {} if run.instrument is None else run.instrument.schedules
        self.by_step = any(isinstance(schedule, str) and schedule != "ends" for schedule in schedules.values())
        self.step = 0

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Begin where the run goes on."""
        self.step = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Measure after a step within an epoch; a batch that only adds to the gradient is no step."""
        if not self.by_step or trainer.global_step == self.step:
            return
        self.step = trainer.global_step
        if trainer.should_stop or batch_idx + 1 == trainer.num_training_batches:
            return  # the epoch ends here
        batches = trainer.current_epoch * trainer.num_training_batches + batch_idx + 1
        epoch = round(batches / trainer.num_training_batches, 6)
        if measured := self.run.measure(f"epoch {epoch}", (epoch, self.step)):
            self.run.tell({"epoch": epoch, "step": self.step, **measured})
            for logger in trainer.loggers:
                logger.log_metrics(measured, step=self.step)

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Measure after an epoch."""
        epoch = trainer.current_epoch + 1
        if measured := self.run.measure(f"epoch {epoch}", (epoch, trainer.global_step)):
            module.figures.update(measured)
            module.log_dict(measured, batch_size=1)
