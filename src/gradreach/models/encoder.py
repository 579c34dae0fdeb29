"""The interface of every encoder."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from gradreach.errors import ConfigError

LARGEST_SIZE = 65_536
Size = Annotated[int, Field(gt=0, le=LARGEST_SIZE)]
"""The largest width, kernel or stride: larger models could not be trained here."""
Depth = Annotated[int, Field(gt=0, le=128)]
"""The most layers: all are constructed before a run starts."""
Share = Annotated[float, Field(ge=0, lt=1)]
"""The share of values that dropout sets to zero."""


HORIZON = "trainer.gradient_horizon"


class Encoder(nn.Module, ABC):
    """Maps ``(batch, length, d_in)`` to ``(batch, length', d_out)``.

    A constructor takes ``d_in`` and then keyword-only settings, which its YAML in ``conf/model`` mirrors.

    - ``d_out``: size of each state it gives.
    - ``causal``: whether a state depends on no later input.
    - ``receptive_field``: how many neighbouring steps of the input a state can depend on; None: all of them.
    - ``beyond_end``: how many of these lie beyond the end of the sequence for the last state.
    - ``kernels``: sizes of its kernels by the settings that give them; none is larger than the input.
    - ``fixed_length``: whether its weights are made for one length, which the constructor then takes as its second
      argument; such an encoder takes no padded sequences.
    - ``compiled``: whether ``gradreach.kernels`` has compiled loops for its layers (``nn.RNN``, ``nn.GRU``).
    - ``width_divisor``: the name of a setting that must divide the width, where there is one.
    - ``residual``: whether its layers are blocks with a path around them, which ``model.block`` does not make twice.

    >>> encoder = CNN(1, width=8, layers=2, kernel_size=3)
    >>> states, lengths = encoder(torch.zeros(4, 20, 1), None)
    >>> states.shape, encoder.causal, encoder.receptive_field
    (torch.Size([4, 20, 8]), False, 7)
    """

    d_out: int
    causal: bool
    receptive_field: int | None
    beyond_end: int = 0
    kernels: Mapping[str, int] = MappingProxyType({})
    fixed_length: ClassVar[bool] = False
    compiled: ClassVar[bool] = False
    width_divisor: ClassVar[str | None] = None
    residual: ClassVar[bool] = False

    @abstractmethod
    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Encode ``x (batch, length, d_in)``; ``lengths (batch,)`` counts valid steps, None: all are valid.

        Returns:
            The states ``(batch, length', d_out)`` and how many of them are valid; what stands beyond is arbitrary.
        """

    def limit_gradient(self, horizon: int) -> None:
        """In training, send no gradient further back than to this lag, counted from the last step of a sequence.

        Raises:
            ConfigError: it does not support this.
        """
        hint = "choose model=rnn, lstm or gru"
        raise ConfigError(HORIZON, horizon, "needs layers of nn.RNN, nn.LSTM or nn.GRU", hint)

    @abstractmethod
    def multiply_adds(self, length: int) -> int:
        """Count the multiply-adds of the matrix products and convolutions for one sequence."""

    def output_length(self, length: int) -> int:
        """Return how many states a sequence of this length gives."""
        return length

    def seen_by_last(self, length: int) -> Sequence[int]:
        """Return the steps, from 0, that the last state of a sequence of this length can depend on."""
        if self.receptive_field is None:
            return range(length)
        return range(max(0, length + self.beyond_end - self.receptive_field), length)

    def seen(self, steps: np.ndarray, length: int) -> np.ndarray:
        """Return which of ``length`` steps, in rising order, the states of these steps can depend on.

        It is asked of encoders that keep the length and have a receptive field.
        """
        assert self.receptive_field is not None
        offsets = np.arange(self.receptive_field) + 1 + self.beyond_end - self.receptive_field
        read = np.unique(steps[:, None] + offsets)
        return read[(read >= 0) & (read < length)]

    def check_length(self, length: int) -> None:
        """Raise a ConfigError where sequences of this length cannot be encoded, or are shorter than a kernel.

        The longest of ``task.test_lengths`` is asked of too: positions that are learned have an end.
        """
        for name, size in self.kernels.items():
            if size > length:
                setting = name if name == "kernel_size" else f"model.{name}"  # that one is an axis of the study
                larger = f"larger than the input of {length} steps (seq_len)"
                raise ConfigError(setting, size, larger, f"choose 1 to {length}")
        if self.output_length(length) < 1:
            raise ConfigError(
                "seq_len",
                length,
                f"too short: {type(self).__name__} would give no state",
                "choose a longer one, or a smaller kernel_size, stride or pool_size, or padding=same",
            )


def valid_steps(lengths: Tensor, length: int) -> Tensor:
    """Return ``(batch, length)``: True where a step is not padding.

    >>> valid_steps(torch.tensor([2, 3]), 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    return torch.arange(length, device=lengths.device) < lengths.unsqueeze(1)


def matrix_entries(module: nn.Module) -> int:
    """Count the entries of all matrices and kernels: the multiply-adds of using each of them once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() >= 2)
