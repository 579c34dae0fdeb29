"""Readouts: from the states of all steps to the input of the head. A sequence without any step reads as zero."""

import torch
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.encoder import matrix_entries, valid_steps


class Readout(nn.Module):
    """Maps ``(batch, steps, d_in)`` and the numbers of valid steps to ``(batch, d_out)``.

    - ``d_in``: size of a state.
    - ``steps``: how many states a sequence gives; only those that have a weight for each of them need to know.
    """

    def __init__(self, d_in: int, steps: int | None = None) -> None:
        super().__init__()
        self.d_out = d_in

    def multiply_adds(self, steps: int) -> int:
        """Count the multiply-adds for one sequence of states."""
        return steps * matrix_entries(self)


class Last(Readout):
    """The state of the last valid step."""

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return ``(batch, d_in)``."""
        if lengths is None:
            return states[:, -1]
        index = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, states.shape[2])
        return states.gather(1, index).squeeze(1).masked_fill((lengths == 0).unsqueeze(1), 0)


class Mean(Readout):
    """The mean over valid steps."""

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return ``(batch, d_in)``."""
        if lengths is None:
            return states.mean(1)
        padding = ~valid_steps(lengths, states.shape[1]).unsqueeze(2)
        return states.masked_fill(padding, 0).sum(1) / lengths.clamp(min=1).unsqueeze(1)


class Max(Readout):
    """The largest value of each feature over valid steps."""

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return ``(batch, d_in)``."""
        if lengths is None:
            return states.amax(1)
        padding = ~valid_steps(lengths, states.shape[1]).unsqueeze(2)
        largest = states.masked_fill(padding, float("-inf")).amax(1)
        return largest.masked_fill((lengths == 0).unsqueeze(1), 0)


class Attention(Readout):
    """A weighted mean over valid steps, ``Σ a_t h_t`` with ``a = softmax(v · tanh(W h_t + b))``.

    Source: Z. Yang et al., Hierarchical attention networks for document classification, 2016, eq. 5 to 7.
    """

    def __init__(self, d_in: int, steps: int | None = None) -> None:
        super().__init__(d_in)
        self.hidden = nn.Linear(d_in, d_in)
        self.score = nn.Linear(d_in, 1, bias=False)

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return ``(batch, d_in)``."""
        scores: Tensor = self.score(torch.tanh(self.hidden(states)))
        if lengths is None:
            return (scores.softmax(1) * states).sum(1)
        padding = ~valid_steps(lengths, states.shape[1]).unsqueeze(2)
        weights = scores.masked_fill(padding, torch.finfo(scores.dtype).min).softmax(1)
        return (weights * states.masked_fill(padding, 0)).sum(1)

    def multiply_adds(self, steps: int) -> int:
        """Count the multiply-adds for one sequence of states, the weighted mean included."""
        return super().multiply_adds(steps) + steps * self.d_out


class Flatten(Readout):
    """All states side by side: the head then has a weight for every step, and sequences must have one length."""

    def __init__(self, d_in: int, steps: int | None = None) -> None:
        super().__init__(d_in)
        if steps is None:
            raise ConfigError("readout", "flatten", "has a weight for every step, so the length must be given")
        self.d_out = steps * d_in

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return ``(batch, steps · d_in)``."""
        return states.flatten(1)


class EachStep(Readout):
    """Every state on its own, for tasks that are answered at every step."""

    def forward(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """Return ``(batch, steps, d_in)``, zero beyond the valid steps."""
        if lengths is None:
            return states
        return states.masked_fill(~valid_steps(lengths, states.shape[1]).unsqueeze(2), 0)


READOUTS: dict[str, type[Readout]] = {
    "last": Last,
    "mean": Mean,
    "max": Max,
    "attention": Attention,
    "flatten": Flatten,
    "each_step": EachStep,
}
"""The readouts, by their name in ``model.readout``."""
