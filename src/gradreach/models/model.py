"""Embed, encode, read out, answer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.embedding import Bare, Embedding
from gradreach.models.encoder import HORIZON, Encoder
from gradreach.models.readout import READOUTS


class SequenceModel(nn.Module):
    """An embedding, an encoder, a readout and a linear head.

    - ``encoder``: ``(batch, length, d_in) -> (batch, length', d_out)``.
    - ``readout``: a name in ``READOUTS``.
    - ``outputs``: how many numbers the head gives.
    - ``length``: of the sequences; only ``flatten`` needs it.
    - ``embedding``: from token ids or steps to the encoder's input; None: steps unchanged.
    - ``dropout``: share of the head's input that is set to zero in training.
    - ``max_norm``: the weights of each output are scaled down to this Euclidean norm (Hinton et al., 2012; in Kim's
      CNN after every step, here before every use, so that the function is the same); None: they are free.

    >>> model = SequenceModel(LSTM(1, width=16), "last", outputs=10)
    >>> model(torch.zeros(4, 20, 1)).shape
    torch.Size([4, 10])
    >>> model(torch.zeros(4, 20, 1), torch.tensor([20, 7, 3, 1])).shape  # padded on the right
    torch.Size([4, 10])
    """

    def __init__(
        self,
        encoder: Encoder,
        readout: str,
        outputs: int,
        *,
        length: int | None = None,
        embedding: Embedding | None = None,
        dropout: float = 0.0,
        max_norm: float | None = None,
    ) -> None:
        super().__init__()
        self.readout_name = readout
        self.width: int | None = None  # what was chosen, for those who report it
        self.embedding = Bare() if embedding is None else embedding
        self.encoder = encoder
        self.readout = READOUTS[readout](encoder.d_out, None if length is None else encoder.output_length(length))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(self.readout.d_out, outputs)
        self.max_norm = max_norm

    def forward(self, x: Tensor, lengths: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
        """Return ``(batch, outputs)``, or ``(batch, length, outputs)`` where each step is answered.

        Args:
            x: ``(batch, length, channels)``, or token ids ``(batch, length)``.
            lengths: valid steps of each example, ``(batch,)``; None: all.
            steps: which steps of each example to answer, ``(batch, k)``, where each step can be; None: all.
        """
        states, lengths = self.encoder(self.embedding(x), lengths)
        features = self.dropout(self.readout(states, lengths))
        if steps is not None:
            features = features.gather(1, steps.unsqueeze(2).expand(-1, -1, features.shape[2]))
        if self.max_norm is None:
            answer: Tensor = self.head(features)
            return answer
        return F.linear(features, torch.renorm(self.head.weight, 2, 0, self.max_norm), self.head.bias)

    def limit_gradient(self, horizon: int) -> None:
        """Send no gradient further back than to this lag, counted from the last step of a sequence, in training.

        In evaluation, and so for the diagnostics, the full gradient is available.

        Raises:
            ConfigError: the encoder does not support it, or the readout uses more than the last step.

        >>> model = SequenceModel(LSTM(1, width=16), "last", outputs=10)
        >>> model.limit_gradient(5)
        >>> x = torch.zeros(4, 20, 1, requires_grad=True)
        >>> model(x).sum().backward()
        >>> int((x.grad.abs().sum((0, 2)) > 0).sum())  # lags 0 to 5, of twenty steps
        6
        """
        self.encoder.limit_gradient(horizon)
        if self.readout_name != "last":
            here = {"model.readout": self.readout_name}
            raise ConfigError(HORIZON, horizon, "is counted from the last step", "set model.readout=last", others=here)

    @property
    def parameter_count(self) -> int:
        """The number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @property
    def receptive_field(self) -> int | None:
        """How many neighbouring steps of the input a state can depend on; None: all of them."""
        seen = self.encoder.receptive_field
        return None if seen is None else seen + self.embedding.steps - 1

    def seen_by_last(self, length: int) -> Sequence[int]:
        """Return the steps, from 0, that the last state of a sequence of this length can depend on."""
        seen, told = self.encoder.seen_by_last(length), range(self.embedding.steps)
        return sorted({step - before for step in seen for before in told if step >= before})

    def multiply_adds(self, length: int) -> int:
        """Count the multiply-adds for one sequence of this length."""
        return sum(self.multiply_adds_by_part(length).values())

    def multiply_adds_by_part(self, length: int) -> dict[str, int]:
        """Count the multiply-adds of embedding, encoder, readout and head for one sequence of this length."""
        steps = self.encoder.output_length(length)
        answers = steps if self.readout_name == "each_step" else 1
        return {
            "embedding": self.embedding.multiply_adds(length),
            "encoder": self.encoder.multiply_adds(length),
            "readout": self.readout.multiply_adds(steps),
            "head": answers * self.head.weight.numel(),
        }
