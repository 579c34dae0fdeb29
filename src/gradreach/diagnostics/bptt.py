"""Backpropagation through time, term by term: how much each lag contributes to the weights' gradient."""

import math
from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from gradreach.diagnostics.scaled import log_norm
from gradreach.diagnostics.steps import Step
from gradreach.diagnostics.trace import LayerTrace, check_layer

COLUMNS = ["layer", "direction", "weight", "lag", "share", "log10_norm"]
EPSILON = torch.finfo(torch.float64).eps


@torch.no_grad()
def bptt_terms(layer: LayerTrace) -> dict[str, Tensor]:
    """Return the terms of ``dL/dW = Σ_k (∂⁺s_k/∂W)ᵀ λ_k`` by the lag of k, summed over examples.

    Returns:
        For torch's layers ``W_x`` (``weight_ih``) and ``W_s`` (``weight_hh``), for others all parameters by name; each
        ``(lags, *shape)``. Their sum over lags is the gradient of the summed loss. Terms below 10^-308 are zero here;
        ``bptt_shares`` knows them.

    >>> layer = trace(model, batch, loss).layers[0]
    >>> terms = bptt_terms(layer)
    >>> {name: tuple(term.shape) for name, term in terms.items()}  # (lags, gates of 8 units, ...)
    {'W_x': (20, 32, 1), 'W_s': (20, 32, 8)}
    """
    check_layer(layer)
    found = [{weight: term * log.exp() for weight, term in terms.items()} for terms, log in _terms_by_lag(layer)]
    return {weight: torch.stack([terms[weight] for terms in found]) for weight in found[0]} if found else {}


@torch.no_grad()
def bptt_shares(layer: LayerTrace) -> pd.DataFrame:
    """Return the share of each weight's gradient that each lag contributes.

    Returns:
        Columns ``layer, direction, weight, lag, share, log10_norm``, weights named as in ``bptt_terms``. ``share`` is
        the term's component along the whole gradient, divided by that gradient's norm: shares sum to 1, and a negative
        one works against the others; NaN if the whole gradient is zero, up to rounding. ``log10_norm`` is the norm of
        the term itself, of the loss summed over examples.

    >>> layer = trace(model, batch, loss).layers[0]
    >>> shares = bptt_shares(layer).groupby("weight")["share"].sum()
    >>> shares.round(6).to_dict()
    {'W_s': 1.0, 'W_x': 1.0}
    """
    check_layer(layer)
    largest = _finite_max(layer.by_lag(layer.adjoints.state.log)[0])
    whole: dict[str, Tensor] = {}
    sizes: dict[str, Tensor] = {}
    for terms, log in _terms_by_lag(layer):
        for weight, term in terms.items():
            scaled = term * (log - largest).exp()
            whole[weight] = whole.get(weight, 0) + scaled
            sizes[weight] = sizes.get(weight, 0) + scaled.abs()
    for weight, sum_of_sizes in sizes.items():  # what is left of terms that cancel is rounding, and has no direction
        if bool(whole[weight].norm() <= 100 * EPSILON * sum_of_sizes.norm()):
            whole[weight] = torch.zeros_like(whole[weight])
    rows = []
    # the terms once more instead of all at once: lags times weights are too many to hold
    for lag, (terms, log) in enumerate(_terms_by_lag(layer)):
        for weight, term in terms.items():
            along = (term * whole[weight]).sum() * (log - largest).exp() / whole[weight].square().sum()
            norm = (log_norm(term.flatten()) + log) / math.log(10)
            rows.append((layer.layer, layer.direction, weight, lag, float(along), float(norm)))
    order = {weight: number for number, weight in enumerate(whole)}
    rows.sort(key=lambda row: order[row[2]])
    return pd.DataFrame(rows, columns=COLUMNS)


def _terms_by_lag(layer: LayerTrace) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Give, lag by lag, the term of each weight, and the natural logarithm of what it has to be multiplied by."""
    steps, arrived = layer.steps, layer.adjoints
    (x, valid), (previous, _) = layer.by_lag(steps.x), layer.by_lag(steps.previous)
    adjoint, inner = layer.by_lag(arrived.state.direction)[0], layer.by_lag(arrived.inner.direction)[0]
    logs = layer.by_lag(arrived.state.log)[0].masked_fill(~valid, -math.inf)
    for lag in range(len(x)):
        log = _finite_max(logs[lag])
        scale = (logs[lag] - log).exp().unsqueeze(1)
        yield steps.weight_gradients(Step(x[lag], previous[lag], adjoint[lag] * scale, inner[lag] * scale)), log


def _finite_max(logs: Tensor) -> Tensor:
    """Return the largest finite value; if there is none, the smallest float, so that nothing is scaled up."""
    return torch.cat([logs[logs.isfinite()], logs.new_full((1,), torch.finfo(logs.dtype).min)]).amax()
