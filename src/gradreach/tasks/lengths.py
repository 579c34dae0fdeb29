"""Length as an axis: training on a range of lengths, tests at chosen lengths.

No sequence is padded: every batch has one length.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from gradreach.batch import IGNORED, Batch
from gradreach.errors import ConfigError
from gradreach.tasks.task import Steps


def _is_none(value: object) -> bool:
    return value is None


# what came later and is not used is not part of the identity: runs of before it keep theirs
TrainLengths = Annotated[Annotated[list[Steps], Field(min_length=2, max_length=2)] | None, Field(exclude_if=_is_none)]
"""The shortest and the longest."""
TestLengths = Annotated[Annotated[list[Steps], Field(min_length=1, max_length=32)] | None, Field(exclude_if=_is_none)]
PLACES = 16
"""Validation and test of a range are of this many lengths, evenly spaced, or of all where there are fewer."""


def check_lengths(
    seq_len: int, train: list[int] | None, test: list[int] | None, at: Callable[[int], object]
) -> tuple[int, int]:
    """Return the shortest and the longest sequence that a model is given.

    Args:
        seq_len: steps of the longest sequence of training.
        train, test: ``train_lengths`` and ``test_lengths``.
        at: makes the task at one length.

    Raises:
        ConfigError: lengths are invalid, or would give the same run another name.
    """
    low, high = train or (seq_len, seq_len)
    if train is not None and not low < high:
        hint = f"choose a range such as [1,{max(2, high)}]; for a single length set only seq_len"
        raise ConfigError("task.train_lengths", train, "must be [shortest, longest]", hint)
    if seq_len != high:
        longest = f"task.train_lengths=[{low},{high}] says that the longest training sequence has {high} steps"
        raise ConfigError("seq_len", seq_len, longest, f"set seq_len={high}")
    tested = test or []
    if tested != sorted(set(tested)):
        ascending = ",".join(map(str, sorted(set(tested))))
        raise ConfigError("task.test_lengths", tested, "must ascend", f"write [{ascending}]")
    for setting, lengths in {"train_lengths": train, "test_lengths": test}.items():
        if lengths:
            try:
                at(lengths[0])  # the longer ones can be where the shortest can
            except ConfigError as error:
                why = f"with {lengths[0]} steps {error.allowed}"
                hint = error.hint if error.setting == "seq_len" else ""
                raise ConfigError(f"task.{setting}", lengths, why, hint) from None
    return min([low, *tested]), max([high, *tested])


def evenly(low: int, high: int, n: int, places: int) -> dict[int, int]:
    """Return how many of n examples each length has, as many of each, evenly spaced from the shortest to the longest.

    >>> evenly(1, 4, 10, places=16)
    {1: 3, 2: 3, 3: 2, 4: 2}
    >>> list(evenly(1, 40, 1000, places=16))
    [1, 4, 6, 9, 11, 14, 17, 19, 22, 24, 27, 30, 32, 35, 37, 40]
    """
    places = min(places, high - low + 1, n)
    lengths = [low + (2 * i * (high - low) + (places - 1)) // max(2 * (places - 1), 1) for i in range(places)]
    return {length: n // places + (i < n % places) for i, length in enumerate(lengths)}


def padded(parts: Sequence[Batch]) -> Batch:
    """Return batches of one length each as one, padded on the right; steps beyond an end have no target.

    >>> parts = [Batch(torch.ones(1, length, 1), None, torch.tensor([length])) for length in (2, 3)]
    >>> padded(parts).x[..., 0].tolist(), padded(parts).lengths.tolist()
    ([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]], [2, 3])
    """
    longest = max(part.x.shape[1] for part in parts)

    def as_long(values: Tensor, fill: int) -> Tensor:
        missing = longest - values.shape[1]
        return (
            values
            if not missing
            else torch.cat([values, values.new_full((len(values), missing, *values.shape[2:]), fill)], 1)
        )

    lengths = torch.cat([torch.full((len(part),), part.x.shape[1]) for part in parts])
    targets = [part.target if part.target.dim() == 1 else as_long(part.target, IGNORED) for part in parts]
    return Batch(torch.cat([as_long(part.x, 0) for part in parts]), lengths, torch.cat(targets))
