"""Linear decoding: how much of the past, and of the target, a linear map reads from a recurrent layer's states.

A state can hold more than a linear map finds in it: this measures what is accessible to the next weight matrix. Source:
G. Alain and Y. Bengio, Understanding intermediate layers using linear classifier probes, 2016; here by ridge
regression, which has a closed form.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.batch import IGNORED, Batch
from gradreach.diagnostics.axes import Span, spans_of
from gradreach.diagnostics.copies import copy_of, undisturbed
from gradreach.diagnostics.decay import curve_names
from gradreach.diagnostics.probes import check_batch, device_of, lengths_of
from gradreach.diagnostics.taps import Cut, chains_of, split_recurrent, steps_of
from gradreach.diagnostics.trace import check_model

DECODED = 1024
"""The validation examples used per run: a map from 32 numbers needs hundreds for fitting, and as many for testing."""
LEAST = 32
"""With fewer examples than this in a half nothing is fitted."""
POSITIONS = tuple(eighth / 8 for eighth in range(1, 9))
"""Positions at which states are read, as shares of an example's own length."""
LAGS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
STRENGTHS = tuple(10.0**k for k in range(-6, 4))
"""Ridge strengths, chosen on the fitted half; the largest leaves almost nothing but the mean."""
COLUMNS = ["layer", "direction", "quantity", "of", "position", "lag", "r2", "n"]
CHUNK = 128


def linear_decoding(
    model: nn.Module, batch: Batch, positions: Sequence[float] = POSITIONS, lags: Sequence[int] = LAGS
) -> pd.DataFrame:
    """Fit linear maps from states to past inputs and to the target, and test them on other examples.

    Args:
        model: called as ``model(x)``, or ``model(x, lengths)`` where the batch has lengths; it is copied. All layers
            that ``trace`` measures are decoded.
        batch: hundreds of examples in random order: every second one is used for fitting, the others for testing.
        positions: at which steps, as shares of each example's own length in (0, 1]; rounded up to whole steps.
        lags: how many steps back, as the layer runs.

    Returns:
        One row for each layer, direction, part of the state (``quantity``: ``h``, ``c``), position, and what is
        decoded: ``of`` is ``input`` (the model's input ``lag`` steps before, token ids as one-hot vectors; only lags
        that some example reaches, and none where the layer sees other steps than the model does) or ``target`` (classes
        as one-hot vectors; where each step has one, that of the last that counts; ``lag`` NaN). ``r2`` is
        ``1 − Σ‖y − ŷ‖² / Σ‖y − ȳ‖²`` over the ``n`` examples that test, ȳ the mean of the fitted: 1 is perfect, 0 no
        better than the mean, less is worse. NaN with fewer than 32 examples in a half, if all test examples are equal,
        or if a state is not a number.

    >>> batch = Batch(torch.randn(256, 20, 1), None, torch.arange(256) % 2)
    >>> read = linear_decoding(model, batch, positions=[1.0], lags=[0, 10])
    >>> found = read[(read["of"] == "input") & (read["quantity"] == "h")].set_index("lag")["r2"]
    >>> bool(found[0] > 0.9 > found[10])  # the newest input lies open; what came ten steps before has faded
    True
    """
    check_model(model)
    check_batch(batch)
    inputs, target = batch.x.cpu(), _target_of(batch)
    rows: list[tuple[Any, ...]] = []
    for layer in _layers(model, batch, positions):
        for quantity, states in layer.parts.items():
            known = (layer.layer, layer.direction, quantity)
            for i, position in enumerate(positions):
                there = layer.count > 0
                decoder = Decoder(states[i][there])
                rows.append((*known, "target", position, math.nan, *decoder.test(target[there])))
                for lag in lags if layer.aligned else ():
                    step = layer.passed[i] - 1 - lag
                    before, there = there, (layer.count > 0) & (step >= 0)
                    if not bool(there.any()):
                        continue
                    if not torch.equal(there, before):
                        decoder = Decoder(states[i][there])
                    column = step if layer.direction == "forward" else layer.count - 1 - step
                    then = _as_numbers(inputs[there.nonzero().squeeze(1), column[there]])
                    rows.append((*known, "input", position, float(lag), *decoder.test(then)))
    return pd.DataFrame(rows, columns=COLUMNS)


class Decoder:
    """Ridge regressions on one half of some states, tested on the other: every second example is fitted.

    With the fitted half's standardised states ``Z (n, size)``, ``W = (ZᵀZ + n s)⁻¹ Zᵀ (Y − ȳ)``; of the strengths s
    that one is taken whose error is least on examples of the fitted half left out one at a time, which has a closed
    form too (D. Allen 1974; G. Golub, M. Heath and G. Wahba 1979).

    - ``states``: ``(examples, size)``, float64.
    """

    def __init__(self, states: Tensor) -> None:
        fitted, tests = states[::2], states[1::2]
        self.n, self.tested = len(fitted), len(tests)
        self.able = self.tested >= LEAST and bool(states.isfinite().all())
        if self.able:
            middle, spread = fitted.mean(0), fitted.std(0, correction=0)
            spread[spread <= 1e-12 * (1 + middle.abs())] = math.inf  # a unit that never changes tells nothing
            self.left, self.sizes, right = torch.linalg.svd((fitted - middle) / spread, full_matrices=False)
            self.others = (tests - middle) / spread @ right.T

    def test(self, wanted: Tensor) -> tuple[float, int]:
        """Return R² for targets ``(examples, outputs)``, float64, and the number of test examples."""
        if not self.able or not bool(wanted.isfinite().all()) or bool((wanted[1::2] == wanted[1]).all()):
            return math.nan, self.tested
        mean = wanted[::2].mean(0)
        y, others = wanted[::2] - mean, wanted[1::2] - mean
        along = self.left.T @ y
        weights = self.sizes / (self.sizes**2 + self.n * self._strength(y, along))
        missed = float((others - (self.others * weights) @ along).square().sum())
        return 1 - missed / float(others.square().sum()), self.tested

    def _strength(self, y: Tensor, along: Tensor) -> float:
        """Choose the strength. The lengths of the residuals are enough, so that many outputs (words) cost little."""
        kept = self.sizes**2 / (self.sizes**2 + self.n * torch.tensor(STRENGTHS, dtype=y.dtype).unsqueeze(1))
        part = self.left * kept.unsqueeze(1)  # (strengths, n, size)
        fit = 2 * y @ along.T - part @ (along @ along.T)
        residual = y.square().sum(1) - (part * fit).sum(2)
        own = 1 / self.n + kept @ self.left.square().T  # the weight of an example in the fit to itself
        errors = (residual / (1 - own).clamp(min=1e-9) ** 2).sum(1)
        return STRENGTHS[int(errors.argmin())]


def decoding_figures(table: pd.DataFrame) -> dict[str, float]:
    """Summarize in two numbers for each part of each layer's state.

    Returns:
        ``h.decoded_inputs``: the mean R² of past inputs, over positions and lags; ``h.decoded_target``: that of the
        target, over the positions before the end. Layers are named as in ``figures``.
    """
    names = curve_names(list(table[["layer", "direction"]].drop_duplicates().itertuples(index=False, name=None)))
    early = table[(table["of"] == "input") | (table["position"] < 1)]
    return {
        f"{quantity}{names[str(layer), str(direction)]}.decoded_{'target' if of == 'target' else 'inputs'}": float(
            rows.mean()
        )
        for (layer, direction, quantity, of), rows in early.groupby(
            ["layer", "direction", "quantity", "of"], sort=False
        )["r2"]
    }


@dataclass(frozen=True)
class _Layer:
    """States of one direction of one layer at some steps of every example; time runs as the layer runs.

    - ``count``: ``(examples,)`` valid steps.
    - ``passed``: ``(positions, examples)`` how many of them have passed.
    - ``parts``: by name, each ``(positions, examples, size)``.
    - ``aligned``: whether its steps are those of the model's input.
    """

    layer: str
    direction: str
    count: Tensor
    passed: Tensor
    parts: dict[str, Tensor]
    aligned: bool


def _layers(model: nn.Module, batch: Batch, positions: Sequence[float]) -> list[_Layer]:
    """Run a copy of the model forward, a few examples at a time, and keep only the needed states."""
    chunks = []
    with undisturbed():
        probe = copy_of(model, torch.float32)
        device = device_of(probe, batch.x)
        cuts = split_recurrent(probe)
        for at in range(0, len(batch), CHUNK):
            some = batch.take(slice(at, at + CHUNK)).to(device, torch.float32)
            cuts.clear()
            x = some.x.requires_grad_() if some.x.is_floating_point() else some.x
            probe(x) if some.lengths is None else probe(x, some.lengths)
            every = [[cuts[i] for i in chain] for chain in chains_of(cuts)]
            spans = spans_of(every, x if x.requires_grad else None, lengths_of(some), x.shape[1])
            chunks.append(
                [_at(calls, span, positions) for calls, span in zip(every, spans, strict=True) if span is not None]
            )
    return [_joined(parts) for parts in zip(*chunks, strict=True)]


def _at(calls: Sequence[Cut], span: Span, positions: Sequence[float]) -> _Layer:
    """Read the states at some positions, example by example."""
    steps, end, count = steps_of(calls), span.end[span.column], span.number[span.column]
    shares = torch.tensor(positions, dtype=torch.float64, device=count.device).unsqueeze(1)
    passed = (shares * count - 1e-9).ceil().long()
    step = (end - count + passed).clamp(min=0)
    states = steps.states[step, span.column].detach().double().cpu()
    parts = dict(zip(steps.parts, states.split(list(steps.parts.values()), -1), strict=True))
    return _Layer(calls[0].layer, span.direction, count.cpu(), passed.cpu(), parts, span.aligned)


def _joined(chunks: Sequence[_Layer]) -> _Layer:
    return replace(
        chunks[0],
        count=torch.cat([chunk.count for chunk in chunks]),
        passed=torch.cat([chunk.passed for chunk in chunks], 1),
        parts={name: torch.cat([chunk.parts[name] for chunk in chunks], 1) for name in chunks[0].parts},
        aligned=all(chunk.aligned for chunk in chunks),
    )


def _target_of(batch: Batch) -> Tensor:
    """Return the target of each example, ``(examples, outputs)``."""
    target = batch.target.cpu()
    if target.dim() == 2:
        last = ((target != IGNORED) * torch.arange(target.shape[1])).argmax(1)
        target = target[torch.arange(len(target)), last]
    return _as_numbers(target)


def _as_numbers(values: Tensor) -> Tensor:
    """Return ``(examples, outputs)``: numbers as they are, one-hot vectors of classes and token ids."""
    if values.is_floating_point():
        return values.reshape(len(values), -1).double()
    kinds, which = values.unique(return_inverse=True)
    return nn.functional.one_hot(which, len(kinds)).double()
