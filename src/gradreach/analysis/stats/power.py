"""How many seeds a rule needs, and what it can find with those it has: by simulation, from pilots."""

import math
from collections.abc import Callable

import numpy as np

from gradreach.analysis.stats.by_example import drawn_interval
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.statistics import Interval

POWER = 0.8
"""With what probability a rule is to decide."""
SWEEPS = 400
"""How many sweeps are made up for each number of seeds."""
MOST = 400
"""Seeds; what needs more is not planned."""

Decides = Callable[[Interval], bool]


def power(
    outcome: str,
    draws: np.ndarray,
    level: float,
    decides: Decides,
    seeds: int,
    rng: np.random.Generator,
    truth: float | None = None,
) -> float:
    """Return how often so many seeds decide, drawn as pilots were.

    Means and ranks are drawn from a normal distribution that has the pilots' mean and spread; what is true or not,
    from the pilots' shares, drawn towards one half as far as their number leaves them open (source: Jeffreys' prior);
    by example, with the pilots' variances between seeds and between examples, on as many examples.

    Args:
        outcome: the class, one of ``OUTCOMES``.
        draws: the pilots' values.
        level: α.
        decides: whether an interval does.
        seeds: how many.
        rng: where the draws come from.
        truth: the mean, share or difference that they are drawn from; by default the pilots'.

    >>> rng = np.random.default_rng(0)
    >>> power("mean", np.array([4.0, 6.0]), 0.05, lambda found: found.low > 0, 12, rng)
    1.0
    """
    if outcome == "examples":
        return float(np.mean([decides(drawn_interval(draws, level, seeds, rng, truth)) for _ in range(SWEEPS)]))
    interval = OUTCOMES[outcome].interval
    made = _drawn(outcome, draws, (SWEEPS, seeds), rng, truth)
    return float(np.mean([decides(interval(each, level)) for each in made]))


def _drawn(
    outcome: str, draws: np.ndarray, shape: tuple[int, int], rng: np.random.Generator, truth: float | None
) -> np.ndarray:
    if outcome in ("mean", "ranks"):
        known = draws[np.isfinite(draws)]
        return rng.normal(known.mean() if truth is None else truth, known.std(ddof=1), shape)
    values = [1.0, 0.0] if outcome == "share" else [1.0, 0.0, -1.0]
    counts = np.array([(draws == value).sum() for value in values]) + 0.5
    shares = counts / counts.sum()
    if truth is not None:
        less = 0.0 if outcome == "share" else min(shares[2], (1 - truth) / 2)
        more = truth + less
        shares = np.array([more, 1 - more - less, less][: len(values)]).clip(0, 1)
    return rng.choice(values, shape, p=shares / shares.sum())


def seeds_needed(
    outcome: str, draws: np.ndarray, level: float, decides: Decides, rng: np.random.Generator
) -> int | None:
    """Return the least number of seeds that decide with a probability of 80 %; None where ``MOST`` do not.

    The arguments are those of ``power``.

    >>> rng = np.random.default_rng(0)
    >>> seeds_needed("mean", np.array([-1.0, 0, 1, 2, 3]), 0.05, lambda found: found.low > 0, rng)
    23
    """
    low, high = 2, MOST
    if power(outcome, draws, level, decides, high, rng) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(outcome, draws, level, decides, middle, rng) >= POWER else (middle, high)
    return high


def smallest_found(
    outcome: str,
    draws: np.ndarray,
    level: float,
    decides: Decides,
    seeds: int,
    rng: np.random.Generator,
    *,
    threshold: float,
    furthest: float,
) -> float | None:
    """Return the truth nearest to a threshold that so many seeds find with a probability of 80 %.

    Args:
        outcome: as for ``power``, and so are the other arguments before the star.
        threshold: where the search begins.
        furthest: the truth that is furthest from it; infinite: a hundred times the pilots' spread.

    Returns:
        None where not even the furthest is found.

    >>> rng = np.random.default_rng(0)
    >>> draws = np.array([-1.0, 0, 1, 2, 3])
    >>> found = smallest_found("mean", draws, 0.05, lambda f: f.low > 0, 24, rng, threshold=0, furthest=math.inf)
    >>> round(found, 1)
    1.0
    """
    if math.isinf(furthest):
        furthest = threshold + math.copysign(100 * float(draws[np.isfinite(draws)].std(ddof=1)), furthest)
    near, far = threshold, furthest
    if power(outcome, draws, level, decides, seeds, rng, far) < POWER:
        return None
    while abs(far - near) > abs(furthest - threshold) / 10_000:
        middle = (near + far) / 2
        found = power(outcome, draws, level, decides, seeds, rng, middle) >= POWER
        near, far = (near, middle) if found else (middle, far)
    return far
