"""Our own splits, for data sets without published ones."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated

import numpy as np
from pydantic import Field

from gradreach.errors import ConfigError

Share = Annotated[float, Field(gt=0, lt=1)]
"""Of the examples of one file."""

HoldOut = Annotated[bool, Field(exclude_if=lambda held_out: held_out is True)]
"""Whether validation is kept out of training; what came later and is not used is not part of the identity."""

FOLDS = 10

Fold = Annotated[int | None, Field(ge=0, exclude_if=lambda value: value is None)]
"""Which part of a file is the test; where there are no folds it is not part of the identity."""

Folds = Annotated[int, Field(ge=2, le=1000, exclude_if=lambda value: value == FOLDS)]


def check_shares(shares: Mapping[str, float]) -> None:
    """Refuse shares of one file, by split, that leave nothing for training."""
    if sum(shares.values()) >= 1:
        (first, value), *others = ((f"task.{name}_share", share) for name, share in shares.items())
        rest, hint = "nothing is left for training", "choose shares that sum to less than 1"
        raise ConfigError(first, value, rest, hint, others=dict(others))


def draw_splits(
    labels: np.ndarray,
    keys: Sequence[bytes],
    shares: Mapping[str, float],
    seed: int,
    fold: int | None = None,
    folds: int = FOLDS,
) -> dict[str, np.ndarray]:
    """Draw those splits of a file that have no files of their own: indices by ``train``, ``validation``, ``test``.

    Args:
        labels: the class of each example, ``(n,)``.
        keys: equal for equal examples, ``n`` of them.
        shares: of ``validation`` and ``test``, where they are to be drawn; the rest is ``train``.
        seed: the data seed.
        fold: this one of equal parts is the test, not a share; which parts they are does not depend on it.
        folds: how many equal parts.
    """
    rest, parts = np.arange(len(labels)), dict[str, np.ndarray]()
    if fold is not None:
        equal_parts = grouped_split(labels, keys, [1 / folds] * folds, seed)
        parts["test"] = equal_parts.pop(fold)
        rest = np.concatenate(equal_parts)
    drawn = {name: share for name, share in shares.items() if name not in parts}
    if drawn:
        whole = [2 - sum((1.0, *drawn.values())), *drawn.values()]  # not 1 - sum: a last bit can move an example
        rest, *others = (rest[i] for i in grouped_split(labels[rest], [keys[i] for i in rest.tolist()], whole, seed))
        parts |= zip(drawn, others, strict=True)
    return {"train": rest, **parts}


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


def keys_of_given(whole: Sequence[bytes], given: Sequence[bytes]) -> list[bytes]:
    """Return a key for each example; keys are equal if a model gets the same input.

    Args:
        whole: keys of the examples as their files have them. They set the order of the keys, and so what is drawn: a
            split changes only where what is equal does.
        given: keys of the inputs prepared from them.
    """
    least: dict[bytes, bytes] = {}
    for one, made in zip(whole, given, strict=True):
        least[made] = min(one, least.get(made, one))
    return [least[made] + made for made in given]


def keys_of(x: Iterable[np.ndarray]) -> list[bytes]:
    """Return a key for each example that equals another's where all its values do; −0 equals 0, and NaN equals NaN."""
    return [key(_one_pattern_a_value(row).tobytes()) for row in x]


def _one_pattern_a_value(row: np.ndarray) -> np.ndarray:
    if row.dtype.kind != "f":
        return row
    alike: np.ndarray = np.where(np.isnan(row), row.dtype.type(np.nan), row + row.dtype.type(0))
    return alike


def key(content: bytes | str) -> bytes:
    """Return 16 bytes that stand for a content; hexadecimal, for numpy cuts zero bytes off."""
    content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return blake2b(content, digest_size=16).hexdigest().encode()


def check_train_size(size: int | None, labels: np.ndarray) -> None:
    """Refuse to draw all training examples or more, which is another name for null, or fewer than there are classes."""
    classes = len(np.unique(labels))
    if size is not None and size >= len(labels):
        has = f"there are only {len(labels):,} training examples"
        raise ConfigError("task.train_size", size, has, "choose fewer, or null for all")
    if size is not None and size < classes:
        needs = f"training needs an example of each of its {classes} classes"
        raise ConfigError("task.train_size", size, needs, f"choose {classes} or more")


def draw_some(labels: np.ndarray, size: int | None, seed: int) -> np.ndarray:
    """Draw the indices of this many examples, if possible at least one of each class; None: of all, in order."""
    if size is None or size >= len(labels):
        return np.arange(len(labels))
    order = np.random.default_rng([seed, 1]).permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)
    return np.concatenate([order[np.sort(first)], np.delete(order, first)])[:size]
