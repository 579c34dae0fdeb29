"""Our own recurrent layers, for which torch has no fused kernel.

A layer is a step function and a loop. What depends on the input alone is computed for all steps at once
(``prepare``); the loop does the rest (``advance``). ``step`` is both, for one step.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from gradreach.models.initialization import indrnn_start, uniform_by_fan_in

State = Tensor | tuple[Tensor, ...]


class Cell(nn.Module, ABC):
    """A recurrent layer: ``(batch, length, d_in)`` to the hidden states ``(batch, length, width)``.

    A state is a tensor ``(batch, size)``, or several of which the hidden state comes first.

    - ``memory_gate``: the gate that weighs the old state, where there is one.
    - ``elementwise``: whether each number of the state depends on none of the state before but itself.
    """

    width: int
    memory_gate: ClassVar[str | None] = None
    elementwise: ClassVar[bool] = False

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        """Return the state before the first step: zero."""
        return torch.zeros(batch, self.width, device=device, dtype=dtype)

    @abstractmethod
    def prepare(self, x: Tensor) -> Tensor:
        """Compute what depends on the input alone: ``(..., d_in)`` to ``(..., size)``."""

    @abstractmethod
    def advance(self, prepared: Tensor, state: State) -> State:
        """Take one step, from the prepared input ``(batch, size)`` and the state before it."""

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return the gates of a step, values from 0 to 1, ``(batch, width)`` each, by name; empty if there are none."""
        return {}

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return the gates of one step from ``x (batch, d_in)`` and the state before it."""
        return self.opened(self.prepare(x), state)

    def step(self, x: Tensor, state: State) -> State:
        """Take one step from ``x (batch, d_in)`` and the state before it."""
        return self.advance(self.prepare(x), state)

    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden states ``(batch, length, width)``."""
        state = self.initial_state(x.shape[0], x.device, x.dtype)
        hidden = []
        for prepared in self.prepare(x).unbind(1):  # not [:, t], whose backward pass takes quadratic time
            state = self.advance(prepared, state)
            hidden.append(state if isinstance(state, Tensor) else state[0])
        return torch.stack(hidden, 1)


class GRUResetBefore(Cell):
    """A GRU that resets the state before the matrix product, as first published.

    ::

        r = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)
        z = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
        n = tanh(W_in x_t + b_in + W_hn (r ∘ h_{t-1}) + b_hn)
        h_t = z ∘ h_{t-1} + (1 − z) ∘ n

    Source: K. Cho et al., 2014, eq. 5 to 8. Parameters as in ``nn.GRU``, rows in the order r, z, n.
    """

    memory_gate = "z"

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight_ih = nn.Parameter(torch.empty(3 * width, d_in))
        self.weight_hh = nn.Parameter(torch.empty(3 * width, width))
        self.bias_ih = nn.Parameter(torch.empty(3 * width))
        self.bias_hh = nn.Parameter(torch.empty(3 * width))
        uniform_by_fan_in(self, width)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the three input parts with all biases."""
        return x @ self.weight_ih.T + (self.bias_ih + self.bias_hh)

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return r and z."""
        assert isinstance(state, Tensor)
        of_gates, _ = prepared.split([2 * self.width, self.width], -1)
        w_gates, _ = self.weight_hh.split([2 * self.width, self.width])
        r, z = torch.addmm(of_gates, state, w_gates.T).sigmoid().chunk(2, -1)
        return {"r": r, "z": z}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``h_t``."""
        assert isinstance(state, Tensor)
        r, z = self.opened(prepared, state).values()
        _, of_candidate = prepared.split([2 * self.width, self.width], -1)
        _, w_candidate = self.weight_hh.split([2 * self.width, self.width])
        n = torch.addmm(of_candidate, r * state, w_candidate.T).tanh()
        return torch.lerp(n, state, z)


class NotesCell(Cell):
    """A cell of the founding notes. Their formulas mix input and state, so the two must have one size.

    Where they have not, the input first goes through a linear map without bias, as a word through its embedding;
    that is what ``x`` stands for then.
    """

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Identity() if d_in == width else nn.Linear(d_in, width, bias=False)


class GatedTanh(NotesCell):
    """The simplified cell of the founding notes, §4.2: ``s_j = tanh(f ∘ s_{j-1} + i ∘ x_j)``.

    The notes do not say what the gates are here; they are taken from the LSTM of §3:
    ``f = σ(W_xf x_j + W_sf s_{j-1} + b_f)``, ``i = σ(W_xi x_j + W_si s_{j-1} + b_i)``.
    """

    memory_gate = "f"

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__(d_in, width)
        self.weight_x = nn.Parameter(torch.empty(2 * width, width))
        self.weight_s = nn.Parameter(torch.empty(2 * width, width))
        self.bias = nn.Parameter(torch.empty(2 * width))
        uniform_by_fan_in(self, width)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input part of f and i, and the input."""
        x = self.embed(x)
        return torch.cat([x @ self.weight_x.T + self.bias, x], -1)

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return f and i."""
        assert isinstance(state, Tensor)
        of_gates, _ = prepared.split([2 * self.width, self.width], -1)
        f, i = torch.addmm(of_gates, state, self.weight_s.T).sigmoid().chunk(2, -1)
        return {"f": f, "i": i}

    def gates(self, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return f, i, and the notes' factor of one step: ``∂s_j/∂s_{j-1} = tanh'·f = (1 − s_j²) ∘ f``, gates fixed."""
        found = super().gates(x, state)
        after = self.step(x, state)
        assert isinstance(after, Tensor)
        return found | {"notes": (1 - after**2) * found["f"]}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``s_j``."""
        assert isinstance(state, Tensor)
        f, i = self.opened(prepared, state).values()
        _, x = prepared.split([2 * self.width, self.width], -1)
        return torch.tanh(f * state + i * x)


class LSTMAsPrinted(NotesCell):
    """The LSTM exactly as the founding notes print it (§3): the candidate uses ``W_xz`` for the input and the state.

    ::

        c_j = f ∘ c_{j-1} + i ∘ z          i = σ(W_xi x_j + W_hi h_{j-1} + b_i)
        h_j = o ∘ tanh(c_j)                f = σ(W_xf x_j + W_hf h_{j-1} + b_f)
                                           o = σ(W_xo x_j + W_ho h_{j-1} + b_o)
        z = tanh(W_xz x_j + W_xz h_{j-1} + b_z) = tanh(W_xz (x_j + h_{j-1}) + b_z)

    That is not an LSTM: its candidate cannot weigh input and state separately. The state is ``(h, c)``.
    """

    memory_gate = "f"

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__(d_in, width)
        self.weight_x = nn.Parameter(torch.empty(4 * width, width))
        self.weight_h = nn.Parameter(torch.empty(3 * width, width))
        self.bias = nn.Parameter(torch.empty(4 * width))
        uniform_by_fan_in(self, width)

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        """Return zeros for h and c."""
        zero = torch.zeros(batch, self.width, device=device, dtype=dtype)
        return zero, zero

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input parts of i, f, o, z."""
        embedded: Tensor = self.embed(x)
        return embedded @ self.weight_x.T + self.bias

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return i, f and o."""
        i, f, o = torch.addmm(prepared[:, : 3 * self.width], state[0], self.weight_h.T).sigmoid().chunk(3, -1)
        return {"i": i, "f": f, "o": o}

    def advance(self, prepared: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Return ``(h_j, c_j)``."""
        h, c = state
        i, f, o = self.opened(prepared, state).values()
        size = 3 * self.width
        z = torch.addmm(prepared[:, size:], h, self.weight_x[size:].T).tanh()
        c = torch.addcmul(f * c, i, z)
        return o * c.tanh(), c


class GRUAsPrinted(NotesCell):
    """The GRU exactly as the founding notes print it (§5): it keeps ``x_{j-1}`` where the state belongs.

    ::

        s_j = (1 − z) ∘ x_{j-1} + z ∘ s̃_j                  z = σ(W_xz x_j + W_sz s_{j-1})
        s̃_j = tanh(W_x x_j + W_xg (r ∘ s_{j-1}))           r = σ(W_xr x_j + W_sr s_{j-1})

    That is not a GRU: no part of the state is passed on unchanged, so it is remembered only through tanh and gates.
    There are no biases in print, so there are none here; ``x_0 = 0``; the state is ``(s_j, x_j)``.
    """

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__(d_in, width)
        self.weight_x = nn.Parameter(torch.empty(3 * width, width))
        self.weight_s = nn.Parameter(torch.empty(3 * width, width))
        uniform_by_fan_in(self, width)

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        """Return zeros for s and x."""
        zero = torch.zeros(batch, self.width, device=device, dtype=dtype)
        return zero, zero

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input parts of z, r, s̃, and the input."""
        x = self.embed(x)
        return torch.cat([x @ self.weight_x.T, x], -1)

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return z and r."""
        size = 2 * self.width
        z, r = torch.addmm(prepared[:, :size], state[0], self.weight_s[:size].T).sigmoid().chunk(2, -1)
        return {"z": z, "r": r}

    def advance(self, prepared: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Return ``(s_j, x_j)``."""
        s, x_before = state
        z, r = self.opened(prepared, state).values()
        of_candidate, x = prepared[:, 2 * self.width :].chunk(2, -1)
        candidate = torch.addmm(of_candidate, r * s, self.weight_s[2 * self.width :].T).tanh()
        return torch.lerp(x_before, candidate, z), x


class IndRNNCell(Cell):
    """Every unit is connected only to itself: ``h_t = f(W x_t + b + u ∘ h_{t-1})``.

    Source: S. Li et al., Independently recurrent neural network, 2018, eq. 2; u is drawn from U(0, 1) as there, W and b
    as torch's linear layers.

    - ``nonlinearity``: f, ``relu`` or ``tanh``.
    """

    elementwise = True

    def __init__(self, d_in: int, width: int, nonlinearity: str = "relu") -> None:
        super().__init__()
        self.width = width
        self.nonlinearity = nonlinearity
        self.from_input = nn.Linear(d_in, width)
        self.recurrent = nn.Parameter(torch.empty(width))
        indrnn_start(self.recurrent)

    def prepare(self, x: Tensor) -> Tensor:
        """Return ``W x + b``."""
        prepared: Tensor = self.from_input(x)
        return prepared

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``h_t``."""
        assert isinstance(state, Tensor)
        raw = torch.addcmul(prepared, self.recurrent, state)
        return raw.relu() if self.nonlinearity == "relu" else raw.tanh()
