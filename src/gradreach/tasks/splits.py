"""Splits that we make ourselves, where a data set comes without."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Annotated

import numpy as np
from pydantic import Field

from gradreach.errors import ConfigError

Share = Annotated[float, Field(gt=0, lt=1)]
"""Of the examples of one file."""


def check_shares(validation_share: float, test_share: float) -> None:
    """Refuse shares of one file that leave nothing to train on."""
    if validation_share + test_share >= 1:
        raise ConfigError(
            "task.validation_share",
            validation_share,
            "nothing is left to train on",
            "choose shares that sum to less than 1",
            others={"task.test_share": test_share},
        )


def grouped_split(labels: np.ndarray, keys: Sequence[bytes], shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """Draw parts with the same share of every class; equal examples never stand in two parts.

    Args:
        labels: the class of each example, ``(n,)``.
        keys: equal for equal examples, ``n`` of them.
        shares: of each part; they sum to 1.
        seed: the data seed: the one thing, beside labels and keys, on which the parts depend.

    Returns:
        The indices of each part, in random order: files are often sorted by class.
    """
    _, first, group = np.unique(np.array(keys), return_index=True, return_inverse=True)
    classes, generator = labels[first], np.random.default_rng(seed)
    part = np.empty(len(first), dtype=np.int64)
    for label in np.unique(classes):
        members = generator.permutation(np.flatnonzero(classes == label))
        ends = np.maximum(np.round(np.cumsum(shares) * len(members)), 1)  # a class is learned before it is asked for
        part[members] = np.searchsorted(ends, np.arange(len(members)), side="right")
    part_of = part[group]
    return [generator.permutation(np.flatnonzero(part_of == number)) for number in range(len(shares))]


def keys_of(x: Iterable[np.ndarray]) -> list[bytes]:
    """Return a key for each example that equals another's where all its values do; −0 equals 0, and NaN equals NaN."""
    return [key(_one_pattern_a_value(row).tobytes()) for row in x]


def _one_pattern_a_value(row: np.ndarray) -> np.ndarray:
    if row.dtype.kind != "f":
        return row
    alike: np.ndarray = np.where(np.isnan(row), row.dtype.type(np.nan), row + row.dtype.type(0))
    return alike


def key(content: bytes) -> bytes:
    """Return 16 bytes that stand for a content; hexadecimal, for numpy cuts zero bytes off."""
    return blake2b(content, digest_size=16).hexdigest().encode()


def draw_some(labels: np.ndarray, size: int | None, seed: int) -> np.ndarray:
    """Draw the indices of so many examples, at least one of each class as far as that goes; None: of all, in order."""
    if size is None or size >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng([seed, 1]).permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)
    return np.concatenate([order[np.sort(first)], np.delete(order, first)])[:size]
