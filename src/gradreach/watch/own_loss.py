"""Each example's own loss, from a model that only gives the loss of a batch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradreach.errors import first_line
from gradreach.watch.probe import OwnLoss

HAND_OVER = "hand over loss=, a function (model, probe) -> (batch,) of each example's own loss"


def of_training_step(model: nn.Module, probe: Any) -> Tensor:
    """Return the loss of a Lightning module's own training step, which logs nothing meanwhile.

    Args:
        model: a copy of the module, which has no trainer.
        probe: a batch as the training step takes it.

    Raises:
        ValueError: the step needs its trainer, or gives no loss.
    """
    for name in ("log", "log_dict", "print"):
        setattr(model, name, _say_nothing)
    step: Any = model.training_step
    try:
        given = step(probe) if _takes_no_index(step) else step(probe, 0)
    except RuntimeError as error:
        if "Trainer" in str(error) or "trainer" in str(error):
            raise ValueError(f"training_step needs its trainer ({first_line(error)}); {HAND_OVER}") from error
        raise
    return _loss_in(given, "training_step")


def of_output(model: nn.Module, probe: Any) -> Tensor:
    """Return the ``loss`` that a model of Hugging Face's gives of a batch with labels."""
    return _loss_in(model(**probe), "the model")


def own_loss_of(model: nn.Module, probe: Any) -> OwnLoss:
    """Return what gives the loss of a batch.

    Raises:
        ValueError: the model has nothing that does.
    """
    if callable(getattr(model, "training_step", None)):
        return of_training_step
    if isinstance(probe, Mapping):
        return of_output
    raise ValueError(f"{type(model).__name__} has no training_step: {HAND_OVER}")


def _loss_in(given: Any, whose: str) -> Tensor:
    loss = given.get("loss") if isinstance(given, Mapping) else getattr(given, "loss", given)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise ValueError(f"{whose} gives no loss of the probe; {HAND_OVER}")
    return loss.reshape(1)


def _takes_no_index(step: Any) -> bool:
    import inspect

    parameters = inspect.signature(step).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _say_nothing(*arguments: Any, **options: Any) -> None:
    """Stand in for what a module says to its loggers."""


def agree(whole: Tensor, singles: Tensor) -> str | None:
    """Return whether the loss of a batch is the ``mean`` or the ``sum`` of its examples' own; None: neither."""
    for name, value in (("mean", singles.mean()), ("sum", singles.sum())):
        if torch.allclose(whole.double(), value.double(), rtol=1e-9, atol=1e-12):
            return name
    return None
