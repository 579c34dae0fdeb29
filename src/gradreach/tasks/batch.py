"""What flows from a task to a model."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Examples side by side.

    - ``x``: ``(batch, length, channels)`` float, or ``(batch, length)`` token ids; padding is on the right.
    - ``lengths``: ``(batch,)`` number of valid steps, or None where every step is valid.
    - ``target``: ``(batch,)`` class or value, or ``(batch, length)`` class per step.
    """

    x: Tensor
    lengths: Tensor | None
    target: Tensor

    def __len__(self) -> int:
        return self.target.shape[0]

    def take(self, index: Tensor | slice) -> "Batch":
        """Return the examples that stand at an index."""
        lengths = None if self.lengths is None else self.lengths[index]
        return Batch(self.x[index], lengths, self.target[index])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Batch":
        """Move to a device; a dtype changes floating values only."""
        moved = [None if part is None else part.to(device) for part in self]
        if dtype is not None:
            moved = [p.to(dtype) if p is not None and p.is_floating_point() else p for p in moved]
        return Batch(*moved)  # type: ignore[arg-type]


class Batches:
    """Whole tensors, cut into batches by index: no collation of single examples, no worker processes.

    With a seed the order is a new permutation each epoch, which depends on nothing but seed and epoch.

    - ``examples``: all examples of a split.
    - ``batch_size``: the last batch may be smaller.
    - ``seed``: None keeps the order.
    - ``epoch``: set by whoever counts them.
    """

    def __init__(self, examples: Batch, batch_size: int, seed: int | None = None) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self.seed is None:
            for start in range(0, len(self.examples), self.batch_size):
                yield self.examples.take(slice(start, start + self.batch_size))
            return
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.examples), generator=generator)
        for index in order.to(self.examples.x.device).split(self.batch_size):
            yield self.examples.take(index)
