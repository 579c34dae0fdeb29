"""MNIST-1D's GRU by the training loop of its authors, whose fixed order of batches no setting of ours gives."""

from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gradreach.tasks.mnist1d import MNIST1D

EVERY = 1000


class GRUBase(nn.Module):
    """A GRU of both directions whose states of all steps are read, side by side, by a linear layer."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.gru = nn.GRU(1, width, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * width * steps, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return scores ``(batch, 10)`` of signals ``(batch, steps)``."""
        scores: torch.Tensor = self.linear(self.gru(x.unsqueeze(2))[0].flatten(1))
        return scores


def mnist1d_gru(
    seed: int, *, steps: int = 6000, width: int = 6, batch_size: int = 100, shuffled: bool = False
) -> dict[str, float]:
    """Train MNIST-1D's GRU on batches in one fixed cyclic order, with one step more than are counted, as published.

    Source: ``train_model`` of S. Greydanus's notebooks/train.py, with Adam at 0.01 and nothing clipped.

    Args:
        seed: of the initial weights, which their notebook leaves to chance: its ``set_seed`` does not seed torch.
        steps: after which the test is taken, after the step of that number, from 0.
        width: of the state, in each direction.
        batch_size: of the 4,000 signals.
        shuffled: draw the order anew whenever all signals have been seen, and not as published.

    Returns:
        ``accuracy``, of the test at the last step; ``accuracy_<step>``, at every thousandth.

    >>> sorted(mnist1d_gru(0, steps=1, width=1))
    ['accuracy', 'accuracy_1']
    """
    task = MNIST1D()
    task.prepare(Path())
    data = {name: torch.from_numpy(array) for name, array in task.prepared.arrays().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GRUBase(width, data["x"].shape[1])
    count, generator = len(data["x"]), torch.Generator().manual_seed(seed)
    order = torch.arange(count)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    found = {}
    for step in range(steps + 1):
        first = step * batch_size % count
        if shuffled and first == 0:
            order = torch.randperm(count, generator=generator)
        batch = order[first : first + batch_size]
        cross_entropy(model(data["x"][batch]), data["y"][batch]).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step and (step % EVERY == 0 or step == steps):
            found["accuracy"] = found[f"accuracy_{step}"] = _accuracy(model, data["x_test"], data["y_test"])
    return found


@torch.no_grad()
def _accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    return float((model(x).argmax(1) == y).double().mean())
