"""Networks that treat time steps as separate inputs: baselines for weight sharing and sparsity."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.convolutional import NONLINEARITIES, OfLayers, pad, padding_widths
from gradreach.models.encoder import Depth, Encoder, Share, Size, matrix_entries
from gradreach.models.initialization import uniform_by_fan_in


class Identity(Encoder):
    """The identity: the readout sees the input itself.

    With the readout ``flatten`` the model is linear (``model=linear``; for classes logistic regression, D. R. Cox,
    1958), with ``mean`` over embedded words a bag of embeddings (``model=bag``), and with vectors of
    pairs of words fastText (``model=fasttext``; A. Joulin et al., 2016).
    """

    causal = True
    receptive_field = 1

    def __init__(self, d_in: int) -> None:
        super().__init__()
        self.d_out = d_in

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the input."""
        return x, lengths

    def multiply_adds(self, length: int) -> int:
        """None."""
        return 0


class MLP(Encoder):
    """A multilayer perceptron on all steps, concatenated; its output is one state, ``(batch, 1, width)``.

    Source: D. E. Rumelhart, G. E. Hinton and R. J. Williams, Learning representations by back-propagating errors, 1986.

    - ``d_in``: size of one step of the input.
    - ``length``: steps of the input.
    - ``width``: units of every layer.
    - ``layers``: how many, the head not counted.
    - ``nonlinearity``: after every layer.
    - ``dropouts``: of each layer, the share of what it reads that is set to zero in training; None: nothing is.
    """

    causal = False
    receptive_field = None
    fixed_length = True

    def __init__(
        self,
        d_in: int,
        length: int,
        *,
        width: Size = 100,
        layers: Depth = 2,
        nonlinearity: Literal["relu", "tanh"] = "relu",
        dropouts: Annotated[tuple[Share, ...] | None, OfLayers] = None,
    ) -> None:
        super().__init__()
        if dropouts is not None and len(dropouts) != layers:
            number = f"has {len(dropouts)} entries for {layers} layers"
            raise ConfigError("model.dropouts", list(dropouts), number, f"give {layers}, or null")
        self.d_out = width
        self.nonlinearity = nonlinearity
        self.dropouts = dropouts
        sizes = [length * d_in] + [width] * (layers - 1)
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in sizes)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return ``(batch, 1, width)``."""
        x = x.flatten(1)
        for number in range(len(self.layers)):
            x = self.read(number, x)
        return x.unsqueeze(1), None

    def read(self, number: int, x: Tensor) -> Tensor:
        """Return what a layer makes of ``(batch, size)``."""
        if self.dropouts is not None:
            x = F.dropout(x, self.dropouts[number], self.training)
        return NONLINEARITIES[self.nonlinearity](self.layers[number](x))

    def output_length(self, length: int) -> int:
        """There is one state."""
        return 1

    def multiply_adds(self, length: int) -> int:
        """Count those of all layers."""
        return matrix_entries(self)


class ResidualMLP(MLP):
    """A multilayer perceptron whose layers but the first add to what they read: ``h + relu(W h + b)``.

    With two layers of 100 units this is the MLP of MNIST-1D's published table (S. Greydanus and D. Kobak, 2020). The
    arguments are those of ``MLP``.
    """

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return ``(batch, 1, width)``."""
        x = self.read(0, x.flatten(1))
        for number in range(1, len(self.layers)):
            x = x + self.read(number, x)
        return x.unsqueeze(1), None


class Unshared(nn.Module):
    """A convolution with its own weights at every position: ``(batch, length, d_in)`` to ``(batch, length', width)``.

    Started like torch's convolutions: uniform within ±1/√(taps · d_in).
    """

    def __init__(self, d_in: int, length: int, width: int, kernel_size: int, widths: tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size, self.widths = kernel_size, widths
        self.positions = length + sum(widths) - kernel_size + 1
        self.weight = nn.Parameter(torch.empty(max(self.positions, 0), width, d_in * kernel_size))
        self.bias = nn.Parameter(torch.empty(max(self.positions, 0), width))
        uniform_by_fan_in(self, d_in * kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, before any nonlinearity."""
        x = pad(x.transpose(1, 2), *self.widths, None, circular=False)
        windows = x.unfold(2, self.kernel_size, 1).permute(0, 2, 1, 3).flatten(2)  # (batch, length', d_in · taps)
        return torch.einsum("bli,loi->blo", windows, self.weight) + self.bias


class LocallyConnected(Encoder):
    """Layers with local windows like a convolution, but without weight sharing between positions.

    Source: Y. LeCun, Generalization and network design strategies, 1989.

    - ``d_in``: size of one step of the input.
    - ``length``: steps of the input.
    - ``width``: features of every position.
    - ``layers``: how many.
    - ``kernel_size``: steps that one unit sees of the layer below; an even one sees one more on the right.
    - ``padding``: zeros that keep the length (``same``), or ``none``.
    - ``nonlinearity``: after every layer.
    """

    causal = False
    fixed_length = True

    def __init__(
        self,
        d_in: int,
        length: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        kernel_size: Size = 3,
        padding: Literal["none", "same"] = "same",
        nonlinearity: Literal["relu", "tanh"] = "relu",
    ) -> None:
        super().__init__()
        self.d_out = width
        self.nonlinearity = nonlinearity
        self.receptive_field = 1 + layers * (kernel_size - 1)
        self.kernels = {"kernel_size": kernel_size}
        widths = padding_widths(padding, kernel_size)
        self.beyond_end = layers * widths[1]
        self.layers = nn.ModuleList()
        self.steps = length
        for _ in range(layers):
            self.layers.append(Unshared(d_in, self.steps, width, kernel_size, widths))
            d_in, self.steps = width, self.layers[-1].positions  # type: ignore[assignment]

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last layer, ``(batch, length', width)``."""
        for layer in self.layers:
            x = NONLINEARITIES[self.nonlinearity](layer(x))
        return x, None

    def output_length(self, length: int) -> int:
        """Return how many positions the last layer has."""
        return max(0, self.steps)

    def multiply_adds(self, length: int) -> int:
        """Count one for every weight: each is used once."""
        return matrix_entries(self) - sum(layer.bias.numel() for layer in self.layers)  # type: ignore
