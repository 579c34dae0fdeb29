"""One number for a profile: how fast it decays, and how far it reaches."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

REACH_THRESHOLD = 0.01
"""A gradient counts as arrived while its norm is at least this share of the norm at lag 1."""


class Decay(NamedTuple):
    """A straight line through ``ln ‖λ‖`` against lag.

    - ``factor``: what one step multiplies the norm by.
    - ``half_life``: steps in which the norm halves; infinite where it does not decay.
    - ``r2``: how much of the curve the line explains; a curve that is not exponential has no half-life.
    - ``first``, ``last``: the lags between which the line was fitted.
    """

    factor: float
    half_life: float
    r2: float
    first: int
    last: int


def decay(curve: pd.DataFrame, first: int = 1, last: int | None = None) -> Decay:
    """Fit the exponential decay of the median.

    Args:
        curve: the rows of one layer and quantity of a profile.
        first: the smallest lag that counts.
        last: the largest; default all.

    Returns:
        The fit over the lags with a finite norm; NaN with fewer than three of them.
    """
    curve = _one(curve).sort_values("lag")
    window = curve[(curve["lag"] >= first) & (curve["lag"] <= (math.inf if last is None else last))]
    if window["median"].isna().any():
        return Decay(math.nan, math.nan, math.nan, first, first if last is None else last)
    window = window[np.isfinite(window["median"])]
    if len(window) < 3:
        return Decay(math.nan, math.nan, math.nan, first, first if last is None else last)
    lags = window["lag"].to_numpy(float)
    logs = window["median"].to_numpy(float) * math.log(10)
    slope, offset = np.polyfit(lags, logs, 1)
    residual = logs - (slope * lags + offset)
    spread = logs - logs.mean()
    r2 = 1 - float(residual @ residual) / float(spread @ spread) if spread.any() else 1.0
    half_life = math.log(2) / -slope if slope < 0 else math.inf
    return Decay(math.exp(slope), half_life, r2, int(lags[0]), int(lags[-1]))


def half_life(curve: pd.DataFrame, first: int = 1, last: int | None = None) -> float:
    """Return the steps in which the median norm halves: ``decay(curve, first, last).half_life``."""
    return decay(curve, first, last).half_life


def reach(curve: pd.DataFrame, threshold: float = REACH_THRESHOLD) -> float:
    """Return the largest lag whose median norm is at least ``threshold`` of that at lag 1.

    Where the norm at lag 1 is exactly zero (max pooling that chose no late step), that is the largest lag at which
    any gradient arrives.

    Args:
        curve: the rows of one layer and quantity of a profile.
        threshold: the share that counts as arrived.

    Returns:
        A lag; the longest lag of the curve means "at least so far". NaN where the norm is not a number, where there
        is no lag 1, or where no gradient arrives anywhere.
    """
    medians = _one(curve).set_index("lag")["median"]
    reference = medians.get(1, math.nan)
    arrived = medians.index[(medians >= reference + math.log10(threshold)) & ~np.isneginf(medians)]
    return float(arrived.max()) if len(arrived) and np.isfinite(medians.max()) else math.nan


def figures(profile: pd.DataFrame) -> dict[str, float]:
    """Summarise a profile in few scalars.

    Returns:
        ``reach``, ``half_life``, ``r2`` of the fit, ``decay`` (factor of one step) and ``log10_norm`` at lag 1 under
        the names ``x.*`` (input), ``h.*`` and ``c.*``; with several recurrent layers ``h1.*``, ``h2.*`` and so on
        from the bottom; backward directions as ``h_backward.*``. ``nonfinite`` counts norms that are no numbers.
    """
    layers = [layer for layer in profile["layer"].unique() if layer != "input"]
    summary: dict[str, float] = {}
    for (layer, direction, quantity), curve in profile.groupby(["layer", "direction", "quantity"], sort=False):
        number = str(layers.index(layer) + 1) if len(layers) > 1 and layer != "input" else ""
        name = f"{quantity}{number}" + ("_backward" if direction == "backward" else "")
        fitted = decay(curve)
        summary |= {
            f"{name}.reach": reach(curve),
            f"{name}.half_life": fitted.half_life,
            f"{name}.r2": fitted.r2,
            f"{name}.decay": fitted.factor,
            f"{name}.log10_norm": float(curve.set_index("lag")["median"].get(1, math.nan)),
        }
    return {**summary, "nonfinite": float(profile["nonfinite"].sum())}


def _one(curve: pd.DataFrame) -> pd.DataFrame:
    """Insist on one curve: a line through two of them would mean nothing."""
    columns = [name for name in ("layer", "direction", "quantity") if name in curve]
    kinds = curve[columns].drop_duplicates()
    if len(kinds) != 1:
        found = ", ".join(" ".join(map(str, kind)) for kind in kinds.to_numpy()) or "none"
        raise ValueError(
            f"a profile of {len(kinds)} curves ({found}); choose one, as in "
            "profile[(profile.layer == 'lstm') & (profile.quantity == 'h')]"
        )
    return curve
