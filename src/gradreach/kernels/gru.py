"""A GRU's layer around its loops; the reset gate acts after the product, as in torch and cuDNN.

``r, z = σ(W x_t + b + U h_{t-1} + c)``, ``n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t-1} + c_n))`` and
``h_t = n + z ⊙ (h_{t-1} - n)``.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradreach.kernels.arrays import Gradients, Inputs, Needed, array, first_state, given_gradients
from gradreach.kernels.compiled import loop


def forward(inputs: Inputs, rows: Tensor, batch: int, keep: bool) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the states ``(T, batch, width)`` and, if ``keep``, what the way back needs.

    That is ``rows (T · batch, d_in)``, the input; the gates r, z, n ``(3, T, batch, width)``; and ``U_n h + c_n``.
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
        array(inputs.w_hh.reshape(3, width, width)),
        array(hidden_bias),
        array(hidden_part),
        array(states),
        int(keep),
    )
    return states, (rows, gates, hidden_part)


def backward(
    inputs: Inputs, kept: Sequence[Tensor], states: Tensor, needed: Needed, gradients: Sequence[Tensor | None]
) -> Gradients:
    """Return the gradients w.r.t. x (time first), the state before and the weights; None where none is needed."""
    rows, gates, hidden_part = kept
    batch, width = states.shape[1:]
    da = states.new_empty(4, *states.shape)
    given, layout, dh = given_gradients(gradients, states)
    loop("gru_backward")(
        given,
        layout,
        array(dh),
        array(states),
        array(first_state(inputs, batch)),
        array(gates),
        array(hidden_part),
        array(inputs.w_hh.reshape(3, width, width)),
        array(da),
        needed.start,
    )
    r, z, n, hidden = da.view(4, -1, width)
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
