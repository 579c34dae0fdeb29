"""Short patterns in noise: where they are, in what order, and whether a model cares."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gradreach.errors import ConfigError
from gradreach.tasks.synthetic import Part, Synthetic
from gradreach.tasks.task import Shape

Region = Literal["anywhere", "left", "right", "centre", "edge"]
LEAST_NOISE = 1e-6
"""Less is lost where it is added to a pattern in 32 bits: examples would be equal."""


@dataclass(kw_only=True)
class InNoise(Synthetic):
    """Patterns with root mean square 1 in Gaussian noise.

    - ``motif_length``: steps of a pattern.
    - ``noise``: standard deviation; a pattern has root mean square 1.
    - ``data_seed``: draws patterns and examples.
    """

    motif_length: Annotated[int, Field(ge=1, le=10_000)] = 8
    noise: Annotated[float, Field(ge=0, le=1e6)] = 0.3

    motifs = 2
    """How many patterns there are."""

    def __post_init__(self) -> None:
        if self.motifs > self.motif_length:
            raise ConfigError(
                "task.motif_length",
                self.motif_length,
                f"{self.motifs} patterns of this length cannot all be orthogonal",
                f"choose {self.motifs} or more",
            )
        if self.noise < LEAST_NOISE:
            raise ConfigError(
                "task.noise",
                self.noise,
                "training and test would share examples",
                f"choose {LEAST_NOISE:g} or more",
            )

    @cached_property
    def patterns(self) -> np.ndarray:
        """``(motifs, motif_length)``, orthogonal to each other, drawn from the data seed."""
        generator = np.random.default_rng([self.data_seed, 1_000_000])
        orthogonal, _ = np.linalg.qr(generator.standard_normal((self.motif_length, self.motifs)))
        patterns: np.ndarray = (orthogonal.T * self.motif_length**0.5).astype(np.float32)
        return patterns

    def hide(self, generator: np.random.Generator, which: list[np.ndarray], at: list[np.ndarray]) -> np.ndarray:
        """Draw noise and add pattern ``which[i]`` at step ``at[i]``, both ``(n,)``, for every i."""
        n, steps = len(which[0]), np.arange(self.patterns.shape[1])
        x = (self.noise * generator.standard_normal((n, self.seq_len))).astype(np.float32)
        for pattern, start in zip(which, at, strict=True):
            x[np.arange(n)[:, None], start[:, None] + steps] += self.patterns[pattern]
        return x[:, :, None]

    def starts(self, region: Region) -> np.ndarray:
        """Return the steps at which a pattern can begin that stands wholly within a region."""
        length, third, half = self.motif_length, self.seq_len // 3, self.seq_len // 2
        last = self.seq_len - length
        bounds = {
            "anywhere": (0, last),
            "left": (0, half - length),
            "right": (half, last),
            "centre": (third, 2 * third - length),
            "edge": (0, last),
        }
        first, end = bounds[region]
        if end < first:
            parts = {"anywhere": 1, "edge": 1, "left": 2, "right": 2, "centre": 3}[region]
            raise ConfigError(
                "seq_len",
                self.seq_len,
                f"a motif of {length} steps does not fit into region '{region}'",
                f"choose {parts * length} or more",
            )
        return np.unique([0, last]) if region == "edge" else np.arange(first, end + 1)


@dataclass(kw_only=True)
class Motif(InNoise):
    """Say which pattern stands somewhere in noise.

    Regions, each holding the whole pattern: ``anywhere``; ``left`` and ``right`` half; ``centre``, the middle third;
    ``edge``, flush with the first or the last step. Validation is of the training region: choosing on the test
    region would be choosing on the test.

    - ``motifs``: how many patterns (classes), 2 to ``motif_length``.
    - ``train_region``, ``test_region``: where the pattern may stand.
    """

    motifs: Annotated[int, Field(ge=1, le=1024)] = 4
    train_region: Region = "anywhere"
    test_region: Region = "anywhere"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.motifs < 2:
            raise ConfigError("task.motifs", self.motifs, "choose 2 or more: each motif is a class")
        inside, outside = self.starts(self.train_region), self.starts(self.test_region)
        self.regions: dict[Part, np.ndarray] = {"train": inside, "validation": inside, "test": outside}
        self.shape = Shape(channels=1, length=self.seq_len, outputs=self.motifs)

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Hide one pattern."""
        which = generator.integers(len(self.patterns), size=n)
        return self.hide(generator, [which], [generator.choice(self.regions[part], n)]), which


@dataclass(kw_only=True)
class Position(InNoise):
    """Say where patterns stand in noise, not which.

    - ``rule``: ``order``: two patterns, A and B, which comes first; ``half``: one pattern, in which half it stands.
    """

    rule: Literal["order", "half"] = "order"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_length(2 * self.motif_length, f"enough steps for two motifs of {self.motif_length} steps")
        self.shape = Shape(channels=1, length=self.seq_len, outputs=2)

    def classes(self) -> list[str]:
        """Return what the two answers are called."""
        return ["A before B", "B before A"] if self.rule == "order" else ["left", "right"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Hide one or two patterns."""
        answer = generator.integers(2, size=n)
        if self.rule == "half":
            left, right = (generator.choice(self.starts(region), n) for region in ("left", "right"))
            return self.hide(generator, [np.zeros(n, dtype=np.int64)], [np.where(answer, right, left)]), answer
        length = self.motif_length
        room = self.seq_len - 2 * length + 1
        first, second = np.sort(generator.integers(room, size=(n, 2)), axis=1).T
        return self.hide(generator, [answer, 1 - answer], [first, second + length]), answer
