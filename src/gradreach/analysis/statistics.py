"""What few seeds allow to say."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats


class Estimate(NamedTuple):
    """A mean over seeds.

    - ``half_width``: of the 95 % interval, from Student's t; NaN below two values.
    - ``n``: how many finite values it rests on.
    """

    mean: float
    sd: float
    half_width: float
    n: int


def estimate(values: np.ndarray) -> Estimate:
    """Return mean, sample standard deviation and 95 % t-interval.

    Values that are not finite (a half-life of a gradient that does not decay) are left out and so lower ``n``.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    if n == 1:
        return Estimate(float(values[0]), math.nan, math.nan, 1)
    sd = float(values.std(ddof=1))
    return Estimate(float(values.mean()), sd, float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n), n)
