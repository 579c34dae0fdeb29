"""What stands before the encoder: token ids or steps of a series become vectors."""

from typing import Literal

from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.initialization import pretrained_start, scaled_start

PADDING_ID = 0
"""The token that stands beyond the end of a text."""

TOKEN_SIZE = 100
"""Size of the vector of a token where no other is chosen."""


class TokenEmbedding(nn.Module):
    """A vector for every token: ``(batch, length)`` ids to ``(batch, length, size)``; padding is the zero vector.

    - ``vocabulary``: ids are below this.
    - ``size``: of a vector.
    - ``frozen``: whether training leaves the vectors as they are.
    - ``pretrained``: what the vectors start from, ``(vocabulary, size)``; None: N(0, std²).
    - ``std``: 1 is what torch does.
    """

    def __init__(
        self, vocabulary: int, size: int, *, frozen: bool = False, pretrained: Tensor | None = None, std: float = 1.0
    ) -> None:
        super().__init__()
        self.d_out = size
        self.vectors = nn.Embedding(vocabulary, size, padding_idx=PADDING_ID)
        if pretrained is None:
            scaled_start(self.vectors, std)
        else:
            pretrained_start(self.vectors, pretrained)
        self.vectors.weight.requires_grad_(not frozen)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, length, size)``."""
        return self.vectors(x)

    def multiply_adds(self, length: int) -> int:
        """Looking up needs none."""
        return 0


class Projection(nn.Linear):
    """A linear map of every step of a series: ``(batch, length, channels)`` to ``(batch, length, size)``."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, size)
        self.d_out = size

    def multiply_adds(self, length: int) -> int:
        """Count those of one sequence."""
        return length * self.weight.numel()


class Bare(nn.Identity):
    """Nothing: the encoder sees the steps of the series as they are."""

    def multiply_adds(self, length: int) -> int:
        """None."""
        return 0


Embedding = TokenEmbedding | Projection | Bare


def make_embedding(
    channels: int,
    vocabulary: int | None,
    size: int | None,
    kind: Literal["trainable", "frozen"] = "trainable",
    pretrained: Tensor | None = None,
    std: float = 1.0,
) -> Embedding:
    """Make what fits an input.

    Args:
        channels: size of one step of a floating input.
        vocabulary: how many tokens there are; None: the input is floating.
        size: of what the encoder sees; None: that of the pretrained vectors, else 100; series stay as they are.
        kind: whether training moves the vectors of tokens.
        pretrained: vectors of the tokens to start from, ``(vocabulary, size)``.
        std: of the start of vectors that are not pretrained.

    Raises:
        ConfigError: ``frozen`` without tokens, or another size than that of the pretrained vectors.
    """
    if vocabulary is None:
        if kind == "frozen":
            raise ConfigError("model.embedding=frozen: this task has no tokens to look up; choose trainable")
        return Bare() if size is None else Projection(channels, size)
    if pretrained is not None:
        given = pretrained.shape[1]
        if size not in (None, given):
            raise ConfigError(
                f"model.embedding_size={size}: the pretrained vectors of this task have size {given}; "
                "choose that or null"
            )
        size = given
    return TokenEmbedding(vocabulary, size or TOKEN_SIZE, frozen=kind == "frozen", pretrained=pretrained, std=std)
