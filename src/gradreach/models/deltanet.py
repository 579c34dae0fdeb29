"""DeltaNet: a linear recurrence whose matrix state is corrected key by key."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.errors import ConfigError
from gradreach.models.cells import Cell, State
from gradreach.models.convolutional import short_convolution
from gradreach.models.encoder import Depth, Share, Size, matrix_entries, valid_steps
from gradreach.models.recurrent import Recurrent
from gradreach.models.scan import Eigenvalues

CHUNK = 16
"""Corrections of the state that are computed as one product of matrices."""


class DeltaRule(Cell):
    """The recurrence of a DeltaNet: every step corrects what the state answers to its keys, one after the other.

    ::

        S ← S + β_j (v_j − S k_j) k_jᵀ = S (I − β_j k_j k_jᵀ) + β_j v_j k_jᵀ,   j = 1 … steps,   k_j of length 1
        y_t = S_t q_t

    Source: I. Schlag, K. Irie and J. Schmidhuber, Linear transformers are secretly fast weight programmers, 2021,
    eq. 24; in chunks: S. Yang et al., Parallelizing linear transformers with the delta rule over sequence length,
    2024, §3.2; several steps a token: J. Siems et al., DeltaProduct, 2025. An eigenvalue of one factor is 1 − β, all
    others are 1; those of a product of factors, which do not commute, can be complex.

    The input of a step is q, then ``steps`` keys, ``steps`` values, and the preactivations of their β, head by head
    in each; q and k are scaled to length 1 here. A state is Sᵀ of all heads, ``(batch, heads · size · size)``. There
    are no weights.

    - ``heads``: with a state of their own each.
    - ``size``: of a head's keys, and of its values.
    - ``steps``: corrections a token.
    - ``eigenvalues``: ``positive``: β in (0, 1); ``signed``: β in (0, 2) (R. Grazzi et al., 2025, §4).
    """

    def __init__(self, heads: int, size: int, steps: int, eigenvalues: Eigenvalues = "positive") -> None:
        super().__init__()
        self.heads, self.size, self.steps = heads, size, steps
        self.width = heads * size * size
        self.largest = 2 if eigenvalues == "signed" else 1

    def prepare(self, x: Tensor) -> Tensor:
        """Return q and all k at length 1, all v, and all β."""
        width = self.heads * self.size
        vectors, v, beta = x.split([(1 + self.steps) * width, self.steps * width, self.steps * self.heads], -1)
        vectors = vectors.unflatten(-1, (-1, self.size))
        vectors = vectors * torch.rsqrt(vectors.square().sum(-1, keepdim=True) + 1e-6)
        return torch.cat([vectors.flatten(-2), v, self.largest * beta.sigmoid()], -1)

    def parts(self, prepared: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return q ``(..., heads, size)``, k and v ``(..., steps, heads, size)``, β ``(..., steps, heads)``."""
        width = self.heads * self.size
        q, k, v, beta = prepared.split([width, *(2 * [self.steps * width]), self.steps * self.heads], -1)
        k, v = (part.unflatten(-1, (self.steps, self.heads, self.size)) for part in (k, v))
        return q.unflatten(-1, (self.heads, self.size)), k, v, beta.unflatten(-1, (self.steps, self.heads))

    def opened(self, prepared: Tensor, state: State) -> dict[str, Tensor]:
        """Return the share of each correction that is made: β, with ``signed`` half of it."""
        return {"write": prepared[..., -self.steps * self.heads :] / self.largest}

    def advance(self, prepared: Tensor, state: State) -> Tensor:
        """Return the next state."""
        assert isinstance(state, Tensor)
        _, keys, values, betas = self.parts(prepared)
        matrix = state.unflatten(-1, (self.heads, self.size, self.size))
        for k, v, beta in zip(keys.unbind(-3), values.unbind(-3), betas.unbind(-2), strict=True):
            answered = torch.matmul(k.unsqueeze(-2), matrix).squeeze(-2)
            matrix = matrix + k.unsqueeze(-1) * (beta.unsqueeze(-1) * (v - answered)).unsqueeze(-2)
        after: Tensor = matrix.flatten(-3)
        return after

    def output(self, x: Tensor, state: State) -> Tensor:
        """Return ``y_t``, ``(batch, heads · size)``."""
        assert isinstance(state, Tensor)
        q, *_ = self.parts(self.prepare(x))
        matrix = state.unflatten(-1, (self.heads, self.size, self.size))
        return torch.matmul(q.unsqueeze(-2), matrix).squeeze(-2).flatten(-2)

    def chunks(self, length: int) -> tuple[int, int]:
        """Return how many chunks there are, and how many tokens each has."""
        tokens = min(length, max(1, CHUNK // self.steps))
        return -(-length // tokens), tokens

    def forward(self, x: Tensor) -> Tensor:
        """Return all ``y_t``, ``(batch, length, heads · size)``.

        In a chunk each correction depends on those before it by a triangular matrix, so that all are the solution of
        one system; from chunk to chunk goes a loop. What fills up the last chunk corrects nothing.
        """
        batch, length, _ = x.shape
        count, tokens = self.chunks(length)
        q, k, v, beta = self.parts(F.pad(self.prepare(x), (0, 0, 0, count * tokens - length)))
        # (batch, heads, chunks, tokens or corrections, size)
        q = q.unflatten(1, (count, tokens)).permute(0, 3, 1, 2, 4)
        k, v = (part.flatten(1, 2).unflatten(1, (count, -1)).permute(0, 3, 1, 2, 4) for part in (k, v))
        beta = beta.flatten(1, 2).unflatten(1, (count, -1)).permute(0, 3, 1, 2).unsqueeze(4)
        earlier = torch.matmul(beta * k, k.mT).tril(-1)
        wide = torch.promote_types(earlier.dtype, torch.float32)  # mixed precision solves no system, nor adds up states
        known = torch.cat([beta * k, beta * v], -1).to(wide)
        both = torch.linalg.solve_triangular(earlier.to(wide), known, upper=False, unitriangular=True)
        of_state, new = both.split(self.size, -1)
        last = torch.arange(1, tokens + 1, device=x.device).unsqueeze(1) * self.steps
        seen = torch.arange(tokens * self.steps, device=x.device) < last
        within = torch.matmul(q, k.mT) * seen
        state, outputs = new.new_zeros(batch, self.heads, self.size, self.size), []
        # not [:, :, i], whose backward pass takes quadratic time
        for read, key, by_state, by_input, to in zip(
            *(p.unbind(2) for p in (q, k, of_state, new, within)), strict=True
        ):
            corrections = by_input - torch.matmul(by_state, state)
            outputs.append(torch.matmul(read, state) + torch.matmul(to, corrections))
            state = state + torch.matmul(key.mT, corrections)
        return torch.cat(outputs, 2)[:, :, :length].transpose(1, 2).flatten(2)

    def multiply_adds(self, length: int) -> int:
        """Count those of the products of matrices; solving the triangular systems is not among them."""
        count, tokens = self.chunks(length)
        among, with_state = tokens * self.steps, self.size * (2 * tokens * self.steps + tokens)
        of_chunk = among * among + 2 * tokens * among + with_state
        return self.heads * count * self.size * of_chunk


class DeltaMixer(nn.Module):
    """``W_out norm(delta rule)``: q, k and v are ``silu(conv(W x + b))``, β has the preactivation ``W_β x``.

    The norm is that of a root mean square over each head (Yang et al., 2024, figure 1).
    """

    def __init__(
        self, d_in: int, width: int, heads: int, steps: int, taps: int, eigenvalues: Eigenvalues = "positive"
    ) -> None:
        super().__init__()
        vectors = (1 + 2 * steps) * width
        self.from_input = nn.Linear(d_in, vectors)
        self.convolution = nn.Conv1d(vectors, vectors, taps, groups=vectors)
        self.write = nn.Linear(d_in, steps * heads, bias=False)
        self.recurrence = DeltaRule(heads, width // heads, steps, eigenvalues)
        self.normalize = nn.RMSNorm(width // heads, eps=1e-5)
        self.to_output = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, length, d_in)`` to ``(batch, length, width)``."""
        vectors = F.silu(short_convolution(self.from_input(x), self.convolution))
        y = self.recurrence(torch.cat([vectors, self.write(x)], -1))
        heads = y.unflatten(-1, (self.recurrence.heads, -1)).to(self.normalize.weight.dtype)
        mixed: Tensor = self.to_output(self.normalize(heads).flatten(-2))
        return mixed


class DeltaNet(Recurrent):
    """Layers of linear attention with the delta rule; see ``DeltaMixer``, ``DeltaRule``.

    The published network has a norm before each layer, a path around it, and a perceptron: ``model.block=prenorm``.

    - ``width``: of what a layer gives, in each direction; a multiple of ``heads``.
    - ``heads``: each with a state of (width / heads)² numbers.
    - ``steps``: corrections of a state at each step of the sequence; 1: DeltaNet, more: DeltaProduct.
    - ``convolution``: steps that the causal convolution before the recurrence sees.
    - ``eigenvalues``: of each correction, in [0, 1] (``positive``) or in [−1, 1] (``signed``); of a step too where
      it is one. The product of three corrections of the former, or of two of the latter, can have complex ones.
    """

    width_divisor = "heads"

    def __init__(
        self,
        d_in: int,
        *,
        width: Size = 32,
        layers: Depth = 1,
        bidirectional: bool = False,
        dropout: Share = 0.0,
        heads: Size = 2,
        steps: Size = 1,
        convolution: Size = 4,
        eigenvalues: Eigenvalues = "positive",
    ) -> None:
        if width % heads:
            nearest = -(-width // heads) * heads
            raise ConfigError("model.width", width, f"not a multiple of heads={heads}", f"choose {nearest}")
        self.inside = (heads, steps, convolution)
        self.eigenvalues: Eigenvalues = eigenvalues
        super().__init__(d_in, width=width, layers=layers, bidirectional=bidirectional, dropout=dropout)

    def layer(self, d_in: int, width: int) -> nn.Module:
        """Make one layer of one direction."""
        return DeltaMixer(d_in, width, *self.inside, self.eigenvalues)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return what the last layer gives, ``(batch, length, d_out)``."""
        if lengths is not None:  # in a chunk a weight of zero would not hide a NaN
            x = x.masked_fill(~valid_steps(lengths, x.shape[1]).unsqueeze(2), 0)
        return super().forward(x, lengths)

    def multiply_adds(self, length: int) -> int:
        """Count those of the matrices, the short convolutions, and the products of the chunks."""
        chunks = sum(part.multiply_adds(length) for part in self.modules() if isinstance(part, DeltaRule))
        return length * matrix_entries(self) + chunks
