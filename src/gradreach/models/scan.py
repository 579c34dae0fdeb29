"""Linear recurrences, computed for all steps at once, and the recurrent layers built from them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.models.cells import Cell, State
from gradreach.models.initialization import lru_start

Eigenvalues = Literal["positive", "signed"]
"""Where the eigenvalues of a step's transition lie, of a DeltaNet those of each correction: in [0, 1] or in [−1, 1].

With [0, 1] of every step no linear recurrence solves parity at all lengths. Source: R. Grazzi et al., Unlocking
state-tracking in linear RNNs through negative eigenvalues, 2025, theorem 1.
"""


def scan(a: Tensor, b: Tensor) -> Tensor:
    """Solve ``h_t = a_t ∘ h_{t-1} + b_t`` with ``h_0 = 0`` for all t in ⌈log2 length⌉ parallel passes.

    Without divisions and logarithms it is as exact as the loop for any ``|a| ≤ 1``, zero included.
    Source: W. D. Hillis and G. L. Steele, Data parallel algorithms, 1986.

    Args:
        a: ``(batch or 1, length, size)``, real or complex.
        b: ``(batch, length, size)``.

    Returns:
        h, ``(batch, length, size)``.
    """
    length, shift = b.shape[1], 1
    while shift < length:
        b = torch.cat([b[:, :shift], b[:, shift:] + a[:, shift:] * b[:, :-shift]], 1)
        a = torch.cat([a[:, :shift], a[:, shift:] * a[:, :-shift]], 1)
        shift *= 2
    return b


class MinGRUCell(Cell):
    """``h_t = (1 − β_t) ∘ h_{t-1} + β_t ∘ h̃_t`` with ``β_t = σ(W_z x_t + b_z)``, ``h̃_t = W_h x_t + b_h``.

    Source: L. Feng et al., Were RNNs all we needed?, 2024, §3.1 (without the positivity that their log-space scan
    needs: ours needs no logarithm). The step Jacobian is diag(1 − β_t), whose modulus its gate ``keep`` stands for.

    - ``eigenvalues``: ``positive``: 1 − β is in (0, 1), as published; ``signed``: β is doubled, as Grazzi et al. (2025)
      double that of DeltaNet, so that 1 − β is in (−1, 1) and a state can be turned into its opposite.
    """

    memory_gate = "keep"
    elementwise = True

    def __init__(self, d_in: int, width: int, eigenvalues: Eigenvalues = "positive") -> None:
        super().__init__()
        self.width, self.eigenvalues = width, eigenvalues
        self.from_input = nn.Linear(d_in, 2 * width)

    def prepare(self, x: Tensor) -> Tensor:
        """Return ``1 − β`` and ``β ∘ h̃``."""
        z, candidate = self.from_input(x).chunk(2, -1)
        return self.weighed(z, candidate)

    def weighed(self, z: Tensor, candidate: Tensor) -> Tensor:
        """Return what weighs the old state, and the weighed new one, from the preactivation of the latter's weight."""
        if self.eigenvalues == "signed":
            return torch.cat([torch.tanh(-z / 2), 2 * torch.sigmoid(z) * candidate], -1)  # 1 − 2 σ(z) = tanh(−z / 2)
        return torch.cat([torch.sigmoid(-z), torch.sigmoid(z) * candidate], -1)

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return what the old state is weighed by, without its sign."""
        return {"keep": prepared.chunk(2, -1)[0].abs()}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``h_t``."""
        assert isinstance(state, Tensor)
        keep, new = prepared.chunk(2, -1)
        return torch.addcmul(new, keep, state)

    def forward(self, x: Tensor) -> Tensor:
        """Return all states, by a parallel scan."""
        return scan(*self.prepare(x).chunk(2, -1))


class MinLSTMCell(MinGRUCell):
    """``h_t = f' ∘ h_{t-1} + i' ∘ h̃_t`` with ``f' = f / (f + i)``, ``i' = i / (f + i)``.

    ``f = σ(W_f x_t + b_f)``, ``i = σ(W_i x_t + b_i)``, ``h̃_t = W_h x_t + b_h``.
    Source: L. Feng et al., Were RNNs all we needed?, 2024, §3.2. The step Jacobian is diag(f').

    - ``eigenvalues``: ``signed``: i' is doubled and f' is 1 − i', as in ``MinGRUCell``.
    """

    def __init__(self, d_in: int, width: int, eigenvalues: Eigenvalues = "positive") -> None:
        super().__init__(d_in, width, eigenvalues)
        self.from_input = nn.Linear(d_in, 3 * width)

    def prepare(self, x: Tensor) -> Tensor:
        """Return ``f'`` and ``i' ∘ h̃``."""
        f, i, candidate = self.from_input(x).chunk(3, -1)
        # i / (f + i) = σ(ln i − ln f), also where both underflow
        return self.weighed(F.logsigmoid(i) - F.logsigmoid(f), candidate)


class LinearRecurrence(Cell):
    """The recurrence of an LRU: ``s_t = λ ∘ s_{t-1} + γ ∘ (B x_t)``, complex and diagonal.

    ``λ = exp(−e^ν + i e^θ)`` stays inside the unit circle. The state is kept as real and imaginary part side by side,
    ``(batch, 2 · states)``, so that double precision and gradients need no special care. There is no choice of a range
    for the eigenvalues: they fill the unit disc, −1 included. They do not depend on the input, though, and so solve no
    parity either (Y. Sarrof et al., The expressive capacity of state space models, 2024, theorem 2).
    Source: A. Orvieto et al., Resurrecting recurrent neural networks for long sequences, 2023, §3 and appendix A.

    - ``d_in``: size of one step.
    - ``states``: how many complex numbers the state has; ``width`` is twice that.
    - ``r_min``, ``r_max``: bounds of the initial |λ|, uniform on the ring.
    """

    def __init__(self, d_in: int, states: int, r_min: float = 0.0, r_max: float = 0.99) -> None:
        super().__init__()
        self.states, self.width = states, 2 * states
        self.nu = nn.Parameter(torch.empty(states))
        self.theta = nn.Parameter(torch.empty(states))
        self.log_gamma = nn.Parameter(torch.empty(states))
        self.from_input = nn.Parameter(torch.empty(2 * states, d_in))  # real, then imaginary part of B
        lru_start(self.nu, self.theta, self.log_gamma, self.from_input, r_min, r_max)

    def eigenvalues(self) -> Tensor:
        """Return λ, ``(states,)`` complex."""
        return torch.polar(torch.exp(-torch.exp(self.nu)), torch.exp(self.theta))

    def prepare(self, x: Tensor) -> Tensor:
        """Return ``γ ∘ (B x)``, real and imaginary part."""
        return (x @ self.from_input.T) * self.log_gamma.exp().repeat(2)

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return the next state."""
        assert isinstance(state, Tensor)
        eigenvalues = self.eigenvalues()
        real, imaginary = state.chunk(2, -1)
        rotated = [
            eigenvalues.real * real - eigenvalues.imag * imaginary,
            eigenvalues.imag * real + eigenvalues.real * imaginary,
        ]
        return prepared + torch.cat(rotated, -1)

    def forward(self, x: Tensor) -> Tensor:
        """Return all states ``(batch, length, 2 · states)``, by a parallel scan."""
        new = torch.complex(*self.prepare(x).chunk(2, -1))
        states = scan(self.eigenvalues().expand(1, new.shape[1], -1), new)
        return torch.cat([states.real, states.imag], -1)
