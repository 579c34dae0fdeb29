"""The product of step Jacobians: exponents, singular values, and how each step acts on the gradient."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.diagnostics.profile import as_profile, quantiles_by_lag
from gradreach.diagnostics.scaled import log_norm
from gradreach.diagnostics.steps import Steps
from gradreach.diagnostics.torch_layers import LSTMSteps
from gradreach.diagnostics.trace import LayerTrace

BLOCKS = {"RNN_TANH": ("h",), "RNN_RELU": ("h",), "GRU": ("r", "z", "n"), "LSTM": ("i", "f", "g", "o")}


@torch.no_grad()
def lyapunov_spectrum(layer: LayerTrace, k: int | None = None, transient: int | None = None) -> Tensor:
    """Return the k largest Lyapunov exponents along each example's trajectory, ``(batch, k)``, in nats a step.

    ``mean ln |R_ii|`` of QR decompositions along the product of Jacobians, run in the direction of the gradient
    (source: G. Benettin et al., 1980; the transposed product has the same singular values).

    Args:
        layer: its valid steps are used.
        k: how many; default all.
        transient: steps that only turn the vectors, uncounted; default a tenth.

    Returns:
        NaN for an example without steps to count. −inf where the product loses a direction altogether.

    Raises:
        ValueError: k is not between 1 and the size of the state.

    >>> layer = trace(model, batch, loss).layers[0]
    >>> exponents = lyapunov_spectrum(layer, k=2)
    >>> exponents.shape, bool((exponents[:, 0] < 0).all())  # this LSTM forgets
    (torch.Size([64, 2]), True)
    """
    steps = layer.steps
    if k is not None and not 1 <= k <= steps.size:
        raise ValueError(f"k={k}: the state has {steps.size} exponents; choose 1 to {steps.size}")
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(steps.size, k or steps.size, generator=generator, dtype=torch.float64)
    q = torch.linalg.qr(start)[0].to(steps.device).expand(steps.batch, -1, -1)
    first = layer.end - layer.count + 1
    skip = layer.count // 10 if transient is None else torch.full_like(layer.count, transient)
    ragged = bool(((layer.end != steps.length - 1) | (first != 0)).any())
    norms = []
    for t in range(steps.length - 1, -1, -1):
        new, norm = _orthonormal(_pull(steps, t, q))
        norms.append(norm)
        q = torch.where(((t <= layer.end) & (t >= first))[:, None, None], new, q) if ragged else new
    times = torch.arange(steps.length - 1, -1, -1, device=steps.device).unsqueeze(1)
    counted = (times <= layer.end - skip) & (times >= first)
    total = torch.where(counted.unsqueeze(-1), torch.stack(norms).log(), 0).sum(0)
    number = counted.sum(0).unsqueeze(-1)
    return torch.where(number > 0, total / number, math.nan).sort(1, descending=True)[0]


def log10_condition_number(exponents: Tensor, steps: int | Tensor) -> Tensor:
    """Return ``log10`` of ``exp(T (λ_1 − λ_k))`` for exponents ``(batch, k)``; T may be each example's own.

    >>> log10_condition_number(torch.tensor([[0.0, -math.log(10)]]), steps=7)
    tensor([7.])
    """
    return steps * (exponents[:, 0] - exponents[:, -1]) / math.log(10)


@torch.no_grad()
def product_singular_values(steps: Steps, sweeps: int = 100, tolerance: float = 1e-10) -> Tensor:
    """Return ``ln σ_i`` of ``J_T … J_1``, ``(batch, size)``, also where no float could hold them. For small widths.

    The product is never formed: QR sweeps through its factors, forwards and backwards, until the diagonals stand
    (source: G. W. Stewart, On graded QR decompositions of products of matrices, 1995).

    Raises:
        RuntimeError: singular values too close together to be told apart in that many sweeps.

    >>> layer = trace(nn.Sequential(nn.RNN(1, 2, batch_first=True), Last()), batch, loss).layers[0]
    >>> product_singular_values(layer.steps).shape
    torch.Size([64, 2])
    """
    identity = torch.eye(steps.size, dtype=torch.float64, device=steps.device).expand(steps.batch, -1, -1)
    # (J_T … J_1)ᵀ = J_1ᵀ … J_Tᵀ; the rightmost factor acts first
    factors = [steps.jacobian(t).mT for t in range(steps.length - 1, -1, -1)]
    before = torch.full_like(identity[:, 0], math.inf)
    for _ in range(sweeps):
        q, triangles, logs = identity, [], torch.zeros_like(before)
        for factor in factors:
            q, r = torch.linalg.qr(factor @ q)
            triangles.append(r)
            logs = logs + r.diagonal(dim1=1, dim2=2).abs().log()
        if bool(((logs - before).abs() <= tolerance * (1 + logs.abs())).logical_or(logs == before).all()):
            return logs.sort(1, descending=True)[0]
        before = logs
        factors = [triangle.mT for triangle in reversed(triangles)]
    raise RuntimeError(f"singular values of the product do not settle in {sweeps} sweeps")


def omega(layer: LayerTrace) -> Tensor:
    """Return Pascanu's Ω of each example, ``(batch,)``: ``Σ_t (‖J_tᵀ λ_t‖ / ‖λ_t‖ − 1)²`` over its valid steps.

    The first step is left out: behind it there is no state that training could use; so is one at which no gradient
    arrives. NaN where none is left, and where one growth is no number. Source: R. Pascanu, T. Mikolov and Y. Bengio,
    On the difficulty of training recurrent neural networks, 2013, equation 9.

    >>> bool((omega(trace(model, batch, loss).layers[0]) > 0).all())  # 0: every step keeps the gradient's norm
    True
    """
    growth, valid = layer.by_lag(layer.adjoints.growth)
    lags = torch.arange(len(growth), device=growth.device).unsqueeze(1)
    counted = valid & (lags < layer.count - 1) & ~layer.by_lag(layer.adjoints.state.log)[0].isneginf()
    total = torch.where(counted, (growth.exp() - 1) ** 2, 0).sum(0)
    return torch.where(counted.any(0), total, math.nan)


def step_factors(layer: LayerTrace) -> pd.DataFrame:
    """Say what each step does to the gradient's norm, in the columns of a profile (log10 of factors).

    ``step`` is ``‖J_tᵀ λ_t‖ / ‖λ_t‖``. For an LSTM also the factors of the cell path alone, for the gradient that
    ``c.retain_grad()`` shows, ``dc_t/dc_{t-1} = diag(f_t) + A diag(o_{t-1} (1 − tanh² c_{t-1}))``: ``direct`` of the
    first term (the forget gate), ``indirect`` of the second (through h and the gates), ``cell`` of their sum.
    What is not defined counts in no ``n``: a step at which no gradient arrives, the cell path of an example's first.

    >>> factors = step_factors(trace(model, batch, loss).layers[0])
    >>> factors["quantity"].unique().tolist()
    ['step', 'direct', 'indirect', 'cell']
    """
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
        ValueError: t is no step with another before it.

    >>> steps = trace(model, batch, loss).layers[0].steps
    >>> direct, indirect = cell_jacobian(steps, t=5)
    >>> torch.allclose(direct, steps.f[5]), indirect.shape  # the forget gate, and what goes through h
    (True, torch.Size([64, 8, 8]))
    """
    if not 1 <= t < steps.length:
        raise ValueError(f"t={t}: choose a step that has one before it, 1 to {steps.length - 1}")
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

    Columns ``layer, direction, block, spectral_radius, largest_singular_value``. Only of a network without gates does
    the spectral radius say what the gradient does, and only near the origin.

    >>> recurrent_matrices(model)["block"].tolist()
    ['i', 'f', 'g', 'o']
    """
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


def _orthonormal(columns: Tensor) -> tuple[Tensor, Tensor]:
    """Return Q and the absolute diagonal of R; of one column that is its direction and its norm."""
    if columns.shape[-1] > 1:
        q, r = torch.linalg.qr(columns)
        return q, r.diagonal(dim1=1, dim2=2).abs()
    norm = torch.linalg.vector_norm(columns, dim=1, keepdim=True)
    return columns / norm.masked_fill(norm == 0, 1), norm.squeeze(1)


def _pull(steps: Steps, t: int, columns: Tensor) -> Tensor:
    """Apply ``J_tᵀ`` to the columns of ``(batch, size, k)``."""
    if columns.shape[-1] == 1:
        return steps.pull_back(t, columns.squeeze(-1))[0].unsqueeze(-1)
    return steps.pull_back(t, columns.permute(2, 0, 1))[0].permute(1, 2, 0)
