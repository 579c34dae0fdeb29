"""Receptive fields: what a unit of a convolutional network can see, and what it uses."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.diagnostics.copies import undisturbed
from gradreach.diagnostics.trace import check_model

OTHERS: Any = (
    *(nn.ConvTranspose1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, nn.LPPool1d, nn.Upsample),
    *(nn.Conv2d, nn.Conv3d),
)


class Window(NamedTuple):
    """One layer of a stack: kernel size, stride and dilation.

    >>> Window(kernel_size=3, dilation=4)
    Window(kernel_size=3, stride=1, dilation=4)
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1


def theoretical_receptive_field(windows: Iterable[Window]) -> int:
    """Return how many steps of the input one unit on top of a stack can depend on.

    ``1 + Σ_i (k_i − 1) d_i Π_{j<i} s_j``, from the bottom.

    >>> theoretical_receptive_field([Window(3), Window(3, dilation=2), Window(3, dilation=4)])
    15
    """
    field, jump = 1, 1
    if isinstance(windows, Window | nn.Module):
        raise TypeError(f"windows must be several Windows, such as windows_of(stack), not a {type(windows).__name__}")
    for window in windows:
        field += (window.kernel_size - 1) * window.dilation * jump
        jump *= window.stride
    return field


def windows_of(stack: nn.Module) -> list[Window]:
    """Read the windows of a stack's convolutions and pools over time, which must run in the order they are held in.

    Raises:
        ValueError: there are none; one has no window of fixed size; or a convolution does not take the channels that
            the one before it gives, as where several run beside each other.

    >>> windows_of(nn.Sequential(nn.Conv1d(1, 8, 5), nn.MaxPool1d(2)))
    [Window(kernel_size=5, stride=1, dilation=1), Window(kernel_size=2, stride=2, dilation=1)]
    """
    check_model(stack)
    kinds = (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d)
    layers = [module for module in stack.modules() if isinstance(module, kinds)]
    for module in stack.modules():
        if isinstance(module, OTHERS):
            raise ValueError(
                f"{type(module).__name__}: its receptive field cannot be calculated; use measured_receptive_field"
            )
    # a convolution of one step changes no field, so a shortcut of such may run beside the others
    wide = [module for module in layers if isinstance(module, nn.Conv1d) and _one(module.kernel_size) > 1]
    for one, after in pairwise(wide):
        if after.in_channels != one.out_channels:
            raise ValueError(
                f"{one} and {after} do not follow each other: use measured_receptive_field, or pass "
                "the layers of one path only"
            )
    if not layers:
        raise ValueError(
            f"{type(stack).__name__} holds no one-dimensional convolution or pool: it has no receptive field"
        )
    return [Window(*(_one(getattr(m, name, 1)) for name in Window._fields)) for m in layers]


def measured_receptive_field(encode: Callable[[Tensor], Tensor], x: Tensor, at: int | None = None) -> int:
    """Return the number of input steps that one output depends on, through any layers.

    It works for skip connections, parallel branches and transposed convolutions: an input step of NaN makes all outputs
    that depend on it NaN, whatever the weights are and even if units are dead.

    Args:
        encode: ``(batch, length, d_in) -> (batch, length', d_out)``, in evaluation mode; in float64, since some kernels
            of float32 mix steps that do not depend on each other.
        x: only one example is used; its length bounds the result.
        at: the output's step, a negative one from the end; default the middle one.

    Returns:
        From the first step to the last on which the output depends.

    Raises:
        TypeError: ``encode`` is not a function that gives a tensor of three dimensions, or x no such tensor of floats.
        ValueError: there is no such step, or the output depends on no step.

    >>> branches = nn.ModuleList(nn.Conv1d(1, 4, k, padding="same", dtype=torch.float64) for k in (3, 7))
    >>> measured_receptive_field(lambda x: x + sum(branch(x.mT) for branch in branches).mT, torch.randn(1, 30, 1))
    7
    """
    _check_encode(encode, x)
    length = x.shape[1]
    each = x[:1].detach().double().repeat(length, 1, 1)
    each[range(length), range(length)] = math.nan
    with undisturbed(), torch.no_grad():
        output = _checked_output(encode(each))
        at = _checked_step(at, output.shape[1])
        there = output[:, at].isnan().any(1).nonzero().flatten()
    if not len(there):
        raise ValueError(f"output {at} does not depend on the input: it has no receptive field")
    return int(there[-1] - there[0]) + 1


class EffectiveField(NamedTuple):
    """How the gradient of one output is spread over the input (source: W. Luo et al., 2016).

    - ``weights``: columns ``offset`` (steps from the output's own centre, where the middle of its window stands if all
      padding is halved between both ends) and ``weight`` (mean norm, summing to 1).
    - ``centroid``, ``variance``: first and second central moment of the offsets, in steps and steps².
    - ``extent``: from the first to the last step with a gradient that is not exactly zero.

    >>> weights = pd.DataFrame({"offset": [-1.0, 0.0, 1.0], "weight": [0.25, 0.5, 0.25]})
    >>> round(EffectiveField(weights, centroid=0.0, variance=0.5, extent=3).spread, 3)
    0.707
    """

    weights: pd.DataFrame
    centroid: float
    variance: float
    extent: int

    @property
    def spread(self) -> float:
        """Standard deviation, in steps."""
        return math.sqrt(self.variance)

    def beyond(self, field: int) -> bool:
        """Whether it extends beyond a theoretical receptive field: then one of the two is wrong."""
        return self.extent > field


def effective_receptive_field(encode: Callable[[Tensor], Tensor], x: Tensor, at: int | None = None) -> EffectiveField:
    """Measure which input steps the outputs of one step depend on.

    Args:
        encode: ``(batch, length, d_in) -> (batch, length', d_out)``; in evaluation mode, without randomness.
        x: floating inputs; a larger batch gives a smoother result.
        at: the output's step, a negative one from the end; default the middle one.

    Raises:
        TypeError: ``encode`` is not a function that gives a tensor of three dimensions, or x no such tensor of floats.
        ValueError: there is no such step; or no finite gradient arrives at the input, so there is no field.

    >>> convolution = nn.Conv1d(1, 4, kernel_size=5, padding=2)
    >>> field = effective_receptive_field(lambda x: convolution(x.mT).mT, torch.randn(8, 20, 1))
    >>> field.extent, field.beyond(5)
    (5, False)
    """
    _check_encode(encode, x)
    with undisturbed():
        leaf = x.detach().clone().requires_grad_()
        output = _checked_output(encode(leaf))
        length = output.shape[1]
        at = _checked_step(at, length)
        norms = touched(leaf, output[:, at]).norm(dim=2).mean(0).double()
        centre = _centre(encode, x, length, at)
    total = float(norms.sum())
    if not (math.isfinite(total) and total > 0):
        raise ValueError(f"the gradient of output {at} w.r.t. the input sums to {total}, so it has no receptive field")
    offsets = torch.arange(x.shape[1], dtype=torch.float64) - centre
    weights = (norms / total).cpu()
    centroid = float(weights @ offsets)
    variance = float(weights @ (offsets - centroid) ** 2)
    there = weights.nonzero().flatten()
    table = pd.DataFrame({"offset": offsets.numpy(), "weight": weights.numpy()})
    return EffectiveField(table, centroid, variance, int(there[-1] - there[0]) + 1)


def _check_encode(encode: object, x: object) -> None:
    if not (callable(encode) and isinstance(x, Tensor) and x.is_floating_point() and x.dim() == 3):
        raise TypeError("pass a function and floating-point inputs (batch, length, d_in) for it")


def _checked_output(output: object) -> Tensor:
    if not (isinstance(output, Tensor) and output.dim() == 3):
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise TypeError(f"encode gives {found}; it must give one tensor (batch, length', d_out)")
    return output


def _checked_step(at: int | None, outputs: int) -> int:
    """Return the number of an output's step, from the start."""
    at = outputs // 2 if at is None else at
    if not -outputs <= at < outputs:
        raise ValueError(f"at={at}: there are only {outputs} outputs; choose 0 to {outputs - 1}")
    return at % outputs


@torch.no_grad()
def _centre(encode: Callable[[Tensor], Tensor], x: Tensor, outputs: int, at: int) -> float:
    """Return the input step, perhaps between two, in the middle of an output's window.

    A stack of windows gives ``⌊(length − first) / stride⌋ + 1`` outputs, and output o stands at
    ``stride · o + (first − 1) / 2``. Both numbers are found by making the input longer, as far as that can be done; an
    encoder of one length, or of one output, is taken to spread its outputs evenly.
    """
    length, one = x.shape[1], x[:1].detach()

    @cache
    def outputs_of(more: int) -> int:
        return encode(F.pad(one, (0, 0, 0, more))).shape[1]

    def steps_to(number: int) -> int:
        """Return how much longer the input must be for this many outputs."""
        high = 1
        while outputs_of(high) < number:
            high *= 2
            if high > 4 * length:
                raise ValueError("it gives no more outputs")
        return bisect_left(range(high), number, key=outputs_of)

    try:
        second = steps_to(outputs + 1)
        third = steps_to(outputs_of(second) + 1)
        stride = (third - second) / (outputs_of(third) - outputs_of(second))
        first = length + second - stride * (outputs_of(second) - 1)
    except (RuntimeError, ValueError, IndexError):
        stride = length / outputs if outputs <= length // 2 else 1
        first = length - stride * (outputs - 1)
    return stride * at + (first - 1) / 2


def touched(x: Tensor, outputs: Tensor) -> Tensor:
    """Return the gradient of the sum of outputs w.r.t. the input: with uniform kernels, how often each step is used.

    >>> x = torch.ones(4, requires_grad=True)
    >>> touched(x, x.unfold(0, 2, 1).sum(1))  # three windows of two
    tensor([1., 2., 2., 1.])
    """
    return torch.autograd.grad(outputs.sum(), x, retain_graph=True)[0]


def _one(value: int | tuple[int, ...]) -> int:
    return value[0] if isinstance(value, tuple) else value
