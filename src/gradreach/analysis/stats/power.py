"""How many seeds a rule needs, and what it can detect with those it has: by simulation, from pilots."""

import math
from collections.abc import Callable

import numpy as np

from gradreach.analysis.stats.by_example import drawn_interval
from gradreach.analysis.stats.intervals import OUTCOMES, signed_rank_interval
from gradreach.analysis.stats.statistics import Interval, finite

POWER = 0.8
"""The probability with which a rule should decide."""
SWEEPS = 400
"""How many sweeps are simulated for each number of seeds."""
MOST = 400
"""The most seeds to consider."""
ENOUGH = 6
"""Pilots that are drawn from themselves, where their class says nothing of their law."""

Decides = Callable[[Interval], bool]


def power(
    outcome: str,
    draws: np.ndarray,
    level: float,
    decides: Decides,
    seeds: int,
    rng: np.random.Generator,
    truth: float | None = None,
    reference: float = 0.5,
) -> float:
    """Return how often this many seeds decide, simulated from the pilots.

    Means are drawn from a normal distribution that has the pilots' mean and spread, and so are ranks of fewer than six
    pilots; of more, from the pilots themselves, moved and smoothed (source: B. Silverman and G. Young 1987). What is
    true or not is drawn from the pilots' shares, drawn towards one half as far as their number leaves them open
    (source: Jeffreys' prior); a difference of shares that is given, from two sides that know nothing of each other. By
    example, draws have the pilots' variances between seeds and between examples, on as many examples.

    Args:
        outcome: the class, one of ``OUTCOMES``.
        draws: the pilots' values.
        level: α.
        decides: whether an interval does.
        seeds: how many.
        rng: where the draws come from.
        truth: the mean, pseudomedian, share or difference that they are drawn from; by default the pilots'.
        reference: the share of the side that is subtracted, where a difference of shares is given; it gives way where
            the other side would have a share that there is not.

    >>> rng = np.random.default_rng(0)
    >>> power("mean", np.array([4.0, 6.0]), 0.05, lambda found: found.low > 0, 12, rng)
    1.0
    """
    if outcome == "examples":
        return float(np.mean([decides(drawn_interval(draws, level, seeds, rng, truth)) for _ in range(SWEEPS)]))
    deciding = OUTCOMES[outcome].deciding
    made = _drawn(outcome, draws, (SWEEPS, seeds), rng, truth, reference)
    return float(np.mean([decides(deciding(each, level)) for each in made]))


def resampled(outcome: str, draws: np.ndarray) -> bool:
    """Return whether sweeps are resampled from the pilots themselves."""
    return outcome == "ranks" and len(finite(draws)) >= ENOUGH


def _drawn(
    outcome: str,
    draws: np.ndarray,
    shape: tuple[int, int],
    rng: np.random.Generator,
    truth: float | None,
    reference: float,
) -> np.ndarray:
    if outcome in ("mean", "ranks"):
        known = finite(draws)
        mean, spread = known.mean(), known.std(ddof=1)
        if not resampled(outcome, draws):
            return rng.normal(mean if truth is None else truth, spread, shape)
        width = spread * len(known) ** -0.2 / 4  # a quarter of what is best of normal values, as there may be two modes
        wider = rng.choice(known, shape) - mean + width * rng.standard_normal(shape)
        moved = 0.0 if truth is None else truth - signed_rank_interval(known).value
        return np.asarray(mean + moved + wider / math.hypot(1, width / spread))  # with the pilots' spread
    values = [1.0, 0.0] if outcome == "share" else [1.0, 0.0, -1.0]
    counts = np.array([(draws == value).sum() for value in values]) + 0.5
    shares = counts / counts.sum()
    if truth is not None and outcome == "share":
        shares = np.array([truth, 1 - truth])
    elif truth is not None:
        other = min(max(reference, -truth), 1 - truth)  # so that the first side's share is one, too
        more, less = (other + truth) * (1 - other), other * (1 - other - truth)
        shares = np.array([more, 1 - more - less, less])
    shares = shares.clip(0, 1)
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
    reference: float = 0.5,
) -> float | None:
    """Return the truth nearest to a threshold that this many seeds find with a probability of 80 %.

    Args:
        outcome: as for ``power``, and so are the other arguments before the star, and ``reference``.
        threshold: where the search begins.
        furthest: the truth that is furthest from it; infinite: a hundred times the pilots' spread.
        reference: the share of the side that is subtracted.

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

    def found(truth: float) -> bool:
        return power(outcome, draws, level, decides, seeds, rng, truth, reference) >= POWER

    near, far = threshold, furthest
    if not found(far):
        return None
    while abs(far - near) > abs(furthest - threshold) / 10_000:
        middle = (near + far) / 2
        near, far = (near, middle) if found(middle) else (middle, far)
    return far
