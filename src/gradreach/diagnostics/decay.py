"""Summarizes a profile: how fast it decays, and how far it reaches."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

REACH_THRESHOLD = 0.01
"""A gradient counts as arrived while its norm is at least this share of the norm at lag 1."""


ROUNDING = 1e-12
"""A curve that varies by no more than this share is constant: float64 rounding adds up to that much."""

CURVE = ("stage", "layer", "direction", "quantity")
"""Columns that identify a curve of a profile."""


class Decay(NamedTuple):
    """A straight line through ``ln ‖λ‖`` against lag.

    - ``factor``: by which one step multiplies the norm.
    - ``half_life``: steps in which the norm halves; infinite if it does not decay.
    - ``r2``: how much of the curve the line explains; a curve that is not exponential has no half-life.
    - ``first``, ``last``: the lags between which the line was fitted.

    >>> Decay(factor=0.5, half_life=1.0, r2=1.0, first=1.0, last=9.0).half_life
    1.0
    """

    factor: float
    half_life: float
    r2: float
    first: float
    last: float


def decay(curve: pd.DataFrame, first: int = 1, last: int | None = None) -> Decay | pd.DataFrame:
    """Fit the exponential decay of the median.

    Args:
        curve: the rows of one layer and quantity of a profile, or a whole profile.
        first: the smallest lag of the fit.
        last: the largest; default all.

    Returns:
        The fit over the lags with a finite norm; NaN with fewer than three of them. For several curves a table with one
        row each.

    >>> curve = pd.DataFrame({"lag": [1, 2, 3, 4], "median": [0, -1, -2, -3]})  # a tenth is left after each step
    >>> round(decay(curve).factor, 6), decay(curve).r2
    (0.1, 1.0)
    """
    found = _of_each(curve, lambda lags, medians: _decay(lags, medians, first, math.inf if last is None else last))
    return pd.DataFrame(found.tolist(), found.index, Decay._fields) if isinstance(found, pd.Series) else found


def _decay(lags: np.ndarray, medians: np.ndarray, first: float = 1, last: float = math.inf) -> Decay:
    inside = (lags >= first) & (lags <= last)
    counted = inside & np.isfinite(medians)
    if counted.sum() < 3 or np.isnan(medians[inside]).any():
        return Decay(math.nan, math.nan, math.nan, first, last)
    x, y = lags[counted], medians[counted] * math.log(10)
    from_mean, spread = x - x.mean(), y - y.mean()
    if np.ptp(y) <= ROUNDING * (1 + np.abs(y).max()):
        return Decay(1.0, math.inf, 1.0, x[0], x[-1])
    slope = float(from_mean @ spread) / float(from_mean @ from_mean)
    residual = spread - slope * from_mean
    r2 = 1 - float(residual @ residual) / float(spread @ spread)
    half_life = math.log(2) / -slope if slope < 0 else math.inf
    return Decay(math.exp(slope), half_life, r2, x[0], x[-1])


def half_life(curve: pd.DataFrame, first: int = 1, last: int | None = None) -> float | pd.Series:
    """Return the steps in which the median norm halves: ``decay(curve, first, last).half_life``.

    >>> curve = pd.DataFrame({"lag": [1, 2, 3], "median": [0.0, -0.30103, -0.60206]})  # log10: halved at each step
    >>> round(half_life(curve), 4)
    1.0
    """
    return decay(curve, first, last).half_life


def reach(curve: pd.DataFrame, threshold: float = REACH_THRESHOLD) -> float | pd.Series:
    """Return the largest lag whose median norm is at least ``threshold`` of that at lag 1.

    Where the norm at lag 1 is exactly zero (max pooling that chose no late step), that is the largest lag at which
    any gradient arrives.

    Args:
        curve: the rows of one layer and quantity of a profile, or a whole profile.
        threshold: the share that counts as arrived, above 0.

    Returns:
        A lag; the longest lag of the curve means "at least so far". NaN if the norm is not a number, if there is no lag
        1, or if no gradient arrives anywhere. For several curves one value each.

    Raises:
        ValueError: the threshold is not above 0.

    >>> profile = gradient_profile(model, batch, loss)
    >>> curve = profile[profile["quantity"] == "h"]
    >>> reach(curve) < reach(curve, threshold=1e-6)
    True
    """
    if not threshold > 0:
        raise ValueError(f"threshold={threshold}: must be above 0, since every gradient is at least 0")
    reached: float | pd.Series = _of_each(curve, lambda lags, medians: _reach(lags, medians, threshold))
    return reached


def _reach(lags: np.ndarray, medians: np.ndarray, threshold: float = REACH_THRESHOLD) -> float:
    if not (lags == 1).any() or np.isnan(medians).any() or np.isposinf(medians).any():
        return math.nan
    arrived = lags[(medians >= medians[lags == 1] + math.log10(threshold)) & ~np.isneginf(medians)]
    return float(arrived.max()) if len(arrived) else math.nan


def figures(profile: pd.DataFrame) -> dict[str, float]:
    """Summarize a profile in a few scalars.

    Returns:
        ``reach``, ``half_life``, ``r2`` of the fit, ``decay`` (factor of one step) and ``log10_norm`` at lag 1 under
        the names ``x.*`` (input), ``h.*`` and ``c.*``; with several recurrent layers ``h1.*``, ``h2.*`` and so on
        from the bottom; backward directions as ``h_backward.*``; layers without a recurrence as ``y1.*``, ``y2.*``.
        ``probe.nonfinite`` counts norms that are not finite.

    >>> [name for name in figures(gradient_profile(model, batch, loss)) if name.startswith("h.")]
    ['h.reach', 'h.half_life', 'h.r2', 'h.decay', 'h.log10_norm']
    """
    found = figures_by_curve(profile)
    states = curve_names([(layer, direction) for layer, direction, quantity in found if quantity in "hc"])
    given = curve_names([(layer, direction) for layer, direction, quantity in found if quantity == "y"])
    summary: dict[str, float] = {}
    for (layer, direction, quantity), values in found.items():
        names = {"x": {(layer, direction): ""}, "y": given}.get(quantity, states)
        summary |= {f"{quantity}{names[layer, direction]}.{name}": value for name, value in values.items()}
    return {**summary, "probe.nonfinite": float(profile["nonfinite"].sum())}


def figures_by_curve(profile: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, float]]:
    """Return ``reach``, ``half_life``, ``r2``, ``decay`` and ``log10_norm`` of each layer, direction and quantity."""
    check_profile(profile, "layer", "direction", "quantity", "lag", "median", "nonfinite")
    rows: dict[tuple[str, str, str], list[int]] = {}  # by hand: grouping by pandas takes longer than everything else
    for row, key in enumerate(zip(*(profile[name] for name in ("layer", "direction", "quantity")), strict=True)):
        rows.setdefault(key, []).append(row)
    all_lags, all_medians = (profile[name].to_numpy(float) for name in ("lag", "median"))
    found = {}
    for key, curve in rows.items():
        lags, medians = all_lags[curve], all_medians[curve]
        fitted, at_one = _decay(lags, medians), medians[lags == 1]
        found[key] = {
            "reach": _reach(lags, medians),
            "half_life": fitted.half_life,
            "r2": fitted.r2,
            "decay": fitted.factor,
            "log10_norm": float(at_one[0]) if len(at_one) else math.nan,
        }
    return found


def check_profile(profile: object, *columns: str) -> None:
    """Check that the argument is a profile.

    Raises:
        TypeError: it is something else.
    """
    missing = [name for name in columns if not isinstance(profile, pd.DataFrame) or name not in profile]
    if missing:
        found = f"table without {', '.join(missing)}" if isinstance(profile, pd.DataFrame) else type(profile).__name__
        raise TypeError(f"the profile must be what gradient_profile(model, batch, loss) returns, not a {found}")


def curve_names(kinds: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return suffixes for the names of several layers and directions: ``1``, ``2_backward``, or nothing."""
    layers = list(dict.fromkeys(layer for layer, _ in kinds))
    numbers = {layer: str(i) if len(layers) > 1 else "" for i, layer in enumerate(layers, start=1)}
    return {kind: numbers[kind[0]] + ("_backward" if kind[1] == "backward" else "") for kind in kinds}


def _of_each(profile: pd.DataFrame, measure: Callable[[np.ndarray, np.ndarray], Any]) -> Any:
    """Apply a function of lags and medians: for one curve return the value itself, for several one value each.

    Raises:
        TypeError: it is not a profile.
        ValueError: there is no curve.
    """
    check_profile(profile, "lag", "median")
    if profile.empty:
        raise ValueError("the profile has no curves: the chosen layer or quantity is not in it")

    def of(curve: pd.DataFrame) -> Any:
        curve = curve.sort_values("lag")
        return measure(curve["lag"].to_numpy(float), curve["median"].to_numpy(float))

    columns = [name for name in CURVE if name in profile]
    if not columns:
        return of(profile)
    found = {kind: of(curve) for kind, curve in profile.groupby(columns, sort=False)}
    if len(found) == 1:
        return next(iter(found.values()))
    return pd.Series(list(found.values()), pd.MultiIndex.from_tuples(found, names=columns))
