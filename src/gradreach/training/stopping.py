"""Reasons to end training early."""

from collections.abc import Sequence
from typing import Any

from pytorch_lightning import Callback, Trainer

from gradreach.run_state import Run, fell_behind
from gradreach.system.interruption import Interrupted, Interruption
from gradreach.training.epochs import AfterEpoch


class StopAtStep(Callback):
    """Ends training after a number of steps, also within an epoch.

    By asking Lightning to stop, not by its ``max_steps``: then it validates once more, so that the last figures are
    those of the last weights; and a run that goes on is not taken for one that counts no epochs.

    - ``steps``: after how many.
    - ``setting``: which setting says so; None: they are the budget, so that training does not end early.
    """

    def __init__(self, run: Run, steps: int, setting: str | None) -> None:
        self.run, self.steps, self.setting = run, steps, setting

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Ask Lightning to stop."""
        if trainer.global_step >= self.steps and not trainer.should_stop:
            trainer.should_stop = True
            if self.setting is not None:
                self.run.stopped = f"{self.setting}={self.steps}"


class StopWhen(AfterEpoch):
    """Ends training with the epoch in which a metric reaches its bound: accuracy from below, loss and error from above.

    - ``figure``: ``train/accuracy``, ``val/mse``, …
    """

    def __init__(self, run: Run, figure: str, bound: float) -> None:
        self.run, self.figure, self.bound = run, figure, bound

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Ask Lightning to stop where the bound is met."""
        value = module.figures[self.figure]
        met = value >= self.bound if self.figure.endswith("/accuracy") else value <= self.bound
        if met and not trainer.should_stop:
            trainer.should_stop = True
            self.run.stopped = f"stop_when {self.figure}={self.bound}"


class Interruptible(AfterEpoch):
    """Leaves training when the process was asked to stop: after an epoch and its checkpoint.

    Where an epoch, or a test, takes too long to wait for its end, it is left within.

    - ``leaving``: whether it is left after this epoch. Decided once, before the checkpoint: a signal that comes later
      waits for the next epoch's end.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption
        self.leaving = False

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        """Handle the signals: Lightning's own handler of SIGTERM ends the process, and its record with it."""
        self.interruption.install()

    def on_test_start(self, trainer: Trainer, module: Any) -> None:
        """Handle them again: Lightning puts its own in place for each test."""
        self.interruption.install()

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        """Leave before the next epoch.

        Raises:
            Interrupted: the process was asked to stop.
        """
        if self.leaving:
            self.interruption.at_epoch_end()

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Leave if the epoch takes too long to wait for.

        Raises:
            Interrupted: the process was asked to stop some time ago.
        """
        self.interruption.within_epoch()

    def on_validation_batch_end(self, trainer: Trainer, module: Any, *batch: Any) -> None:
        """Leave if validation takes too long to wait for.

        Raises:
            Interrupted: the process was asked to stop some time ago.
        """
        self.interruption.within_epoch()

    def on_test_batch_end(self, trainer: Trainer, module: Any, *batch: Any) -> None:
        """Leave if the test does, as that of a long length may: if it does not, the run is finished.

        Raises:
            Interrupted: the process was asked to stop some time ago.
        """
        self.interruption.within_epoch()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Decide."""
        self.leaving = self.interruption.signal is not None


class Prune(AfterEpoch):
    """Leaves training with the epoch after which validation is worse than its bound; the run can go on from there.

    Not by asking Lightning to stop: the run would then count as finished, though its configuration says more epochs.
    """

    def __init__(self, run: Run, bounds: Sequence[float | None], interruptible: Interruptible) -> None:
        self.run, self.bounds, self.interruptible = run, bounds, interruptible
        self.behind = False

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Compare, before the checkpoint; what has no epoch left is finished."""
        key, metric = f"val/{module.task.metric}", module.task.metric
        scores = {row["epoch"]: row[key] for row in self.run.history if key in row}
        over = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not over and fell_behind(scores, self.bounds, metric) is not None:
            self.behind = self.interruptible.leaving = True

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        """Leave before the next epoch.

        Raises:
            Interrupted: validation was worse than its bound.
        """
        if self.behind:
            raise Interrupted("prune, since validation was behind its bound,")
