"""Tensors as the loops take them: arrays of the same memory."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

NOT_GIVEN, TIME_FIRST, BATCH_FIRST = 0, 1, 2
"""How the gradient by the states lies in memory."""


class Inputs(NamedTuple):
    """What a layer is given: x ``(T, batch, d_in)`` or batch first, the state before ``(1, batch, width)``, weights."""

    x: Tensor
    start: Tensor | None
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None


class Needed(NamedTuple):
    """By which of them gradients are needed."""

    x: bool
    start: bool
    w_ih: bool
    w_hh: bool
    b_ih: bool
    b_hh: bool


def array(tensor: Tensor) -> Any:
    """Return an array of the same numbers: of the same memory where that is contiguous."""
    return tensor.contiguous().numpy(force=True)


def first_state(inputs: Inputs, batch: int) -> Tensor:
    """Return the state before the first step, ``(batch, width)``."""
    return inputs.x.new_zeros(batch, inputs.w_hh.shape[1]) if inputs.start is None else inputs.start[0]


def last_gradient(gradient: Tensor | None, states: Tensor) -> Tensor:
    """Return a fresh copy of the gradient by the last state, ``(batch, width)``, which the loop overwrites."""
    return (
        states.new_zeros(states.shape[1:])
        if gradient is None
        else gradient[0].clone(memory_format=torch.contiguous_format)
    )


def states_gradient(gradient: Tensor | None, otherwise: Tensor) -> tuple[Any, int]:
    """Return the gradient by all states and how it lies; some array where there is none."""
    if gradient is None:
        return array(otherwise), NOT_GIVEN
    if gradient.transpose(0, 1).is_contiguous():
        return array(gradient.transpose(0, 1)), BATCH_FIRST
    return array(gradient), TIME_FIRST
