"""The base of generated tasks."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from gradreach.batch import Batch
from gradreach.errors import ConfigError
from gradreach.tasks.lengths import PLACES, TestLengths, TrainLengths, check_lengths, evenly, padded
from gradreach.tasks.splits import keys_of
from gradreach.tasks.task import Size, Splits, Task, check_memory

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("test", "validation", "train")
"""In the order in which they are drawn: so the test split is the same whatever the size of the others."""
CHUNK = 1000
ENOUGH = 64
"""Two symbols in this many places make more strings than any size."""
LONGER_OR_FEWER = "choose a longer seq_len or a smaller task.train_size"
OF_LENGTHS = 2_000_000
"""The first of the data seed's streams that draw examples of one length each."""
LEARNED, TESTED, PROBED = range(OF_LENGTHS + len(PARTS), OF_LENGTHS + len(PARTS) + 3)
BLOCK = 500_000
"""Steps that are drawn at once for a test length: what it takes does not grow with the length."""


@dataclass(kw_only=True)
class Synthetic(Task):
    """A task whose examples are drawn from the data seed; no two of its inputs are equal, but where it ``repeats``.

    Of two sizes of a split the smaller is the beginning of the larger.

    - ``train_size``, ``validation_size``, ``test_size``: examples of each split.
    - ``train_lengths``: the shortest and the longest sequence of training, which is then drawn anew in every epoch,
      each batch of one length, as in G. Delétang et al., Neural networks and the Chomsky hierarchy, 2023; of short
      sequences there are few, and inputs may be equal. Validation and test are of such lengths too. None: all
      sequences have ``seq_len`` steps.
    - ``test_lengths``: at which lengths the chosen weights are tested besides.
    """

    train_size: Size = 10_000
    validation_size: Size = 1000
    test_size: Size = 2000
    train_lengths: TrainLengths = None
    test_lengths: TestLengths = None

    of_one_length = False
    """Whether it uses several lengths."""
    repeats: ClassVar[bool] = False
    """Whether inputs may be equal at any length, since there are few of some settings."""

    @property
    def may_repeat(self) -> bool:
        """Whether inputs may be equal."""
        return self.repeats or self.of_one_length or self.train_lengths is not None

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
        """Refuse sizes that exceed any memory, and invalid lengths."""
        part, size = max(self.sizes.items(), key=lambda each: each[1])
        check_memory(sum(self.sizes.values()), self.seq_len, self.shape.channels, others={f"task.{part}_size": size})
        if self.train_lengths or self.test_lengths:
            lengths = check_lengths(self.seq_len, self.train_lengths, self.test_lengths, self.at)
            longest = self.test_lengths[-1] if self.test_lengths else self.seq_len
            check_memory(self.test_blocks(longest)[0], longest, self.shape.channels, "task.test_lengths")
            self.shape = replace(self.shape, lengths=lengths)

    def splits(self, data_dir: Path) -> Splits:
        """Draw the three splits; ``data_dir`` is not read.

        With ``train_lengths`` they are padded, as many examples of each length: of validation and test of a few, evenly
        spaced; those to learn from are a sample of all.
        """
        self.prepare(data_dir)
        if self.train_lengths is not None:
            drawn = {part: self._of_lengths(number, part) for number, part in enumerate(PARTS)}
        else:
            seen: set[bytes] = set()
            drawn = {part: self._distinct(number, part, seen) for number, part in enumerate(PARTS)}
        return Splits(drawn["train"], drawn["validation"], drawn["test"])

    def at(self, length: int) -> Self:
        """Return the same task at one length, whose inputs may be equal.

        Raises:
            ConfigError: it is too short.
        """
        other = object.__new__(type(self))
        vars(other).update(self.settings(), seq_len=length, train_lengths=None, test_lengths=None, of_one_length=True)
        other.__post_init__()  # type: ignore[attr-defined]  # it makes the shape, so each kind of task has one
        return other

    def training_batch(self, epoch: int, number: int, n: int) -> Batch:
        """Return the n examples of a batch of training, all of one length, uniform over ``train_lengths``.

        It depends on the data seed, the epoch and its number alone.
        """
        assert self.train_lengths is not None
        generator = np.random.default_rng([self.data_seed, LEARNED, epoch, number])
        length = int(generator.integers(self.train_lengths[0], self.train_lengths[1] + 1))
        return self.at(length).examples(generator, n, "train")

    def test_blocks(self, length: int) -> list[int]:
        """Return how many examples each block of the test at a length has: few of long ones."""
        block = max(1, min(CHUNK, BLOCK // length))
        return [min(block, self.test_size - at) for at in range(0, self.test_size, block)]

    def test_block(self, length: int, number: int) -> Batch:
        """Return a block of the test at a length; all of them have ``test_size`` examples."""
        generator = np.random.default_rng([self.data_seed, TESTED, length, number])
        return self.at(length).examples(generator, self.test_blocks(length)[number], "test")

    def probe(self, length: int, n: int) -> Batch:
        """Return n examples of one length that are neither learned from nor tested, for the instrument."""
        generator = np.random.default_rng([self.data_seed, PROBED, length])
        return self.at(length).examples(generator, n, "validation")

    def examples(self, generator: np.random.Generator, n: int, part: Part) -> Batch:
        """Return n examples as a model is given them; some may be equal."""
        x, target = self.draw(generator, n, part)
        return Batch(self._as_input(x), None, torch.from_numpy(target)).take(slice(None))  # token ids as int64

    def _of_lengths(self, number: int, part: Part) -> Batch:
        assert self.train_lengths is not None
        low, high = self.train_lengths
        sizes = evenly(low, high, self.sizes[part], high - low + 1 if part == "train" else PLACES)
        stream = [self.data_seed, OF_LENGTHS + number]
        generators = {length: np.random.default_rng([*stream, length]) for length in sizes}
        return padded([self.at(length).examples(generators[length], n, part) for length, n in sizes.items()])

    def _distinct(self, number: int, part: Part, seen: set[bytes]) -> Batch:
        generator = np.random.default_rng([self.data_seed, number])
        xs, targets, missing = [], [], self.sizes[part]
        while missing:
            x, target = self.draw(generator, CHUNK, part)
            new: list[int] = []
            for i, key in enumerate(keys_of(x)):
                if (self.repeats or key not in seen) and len(new) < missing:
                    seen.add(key)
                    new.append(i)
            if not new:
                raise ConfigError(
                    "seq_len",
                    self.seq_len,
                    f"{type(self).__name__} yields no more different inputs, but {missing:,} examples of {part} are "
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
        """Refuse sizes with too few different inputs; twice as many are needed for fast drawing.

        There are ``times · symbols ** steps`` of them; more steps than count are not counted, which would take long.
        """
        if self.may_repeat:
            return
        inputs = times * symbols ** min(steps, ENOUGH)
        wanted = sum(self.sizes.values())
        if inputs < 2 * wanted:
            raise ConfigError(
                "seq_len",
                self.seq_len,
                f"{type(self).__name__} has only {inputs:,} different inputs of this length, too few for {wanted:,} "
                "different examples",
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
