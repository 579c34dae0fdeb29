"""A horizon for the gradient: no gradient goes further back than k steps from the step that the loss reads.

The horizon k is the largest lag that the gradient may reach, where a lag counts steps back from the step that is read,
as in profiles and in ``reach``. So lags 0 to k, which are k + 1 steps, get the full gradient, and lag k + 1 gets
exactly none: a cue d steps before the answer is learned from where d ≤ k. The first of T steps is at lag T − 1, so that
k = T − 1 would cut nothing.

Earlier steps run without a graph, and their last state is a constant: truncated backpropagation
through time (source: R. J. Williams and J. Peng, 1990), counted from the end of every sequence. The forward pass does
not change, only the gradient does. Later steps can still learn to use that state: they can read a cue from it that no
weight was trained to store.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]


def near_states(
    layers: Iterable[nn.Module], between: nn.Module, x: Tensor, lengths: Tensor | None, horizon: int
) -> tuple[Tensor, Tensor | None]:
    """Return the states within the horizon of every sequence, which depend on earlier ones but send them no gradient.

    Args:
        layers: ``nn.RNN``, ``nn.LSTM`` or ``nn.GRU`` with ``batch_first``, one above the other.
        between: applied to the states of a layer before the next one.
        x: ``(batch, length, d_in)``.
        lengths: valid steps, ``(batch,)``; None: all.
        horizon: the largest lag that gets a gradient.

    Returns:
        States ``(batch, steps, d_out)`` of at most ``horizon + 1`` steps, and how many of them are valid.
    """
    ends = torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths
    start = (ends - 1 - horizon).clamp(min=0)
    far, near = x[:, : int(start.max()) if len(x) else 0], _from(start, x, horizon + 1)
    for number, layer in enumerate(layers):
        if number:
            far, near = between(far), between(near)
        with torch.no_grad():
            far, state = _until(layer, far, start)
        near, _ = layer(near, state)
    return near, None if lengths is None else lengths - start


def _from(start: Tensor, x: Tensor, number: int) -> Tensor:
    """Return this many steps of each sequence from a start on; values beyond its end are never read."""
    steps = start.unsqueeze(1) + torch.arange(min(number, x.shape[1]), device=x.device)
    index = steps.clamp(max=x.shape[1] - 1).unsqueeze(2)
    return x.gather(1, index.expand(-1, -1, x.shape[2]))


def _until(layer: nn.Module, x: Tensor, start: Tensor) -> tuple[Tensor, State | None]:
    """Return a layer's states, and that before each sequence's start: zero before the first step."""
    if not x.shape[1]:
        return x, None
    states, last = layer(x)
    before, none = (start - 1).clamp(min=0), (start == 0).view(1, -1, 1)
    if isinstance(last, Tensor):
        index = before.view(-1, 1, 1).expand(-1, 1, states.shape[2])
        return states, states.gather(1, index).transpose(0, 1).masked_fill(none, 0).contiguous()
    if bool((start != x.shape[1]).any()):  # its cell is told of the last step alone
        packed = nn.utils.rnn.pack_padded_sequence(x, (before + 1).cpu(), batch_first=True, enforce_sorted=False)
        _, last = layer(packed)
    h, c = last
    return states, (h.masked_fill(none, 0), c.masked_fill(none, 0))
