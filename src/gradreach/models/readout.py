"""From the states of all steps to one vector a sequence. A sequence without any step reads as zero."""

from collections.abc import Callable

from torch import Tensor

from gradreach.models.encoder import valid_steps


def last(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the state of the last valid step: ``(batch, length, d), (batch,) -> (batch, d)``."""
    if lengths is None:
        return states[:, -1]
    index = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, states.shape[2])
    return states.gather(1, index).squeeze(1).masked_fill((lengths == 0).unsqueeze(1), 0)


def mean(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the mean over valid steps: ``(batch, length, d), (batch,) -> (batch, d)``."""
    if lengths is None:
        return states.mean(1)
    padding = ~valid_steps(lengths, states.shape[1]).unsqueeze(2)
    return states.masked_fill(padding, 0).sum(1) / lengths.clamp(min=1).unsqueeze(1)


def maximum(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the largest value over valid steps: ``(batch, length, d), (batch,) -> (batch, d)``."""
    if lengths is None:
        return states.amax(1)
    padding = ~valid_steps(lengths, states.shape[1]).unsqueeze(2)
    largest = states.masked_fill(padding, float("-inf")).amax(1)
    return largest.masked_fill((lengths == 0).unsqueeze(1), 0)


READOUTS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "last": last,
    "mean": mean,
    "max": maximum,
}
