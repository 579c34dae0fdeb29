"""Statistics for few seeds. Random draws use a given generator, so that results repeat.

A value that is not finite counts as absent wherever numbers are averaged, and lowers ``n``, which tables show beside
every number. When asking whether a task was solved, it counts as not solved.
"""

import math
from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import scipy  # whose parts are imported where they are first used: a table of means needs none of scipy.stats

LEVEL = 0.05
"""Of significance; intervals cover 95 %."""
RESAMPLES = 2000
ENUMERABLE = 200_000
"""Up to this many arrangements are enumerated; beyond that scipy's approximation is used."""


class Estimate(NamedTuple):
    """A mean over seeds.

    - ``half_width``: of the 95 % interval, from Student's t; NaN below two values.
    - ``n``: how many finite values it rests on.
    """

    mean: float
    sd: float
    half_width: float
    n: int


class Interval(NamedTuple):
    """A number and its 95 % interval.

    - ``n``: how many values it rests on.
    """

    value: float
    low: float
    high: float
    n: int


class Comparison(NamedTuple):
    """A two-sided test of no difference.

    - ``p``: NaN where there are too few values.
    - ``n``: pairs, or the smaller of two groups.
    - ``note``: which test it is, or ``n too small for a test``.
    """

    p: float
    n: int
    note: str


TOO_SMALL = "n too small for a test"


def finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the values that are numbers, as floats.

    >>> finite([1, float("nan"), 3])
    array([1., 3.])
    """
    array = np.asarray(values, dtype=float)
    numbers: np.ndarray = array[np.isfinite(array)]
    return numbers


def estimate(values: Sequence[float] | np.ndarray, level: float = LEVEL) -> Estimate:
    """Return mean, sample standard deviation and t-interval, by default of 95 %, of the finite values.

    >>> found = estimate([0.9, 0.92, 0.94])
    >>> round(found.mean, 3), round(found.half_width, 3), found.n
    (0.92, 0.05, 3)
    """
    values = finite(values)
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    if n == 1:
        return Estimate(float(values[0]), math.nan, math.nan, 1)
    sd = float(values.std(ddof=1))
    return Estimate(float(values.mean()), sd, float(scipy.special.stdtrit(n - 1, 1 - level / 2)) * sd / math.sqrt(n), n)


def interquartile_mean(values: np.ndarray) -> float:
    """Return the mean of the middle half: ⌊n/4⌋ values are cut at either end (Agarwal et al. 2021).

    >>> interquartile_mean(np.array([0.0, 4.0, 6.0, 100.0]))
    5.0
    """
    return float(scipy.stats.trim_mean(np.ravel(values), 0.25))


def bootstrap(
    strata: Sequence[np.ndarray],
    statistic: Callable[[np.ndarray], float],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return a statistic with its percentile bootstrap interval; values are drawn anew within each stratum.

    Args:
        strata: the values of each task (or other group) over its runs; one stratum is the plain bootstrap.
        statistic: of all values put together, such as ``interquartile_mean``.
        generator: where the draws come from.
        resamples: how many.

    >>> found = bootstrap([np.array([0.8, 0.9]), np.array([0.1, 0.2])], np.mean, np.random.default_rng(0))
    >>> round(found.value, 3), found.low <= found.value <= found.high, found.n
    (0.5, True, 4)
    """
    kept = [finite(stratum) for stratum in strata]
    n = sum(map(len, kept))
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    value = float(statistic(np.concatenate(kept)))
    if n == 1:
        return Interval(value, math.nan, math.nan, 1)
    drawn = [
        statistic(np.concatenate([generator.choice(stratum, len(stratum)) for stratum in kept]))
        for _ in range(resamples)
    ]
    low, high = np.quantile(drawn, (LEVEL / 2, 1 - LEVEL / 2))
    return Interval(value, float(low), float(high), n)


def paired_test(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> Comparison:
    """Compare pairs by Wilcoxon's signed ranks, exactly for few pairs; ties share ranks, equal pairs are dropped.

    Below six pairs that differ p cannot reach 0.05, whatever the values, and there is no test.

    >>> paired_test([1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0])
    Comparison(p=0.03125, n=6, note='Wilcoxon signed-rank')
    """
    difference = finite(np.asarray(a, dtype=float) - np.asarray(b, dtype=float))
    pairs = len(difference)
    difference = difference[difference != 0]
    n = len(difference)
    if 2 / 2**n > LEVEL:
        return Comparison(1.0, pairs, "no pair differs") if pairs > n == 0 else Comparison(math.nan, pairs, TOO_SMALL)
    name = "Wilcoxon signed-rank"
    if 2**n > ENUMERABLE:
        return Comparison(float(scipy.stats.wilcoxon(difference).pvalue), pairs, name)
    ranks = scipy.stats.rankdata(np.abs(difference))
    balance = np.array(list(product((-1, 1), repeat=n))) @ ranks
    return Comparison(_share_as_extreme(balance, float(np.sign(difference) @ ranks)), pairs, name)


def unpaired_test(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> Comparison:
    """Compare two groups by Mann and Whitney's ranks, exactly for small groups; ties share ranks.

    Where p cannot reach 0.05, as with three against three, there is no test.

    >>> unpaired_test([1, 2, 3, 4], [5, 6, 7, 8])
    Comparison(p=0.02857142857142857, n=4, note='Mann-Whitney')
    """
    a, b = finite(a), finite(b)
    smaller, arrangements = min(len(a), len(b)), math.comb(len(a) + len(b), len(a))
    if smaller == 0 or 2 / arrangements > LEVEL:
        return Comparison(math.nan, smaller, TOO_SMALL)
    name = "Mann-Whitney"
    if arrangements > ENUMERABLE:
        return Comparison(float(scipy.stats.mannwhitneyu(a, b).pvalue), smaller, name)
    ranks = scipy.stats.rankdata(np.concatenate([a, b]))
    sums = np.array([sum(some) for some in combinations(ranks, len(a))]) - len(a) * ranks.mean()
    return Comparison(_share_as_extreme(sums, float(ranks[: len(a)].sum() - len(a) * ranks.mean())), smaller, name)


def _share_as_extreme(possible: np.ndarray, seen: float) -> float:
    return float((np.abs(possible) >= abs(seen) - 1e-9).mean())


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Return p-values corrected for their number (Holm 1979); what is NaN is not a test and stays NaN.

    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), math.nan)
    order = [i for i in np.argsort(p) if not math.isnan(p[i])]
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, p[i] * (len(order) - rank)))
        adjusted[i] = largest
    return adjusted


def hedges_g(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Return the difference of means in pooled standard deviations, corrected for small samples (Hedges 1981).

    >>> round(hedges_g([2, 4, 6], [1, 3, 5]), 3)
    0.4
    """
    a, b = finite(a), finite(b)
    freedom = len(a) + len(b) - 2
    if min(len(a), len(b)) == 0 or freedom < 1:
        return math.nan
    pooled = math.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / freedom)
    if pooled == 0:
        return math.nan
    correction = 1 - 3 / (4 * freedom - 1)
    return float(correction * (a.mean() - b.mean()) / pooled)


def probability_of_improvement(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> float:
    """Return how probable it is that a run of ``a`` beats one of ``b``: Mann and Whitney's U / nm, ties half.

    >>> probability_of_improvement([2, 3], [1, 2])
    0.875
    """
    a, b = finite(a), finite(b)
    if min(len(a), len(b)) == 0:
        return math.nan
    return float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))


def normalised_score(metric: np.ndarray, chance: float | np.ndarray, best: float | np.ndarray) -> np.ndarray:
    """Return ``(metric − chance) / (best − chance)``: 0 is chance, 1 the best, of accuracies and of errors.

    >>> float(normalised_score(0.55, chance=0.1, best=1.0).round(6))
    0.5
    """
    return (np.asarray(metric, dtype=float) - chance) / (np.asarray(best, dtype=float) - chance)


def longest_solved(lengths: Sequence[int], solved: np.ndarray, generator: np.random.Generator) -> Interval:
    """Return the longest length solved, as the median over seeds, with its bootstrap interval.

    A seed's longest length is the largest one up to which it solved every length; 0 if not even the shortest.

    Args:
        lengths: in ascending order.
        solved: whether, ``(seeds, lengths)``; a run that diverged or failed has not.
        generator: where the draws come from.

    >>> solved = np.array([[True, True, False], [True, False, True], [True, True, True]])  # three seeds
    >>> longest_solved([50, 100, 200], solved, np.random.default_rng(0)).value
    100.0
    """
    solved = np.asarray(solved, dtype=bool)
    if solved.ndim != 2 or solved.shape[1] != len(lengths) or list(lengths) != sorted(lengths):
        raise ValueError("solved must be (seeds, lengths), and the lengths must ascend")
    reached = np.cumprod(solved, axis=1).sum(axis=1)
    return bootstrap([np.array([0, *lengths])[reached]], np.median, generator)


class Ranks(NamedTuple):
    """Mean ranks over many tasks (Demšar 2006).

    - ``mean``: the mean rank of each competitor; 1 is best.
    - ``p``: Friedman's, that all are equal.
    - ``critical_difference``: mean ranks closer than this do not differ significantly (Nemenyi, 5 %).
    - ``groups``: competitors, by place in ``mean``, that do not differ significantly; only the largest such groups.
    """

    mean: np.ndarray
    p: float
    critical_difference: float
    groups: tuple[tuple[int, ...], ...]


def critical_difference_ranks(scores: np.ndarray, higher_is_better: bool = True) -> Ranks:
    """Rank competitors over tasks.

    Args:
        scores: ``(tasks, competitors)``, one score each, such as the mean over seeds; NaN ranks last.
        higher_is_better: False for errors.

    Raises:
        ValueError: there are fewer than three competitors or two tasks; compare two by a test.

    >>> scores = np.array([[0.9, 0.8, 0.1], [0.8, 0.7, 0.2], [0.9, 0.6, 0.3]])
    >>> critical_difference_ranks(scores).mean
    array([1., 2., 3.])
    """
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 2 or scores.shape[0] < 2 or scores.shape[1] < 3:
        raise ValueError(f"scores of shape {scores.shape}: ranks need at least two tasks and three competitors")
    tasks, competitors = scores.shape
    ordered = np.where(np.isnan(scores), math.inf, -scores if higher_is_better else scores)
    mean = scipy.stats.rankdata(ordered, axis=1).mean(axis=0)
    same = (ordered == ordered[:, :1]).all()
    p = 1.0 if same else float(scipy.stats.friedmanchisquare(*ordered.T).pvalue)
    critical = nemenyi_critical_difference(competitors, tasks)
    order = np.argsort(mean, kind="stable")
    groups: list[tuple[int, ...]] = []
    for start in range(competitors):
        group = tuple(int(i) for i in order[start:] if mean[i] - mean[order[start]] < critical)
        if len(group) > 1 and not any(set(group) <= set(other) for other in groups):
            groups.append(group)
    return Ranks(mean, p, critical, tuple(groups))


def nemenyi_critical_difference(competitors: int, tasks: int) -> float:
    """Return how far two mean ranks must lie apart to differ significantly at 5 %.

    >>> round(nemenyi_critical_difference(competitors=4, tasks=14), 2)
    1.25
    """
    q = float(scipy.stats.studentized_range.ppf(1 - LEVEL, competitors, math.inf)) / math.sqrt(2)
    return q * math.sqrt(competitors * (competitors + 1) / (6 * tasks))
