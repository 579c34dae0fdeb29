"""Encode, read out, answer."""

from torch import Tensor, nn

from gradreach.models.encoder import Encoder
from gradreach.models.readout import READOUTS


class SequenceModel(nn.Module):
    """An encoder, a readout and a linear head.

    - ``encoder``: ``(batch, length, d_in) -> (batch, length', d_out)``.
    - ``readout``: a name in ``READOUTS``.
    - ``outputs``: how many numbers the head gives.
    """

    def __init__(self, encoder: Encoder, readout: str, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.readout = READOUTS[readout]
        self.head = nn.Linear(encoder.d_out, outputs)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return ``(batch, outputs)`` for ``x (batch, length, d_in)`` with ``lengths (batch,)`` valid steps."""
        states, lengths = self.encoder(x, lengths)
        return self.head(self.readout(states, lengths))

    @property
    def parameter_count(self) -> int:
        """How many numbers training moves."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def multiply_adds(self, length: int) -> int:
        """Count the multiply-adds for one sequence of this length."""
        return self.encoder.multiply_adds(length) + self.head.weight.numel()
