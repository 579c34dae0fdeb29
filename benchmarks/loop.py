"""The training loop that a careful person writes by hand: the measure of all others.

It knows nothing of gradreach but the data: plain torch modules, whole tensors cut by a permutation, fused Adam,
clipping, validation every epoch, the best epoch kept and tested once. No step waits for a figure.

``python -m benchmarks.loop '[{"model": "lstm", "seed": 1}]'`` does the settings one after another, and prints how many
seconds each took; with ``--flush`` denormal numbers are flushed, which is one line that few know.
"""

import copy
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.tasks import Batch, Digits, Recall


@dataclass(frozen=True)
class Setting:
    """What one run does; the rest is as in ``conf/``. ``train_size`` is that of recall; digits are as many as they are.

    Recall is validated and tested on as few examples as a batch has: what counts there is the training step.
    """

    model: str
    width: int = 32
    seq_len: int = 64
    epochs: int = 15
    seed: int = 0
    kernel_size: int = 3
    batch_size: int = 64
    task: str = "digits"
    train_size: int = 6400

    def overrides(self) -> list[str]:
        """Return the same for ``run.py``."""
        few = (f"task.{split}_size={self.batch_size}" for split in ("validation", "test"))
        return [
            f"model={self.model}",
            f"model.width={self.width}",
            f"seq_len={self.seq_len}",
            f"trainer.epochs={self.epochs}",
            f"trainer.batch_size={self.batch_size}",
            f"seed={self.seed}",
            f"kernel_size={self.kernel_size}",
            f"task={self.task}",
            *([f"task.train_size={self.train_size}", *few] if self.task == "recall" else []),
        ]

    @property
    def steps(self) -> int:
        """How many steps a run on recall takes."""
        return self.epochs * -(-self.train_size // self.batch_size)

    def data(self) -> tuple[Batch, Batch, Batch]:
        """Return what is learned from, chosen by and tested on."""
        if self.task == "digits":
            return Digits(seq_len=self.seq_len).splits(Path("data"))
        few = self.batch_size
        recall = Recall(seq_len=self.seq_len, train_size=self.train_size, validation_size=few, test_size=few)
        return recall.splits(Path("data"))


class Outcome(NamedTuple):
    """What a run came to, and the seconds that its epochs took, validation included: by the clock, of the processor."""

    accuracy: float
    loss: float
    first_validation_loss: float
    wall: float
    cpu: float


class Recurrent(nn.Module):
    """One fused layer, read at its last step."""

    def __init__(self, kind: str, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        self.layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind](channels, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(batch, outputs)`` for ``x (batch, length, channels)``."""
        logits: Tensor = self.head(self.layer(x)[0][:, -1])
        return logits


def convolutional(channels: int, width: int, outputs: int, kernel_size: int) -> nn.Module:
    """Return four dilated convolutions and the maximum over time; takes ``(batch, channels, length)``."""
    layers: list[nn.Module] = []
    for i in range(4):
        layers += [nn.Conv1d(width if i else channels, width, kernel_size, padding="same", dilation=2**i), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(width, outputs))


def train(setting: Setting, flush: bool = False) -> Outcome:
    """Train and test, with the weights of the epoch with the best validation accuracy."""
    torch.set_flush_denormal(flush)
    try:
        return _train(setting)
    finally:
        torch.set_flush_denormal(False)


def _train(setting: Setting) -> Outcome:
    train, validation, test = setting.data()
    channels, outputs = train.x.shape[2], int(train.target.max()) + 1
    torch.manual_seed(setting.seed)
    if setting.model == "cnn":
        model = convolutional(channels, setting.width, outputs, setting.kernel_size)
        train, validation, test = (Batch(part.x.mT, None, part.target) for part in (train, validation, test))
    else:
        model = Recurrent(setting.model, channels, setting.width, outputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    first = float("nan")
    best, best_weights = (-1.0, 0.0), copy.deepcopy(model.state_dict())
    wall, cpu = time.perf_counter(), time.process_time()
    for epoch in range(setting.epochs):
        model.train()
        generator = torch.Generator().manual_seed(setting.seed * 1_000_003 + epoch)
        total = torch.zeros(())
        for index in torch.randperm(len(train), generator=generator).split(setting.batch_size):
            loss = F.cross_entropy(model(train.x[index]), train.target[index])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.detach() * len(index)
        if not torch.isfinite(total):
            raise RuntimeError(f"the training loss is {total / len(train)}")
        accuracy, loss_value = evaluate(model, validation)
        if epoch == 0:
            first = loss_value
        if (accuracy, -loss_value) > best:
            best, best_weights = (accuracy, -loss_value), copy.deepcopy(model.state_dict())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    model.load_state_dict(best_weights)
    return Outcome(*evaluate(model, test), first, wall, cpu)


@torch.no_grad()
def evaluate(model: nn.Module, examples: Batch) -> tuple[float, float]:
    """Return accuracy and mean loss, of all examples in one batch."""
    model.eval()
    logits = model(examples.x)
    accuracy = (logits.argmax(-1) == examples.target).float().mean()
    return float(accuracy), float(F.cross_entropy(logits, examples.target))


if __name__ == "__main__":
    torch.set_num_threads(1)
    seconds = []
    for values in json.loads(sys.argv[1]):
        start = time.perf_counter(), time.process_time()
        train(Setting(**values), flush="--flush" in sys.argv)
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    print(json.dumps(seconds))
