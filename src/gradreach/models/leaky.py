"""A recurrent layer whose units forget at constant rates, each its own, which are learned."""

import torch
from torch import Tensor, nn

from gradreach.models.cells import Cell, State
from gradreach.models.initialization import chrono_leak_start, uniform_by_fan_in


class LeakyCell(Cell):
    """A leaky network: what a unit was is kept but for a constant share α.

    ::

        h_t = α ∘ tanh(W_ih x_t + W_hh h_{t-1} + b) + (1 − α) ∘ h_{t-1}          α = σ(a)

    Without input a unit forgets in about 1/α steps. Source: C. Tallec and Y. Ollivier, Can recurrent neural networks
    warp time?, 2018, eq. 5, with an α for each unit, as in their experiments; that α is a sigmoid is ours.

    - ``chrono``: the longest time to bridge, in steps, over which the initial 1/α are spread; None: α is about ½.

    >>> cell = LeakyCell(2, 3, chrono=100)
    >>> cell(torch.zeros(1, 5, 2)).shape, bool((cell.gates(torch.zeros(1, 2), torch.zeros(1, 3))["keep"] >= 0.5).all())
    (torch.Size([1, 5, 3]), True)
    """

    memory_gate = "keep"

    def __init__(self, d_in: int, width: int, chrono: int | None = None) -> None:
        super().__init__()
        self.width = width
        self.weight_ih = nn.Parameter(torch.empty(width, d_in))
        self.weight_hh = nn.Parameter(torch.empty(width, width))
        self.bias = nn.Parameter(torch.empty(width))
        self.leak = nn.Parameter(torch.empty(width))
        uniform_by_fan_in(self, width)
        if chrono is not None:
            chrono_leak_start(self.leak, chrono)

    def prepare(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b``."""
        return x @ self.weight_ih.T + self.bias

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return 1 − α, the same at every step."""
        assert isinstance(state, Tensor)
        return {"keep": (-self.leak).sigmoid().expand_as(state)}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return ``h_t``."""
        assert isinstance(state, Tensor)
        return torch.lerp(state, torch.addmm(prepared, state, self.weight_hh.T).tanh(), self.leak.sigmoid())
