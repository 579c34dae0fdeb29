"""Convolutional networks over time."""

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.encoder import Encoder, valid_steps


class CNN(Encoder):
    """A stack of one-dimensional convolutions with ReLU; zero padding keeps the length (``same``).

    Padding of short sequences is set to zero before every layer, so that it cannot be told from the edge.

    - ``d_in``: size of one step of the input.
    - ``width``: channels of every layer.
    - ``layers``: how many.
    - ``kernel_size``: steps that one unit sees of the layer below; an even one sees one more on the right.
    - ``dilation_base``: layer i (from 0) looks at every ``dilation_base**i``-th step; 1 is no dilation.
    """

    causal = False

    def __init__(
        self,
        d_in: int,
        *,
        width: PositiveInt = 32,
        layers: PositiveInt = 4,
        kernel_size: PositiveInt = 3,
        dilation_base: PositiveInt = 2,
    ) -> None:
        super().__init__()
        self.d_out = width
        self.kernel_size = kernel_size
        dilations = [dilation_base**i for i in range(layers)]
        self.receptive_field = 1 + (kernel_size - 1) * sum(dilations)
        sizes = [d_in] + [width] * (layers - 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(size, width, kernel_size, padding="same", dilation=dilation)
            for size, dilation in zip(sizes, dilations, strict=True)
        )

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last layer, ``(batch, length, width)``."""
        x = x.transpose(1, 2)
        valid = None if lengths is None else valid_steps(lengths, x.shape[2]).unsqueeze(1)
        for layer in self.layers:
            x = x if valid is None else x.masked_fill(~valid, 0)
            x = F.relu(layer(x))
        return x.transpose(1, 2), lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of all convolutions, edges included."""
        return length * sum(weight.numel() for weight in self.parameters() if weight.dim() == 3)

    def check_length(self, length: int) -> None:
        """Refuse a kernel that is larger than the input."""
        if self.kernel_size > length:
            raise ConfigError(
                f"kernel_size={self.kernel_size}: larger than the input of {length} steps (seq_len); "
                f"choose 1 to {length}"
            )
