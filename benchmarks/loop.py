"""The training loop that a careful person writes by hand: the measure of all others.

It knows nothing of gradreach but the data: plain torch modules, whole tensors cut by a permutation, fused Adam,
clipping, validation every epoch, the best epoch kept and tested once. No step waits for a figure.

``python -m benchmarks.loop '[{"model": "lstm", "seed": 1}]'`` does the settings one after another.
"""

import copy
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.tasks import Batch, Digits


@dataclass(frozen=True)
class Setting:
    """What one run does; the rest is as in ``conf/``."""

    model: str
    width: int = 32
    seq_len: int = 64
    epochs: int = 15
    seed: int = 0
    kernel_size: int = 3

    def overrides(self) -> list[str]:
        """Return the same for ``run.py``."""
        return [
            f"model={self.model}",
            f"model.width={self.width}",
            f"seq_len={self.seq_len}",
            f"trainer.epochs={self.epochs}",
            f"seed={self.seed}",
            f"kernel_size={self.kernel_size}",
        ]


class Recurrent(nn.Module):
    """One fused layer, read at its last step."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](1, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(batch, 10)`` for ``x (batch, length, 1)``."""
        logits: Tensor = self.head(self.layer(x)[0][:, -1])
        return logits


def convolutional(width: int, kernel_size: int) -> nn.Module:
    """Return four dilated convolutions and the maximum over time; takes ``(batch, 1, length)``."""
    layers: list[nn.Module] = []
    for i in range(4):
        layers += [nn.Conv1d(width if i else 1, width, kernel_size, padding="same", dilation=2**i), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(width, 10))


def train(setting: Setting) -> dict[str, float]:
    """Train and test.

    Returns:
        ``test/accuracy`` and ``test/loss`` of the epoch with the best validation accuracy, and ``first/val/loss``,
        the validation loss after the first epoch.
    """
    torch.manual_seed(setting.seed)
    if setting.model == "cnn":
        model = convolutional(setting.width, setting.kernel_size)
    else:
        model = Recurrent(setting.model, setting.width)
    splits = Digits(seq_len=setting.seq_len).splits(Path("data"))
    if setting.model == "cnn":
        splits = type(splits)(*(Batch(part.x.transpose(1, 2), None, part.target) for part in splits))
    x, y = splits.train.x, splits.train.target
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    first = float("nan")
    best, best_weights = (-1.0, 0.0), copy.deepcopy(model.state_dict())
    for epoch in range(setting.epochs):
        model.train()
        generator = torch.Generator().manual_seed(setting.seed * 1_000_003 + epoch)
        total = torch.zeros(())
        for index in torch.randperm(len(x), generator=generator).split(64):
            loss = F.cross_entropy(model(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.detach() * len(index)
        if not torch.isfinite(total):
            raise RuntimeError(f"the training loss is {total / len(x)}")
        accuracy, loss_value = evaluate(model, splits.validation)
        if epoch == 0:
            first = loss_value
        if (accuracy, -loss_value) > best:
            best, best_weights = (accuracy, -loss_value), copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    accuracy, loss_value = evaluate(model, splits.test)
    return {"test/accuracy": accuracy, "test/loss": loss_value, "first/val/loss": first}


@torch.no_grad()
def evaluate(model: nn.Module, examples: Batch) -> tuple[float, float]:
    """Return accuracy and mean loss, of all examples in one batch."""
    model.eval()
    logits = model(examples.x)
    accuracy = (logits.argmax(-1) == examples.target).float().mean()
    return float(accuracy), float(F.cross_entropy(logits, examples.target))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for values in json.loads(sys.argv[1]):
        train(Setting(**values))
