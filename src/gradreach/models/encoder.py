"""What every encoder does and says of itself."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Maps ``(batch, length, d_in)`` to ``(batch, length', d_out)``.

    A constructor takes ``d_in`` and then keyword-only settings, which its YAML in ``conf/model`` mirrors.

    - ``d_out``: size of each state it gives.
    - ``causal``: whether a state depends on no later input.
    - ``receptive_field``: how many steps of the input a state can depend on; None: all of them.
    """

    d_out: int
    causal: bool
    receptive_field: int | None

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Encode ``x (batch, length, d_in)``; ``lengths (batch,)`` counts valid steps, None: all are valid."""

    @abstractmethod
    def multiply_adds(self, length: int) -> int:
        """Count the multiply-adds for one sequence."""

    def check_length(self, length: int) -> None:
        """Raise a ConfigError where sequences of this length cannot be encoded."""


def valid_steps(lengths: Tensor, length: int) -> Tensor:
    """Return ``(batch, length)``: True where a step is no padding."""
    return torch.arange(length, device=lengths.device) < lengths.unsqueeze(1)
