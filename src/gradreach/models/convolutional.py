"""Convolutional networks over time."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.encoder import LARGEST_SIZE, Depth, Encoder, Size, valid_steps

KINDS_OF_PADDING = ("none", "same", "full", "causal", "circular")


def _known_padding(value: str | int) -> str | int:
    if value in KINDS_OF_PADDING or (type(value) is int and 0 <= value <= LARGEST_SIZE):
        return value
    raise PydanticCustomError(
        "padding", f"must be none, same, full, causal, circular, or a number of zeros, 0 to {LARGEST_SIZE}"
    )


Padding = Annotated[str | int, PlainValidator(_known_padding)]
Kernels = Annotated[tuple[Size, ...], Field(min_length=1, max_length=128)]
Multiples = Annotated[tuple[Annotated[int, Field(gt=0, le=64)], ...], Field(min_length=1, max_length=128)]
# what came later and is not used is not part of the identity: runs of before it keep theirs
OfLayers = Field(exclude_if=lambda each: each is None)

NORMALIZATIONS: dict[str, Callable[[int], nn.Module | None]] = {
    "none": lambda width: None,
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}
NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": F.gelu,
    "none": lambda x: x,
}


Length = TypeVar("Length", int, Tensor)


def output_length(
    length: Length, kernel_size: int, *, stride: int = 1, padding: int | tuple[int, int] = 0, dilation: int = 1
) -> Length:
    """Return how many positions a kernel has: ``⌊(length + 2 padding − dilation (kernel_size − 1) − 1) / stride⌋ + 1``.

    At ``dilation=1`` that is the formula of the founding notes, §1.2. At most 0 where the kernel does not fit.

    Args:
        length: steps of the input (an int, or a tensor of them).
        kernel_size: taps of the kernel.
        stride: steps from one position to the next.
        padding: steps added on each side, or on the left and on the right.
        dilation: steps between two taps.

    >>> output_length(length=10, kernel_size=3, stride=2)
    4
    """
    left, right = (padding, padding) if isinstance(padding, int) else padding
    return (length + left + right - dilation * (kernel_size - 1) - 1) // stride + 1


def padding_widths(padding: Padding, kernel_size: int, dilation: int = 1) -> tuple[int, int]:
    """Return how many steps a kind of padding adds on the left and on the right.

    ``same`` and ``circular`` keep the length (at stride 1). They split the reach, ``dilation (kernel_size − 1)``, in
    halves; where it is odd, for an even kernel at an odd dilation, one step more goes to the right. ``full`` lets
    every tap touch every step; ``causal`` looks back only; a number is added on both sides.
    """
    reach = dilation * (kernel_size - 1)
    if isinstance(padding, int):
        return padding, padding
    return {
        "none": (0, 0),
        "same": (reach // 2, reach - reach // 2),
        "circular": (reach // 2, reach - reach // 2),
        "full": (reach, reach),
        "causal": (reach, 0),
    }[padding]


def pad(x: Tensor, left: int, right: int, lengths: Tensor | None, *, circular: bool) -> Tensor:
    """Pad ``x (batch, channels, length)`` with zeros, or circularly with each sequence's own other end."""
    if not circular:
        return F.pad(x, (left, right)) if left or right else x
    _, channels, length = x.shape
    steps = torch.arange(-left, length + right, device=x.device)
    if lengths is None:
        return x[:, :, steps % length]
    wrapped = steps % lengths.clamp(min=1).unsqueeze(1)  # beyond the own end it wraps on, and is never read
    return x.gather(2, wrapped.unsqueeze(1).expand(-1, channels, -1))


def short_convolution(x: Tensor, layer: nn.Conv1d) -> Tensor:
    """Causal depthwise convolution of ``x (batch, length, channels)``; the length stays the same.

    Such a convolution stands before today's linear recurrences and is a part of their layer: its weights are used
    without calling it, so that it has no curve of its own beside the recurrence's.
    """
    padded = F.pad(x.transpose(1, 2), (layer.weight.shape[2] - 1, 0))
    return F.conv1d(padded, layer.weight, layer.bias, groups=layer.groups).transpose(1, 2)


def _without_state(x: Tensor, missing: int) -> tuple[Tensor, Tensor]:
    """Pad sequences that are too short for a window, so that there is one, invalid position."""
    return F.pad(x, (0, missing)), torch.zeros(x.shape[0], dtype=torch.long, device=x.device)


class Layer(nn.Module):
    """Bottleneck, convolution, normalisation, nonlinearity, pooling; see ``CNN`` for the options."""

    def __init__(
        self,
        d_in: int,
        width: int,
        kernel_size: int,
        stride: int,
        dilation: int,
        padding: Padding,
        nonlinearity: str,
        normalization: str,
        bottleneck: int | None,
        pooling: str,
        pool_size: int,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation
        self.widths = padding_widths(padding, kernel_size, dilation)
        self.circular = padding == "circular"
        self.nonlinearity, self.pooling = nonlinearity, pooling
        self.pool_size = 1 if pooling == "none" else pool_size
        self.pointwise = None if bottleneck is None else nn.Conv1d(d_in, bottleneck, 1)
        both = 0 if self.circular else min(self.widths)  # what the convolution pads itself costs no copy
        self.padding = (self.widths[0] - both, self.widths[1] - both)
        self.convolution = nn.Conv1d(bottleneck or d_in, width, kernel_size, stride, both, dilation)
        self.normalization = NORMALIZATIONS[normalization](width)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map ``(batch, channels, length)`` to ``(batch, width, length')``."""
        activate = NONLINEARITIES[self.nonlinearity]
        if self.pointwise is not None:
            x = activate(self.pointwise(x))
        if lengths is not None:  # so that padding cannot be told from the edge
            x = x.masked_fill(~valid_steps(lengths, x.shape[2]).unsqueeze(1), 0)
        if (missing := self.dilation * (self.kernel_size - 1) + 1 - x.shape[2] - sum(self.widths)) > 0:
            x, lengths = _without_state(x, missing)
        x = self.convolution(pad(x, *self.padding, lengths, circular=self.circular))
        lengths = None if lengths is None else self.positions(lengths).clamp(min=0).masked_fill(lengths == 0, 0)
        if self.normalization is not None:
            x = self._normalize(x, lengths)
        x = activate(x)
        if self.pool_size > 1:
            if (missing := self.pool_size - x.shape[2]) > 0:
                x, lengths = _without_state(x, missing)
            x = (F.avg_pool1d if self.pooling == "avg" else F.max_pool1d)(x, self.pool_size)
            lengths = None if lengths is None else lengths // self.pool_size
        return x, lengths

    def _normalize(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Normalise each valid step; padding is not part of any statistic."""
        assert self.normalization is not None
        x = x.transpose(1, 2)
        if isinstance(self.normalization, nn.LayerNorm):  # each step on its own
            of_step: Tensor = self.normalization(x)
            return of_step.transpose(1, 2)
        if lengths is None:
            of_all: Tensor = self.normalization(x.flatten(0, 1))
            return of_all.view_as(x).transpose(1, 2)
        valid = valid_steps(lengths, x.shape[1])
        normalized = self.normalization(x[valid])
        return torch.zeros_like(x).masked_scatter(valid.unsqueeze(2), normalized).transpose(1, 2)

    def positions(self, length: Length) -> Length:
        """Return how many positions the kernel has; at most 0 where it does not fit."""
        return output_length(length, self.kernel_size, stride=self.stride, padding=self.widths, dilation=self.dilation)

    def output_length(self, length: int) -> int:
        """Return how many steps come out."""
        return self.positions(length) // self.pool_size

    def seen(self, steps: np.ndarray, length: int) -> np.ndarray:
        """Return which of ``length`` steps below these steps depend on, in rising order."""
        positions = (steps[:, None] * self.pool_size + np.arange(self.pool_size)).flatten()
        read = np.zeros(length, dtype=bool)
        for tap in range(self.kernel_size):
            below = positions * self.stride - self.widths[0] + tap * self.dilation
            read[below % length if self.circular else below[(below >= 0) & (below < length)]] = True
            if read.all():
                break
        return read.nonzero()[0]

    def multiply_adds(self, length: int) -> int:
        """Count those of all positions, edges included."""
        pointwise = 0 if self.pointwise is None else length * self.pointwise.weight.numel()
        return pointwise + self.positions(length) * self.convolution.weight.numel()


class CNN(Encoder):
    """A stack of one-dimensional convolutions.

    Source: Y. LeCun, Generalization and network design strategies, 1989; dilated: F. Yu and V. Koltun, 2016.
    Padding of short sequences is set to zero before every layer, so that it cannot be told from the edge.

    - ``d_in``: size of one step of the input.
    - ``width``: channels of every layer.
    - ``layers``: how many.
    - ``kernel_size``: steps that one unit sees of the layer below; with the paddings ``same`` and ``circular`` an even
      one sees one more on the right where its dilation is odd, and as many on both sides where it is even.
    - ``first_kernel_size``: that of the lowest layer; None: the same as the others.
    - ``stride``: steps from one unit to the next, in every layer.
    - ``dilation_base``: layer i (from 0) looks at every ``dilation_base**i``-th step; 1: no dilation.
    - ``padding``: ``none``, ``same``, ``full``, ``causal``, ``circular``, or a number of zeros on both sides.
    - ``nonlinearity``: after every convolution.
    - ``normalization``: before it: over the channels of each step (``layer``), or over batch and time (``batch``).
    - ``bottleneck``: channels of a 1×1 convolution and nonlinearity before every convolution (Lin et al., 2013; in
      this place: Szegedy et al., 2015); None: there is none.
    - ``pooling``: after every layer, over windows of ``pool_size`` steps that do not overlap.
    - ``pool_size``: steps of a window.
    - ``width_multiples``: channels of each layer in multiples of ``width``, from the lowest; None: 1 for all.
    - ``kernel_sizes``: that of each layer, the last of which is ``kernel_size``; None: as above.
    """

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 4,
        kernel_size: Size = 3,
        first_kernel_size: Size | None = None,
        stride: Size = 1,
        dilation_base: Size = 2,
        padding: Padding = "same",
        nonlinearity: Literal["relu", "tanh", "sigmoid", "gelu", "none"] = "relu",
        normalization: Literal["none", "batch", "layer"] = "none",
        bottleneck: Size | None = None,
        pooling: Literal["none", "avg", "max"] = "none",
        pool_size: Size = 2,
        width_multiples: Annotated[Multiples | None, OfLayers] = None,
        kernel_sizes: Annotated[Kernels | None, OfLayers] = None,
    ) -> None:
        super().__init__()
        for name, each in (("width_multiples", width_multiples), ("kernel_sizes", kernel_sizes)):
            if each is not None and len(each) != layers:
                number = f"has {len(each)} entries for {layers} layers"
                raise ConfigError(f"model.{name}", list(each), number, f"set model.layers={len(each)}")
        widths = [width * multiple for multiple in width_multiples or [1] * layers]
        self.d_out = widths[-1]
        self.causal = padding == "causal" and pooling == "none"
        sizes = [d_in, *widths[:-1]]
        kernels = [first_kernel_size or kernel_size] + [kernel_size] * (layers - 1)
        self.kernels = {"kernel_size": kernel_size} if first_kernel_size is None or layers > 1 else {}
        if first_kernel_size is not None:
            self.kernels["first_kernel_size"] = first_kernel_size
        if kernel_sizes is not None:
            if first_kernel_size is not None:
                first = f"first_kernel_size={first_kernel_size} also sets the first of these"
                raise ConfigError("model.kernel_sizes", list(kernel_sizes), first, "choose one")
            if kernel_sizes[-1] != kernel_size:  # else runs that differ in kernel_size alone would be the same
                other = f"the last must equal kernel_size={kernel_size}"
                raise ConfigError(
                    "model.kernel_sizes", list(kernel_sizes), other, f"set kernel_size={kernel_sizes[-1]}"
                )
            kernels, self.kernels = list(kernel_sizes), {"kernel_sizes": max(kernel_sizes)}
        options = (padding, nonlinearity, normalization, bottleneck, pooling, pool_size)
        self.layers = nn.ModuleList(
            Layer(size, given, kernel, stride, dilation, *options)
            for size, given, kernel, dilation in zip(
                sizes, widths, kernels, dilations(dilation_base, layers), strict=True
            )
        )
        windows = [
            ((layer.kernel_size, layer.dilation, layer.stride), (layer.pool_size, 1, layer.pool_size))
            for layer in self.stack
        ]
        self.receptive_field = receptive_field([window for pair in windows for window in pair])

    @property
    def stack(self) -> Sequence[Layer]:
        """The layers, with their own type."""
        return cast(Sequence[Layer], self.layers)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last layer, ``(batch, length', width)``."""
        x = x.transpose(1, 2)
        for layer in self.stack:
            x, lengths = layer(x, lengths)
        return x.transpose(1, 2), lengths

    def output_length(self, length: int) -> int:
        """Return how many steps the last layer gives."""
        for layer in self.stack:
            length = layer.output_length(length) if length > 0 else 0
        return max(0, length)

    def multiply_adds(self, length: int) -> int:
        """Count those of all convolutions, edges included."""
        total = 0
        for layer in self.stack:
            total += layer.multiply_adds(length)
            length = layer.output_length(length)
        return total

    def seen(self, steps: np.ndarray, length: int) -> np.ndarray:
        """Return which of ``length`` steps, in rising order, the states of these steps can depend on."""
        lengths = [length]
        for layer in self.stack:
            lengths.append(layer.output_length(lengths[-1]))
        for layer, below in zip(reversed(self.stack), reversed(lengths[:-1]), strict=True):
            steps = layer.seen(steps, below)
        return steps

    def seen_by_last(self, length: int) -> Sequence[int]:
        """Return the steps, from 0, that the last state can depend on; what a stride leaves over is not among them."""
        last = length
        for layer in self.stack:
            last = layer.output_length(last)
        steps: list[int] = self.seen(np.array([last - 1]), length).tolist()
        return steps


class TimeCNN(CNN):
    """Two convolutions with sigmoids, each averaged over windows of three steps.

    Source: B. Zhao et al., Convolutional neural networks for time series classification, 2017; as H. Ismail Fawaz et
    al., Deep learning for time series classification: a review, 2019, run it: zeros keep the length of series shorter
    than 60 steps, and there are none beside longer ones. The readout is ``flatten``.

    - ``d_in``: size of one step of the input.
    - ``length``: steps of the input.
    - ``width``: channels of the first convolution; the second has twice as many.
    - ``kernel_sizes``: of the two.
    - ``pool_size``: steps of a window that is averaged.
    """

    fixed_length = True

    def __init__(
        self,
        d_in: int,
        length: int,
        *,
        width: Size = 6,
        kernel_sizes: tuple[Size, Size] = (7, 7),
        pool_size: Size = 3,
    ) -> None:
        super().__init__(
            d_in,
            width=width,
            layers=2,
            kernel_size=kernel_sizes[1],
            dilation_base=1,
            padding="same" if length < 60 else "none",
            nonlinearity="sigmoid",
            pooling="avg",
            pool_size=pool_size,
            width_multiples=(1, 2),
            kernel_sizes=kernel_sizes,
        )


def dilations(base: int, layers: int) -> list[int]:
    """Return the dilations of a stack, from the lowest layer: 1, base, base², …

    Raises:
        ConfigError: the largest is above 2^20 steps.
    """
    if base ** (layers - 1) > 2**20:
        raise ConfigError(
            "model.layers",
            layers,
            f"the top layer would look at every {base}^{layers - 1}-th step",
            "choose fewer layers: at most every 2^20-th step",
        )
    return [base**i for i in range(layers)]


def receptive_field(windows: list[tuple[int, int, int]]) -> int:
    """Return how many neighbouring steps of the input a stack of windows sees.

    Args:
        windows: size, dilation and stride of each, from the lowest.
    """
    seen, jump = 1, 1
    for size, dilation, stride in windows:
        seen += (size - 1) * dilation * jump
        jump *= stride
    return seen
