"""Outcome classes: the kind of numbers behind a part of a claim, which determines its interval; declared before runs.

Each interval holds what it estimates with at least the probability 1 − α, of numbers of its class: Student's t of
means that are near normal, signed ranks of differences of any symmetric kind, exact binomial of solved or not, both
seeds and examples of a small test set. Differences need not be symmetric, as where some runs have solved a task and
some have not; so a part that rests on signed ranks is decided only where the median's interval agrees, which holds
whatever the law.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import scipy

from gradreach.analysis.stats.by_example import accuracy_interval, example_interval
from gradreach.analysis.stats.statistics import LEVEL, Interval, estimate, finite
from gradreach.rounding import number

WORST = 1e300
"""The value of an infinite difference in averages: a diverged run is worse than any other."""


class Outcome(NamedTuple):
    """A class of outcomes.

    - ``words``: its test, for people.
    - ``estimate``: what its value is.
    - ``interval``: of values, one a seed or pair, at a level α.
    - ``extremes``: of this many values those that leave least open; None where any number of them may decide.
    - ``scale``: what 1 is in the unit of thresholds: shares are in per cent.
    - ``side``: of one side of a comparison by itself, where that is of another kind than differences are.
    - ``agrees``: another interval that has to lie as the first does before anything is decided.
    """

    words: str
    estimate: str
    interval: Callable[[np.ndarray, float], Interval]
    extremes: Callable[[int], list[np.ndarray]] | None = None
    scale: float = 1.0
    side: Callable[[np.ndarray, float], Interval] | None = None
    agrees: Callable[[np.ndarray, float], Interval] | None = None

    def deciding(self, values: np.ndarray, level: float) -> Interval:
        """Return the interval that decides: from the outermost ends of both, where there are two."""
        found = self.interval(values, level)
        if self.agrees is None:
            return found
        other = self.agrees(values, level)
        return found._replace(low=min(found.low, other.low), high=max(found.high, other.high))

    def of_side(self, values: np.ndarray, level: float) -> Interval:
        """Return the interval of one side of a comparison by itself, of one value a seed."""
        return (self.side or self.interval)(values, level)


def mean_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the mean of draws that are near normal, with its t-interval.

    >>> found = mean_interval([0.9, 0.92, 0.94])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.92, 0.87, 0.97)
    """
    mean, _, half, n = estimate(values, level)
    return Interval(mean, mean - half, mean + half, n)


def signed_rank_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the pseudomedian of differences, with the interval that inverts Wilcoxon's exact test of signed ranks.

    Its ends are order statistics of the means of all pairs (source: J. L. Hodges and E. L. Lehmann 1963; J. W. Tukey's
    construction). Infinite differences count, as larger than any other. With ties it holds more than it promises.

    It covers what it promises only of differences that lie symmetrically about their middle. Of a mixture it does not:
    70 % N(0, 1) and 30 % N(−30, 3) have a pseudomedian of −11.9, which twelve of them miss in 1.3 % where 0.2 % are
    promised. So of itself it decides no part: ``median_interval`` has to agree.

    Returns:
        NaN for ends where there are too few values for any interval at this level.

    >>> signed_rank_interval([1, 2, 3, 4, 5, 6])
    Interval(value=3.5, low=1.0, high=6.0, n=6)
    """
    numbers = np.asarray(values, dtype=float)
    numbers = np.clip(numbers[~np.isnan(numbers)], -WORST, WORST)
    n = len(numbers)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    halves = numbers / 2
    means = np.sort((halves[:, None] + halves)[np.triu_indices(n)])
    means[np.abs(means) > WORST / 4] *= math.inf
    with np.errstate(invalid="ignore"):
        middle = means[(len(means) - 1) // 2] / 2 + means[len(means) // 2] / 2
    value = 0.0 if math.isnan(middle) else float(middle)
    cut = int(np.searchsorted(_signed_rank_cdf(n), level / 2, side="right")) - 1  # the largest sum that is that rare
    if cut < 0:
        return Interval(value, math.nan, math.nan, n)
    return Interval(value, float(means[cut]), float(means[-1 - cut]), n)


def median_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the median with the interval that inverts the exact sign test: it holds whatever the law.

    Its ends are order statistics, as many values in from either end as a fair coin allows (source: W. R. Thompson
    1936). It exists for as many values as that of signed ranks does: 2 / 2ⁿ ≤ α. Infinite values count.

    Returns:
        NaN for ends where there are too few values for any interval at this level.

    >>> median_interval([1, 2, 3, 4, 5, 6])
    Interval(value=3.5, low=1.0, high=6.0, n=6)
    """
    numbers = np.asarray(values, dtype=float)
    numbers = np.sort(numbers[~np.isnan(numbers)])
    n = len(numbers)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    one, other = numbers[(n - 1) // 2], numbers[n // 2]
    value = float(one if one == other else 0.0 if math.isinf(one) and math.isinf(other) else (one + other) / 2)
    cut = int(np.searchsorted(scipy.special.bdtr(np.arange(n), n, 0.5), level / 2, side="right")) - 1
    if cut < 0:
        return Interval(value, math.nan, math.nan, n)
    return Interval(value, float(numbers[cut]), float(numbers[-1 - cut]), n)


APART = 0.5
"""Standard deviations between mean and median from which on values are called lopsided."""


def lopsided(values: Sequence[float] | np.ndarray) -> bool:
    """Return whether values are far from symmetric: mean and median lie half a standard deviation apart, or more.

    Values of which some are infinite are, unless they are so both ways.

    >>> lopsided([0, 1, 2, 3, 4, 5]), lopsided([0, 0, 1, 1, 1, -30, -31])
    (False, True)
    """
    numbers = np.asarray(values, dtype=float)
    numbers = numbers[~np.isnan(numbers)]
    if np.isinf(numbers).any():
        return bool(np.isposinf(numbers).sum() != np.isneginf(numbers).sum())
    spread = float(numbers.std(ddof=1)) if len(numbers) > 2 else 0.0
    return spread > 0 and abs(float(numbers.mean() - np.median(numbers))) >= APART * spread


@cache
def _signed_rank_cdf(n: int) -> np.ndarray:
    """Return P(W ≤ w) of the sum of positive ranks, w = 0 … n(n+1)/2, without ties."""
    ways = np.zeros(n * (n + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, n + 1):
        ways[rank:] += ways[:-rank].copy()
    return np.asarray(np.cumsum(ways) / 2.0**n)


def share_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the share of true values, with its exact binomial interval (source: Clopper and Pearson 1934).

    Args:
        values: 1 for true, 0 for false.
        level: 1 minus the wanted coverage.

    Raises:
        ValueError: a value is neither.

    >>> found = share_interval([1, 1, 1, 1, 1, 1])
    >>> found.value, round(found.low, 3), found.high
    (1.0, 0.541, 1.0)
    """
    values = finite(values)
    if len(strange := values[~np.isin(values, (0.0, 1.0))]):
        raise ValueError(f"a share takes only values of 0 and 1, not {number(strange[0], 'g')}")
    n = len(values)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    low, high = _clopper_pearson(int(values.sum()), n, level)
    return Interval(float(values.mean()), low, high, n)


def share_difference_interval(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the difference between the shares of true values on both sides of pairs, with an exact interval.

    The share of pairs in which only the first is true, minus that in which only the second is; either has an exact
    interval at half the level, so that both hold at once.

    Args:
        values: of each pair 1, 0 or −1.
        level: 1 minus the wanted coverage.

    >>> found = share_difference_interval([1] * 10 + [0, 0])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.833, 0.169, 0.986)
    """
    values = finite(values)
    n = len(values)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    more, less = (_clopper_pearson(int((values == side).sum()), n, level / 2) for side in (1, -1))
    return Interval(float(values.mean()), more[0] - less[1], more[1] - less[0], n)


def _clopper_pearson(k: int, n: int, level: float) -> tuple[float, float]:
    low = float(scipy.special.betaincinv(k, n - k + 1, level / 2)) if k else 0.0
    high = float(scipy.special.betaincinv(k + 1, n - k, 1 - level / 2)) if k < n else 1.0
    return low, high


def extent(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Interval:
    """Return the range of values that do not depend on the seed, such as parameter counts: no test is needed.

    >>> extent([160, 160])
    Interval(value=160.0, low=160.0, high=160.0, n=2)
    """
    values = finite(values)
    if not len(values):
        return Interval(math.nan, math.nan, math.nan, 0)
    return Interval(float(values.mean()), float(values.min()), float(values.max()), len(values))


def _alike(*values: float) -> Callable[[int], list[np.ndarray]]:
    return lambda n: [np.full(n, value) for value in values]


OUTCOMES = {
    "mean": Outcome("Student's t", "mean", mean_interval),
    "ranks": Outcome(
        "signed ranks", "pseudomedian", signed_rank_interval, _alike(WORST, -WORST, 0), agrees=median_interval
    ),
    "share": Outcome("exact binomial", "share", share_interval, _alike(1, 0), 100.0),
    "fixed": Outcome("no test: the same in every run", "value", extent),
    "share difference": Outcome(
        "exact binomial, of pairs",
        "difference of shares",
        share_difference_interval,
        _alike(1, -1, 0),
        100.0,
        share_interval,
    ),
    "examples": Outcome(
        "Student's t over seeds and examples", "mean difference", example_interval, None, 100.0, accuracy_interval
    ),
    "rounds": Outcome("signed ranks, over rounds", "pseudomedian", signed_rank_interval, _alike(WORST, -WORST, 0)),
}
"""The outcome classes that a part may declare."""
