"""Linear state-space models: deep stacks of diagonal linear recurrences with nonlinearities between them."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.encoder import Depth, Encoder, Share, Size, matrix_entries, valid_steps
from gradreach.models.initialization import s4d_lin_start, skip_start
from gradreach.models.scan import LinearRecurrence

Radius = Annotated[float, Field(ge=0, lt=1)]


class LRU(Encoder):
    """Layers of ``x + gelu(C s + D ∘ x)``, s the states of a complex diagonal linear recurrence over x.

    Source: A. Orvieto et al., Resurrecting recurrent neural networks for long sequences, 2023; without their layer
    normalisation, and with ``Re(C s)`` as a real matrix on the two parts of s. First the input is projected to
    ``width``. C is initialized as torch's linear layers are, where the paper draws it from a normal distribution.

    - ``d_in``: size of one step of the input.
    - ``width``: features between the layers.
    - ``layers``: how many.
    - ``states``: complex numbers in the state of a layer.
    - ``r_min``, ``r_max``: bounds of the initial moduli of the eigenvalues.
    - ``dropout``: share of what a layer adds that is set to zero in training.
    """

    causal = True
    receptive_field = None

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        states: Size = 32,
        r_min: Radius = 0.0,
        r_max: Radius = 0.99,
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        if r_min > r_max:
            raise ConfigError("model.r_min", r_min, f"larger than r_max={r_max}", f"choose one between 0 and {r_max}")
        self.d_out = width
        self.project = nn.Linear(d_in, width)
        self.layers = nn.ModuleList(LinearRecurrence(width, states, r_min, r_max) for _ in range(layers))
        self.outputs = nn.ModuleList(nn.Linear(2 * states, width, bias=False) for _ in range(layers))
        self.skips = nn.ParameterList(torch.empty(width) for _ in range(layers))
        for skip in self.skips:
            skip_start(skip)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last layer, ``(batch, length, width)``."""
        x = self.project(x)
        for layer, output, skip in zip(self.layers, self.outputs, self.skips, strict=True):
            x = x + self.dropout(F.gelu(output(layer(x)) + skip * x))
        return x, lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices; the recurrence itself is elementwise and small beside them."""
        return length * matrix_entries(self)


class S4DKernel(nn.Module):
    """Independent diagonal state-space models, one for each channel, applied as one long causal convolution.

    ::

        s_t = exp(Δ A) s_{t-1} + (exp(Δ A) − 1) / A · x_t       A = −e^a + i b, complex, diagonal; B = 1
        y_t = 2 Re(C s_t) + D x_t                               K_l = 2 Re Σ_n C_n (exp(Δ A_n) − 1) / A_n exp(Δ A_n l)

    Source: A. Gu et al., On the parameterization and initialization of diagonal state space models, 2022, with
    zero-order hold.

    - ``width``: channels.
    - ``states``: complex numbers in the state of one channel.
    """

    undecayed = ("log_step", "log_decay", "frequency")

    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        self.log_step = nn.Parameter(torch.empty(width, 1))
        self.log_decay = nn.Parameter(torch.empty(width, states))
        self.frequency = nn.Parameter(torch.empty(width, states))
        self.output = nn.Parameter(torch.empty(width, states, 2))
        self.skip = nn.Parameter(torch.empty(width))
        skip_start(self.skip)
        s4d_lin_start(self.log_step, self.log_decay, self.frequency, self.output)

    def kernel(self, length: int) -> Tensor:
        """Return what an impulse gives, ``(width, length)``."""
        a = torch.complex(-torch.exp(self.log_decay), self.frequency)
        exponent = a * torch.exp(self.log_step)
        weight = torch.view_as_complex(self.output) * torch.expm1(exponent) / a
        steps = torch.arange(length, device=a.device)
        powers = torch.exp(exponent.unsqueeze(2) * steps)  # (width, states, length)
        return 2 * torch.einsum("cn,cnl->cl", weight, powers).real

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, length, width)`` to the same shape."""
        length = x.shape[1]
        size = 2 * length  # so that the end does not wrap round to the start
        spectrum = torch.fft.rfft(x, size, dim=1) * torch.fft.rfft(self.kernel(length).T, size, dim=0)
        convolved: Tensor = torch.fft.irfft(spectrum, size, dim=1)
        return convolved[:, :length] + self.skip * x


class S4D(Encoder):
    """Layers of ``x + W gelu(S4D(x))``; see ``S4DKernel``. First the input is projected to ``width``.

    Causal up to the rounding of a Fourier transform; padding is set to zero before each, so nothing of it remains.

    - ``d_in``: size of one step of the input.
    - ``width``: channels.
    - ``layers``: how many.
    - ``states``: complex numbers in the state of one channel.
    - ``dropout``: share of what a layer adds that is set to zero in training.
    """

    causal = True
    receptive_field = None

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 2,
        states: Size = 16,
        dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        self.d_out, self.states = width, states
        self.project = nn.Linear(d_in, width)
        self.layers = nn.ModuleList(S4DKernel(width, states) for _ in range(layers))
        self.mixing = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last layer, ``(batch, length, width)``."""
        x = self.project(x)
        padding = None if lengths is None else ~valid_steps(lengths, x.shape[1]).unsqueeze(2)
        for layer, mix in zip(self.layers, self.mixing, strict=True):
            x = x if padding is None else x.masked_fill(padding, 0)
            x = x + self.dropout(mix(F.gelu(layer(x))))
        return x, lengths

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices, and the recurrences as if run step by step: six for each complex state."""
        dense = matrix_entries(self.project) + matrix_entries(self.mixing)
        return length * (dense + 6 * self.states * self.d_out * len(self.layers))
