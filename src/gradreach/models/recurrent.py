"""Recurrent networks: stacks of layers, fused torch kernels where they exist."""

from abc import abstractmethod
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.cells import GatedTanh, GRUAsPrinted, GRUResetBefore, IndRNNCell, LSTMAsPrinted
from gradreach.models.encoder import HORIZON, Depth, Encoder, Share, Size, matrix_entries
from gradreach.models.horizon import near_states
from gradreach.models.initialization import chrono_start, chrono_update_start, forget_bias_start, recurrent_start
from gradreach.models.leaky import LeakyCell
from gradreach.models.reduced import CoupledLSTM, GRUWithoutReset
from gradreach.models.scan import Eigenvalues, MinGRUCell, MinLSTMCell

# what came later and is not used is not part of the identity: runs of before it keep theirs
Gain = Annotated[float, Field(gt=0, le=1000, exclude_if=lambda gain: gain == 1)]
Range = Annotated[Eigenvalues, Field(exclude_if=lambda eigenvalues: eigenvalues == "positive")]
Bias = Annotated[float, Field(ge=-1000, le=1000)]
Longest = Annotated[int, Field(ge=3, le=10**9)]


class Recurrent(Encoder):
    """Layers of one kind, each its own module: a fused stack would hide its inner states.

    Padding is on the right, so forward states never depend on it; a backward layer starts at each sequence's own last
    valid step.

    - ``d_in``: size of one step of the input.
    - ``width``: size of the state ``h``, in each direction.
    - ``layers``: how many, each reading the states of the one below.
    - ``bidirectional``: beside every layer a second one that runs from the end to the start.
    - ``dropout``: share of the states between two layers that is set to zero in training.
    """

    receptive_field = None
    horizon: int | None = None

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        if dropout and layers == 1:
            raise ConfigError(
                "model.dropout", dropout, "acts between layers, but there is only one", "set model.layers=2"
            )
        self.causal = not bidirectional
        self.d_out = 2 * width if bidirectional else width
        sizes = [d_in] + [self.d_out] * (layers - 1)
        self.layers = nn.ModuleList(self.layer(size, width) for size in sizes)
        self.backward_layers = nn.ModuleList(self.layer(size, width) for size in sizes if bidirectional)
        for part in self.backward_layers.modules():
            part.runs_backward = True  # type: ignore[assignment]  # the diagnostics say so in their tables
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the states of the last layer, ``(batch, length, d_out)``, forwards then backwards.

        In training within a horizon only those of the steps within it, see ``limit_gradient``.
        """
        if self.horizon is not None and self.training:
            return near_states(self.layers, self.dropout, x, lengths, self.horizon)
        for number, layer in enumerate(self.layers):
            x = x if number == 0 else self.dropout(x)
            states = _states(layer, x)
            if self.backward_layers:
                backwards = _states(self.backward_layers[number], _reverse(x, lengths))
                states = torch.cat([states, _reverse(backwards, lengths)], 2)
            x = states
        return x, lengths

    def limit_gradient(self, horizon: int) -> None:
        """Send no gradient further back than to this lag, counted from the last step of a sequence, in training.

        Raises:
            ConfigError: its layers are not torch's, or it reads the end first.
        """
        if not all(isinstance(layer, nn.RNNBase) for layer in self.layers):
            super().limit_gradient(horizon)
        if self.backward_layers:
            hint = "set model.bidirectional=false"
            raise ConfigError(HORIZON, horizon, "cannot be used with layers that read the end first", hint)
        self.horizon = horizon

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices; the elementwise part is small beside it."""
        return length * matrix_entries(self)


def _states(layer: nn.Module, x: Tensor) -> Tensor:
    given: Tensor | tuple[Tensor, Any] = layer(x)
    return given[0] if isinstance(given, tuple) else given


def _reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the valid steps of each sequence; padding stays in place."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    last = lengths.unsqueeze(1) - 1
    return x.gather(1, torch.where(steps <= last, last - steps, steps).unsqueeze(2).expand_as(x))


class RNN(Recurrent):
    """Elman's network: ``h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``.

    Source: J. L. Elman, Finding structure in time, 1990. With f = ReLU and ``start="identity"``: the IRNN of
    Q. V. Le, N. Jaitly and G. E. Hinton, 2015.

    - ``nonlinearity``: f.
    - ``start``: the initialization of the recurrent matrix.
    - ``start_gain``: then multiplies the recurrent matrix; well above 1 gradients explode.
    """

    compiled = True

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        start: Literal["default", "orthogonal", "identity"] = "default",
        start_gain: Gain = 1.0,
    ) -> None:
        self.nonlinearity, self.start, self.start_gain = nonlinearity, start, start_gain
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        layer = nn.RNN(d_in, width, batch_first=True, nonlinearity=self.nonlinearity)
        recurrent_start(layer, self.start, self.start_gain)
        return layer


class LSTM(Recurrent):
    """Long short-term memory.

    ::

        i = σ(W_ii x_t + b_ii + W_hi h_{t-1} + b_hi)         c_t = f ∘ c_{t-1} + i ∘ g
        f = σ(W_if x_t + b_if + W_hf h_{t-1} + b_hf)         h_t = o ∘ tanh(c_t)
        g = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
        o = σ(W_io x_t + b_io + W_ho h_{t-1} + b_ho)

    Source: S. Hochreiter and J. Schmidhuber, 1997, with the forget gate of F. Gers et al., 2000. It is ``nn.LSTM``,
    whose parameters have their rows in the order i, f, g, o.

    - ``forget_bias``: initial bias of the forget gate; None: torch's initialization, about 0.
    - ``chrono``: the longest time to bridge, in steps, over which the initial biases spread memory; None: off.
    """

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        forget_bias: Bias | None = None,
        chrono: Longest | None = None,
    ) -> None:
        if forget_bias is not None and chrono is not None:
            raise ConfigError("model.forget_bias", forget_bias, f"chrono={chrono} sets that bias too", "choose one")
        self.forget_bias, self.chrono = forget_bias, chrono
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        layer = nn.LSTM(d_in, width, batch_first=True)
        if self.forget_bias is not None:
            weights = dict(layer.named_parameters())
            forget = slice(width, 2 * width)
            forget_bias_start(weights["bias_ih_l0"], weights["bias_hh_l0"], forget, self.forget_bias)
        if self.chrono is not None:
            chrono_start(layer, self.chrono)
        return layer


class LSTMCoupled(Recurrent):
    """An LSTM whose input gate is one minus its forget gate; see ``CoupledLSTM``.

    - ``forget_bias``: initial bias of the forget gate; None: torch's initialization, about 0.
    """

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        forget_bias: Bias | None = None,
    ) -> None:
        self.forget_bias = forget_bias
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return CoupledLSTM(d_in, width, self.forget_bias)


class GRU(Recurrent):
    """Gated recurrent unit.

    ::

        r = σ(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)         h_t = z ∘ h_{t-1} + (1 − z) ∘ n
        z = σ(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)

        reset=after:   n = tanh(W_in x_t + b_in + r ∘ (W_hn h_{t-1} + b_hn))
        reset=before:  n = tanh(W_in x_t + b_in + W_hn (r ∘ h_{t-1}) + b_hn)
        reset=none:    n = tanh(W_in x_t + b_in + W_hn h_{t-1} + b_hn)

    Source: K. Cho et al., 2014. Parameters as in ``nn.GRU``, rows in the order r, z, n.

    - ``reset``: where the reset gate acts on the way to n: ``after`` the matrix product (``nn.GRU``, cuDNN; fused),
      ``before`` it (Cho; a loop), or ``none``: there is no such gate (a loop): the gated network of C. Tallec and
      Y. Ollivier, 2018, eq. 10, with g = 1 − z.
    - ``chrono``: the longest time to bridge, in steps, over which the initial biases spread memory; None: off.
    """

    compiled = True

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        reset: Literal["after", "before", "none"] = "after",
        chrono: Annotated[Longest | None, Field(exclude_if=lambda longest: longest is None)] = None,
    ) -> None:
        self.reset, self.chrono = reset, chrono
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        layer: nn.Module
        if self.reset == "after":
            layer = nn.GRU(d_in, width, batch_first=True)
        else:
            layer = GRUResetBefore(d_in, width) if self.reset == "before" else GRUWithoutReset(d_in, width)
        if self.chrono is not None:
            weights = {name.removesuffix("_l0"): weights for name, weights in layer.named_parameters()}
            update = slice(width) if self.reset == "none" else slice(width, 2 * width)
            chrono_update_start(weights["bias_ih"], weights["bias_hh"], update, self.chrono)
        return layer


class LeakyRNN(Recurrent):
    """An RNN whose units keep a constant, learned share of what they were; see ``LeakyCell``.

    - ``chrono``: the longest time to bridge, in steps, over which the initial shares spread memory; None: off.
    """

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        chrono: Longest | None = None,
    ) -> None:
        self.chrono = chrono
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return LeakyCell(d_in, width, self.chrono)


class IndRNN(Recurrent):
    """Layers of units connected only to themselves; see ``IndRNNCell``.

    - ``nonlinearity``: of every unit.
    """

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        nonlinearity: Literal["relu", "tanh"] = "relu",
    ) -> None:
        self.nonlinearity = nonlinearity
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return IndRNNCell(d_in, width, self.nonlinearity)


class GatedTanhRNN(Recurrent):
    """The simplified gated cell of the founding notes, §4.2; see ``GatedTanh``."""

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return GatedTanh(d_in, width)


class PrintedLSTM(Recurrent):
    """The LSTM as the founding notes print it, §3; see ``LSTMAsPrinted`` for why that is not an LSTM."""

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return LSTMAsPrinted(d_in, width)

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices; W_xz is used twice."""
        twice: int = sum(layer.width**2 for layer in [*self.layers, *self.backward_layers])
        return super().multiply_adds(length) + length * twice


class PrintedGRU(Recurrent):
    """The GRU as the founding notes print it, §5; see ``GRUAsPrinted`` for why that is not a GRU."""

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return GRUAsPrinted(d_in, width)


class MinGRU(Recurrent):
    """A GRU whose gate does not see the state, so that all steps are computed at once; see ``MinGRUCell``.

    - ``eigenvalues``: of a step, in [0, 1] (``positive``) or in [−1, 1] (``signed``).
    """

    cell: type[MinGRUCell] = MinGRUCell

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        eigenvalues: Range = "positive",
    ) -> None:
        self.eigenvalues: Eigenvalues = eigenvalues
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return self.cell(d_in, width, self.eigenvalues)


class MinLSTM(MinGRU):
    """An LSTM whose gates do not see the state, so that all steps are computed at once; see ``MinLSTMCell``."""

    cell = MinLSTMCell
