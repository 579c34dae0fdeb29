"""Vectors of any magnitude: a direction, and the logarithm of its length.

A gradient of norm 10^-500 is not representable as a float, but its direction and its logarithm are.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BUCKETS = {torch.float64: 200 * math.log(10), torch.float32: 20 * math.log(10)}
"""The range for one pass through autograd; float64 has 308 orders of magnitude on either side of 1, float32 38."""


class Scaled(NamedTuple):
    """Vectors ``direction · exp(log)``.

    - ``direction``: ``(..., size)``; its norm is near 1, or 0.
    - ``log``: ``(...)``, natural logarithm; −inf for the zero vector.
    """

    direction: Tensor
    log: Tensor

    @classmethod
    def of(cls, values: Tensor, log: float = 0.0) -> "Scaled":
        """Scale ``values · exp(log)``."""
        largest = values.abs().amax(-1)
        return cls(values / _nonzero(largest).unsqueeze(-1), largest.log() + log)

    @classmethod
    def zero(cls, like: Tensor) -> "Scaled":
        """Return zero vectors of the shape of ``like (..., size)``."""
        return cls(torch.zeros_like(like, dtype=torch.float64), like.new_full(like.shape[:-1], -math.inf).double())

    def log_norm(self) -> Tensor:
        """Return the natural logarithm of the norms, ``(...)``: exact where their squares would underflow."""
        return self.log + log_norm(self.direction)

    def __add__(self, other: "Scaled") -> "Scaled":  # type: ignore[override]
        """Add vectors; the sum of two tuples is never wanted here."""
        larger = torch.maximum(self.log, other.log)
        reference = larger.masked_fill(larger.isneginf(), 0)
        a, b = ((part.log - reference).exp().unsqueeze(-1) * part.direction for part in (self, other))
        total = Scaled.of(a + b)
        return Scaled(total.direction, total.log + reference)

    def buckets(self, dtype: torch.dtype) -> Iterator[tuple[Tensor, float]]:
        """Cut into parts that numbers of a kind can hold: pairs ``(values, log)`` whose sum this is."""
        bucket = BUCKETS[dtype]
        finite = self.log[self.log.isfinite()]
        top = float(finite.max()) if len(finite) else 0.0
        bottom = float(finite.min()) if len(finite) else 0.0
        for k in range(int((top - bottom) / bucket) + 1):
            reference = top - k * bucket
            here = (self.log <= reference) & (self.log > reference - bucket)
            if k == 0:
                here |= ~self.log.isfinite()  # what is not a number must arrive as such
            scale = (self.log - reference).exp().masked_fill(~here, 0).unsqueeze(-1)
            yield torch.where(here.unsqueeze(-1), self.direction * scale, 0).to(dtype), reference


def log_norm(values: Tensor) -> Tensor:
    """Return the natural logarithm of the norm over the last dimension, also where its square would underflow."""
    largest = values.abs().amax(-1)
    scaled: Tensor = torch.linalg.vector_norm(values / _nonzero(largest).unsqueeze(-1), dim=-1)
    return largest.log() + scaled.clamp_min(1).log()


def _nonzero(largest: Tensor) -> Tensor:
    return largest.masked_fill(largest == 0, 1)
