"""Probes: the examples a model is measured on, and each one's own loss."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gradreach.batch import Batch

Loss = Callable[[Tensor, Tensor], Tensor]


class NotMeasured(ValueError):
    """Why something cannot be measured, and what to do; raised while a model is called."""


class Probe(ABC):
    """Examples, and the loss of a model on them.

    - ``x``: floating ``(batch, length, channels)``, or token ids ``(batch, length)``.
    - ``lengths``: ``(batch,)`` valid steps, or None where all are.
    - ``batch``: the same as a ``Batch``, if it is one.
    """

    x: Tensor
    lengths: Tensor | None
    batch: Batch | None = None

    @abstractmethod
    def to(self, device: torch.device, dtype: torch.dtype) -> "Probe":
        """Move it, and all that belongs to it; floating values take the dtype."""

    @abstractmethod
    def losses(self, model: nn.Module, x: Tensor) -> Tensor:
        """Return each example's own loss, ``(batch,)``, of the examples with ``x`` in the place of their own."""


class Examples(Probe):
    """A batch, and a loss of output and target; see ``trace``."""

    batch: Batch

    def __init__(self, batch: Batch, loss: Loss) -> None:
        self.batch, self.loss = batch, loss
        self.x, self.lengths = batch.x, batch.lengths

    def to(self, device: torch.device, dtype: torch.dtype) -> "Examples":
        """Move it."""
        loss = self.loss
        if isinstance(loss, nn.Module):
            loss = copy.deepcopy(loss)._apply(lambda tensor: cast_to(tensor, dtype))
        return type(self)(self.batch.to(device, dtype), loss)

    def answers(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Call the model; return its output, and the target to compare it with."""
        return (model(x) if self.lengths is None else model(x, self.lengths)), self.batch.target

    def losses(self, model: nn.Module, x: Tensor) -> Tensor:
        """Call the model, and the loss."""
        output, target = self.answers(model, x)
        try:
            return self.loss(output, target)
        except RuntimeError as error:
            if x.dtype != torch.float32 and "Float" in str(error):
                raise ValueError(
                    f"dtype={torch.float64}: the loss holds tensors of float32 ({error}); pass an nn.Module that "
                    "holds them as buffers, or measure with dtype=torch.float32"
                ) from error
            raise


def examples_of(batch: Batch, loss: Loss | None) -> Examples:
    """Return a batch with its loss.

    Raises:
        TypeError, ValueError: it is not a batch, or the loss not a function.
    """
    check_batch(batch)
    if not callable(loss):
        raise TypeError(f"loss must be a function (output, target) -> (batch,), not a {type(loss).__name__}")
    return Examples(batch, loss)


def check_batch(batch: Any) -> None:
    """Check that the argument is a batch.

    Raises:
        ValueError: it is not; the message says what to pass.
    """
    if not isinstance(batch, Batch) or not isinstance(batch.lengths, Tensor | None):
        found = f"Batch whose lengths are {batch.lengths!r}" if isinstance(batch, Batch) else type(batch).__name__
        raise ValueError(f"batch is a {found}; pass Batch(x, lengths, target), lengths a tensor (batch,) or None")


def lengths_of(batch: Batch | Probe) -> Tensor:
    """Return how many steps of each example are valid, ``(batch,)``.

    Raises:
        ValueError: a length is negative, or larger than the number of steps.
    """
    examples, columns = batch.x.shape[:2]
    if batch.lengths is None:
        return torch.full((examples,), columns, device=batch.x.device)
    if examples and not (int(batch.lengths.min()) >= 0 and int(batch.lengths.max()) <= columns):
        raise ValueError(
            f"lengths={batch.lengths.tolist()}: the probe has {columns} steps; each must be 0 to {columns}"
        )
    return batch.lengths


def cast_to(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor in a dtype; of complex numbers the complex one, and of integers themselves."""
    if tensor.is_complex():
        return tensor.to(torch.complex128 if dtype == torch.float64 else torch.complex64)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def device_of(model: nn.Module, x: Tensor) -> torch.device:
    """Return a model's device: that of its first weight, or without weights that of its input."""
    return next((parameter.device for parameter in model.parameters()), x.device)
