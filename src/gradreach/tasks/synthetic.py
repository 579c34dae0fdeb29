"""What tasks share that are made on demand."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gradreach.batch import Batch
from gradreach.errors import ConfigError
from gradreach.tasks.splits import keys_of
from gradreach.tasks.task import Size, Splits, Task, check_memory

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("test", "validation", "train")
"""In the order in which they are drawn: so the test split is the same whatever the size of the others."""
CHUNK = 1000
ENOUGH = 64
"""Two symbols in so many places make more strings than any size."""
LONGER_OR_FEWER = "choose a longer seq_len or a smaller task.train_size"


@dataclass(kw_only=True)
class Synthetic(Task):
    """A task whose examples are drawn from the data seed; no two of its inputs are equal.

    Of two sizes of a split the smaller is the beginning of the larger.

    - ``train_size``, ``validation_size``, ``test_size``: examples of each split.
    """

    train_size: Size = 10_000
    validation_size: Size = 1000
    test_size: Size = 2000

    @property
    def sizes(self) -> dict[Part, int]:
        """Return the number of examples of each split."""
        return {"train": self.train_size, "validation": self.validation_size, "test": self.test_size}

    @abstractmethod
    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw n examples.

        Returns:
            ``x``: ``(n, length, channels)`` float32, or ``(n, length)`` integer symbols, which become one-hot vectors
            unless the shape has a vocabulary;
            ``target``: ``(n,)`` or ``(n, length)``, int64 classes or float32 values.
        """

    def prepare(self, data_dir: Path) -> None:
        """Refuse sizes that no memory holds."""
        check_memory(sum(self.sizes.values()), self.seq_len, self.shape.channels)

    def splits(self, data_dir: Path) -> Splits:
        """Draw the three splits; ``data_dir`` is not read."""
        self.prepare(data_dir)
        seen: set[bytes] = set()
        drawn = {part: self._distinct(number, part, seen) for number, part in enumerate(PARTS)}
        return Splits(drawn["train"], drawn["validation"], drawn["test"])

    def _distinct(self, number: int, part: Part, seen: set[bytes]) -> Batch:
        generator = np.random.default_rng([self.data_seed, number])
        xs, targets, missing = [], [], self.sizes[part]
        while missing:
            x, target = self.draw(generator, CHUNK, part)
            new: list[int] = []
            for i, key in enumerate(keys_of(x)):
                if key not in seen and len(new) < missing:
                    seen.add(key)
                    new.append(i)
            if not new:
                raise ConfigError(
                    "seq_len",
                    self.seq_len,
                    f"{type(self).__name__} yields no more different inputs, and {missing:,} examples of {part} are "
                    "missing",
                    LONGER_OR_FEWER,
                )
            xs.append(x[new])
            targets.append(target[new])
            missing -= len(new)
        return Batch(self._as_input(np.concatenate(xs)), None, torch.from_numpy(np.concatenate(targets)))

    def _as_input(self, x: np.ndarray) -> Tensor:
        if x.ndim == 3 or self.shape.vocabulary is not None:
            return torch.from_numpy(x)
        return torch.from_numpy(np.eye(self.shape.channels, dtype=np.float32)[x])

    def _check_length(self, least: int, why: str) -> None:
        if self.seq_len < least:
            needs = f"{type(self).__name__} needs {why}"
            raise ConfigError("seq_len", self.seq_len, needs, f"choose {least} or more")

    def _check_variety(self, symbols: int, steps: int, times: int = 1) -> None:
        """Refuse sizes for which there are not enough different inputs; twice as many make drawing them fast.

        There are ``times · symbols ** steps`` of them; more steps than count are not counted, which would take long.
        """
        inputs = times * symbols ** min(steps, ENOUGH)
        wanted = sum(self.sizes.values())
        if inputs < 2 * wanted:
            raise ConfigError(
                "seq_len",
                self.seq_len,
                f"{type(self).__name__} has only {inputs:,} different inputs of this length, too few for {wanted:,} "
                "examples none of which are equal",
                LONGER_OR_FEWER,
            )


@dataclass(kw_only=True)
class Symbolic(Synthetic):
    """A task over symbols, given to the model as one-hot vectors."""

    @property
    @abstractmethod
    def alphabet(self) -> Sequence[str]:
        """What each channel is called."""

    def sample(self, x: Tensor, length: int) -> str:
        """Return the symbols."""
        return " ".join(self.alphabet[i] for i in x[:length].argmax(-1).tolist())
