"""Embeddings: token ids or steps of a series become vectors before the encoder."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.initialization import pretrained_start, scaled_start

PADDING_ID = 0
"""The padding token, beyond the end of a text."""

TOKEN_SIZE = 100
"""Default size of a token's vector."""

BUCKETS = 100_003
"""Vectors that all runs of one length share. A prime, so that ids which differ by a round number do not meet."""

HASH_FACTOR = 116_049_371
"""What fastText multiplies by from one token to the next."""


class NGramEmbedding(nn.Module):
    """A vector for every run of 2 … n tokens, shared by those whose hashes are equal.

    Source: A. Joulin et al., Bag of tricks for efficient text classification, 2016, after whose hash this is.

    - ``longest``: n.
    - ``size``: of a vector.
    - ``std``: vectors are initialized from N(0, std²).
    """

    def __init__(self, longest: int, size: int, *, std: float = 1.0) -> None:
        super().__init__()
        self.longest = longest
        self.vectors = nn.ModuleList(nn.Embedding(1 + BUCKETS, size, padding_idx=0) for _ in range(longest - 1))
        for vectors in self.vectors:
            scaled_start(vectors, std)  # type: ignore[arg-type]

    def forward(self, ids: Tensor) -> Tensor:
        """Return, for ids ``(batch, length)``, the sum over the runs that end at each step: ``(batch, length, size)``.

        A run that would begin before the text, or holds padding, is the zero vector.
        """
        ids = ids.long()  # whose hashes wrap at 64 bits, whatever they came as
        hashed, whole, found = ids, ids != PADDING_ID, []
        for before, vectors in enumerate(self.vectors, start=1):
            earlier = F.pad(ids, (before, 0))[:, : ids.shape[1]]
            hashed = hashed * HASH_FACTOR + earlier
            whole = whole & (earlier != PADDING_ID)
            found.append(vectors((1 + hashed % BUCKETS).masked_fill(~whole, 0)))
        return torch.stack(found).sum(0)


class TokenEmbedding(nn.Module):
    """A vector for every token: ``(batch, length)`` ids to ``(batch, length, size)``; padding is the zero vector.

    With n-grams a step holds the sum of its token's vector and of those of the runs of tokens that end there.

    - ``vocabulary``: ids are below this.
    - ``size``: of a vector.
    - ``frozen``: whether training leaves the vectors as they are.
    - ``pretrained``: the initial vectors, ``(vocabulary, size)``; None: N(0, std²).
    - ``std``: of the initial vectors; torch's default is 1.
    - ``ngrams``: how many tokens the longest run has; 1: tokens alone.
    """

    def __init__(
        self,
        vocabulary: int,
        size: int,
        *,
        frozen: bool = False,
        pretrained: Tensor | None = None,
        std: float = 1.0,
        ngrams: int = 1,
    ) -> None:
        super().__init__()
        self.d_out = size
        self.vectors = nn.Embedding(vocabulary, size, padding_idx=PADDING_ID)
        if pretrained is None:
            scaled_start(self.vectors, std)
        else:
            pretrained_start(self.vectors, pretrained)
        self.vectors.weight.requires_grad_(not frozen)
        self.ngrams = NGramEmbedding(ngrams, size, std=std) if ngrams > 1 else None

    @property
    def steps(self) -> int:
        """How many tokens the vector at a step depends on: its own, and those before it."""
        return 1 if self.ngrams is None else self.ngrams.longest

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, length, size)``."""
        vectors: Tensor = self.vectors(x)
        return vectors if self.ngrams is None else vectors + self.ngrams(x)

    def multiply_adds(self, length: int) -> int:
        """A lookup needs no multiply-adds."""
        return 0


class Projection(nn.Linear):
    """A linear map of every step of a series: ``(batch, length, channels)`` to ``(batch, length, size)``."""

    steps = 1

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(channels, size)
        self.d_out = size

    def multiply_adds(self, length: int) -> int:
        """Count those of one sequence."""
        return length * self.weight.numel()


class Bare(nn.Identity):
    """The identity: the encoder sees the steps of the series unchanged."""

    steps = 1

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
    ngrams: int = 1,
) -> Embedding:
    """Build the embedding for an input.

    Args:
        channels: size of one step of a floating input.
        vocabulary: how many tokens there are; None: the input is floating.
        size: of what the encoder sees; None: that of the pretrained vectors, else 100; series stay as they are.
        kind: whether training moves the vectors of tokens.
        pretrained: initial vectors of the tokens, ``(vocabulary, size)``.
        std: initial standard deviation of vectors that are not pretrained.
        ngrams: how many tokens the longest run has that gets a vector of its own; 1: tokens alone.

    Raises:
        ConfigError: ``frozen`` or n-grams without tokens, or another size than that of the pretrained vectors.
    """
    if vocabulary is None:
        if ngrams > 1:
            without = "this task has no tokens to form n-grams"
            raise ConfigError("model.embedding_ngrams", ngrams, without, "choose 1")
        if kind == "frozen":
            without = "this task has no tokens to look up"
            raise ConfigError("model.embedding", "frozen", without, "choose trainable")
        return Bare() if size is None else Projection(channels, size)
    if pretrained is not None:
        given = pretrained.shape[1]
        if size not in (None, given):
            other = f"the pretrained vectors of this task have size {given}"
            raise ConfigError("model.embedding_size", size, other, "choose that size or null")
        size = given
    return TokenEmbedding(
        vocabulary, size or TOKEN_SIZE, frozen=kind == "frozen", pretrained=pretrained, std=std, ngrams=ngrams
    )
