"""What flows from a task to a model."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -100
"""Marks a step that has no target, where every step has one."""
EVALUATION_BATCH = 512
"""Examples per batch of validation and test."""
BUCKET = 50
"""Batches that are sorted by length together: more of them save padding, but shuffle less."""
STEPS = 8
"""A cut batch keeps a multiple of this many steps: fewer different shapes."""


class Batch(NamedTuple):
    """A batch of examples.

    - ``x``: ``(batch, length, channels)`` float, or ``(batch, length)`` token ids; padding is on the right.
    - ``lengths``: ``(batch,)`` number of valid steps, or None where every step is valid.
    - ``target``: ``(batch,)`` class or value, or ``(batch, length)`` class per step.

    >>> batch = Batch(torch.randn(3, 10, 1), torch.tensor([10, 4, 2]), torch.tensor([0, 1, 0]))
    >>> len(batch), batch.take(slice(1, 3)).cut().x.shape  # two, without the padding that both have
    (3, torch.Size([2, 8, 1]))
    """

    x: Tensor
    lengths: Tensor | None
    target: Tensor

    def __len__(self) -> int:
        return self.target.shape[0]

    def take(self, index: Tensor | slice) -> "Batch":
        """Return the examples at an index, token ids as int64 whatever their stored type."""
        x, lengths = self.x[index], None if self.lengths is None else self.lengths[index]
        return Batch(x if x.is_floating_point() else x.long(), lengths, self.target[index])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Batch":
        """Move to a device; a dtype changes floating values only."""
        moved = [None if part is None else part.to(device) for part in self]
        if dtype is not None:
            moved = [p.to(dtype) if p is not None and p.is_floating_point() else p for p in moved]
        return Batch(*moved)  # type: ignore[arg-type]

    def cut(self, shortest: int = 1) -> "Batch":
        """Return the batch without steps that are padding in all its examples, but ``shortest`` steps at least."""
        if self.lengths is None or len(self) == 0:
            return self
        steps = max(-(-int(self.lengths.max()) // STEPS) * STEPS, shortest)
        target = self.target[:, :steps] if self.target.dim() == 2 else self.target
        return Batch(self.x[:, :steps], self.lengths, target)


def labelled_steps(target: Tensor) -> Tensor | None:
    """Return the steps at which each example has a target: ``(batch, length) -> (batch, k)``; None: all steps have one.

    ``k`` is the largest number of them; examples with fewer are filled up with steps that have none.

    >>> labelled_steps(torch.tensor([[IGNORED, 4, IGNORED, 7], [3, IGNORED, IGNORED, IGNORED]]))
    tensor([[1, 3],
            [0, 1]])
    """
    without = target == IGNORED
    if bool((without == without[:1]).all()):  # the usual case, and faster
        steps = (~without[0]).nonzero().squeeze(1)
        return None if len(steps) == target.shape[1] else steps.expand(len(target), -1)
    most = target.shape[1] - int(without.sum(1).min())
    return without.to(torch.uint8).argsort(dim=1, stable=True)[:, :most]


class Batches:
    """Whole tensors, cut into batches by index: no collation of single examples, no worker processes.

    With a seed the order is a new permutation each epoch, which depends on nothing but seed and epoch. Padded
    sequences of similar length then come together, and padding that all sequences of a batch share is cut off.

    - ``examples``: all examples of a split.
    - ``batch_size``: the last batch may be smaller.
    - ``seed``: None keeps the order.
    - ``shortest``: the fewest steps that a batch is cut to; None never cuts.
    - ``epoch``: which permutation, from 0; see ``set_epoch``.

    >>> examples = Batch(torch.arange(5.0).view(5, 1, 1), None, torch.arange(5))
    >>> [batch.target.tolist() for batch in Batches(examples, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, examples: Batch, batch_size: int, seed: int | None = None, shortest: int | None = None) -> None:
        self.examples = examples
        self.batch_size = batch_size
        self.seed = seed
        self.shortest = shortest
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Set the next epoch, from 0: an iterator draws its order when its first batch is requested."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        for index in self._indices():
            batch = self.examples.take(index)
            yield batch if self.shortest is None else batch.cut(self.shortest)

    def _indices(self) -> Iterator[Tensor | slice]:
        if self.seed is None:
            yield from (slice(at, at + self.batch_size) for at in range(0, len(self.examples), self.batch_size))
            return
        order, generator = shuffled(len(self.examples), self.seed, self.epoch)
        batches = list(order.split(self.batch_size))
        if self.examples.lengths is not None and self.shortest is not None:
            lengths = self.examples.lengths.cpu()
            buckets = order.split(self.batch_size * BUCKET)
            ordered = torch.cat([bucket[lengths[bucket].argsort(stable=True)] for bucket in buckets])
            batches = list(ordered.split(self.batch_size))
            batches = [batches[i] for i in torch.randperm(len(batches), generator=generator)]
        yield from (index.to(self.examples.x.device) for index in batches)


class OneLength(Batches):
    """Batches of one length each, without padding, of examples sorted by length.

    >>> examples = Batch(torch.zeros(3, 2, 1), torch.tensor([1, 1, 2]), torch.arange(3))
    >>> [(batch.x.shape[1], batch.lengths, batch.target.tolist()) for batch in OneLength(examples, batch_size=9)]
    [(1, None, [0, 1]), (2, None, [2])]
    """

    def __len__(self) -> int:
        return len(list(self._indices()))

    def __iter__(self) -> Iterator[Batch]:
        for index in self._indices():
            batch = self.examples.take(index)
            assert batch.lengths is not None
            steps = int(batch.lengths[0])
            target = batch.target[:, :steps] if batch.target.dim() == 2 else batch.target
            yield Batch(batch.x[:, :steps], None, target)

    def _indices(self) -> Iterator[slice]:
        assert self.examples.lengths is not None
        end = 0
        for count in self.examples.lengths.unique_consecutive(return_counts=True)[1].tolist():
            start, end = end, end + count
            yield from (slice(at, min(at + self.batch_size, end)) for at in range(start, end, self.batch_size))


class Made(Batches):
    """Batches that are made on request, in a new order each epoch.

    - ``make``: ``(epoch, number)`` to a batch.
    - ``count``: how many there are.
    - ``seed``: of the order; None keeps it.

    >>> made = Made(lambda epoch, number: Batch(torch.zeros(1, 2, 1), None, torch.tensor([number])), 3)
    >>> [batch.target.item() for batch in made]
    [0, 1, 2]
    """

    def __init__(self, make: Callable[[int, int], Batch], count: int, seed: int | None = None) -> None:
        self.make, self.count, self.seed, self.epoch = make, count, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        order = range(self.count) if self.seed is None else shuffled(self.count, self.seed, self.epoch)[0].tolist()
        for number in order:
            yield self.make(self.epoch, number)


def shuffled(n: int, seed: int, epoch: int) -> tuple[Tensor, torch.Generator]:
    """Return an order of n that depends on seed and epoch alone, and the generator that drew it."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=generator), generator


def limited(limit: int | float | None, batches: int) -> int:
    """Return how many batches a limit leaves: of a share, one at least.

    >>> limited(None, 9), limited(5, 9), limited(0.5, 9), limited(0.01, 9)
    (9, 5, 4, 1)
    """
    if limit is None:
        return batches
    return min(limit, batches) if isinstance(limit, int) else max(1, int(limit * batches))
