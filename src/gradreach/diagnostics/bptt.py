"""Backpropagation through time, term by term: which lag teaches the weights how much."""

import math

import pandas as pd
import torch
from torch import Tensor

from gradreach.diagnostics.scaled import Scaled
from gradreach.diagnostics.torch_layers import TorchSteps
from gradreach.diagnostics.trace import LayerTrace

COLUMNS = ["layer", "direction", "weight", "lag", "share", "log10_norm"]


@torch.no_grad()
def bptt_terms(layer: LayerTrace) -> dict[str, Tensor]:
    """Return the terms of ``dL/dW = Σ_k (∂⁺s_k/∂W)ᵀ λ_k`` by the lag of k, summed over examples.

    Returns:
        ``W_x`` (torch's ``weight_ih``) and ``W_s`` (``weight_hh``), each ``(lags, rows, columns)``: their sum over
        lags is the gradient of the summed loss. Terms below 10^-308 are zero here; ``bptt_shares`` knows them.
    """
    terms = {}
    for weight, cotangent, reads in _factors(layer):
        left = cotangent.direction * cotangent.log.exp().unsqueeze(-1)
        terms[weight] = torch.einsum("lbi,lbj->lij", left, reads)
    return terms


@torch.no_grad()
def bptt_shares(layer: LayerTrace) -> pd.DataFrame:
    """Say which share of ``dL/dW_x`` and ``dL/dW_s`` each lag contributes.

    Returns:
        Columns ``layer, direction, weight, lag, share, log10_norm``. ``share`` is the term's component along the whole
        gradient, divided by that gradient's norm: shares sum to 1, and one is negative where its lag pulls against
        the others. ``log10_norm`` is the norm of the term itself, of the loss summed over examples.

    Raises:
        ValueError: the layer is not one of torch's, so that its weights have no such names.
    """
    rows = []
    for weight, cotangent, reads in _factors(layer):
        logs = cotangent.log
        finite = logs[logs.isfinite()]
        reference = float(finite.max()) if len(finite) else 0.0
        left = cotangent.direction * (logs - reference).exp().unsqueeze(-1)
        whole = torch.einsum("lbi,lbj->ij", left, reads)
        along = torch.einsum("lbi,ij,lbj->l", left, whole, reads) / whole.square().sum()
        own = logs.amax(1)
        own = own.masked_fill(own.isneginf(), 0)
        left = cotangent.direction * (logs - own.unsqueeze(1)).exp().unsqueeze(-1)
        squares = ((left @ left.mT) * (reads @ reads.mT)).sum((1, 2)).clamp_min(0)
        norms = (squares.log() / 2 + own) / math.log(10)
        facts = {"layer": layer.layer, "direction": layer.direction, "weight": weight}
        lags = range(len(along))
        rows.append(pd.DataFrame({**facts, "lag": lags, "share": along.cpu(), "log10_norm": norms.cpu()}))
    return pd.concat(rows, ignore_index=True)[COLUMNS]


def _factors(layer: LayerTrace) -> list[tuple[str, Scaled, Tensor]]:
    """Return, for each weight, what arrives at its rows and what its columns read, by lag; zero where invalid."""
    steps = layer.steps
    if not isinstance(steps, TorchSteps):
        raise ValueError(f"{layer.layer}: weights of W_x and W_s are known of torch's layers only")
    inner, valid = layer.by_lag(layer.adjoints.inner.direction)
    logs = layer.by_lag(layer.adjoints.inner.log)[0].masked_fill(~valid, -math.inf)
    pairs = (("W_x", steps.input_part, steps.x), ("W_s", steps.state_part, steps.previous))
    return [(name, Scaled(part(inner), logs), layer.by_lag(reads)[0]) for name, part, reads in pairs]
