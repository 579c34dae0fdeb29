"""Steps of torch's own recurrent layers: the closed forms of their Jacobians, applied from the left."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradreach.diagnostics.steps import Step, Steps, Weights


class TorchSteps(Steps):
    """Base class: all preactivations from known states, in one matrix product.

    - ``x``: ``(length, batch, d_in)``; ``h``: the states that the layer gave; ``initial``: those before the first.
    """

    def __init__(self, weights: Weights, x: Tensor, h: Tensor, initial: tuple[Tensor, ...]) -> None:
        self.weights, self.x, self.states, self.initial = weights, x, h, initial
        self.length, self.batch, width = h.shape
        self.parts = {"h": width}
        self.gates = {}
        self.previous = torch.cat([initial[0].unsqueeze(0), h[:-1]])
        self.recurrent = weights.recurrent

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.states.device

    def followed_by(self, others: Sequence["TorchSteps"]) -> "TorchSteps":
        """Return the steps of a layer that was called again and again, each time from the state before."""
        every = [self, *others]
        h = torch.cat([one.states[..., : one.parts["h"]] for one in every])
        return type(self)(self.weights, torch.cat([one.x for one in every]), h, self.initial)

    def from_input(self) -> Tensor:
        """Return ``W_ih x + b_ih``."""
        return _affine(self.x, self.weights.input, self.weights.input_bias)

    def from_state(self) -> Tensor:
        """Return ``W_hh h' + b_hh``."""
        return _affine(self.previous, self.recurrent, self.weights.recurrent_bias)

    def input_part(self, inner: Tensor) -> Tensor:
        """Return the derivatives by ``W_ih x + b_ih``."""
        return inner

    def state_part(self, inner: Tensor) -> Tensor:
        """Return the derivatives by ``W_hh h' + b_hh``."""
        return inner

    def input_cotangent(self, inner: Tensor) -> Tensor:
        """Return ``W_ihᵀ δ``."""
        return self.input_part(inner) @ self.weights.input

    def weight_gradients(self, step: Step) -> dict[str, Tensor]:
        """Return those of ``W_x`` (torch's ``weight_ih``) and ``W_s`` (``weight_hh``)."""
        return {"W_x": self.input_part(step.inner).T @ step.x, "W_s": self.state_part(step.inner).T @ step.previous}


class RNNSteps(TorchSteps):
    """``J = diag(f') W_hh`` with ``f' = 1 − h²`` for tanh and ``h > 0`` for ReLU."""

    def __init__(self, weights: Weights, x: Tensor, h: Tensor, initial: tuple[Tensor, ...], relu: bool = False) -> None:
        super().__init__(weights, x, h, initial)
        self.relu = relu
        slope = (h > 0).to(h.dtype) if relu else 1 - h**2
        self.slopes = slope.unbind()

    def followed_by(self, others: Sequence[TorchSteps]) -> TorchSteps:
        """Return the steps of a layer that was called again and again."""
        whole = super().followed_by(others)
        return RNNSteps(self.weights, whole.x, whole.states, self.initial, self.relu)

    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``J_tᵀ λ`` and ``δ``."""
        inner = adjoint * self.slopes[t]
        return inner @ self.recurrent, inner


class GRUSteps(TorchSteps):
    """``h = z ∘ h' + (1 − z) ∘ n``, ``n = tanh(W_in x + r ∘ u)``, ``u = W_hn h' + b_hn``: the form of torch.

    ``J = diag(z) + diag((h'−n) z(1−z)) W_hz + diag((1−z)(1−n²)) [diag(r) W_hn + diag(u r(1−r)) W_hr]``.
    """

    memory_gate = "z"

    def __init__(self, weights: Weights, x: Tensor, h: Tensor, initial: tuple[Tensor, ...]) -> None:
        super().__init__(weights, x, h, initial)
        (xr, xz, xn), (hr, hz, u) = self.from_input().chunk(3, -1), self.from_state().chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * u)
        self.gates = {"r": r, "z": z}
        slope = (1 - z) * (1 - n**2)
        self.z = z.unbind()
        by_gate = torch.stack([slope * u * r * (1 - r), (self.previous - n) * z * (1 - z), slope * r], -2)
        self.by_gate, self.slope = by_gate.unbind(), slope.unbind()

    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``J_tᵀ λ`` and ``δ``, the latter with both faces of the candidate: ``r, z, W_hn h', W_in x``."""
        gates = (adjoint.unsqueeze(-2) * self.by_gate[t]).flatten(-2)
        return adjoint * self.z[t] + gates @ self.recurrent, torch.cat([gates, adjoint * self.slope[t]], -1)

    def input_part(self, inner: Tensor) -> Tensor:
        """Return the derivatives by ``W_ih x + b_ih``: on this side the candidate is not reset."""
        r, z, _, n = inner.chunk(4, -1)
        return torch.cat([r, z, n], -1)

    def state_part(self, inner: Tensor) -> Tensor:
        """Return the derivatives by ``W_hh h' + b_hh``."""
        return inner[..., : self.recurrent.shape[0]]


class LSTMSteps(TorchSteps):
    """The state is ``(h, c)``, its halves taken as independent: ``λ^c`` is the part that reaches ``c_t`` directly.

    What ``c.retain_grad()`` gives on unrolled cells is ``λ^c + λ^h ∘ o (1 − tanh² c)`` instead. With
    ``A = diag(c' f(1−f)) U_f + diag(g i(1−i)) U_i + diag(i(1−g²)) U_g``,
    ``J = [[diag(o(1−tanh²c)) A + diag(tanh c · o(1−o)) U_o, diag(o(1−tanh²c) f)], [A, diag(f)]]``.
    """

    memory_gate = "f"

    def __init__(self, weights: Weights, x: Tensor, h: Tensor, initial: tuple[Tensor, ...]) -> None:
        super().__init__(weights, x, h, initial)
        width = initial[1].shape[-1]
        self.parts = {"h": h.shape[-1], "c": width}
        self.sizes = [h.shape[-1], width]
        # in place wherever it can be: what costs time here is memory touched for the first time
        raw = _affine(x, weights.input, weights.input_bias + weights.recurrent_bias)
        raw.flatten(0, 1).addmm_(self.previous.flatten(0, 1), self.recurrent.T)
        raw = raw.view(self.length, self.batch, 4, width)
        g = raw[..., 2, :].tanh()
        i, f, _, o = raw.sigmoid_().unbind(-2)
        self.gates = {"i": i, "f": f, "o": o}
        by_gate = (1 - raw).mul_(raw)
        new, cells = i * g, initial[1].new_empty(self.length + 1, self.batch, width)
        cells[0] = initial[1]
        every = cells.unbind()
        for before, after, forget, added in zip(every, every[1:], f.unbind(), new.unbind(), strict=False):
            torch.addcmul(added, forget, before, out=after)
        self.states, self.tanh_c = torch.cat([h, cells[1:]], -1), cells[1:].tanh()
        self.gates["notes"] = torch.addcmul(f, f, self.tanh_c.square(), value=-1)  # tanh'(c) · f, of the founding notes
        by_gate[..., 0, :] *= g
        by_gate[..., 1, :] *= cells[:-1]
        by_gate[..., 2, :] = g.square_().neg_().add_(1).mul_(i)
        by_gate[..., 3, :] *= self.tanh_c
        self.by_gate, self.f = by_gate.unbind(), f.unbind()
        self.c_by_h = self.tanh_c.square().neg_().add_(1).mul_(o).unbind()

    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``J_tᵀ λ`` for ``λ = (λ^h, λ^c)``, and ``δ``."""
        of_h, of_c = adjoint.split_with_sizes(self.sizes, -1)
        if self.weights.projection is not None:
            of_h = of_h @ self.weights.projection
        of_c = torch.addcmul(of_c, of_h, self.c_by_h[t])
        gates = torch.stack([of_c, of_c, of_c, of_h], -2).mul_(self.by_gate[t]).flatten(-2)
        return torch.cat([gates @ self.recurrent, of_c * self.f[t]], -1), gates

    def through_h(self, t: int, of_h: Tensor) -> Tensor:
        """Return what of an adjoint of ``h_t`` reaches ``c_t``, the output gate held fixed."""
        if self.weights.projection is not None:
            of_h = of_h @ self.weights.projection
        return of_h * self.c_by_h[t]


def _affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    of_steps: Tensor = torch.addmm(bias, x.flatten(0, 1), weight.T).unflatten(0, x.shape[:2])
    return of_steps
