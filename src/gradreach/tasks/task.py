"""What every task states."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gradreach.tasks.batch import Batch


class Splits(NamedTuple):
    """The examples to learn from, to choose by, and to report once."""

    train: Batch
    validation: Batch
    test: Batch


@dataclass(frozen=True)
class Shape:
    """What a model must take and give.

    - ``channels``: size of one step of a floating input; 1 for tokens.
    - ``length``: the largest number of steps.
    - ``outputs``: how many numbers the model answers with (classes, or 1 for a value).
    - ``vocabulary``: token ids are below this; None for floating input.
    - ``per_step``: whether every step is answered, not the sequence as a whole.
    - ``variable_length``: whether sequences are padded.
    """

    channels: int
    length: int
    outputs: int
    vocabulary: int | None = None
    per_step: bool = False
    variable_length: bool = False


class Task(ABC):
    """Classification of whole sequences. A task depends on its settings and its data seed alone."""

    shape: Shape

    @abstractmethod
    def splits(self, data_dir: Path) -> Splits:
        """Return all examples as whole tensors; ``data_dir`` is where files that are no part of us lie."""

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return each example's cross-entropy in nats: ``(batch, classes), (batch,) -> (batch,)``."""
        return F.cross_entropy(logits, target, reduction="none")

    def score(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return each example's accuracy, 0 or 1: ``(batch, classes), (batch,) -> (batch,)``."""
        return (logits.argmax(-1) == target).to(logits.dtype)

    def chance(self, splits: Splits) -> float:
        """Return the test accuracy of always answering the class most frequent in training."""
        most_frequent = torch.bincount(splits.train.target).argmax()
        return float((splits.test.target == most_frequent).double().mean())
