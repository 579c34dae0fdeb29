"""A recurrent layer, step by step: all states are known, and each step can be run backwards.

A fused layer does not show ``λ_t = dL/ds_t``: its output's own gradient is only the immediate part. But all its
states are known after the forward pass, so the gates of all steps follow in one matrix product, and

    λ_{t-1} = J_tᵀ λ_t + ∂⁺L/∂s_{t-1}

can be run backwards by hand (source: P. J. Werbos, Backpropagation through time, 1990).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gradreach.diagnostics.scaled import Scaled

TINY = torch.finfo(torch.float64).tiny


class Weights(NamedTuple):
    """One direction of one layer of a torch module, with torch's order of gates.

    - ``input``: ``W_ih (gates · width, d_in)``; ``recurrent``: ``W_hh``; biases zero where the module has none.
    - ``projection``: ``W_hr (d_out, width)`` of an LSTM with ``proj_size``, else None.
    """

    input: Tensor
    recurrent: Tensor
    input_bias: Tensor
    recurrent_bias: Tensor
    projection: Tensor | None


class Steps(ABC):
    """The steps of one layer. Time comes first: ``(length, batch, size)``.

    - ``x``: the inputs, ``(length, batch, d_in)``.
    - ``states``: all of them, ``(length, batch, size)``.
    - ``previous``: what each step's weights read of the state before it, ``(length, batch, ...)``.
    - ``parts``: the state's parts and their sizes, ``h`` first; ``size`` is their sum.
    - ``gates``: values between 0 and 1, by name, each ``(length, batch, width)``.
    - ``memory_gate``: the one that weighs the old state, where there is one.
    """

    x: Tensor
    states: Tensor
    previous: Tensor
    parts: dict[str, int]
    gates: dict[str, Tensor]
    memory_gate: str | None = None
    length: int
    batch: int

    @property
    def size(self) -> int:
        """Size of the whole state."""
        return sum(self.parts.values())

    @abstractmethod
    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Take adjoints of state t, ``(..., batch, size)``, one step back.

        Returns:
            ``J_tᵀ λ (..., batch, size)``, and what arrives at the step's preactivations (or, where a layer does not
            show them, at its input), ``(..., batch, inner)``.
        """

    @abstractmethod
    def input_cotangent(self, inner: Tensor) -> Tensor:
        """Return what arrives at the inputs, ``(..., d_in)``, given what arrives at the preactivations."""

    @abstractmethod
    def weight_gradients(self, step: "Step") -> dict[str, Tensor]:
        """Return ``(∂⁺s/∂W)ᵀ λ`` of one step for each of its weights, summed over examples."""

    def jacobian(self, t: int) -> Tensor:
        """Return ``J_t = ∂s_t/∂s_{t-1}``, ``(batch, size, size)``, states ordered as in ``parts``."""
        identity = torch.eye(self.size, dtype=torch.float64, device=self.device)
        rows = identity.unsqueeze(1).expand(-1, self.batch, -1)
        return self.pull_back(t, rows)[0].transpose(0, 1)

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where it is computed."""


class Step(NamedTuple):
    """One step of every example, which need not be the same step of the sequence.

    - ``x (batch, d_in)`` and ``previous (batch, ...)``: what it reads.
    - ``adjoint (batch, size)`` and ``inner (batch, inner)``: what arrives at the state it gives, and inside it.
    """

    x: Tensor
    previous: Tensor
    adjoint: Tensor
    inner: Tensor


class Adjoints(NamedTuple):
    """Total derivatives of the loss with respect to a layer's states.

    - ``state``: ``(length, batch, size)``; ``initial``: by the state before the first step, ``(batch, size)``.
    - ``inner``: what arrives at the preactivations, ``(length, batch, inner)``.
    - ``growth``: ``ln(‖J_tᵀ λ_t‖ / ‖λ_t‖)``, ``(length, batch)``.
    """

    state: Scaled
    initial: Scaled
    inner: Scaled
    growth: Tensor


def adjoints(steps: Steps, immediate: Scaled) -> Adjoints:
    """Run the adjoint recursion.

    Args:
        steps: the layer.
        immediate: the loss's own gradient with respect to each state, ``∂⁺L/∂s_t``, ``(length, batch, size)``.
    """
    seeded = [t for t, some in enumerate((~immediate.log.isneginf()).any(1).tolist()) if some]
    seeds = Scaled(*(part.unbind() for part in immediate))  # type: ignore[arg-type]
    vector, log = seeds.direction[-1], seeds.log[-1]
    stretches, stop = [], steps.length
    for seed in [t for t in reversed(seeded) if t < steps.length - 1] + [-1]:
        stretch, vector, log = _between_seeds(steps, range(stop - 1, seed, -1), Scaled(vector, log))
        stretches.append(stretch)
        if seed >= 0:
            vector, log = Scaled(vector, log) + Scaled(seeds.direction[seed], seeds.log[seed])
        stop = seed + 1
    directions, logs, inner, growth = (
        parts[0] if len(parts) == 1 else torch.cat(parts[::-1]) for parts in map(list, zip(*stretches, strict=True))
    )
    return Adjoints(Scaled(directions, logs), Scaled(vector, log), Scaled(inner, logs), growth)


def _between_seeds(steps: Steps, times: range, start: Scaled) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Go back through steps at which the loss adds no immediate gradient.

    Returns:
        Directions, logarithms, what arrived inside, and growth, each with time running forwards; then what has become
        of the adjoint before the first of the steps, direction and logarithm.
    """
    vector = start.direction
    vectors, inners, sizes = [vector], [], []
    for t in times:
        back, inner = steps.pull_back(t, vector)
        size = back.abs().amax(-1, keepdim=True)
        vector = back / size.clamp_min(TINY)
        inners.append(inner)
        sizes.append(size)
        vectors.append(vector)
    largest = torch.stack(sizes[::-1]).squeeze(-1)
    shrinking = largest.clamp_min(TINY).log().masked_fill_(largest == 0, -math.inf)
    logs = torch.cat([shrinking, start.log.unsqueeze(0)]).flip(0).cumsum(0).flip(0)
    directions = torch.stack(vectors[::-1])
    norms = torch.linalg.vector_norm(directions, dim=-1).log()
    growth = norms[:-1] + shrinking - norms[1:]
    return (directions[1:], logs[1:], torch.stack(inners[::-1]), growth), vector, logs[0]


def in_time(parts: Sequence[Adjoints]) -> Adjoints:
    """Concatenate the adjoints of consecutive segments of a layer's steps."""
    first = parts[0]
    if len(parts) == 1:
        return first
    state, inner = (
        Scaled(torch.cat([one.direction for one in every]), torch.cat([one.log for one in every]))
        for every in ([part.state for part in parts], [part.inner for part in parts])
    )
    return Adjoints(state, first.initial, inner, torch.cat([part.growth for part in parts]))


def parts_of(steps: Steps, state: Scaled) -> dict[str, Scaled]:
    """Split adjoints ``(..., size)`` into those of the state's parts."""
    pieces = state.direction.split(list(steps.parts.values()), -1)
    return {name: Scaled(piece, state.log) for name, piece in zip(steps.parts, pieces, strict=True)}
