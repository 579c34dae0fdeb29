"""Convolutional networks for sentences: one layer over embedded words, then pooling over the whole sentence."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gradreach.models.convolutional import padding_widths
from gradreach.models.encoder import Encoder, Size, matrix_entries, valid_steps


class NotesCNN(Encoder):
    """The text CNN of the founding notes, §1.2: ``tanh(Conv2d(1, width, [kernel_size, d_in], padding=[1, 0]))``.

    The notes average over the whole sequence after it, which is the readout ``mean``. Their padding of 1 goes with
    their kernel of 3, where it keeps the length; for other kernels it is the padding that keeps the length.

    - ``d_in``: size of one step, the notes' ``embedd_size``.
    - ``width``: how many kernels, the notes' ``num_keynel``.
    - ``kernel_size``: words that a kernel sees; an even one sees one more on the right.
    """

    causal = False

    def __init__(self, d_in: int, *, width: Size = 50, kernel_size: Size = 3) -> None:
        super().__init__()
        self.d_out = width
        self.receptive_field = kernel_size
        self.kernels = {"kernel_size": kernel_size}
        before, after = padding_widths("same", kernel_size)
        self.beyond_end = after
        self.one_more = after - before
        self.conv = nn.Conv2d(1, width, [kernel_size, d_in], stride=1, padding=[before, 0])  # type: ignore[arg-type]

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return ``(batch, length, width)``."""
        if lengths is not None:
            x = x.masked_fill(~valid_steps(lengths, x.shape[1]).unsqueeze(2), 0)
        y = self.conv(F.pad(x, (0, 0, 0, self.one_more)).unsqueeze(1))
        return torch.tanh(y.squeeze(3)).transpose(1, 2), lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of all positions, edges included."""
        return length * matrix_entries(self)


class KimCNN(Encoder):
    """Convolutions of several widths side by side, with ReLU; with the readout ``max`` it is Kim's CNN.

    Source: Y. Kim, Convolutional neural networks for sentence classification, 2014. The zero padding keeps the
    length, so that all widths give as many steps. Dropout and max-norm belong to the head (``head_dropout``,
    ``head_max_norm``).

    - ``d_in``: size of one step.
    - ``width``: kernels of each width.
    - ``kernel_sizes``: the widths, in words; an even one sees one more on the right.
    - ``input_dropout``: share of the numbers of each step that is set to zero in training.
    """

    causal = False

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 100,
        kernel_sizes: Annotated[tuple[Size, ...], Field(min_length=1, max_length=64)] = (3, 4, 5),
        input_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        self.d_out = width * len(kernel_sizes)
        before, after = zip(*(padding_widths("same", size) for size in kernel_sizes), strict=True)
        self.receptive_field = 1 + max(before) + max(after)
        self.beyond_end = max(after)
        self.kernels = {"kernel_sizes": max(kernel_sizes)}
        self.layers = nn.ModuleList(
            nn.Conv1d(d_in, width, size, padding=left) for size, left in zip(kernel_sizes, before, strict=True)
        )
        self.one_more = [right - left for left, right in zip(before, after, strict=True)]
        self.input_dropout = nn.Dropout(input_dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return ``(batch, length, width · number of widths)``."""
        x = self.input_dropout(x).transpose(1, 2)
        if lengths is not None:
            x = x.masked_fill(~valid_steps(lengths, x.shape[2]).unsqueeze(1), 0)
        features = [layer(F.pad(x, (0, more))) for layer, more in zip(self.layers, self.one_more, strict=True)]
        return torch.relu(torch.cat(features, 1)).transpose(1, 2), lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of all positions, edges included."""
        return length * matrix_entries(self)
