"""Two problems that the LSTM of 1997 was tried on, and its trials: one sequence a step, until a criterion is met.

Source: S. Hochreiter and J. Schmidhuber, Long short-term memory, 1997, sections 5.4, 5.6 and 5.7.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import nan

import numpy as np

from gradreach.published.computations.truncated_lstm import Array, compiled

Drawn = tuple[Array, Array, Array]
BLOCKS, SIZE = 2, 2
"""Memory cell blocks, and cells of a block."""
WIDEST = 0.1
"""The largest initial weight, but for the biases of input gates."""
MOST = 2_000_000
"""Sequences after which a trial is given up; their longest of experiment 4 took 2,020,000, at ten times the length."""
AT_ONCE = 500
"""How many sequences are drawn at a time."""


@dataclass(frozen=True)
class Problem:
    """A problem, the network for it, and when it is learned.

    - ``draw``: a generator and n → inputs ``(n, longest, inputs)``, lengths ``(n,)``, targets ``(n, outputs)``.
    - ``biases``: initial ones of the input gates.
    - ``right``: a sequence is right if the absolute error of every output is below this.
    - ``average``: the largest average of absolute errors.
    - ``power``: of the errors that are compared with these two while it learns.
    - ``ranges``: the largest values of g and h.
    """

    draw: Callable[[np.random.Generator, int], Drawn]
    inputs: int
    outputs: int
    biases: tuple[float, ...]
    right: float
    average: float
    power: int = 1
    ranges: tuple[float, float] = (2.0, 1.0)

    def weights(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Draw initial weights: ``hidden`` and ``readout`` of ``present``."""
        units = BLOCKS * (2 + SIZE)
        hidden = generator.uniform(-WIDEST, WIDEST, (units, self.inputs + units + 1))
        hidden[:BLOCKS, -1] = self.biases
        return hidden, generator.uniform(-WIDEST, WIDEST, (self.outputs, BLOCKS * SIZE + 1))

    def sequences(self, generator: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Draw sequences without end: inputs ``(length, inputs)``, target ``(outputs,)``."""
        while True:
            for x, length, target in zip(*self.draw(generator, AT_ONCE), strict=True):
                yield x[:length], target


class Criterion:
    """When a trial ends: the last ``window`` sequences were right, and the average of their errors is small.

    >>> criterion = Criterion(right=0.3, average=0.1, window=2)
    >>> [criterion.met(np.array([error])) for error in (0.0, 0.4, 0.1, 0.2, 0.0, -0.1)]
    [False, False, False, False, False, True]
    """

    def __init__(self, right: float, average: float, window: int) -> None:
        self.right, self.average, self.in_a_row = right, average, 0
        self.recent: deque[float] = deque(maxlen=window)

    def met(self, errors: Array) -> bool:
        """Count the errors ``(outputs,)`` of one more sequence; return whether the criterion is met by now."""
        size = np.abs(errors)
        self.recent.append(float(size.mean()))
        self.in_a_row = self.in_a_row + 1 if size.max() < self.right else 0
        return self.all_right and sum(self.recent) < self.average * len(self.recent)

    @property
    def all_right(self) -> bool:
        """Whether the last ``window`` sequences were right."""
        return self.in_a_row >= (self.recent.maxlen or 0)


def adding(generator: np.random.Generator, n: int) -> Drawn:
    """Draw sequences of the adding problem at T = 100, section 5.4: see ``Problem.draw``.

    A task of ours has one length, and no marks of −1: hence another.

    >>> x, lengths, targets = adding(np.random.default_rng(0), 2)
    >>> x.shape, targets.shape, x[0, [0, lengths[0] - 1], 1]
    ((2, 110, 2), (2, 1), array([-1., -1.]))
    """
    lengths, rows = generator.integers(100, 111, n), np.arange(n)
    x = np.zeros((n, 110, 2))
    x[:, :, 0] = generator.uniform(-1, 1, (n, 110))
    first, second = generator.integers(10, size=n), generator.integers(49, size=n)
    second += second >= first  # among those not marked yet
    x[rows, first, 1] = x[rows, second, 1] = 1
    x[x[:, 0, 1] == 1, 0, 0] = 0
    x[:, 0, 1] = x[rows, lengths - 1, 1] = -1
    return x, lengths, 0.5 + (x[rows, first, :1] + x[rows, second, :1]) / 4


def temporal_order(generator: np.random.Generator, n: int) -> Drawn:
    """Draw sequences of task 6a, section 5.6, over E, B, a, b, c, d, X and Y: see ``Problem.draw``.

    A task of ours has one length, and neither E nor B: hence another.

    >>> x, lengths, targets = temporal_order(np.random.default_rng(0), 2)
    >>> shown = "".join("EBabcdXY"[i] for i in x[0, : lengths[0]].argmax(1))
    >>> shown[:20], shown[-1], targets[0]  # of XX, XY, YX, YY
    ('EbbaaaadcdccYccccdbd', 'B', array([0., 0., 1., 0.]))
    """
    lengths, rows = generator.integers(100, 111, n), np.arange(n)
    symbols, which = generator.integers(2, 6, (n, 110)), generator.integers(2, size=(n, 2))
    symbols[rows, generator.integers(10, 21, n) - 1] = 6 + which[:, 0]  # steps count from 1
    symbols[rows, generator.integers(50, 61, n) - 1] = 6 + which[:, 1]
    symbols[:, 0], symbols[rows, lengths - 1] = 0, 1
    return np.eye(8)[symbols], lengths, np.eye(4)[which @ [2, 1]]


ADDING = Problem(adding, inputs=2, outputs=1, biases=(-3.0, -6.0), right=0.04, average=0.01)
ORDER = Problem(temporal_order, inputs=8, outputs=4, biases=(-2.0, -4.0), right=0.3, average=0.1)


def first_lstm_adding(
    seed: int,
    *,
    rate: float = 0.5,
    squared: bool = False,
    swapped: bool = False,
    most: int = MOST,
    window: int = 2000,
    tested: int = 2560,
) -> dict[str, float]:
    """Run a trial on the adding problem at T = 100: learn until the criterion is met, then test.

    Args:
        seed: of initial weights, training sequences and test sequences.
        rate: of learning.
        squared: whether the criterion takes squared errors in place of absolute ones; the test never does.
        swapped: whether g and h have the range of the other.
        most: sequences after which it is given up, and tested nevertheless.
        window: the most recent sequences that have to be right.
        tested: sequences of the test.

    Returns:
        ``sequences``, learned from until the criterion was met; ``all_right``, until the first half of it was, that the
        most recent ones were right; NaN where that never was. ``wrong``, of the tested; ``error``, their average
        absolute error.

    >>> found = first_lstm_adding(0, most=10, tested=100)
    >>> found["sequences"], found["wrong"] > 50
    (nan, True)
    """
    ranges = ADDING.ranges[::-1] if swapped else ADDING.ranges
    return _trial(replace(ADDING, power=2 if squared else 1, ranges=ranges), seed, rate, most, window, tested)


def first_lstm_order(
    seed: int, *, rate: float = 0.5, most: int = MOST, window: int = 2000, tested: int = 2560
) -> dict[str, float]:
    """Run a trial on temporal order, task 6a; see ``first_lstm_adding``.

    >>> found = first_lstm_order(0, most=10, tested=100)
    >>> found["sequences"], found["wrong"]
    (nan, 100.0)
    """
    return _trial(ORDER, seed, rate, most, window, tested)


def _trial(problem: Problem, seed: int, rate: float, most: int, window: int, tested: int) -> dict[str, float]:
    start, training, test = (np.random.default_rng([seed, stream]) for stream in range(3))
    weights, present = problem.weights(start), compiled()
    criterion = Criterion(problem.right, problem.average, window)
    met: dict[str, float] = {}
    for count, shown in enumerate(islice(problem.sequences(training), most), 1):
        errors = present(*weights, *shown, rate, *problem.ranges)
        learned = criterion.met(np.abs(errors) ** problem.power)
        if criterion.all_right:
            met.setdefault("all_right", count)
        if learned:
            met["sequences"] = count
            break
    errors = np.abs(
        [present(*weights, *shown, 0.0, *problem.ranges) for shown in islice(problem.sequences(test), tested)]
    )
    found = {name: met.get(name, nan) for name in ("sequences", "all_right")}
    return found | {"wrong": float((errors.max(1) >= problem.right).sum()), "error": float(errors.mean())}
