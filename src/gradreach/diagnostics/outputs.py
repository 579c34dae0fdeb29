"""Layers without a recurrence: their output at each step, and its gradient, are in the autograd graph.

Attention blocks, convolutions, state-space layers and mixers carry no state from step to step. The gradient of the loss
with respect to their output at a step is already the total one; nothing has to be cut.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from gradreach.diagnostics.stepwise import is_stepwise

BY_STEP = (
    nn.Linear,
    nn.Embedding,
    nn.Dropout,
    nn.Identity,
    nn.LayerNorm,
    nn.BatchNorm1d,
    nn.RMSNorm,
    *(getattr(nn, name) for name in ("ReLU", "GELU", "SiLU", "Tanh", "Sigmoid", "ELU", "LeakyReLU", "Softplus")),
)
"""Torch modules that act on each step alone: no gradient reaches back through them."""
CONTAINERS = (nn.ModuleList, nn.Sequential)


NLC, NCL, LNC = (1, 0, 2), (2, 0, 1), (0, 1, 2)
"""Where time, examples and width stand: in the letters of torch's documentation, N examples, L steps, C channels."""


class Output(NamedTuple):
    """A layer's output, its node in the graph, and its axes of time, examples and width."""

    layer: str
    values: Tensor
    axes: tuple[int, int, int]

    def by_step(self, gradient: Tensor) -> Tensor:
        """Return the gradient as ``(length, batch, width)``."""
        return gradient.permute(self.axes)


class Outputs:
    """Collects the outputs of a model's layers without a recurrence while the model is called.

    - ``asked``: names of the modules to look at; None: the blocks of the model, which are the members of its outermost
      lists, or where it has none the innermost modules that give something at each step.
    - ``batch``, ``length``: of the probe. A convolution that gives fewer steps, and what comes after it, has its own.

    Raises:
        ValueError: a requested module does not exist.
    """

    def __init__(self, model: nn.Module, asked: Sequence[str] | None, batch: int, length: int) -> None:
        self.batch, self.lengths = batch, [length]
        self.found: list[Output] = []
        self.modules = dict(model.named_modules())
        self.recurrent = {name for name, module in self.modules.items() if is_recurrent(module)}
        unknown = [name for name in asked or () if name not in self.modules]
        if unknown:
            raise ValueError(f"{unknown[0]}: the model has no such module; choose from {', '.join(_blocks(self))}")
        self.asked = asked
        for name in self._candidates() if asked is None else asked:
            self.modules[name].register_forward_hook(self._hook(name))

    def chosen(self) -> list[Output]:
        """Return the layers' outputs, in the order in which they ran.

        Raises:
            ValueError: a requested module has no output at each step of the probe.
        """
        names = {output.layer.split("#")[0] for output in self.found}
        if self.asked is not None:
            silent = [name for name in self.asked if name not in names]
            if silent:
                raise ValueError(
                    f"{silent[0]}: it gives no tensor ({self.batch}, {self.lengths[0]}, width) for the probe that the "
                    "loss depends on; choose another module"
                )
            return self.found
        blocks = [name for name in _blocks(self) if name in names]
        kept = set(blocks) or {name for name in names if not any(_within(other, name) for other in names)}
        return [output for output in self.found if output.layer.split("#")[0] in kept]

    def _candidates(self) -> Iterator[str]:
        for name, module in self.modules.items():
            if name and not isinstance(module, (*BY_STEP, *CONTAINERS)) and not self._has_recurrence(name):
                yield name

    def _has_recurrence(self, name: str) -> bool:
        return any(name == other or _within(other, name) or _within(name, other) for other in self.recurrent)

    def _hook(self, name: str) -> Callable[..., None]:
        def keep(module: nn.Module, arguments: Any, output: Any) -> None:
            values = output[0] if isinstance(output, tuple | list) and output else output
            values = getattr(values, "last_hidden_state", values)
            if not isinstance(values, Tensor) or values.dim() != 3 or not values.requires_grad:
                return
            axes = self._axes_of(module, values.shape)
            if axes is not None:
                calls = sum(other.layer.split("#")[0] == name for other in self.found)
                self.found.append(Output(f"{name}#{calls + 1}" if calls else name, values, axes))

        return keep

    def _axes_of(self, module: nn.Module, shape: Sequence[int]) -> tuple[int, int, int] | None:
        """Return the axes of time, examples and width; if several fit, the kind of module decides."""
        parts = [*module.modules()]
        convolution = any(isinstance(part, nn.Conv1d) for part in parts)
        order = [NCL, NLC, LNC] if convolution else [NLC, NCL, LNC]
        if any(getattr(part, "batch_first", True) is False for part in parts):
            order = [LNC, *order[:2]]
        for length in self.lengths:
            for axes in order:
                if (shape[axes[0]], shape[axes[1]]) == (length, self.batch):
                    return axes
        if convolution and shape[0] == self.batch and shape[2] < self.lengths[0]:  # it strides
            self.lengths.append(shape[2])
            return NCL
        return None


def _blocks(outputs: Outputs) -> list[str]:
    """Return the members of the outermost lists of modules that are layers."""
    modules, blocks = outputs.modules, list[str]()
    for name in outputs._candidates():
        owner = name.rpartition(".")[0]
        if isinstance(modules.get(owner), CONTAINERS) and not any(_within(name, block) for block in blocks):
            blocks.append(name)
    return blocks


def _within(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def is_recurrent(module: nn.Module) -> bool:
    """Return whether a module carries a state from step to step, so that its curves are those of its state."""
    return isinstance(module, nn.RNNBase | nn.RNNCellBase) or is_stepwise(module)
