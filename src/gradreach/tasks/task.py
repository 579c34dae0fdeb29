"""The interface of every task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from gradreach.batch import IGNORED, Batch
from gradreach.errors import ConfigError

# far beyond what anybody uses: what is larger by mistake is refused before it takes time or memory
Steps = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, Field(ge=1, le=100_000_000)]
DataSeed = Annotated[int, Field(ge=0, lt=2**32)]
MOST_BYTES = 2**36
"""Of the inputs of all splits."""


class Splits(NamedTuple):
    """The examples for training, for validation, and for the test."""

    train: Batch
    validation: Batch
    test: Batch


@dataclass(frozen=True)
class Shape:
    """The inputs and outputs of a model for a task.

    - ``channels``: size of one step of a floating input; 1 for tokens.
    - ``length``: the largest number of steps of training.
    - ``outputs``: how many numbers the model answers with (classes, or 1 for a value).
    - ``vocabulary``: token ids are below this, and 0 is padding; None for floating input.
    - ``per_step``: whether every step is answered, not the sequence as a whole.
    - ``variable_length``: whether sequences are padded.
    - ``lengths``: the fewest and the most steps a sequence has, though none is padded; None: all have ``length``.
    - ``vectors``: pretrained ones of the tokens, ``(vocabulary, size)``; None: there are none.
    - ``vector_std``: vectors of tokens that are not pretrained are initialized from N(0, vector_std²).

    >>> Shape(channels=1, length=30, outputs=6, vocabulary=50, variable_length=True).per_step
    False
    """

    channels: int
    length: int
    outputs: int
    vocabulary: int | None = None
    per_step: bool = False
    variable_length: bool = False
    lengths: tuple[int, int] | None = None
    vectors: Tensor | None = field(default=None, compare=False, repr=False)
    vector_std: float = 1.0


@dataclass(kw_only=True)
class Task(ABC):
    """Classification, of whole sequences or of steps. A task depends on its settings and its data seed alone.

    A kind of task is a keyword-only dataclass: its fields are its settings, checked by their annotations before
    ``__post_init__`` checks them together.

    - ``seq_len``: the largest number of steps.
    - ``data_seed``: draws what is random in the data.

    Attributes that are not settings:

    - ``shape``: what a model must take and give; where only the data tell, known after ``prepare``.
    - ``metric``: what ``score`` is called in figures; ``accuracy`` is better when higher, ``mse`` when lower.
    - ``source``, ``licence``: where the data come from, and on what terms.
    """

    seq_len: Steps = 64
    data_seed: DataSeed = 0
    shape: Shape = field(init=False, repr=False, compare=False)

    metric: ClassVar[Literal["accuracy", "mse"]] = "accuracy"
    source = "made on demand from the data seed"
    licence = "Apache-2.0, as this project"

    @property
    def judged_by_class(self) -> bool:
        """Whether answers are classes scored by ``score`` here: then macro F1 and balanced accuracy are reported."""
        return self.metric == "accuracy" and type(self).score is Task.score

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    def prepare(self, data_dir: Path) -> None:  # noqa: B027  # most tasks know all from their settings
        """Read what only the files define, above all ``shape``; safe to call again.

        Raises:
            ConfigError: a file is missing or cannot be used.
        """

    @abstractmethod
    def splits(self, data_dir: Path) -> Splits:
        """Return all examples as whole tensors; ``data_dir`` is where data sets lie."""

    def facts(self) -> dict[str, Any]:
        """Return further facts about the data for the record; known after ``prepare``."""
        return {}

    def classes(self) -> list[str]:
        """Return the names of the classes, by their number."""
        return [str(number) for number in range(self.shape.outputs)]

    def sample(self, x: Tensor, length: int) -> str:
        """Return one input, ``(length, channels)`` or ``(length,)``, as people read it."""
        if x.dim() == 2 and x.shape[1] == 1:
            x = x.squeeze(1)
        return " ".join(f"{value:.2g}" if x.dim() == 1 else _row(value) for value in x[:length])

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return each example's cross-entropy in nats, the mean over the steps that have a target.

        Shapes: ``(batch, classes), (batch,) -> (batch,)``; ``(batch, length, classes), (batch, length) -> (batch,)``.
        """
        if target.dim() == 1:
            return F.cross_entropy(logits, target, reduction="none")
        losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none", ignore_index=IGNORED)
        # in float64, so that steps without a target among the others change no bit
        return losses.view_as(target).sum(1, dtype=torch.float64).to(losses.dtype) / _counted(target)

    def score(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return each example's accuracy, the mean over the steps that have a target: shapes as for ``loss``."""
        right = (logits.argmax(-1) == target).to(logits.dtype)
        return right if target.dim() == 1 else right.sum(1) / _counted(target)  # no answer equals IGNORED

    def chance(self, splits: Splits) -> float:
        """Return the test accuracy of always answering the class most frequent in training."""
        train, test = (split.target[split.target != IGNORED] for split in (splits.train, splits.test))
        return float((test == torch.bincount(train).argmax()).double().mean())


def squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """Return each example's squared error of sigmoids against 0 and 1, the mean over the classes.

    What networks with sigmoid outputs are trained by: B. Zhao et al., Convolutional neural networks for time series
    classification, 2017; as Keras's ``mean_squared_error`` on ``Dense(classes, activation="sigmoid")``.

    Shapes: ``(batch, classes), (batch,) -> (batch,)``.

    >>> squared_error(torch.zeros(1, 3), torch.tensor([2])).tolist()
    [0.25]
    """
    return (logits.sigmoid() - F.one_hot(target, logits.shape[-1])).square().mean(-1)


class ValueTask(Task):
    """Regression: one value a sequence, answered by one output."""

    metric = "mse"

    def classes(self) -> list[str]:
        """Return nothing: there are none."""
        return []

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return each example's squared error: ``(batch, 1), (batch,) -> (batch,)``."""
        return (logits.squeeze(-1) - target) ** 2

    def score(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the same as ``loss``."""
        return self.loss(logits, target)

    def chance(self, splits: Splits) -> float:
        """Return the test error of always answering the mean of the training targets."""
        return float(((splits.test.target - splits.train.target.mean()) ** 2).mean())


def splits_of(arrays: Mapping[str, np.ndarray]) -> Splits:
    """Return splits from ``train.x``, ``train.target``, ``train.lengths`` (absent where none is padded), and so on."""

    def batch(split: str) -> Batch:
        lengths = arrays.get(f"{split}.lengths")
        x, target = (torch.from_numpy(arrays[f"{split}.{part}"]) for part in ("x", "target"))
        return Batch(x, None if lengths is None else torch.from_numpy(lengths), target)

    return Splits(*map(batch, Splits._fields))


def check_memory(
    examples: int, length: int, channels: int, setting: str = "seq_len", others: Mapping[str, int] | None = None
) -> None:
    """Refuse inputs that need more memory than machines have, at four bytes per number.

    Args:
        examples, length, channels: how many there are, of how many steps, and of how many numbers each of these.
        setting: which says how long they are.
        others: what else makes them many, such as ``task.train_size``.

    Raises:
        ConfigError: naming these settings.
    """
    if (size := 4 * examples * length * channels) > MOST_BYTES:
        needs = f"{examples:,} examples of {length:,} steps need {size / 2**30:,.0f} GiB"
        hint = f"choose less: the limit is {MOST_BYTES / 2**30:.0f} GiB"
        raise ConfigError(setting, length, needs, hint, others=others or {})


def _counted(target: Tensor) -> Tensor:
    return (target != IGNORED).sum(1).clamp(min=1)


def _row(values: Tensor) -> str:
    return "(" + " ".join(f"{value:.2g}" for value in values) + ")"
