"""A user's callback, as ``callbacks.<name>._target_`` finds it."""

from typing import ClassVar

from pytorch_lightning import Callback


class Rate(Callback):
    """Notes the learning rate of every step, times a factor."""

    rates: ClassVar[list[float]] = []

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.rates.append(self.factor * trainer.optimizers[0].param_groups[0]["lr"])
