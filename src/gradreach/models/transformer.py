"""The Transformer encoder."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.encoder import Depth, Encoder, Share, Size, matrix_entries, valid_steps


class Transformer(Encoder):
    """Layers of self-attention and a two-layer perceptron (``nn.TransformerEncoderLayer``), normalised before each.

    Source: A. Vaswani et al., Attention is all you need, 2017; normalisation as in R. Xiong et al., 2020. First the
    input is projected to ``width``.

    - ``d_in``: size of one step of the input.
    - ``width``: features of every layer; a multiple of ``heads``.
    - ``layers``: how many.
    - ``heads``: of attention.
    - ``expansion``: units inside the perceptron, in multiples of ``width``.
    - ``position``: ``sinusoidal`` adds the sines and cosines of Vaswani et al., §3.5; ``none``: the order is unknown
      (but for ``causal``).
    - ``causal``: whether a step attends to no later one.
    - ``dropout``: in torch's places.
    """

    receptive_field = None
    width_divisor = "heads"
    residual = True

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 2,
        heads: Size = 4,
        expansion: Size = 4,
        position: Literal["sinusoidal", "none"] = "sinusoidal",
        causal: bool = False,
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            nearest = -(-width // heads) * heads
            raise ConfigError("model.width", width, f"not a multiple of heads={heads}", f"choose {nearest}")
        self.d_out, self.causal, self.position = width, causal, position
        self.project = nn.Linear(d_in, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, expansion * width, dropout, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.normalize = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last layer, ``(batch, length, width)``."""
        x = self.project(x)
        length = x.shape[1]
        if self.position == "sinusoidal":
            x = x + sinusoids(length, x)
        unseen = None
        if lengths is not None:
            x = x.masked_fill(~valid_steps(lengths, length).unsqueeze(2), 0)  # a weight of zero would not hide a NaN
            unseen = ~valid_steps(lengths.clamp(min=1), length)  # attention over nothing would be not a number
        later = None
        if self.causal:
            later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        for layer in self.layers:
            x = layer(x, src_mask=later, src_key_padding_mask=unseen, is_causal=self.causal)
        return self.normalize(x), lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices, and of attention: every step with every step, twice."""
        return length * matrix_entries(self) + len(self.layers) * 2 * length**2 * self.d_out


def sinusoids(length: int, like: Tensor) -> Tensor:
    """Return ``(length, width)``: sines of geometrically falling frequency, and their cosines, alternating."""
    width = like.shape[-1]
    steps = torch.arange(length, dtype=like.dtype, device=like.device).unsqueeze(1)
    pairs = torch.arange(0, width, 2, dtype=like.dtype, device=like.device)
    angles = steps * torch.exp(pairs * (-math.log(10_000) / width))
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]
