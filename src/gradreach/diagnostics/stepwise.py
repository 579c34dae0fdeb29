"""The interface for every other recurrent layer, which defines a single step."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gradreach.diagnostics.steps import Step, Steps

State = Tensor | tuple[Tensor, ...]


@runtime_checkable
class Stepwise(Protocol):
    """What your own recurrent layer needs to be measured, beside ``forward(x (batch, length, d_in))``.

    Its output at t must be the first part of the state that step t gives, or what ``output`` makes of it, where it
    has a method ``output(x_t, state) -> (batch, d_out)``. Where it has a method ``gates(x_t, state)``, a dictionary of
    tensors ``(batch, width)``, these are measured too; ``memory_gate`` may name the one that weighs the old state.
    Where each number of a state depends on none of the state before but itself, ``elementwise = True`` saves time.

    >>> class Fading(nn.Module):
    ...     def initial_state(self, batch, device, dtype):
    ...         return torch.zeros(batch, 1, device=device, dtype=dtype)
    ...     def step(self, x_t, state):
    ...         return state / 2 + x_t
    ...     def forward(self, x):
    ...         states = [self.initial_state(len(x), x.device, x.dtype)]
    ...         for x_t in x.unbind(1):
    ...             states.append(self.step(x_t, states[-1]))
    ...         return torch.stack(states[1:], 1)
    >>> isinstance(Fading(), Stepwise)
    True
    >>> profile = gradient_profile(Fading(), batch, lambda output, target: output[:, -1, 0])
    >>> round(half_life(profile[profile["quantity"] == "h"]), 6)  # of dL/dh
    1.0
    """

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        """Return the state before the first step: ``(batch, size)``, or a tuple of such with ``h`` first."""

    def step(self, x_t: Tensor, state: State) -> State:
        """Return the next state, given ``x_t (batch, d_in)``."""


class CellSteps(Steps):
    """Steps of such a layer; each is run backwards by autograd, those of an elementwise layer all at once.

    - ``x``: ``(length, batch, d_in)``.

    Raises:
        ValueError: the layer claims to be elementwise but is not.
    """

    def __init__(self, cell: nn.Module, x: Tensor) -> None:
        start = cell.initial_state(x.shape[1], x.device, x.dtype)  # type: ignore[operator]
        self.tuple = isinstance(start, tuple)
        self.template = start if isinstance(start, tuple) else (start,)
        names = ["h", "c"] if len(self.template) == 2 else ["h", *(f"s{i}" for i in range(2, len(self.template) + 1))]
        self.parts = {name: _real(part).shape[-1] for name, part in zip(names, self.template, strict=True)}
        self.length, self.batch = x.shape[:2]
        self.cell, self.x = cell, x
        self.memory_gate = getattr(cell, "memory_gate", None)
        initial = self.flat(start)
        elementwise = getattr(cell, "elementwise", False)
        state, states, self.graphs = initial, [], []
        for x_t in x.unbind():
            if elementwise:
                with torch.no_grad():
                    state = self.flat(cell.step(x_t, self.shaped(state)))  # type: ignore[operator]
            else:
                self.graphs.append(self._graph(x_t, state))
                state = self.graphs[-1][2].detach()
            states.append(state)
        self.states = torch.stack(states)
        self.previous = torch.cat([initial.unsqueeze(0), self.states[:-1]])
        self.gates = self._gates()
        self.slopes = self._slopes() if elementwise else ()

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.states.device

    def flat(self, state: State) -> Tensor:
        """Return a state as one real tensor, ``(batch, size)``."""
        parts = state if isinstance(state, tuple) else (state,)
        return torch.cat([_real(part) for part in parts], -1)

    def shaped(self, flat: Tensor) -> State:
        """Return a state as the layer wants it."""
        pieces = flat.split(list(self.parts.values()), -1)
        parts = tuple(
            torch.view_as_complex(piece.unflatten(-1, (-1, 2))) if part.is_complex() else piece
            for piece, part in zip(pieces, self.template, strict=True)
        )
        return parts if self.tuple else parts[0]

    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``J_tᵀ λ``, and what arrives at the input; of an elementwise layer λ itself in its place."""
        if self.slopes:
            return adjoint * self.slopes[t], adjoint
        return self._pull_back(self.graphs[t], adjoint)

    def _pull_back(self, graph: tuple[Tensor, Tensor, Tensor], adjoint: Tensor) -> tuple[Tensor, Tensor]:
        before, now, after = graph
        # scalar products, as autograd's own argument for cotangents costs the import of sympy
        options: Any = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        with torch.enable_grad():
            pairs = [
                torch.autograd.grad((after * one).sum(), (before, now), **options)
                for one in adjoint.to(after.dtype).reshape(-1, *after.shape)
            ]
        states, inputs = (torch.stack(values).to(adjoint.dtype) for values in zip(*pairs, strict=True))
        return states.reshape(adjoint.shape), inputs.reshape(*adjoint.shape[:-1], -1)

    def input_cotangent(self, inner: Tensor) -> Tensor:
        """Return it unchanged: the inputs are where the steps end; of an elementwise layer take it there."""
        if not self.slopes:
            return inner
        outer: Tensor = self._pull_back(self.all_steps, inner.flatten(0, 1))[1].unflatten(0, inner.shape[:2])
        return outer

    def weight_gradients(self, step: Step) -> dict[str, Tensor]:
        """Return those of the layer's parameters, by their names."""
        weights = dict(self.cell.named_parameters())
        if not weights:  # of a recurrence whose input holds all that is learned
            return {}
        self.cell.requires_grad_()
        with torch.enable_grad():
            after = self.flat(self.cell.step(step.x, self.shaped(step.previous)))  # type: ignore[operator]
            options: Any = {"allow_unused": True, "materialize_grads": True}
            found = torch.autograd.grad((after * step.adjoint.to(after.dtype)).sum(), list(weights.values()), **options)
        self.cell.requires_grad_(False)
        return {name: _real(gradient) for name, gradient in zip(weights, found, strict=True)}

    def _graph(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step: the state before it, its input, and the state after it, tied to both."""
        with torch.enable_grad():
            before, now = state.detach().requires_grad_(), x.detach().requires_grad_()
            return before, now, self.flat(self.cell.step(now, self.shaped(before)))  # type: ignore[operator]

    def _slopes(self) -> tuple[Tensor, ...]:
        """Compute the diagonals of all Jacobians at once: how a step works does not depend on when it is."""
        self.all_steps = self._graph(self.x.flatten(0, 1), self.previous.flatten(0, 1))
        ones = torch.ones_like(self.all_steps[2])
        slopes = self._pull_back(self.all_steps, ones)[0]
        weights = torch.linspace(1, 2, self.size, dtype=ones.dtype, device=ones.device).expand_as(ones)
        if not torch.allclose(self._pull_back(self.all_steps, weights)[0], weights * slopes, equal_nan=True):
            raise ValueError(f"{type(self.cell).__name__} says elementwise = True, but its step mixes the state")
        of_steps: Tensor = slopes.unflatten(0, (self.length, self.batch))
        return of_steps.unbind()

    @torch.no_grad()
    def _gates(self) -> dict[str, Tensor]:
        """Compute the gates of all steps at once: how a step works does not depend on when it is."""
        gates: Any = getattr(self.cell, "gates", None)
        if gates is None:
            return {}
        found = gates(self.x.flatten(0, 1), self.shaped(self.previous.flatten(0, 1)))
        return {name: gate.unflatten(0, (self.length, self.batch)) for name, gate in found.items()}


def is_stepwise(module: nn.Module) -> bool:
    """Whether a layer can be run step by step."""
    return isinstance(module, Stepwise)


def outputs_of(cell: nn.Module, steps: CellSteps, x: Tensor, states: Tensor) -> Tensor:
    """Return what the layer gives out, ``(length, batch, d_out)``, as a function of its input and its flat states."""
    read: Any = getattr(cell, "output", None)
    if read is None:
        return states[..., : steps.parts["h"]]
    return torch.stack([read(now, steps.shaped(s)) for now, s in zip(x.unbind(), states.unbind(), strict=True)])


def _real(part: Tensor) -> Tensor:
    return torch.view_as_real(part).flatten(-2) if part.is_complex() else part
