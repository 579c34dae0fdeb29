"""Transformer blocks with any encoder in place of attention."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.contract import make_encoder
from gradreach.models.encoder import HORIZON, Encoder, matrix_entries


class Block(nn.Module):
    """``x + mixer(norm(x))``, then ``x + W_2 relu(W_1 norm(x))``.

    Source: R. Xiong et al., On layer normalization in the Transformer architecture, 2020.

    - ``mixer``: an encoder from ``width`` features, which keeps the length; where it gives another size (the two
      directions of a recurrent layer), a linear map leads back.
    - ``expansion``: units inside the perceptron, in multiples of ``width``; 0: no perceptron.
    - ``dropout``: share of what each of the two adds that is set to zero in training.
    """

    def __init__(self, mixer: Encoder, width: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.normalize_mixer = nn.LayerNorm(width)
        self.mixer = mixer
        self.back = nn.Identity() if mixer.d_out == width else nn.Linear(mixer.d_out, width, bias=False)
        self.perceptron = None
        if expansion:
            inside, outside = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
            self.normalize_perceptron = nn.LayerNorm(width)
            self.perceptron = nn.Sequential(inside, nn.ReLU(), outside)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Map ``(batch, length, width)`` to the same shape."""
        x = x + self.dropout(self.back(self.mixer(self.normalize_mixer(x), lengths)[0]))
        if self.perceptron is not None:
            x = x + self.dropout(self.perceptron(self.normalize_perceptron(x)))
        return x


class PreNorm(Encoder):
    """A stack of blocks, one for each layer of another encoder, with a norm at its end; see ``Block``.

    First the input is projected to the width, as in ``Transformer``. The instrument sees the states inside each block
    (``encoder.layers.0.mixer.layers.0``), or what a block without a recurrence gives (``encoder.layers.0``).

    - ``d_in``: size of one step of the input.
    - ``mixers``: the encoders inside the blocks, each from and to a size of ``width``.
    - ``width``, ``expansion``, ``dropout``: of a block.
    """

    def __init__(
        self, d_in: int, *, mixers: Sequence[Encoder], width: int, expansion: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.d_out = width
        self.causal = all(mixer.causal for mixer in mixers)
        fields = [mixer.receptive_field for mixer in mixers]
        self.receptive_field = None if None in fields else 1 + sum(field - 1 for field in fields if field)
        self.kernels = dict(mixers[0].kernels)
        self.title = f"{type(mixers[0]).__name__} in blocks"
        self.project = nn.Linear(d_in, width)
        self.layers = nn.ModuleList(Block(mixer, width, expansion, dropout) for mixer in mixers)
        self.normalize = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features of the last block, ``(batch, length, width)``."""
        x = self.project(x)
        for layer in self.layers:
            x = layer(x, lengths)
        return self.normalize(x), lengths

    def limit_gradient(self, steps: int) -> None:
        """Not supported: a block passes on the states of all steps."""
        raise ConfigError(HORIZON, steps, "needs a recurrent model's layers without blocks", "set model.block=none")

    def multiply_adds(self, length: int) -> int:
        """Count those of the mixers, and of all other matrices."""
        others = matrix_entries(self) - sum(map(matrix_entries, self.mixers))
        return length * others + sum(mixer.multiply_adds(length) for mixer in self.mixers)

    def seen_by_last(self, length: int) -> Sequence[int]:
        """Return the steps, from 0, that the last state of a sequence of this length can depend on."""
        if self.receptive_field is None:
            return range(length)
        seen = np.array([length - 1])
        for mixer in reversed(self.mixers):
            seen = np.union1d(seen, mixer.seen(seen, length))
        steps: list[int] = seen.tolist()
        return steps

    def check_length(self, length: int) -> None:
        """Ask the mixers."""
        for mixer in self.mixers:
            mixer.check_length(length)

    @property
    def mixers(self) -> list[Encoder]:
        """The encoders inside the blocks."""
        return [layer.mixer for layer in self.layers if isinstance(layer, Block)]


def prenorm(kind: type[Encoder], d_in: int, arguments: Mapping[str, Any], expansion: int, length: int) -> PreNorm:
    """Build blocks around the layers of an encoder, each of which becomes a one-layer encoder.

    Args:
        kind: the encoder's class.
        d_in: size of one step of the input.
        arguments: of its constructor, by name; ``dropout`` then acts on what the blocks add.
        expansion: units inside the perceptrons, in multiples of the width; 0: there are none.
        length: of the sequences.

    Raises:
        ConfigError: blocks cannot be built from it.

    >>> encoder = prenorm(GRU, 1, {"width": 8, "layers": 2}, expansion=4, length=20)
    >>> encoder(torch.zeros(4, 20, 1), None)[0].shape, [type(layer.mixer).__name__ for layer in encoder.layers]
    (torch.Size([4, 20, 8]), ['GRU', 'GRU'])
    """
    parameters = inspect.signature(kind).parameters
    settings = {name: each.default for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    settings |= arguments
    if getattr(kind, "residual", False):
        raise _refused(kind, "already consists of residual blocks")
    if getattr(kind, "fixed_length", False) or not {"width", "layers"} <= settings.keys():
        raise _refused(kind, "has no layers of one width to build blocks around")
    for name in ("width_multiples", "kernel_sizes"):
        if settings.get(name) is not None:
            raise _refused(
                kind, f"has layers that differ in model.{name}, but all blocks are equal", f"set model.{name}=null"
            )
    if settings.get("dilation_base", 1) != 1 and settings["layers"] > 1:
        place = "dilates layers by their depth, but each block has a stack of its own"
        raise _refused(kind, place, "set model.dilation_base=1")
    width, layers, dropout = settings["width"], settings["layers"], settings.get("dropout", 0.0)
    single = {**arguments, "layers": 1} | ({"dropout": 0.0} if "dropout" in settings else {})
    mixers = [make_encoder(kind, [width], single) for _ in range(layers)]
    if (given := mixers[0].output_length(length)) != length:
        hint = "choose settings that keep the length (padding=same or causal, stride=1, pooling=none)"
        raise _refused(kind, f"turns {length} steps into {given}, but the path around it keeps all of them", hint)
    return PreNorm(d_in, mixers=mixers, width=width, expansion=expansion, dropout=dropout)


def _refused(kind: type[Encoder], why: str, hint: str = "set model.block=none") -> ConfigError:
    return ConfigError("model.block", "prenorm", f"{kind.__name__} {why}", hint)
