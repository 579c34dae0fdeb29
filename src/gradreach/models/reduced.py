"""Recurrent layers with one gate less: an LSTM without an input gate, and a GRU without a reset gate."""

import torch
from torch import Tensor, nn

from gradreach.models.cells import Cell, State
from gradreach.models.initialization import forget_bias_start, uniform_by_fan_in


class Reduced(Cell):
    """Base class: parameters named and initialized as in torch's layers, with ``rows`` times the width."""

    rows: int

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight_ih = nn.Parameter(torch.empty(self.rows * width, d_in))
        self.weight_hh = nn.Parameter(torch.empty(self.rows * width, width))
        self.bias_ih = nn.Parameter(torch.empty(self.rows * width))
        self.bias_hh = nn.Parameter(torch.empty(self.rows * width))
        uniform_by_fan_in(self, width)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input parts with all biases."""
        return x @ self.weight_ih.T + (self.bias_ih + self.bias_hh)

    def raw(self, prepared: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Return the preactivations, ``(batch, width)`` each, in the order of the rows."""
        return torch.addmm(prepared, h, self.weight_hh.T).chunk(self.rows, -1)


class CoupledLSTM(Reduced):
    """An LSTM with coupled gates: its input gate is ``1 − f``.

    ::

        f = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)         c_t = f ∘ c_{t-1} + (1 − f) ∘ g
        g = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)      h_t = o ∘ tanh(c_t)
        o = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)

    Source: K. Greff et al., LSTM: A search space odyssey, 2017, where it is called CIFG. Parameters as in ``nn.LSTM``,
    rows in the order f, g, o. The state is ``(h, c)``.

    - ``forget_bias``: initial bias of the forget gate; None: torch's initialization, about 0.
    """

    memory_gate = "f"
    rows = 3

    def __init__(self, d_in: int, width: int, forget_bias: float | None = None) -> None:
        super().__init__(d_in, width)
        if forget_bias is not None:
            forget_bias_start(self.bias_ih, self.bias_hh, slice(width), forget_bias)

    def initial_state(self, batch: int, device: torch.device, dtype: torch.dtype) -> State:
        """Return zeros for h and c."""
        zero = torch.zeros(batch, self.width, device=device, dtype=dtype)
        return zero, zero

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return f and o."""
        f, _, o = self.raw(prepared, state[0])
        return {"f": f.sigmoid(), "o": o.sigmoid()}

    def advance(self, prepared: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Return ``(h_t, c_t)``."""
        h, c = state
        f, g, o = self.raw(prepared, h)
        c = torch.lerp(g.tanh(), c, f.sigmoid())
        return o.sigmoid() * c.tanh(), c


class GRUWithoutReset(Reduced):
    """A GRU whose candidate always sees the whole state.

    ::

        z = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)         h_t = z ∘ h_{t-1} + (1 − z) ∘ n
        n = tanh(W_in x_t + b_in + W_hn h_{t-1} + b_hn)

    Parameters as in ``nn.GRU``, rows in the order z, n.
    """

    memory_gate = "z"
    rows = 2

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return z."""
        assert isinstance(state, Tensor)
        return {"z": self.raw(prepared, state)[0].sigmoid()}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``h_t``."""
        assert isinstance(state, Tensor)
        z, n = self.raw(prepared, state)
        return torch.lerp(n.tanh(), state, z.sigmoid())
