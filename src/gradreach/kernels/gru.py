"""A GRU's layer around its loops; the reset gate acts after the product, as in torch and cuDNN.

r, z = σ(W x_t + b + U h_{t-1} + c)        n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t-1} + c_n))
h_t = n + z ⊙ (h_{t-1} - n)
"""

import torch
from torch import Tensor

from gradreach.kernels.arrays import Inputs, Needed, array, first_state, last_gradient, states_gradient
from gradreach.kernels.compiled import loop

Gradients = tuple[Tensor | None, ...]


def forward(inputs: Inputs, rows: Tensor, batch: int, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return the states ``(T, batch, width)``, the gates r, z, n ``(3, T, batch, width)`` and ``U_n h + c_n``.

    Without ``keep`` the last is that of the last step.
    """
    width = inputs.w_hh.shape[1]
    gates = rows.new_empty(3, len(rows), width)
    hidden_bias = rows.new_zeros(width)
    biases: list[Tensor] | None = None
    if inputs.b_ih is not None and inputs.b_hh is not None:
        *hidden, hidden_bias = inputs.b_hh.split(width)
        r, z, n = inputs.b_ih.split(width)
        biases = [r + hidden[0], z + hidden[1], n]
    for i, weight in enumerate(inputs.w_ih.split(width)):
        if biases is None:
            torch.mm(rows, weight.t(), out=gates[i])
        else:
            torch.addmm(biases[i], rows, weight.t(), out=gates[i])
    gates = gates.view(3, -1, batch, width)
    states = torch.empty_like(gates[0])
    hidden_part = torch.empty_like(states if keep else states[:1])
    loop("gru_forward")(
        array(gates),
        array(first_state(inputs, batch)),
        array(inputs.w_hh.view(3, width, width)),
        array(hidden_bias),
        array(hidden_part),
        array(states),
        int(keep),
    )
    return states, gates, hidden_part


def backward(
    inputs: Inputs,
    rows: Tensor,
    states: Tensor,
    gates: Tensor,
    hidden_part: Tensor,
    needed: Needed,
    gradient: Tensor | None,
    last: Tensor | None,
) -> Gradients:
    """Return the gradients by x (time first), the state before and the weights; None where none is needed."""
    batch, width = states.shape[1:]
    da, dh = states.new_empty(4, *states.shape), last_gradient(last, states)
    given, layout = states_gradient(gradient, da[0])
    loop("gru_backward")(
        given,
        layout,
        array(dh),
        array(states),
        array(first_state(inputs, batch)),
        array(gates),
        array(hidden_part),
        array(inputs.w_hh.view(3, width, width)),
        array(da),
        needed.start,
    )
    n, r, z, hidden = da.view(4, -1, width)
    x = w_ih = w_hh = b_ih = b_hh = None
    if needed.x:
        w_r, w_z, w_n = inputs.w_ih.split(width)
        x = (r @ w_r).addmm_(z, w_z).addmm_(n, w_n).view(-1, batch, rows.shape[1])
    if needed.w_ih:
        w_ih = torch.cat([each.t() @ rows for each in (r, z, n)])
    if needed.w_hh:
        before = states.view(-1, width)[:-batch]
        w_hh = torch.cat([each[batch:].t() @ before for each in (r, z, hidden)])
        if inputs.start is not None:
            w_hh += torch.cat([each[:batch].t() @ inputs.start[0] for each in (r, z, hidden)])
    if needed.b_ih or needed.b_hh:
        sums = [each.sum(0) for each in (r, z, n, hidden)]
        b_ih, b_hh = torch.cat(sums[:3]), torch.cat([*sums[:2], sums[3]])
    return (
        x,
        dh.unsqueeze(0) if needed.start else None,
        w_ih,
        w_hh,
        b_ih if needed.b_ih else None,
        b_hh if needed.b_hh else None,
    )
