"""The temporal convolutional network: residual, dilated, causal."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.models.convolutional import dilations
from gradreach.models.encoder import Depth, Encoder, Share, Size, matrix_entries


class Block(nn.Module):
    """Two causal convolutions and a path around them."""

    def __init__(self, d_in: int, width: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.back = dilation * (kernel_size - 1)
        self.first = nn.Conv1d(d_in, width, kernel_size, dilation=dilation)
        self.second = nn.Conv1d(width, width, kernel_size, dilation=dilation)
        self.around = nn.Identity() if d_in == width else nn.Conv1d(d_in, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, d_in, length)`` to ``(batch, width, length)``."""
        y = self.dropout(torch.relu(self.first(F.pad(x, (self.back, 0)))))
        y = self.dropout(torch.relu(self.second(F.pad(y, (self.back, 0)))))
        return torch.relu(self.around(x) + y)


class TCN(Encoder):
    """Levels of ``relu(x + f(x))``, f two dilated causal convolutions; level i looks at every 2^i-th step.

    Source: S. Bai, J. Z. Kolter and V. Koltun, 2018; without their weight normalisation, and with torch's
    initialisation. It sees ``1 + 2 (kernel_size − 1)(2^layers − 1)`` steps. Causal: padding is never seen.

    - ``d_in``: size of one step of the input.
    - ``width``: channels of every convolution.
    - ``layers``: levels of two convolutions each.
    - ``kernel_size``: taps of every convolution.
    - ``dropout``: share of the features set to zero in training, after every convolution.
    """

    causal = True
    residual = True

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 4,
        kernel_size: Size = 3,
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        self.d_out = width
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2**layers - 1)
        sizes = [d_in] + [width] * (layers - 1)
        self.kernels = {"kernel_size": kernel_size}
        self.layers = nn.ModuleList(
            Block(size, width, kernel_size, dilation, dropout)
            for size, dilation in zip(sizes, dilations(2, layers), strict=True)
        )

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last level, ``(batch, length, width)``."""
        x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return x.transpose(1, 2), lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of all convolutions, edges included."""
        return length * matrix_entries(self)
