"""Tensors as arrays on the same memory, as the loops take them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, Tensor | None, Tensor | None]
NOT_GIVEN, TIME_FIRST, BATCH_FIRST = 0, 1, 2
"""How the gradient with respect to the states lies in memory."""


class Inputs(NamedTuple):
    """What a layer is given: x ``(T, batch, d_in)`` or batch first, the state before ``(1, batch, width)``, weights."""

    x: Tensor
    start: Tensor | None
    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None


class Needed(NamedTuple):
    """Which of them need gradients."""

    x: bool
    start: bool
    w_ih: bool
    w_hh: bool
    b_ih: bool
    b_hh: bool


def array(tensor: Tensor) -> Any:
    """Return an array of the same numbers, on the same memory if that is contiguous."""
    return tensor.contiguous().numpy(force=True)


def first_state(inputs: Inputs, batch: int) -> Tensor:
    """Return the state before the first step, ``(batch, width)``."""
    return inputs.x.new_zeros(batch, inputs.w_hh.shape[1]) if inputs.start is None else inputs.start[0]


def given_gradients(gradients: Sequence[Tensor | None], states: Tensor) -> tuple[Any, int, Tensor]:
    """Return the gradient w.r.t. all states, its layout, and that w.r.t. the last state.

    The first is some array where there is none. The last, ``(batch, width)``, is the loop's to write to.
    """
    by_states, by_last = gradients
    last = states.new_zeros(states.shape[1:])
    if by_last is not None:
        last.copy_(by_last[0])
    if by_states is None:
        return array(states), NOT_GIVEN, last
    turned = by_states.transpose(0, 1)
    if turned.is_contiguous():
        return array(turned), BATCH_FIRST, last
    return array(by_states), TIME_FIRST, last
