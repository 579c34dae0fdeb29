"""The gradient profile: the size of the loss gradient, step by step back from the step that the loss reads."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.batch import Batch
from gradreach.diagnostics.probes import Loss
from gradreach.diagnostics.steps import parts_of
from gradreach.diagnostics.trace import Trace, trace

COLUMNS = ["layer", "direction", "quantity", "lag", "q10", "median", "q90", "n", "nonfinite"]


def gradient_profile(model: nn.Module, batch: Batch, loss: Loss, dtype: torch.dtype = torch.float64) -> pd.DataFrame:
    """Measure the norm of each example's own gradient by lag.

    Args:
        model: called as ``model(x)``, or ``model(x, lengths)`` where the batch has lengths. Every ``nn.RNN``,
            ``nn.LSTM`` and ``nn.GRU`` within is measured, layer by layer; every ``Stepwise`` layer; and the input of
            any model. It is copied, so it does not change.
        batch: the probe, ``(x, lengths, target)``.
        loss: ``(output, target) -> (batch,)``, each example's loss, not their mean.
        dtype: what the forward pass computes in, float32 or float64.

    Returns:
        The columns of ``profile_of``.

    Raises:
        ValueError: see ``trace``.

    >>> profile = gradient_profile(model, batch, loss)
    >>> profile[["layer", "quantity"]].drop_duplicates().values.tolist()
    [['input', 'x'], ['lstm', 'h'], ['lstm', 'c']]
    >>> curve = profile[profile["quantity"] == "h"].set_index("lag")["median"]
    >>> bool(curve[1] > curve[10] > curve[19])  # it vanishes
    True
    """
    return profile_of(trace(model, batch, loss, dtype))


def profile_of(traced: Trace) -> pd.DataFrame:
    """Summarise a trace over its examples.

    Returns:
        One row for each layer, direction, quantity and lag. ``layer`` is the module's name, or ``input``;
        ``direction`` is the way the layer runs, ``forward`` or ``backward``; ``quantity`` is ``h`` or ``c``
        (``dL/dh_t``, ``dL/dc_t``: total derivatives, h and c taken as independent), ``x`` (``dL/dx_t``), or ``y`` of
        a layer without a recurrence (``dL/dy_t``, by what it gives); ``lag``
        counts steps back from the last valid one, of a backward direction from the first input; ``q10``, ``median``,
        ``q90`` are quantiles over the ``n`` examples of **log10** of the norm, −inf where it is exactly zero and NaN
        where that of one example is not a number; ``nonfinite`` counts such examples.

    >>> traced = trace(model, batch, loss)  # once for all quantities
    >>> profile_of(traced).equals(gradient_profile(model, batch, loss))
    True
    """
    if not isinstance(traced, Trace):
        raise TypeError(f"traced must be what trace(model, batch, loss) returns, not a {type(traced).__name__}")
    curves = [quantiles_by_lag("input", "forward", "x", *traced.input_by_lag())]
    for layer in traced.layers:
        for quantity, part in parts_of(layer.steps, layer.adjoints.state).items():
            curves.append(quantiles_by_lag(layer.layer, layer.direction, quantity, *layer.by_lag(part.log_norm())))
    curves += [quantiles_by_lag(name, "forward", "y", *traced.output_by_lag(name)) for name in traced.outputs]
    return as_profile(curves)


def as_profile(curves: Sequence[Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Concatenate curves."""
    return pd.DataFrame({column: np.concatenate([curve[column] for curve in curves]) for column in COLUMNS})


def quantiles_by_lag(layer: str, direction: str, quantity: str, logs: Tensor, valid: Tensor) -> dict[str, np.ndarray]:
    """Turn ``(lags, batch)`` natural logarithms into quantiles of log10."""
    log10, there = logs.cpu().numpy() / math.log(10), valid.cpu().numpy()
    bad = (there & (np.isnan(log10) | np.isposinf(log10))).sum(1)
    ordered, n = np.sort(np.where(there, log10, np.inf), axis=1), there.sum(1)
    columns = {
        name: np.where(bad > 0, np.nan, _quantile(ordered, n, q))
        for name, q in (("q10", 0.1), ("median", 0.5), ("q90", 0.9))
    }
    names = {"layer": layer, "direction": direction, "quantity": quantity}
    facts = {key: np.full(len(n), name, dtype=object) for key, name in names.items()}
    return {**facts, "lag": np.arange(len(n)), **columns, "n": n, "nonfinite": bad}


def _quantile(ordered: np.ndarray, n: np.ndarray, q: float) -> np.ndarray:
    """Take a quantile of the first n of each row; between −inf and a number nothing is interpolated."""
    if not len(n):
        return np.empty(0)
    position = (n - 1) * q
    low = np.take_along_axis(ordered, np.floor(position).astype(int)[:, None], axis=1)[:, 0]
    high = np.take_along_axis(ordered, np.ceil(position).astype(int)[:, None], axis=1)[:, 0]
    with np.errstate(invalid="ignore"):
        between = low + (high - low) * (position % 1)
    return np.where(np.isneginf(low), low, between)
