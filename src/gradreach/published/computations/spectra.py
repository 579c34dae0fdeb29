"""Lyapunov spectra of random tanh networks ``h' = tanh(W h)``, ``W_ij ~ N(0, g²/N)``, measured by the instrument.

After D. G. Clark, Lyapunov spectrum of random neural networks (arXiv:2610.12426), at time step 1.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gradreach.batch import Batch
from gradreach.diagnostics import lyapunov_spectrum, trace

SUMMARIES = ("max_exponent", "fraction_positive", "entropy_rate", "ky_dimension", "mean_exponent")


class Autonomous(nn.Module):
    """A tanh layer without input, from a given state."""

    def __init__(self, weights: Tensor, state: Tensor) -> None:
        super().__init__()
        self.layer = nn.RNN(1, len(weights), bias=False, batch_first=True).double()
        self.layer.weight_hh_l0.data = weights
        self.register_buffer("state", state.view(1, 1, -1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the states, ``(batch, length, size)``."""
        states: Tensor = self.layer(x, self.state)[0]
        return states


def chaotic_spectrum(
    seed: int,
    *,
    gain: float,
    sizes: Sequence[int],
    at: int,
    steps: int = 1000,
    settle: int = 300,
    turn: int = 200,
    share: float = 0.4,
) -> dict[str, float]:
    """Summarize the spectra of drawn networks of several sizes, and where their trend in 1/N leads.

    Args:
        seed: draws weights and initial state.
        gain: g.
        sizes: N of each network.
        at: the N that the straight line in 1/N, by least squares, is read at.
        steps: over which exponents are averaged.
        settle: before them, for the state alone.
        turn: after that, for the directions alone.
        share: of N, how many exponents are followed; enough for the Kaplan–Yorke dimension.

    Returns:
        ``SUMMARIES``, the last four per unit: their values at ``at``, and ``<name>_<N>`` of each network.

    >>> found = chaotic_spectrum(0, gain=3.0, sizes=[16, 32], at=4096, steps=50, settle=50, turn=10)
    >>> sorted(found)[:3]
    ['entropy_rate', 'entropy_rate_16', 'entropy_rate_32']
    """
    found = {size: _summarized(seed, gain, size, steps, settle, turn, share) for size in sizes}
    values = {f"{name}_{size}": each[name] for size, each in found.items() for name in SUMMARIES}
    for name in SUMMARIES:
        slope, limit = np.polyfit([1 / size for size in sizes], [found[size][name] for size in sizes], 1)
        values[name] = float(limit + slope / at)
    return values


def _summarized(
    seed: int, gain: float, size: int, steps: int, settle: int, turn: int, share: float
) -> dict[str, float]:
    weights, state = drawn(seed, gain, size, settle)
    followed = max(2, math.ceil(share * size))
    exponents = along(weights, state, steps + turn, followed, turn)
    return summary(exponents, size) | {"mean_exponent": mean_exponent(weights, state, steps + turn, steps)}


def drawn(seed: int, gain: float, size: int, settle: int) -> tuple[Tensor, Tensor]:
    """Return weights, and the state after this many steps from a random one."""
    random = np.random.default_rng([seed, size])
    weights = torch.from_numpy(random.standard_normal((size, size))) * (gain / math.sqrt(size))
    state = torch.from_numpy(random.standard_normal(size)).tanh()
    for _ in range(settle):
        state = (weights @ state).tanh()
    return weights, state


def along(weights: Tensor, state: Tensor, length: int, k: int, turn: int) -> Tensor:
    """Return the k largest exponents along a trajectory, the largest first, by ``gradreach.diagnostics``."""
    nothing = Batch(torch.zeros(1, length, 1, dtype=torch.float64), None, torch.zeros(1))
    traced = trace(Autonomous(weights, state), nothing, lambda states, _: states.sum((1, 2)))
    return lyapunov_spectrum(traced.layers[0], k=k, transient=turn)[0]


def mean_exponent(weights: Tensor, state: Tensor, length: int, counted: int) -> float:
    """Return the mean of all exponents, ``(ln |det W| + mean Σ ln tanh') / N``, exactly, over the last steps counted.

    A saturated unit has ``1 − h² = 0`` in float64; ``ln tanh'(x) = 2 (ln 2 − |x| − ln(1 + e^(−2|x|)))`` is finite.
    """
    total = 0.0
    for step in range(length):
        x = weights @ state
        state = x.tanh()
        if step >= length - counted:
            total += float((2 * (math.log(2) - x.abs() - (-2 * x.abs()).exp().log1p())).mean())
    return float(torch.linalg.slogdet(weights).logabsdet) / len(weights) + total / counted


def summary(exponents: Tensor, size: int) -> dict[str, float]:
    """Return largest exponent, share of positive ones, their sum and the Kaplan–Yorke dimension, these per unit.

    Args:
        exponents: the largest ones, in order; so many that their sum turns negative.
        size: N.
    """
    sums = exponents.cumsum(0)
    last = int((sums >= 0).sum())
    dimension = 0.0
    if last == len(exponents):
        dimension = math.nan
    elif last:
        dimension = (last + float(sums[last - 1] / exponents[last].abs())) / size
    return {
        "max_exponent": float(exponents[0]),
        "fraction_positive": float((exponents > 0).sum()) / size,
        "entropy_rate": float(exponents.clamp(min=0).sum()) / size,
        "ky_dimension": dimension,
    }


def spectrum_at_rest(
    seed: int, *, gain: float, size: int, below: Sequence[float], steps: int = 600, settle: int = 300, turn: int = 100
) -> dict[str, float]:
    """Return which share of all exponents lies below given ones, where the network comes to rest (g < 1).

    Args:
        seed: draws weights and initial state.
        gain: g.
        size: N.
        below: the exponents s, relative to ln g: −0.3 is s = ln g − 0.3.
        steps: over which exponents are averaged.
        settle: before them, for the state alone.
        turn: after that, for the directions alone.

    Returns:
        ``below_0``, ``below_1``, … in the order of ``below``; ``mean_exponent``.

    >>> found = spectrum_at_rest(0, gain=0.5, size=16, below=[-10.0, 1.0], steps=50, turn=20)
    >>> found["below_0"], found["below_1"]
    (0.0, 1.0)
    """
    weights, state = drawn(seed, gain, size, settle)
    exponents = along(weights, state, steps + turn, size, turn)
    shares = {f"below_{i}": float((exponents < math.log(gain) + s).double().mean()) for i, s in enumerate(below)}
    return shares | {"mean_exponent": float(exponents.mean())}
