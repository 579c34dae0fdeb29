"""The usual way, as a second computation to compare with: cells in float64, every state's gradient retained."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def cell(layer: nn.RNNBase, weights: list[Tensor], x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if layer.mode == "LSTM":
        return torch.lstm_cell(x, list(state), *weights)
    step = {"GRU": torch.gru_cell, "RNN_TANH": torch.rnn_tanh_cell, "RNN_RELU": torch.rnn_relu_cell}[layer.mode]
    return (step(x, state[0], *weights),)


def unrolled(layer: nn.RNNBase, x: Tensor) -> tuple[Tensor, dict[tuple[int, str, str], list[Tensor]]]:
    """Return the output (batch, length, width) and, by layer, direction and part, the states of all steps.

    What the next step reads is a copy of ``c``, so that its gradient is meant in state coordinates.
    """
    kept: dict[tuple[int, str, str], list[Tensor]] = {}
    for k in range(layer.num_layers):
        outputs = []
        for direction in ("forward", "backward")[: 1 + layer.bidirectional]:
            suffix = f"l{k}" + ("_reverse" if direction == "backward" else "")
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [getattr(layer, f"{kind}_{suffix}") for kind in kinds]
            zero = x.new_zeros(x.shape[0], layer.hidden_size)
            state = (zero, zero) if layer.mode == "LSTM" else (zero,)
            steps = list(x.unbind(1))
            outs = []
            for x_t in steps if direction == "forward" else steps[::-1]:
                state = cell(layer, weights, x_t, state)
                if layer.mode == "LSTM":
                    copy = state[1] * 1
                    kept.setdefault((k, direction, "c"), []).append(copy)
                    state = (state[0], copy)
                kept.setdefault((k, direction, "h"), []).append(state[0])
                outs.append(state[0])
            if direction == "backward":
                outs.reverse()
            outputs.append(torch.stack(outs, 1))
        x = torch.cat(outputs, -1)
    for states in kept.values():
        for one in states:
            one.retain_grad()
    return x, kept


def adjoint_norms(layer: nn.RNNBase, x: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[tuple[int, str, str], Tensor]:
    """Return ``‖λ‖`` of each example, ``(lags, batch)``; loss maps outputs to (batch,)."""
    output, kept = unrolled(layer, x)
    loss(output).sum().backward()
    zero = torch.zeros(len(x), layer.hidden_size, dtype=x.dtype)
    return {
        key: torch.stack([(zero if s.grad is None else s.grad).norm(dim=-1) for s in states[::-1]])
        for key, states in kept.items()
    }
