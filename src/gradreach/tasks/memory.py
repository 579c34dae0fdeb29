"""Problems that can only be solved by remembering."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt
from torch import Tensor

from gradreach.batch import IGNORED
from gradreach.errors import ConfigError
from gradreach.tasks.synthetic import ENOUGH, Part, Symbolic, Synthetic
from gradreach.tasks.task import Shape, ValueTask

MOST_CLASSES = 1024


@dataclass(kw_only=True)
class Recall(Symbolic):
    """Say which symbols came first, after nothing but distractors.

    The first ``symbols`` steps show cues, each one of ``values``; all later steps show distractors. The class
    is the combination of cues (``values ** symbols`` of them). All is uniform.

    - ``seq_len``: steps, at least ``symbols``.
    - ``symbols``: how many cues.
    - ``values``: how many values a cue can take.
    - ``distractors``: how many other symbols there are for the rest; 0: the rest look like cues, and only their place
      tells them apart.
    """

    symbols: PositiveInt = 1
    values: PositiveInt = 8
    distractors: Annotated[int, Field(ge=0, le=10_000)] = 4

    def __post_init__(self) -> None:
        classes = self.values ** min(self.symbols, ENOUGH)
        if not 2 <= classes <= MOST_CLASSES:
            raise ConfigError(
                "task.values",
                self.values,
                "there are values ** symbols classes",
                f"choose 2 to {MOST_CLASSES}",
                others={"task.symbols": self.symbols},
            )
        self._check_length(self.symbols, f"task.symbols={self.symbols} steps for its cues")
        self._check_variety(self.distractors or self.values, self.seq_len - self.symbols, times=classes)
        self.shape = Shape(channels=len(self.alphabet), length=self.seq_len, outputs=classes)

    @property
    def alphabet(self) -> list[str]:
        """The cues, then the distractors."""
        return [f"c{i}" for i in range(self.values)] + [f"d{i}" for i in range(self.distractors)]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw cues, then distractors."""
        low, high = (self.values, len(self.alphabet)) if self.distractors else (0, self.values)
        dtype = np.int8 if len(self.alphabet) <= 128 else np.int64  # a byte where it fits: as examples always were
        x = generator.integers(low, high, (n, self.seq_len), dtype=dtype)
        x[:, : self.symbols] = generator.integers(self.values, size=(n, self.symbols), dtype=dtype)
        places = self.values ** np.arange(self.symbols)[::-1]
        return x, x[:, : self.symbols].astype(np.int64) @ places


@dataclass(kw_only=True)
class Copy(Symbolic):
    """Repeat a string of symbols after a delay; only the repeated symbols are counted, in the loss as in the accuracy.

    A string of ``symbols`` random symbols, ``seq_len − 2 · symbols − 1`` blanks, a delimiter, and ``symbols`` blanks
    at which the string is answered. What the literature calls T (S. Hochreiter and J. Schmidhuber, 1997; M. Arjovsky
    et al., 2016) is ``seq_len − 2 · symbols``. Their loss also averages over the T + ``symbols`` steps at which a blank
    is the answer; a model that always gets those right has ours times ``symbols / seq_len``.

    - ``seq_len``: steps, at least ``2 · symbols + 1``.
    - ``symbols``: length of the string.
    - ``values``: how many different symbols there are.
    """

    symbols: PositiveInt = 10
    values: PositiveInt = 8

    def __post_init__(self) -> None:
        symbols, wanted = self.symbols, sum(self.sizes.values())
        strings = self.values ** min(symbols, ENOUGH)
        if not 2 <= self.values <= 100:
            raise ConfigError("task.values", self.values, "choose 2 to 100")
        self._check_length(2 * symbols + 1, f"task.symbols={symbols} steps to show, as many to answer and one between")
        if strings < 2 * wanted and not self.may_repeat:
            raise ConfigError(
                "task.symbols",
                symbols,
                f"there are only {strings:,} different strings, too few for {wanted:,} distinct examples",
                "choose more symbols",
            )
        self.shape = Shape(channels=self.values + 2, length=self.seq_len, outputs=self.values, per_step=True)

    @property
    def alphabet(self) -> list[str]:
        """The symbols, the blank and the delimiter."""
        return [*(f"c{i}" for i in range(self.values)), "·", "|"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw strings."""
        string = generator.integers(self.values, size=(n, self.symbols), dtype=np.int8)
        x = np.full((n, self.seq_len), self.values, dtype=np.int8)
        x[:, : self.symbols] = string
        x[:, -self.symbols - 1] = self.values + 1
        target = np.full((n, self.seq_len), IGNORED, dtype=np.int64)
        target[:, -self.symbols :] = string
        return x, target


@dataclass(kw_only=True)
class TemporalOrder(Symbolic):
    """Say which two symbols came, in their order: XX, XY, YX or YY, hidden among distractors.

    The first stands at a step from ``T/10`` to ``T/5``, the second from ``T/2`` to ``6T/10`` (steps from 0, T =
    ``seq_len``); everywhere else one of four distractors. Source: S. Hochreiter and J. Schmidhuber, Long
    short-term memory, 1997, experiment 6a, without the markers of start and end.

    - ``seq_len``: steps, at least 10.
    """

    alphabet = ("X", "Y", "a", "b", "c", "d")

    def __post_init__(self) -> None:
        self._check_length(10, "10 steps for its two symbols and what lies between")
        self._check_variety(4, self.seq_len - 1)
        self.shape = Shape(channels=len(self.alphabet), length=self.seq_len, outputs=4)

    def classes(self) -> list[str]:
        """Return the two symbols."""
        return ["XX", "XY", "YX", "YY"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw distractors, and put two symbols among them."""
        x = generator.integers(2, len(self.alphabet), (n, self.seq_len), dtype=np.int8)
        which = generator.integers(2, size=(n, 2), dtype=np.int8)
        rows, length = np.arange(n), self.seq_len
        x[rows, generator.integers(length // 10, length // 5 + 1, n)] = which[:, 0]
        x[rows, generator.integers(length // 2, 6 * length // 10 + 1, n)] = which[:, 1]
        return x, which.astype(np.int64) @ [2, 1]


@dataclass(kw_only=True)
class Adding(ValueTask, Synthetic):
    """Add the two marked values of a sequence. Each step shows a value and a mark, 1 at two steps, else 0.

    Several problems go by this name; ``variant`` says which is meant.

    - ``halves``: values from U[0, 1], one mark in each half; the target is the sum. Its variance, the error of a
      constant answer, is 1/6. S. Bai et al., 2018; Q. Le et al., 2015.
    - ``anywhere``: the same, with both marks anywhere.
    - ``hochreiter``: values from U[−1, 1], a mark among the first ten steps and another in the first half; the target
      is 0.5 + sum / 4, its variance 1/24. After S. Hochreiter and J. Schmidhuber, 1997, experiment 4.

    - ``seq_len``: steps, at least 2 (``hochreiter``: 4).

    >>> splits = Adding(seq_len=50, train_size=100).splits(Path())
    >>> splits.train.x.shape, splits.train.target.shape  # a number and a mark at each step; a sum
    (torch.Size([100, 50, 2]), torch.Size([100]))
    """

    variant: Literal["halves", "anywhere", "hochreiter"] = "halves"

    def __post_init__(self) -> None:
        self._check_length(4 if self.variant == "hochreiter" else 2, "enough steps for two marks")
        self.shape = Shape(channels=2, length=self.seq_len, outputs=1)

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw values, and mark two."""
        low = -1 if self.variant == "hochreiter" else 0
        values = generator.uniform(low, 1, (n, self.seq_len)).astype(np.float32)
        marks, rows, half = np.zeros_like(values), np.arange(n), self.seq_len // 2
        match self.variant:
            case "halves":
                first, second = generator.integers(half, size=n), generator.integers(half, self.seq_len, n)
            case "anywhere":
                first, second = _two_of(generator, n, self.seq_len, self.seq_len)
            case "hochreiter":
                first, second = _two_of(generator, n, min(10, half), half)
        marks[rows, first] = marks[rows, second] = 1
        total = values[rows, first] + values[rows, second]
        return np.stack([values, marks], axis=2), 0.5 + total / 4 if self.variant == "hochreiter" else total

    def sample(self, x: Tensor, length: int) -> str:
        """Return the values, marked ones with a star."""
        return " ".join(f"{value:.2f}{'*' if mark else ''}" for value, mark in x[:length].tolist())


@dataclass(kw_only=True)
class Parity(Synthetic):
    """Say whether a sequence of bits has an odd number of ones: one bit of memory, moved by every step.

    - ``seq_len``: steps, all of which count.
    - ``per_step``: whether every step is answered, by the bits up to it, and not the last one alone.

    >>> task = Parity(seq_len=10, per_step=True, train_size=100, validation_size=50, test_size=50)
    >>> x, _, target = task.splits(Path()).train
    >>> x[0, :, 0].int().tolist(), target[0].tolist()
    ([1, 0, 0, 0, 0, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0, 1, 1, 1, 1])
    """

    per_step: Annotated[bool, Field(exclude_if=lambda value: value is False)] = False
    """Where only the last is answered, as it always was, it is not part of the identity."""

    def __post_init__(self) -> None:
        self._check_variety(2, self.seq_len)
        self.shape = Shape(channels=1, length=self.seq_len, outputs=2, per_step=self.per_step)

    def classes(self) -> list[str]:
        """Return even and odd."""
        return ["even", "odd"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw bits."""
        bits = generator.integers(2, size=(n, self.seq_len))
        target = bits.cumsum(1) if self.per_step else bits.sum(1)
        return bits[:, :, None].astype(np.float32), target % 2


def _two_of(
    generator: np.random.Generator, n: int, first_below: int, second_below: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two different steps, the first below one bound, the second below another that is no smaller."""
    first = generator.integers(first_below, size=n)
    second = generator.integers(second_below - 1, size=n)
    return first, second + (second >= first)
