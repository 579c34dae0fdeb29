"""Recurrent layers written out step by step in float64, and all that a layer gives, its gradients included."""

import copy

import torch
from torch import Tensor, nn

from gradreach.kernels import accelerate

KINDS = ("tanh", "relu", "gru")


def make(kind: str, d_in: int = 3, width: int = 8, **options) -> nn.RNNBase:
    options = {"batch_first": True, **options}
    return nn.GRU(d_in, width, **options) if kind == "gru" else nn.RNN(d_in, width, nonlinearity=kind, **options)


def accelerated(layer: nn.RNNBase) -> nn.RNNBase:
    ours = copy.deepcopy(layer)
    assert accelerate(ours) == 1
    return ours


def cells(kind: str, x: Tensor, h: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the states and the last of them of x, time first; the formulas are those of torch's page on its layers."""
    w, u, *biases = weights
    b, c = biases or (w.new_zeros(len(w)),) * 2
    states = []
    for x_t in x:
        a, q = x_t @ w.t() + b, h @ u.t() + c
        if kind == "gru":
            (a_r, a_z, a_n), (q_r, q_z, q_n) = a.chunk(3, -1), q.chunk(3, -1)
            z = torch.sigmoid(a_z + q_z)
            h = (1 - z) * torch.tanh(a_n + torch.sigmoid(a_r + q_r) * q_n) + z * h
        else:
            h = torch.tanh(a + q) if kind == "tanh" else torch.relu(a + q)
        states.append(h)
    return torch.stack(states), h.unsqueeze(0)


def gives(layer, x: Tensor, start: Tensor | None, by: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Return what a layer gives, and its gradients if those by its outputs are ``by``."""
    leaves = {"x": x.clone().requires_grad_()}
    if start is not None:
        leaves["start"] = start.clone().requires_grad_()
    leaves |= dict(layer.named_parameters())
    outputs = layer(leaves["x"], leaves.get("start"))
    found = torch.autograd.grad(outputs, list(leaves.values()), by)
    return {"states": outputs[0].detach(), "last": outputs[1].detach(), **dict(zip(leaves, found, strict=True))}


class Unrolled(nn.Module):
    """A layer's own weights, in float64, and the loop above."""

    def __init__(self, kind: str, layer: nn.RNNBase) -> None:
        super().__init__()
        self.kind, self.batch_first = kind, layer.batch_first
        for name, weight in layer.named_parameters():
            self.register_parameter(name, nn.Parameter(weight.detach().double()))

    def forward(self, x: Tensor, start: Tensor | None) -> tuple[Tensor, Tensor]:
        x = x.transpose(0, 1) if self.batch_first else x
        h = x.new_zeros(x.shape[1], self.weight_hh_l0.shape[1]) if start is None else start[0]
        states, last = cells(self.kind, x, h, list(self.parameters()))
        return (states.transpose(0, 1) if self.batch_first else states), last


def three(kind: str, layer: nn.RNNBase, x: Tensor, start: Tensor | None = None) -> list[dict[str, Tensor]]:
    """Return what the loops, torch's layer and the cells in float64 give."""
    draw = torch.Generator().manual_seed(7)
    shape = (*x.shape[:2], layer.hidden_size)
    batch = x.shape[0 if layer.batch_first else 1]
    by = torch.rand(shape, generator=draw), torch.rand(1, batch, shape[2], generator=draw)  # positive: little cancels
    double = [part if part is None else part.double() for part in (x, start, *by)]
    return [
        gives(accelerated(layer), x, start, by),
        gives(layer, x, start, by),
        gives(Unrolled(kind, layer), double[0], double[1], (double[2], double[3])),
    ]
