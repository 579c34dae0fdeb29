"""Recall by content: what came with a key, and which of the steps were worth keeping."""

from dataclasses import dataclass
from math import comb, perm
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt
from torch import Tensor

from gradreach.batch import IGNORED
from gradreach.errors import ConfigError
from gradreach.tasks.synthetic import ENOUGH, Part, Symbolic, Synthetic
from gradreach.tasks.task import Shape

BLANK = "·"


@dataclass(kw_only=True)
class MQAR(Synthetic):
    """Say at each repeated key which value came with it: multi-query associative recall.

    First come ``pairs`` different keys, each followed by its value; then every key is asked for once, at a place of
    its own. Answers are wanted at these steps alone, and are tokens of the whole vocabulary. With V tokens, keys are
    1 … V/2 − 1 and values V/2 … V − 1, of an example all different. A query stands 2g steps after the pairs, g from 0;
    places are drawn without replacement by ``(g + 1) ** (power − 1)``, so most queries follow soon. The blank, token
    0 in the source, is token V here, where 0 is padding. Source: S. Arora et al., Zoology, 2024, as their code draws
    it; that of their figure 2 has blanks between queries.

    - ``seq_len``: steps, at least ``4 · pairs``.
    - ``vocabulary``: V, blank and padding apart.
    - ``pairs``: how many keys there are to remember.
    - ``filler``: what stands where nothing is asked after the pairs: ``blank``, or a ``random`` token, keys and values
      among them.
    - ``power``: 1: all places are equally likely.

    >>> task = MQAR(seq_len=8, vocabulary=12, pairs=2, train_size=20, validation_size=10, test_size=10)
    >>> x, _, target = task.splits(Path()).train
    >>> x.shape, int((target[0] >= 0).sum())  # token ids; two of the steps are asked
    (torch.Size([20, 8]), 2)
    """

    vocabulary: Annotated[int, Field(ge=4, le=1_000_000)] = 8192
    pairs: PositiveInt = 4
    filler: Literal["blank", "random"] = "blank"
    power: Annotated[float, Field(gt=0, le=10)] = 0.01

    def __post_init__(self) -> None:
        if self.pairs > self.keys:
            raise ConfigError(
                "task.pairs",
                self.pairs,
                f"there are only {self.keys:,} different keys",
                f"choose at most {self.keys}, or a larger vocabulary",
                others={"task.vocabulary": self.vocabulary},
            )
        self._check_length(4 * self.pairs, f"task.pairs={self.pairs} pairs of two steps, and as many for the queries")
        few, wanted = min(self.pairs, ENOUGH), sum(self.sizes.values())
        lists = perm(self.keys, few) * perm(self.vocabulary - self.keys - 1, few)
        if lists < 2 * wanted and not self.may_repeat:
            raise ConfigError(
                "task.vocabulary",
                self.vocabulary,
                f"there are only {lists:,} different lists of {self.pairs} pairs, too few for {wanted:,} distinct "
                "examples",
                "choose a larger vocabulary or more pairs",
            )
        self.shape = Shape(
            channels=1, length=self.seq_len, outputs=self.vocabulary, vocabulary=self.vocabulary + 1, per_step=True
        )

    @property
    def keys(self) -> int:
        """How many different keys there are."""
        return self.vocabulary // 2 - 1

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw pairs, and ask for them."""
        shown, rows = 2 * self.pairs, np.arange(n)[:, None]
        keys = 1 + some_of(generator, n, self.keys, self.pairs)
        values = 1 + self.keys + some_of(generator, n, self.vocabulary - self.keys - 1, self.pairs)
        x = np.full((n, self.seq_len), self.vocabulary, dtype=np.int32)
        if self.filler == "random":
            x[:] = generator.integers(1, self.vocabulary + 1, x.shape)
        x[:, 0:shown:2], x[:, 1:shown:2] = keys, values
        likely = np.arange(1.0, (self.seq_len - shown) // 2 + 1) ** (self.power - 1)
        at = shown + 2 * places_of(generator, n, likely, self.pairs)
        x[rows, at] = keys
        target = np.full((n, self.seq_len), IGNORED, dtype=np.int64)
        target[rows, at] = values
        return x, target

    def sample(self, x: Tensor, length: int) -> str:
        """Return keys with a k, values with a v."""
        names = {self.vocabulary: BLANK}
        return " ".join(names.get(one, f"{'k' if one <= self.keys else 'v'}{one}") for one in x[:length].tolist())


@dataclass(kw_only=True)
class SelectiveCopy(Symbolic):
    """Repeat in order the symbols that stood scattered among blanks: only what a step holds says whether to keep it.

    ``symbols`` random symbols stand at random places among the first ``seq_len − symbols`` steps, all others of which
    are blank; then come as many markers, at which the symbols are answered one by one. Only these are counted. Source:
    A. Gu and T. Dao, Mamba, 2023, drawn as the code of S4 draws its copying task with random places: there 16 symbols
    out of a vocabulary of 16, blank and marker included, and 4,096 steps.

    - ``seq_len``: steps, at least ``2 · symbols``.
    - ``symbols``: how many are to be kept.
    - ``values``: how many different symbols there are.

    >>> task = SelectiveCopy(seq_len=12, symbols=3, values=9, train_size=100, validation_size=50, test_size=50)
    >>> x, _, target = task.splits(Path()).train
    >>> x.shape, target[0, :9].unique().tolist()  # one-hot vectors; nothing is asked before the markers
    (torch.Size([100, 12, 11]), [-100])
    """

    symbols: PositiveInt = 16
    values: Annotated[int, Field(ge=2, le=100)] = 14

    def __post_init__(self) -> None:
        self._check_length(2 * self.symbols, f"task.symbols={self.symbols} steps to show and as many to answer")
        places = comb(min(self.seq_len - self.symbols, ENOUGH), min(self.symbols, ENOUGH // 2))
        self._check_variety(self.values, self.symbols, times=places)
        self.shape = Shape(channels=self.values + 2, length=self.seq_len, outputs=self.values, per_step=True)

    @property
    def alphabet(self) -> list[str]:
        """The symbols, the blank and the marker."""
        return [*(f"c{i}" for i in range(self.values)), BLANK, "|"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw symbols, and scatter them."""
        string = generator.integers(self.values, size=(n, self.symbols), dtype=np.int8)
        x = np.full((n, self.seq_len), self.values, dtype=np.int8)
        x[:, -self.symbols :] = self.values + 1
        places = np.sort(places_of(generator, n, np.ones(self.seq_len - self.symbols), self.symbols), 1)
        x[np.arange(n)[:, None], places] = string
        target = np.full((n, self.seq_len), IGNORED, dtype=np.int64)
        target[:, -self.symbols :] = string
        return x, target


def some_of(generator: np.random.Generator, n: int, choices: int, size: int) -> np.ndarray:
    """Draw n times this many different numbers below ``choices``, in random order: ``(n, size)``."""
    return np.stack([generator.choice(choices, size, replace=False) for _ in range(n)])


def places_of(generator: np.random.Generator, n: int, likely: np.ndarray, size: int) -> np.ndarray:
    """Draw n times this many different places, one after the other by their weights ``(places,)``: ``(n, size)``.

    Exponential clocks with these rates ring in just that order (P. Efraimidis and P. Spirakis, 2006).
    """
    first: np.ndarray = (generator.exponential(size=(n, len(likely))) / likely).argsort(1)[:, :size]
    return first
