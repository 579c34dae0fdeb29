"""Mamba: a state-space model whose step size, input and output depend on what it reads."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.models.cells import Cell, State
from gradreach.models.convolutional import short_convolution
from gradreach.models.encoder import Depth, Share, Size
from gradreach.models.initialization import mamba_start
from gradreach.models.recurrent import Recurrent
from gradreach.models.scan import Eigenvalues

CHUNK = 8
"""Steps per chunk, whose states are in memory at once; otherwise only the state before each chunk is kept."""


class SelectiveScan(torch.autograd.Function):
    """``s_t = a_t ∘ s_{t-1} + b_t ⊗ v_t`` and ``y_t = c_tᵀ s_t``, ``a_t = exp(Δ_t A)`` or ``2 exp(Δ_t A) − 1``.

    All states, ``(length, batch, n, d)``, are by far the largest tensor, and a parallel scan would pass over it
    log2(length) times. Here a chunk of steps is computed at once but for the recurrence itself, whose loop autograd
    does not see. On the way back the states of a chunk are computed again, and the adjoint is the same recurrence in
    reverse.
    """

    @staticmethod
    def forward(ctx: Any, step: Tensor, v: Tensor, b: Tensor, c: Tensor, a: Tensor, signed: bool) -> Tensor:
        """Return y ``(batch, length, d)``: Δ and v of that shape, b and c ``(batch, length, n)``, A ``(n, d)``."""
        step, v, b, c = map(_turned, (step, v, b, c))
        state = v.new_zeros(v.shape[1], *a.shape)
        starts, outputs = [], []
        for now, into, to, read in zip(*(part.split(CHUNK) for part in (step, v, b, c)), strict=True):
            starts.append(state)
            states = _chunk(now, into, to, a, signed, state)[1]
            outputs.append(torch.matmul(read.unsqueeze(2), states).squeeze(2))
            state = states[-1].clone()
        ctx.save_for_backward(step, v, b, c, a, torch.stack(starts))
        ctx.signed = signed
        return _turned(torch.cat(outputs))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_y: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient with respect to each argument."""
        step, v, b, c, a, starts = ctx.saved_tensors
        by_a, carried, found = torch.zeros_like(a), torch.zeros_like(starts[0]), []
        parts = [part.split(CHUNK) for part in (step, v, b, c, _turned(by_y))]
        for k in range(len(starts) - 1, -1, -1):
            now, into, to, read, by_output = (part[k] for part in parts)
            decays, states = _chunk(now, into, to, a, ctx.signed, starts[k])
            factors = 2 * decays - 1 if ctx.signed else decays
            adjoints = by_output.unsqueeze(2) * read.unsqueeze(3)
            for adjoint, factor in zip(adjoints.unbind()[::-1], factors.unbind()[::-1], strict=True):
                carried = adjoint.add_(carried) * factor
            by_exponent = decays.mul_(adjoints)
            by_exponent[0] *= starts[k]
            by_exponent[1:] *= states[:-1]
            by_a += (by_exponent * now.unsqueeze(2)).sum((0, 1))
            of_chunk = (
                (by_exponent * a).sum(2),
                (adjoints * to.unsqueeze(3)).sum(2),
                (adjoints * into.unsqueeze(2)).sum(3),
                (states * by_output.unsqueeze(2)).sum(3),
            )
            found.append(of_chunk)
        by_step, by_v, by_b, by_c = (_turned(torch.cat(of_all)) for of_all in zip(*found[::-1], strict=True))
        if ctx.signed:
            by_step, by_a = 2 * by_step, 2 * by_a
        return by_step, by_v, by_b, by_c, by_a, None


def _turned(x: Tensor) -> Tensor:
    """Return ``(batch, length, ...)`` with time first, or the other way round."""
    return x.transpose(0, 1).contiguous()


def _chunk(step: Tensor, v: Tensor, b: Tensor, a: Tensor, signed: bool, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``exp(Δ A)`` and the states of all steps of a chunk, given the state before it."""
    decays = (step.unsqueeze(2) * a).exp_()
    factors = 2 * decays - 1 if signed else decays
    states = b.unsqueeze(3) * v.unsqueeze(2)
    for new, factor in zip(states.unbind(), factors.unbind(), strict=True):
        state = new.addcmul_(factor, state)
    return decays, states


class SelectiveSSM(Cell):
    """The recurrence of Mamba, S6: n states for each of d channels, all apart from each other.

    ::

        [δ_t, b_t, c_t] = W_x u_t                     s_t = exp(Δ_t A) ∘ s_{t-1} + b_t ⊗ (Δ_t ∘ u_t)
        Δ_t = softplus(W_Δ δ_t + b_Δ)                 y_t = c_tᵀ s_t,   A = −exp(a), (n, d)

    Source: A. Gu and T. Dao, Mamba: Linear-time sequence modeling with selective state spaces, 2023, algorithm 2; the
    input has the simplified discretisation of its published code. A state is ``(batch, n · d)``; the step Jacobian is
    diag(exp(Δ_t A)), whose modulus its gate ``keep`` stands for.

    - ``d_in``: channels d.
    - ``states``: n.
    - ``rank``: of the projection that gives the step sizes of all channels.
    - ``eigenvalues``: ``signed``: ``2 exp(Δ A) − 1`` takes the place of ``exp(Δ A)`` (R. Grazzi et al., 2025, §4).
    """

    memory_gate = "keep"
    elementwise = True
    undecayed = ("log_a",)

    def __init__(self, d_in: int, states: int, rank: int, eigenvalues: Eigenvalues = "positive") -> None:
        super().__init__()
        self.width, self.channels, self.states, self.rank = states * d_in, d_in, states, rank
        self.signed = eigenvalues == "signed"
        self.select = nn.Linear(d_in, rank + 2 * states, bias=False)
        self.step_size = nn.Linear(rank, d_in)
        self.log_a = nn.Parameter(torch.empty(states, d_in))
        mamba_start(self.log_a, self.step_size.bias)

    def selected(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Δ, b and c."""
        delta, b, c = self.select(u).split([self.rank, self.states, self.states], -1)
        return F.softplus(self.step_size(delta)), b, c

    def prepare(self, x: Tensor) -> Tensor:
        """Return what the state is multiplied by, and what is added to it."""
        step, b, _ = self.selected(x)
        factor = torch.exp(step.unsqueeze(-2) * -self.log_a.exp())
        factor = 2 * factor - 1 if self.signed else factor
        added = b.unsqueeze(-1) * (step * x).unsqueeze(-2)
        return torch.cat([factor.flatten(-2), added.flatten(-2)], -1)

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return what the old state is weighed by, without its sign."""
        return {"keep": prepared.chunk(2, -1)[0].abs()}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``s_t``."""
        assert isinstance(state, Tensor)
        factor, added = prepared.chunk(2, -1)
        return torch.addcmul(added, factor, state)

    def output(self, x: Tensor, state: State) -> Tensor:
        """Return ``y_t``, ``(batch, d)``."""
        assert isinstance(state, Tensor)
        _, _, c = self.selected(x)
        return torch.matmul(c.unsqueeze(-2), state.unflatten(-1, (self.states, -1))).squeeze(-2)

    def forward(self, x: Tensor) -> Tensor:
        """Return all ``y_t``, ``(batch, length, d)``."""
        step, b, c = self.selected(x)
        wide = torch.promote_types(x.dtype, torch.float32)  # mixed precision adds up no states
        parts = [part.to(wide) for part in (step, step * x, b, c)]
        y: Tensor = SelectiveScan.apply(*parts, -self.log_a.exp(), self.signed)  # type: ignore[no-untyped-call]
        return y


class MambaMixer(nn.Module):
    """``W_out (silu(z) ∘ (S6(u) + D ∘ u))`` with ``[u', z] = W_in x`` and ``u = silu(conv(u'))``.

    Source: as of ``SelectiveSSM``, figure 3.
    """

    def __init__(
        self, d_in: int, width: int, expansion: int, states: int, taps: int, eigenvalues: Eigenvalues = "positive"
    ) -> None:
        super().__init__()
        channels = expansion * width
        self.from_input = nn.Linear(d_in, 2 * channels)
        self.convolution = nn.Conv1d(channels, channels, taps, groups=channels)
        self.recurrence = SelectiveSSM(channels, states, math.ceil(width / 16), eigenvalues)
        self.skip = nn.Parameter(torch.ones(channels))
        self.to_output = nn.Linear(channels, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, length, d_in)`` to ``(batch, length, width)``."""
        u, z = self.from_input(x).chunk(2, -1)
        u = F.silu(short_convolution(u, self.convolution))
        mixed: Tensor = self.to_output(F.silu(z) * torch.addcmul(self.recurrence(u), self.skip, u))
        return mixed


class Mamba(Recurrent):
    """Layers of a selective state-space model; see ``MambaMixer``, ``SelectiveSSM``.

    The published network has a norm before each layer and a path around it: ``model.block=prenorm``, there with
    ``model.block_expansion=0``.

    - ``width``: of what a layer gives, in each direction; ⌈width / 16⌉ numbers make the step sizes.
    - ``expansion``: channels inside a layer, in multiples of ``width``.
    - ``states``: of each channel.
    - ``convolution``: steps that the causal convolution before the recurrence sees.
    - ``eigenvalues``: of a step, in [0, 1] (``positive``) or in [−1, 1] (``signed``).
    """

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        expansion: Size = 2,
        states: Size = 16,
        convolution: Size = 4,
        eigenvalues: Eigenvalues = "positive",
    ) -> None:
        self.inside = (expansion, states, convolution)
        self.eigenvalues: Eigenvalues = eigenvalues
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return MambaMixer(d_in, width, *self.inside, self.eigenvalues)
