"""The compiled loops as an autograd function, with gradients with respect to all inputs of a layer.

Second derivatives, gradients in batches, and those of a layer whose states were written to after it gave them, are
those of torch's own layer, computed again.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradreach.kernels import gru, rnn
from gradreach.kernels.arrays import Inputs, Needed
from gradreach.kernels.suitability import only_numbers

COUNT = len(Inputs._fields)
TORCH: Any = {"RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "GRU": torch.gru}


def run(mode: str, batch_first: bool, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return the states of a layer, time or batch first as x is, and the last of them ``(1, batch, width)``.

    Args:
        mode: of ``nn.RNNBase``: ``RNN_TANH``, ``RNN_RELU`` or ``GRU``.
        batch_first: whether x is.
        inputs: what the layer is given.
    """
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in inputs):
        states, last = _Loop.apply(mode, batch_first, *inputs)  # type: ignore[no-untyped-call]
    else:
        states, last, _ = _forward(mode, batch_first, inputs, keep=False)
    return (states.transpose(0, 1) if batch_first else states), last


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mode: str, batch_first: bool, *given: Any) -> tuple[Tensor, Tensor]:
        states, last, kept = _forward(mode, batch_first, Inputs(*given), keep=True)
        ctx.mode, ctx.batch_first = mode, batch_first
        ctx.states = states.detach()  # not among those saved, which autograd refuses once they are written to
        ctx.version = states._version
        ctx.save_for_backward(*given, *kept)
        ctx.set_materialize_grads(False)
        return states, last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # read once: a checkpoint makes them for one reading
        inputs, kept, needed = Inputs(*saved[:COUNT]), saved[COUNT:], Needed(*ctx.needs_input_grad[-COUNT:])
        if all(gradient is None for gradient in gradients):
            return (None,) * len(ctx.needs_input_grad)
        if not only_numbers(gradients) or ctx.states._version != ctx.version:
            return None, None, *_through_torch(ctx.mode, ctx.batch_first, inputs, needed, gradients)
        if ctx.mode == "GRU":
            x, *others = gru.backward(inputs, kept, ctx.states, needed, gradients)
        else:
            x, *others = rnn.backward(inputs, kept, ctx.states, needed, gradients, ctx.mode == "RNN_RELU")
        return None, None, x.transpose(0, 1) if x is not None and ctx.batch_first else x, *others


def _forward(mode: str, batch_first: bool, inputs: Inputs, keep: bool) -> tuple[Tensor, Tensor, Sequence[Tensor]]:
    """Return the states time first, the last of them, and what the way back needs beside inputs and states."""
    x = inputs.x.transpose(0, 1) if batch_first else inputs.x
    rows, batch = x.reshape(-1, x.shape[2]), x.shape[1]
    if mode == "GRU":
        states, kept = gru.forward(inputs, rows, batch, keep)
    else:
        states, kept = rnn.forward(inputs, rows, batch, mode == "RNN_RELU")
    return states, states[-1:].clone(), kept


def _through_torch(
    mode: str, batch_first: bool, inputs: Inputs, needed: Needed, gradients: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """Return the gradients with respect to the inputs as torch's layer has them, themselves differentiable."""
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        own = Inputs._make(each if each is None else each.view_as(each) for each in inputs)  # two may be one tensor
        flat = [weight for weight in own[2:] if weight is not None]
        batch = own.x.shape[0 if batch_first else 1]
        start = own.x.new_zeros(1, batch, own.w_hh.shape[1]) if own.start is None else own.start
        states, last = TORCH[mode](own.x, start, flat, len(flat) > 2, 1, 0.0, False, False, batch_first)
        results = (states.transpose(0, 1) if batch_first else states), last
        pairs = [(result, given) for result, given in zip(results, gradients, strict=True) if given is not None]
        found = iter(
            torch.autograd.grad(
                [result for result, _ in pairs],
                [each for each, needs in zip(own, needed, strict=True) if each is not None and needs],
                [given for _, given in pairs],
                create_graph=differentiable,
            )
        )
    return [next(found) if needs else None for needs in needed]
