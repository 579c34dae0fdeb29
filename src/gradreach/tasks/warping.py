"""A task that is easy but for the time it takes: each character lasts for many steps."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from gradreach.batch import IGNORED
from gradreach.tasks.synthetic import Part, Symbolic
from gradreach.tasks.task import Shape, Splits


@dataclass(kw_only=True)
class Warping(Symbolic):
    """Say at each step which character came before the present one: one character of memory, over warped time.

    No character stands beside itself; all else is uniform. Each lasts for ``max_warp`` steps, or for a random number of
    them; the last one is cut off at the end. While there was none before, the answer is the blank. Inputs may be equal,
    and in test and training too: 500 steps of characters of 100 each have 9 · 8⁴ forms. Source: C. Tallec and
    Y. Ollivier, Can recurrent neural networks warp time?, 2018, §3, pure warpings and paddings.

    - ``seq_len``: steps, more than the longest character has.
    - ``characters``: how many there are, the blank apart.
    - ``warp``: ``uniform``: ``max_warp`` steps each; ``variable``: from 1 to ``max_warp`` of them, uniform.
    - ``max_warp``: the most steps of a character.
    - ``padded``: each character stands for one step, and what is uniform or variable is the number of blanks after it.
      Blanks are not answered.

    >>> task = Warping(seq_len=9, warp="variable", max_warp=3, train_size=100, validation_size=50, test_size=50)
    >>> x, _, target = task.splits(Path()).train
    >>> task.sample(x[0], 9), " ".join(task.classes()[number] for number in target[0])
    ('c0 c0 c0 c1 c4 c8 c8 c8 c1', '· · · c0 c1 c4 c4 c4 c8')
    """

    characters: Annotated[int, Field(ge=3, le=100)] = 9
    warp: Literal["uniform", "variable"] = "uniform"
    max_warp: Annotated[int, Field(ge=1, le=100_000)] = 10
    padded: bool = False

    repeats = True

    def __post_init__(self) -> None:
        longest = self.max_warp + self.padded
        self._check_length(longest + 1, f"a step more than the longest character, {longest} with its blanks")
        size = self.characters + 1
        self.shape = Shape(channels=size, length=self.seq_len, outputs=size, per_step=True)

    @property
    def alphabet(self) -> list[str]:
        """The characters and the blank."""
        return [*(f"c{i}" for i in range(self.characters)), "·"]

    def classes(self) -> list[str]:
        """Return the characters and the blank."""
        return self.alphabet

    def chance(self, splits: Splits) -> float:
        """Return it as a mean over sequences, as the score is: padded ones differ in how many steps are answered."""
        most = torch.bincount(splits.train.target[splits.train.target != IGNORED]).argmax()
        logits = torch.nn.functional.one_hot(most, self.shape.outputs).expand(*splits.test.target.shape, -1)
        return float(self.score(logits.double(), splits.test.target).mean())

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw characters, and how long each of them lasts."""
        shortest = (self.max_warp if self.warp == "uniform" else 1) + self.padded
        most = -(-self.seq_len // shortest)
        string = generator.integers(1, self.characters, (n, most))  # from each character to the next
        string[:, 0] = generator.integers(self.characters, size=n)
        string = string.cumsum(1) % self.characters
        before = np.full_like(string, self.characters)
        before[:, 1:] = string[:, :-1]
        lasts = generator.integers(shortest, self.max_warp + self.padded + 1, (n, most))
        begins = np.zeros((n, self.seq_len + 1), dtype=np.int64)
        begins[np.arange(n)[:, None], lasts.cumsum(1).clip(max=self.seq_len)] = 1
        begins = begins[:, :-1]
        at = begins.cumsum(1)
        x, target = np.take_along_axis(string, at, 1), np.take_along_axis(before, at, 1)
        if self.padded:
            begins[:, 0] = 1
            x[begins == 0], target[begins == 0] = self.characters, IGNORED
        return x.astype(np.int8), target
