"""Exact adjoints of a fused recurrent layer, by replaying its backward pass in the log domain.

A fused layer does not show ``λ_t = dL/dh_t``: its output's own gradient is only the immediate part. But all its
states are known after the forward pass, so the gates of all steps follow in one matrix product, and

    λ_{t-1} = J_tᵀ λ_t + ∂⁺L/∂s_{t-1}

can be run backwards by hand (source: P. J. Werbos, Backpropagation through time, 1990). It is carried as a unit
vector and the logarithm of its norm, one for each example, so that nothing underflows.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Replay(ABC):
    """One layer's steps, once forward.

    Tensors are time first, ``(length, batch, size)``; ``h`` holds the states that the layer gave.
    """

    quantities: tuple[str, ...] = ("h",)

    def __init__(self, layer: nn.RNNBase, x: Tensor, h: Tensor, h0: Tensor) -> None:
        self.h = h
        self.previous = torch.cat([h0.unsqueeze(0), h[:-1]])
        weights = dict(layer.named_parameters())
        self.recurrent = weights["weight_hh_l0"]
        self.from_input = x @ weights["weight_ih_l0"].T
        self.from_state = self.previous @ self.recurrent.T
        if layer.bias:
            self.from_input += weights["bias_ih_l0"]
            self.from_state += weights["bias_hh_l0"]

    @abstractmethod
    def pull_back(self, t: int, adjoint: Tensor) -> Tensor:
        """Return ``J_tᵀ λ``: the adjoint of state t, ``(batch, size)``, taken to state t−1."""


class ReplayRNN(Replay):
    """``J = diag(f') W_hh`` with ``f' = 1 − h²`` for tanh and ``h > 0`` for ReLU."""

    def __init__(self, layer: nn.RNNBase, x: Tensor, h: Tensor, h0: Tensor) -> None:
        super().__init__(layer, x, h, h0)
        self.slope = 1 - h**2 if layer.mode == "RNN_TANH" else (h > 0).to(h.dtype)

    def pull_back(self, t: int, adjoint: Tensor) -> Tensor:
        """Return ``J_tᵀ λ``."""
        return (adjoint * self.slope[t]) @ self.recurrent


class ReplayGRU(Replay):
    """``h = z ∘ h' + (1 − z) ∘ n``, ``n = tanh(W_in x + r ∘ u)``, ``u = W_hn h' + b_hn``: the form of torch."""

    def __init__(self, layer: nn.RNNBase, x: Tensor, h: Tensor, h0: Tensor) -> None:
        super().__init__(layer, x, h, h0)
        (xr, xz, xn), (hr, hz, u) = self.from_input.chunk(3, -1), self.from_state.chunk(3, -1)
        r, self.z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * u)
        self.by_z = (self.previous - n) * self.z * (1 - self.z)
        self.by_u = (1 - self.z) * (1 - n**2) * r
        self.by_r = (1 - self.z) * (1 - n**2) * u * r * (1 - r)

    def pull_back(self, t: int, adjoint: Tensor) -> Tensor:
        """Return ``J_tᵀ λ``."""
        gates = torch.cat([adjoint * self.by_r[t], adjoint * self.by_z[t], adjoint * self.by_u[t]], -1)
        return adjoint * self.z[t] + gates @ self.recurrent


class ReplayLSTM(Replay):
    """The state is ``(h, c)``, its halves taken as independent: ``λ^c`` is the part that reaches ``c_t`` directly.

    What ``c.retain_grad()`` gives on unrolled cells is ``λ^c + λ^h ∘ o (1 − tanh² c)`` instead.
    """

    quantities = ("h", "c")

    def __init__(self, layer: nn.RNNBase, x: Tensor, h: Tensor, h0: Tensor, c0: Tensor) -> None:
        super().__init__(layer, x, h, h0)
        raw = (self.from_input + self.from_state).chunk(4, -1)
        i, self.f, o = torch.sigmoid(raw[0]), torch.sigmoid(raw[1]), torch.sigmoid(raw[3])
        g = torch.tanh(raw[2])
        c = [c0]
        for forget, new in zip(self.f.unbind(), (i * g).unbind(), strict=True):
            c.append(forget * c[-1] + new)
        before, tanh_c = torch.stack(c[:-1]), torch.tanh(torch.stack(c[1:]))
        self.c_by_h = o * (1 - tanh_c**2)
        self.by_i, self.by_f = g * i * (1 - i), before * self.f * (1 - self.f)
        self.by_g, self.by_o = i * (1 - g**2), tanh_c * o * (1 - o)

    def pull_back(self, t: int, adjoint: Tensor) -> Tensor:
        """Return ``J_tᵀ λ`` for ``λ = (λ^h, λ^c)``, ``(batch, 2 · width)``."""
        of_h, of_c = adjoint.chunk(2, -1)
        of_c = of_c + of_h * self.c_by_h[t]
        gates = torch.cat([of_c * self.by_i[t], of_c * self.by_f[t], of_c * self.by_g[t], of_h * self.by_o[t]], -1)
        return torch.cat([gates @ self.recurrent, of_c * self.f[t]], -1)


def replay(layer: nn.RNNBase, x: Tensor, h: Tensor, initial: tuple[Tensor, ...] | None = None) -> Replay:
    """Replay the forward pass of a single-layer, one-directional torch module.

    Args:
        layer: an ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU``.
        x: its input, ``(length, batch, d_in)``.
        h: its output, ``(length, batch, width)``.
        initial: the state before the first step, ``(h0,)`` or ``(h0, c0)``, each ``(batch, width)``; default zero.

    Raises:
        ValueError: for several layers or directions, and for projections, whose inner states are not known.
    """
    if layer.num_layers != 1 or layer.bidirectional or layer.proj_size:
        raise ValueError(
            f"{layer}: the replay takes one layer, one direction and no projection; use a stack of single layers"
        )
    kind = {"RNN_TANH": ReplayRNN, "RNN_RELU": ReplayRNN, "GRU": ReplayGRU, "LSTM": ReplayLSTM}[layer.mode]
    start = initial or (torch.zeros_like(h[0]),) * (2 if kind is ReplayLSTM else 1)
    return kind(layer, x, h, *start)


def log_norm(values: Tensor) -> Tensor:
    """Return the natural logarithm of the norm over the last dimension, also where its square would underflow."""
    largest = values.abs().amax(-1)
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    return scale.log() + (values / scale.unsqueeze(-1)).norm(dim=-1).log()


def unit(values: Tensor, log_norms: Tensor) -> Tensor:
    """Divide vectors by their norms; what has norm zero stays zero."""
    alive = torch.where(log_norms.isneginf(), torch.zeros_like(log_norms), log_norms)
    half = torch.exp(-alive / 2).unsqueeze(-1)  # in two halves: one factor could overflow
    return values * half * half


def log_adjoints(steps: Replay, immediate: Tensor) -> dict[str, Tensor]:
    """Return ``ln ‖λ_t‖`` for every step and example.

    Args:
        steps: the replayed layer.
        immediate: the loss's gradient by the layer's output, ``∂⁺L/∂h_t``, ``(length, batch, width)``.

    Returns:
        For each quantity (``h``; of an LSTM also ``c``) a tensor ``(length, batch)``; −inf where the loss does not
        depend on the state.
    """
    length, batch, width = immediate.shape
    seeds = torch.cat([immediate, immediate.new_zeros(length, batch, width * (len(steps.quantities) - 1))], -1)
    seed_logs = log_norm(seeds)
    seeds = unit(seeds, seed_logs)
    seeded = seed_logs.isneginf().logical_not().any(1).tolist()

    seed_logs = seed_logs.double()  # a sum of many logarithms: float32 would lose what the norms still have
    directions, logs = [seeds[-1]], [seed_logs[-1]]
    for t in range(length - 2, -1, -1):
        direction = steps.pull_back(t + 1, directions[-1])
        growth = log_norm(direction)
        direction, log = unit(direction, growth), logs[-1] + growth
        if seeded[t]:
            direction, log = _add(direction, log, seeds[t], seed_logs[t])
        directions.append(direction)
        logs.append(log)
    log = torch.stack(logs[::-1])
    parts = torch.stack(directions[::-1]).split(width, -1)
    return {quantity: log + log_norm(part) for quantity, part in zip(steps.quantities, parts, strict=True)}


def _add(a: Tensor, log_a: Tensor, b: Tensor, log_b: Tensor) -> tuple[Tensor, Tensor]:
    """Add two vectors given as directions and log norms."""
    larger = torch.maximum(log_a, log_b)
    reference = torch.where(larger.isneginf(), torch.zeros_like(larger), larger)
    shares = [(log - reference).exp().to(a.dtype).unsqueeze(-1) for log in (log_a, log_b)]
    total = a * shares[0] + b * shares[1]
    total_log = log_norm(total)
    return unit(total, total_log), reference + total_log
