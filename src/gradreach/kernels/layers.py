"""``nn.RNN`` and ``nn.GRU`` that use compiled loops where these work and are faster."""

from typing import Any

from torch import Tensor, nn

from gradreach.kernels.arrays import Inputs
from gradreach.kernels.compiled import usable
from gradreach.kernels.functions import run
from gradreach.kernels.suitability import all_plain, possible, suitable


class RNN(nn.RNN):
    """``nn.RNN``, only faster."""

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:  # noqa: A002  # torch's name of it
        """Return what ``nn.RNN`` returns: the states, and the last of them."""
        inputs = _inputs(self, input, hx)
        return super().forward(input, hx) if inputs is None else run(self.mode, self.batch_first, inputs)


class GRU(nn.GRU):
    """``nn.GRU``, only faster."""

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:  # noqa: A002  # torch's name of it
        """Return what ``nn.GRU`` returns: the states, and the last of them."""
        inputs = _inputs(self, input, hx)
        return super().forward(input, hx) if inputs is None else run(self.mode, self.batch_first, inputs)


OURS: dict[type[nn.Module], type[RNN] | type[GRU]] = {nn.RNN: RNN, nn.GRU: GRU}


def accelerate(model: nn.Module) -> int:
    """Let a model's ``nn.RNN`` and ``nn.GRU`` use compiled loops where these work and are faster.

    Each becomes a subclass of the same name that overrides ``forward`` alone: weights, state dict and hooks are as
    they were.

    Returns:
        How many layers the loops can run.

    Example:
        >>> import torch
        >>> model = torch.nn.GRU(3, 32, batch_first=True)
        >>> accelerate(model)
        1
        >>> states, last = model(torch.zeros(16, 100, 3))
        >>> states.shape, last.shape
        (torch.Size([16, 100, 32]), torch.Size([1, 16, 32]))
    """
    for module in model.modules():
        ours = OURS.get(type(module))
        if ours is not None and isinstance(module, nn.RNNBase) and possible(module):
            module.__class__ = ours
    return sum(isinstance(module, RNN | GRU) and possible(module) for module in model.modules())


def _inputs(layer: nn.RNNBase, x: Any, start: Tensor | None) -> Inputs | None:
    """Return the loops' arguments for a call; None if torch's own path handles it."""
    if not suitable(layer, x, start):
        return None
    biases = (layer.bias_ih_l0, layer.bias_hh_l0) if layer.bias else (None, None)
    weights = (layer.weight_ih_l0, layer.weight_hh_l0, *biases)
    kind = "GRU" if layer.mode == "GRU" else "RNN"
    return Inputs(x, start, *weights) if all_plain(weights) and usable(kind) else None
