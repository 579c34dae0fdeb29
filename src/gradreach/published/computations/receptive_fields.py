"""Receptive fields of stacks of convolutions, measured by the instrument."""

import numpy as np
import torch
from torch import Tensor, nn

from gradreach.diagnostics import effective_receptive_field, measured_receptive_field
from gradreach.models.tcn import TCN


def uniform_kernels(seed: int, *, kernel_size: int, layers: int) -> dict[str, float]:
    """Return the variance of the effective receptive field of linear layers whose weights are all alike, in steps².

    W. Luo et al., Understanding the effective receptive field, 2016: ``n (k² − 1) / 12``.

    >>> round(uniform_kernels(0, kernel_size=5, layers=10)["variance"], 9)
    20.0
    """
    stack = _stack([torch.ones(1, 1, kernel_size, dtype=torch.float64) / kernel_size] * layers)
    return {"variance": _variance(stack, kernel_size, layers, 1)}


def random_kernels(seed: int, *, kernel_size: int, depths: list[int], channels: int = 16) -> dict[str, float]:
    """Return how fast the effective receptive field of linear layers with normal weights grows with depth.

    Args:
        seed: draws weights.
        kernel_size: of every layer.
        depths: how many layers.
        channels: of every layer.

    Returns:
        ``spread_<depth>``, its standard deviation in steps; ``growth``, the slope of its logarithm against that of the
        depth, by least squares: 0.5 where it grows as the root.

    >>> sorted(random_kernels(0, kernel_size=3, depths=[2, 4], channels=4))
    ['growth', 'spread_2', 'spread_4']
    """
    generator = torch.Generator().manual_seed(seed)
    spreads = []
    for depth in depths:
        shape = (channels, channels, kernel_size)
        weights = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(depth)]
        scale = (channels * kernel_size) ** -0.5
        spreads.append(_variance(_stack([scale * each for each in weights]), kernel_size, depth, channels) ** 0.5)
    found = {f"spread_{depth}": spread for depth, spread in zip(depths, spreads, strict=True)}
    return found | {"growth": float(np.polyfit(np.log(depths), np.log(spreads), 1)[0])}


def tcn_receptive_field(seed: int, *, kernel_size: int, layers: int) -> dict[str, float]:
    """Return over how many steps of its input the last output of a TCN depends, measured, and by S. Bai's formula.

    >>> tcn_receptive_field(0, kernel_size=2, layers=3)
    {'measured': 15.0, 'formula': 15.0}
    """
    network = TCN(1, width=1, layers=layers, kernel_size=kernel_size).double().eval()
    field = network.receptive_field
    assert field is not None
    length = field + 10
    x = torch.zeros(1, length, 1, dtype=torch.float64)
    found = measured_receptive_field(lambda x: network(x, None)[0], x, at=-1)
    return {"measured": float(found), "formula": float(field)}


def _stack(weights: list[Tensor]) -> nn.Sequential:
    """Return linear convolutions with given weights, without padding and biases."""
    layers = []
    for each in weights:
        layer = nn.Conv1d(each.shape[1], each.shape[0], each.shape[2], bias=False).double()
        layer.weight.data = each
        layers.append(layer)
    return nn.Sequential(*layers)


def _variance(stack: nn.Sequential, kernel_size: int, layers: int, channels: int) -> float:
    length = layers * (kernel_size - 1) + 1  # so that there is one output, which sees them all
    x = torch.zeros(1, length, channels, dtype=torch.float64)
    return effective_receptive_field(lambda x: stack(x.mT).mT, x).variance
