"""Recurrent networks on torch's fused kernels, with torch's own initialisation."""

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from gradreach.models.encoder import Encoder


class Recurrent(Encoder):
    """Layers of one kind, each a fused module of its own: a fused stack would hide its inner states.

    Padding stands on the right, so a state never depends on it.

    - ``d_in``: size of one step of the input.
    - ``width``: size of the state ``h``.
    - ``layers``: how many, each reading the states of the one below.
    """

    causal = True
    receptive_field = None
    gates: int

    def __init__(self, d_in: int, *, width: PositiveInt = 32, layers: PositiveInt = 1) -> None:
        super().__init__()
        self.d_out = width
        sizes = [d_in] + [width] * (layers - 1)
        self.layers = nn.ModuleList(self.layer(size, width) for size in sizes)

    def layer(self, d_in: int, width: int) -> nn.RNNBase:
        """Make one layer."""
        raise NotImplementedError

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the states of the last layer, ``(batch, length, width)``."""
        for layer in self.layers:
            x, _ = layer(x)
        return x, lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices; the elementwise part is small beside it."""
        width = self.d_out
        per_step = sum(layer.input_size * width + width * width for layer in self.layers)  # type: ignore
        return length * self.gates * per_step


class RNN(Recurrent):
    """Elman's network: ``h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``.

    Source: J. L. Elman, Finding structure in time, 1990.

    - ``nonlinearity``: f.
    """

    gates = 1

    def __init__(
        self,
        d_in: int,
        *,
        width: PositiveInt = 32,
        layers: PositiveInt = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        self.nonlinearity = nonlinearity
        super().__init__(d_in, width=width, layers=layers)

    def layer(self, d_in: int, width: int) -> nn.RNNBase:
        """Make one layer."""
        return nn.RNN(d_in, width, batch_first=True, nonlinearity=self.nonlinearity)


class LSTM(Recurrent):
    """Long short-term memory: ``c_t = f ∘ c_{t-1} + i ∘ g``, ``h_t = o ∘ tanh(c_t)``.

    Source: S. Hochreiter and J. Schmidhuber, 1997, with the forget gate of F. Gers et al., 2000.
    """

    gates = 4

    def layer(self, d_in: int, width: int) -> nn.RNNBase:
        """Make one layer."""
        return nn.LSTM(d_in, width, batch_first=True)


class GRU(Recurrent):
    """Gated recurrent unit, reset after the matrix product: ``h_t = z ∘ h_{t-1} + (1 − z) ∘ n``.

    Source: K. Cho et al., 2014, in the form of torch and cuDNN.
    """

    gates = 3

    def layer(self, d_in: int, width: int) -> nn.RNNBase:
        """Make one layer."""
        return nn.GRU(d_in, width, batch_first=True)
