"""The gradient profile: how large the loss's gradient is, step by step back from where the loss reads."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.diagnostics.replay import log_adjoints, log_norm, replay
from gradreach.tasks.batch import Batch

COLUMNS = ["layer", "quantity", "lag", "q10", "median", "q90", "n"]


def gradient_profile(
    model: nn.Module,
    batch: Batch,
    loss: Callable[[Tensor, Tensor], Tensor],
    dtype: torch.dtype = torch.float64,
) -> pd.DataFrame:
    """Measure the norm of each example's own gradient by lag.

    The model is copied, so nothing of it changes: no weight, no mode, no gradient, no random state.

    Args:
        model: called as ``model(x, lengths)``; every single-layer ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` within is
            measured, and the input of any model.
        batch: the probe, with floating ``x (batch, length, channels)``.
        loss: ``(output, target) -> (batch,)``, each example's loss, not their mean.
        dtype: what the copy computes in.

    Returns:
        One row for each layer, quantity and lag. ``layer`` is the module's name, or ``input``; ``quantity`` is ``h``
        or ``c`` (``dL/dh_t``, ``dL/dc_t``: total derivatives) or ``x`` (``dL/dx_t``); ``lag`` counts steps back from
        the last valid one; ``q10``, ``median``, ``q90`` are quantiles over the ``n`` examples of **log10** of
        the norm, −inf where it is exactly zero.

    Raises:
        ValueError: where the loss is not one value an example, or depends on no input.
    """
    probe = copy.deepcopy(model).to(dtype).eval()
    batch = batch.to(next(probe.parameters()).device, dtype)
    layers = {name: m for name, m in probe.named_modules() if isinstance(m, nn.RNNBase)}
    seen: dict[str, tuple[Tensor, Tensor, tuple[Tensor, ...] | None]] = {}
    for name, layer in layers.items():
        layer.register_forward_hook(_remember(seen, name))

    x = batch.x.detach().requires_grad_()
    losses = loss(probe(x, batch.lengths), batch.target)
    if losses.shape != (len(batch),):
        raise ValueError(f"loss gives shape {tuple(losses.shape)}; it must give one value an example, ({len(batch)},)")
    outputs = [seen[name][1] for name in layers]
    by_x, *by_outputs = torch.autograd.grad(losses.sum(), [x, *outputs], allow_unused=True, materialize_grads=True)

    with torch.no_grad():
        logs = {("input", "x"): log_norm(by_x)}
        for name, immediate in zip(layers, by_outputs, strict=True):
            inputs, output, initial = seen[name]
            time_first = layers[name].batch_first
            turn = (lambda z: z.transpose(0, 1)) if time_first else (lambda z: z)
            steps = replay(layers[name], turn(inputs), turn(output), initial)
            for quantity, values in log_adjoints(steps, turn(immediate)).items():
                logs[name, quantity] = values.T
    lengths = batch.lengths if batch.lengths is not None else torch.full((len(batch),), x.shape[1])
    counts = lengths.cpu().numpy()
    frames = [_by_lag(*key, values.cpu().numpy() / math.log(10), counts) for key, values in logs.items()]
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def _remember(seen: dict, name: str) -> Callable:
    def hook(module: nn.RNNBase, arguments: tuple, outputs: tuple) -> None:
        state = arguments[1] if len(arguments) > 1 else None
        initial = None
        if state is not None:
            initial = tuple(part.squeeze(0) for part in (state if isinstance(state, tuple) else (state,)))
        seen[name] = (arguments[0], outputs[0], initial)

    return hook


def _by_lag(layer: str, quantity: str, log10: np.ndarray, lengths: np.ndarray) -> pd.DataFrame:
    """Turn ``(batch, length)`` into quantiles by lag, each example counted from its own last valid step."""
    at = lengths[:, None] - 1 - np.arange(int(lengths.max(initial=0)))  # the step that lies `lag` steps back
    aligned = np.where(at >= 0, np.take_along_axis(log10, at.clip(min=0), axis=1), np.inf)
    ordered, n = np.sort(aligned, axis=0), (at >= 0).sum(0)
    columns = {name: _quantile(ordered, n, q) for name, q in (("q10", 0.1), ("median", 0.5), ("q90", 0.9))}
    return pd.DataFrame({"layer": layer, "quantity": quantity, "lag": np.arange(len(n)), **columns, "n": n})


def _quantile(ordered: np.ndarray, n: np.ndarray, q: float) -> np.ndarray:
    """Take a quantile of the first n of each column; between −inf and a number nothing is interpolated."""
    position = (n - 1) * q
    low = np.take_along_axis(ordered, np.floor(position).astype(int)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.ceil(position).astype(int)[None], axis=0)[0]
    with np.errstate(invalid="ignore"):
        between = low + (high - low) * (position % 1)
    return np.where(np.isneginf(low), low, between)
