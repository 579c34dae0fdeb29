"""Each example's own loss, from a model that only gives the loss of a batch."""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradreach.diagnostics.probes import NotMeasured
from gradreach.errors import first_line
from gradreach.watch.probe import HAND_OVER, OwnLoss

CLOSE = {torch.float64: 1e-9, torch.float32: 1e-5}
"""How far rounding may move the loss of a batch from the mean of its examples' losses, as a share."""


class Silent:
    """Replaces a logger and ignores every call."""

    def __getattr__(self, name: str) -> "Silent":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **options: Any) -> "Silent":
        """Do nothing."""
        return self


class Glimpse:
    """Replaces the trainer of a copied module: only its numbers and texts can be read.

    - ``trainer``: the trainer of the original.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self.logger, self.loggers = Silent(), ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._trainer, name)
        if isinstance(value, bool | int | float | str | None):
            return value
        raise NotMeasured(f"training_step needs its trainer's {name}; {HAND_OVER}")


def of_training_step(original: nn.Module, model: nn.Module, probe: Any) -> Tensor:
    """Return the loss of a Lightning module's own training step, which logs nothing meanwhile.

    Args:
        original: the module, whose trainer knows epoch and step.
        model: a copy of it, which has no trainer.
        probe: a batch as the training step takes it.

    Raises:
        ValueError: the step needs more of its trainer, or gives no loss.
    """
    trainer = getattr(original, "_trainer", None)
    for part in (model, *(part for part in model.modules() if hasattr(part, "_trainer"))):
        vars(part).update(dict.fromkeys(("log", "log_dict", "print"), _say_nothing))
        if trainer is not None:
            vars(part)["_trainer"] = Glimpse(trainer)
    step: Any = model.training_step
    try:
        given = step(probe) if _takes_no_index(step) else step(probe, 0)
    except RuntimeError as error:
        if "Trainer" in str(error) or "trainer" in str(error):
            raise NotMeasured(f"training_step needs its trainer ({first_line(error)}); {HAND_OVER}") from error
        raise
    return _loss_in(given, "training_step")


def of_output(model: nn.Module, probe: Any) -> Tensor:
    """Return the ``loss`` that a model of Hugging Face's gives of a batch with labels."""
    return _loss_in(model(**probe), "the model")


def own_loss_of(model: nn.Module, probe: Any) -> OwnLoss:
    """Return the function that gives the loss of a batch.

    Raises:
        ValueError: the model has no such function.
    """
    if callable(getattr(model, "training_step", None)):
        return partial(of_training_step, model)
    if isinstance(probe, Mapping):
        return of_output
    raise ValueError(f"{type(model).__name__} has no training_step: {HAND_OVER}")


def _loss_in(given: Any, whose: str) -> Tensor:
    loss = given.get("loss") if isinstance(given, Mapping) else getattr(given, "loss", given)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise NotMeasured(f"{whose} gives no loss for the probe; {HAND_OVER}")
    return loss.reshape(1)


def _takes_no_index(step: Any) -> bool:
    parameters = inspect.signature(step).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _say_nothing(*arguments: Any, **options: Any) -> None:
    """Stand in for what a module says to its loggers."""


def agree(whole: Tensor, singles: Tensor) -> str | None:
    """Return whether the loss of a batch is the ``mean`` or the ``sum`` of its examples' own; None: neither."""
    for name, value in (("mean", singles.mean()), ("sum", singles.sum())):
        if torch.allclose(whole.double(), value.double(), rtol=CLOSE[whole.dtype], atol=1e-12):
            return name
    return None
