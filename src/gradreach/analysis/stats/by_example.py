"""Two networks on one test set, example by example: both seeds and examples are random draws."""

import math
from typing import NamedTuple

import numpy as np
import scipy

from gradreach.analysis.stats.statistics import LEVEL, Interval


class Spread(NamedTuple):
    """Variances of a difference measured for each seed on each example.

    - ``seeds``, ``examples``: between the means of seeds, and of examples, in the limit of very many of the other.
    - ``rest``: the interaction: a seed that does well on one example and not on another.
    """

    seeds: float
    examples: float
    rest: float


def example_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the mean difference of two networks, with an interval over draws of seeds and of test examples alike.

    What a paired bootstrap that resamples both seeds and examples estimates (A. Owen 2007, The pigeonhole bootstrap;
    of examples alone R. Dror et al. 2018, of what a seed draws X. Bouthillier et al. 2021) is here in closed form: the
    variance is that of the seeds' means ÷ seeds + that of the examples' means ÷ examples. The interaction counts in
    both, so that the interval is wide rather than narrow. Its ends are Student's t, with degrees of freedom by F.
    Satterthwaite (1946): a percentile of six resampled seeds is too near at the levels that parts and looks share. Of
    examples two are added, one that either network alone gets right (D. Bonett and R. Price 2012), as normal theory
    fails if nearly all examples have the same outcome.

    Args:
        values: ``(seeds, examples)``, 1 where the first network alone is right, −1 where the second is, else 0. A seed
            with NaN is absent.
        level: 1 minus the wanted coverage.

    Returns:
        ``n`` is the number of seeds; the ends are NaN of fewer than two seeds, or of fewer than two examples.

    >>> values = np.zeros((6, 500))
    >>> values[:, :20] = 1  # always the same twenty
    >>> found = example_interval(values)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.04, 0.022, 0.058)
    """
    values = values[~np.isnan(values).any(1)]
    seeds, examples = values.shape
    if not values.size:
        return Interval(math.nan, math.nan, math.nan, seeds)
    mean = float(values.mean())
    if seeds < 2 or examples < 2:
        return Interval(mean, math.nan, math.nan, seeds)
    return interval_of(mean, float(values.mean(1).var(ddof=1)), float(values.mean(0).var(ddof=1)), values.shape, level)


def accuracy_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the accuracy of one network, with an interval over draws of seeds and of test examples alike.

    As of ``example_interval``, of right and wrong: the two examples that are added are one of each.

    Args:
        values: ``(seeds, examples)``, 1 where it is right, 0 where not. A seed with NaN is absent.
        level: 1 minus the wanted coverage.

    >>> values = np.ones((6, 100))
    >>> values[:, :4] = 0  # always the same four
    >>> found = accuracy_interval(values)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.96, 0.908, 0.994)
    """
    found = example_interval(2 * values - 1, level)
    return Interval((found.value + 1) / 2, (found.low + 1) / 2, (found.high + 1) / 2, found.n)


def interval_of(
    mean: float, of_seeds: float, of_examples: float, shape: tuple[int, ...], level: float = LEVEL
) -> Interval:
    """Return the interval of ``example_interval`` from what it rests on.

    Args:
        mean: over all.
        of_seeds: the variance of the seeds' means.
        of_examples: that of the examples' means.
        shape: how many seeds and examples.
        level: 1 minus the wanted coverage.
    """
    seeds, examples = shape
    total = examples + 2  # with one that is won and one that is lost
    squares = (examples - 1) * of_examples + examples * mean**2 + 2
    centre = mean * examples / total
    by_seed, by_example = of_seeds / seeds, (squares / total - centre**2) / (total - 1)
    variance = by_seed + by_example
    freedom = variance**2 / (by_seed**2 / (seeds - 1) + by_example**2 / (total - 1))
    half = float(scipy.special.stdtrit(freedom, 1 - level / 2)) * math.sqrt(variance)
    return Interval(mean, centre - half, centre + half, seeds)


def spread_of(values: np.ndarray) -> Spread:
    """Return the variances of seeds, examples and the rest, by the mean squares of a two-way table (R. Fisher 1925).

    Args:
        values: ``(seeds, examples)``, two of each at least.
    """
    seeds, examples = values.shape
    by_seed, by_example = values.mean(1), values.mean(0)
    rest = values - by_seed[:, None] - by_example + values.mean()
    square = float((rest**2).sum()) / ((seeds - 1) * (examples - 1))
    return Spread(
        max(0.0, float(by_seed.var(ddof=1)) - square / examples),
        max(0.0, float(by_example.var(ddof=1)) - square / seeds),
        square,
    )


def drawn_interval(
    values: np.ndarray, level: float, seeds: int, rng: np.random.Generator, truth: float | None = None
) -> Interval:
    """Return the interval of a made-up sweep that is like some runs, with this many seeds on a test set as large.

    Mean and variances are drawn as those of a two-way table of normal numbers are, with the variances of these runs.

    Args:
        values: of the runs, as for ``example_interval``.
        level: 1 minus the wanted coverage.
        seeds: how many.
        rng: where the draws come from.
        truth: the mean that they are drawn from; by default that of the runs.
    """
    spread, examples = spread_of(values), values.shape[1]
    of_seeds, of_examples = spread.seeds + spread.rest / examples, spread.examples + spread.rest / seeds
    variance = spread.seeds / seeds + of_examples / examples
    mean = float(rng.normal(values.mean() if truth is None else truth, math.sqrt(variance)))
    of_seeds *= float(rng.chisquare(seeds - 1)) / (seeds - 1)
    of_examples *= float(rng.chisquare(examples - 1)) / (examples - 1)
    return interval_of(mean, of_seeds, of_examples, (seeds, examples), level)


def mcnemar(values: np.ndarray) -> float:
    """Return the p-value of McNemar's exact test of one pair of runs: are both as often right where the other is not?

    Source: Q. McNemar 1947; exact by the binomial distribution with one half. It is of this pair of runs alone: another
    seed may say otherwise.

    Args:
        values: of each example 1 where the first alone is right, −1 where the second is, else 0.

    >>> round(mcnemar(np.array([1] * 9 + [-1] + [0] * 90)), 4)
    0.0215
    """
    more, less = int((values == 1).sum()), int((values == -1).sum())
    return min(1.0, 2 * float(scipy.special.bdtr(min(more, less), more + less, 0.5)))
