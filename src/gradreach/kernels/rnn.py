"""An RNN's layer around its loops: ``h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``, f = tanh or ReLU."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradreach.kernels.arrays import Gradients, Inputs, Needed, array, first_state, given_gradients
from gradreach.kernels.compiled import loop


def forward(inputs: Inputs, rows: Tensor, batch: int, relu: bool) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the states ``(T, batch, width)`` and what the way back needs; ``rows (T · batch, d_in)`` is the input."""
    states = rows.new_empty(len(rows) // batch, batch, inputs.w_hh.shape[1])
    projected = states.view(len(rows), -1)
    if inputs.b_ih is None or inputs.b_hh is None:
        torch.mm(rows, inputs.w_ih.t(), out=projected)
    else:
        torch.addmm(inputs.b_ih + inputs.b_hh, rows, inputs.w_ih.t(), out=projected)
    loop("rnn_forward")(array(states), array(first_state(inputs, batch)), array(inputs.w_hh), relu)
    return states, (rows,)


def backward(
    inputs: Inputs,
    kept: Sequence[Tensor],
    states: Tensor,
    needed: Needed,
    gradients: Sequence[Tensor | None],
    relu: bool,
) -> Gradients:
    """Return the gradients w.r.t. x (time first), the state before and the weights; None where none is needed."""
    (rows,) = kept
    batch, width = states.shape[1:]
    da = torch.empty_like(states)
    given, layout, dh = given_gradients(gradients, states)
    loop("rnn_backward")(given, layout, array(dh), array(states), array(inputs.w_hh), array(da), needed.start, relu)
    before, turned = states.view(-1, width), da.view(-1, width)
    w_hh = b_ih = b_hh = None
    if needed.w_hh:
        w_hh = turned[batch:].t() @ before[:-batch]
        if inputs.start is not None:
            w_hh.addmm_(turned[:batch].t(), inputs.start[0])
    if needed.b_ih or needed.b_hh:
        b_ih = turned.sum(0)
        b_hh = b_ih.clone()
    return (
        (turned @ inputs.w_ih).view(-1, batch, rows.shape[1]) if needed.x else None,
        dh.unsqueeze(0) if needed.start else None,
        turned.t() @ rows if needed.w_ih else None,
        w_hh,
        b_ih if needed.b_ih else None,
        b_hh if needed.b_hh else None,
    )
