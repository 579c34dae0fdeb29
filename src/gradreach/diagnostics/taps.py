"""Decompose recurrent modules: layer by layer, direction by direction, each with its states exposed.

A fused module hides the path from one of its layers to the next. Here its ``forward`` is replaced, in the probe's
copy of the model, by one that runs each direction of each layer by itself and cuts the graph of autograd there.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gradreach import kernels
from gradreach.diagnostics.probes import NotMeasured
from gradreach.diagnostics.steps import Steps, Weights
from gradreach.diagnostics.stepwise import CellSteps, is_stepwise, outputs_of
from gradreach.diagnostics.torch_layers import GRUSteps, LSTMSteps, RNNSteps, TorchSteps

FORWARDS = (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward, kernels.RNN.forward, kernels.GRU.forward)
FUSED: Any = {"RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "GRU": torch.gru, "LSTM": torch.lstm}


@dataclass
class Cut:
    """A place where the graph was cut: one direction of one layer.

    Time comes first and runs as the layer runs: of a backward direction the last input comes first.

    - ``x``: the input, ``(length, batch, d_in)``, still tied to what it was made from.
    - ``initial``: the parts of the state before the first step, likewise; empty where it is zero.
    - ``states``: ``(length, batch, size)``, a leaf, from which the graph goes on.
    - ``lengths``: ``(batch,)`` valid steps of a packed sequence, else None.
    - ``padding_first``: whether padding comes before the valid steps.

    A layer that is called again from the very state in which it ended goes on: those cuts have one name.
    """

    layer: str
    direction: str
    steps: Steps
    x: Tensor
    initial: tuple[Tensor, ...]
    states: Tensor
    lengths: Tensor | None
    padding_first: bool = False

    def ends_in(self, state: tuple[Tensor, ...]) -> bool:
        """Whether this is the state after its last step."""
        parts = self.states[-1].split(list(self.steps.parts.values()), -1)
        if self.lengths is not None or len(parts) != len(state) or parts[0].shape != state[0].shape:
            return False
        return all(torch.equal(part, other) for part, other in zip(parts, state, strict=True))


def chains_of(cuts: list[Cut]) -> list[list[int]]:
    """Return the cuts of each layer, and warn about calls that look like a loop but do not pass on the state."""
    chains: dict[tuple[str, str], list[int]] = {}
    for number, cut in enumerate(cuts):
        chains.setdefault((cut.layer, cut.direction), []).append(number)
    calls: dict[str, list[Cut]] = {}
    for members in chains.values():
        calls.setdefault(cuts[members[0]].layer.split("#")[0], []).append(cuts[members[0]])
    for label, every in calls.items():
        starts = [cut.initial for cut in every if cut.direction == every[0].direction]
        given = [start for start in starts if start]
        carried = len(given) > 2 and any(
            part.shape != other.shape or not torch.equal(part, other)
            for start in given[1:]
            for part, other in zip(start, given[0], strict=True)
        )
        single = len(starts) > 2 and all(cut.steps.length == 1 for cut in every)
        if carried or single:
            warnings.warn(
                f"{label or 'the model'}: it is called {len(starts)} times, each time not from its last state; every "
                "call is measured as its own layer. Call it once with the whole sequence, or pass on its state.",
                stacklevel=2,
            )
    return list(chains.values())


@torch.no_grad()
def steps_of(chain: Sequence[Cut]) -> Steps:
    """Return the steps of a layer, of all its calls."""
    first = chain[0].steps
    if len(chain) == 1:
        return first
    assert isinstance(first, TorchSteps)  # others start from zero each time
    return first.followed_by([cut.steps for cut in chain[1:] if isinstance(cut.steps, TorchSteps)])


def split_recurrent(model: nn.Module) -> list[Cut]:
    """Replace the forward pass of all recurrent layers; return the list that a call of the model will fill."""
    cuts: list[Cut] = []
    own: list[str] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{other}." if other else "") for other in own)
        if is_stepwise(module):
            own.append(name)
            module.forward = _split_own(module, name, cuts)
        elif isinstance(module, nn.RNNBase):
            if getattr(module.forward, "__func__", None) in FORWARDS:
                module.forward = _split_torch(module, name, cuts)
                module.requires_grad_()  # which the cuts do not need, but tells whether its weights are used elsewhere
            elif not inside:
                _not_measured(name, module, "has its own forward, which the instrument does not know")
        elif isinstance(module, nn.RNNCellBase) and not inside:
            _not_measured(name, module, "is one step of a loop that the instrument does not know")
    return cuts


def warn_of_silent(model: nn.Module, cuts: Sequence[Cut], loss: Tensor) -> None:
    """Warn about torch layers that left no cut although the loss depends on their weights: called as functions."""
    ran = {cut.layer.split("#")[0] for cut in cuts}
    for name, module in model.named_modules():
        if isinstance(module, nn.RNNBase) and "forward" in vars(module) and not ran & {name, f"{name}.0"}:
            weights = [weight for weight in module.parameters() if weight.requires_grad]
            used = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True) if weights else ()
            if any(gradient is not None for gradient in used):
                _not_measured(name, module, "is not called as a module, although its weights are used")


def _not_measured(name: str, module: nn.Module, why: str) -> None:
    warnings.warn(
        f"{name or 'the model'}: {type(module).__name__} {why}; its states are not measured. Give the layer "
        "initial_state() and step() (see gradreach.diagnostics.Stepwise).",
        stacklevel=2,
    )


def _split_torch(module: nn.RNNBase, name: str, cuts: list[Cut]) -> Callable[..., Any]:
    directions = ("forward", "backward") if module.bidirectional else ("forward",)

    def forward(input: Any, hx: Any = None) -> Any:  # noqa: A002  # as torch names it
        inputs, lengths = input, None
        if isinstance(inputs, PackedSequence):
            x, lengths = pad_packed_sequence(inputs)
            lengths = lengths.to(x.device)
        elif inputs.dim() == 3:
            x = inputs.transpose(0, 1) if module.batch_first else inputs
        else:
            raise NotMeasured(
                f"{name}: an input of shape {tuple(inputs.shape)}; the probe needs a batch, three dimensions"
            )
        start = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        finals = []
        for layer in range(module.num_layers):
            outputs = []
            for i, which in enumerate(directions):
                k = layer * len(directions) + i
                turned, direction = _turn(x, lengths) if i else x, _direction(module, which)
                initial = tuple(part[k] for part in start)
                weights = _weights(module, layer, which)
                steps = _torch_steps(module, weights, turned, initial)
                states = steps.states.to(x.dtype).detach().requires_grad_()
                label = name if module.num_layers == 1 else f"{name}.{layer}"
                call = _name_of_call(label, direction, cuts, initial if lengths is None else ())
                known = (call, direction, steps, turned, initial, states, lengths)
                cuts.append(Cut(*known, padding_first=bool(i) and lengths is None))
                at = torch.full_like(turned[0, :, 0], len(x) - 1, dtype=torch.long) if lengths is None else lengths - 1
                finals.append(states[at, torch.arange(len(at), device=at.device)].split(list(steps.parts.values()), -1))
                output = states[..., : steps.parts["h"]]
                outputs.append(_turn(output, lengths) if i else output)
            x = torch.cat(outputs, -1)
        parts = tuple(torch.stack(part) for part in zip(*finals, strict=True))
        final = parts if len(parts) > 1 else parts[0]
        if isinstance(inputs, PackedSequence):
            assert lengths is not None
            order = inputs.sorted_indices
            ordered, counts = (x, lengths) if order is None else (x[:, order], lengths[order])
            data = pack_padded_sequence(ordered, counts.cpu()).data
            return PackedSequence(data, inputs.batch_sizes, order, inputs.unsorted_indices), final
        return (x.transpose(0, 1) if module.batch_first else x), final

    return forward


def _split_own(module: nn.Module, name: str, cuts: list[Cut]) -> Callable[..., Any]:
    original = module.forward

    def forward(x: Any, *arguments: Any, **options: Any) -> Any:
        with torch.no_grad():
            expected = original(x, *arguments, **options)
        if isinstance(expected, Tensor) and expected.dim() == 3:
            turned = x.transpose(0, 1)
            steps = CellSteps(module, turned.detach())
            states = steps.states.clone().requires_grad_()
            output = outputs_of(module, steps, turned, states).transpose(0, 1)
            if output.shape == expected.shape and torch.allclose(
                output, expected, rtol=1e-4, atol=1e-5, equal_nan=True
            ):
                direction = _direction(module, "forward")
                cuts.append(Cut(_name_of_call(name, direction, cuts, ()), direction, steps, turned, (), states, None))
                return output
        warnings.warn(
            f"{name}: what {type(module).__name__}.forward returns are not the states of its step(); its adjoints are "
            "not measured. Let it give a tensor (batch, length, d_out) alone, and a method output(x_t, state) say what "
            "that is where it is not the state.",
            stacklevel=2,
        )
        return original(x, *arguments, **options)

    return forward


def _direction(module: nn.Module, which: str) -> str:
    """Return the direction of a layer; one that is given reversed sequences has ``runs_backward`` set."""
    return "backward" if getattr(module, "runs_backward", False) else which


def _weights(module: nn.RNNBase, layer: int, direction: str) -> Weights:
    suffix = f"l{layer}" + ("_reverse" if direction == "backward" else "")

    def double(kind: str) -> Tensor:
        weight: Tensor = getattr(module, f"{kind}_{suffix}")
        return weight.detach().double()

    recurrent = double("weight_hh")
    zero = recurrent.new_zeros(len(recurrent))
    biases = (double("bias_ih"), double("bias_hh")) if module.bias else (zero, zero)
    return Weights(double("weight_ih"), recurrent, *biases, double("weight_hr") if module.proj_size else None)


@torch.no_grad()
def _torch_steps(module: nn.RNNBase, weights: Weights, x: Tensor, initial: tuple[Tensor, ...]) -> Steps:
    width = module.hidden_size
    zeros = [x.new_zeros(x.shape[1], module.proj_size or width)]
    if module.mode == "LSTM":
        zeros.append(x.new_zeros(x.shape[1], width))
    start = initial or tuple(zeros)
    flat = [weights.input, weights.recurrent]
    if module.bias:
        flat += [weights.input_bias, weights.recurrent_bias]
    if weights.projection is not None:
        flat.append(weights.projection)
    hx = tuple(part.unsqueeze(0) for part in start)
    arguments = (module.bias, 1, 0.0, False, False, False)
    h = FUSED[module.mode](x, hx if len(hx) > 1 else hx[0], [w.to(x.dtype) for w in flat], *arguments)[0]
    known = (weights, x.double(), h.double(), tuple(part.double() for part in start))
    if module.mode == "LSTM":
        return LSTMSteps(*known)
    if module.mode == "GRU":
        return GRUSteps(*known)
    return RNNSteps(*known, relu=module.mode == "RNN_RELU")


def _turn(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse time; of a packed sequence only the valid steps, so that padding stays on the right."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(len(x), device=x.device).unsqueeze(1)
    index = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, index.unsqueeze(-1).expand_as(x))


def _name_of_call(label: str, direction: str, cuts: list[Cut], start: tuple[Tensor, ...]) -> str:
    """Number the calls of a module that is called more than once; a call that continues the last one keeps its name."""
    calls = [cut for cut in cuts if cut.direction == direction and cut.layer.split("#")[0] == label]
    if calls and start and calls[-1].ends_in(start):
        return calls[-1].layer
    number = len({cut.layer for cut in calls})
    return f"{label}#{number + 1}" if number else label
