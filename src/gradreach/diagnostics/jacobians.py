"""Single steps' effect on the gradient, and their Jacobians."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.diagnostics.profile import as_profile, quantiles_by_lag
from gradreach.diagnostics.scaled import log_norm
from gradreach.diagnostics.torch_layers import LSTMSteps
from gradreach.diagnostics.trace import LayerTrace, check_layer, check_model

BLOCKS = {"RNN_TANH": ("h",), "RNN_RELU": ("h",), "GRU": ("r", "z", "n"), "LSTM": ("i", "f", "g", "o")}


def omega(layer: LayerTrace) -> Tensor:
    """Return Pascanu's Ω of each example, ``(batch,)``: ``Σ_t (‖J_tᵀ λ_t‖ / ‖λ_t‖ − 1)²`` over its valid steps.

    The first step is left out: behind it there is no state that training could use; so is one at which no gradient
    arrives. NaN if no step is left, or if one growth factor is not a number. Source: R. Pascanu, T. Mikolov and Y.
    Bengio, On the difficulty of training recurrent neural networks, 2013, equation 9.

    >>> bool((omega(trace(model, batch, loss).layers[0]) > 0).all())  # 0: every step keeps the gradient's norm
    True
    """
    check_layer(layer)
    growth, valid = layer.by_lag(layer.adjoints.growth)
    lags = torch.arange(len(growth), device=growth.device).unsqueeze(1)
    counted = valid & (lags < layer.count - 1) & ~layer.by_lag(layer.adjoints.state.log)[0].isneginf()
    total = torch.where(counted, (growth.exp() - 1) ** 2, 0).sum(0)
    return torch.where(counted.any(0), total, math.nan)


def step_factors(layer: LayerTrace) -> pd.DataFrame:
    """Measure how each step changes the gradient's norm, in the columns of a profile (log10 of factors).

    ``step`` is ``‖J_tᵀ λ_t‖ / ‖λ_t‖``. For an LSTM also the factors of the cell path alone, for the gradient that
    ``c.retain_grad()`` shows, ``dc_t/dc_{t-1} = diag(f_t) + A diag(o_{t-1} (1 − tanh² c_{t-1}))``: ``direct`` of the
    first term (the forget gate), ``indirect`` of the second (through h and the gates), ``cell`` of their sum.
    Undefined values do not count in ``n``: a step without gradient, and the cell path of an example's first step.

    >>> factors = step_factors(trace(model, batch, loss).layers[0])
    >>> factors["quantity"].unique().tolist()
    ['step', 'direct', 'indirect', 'cell']
    """
    check_layer(layer)
    (growth, valid), (log, _) = layer.by_lag(layer.adjoints.growth), layer.by_lag(layer.adjoints.state.log)
    curves = [quantiles_by_lag(layer.layer, layer.direction, "step", growth, valid & ~log.isneginf())]
    if isinstance(layer.steps, LSTMSteps):
        lags = torch.arange(len(valid), device=valid.device).unsqueeze(1)
        parts, arrived = _cell_factors(layer, layer.steps)
        defined = valid & (lags < layer.count - 1) & layer.by_lag(arrived)[0]
        for name, factors in parts.items():
            curves.append(quantiles_by_lag(layer.layer, layer.direction, name, layer.by_lag(factors)[0], defined))
    return as_profile(curves)


@torch.no_grad()
def cell_jacobian(steps: LSTMSteps, t: int) -> tuple[Tensor, Tensor]:
    """Return the direct part of ``dc_t/dc_{t-1}``, ``(batch, width)`` on the diagonal, and the indirect, a matrix.

    The gate ``o_{t-1}`` is held fixed.

    Raises:
        TypeError: they are not the steps of an LSTM.
        ValueError: step t has no previous step.

    >>> steps = trace(model, batch, loss).layers[0].steps
    >>> direct, indirect = cell_jacobian(steps, t=5)
    >>> torch.allclose(direct, steps.f[5]), indirect.shape  # the forget gate, and what goes through h
    (True, torch.Size([64, 8, 8]))
    """
    if not isinstance(steps, LSTMSteps):
        raise TypeError(f"steps must be those of a traced nn.LSTM, layer.steps, not a {type(steps).__name__}")
    if not 1 <= t < steps.length:
        raise ValueError(f"t={t}: choose a step with a previous one, 1 to {steps.length - 1}")
    identity = torch.eye(steps.parts["c"], dtype=torch.float64, device=steps.device)
    rows = identity.unsqueeze(1).expand(-1, steps.batch, -1)
    direct, indirect = _cell_pull(steps, t, rows)
    return torch.diagonal(direct, dim1=0, dim2=2), indirect.transpose(0, 1)


def _cell_pull(steps: LSTMSteps, t: int, of_c: Tensor) -> tuple[Tensor, Tensor]:
    zero = of_c.new_zeros(*of_c.shape[:-1], steps.parts["h"])
    back = steps.pull_back(t, torch.cat([zero, of_c], -1))[0]
    of_h, direct = back.split(list(steps.parts.values()), -1)
    return direct, steps.through_h(t - 1, of_h)


@torch.no_grad()
def _cell_factors(layer: LayerTrace, steps: LSTMSteps) -> tuple[dict[str, Tensor], Tensor]:
    """Return logarithms of the factors, and where there is a gradient for them to act on, ``(length, batch)``."""
    of_h, of_c = layer.adjoints.state.direction.split(list(steps.parts.values()), -1)
    parts: dict[str, list[Tensor]] = {"direct": [], "indirect": [], "cell": []}
    arrived = []
    for t in range(steps.length):
        whole = of_c[t] + steps.through_h(t, of_h[t])
        direct, indirect = _cell_pull(steps, t, whole) if t else (torch.full_like(whole, math.nan),) * 2
        for name, part in (("direct", direct), ("indirect", indirect), ("cell", direct + indirect)):
            parts[name].append(log_norm(part) - log_norm(whole))
        arrived.append((whole != 0).any(-1))
    return {name: torch.stack(logs) for name, logs in parts.items()}, torch.stack(arrived)


def recurrent_matrices(model: nn.Module) -> pd.DataFrame:
    """Return spectral radius and largest singular value of every recurrent matrix of torch's layers, by gate.

    Columns ``layer, direction, block, spectral_radius, largest_singular_value``. The spectral radius describes the
    gradient only for networks without gates, and only near the origin.

    >>> recurrent_matrices(model)["block"].tolist()
    ['i', 'f', 'g', 'o']
    """
    check_model(model)
    rows = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.RNNBase):
            continue
        for layer in range(module.num_layers):
            for direction in ("forward", "backward")[: 1 + module.bidirectional]:
                suffix = "_reverse" if direction == "backward" else ""
                weight = getattr(module, f"weight_hh_l{layer}{suffix}").detach().double().cpu().numpy()
                if module.proj_size:
                    weight = weight @ getattr(module, f"weight_hr_l{layer}{suffix}").detach().double().cpu().numpy()
                label = name if module.num_layers == 1 else f"{name}.{layer}"
                for block, matrix in zip(BLOCKS[module.mode], np.split(weight, len(BLOCKS[module.mode])), strict=True):
                    finite = bool(np.isfinite(matrix).all())
                    radius = float(np.abs(np.linalg.eigvals(matrix)).max()) if finite else math.nan
                    norm = float(np.linalg.norm(matrix, 2)) if finite else math.nan
                    rows.append((label, direction, block, radius, norm))
    return pd.DataFrame(rows, columns=["layer", "direction", "block", "spectral_radius", "largest_singular_value"])
