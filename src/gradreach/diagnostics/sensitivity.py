"""Sensitivity: how far features move under a small change of the input.

Distances between features mean nothing by themselves, since a network can scale features freely: they are given in
units of the mean distance between different examples. Sources: A. Azulay and Y. Weiss, Why do deep convolutional
networks generalize so poorly to small image transformations?, 2019; R. Zhang, Making convolutional networks
shift-invariant again, 2019.
"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.batch import Batch
from gradreach.diagnostics.copies import copy_of, undisturbed
from gradreach.diagnostics.probes import check_batch, device_of
from gradreach.diagnostics.trace import check_model

NOISES = (0.01, 0.05, 0.1, 0.25)
"""Standard deviations of the added noise, in units of the input's."""
PARTS = ("embedding", "encoder", "readout")
SEED = 0
"""Of the noise: the same before and after training, and for every network that is given the same input."""


def sensitivity(model: nn.Module, batch: Batch, noises: Sequence[float] = NOISES) -> pd.DataFrame:
    """Measure how far input, features and readout move under a shift by one step, and under noise.

    Args:
        model: one of ``gradreach.models``, or another that has their ``embedding``, ``encoder`` and ``readout``; it is
            copied, and evaluated in float64.
        batch: at least two examples of numbers, not of token ids.
        noises: standard deviations of the normal noise that is added to every valid step, in units of the standard
            deviation of the batch's numbers. All sizes have one draw, which is scaled.

    Returns:
        One row for each of ``of`` (``input``, ``features``: those of all steps; ``readout``) and ``change`` (``shift``,
        ``noise``): its ``size`` (a step, or the standard deviation), and ``moved``: the mean over the ``n`` examples of
        ``‖f(x′) − f(x)‖``, ÷ the mean of ``‖f(x) − f(y)‖`` over all pairs of examples. 1 is as far as another example,
        NaN where all examples give the same. A shift turns each example by one step to the right, and its last step
        comes first. Padding never counts.

    Raises:
        ValueError: the model has no such parts; the batch has token ids, or fewer than two examples.

    >>> mine = SequenceModel(CNN(1, width=4, layers=1, padding="circular"), "max", 2)
    >>> found = sensitivity(mine, Batch(torch.randn(8, 20, 1), None, torch.zeros(8).long()))
    >>> moved = found[found["change"] == "shift"].set_index("of")["moved"]
    >>> bool(moved["features"] > 0.1), bool(moved["readout"] < 1e-12)  # the maximum over time is the same anywhere
    (True, True)
    """
    check_model(model)
    check_batch(batch)
    if not has_parts(model):
        raise ValueError(f"sensitivity needs a model with {', '.join(PARTS)}, as those of gradreach.models have")
    if not batch.x.is_floating_point():
        raise ValueError("sensitivity needs numeric inputs; token ids cannot be changed by a small step")
    if len(batch) < 2:
        raise ValueError("sensitivity needs at least two examples: their distance is its unit")
    with undisturbed(), torch.no_grad():
        probe = copy_of(model, torch.float64)
        x, lengths, _ = batch.to(device_of(probe, batch.x), torch.float64)
        before = _read(probe, x, lengths)
        apart = {of: float(torch.pdist(values).mean()) or math.nan for of, values in before.items()}
        rows = []
        for change, size, changed in _changes(x, lengths, noises):
            for of, values in _read(probe, changed, lengths).items():
                moved = float((values - before[of]).norm(dim=1).mean()) / apart[of]
                rows.append((of, change, size, moved, len(batch)))
    return pd.DataFrame(rows, columns=["of", "change", "size", "moved", "n"])


def has_parts(model: Any) -> bool:
    """Return whether a model has the measured parts."""
    return all(hasattr(model, name) for name in PARTS)


def _changes(x: Tensor, lengths: Tensor | None, noises: Sequence[float]) -> list[tuple[str, float, Tensor]]:
    count, length = x.shape[:2]
    valid = torch.full((count,), length, device=x.device) if lengths is None else lengths.clamp(min=1)
    steps = torch.arange(length, device=x.device)
    before = torch.where(steps < valid.unsqueeze(1), (steps - 1) % valid.unsqueeze(1), steps)
    there = (steps < valid.unsqueeze(1)).unsqueeze(2)
    spread = x[there.expand_as(x)].std(correction=0)
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.device) * there * spread
    shifted = x.gather(1, before.unsqueeze(2).expand_as(x))
    return [("shift", 1.0, shifted), *(("noise", size, x + size * drawn) for size in noises)]


def _read(model: Any, x: Tensor, lengths: Tensor | None) -> dict[str, Tensor]:
    """Return what is looked at, an example a row."""
    features, valid = model.encoder(model.embedding(x), lengths)
    readout = model.readout(features, valid)
    return {
        "input": _without_padding(x, lengths),
        "features": _without_padding(features, valid),
        "readout": readout.flatten(1),
    }


def _without_padding(values: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is not None:
        steps = torch.arange(values.shape[1], device=values.device)
        values = values.masked_fill((steps >= lengths.unsqueeze(1)).unsqueeze(2), 0)
    return values.flatten(1)


def sensitivity_figures(table: pd.DataFrame) -> dict[str, float]:
    """Return each measurement by what moved and what was changed: ``features.shift``, ``readout.noise_25`` (%)."""
    per_cent = {"shift": "shift", "noise": "noise_{:g}"}
    return {
        f"{row['of']}.{per_cent[row['change']].format(100 * row['size'])}": row["moved"]
        for row in table.to_dict("records")
    }
