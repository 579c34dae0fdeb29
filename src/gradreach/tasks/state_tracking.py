"""Regular languages: a few states, changed by every symbol; the answer is the last one.

The three that G. Delétang et al., Neural networks and the Chomsky hierarchy, 2023, test beside parity, as their code
draws them. They append an empty token, at which the answer is read; here it is read at the last symbol, as it is of
``parity``.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from gradreach.tasks.synthetic import Part, Symbolic
from gradreach.tasks.task import Shape

OPERATORS = ("+", "-", "*")


@dataclass(kw_only=True)
class ModularArithmetic(Symbolic):
    """Evaluate a sum of products, ``1 + 2 * 3 - 4``, modulo 5. There are no brackets, and * comes before + and −.

    Numbers 0 … ``modulus`` − 1 and operators + − * alternate, all uniform. An expression has an odd number of symbols:
    of an even ``seq_len`` the source takes one less; here the last step then shows a blank, a symbol that the source
    has too. Source: G. Delétang et al., 2023, modular arithmetic (simple); without its empty token.

    - ``seq_len``: steps.
    - ``modulus``: the answer is one of this many numbers.

    >>> task = ModularArithmetic(seq_len=11, train_size=100, validation_size=50, test_size=50)
    >>> x, _, target = task.splits(Path()).train
    >>> task.sample(x[0], 11), int(target[0])
    ('4 - 0 * 1 - 2 * 1 * 3', 3)
    """

    modulus: Annotated[int, Field(ge=2, le=100)] = 5

    def __post_init__(self) -> None:
        numbers = (self.seq_len + 1) // 2
        self._check_variety(self.modulus * len(OPERATORS), numbers - 1, times=self.modulus)
        self.shape = Shape(channels=len(self.alphabet), length=self.seq_len, outputs=self.modulus)

    @property
    def alphabet(self) -> list[str]:
        """The numbers, the operators and the blank."""
        return [*map(str, range(self.modulus)), *OPERATORS, "_"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw expressions, and evaluate them."""
        x = np.full((n, self.seq_len), len(self.alphabet) - 1, dtype=np.int8)
        numbers = generator.integers(self.modulus, size=(n, (self.seq_len + 1) // 2))
        operators = generator.integers(len(OPERATORS), size=(n, numbers.shape[1] - 1))
        x[:, 0::2][:, : numbers.shape[1]] = numbers
        x[:, 1 : 2 * numbers.shape[1] - 1 : 2] = self.modulus + operators
        total, product = np.zeros(n, dtype=np.int64), numbers[:, 0]
        for operator, number in zip(operators.T, numbers.T[1:], strict=True):
            times, sign = operator == 2, np.where(operator == 1, -1, 1)
            total = np.where(times, total, total + product) % self.modulus
            product = np.where(times, product * number, sign * number) % self.modulus
        return x, (total + product) % self.modulus


@dataclass(kw_only=True)
class CycleNavigation(Symbolic):
    """Say where a walk on a cycle ends that starts at place 0: each step goes back, stays, or goes on; all is uniform.

    Source: G. Delétang et al., 2023, cycle navigation; without its empty token.

    - ``seq_len``: steps.
    - ``places``: of the cycle.

    >>> task = CycleNavigation(seq_len=10, train_size=100, validation_size=50, test_size=50)
    >>> x, _, target = task.splits(Path()).train
    >>> task.sample(x[0], 10), int(target[0])
    ('+1 -1 -1 0 -1 0 +1 -1 0 -1', 2)
    """

    places: Annotated[int, Field(ge=2, le=1000)] = 5
    alphabet = ("-1", "0", "+1")

    def __post_init__(self) -> None:
        self._check_variety(3, self.seq_len)
        self.shape = Shape(channels=3, length=self.seq_len, outputs=self.places)

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw walks."""
        x = generator.integers(3, size=(n, self.seq_len))
        return x, (x - 1).sum(1) % self.places


@dataclass(kw_only=True)
class EvenPairs(Symbolic):
    """Say whether a string of a and b holds ab and ba an even or an odd number of times together; all is uniform.

    It is even where the first symbol is the last one. Source: G. Delétang et al., 2023, even pairs; without its empty
    token.

    - ``seq_len``: steps.

    >>> task = EvenPairs(seq_len=10, train_size=100, validation_size=50, test_size=50)
    >>> x, _, target = task.splits(Path()).train
    >>> task.sample(x[0], 10), task.classes()[target[0]]
    ('b a a a a b b a a a', 'odd')
    """

    alphabet = ("a", "b")

    def __post_init__(self) -> None:
        self._check_variety(2, self.seq_len)
        self.shape = Shape(channels=2, length=self.seq_len, outputs=2)

    def classes(self) -> list[str]:
        """Return even and odd."""
        return ["even", "odd"]

    def draw(self, generator: np.random.Generator, n: int, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Draw strings."""
        x = generator.integers(2, size=(n, self.seq_len))
        return x, (x[:, 1:] != x[:, :-1]).sum(1) % 2
