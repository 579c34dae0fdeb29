"""Joins traces of single examples, as if all had been traced at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradreach.diagnostics.scaled import Scaled
from gradreach.diagnostics.steps import Adjoints, Step, Steps
from gradreach.diagnostics.trace import LayerTrace, Trace


class JoinedSteps(Steps):
    """The steps of one layer, each example's from a trace of its own; an LSTM's cell path alone is not among them."""

    def __init__(self, members: Sequence[Steps]) -> None:
        first = self.first = members[0]
        self.members = members
        self.parts, self.memory_gate, self.length = first.parts, first.memory_gate, first.length
        self.sizes = [member.batch for member in members]
        self.batch = sum(self.sizes)
        self.x, self.states, self.previous = (
            torch.cat([getattr(member, name) for member in members], 1) for name in ("x", "states", "previous")
        )
        self.gates = {name: torch.cat([member.gates[name] for member in members], 1) for name in first.gates}

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.first.device

    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Take each example's adjoints one step back."""
        pieces = adjoint.split(self.sizes, -2)
        found = [member.pull_back(t, piece) for member, piece in zip(self.members, pieces, strict=True)]
        back, inner = zip(*found, strict=True)
        return torch.cat(back, -2), torch.cat(inner, -2)

    def input_cotangent(self, inner: Tensor) -> Tensor:
        """Return what arrives at the inputs."""
        pieces = inner.split(self.sizes, -2)
        return torch.cat([m.input_cotangent(piece) for m, piece in zip(self.members, pieces, strict=True)], -2)

    def weight_gradients(self, step: Step) -> dict[str, Tensor]:
        """Return those of its weights, which all examples share."""
        return self.first.weight_gradients(step)


def joined(traces: Sequence[Trace]) -> Trace:
    """Put traces of single examples side by side.

    Raises:
        ValueError: their layers or numbers of steps differ.
    """
    first = traces[0]
    kinds = [(trace.names, list(trace.outputs), trace.input.log.shape[0]) for trace in traces]
    lengths = [[layer.steps.length for layer in trace.layers] for trace in traces]
    if any(kind != kinds[0] for kind in kinds) or any(length != lengths[0] for length in lengths):
        raise ValueError(
            "measured one by one, the examples of the probe differ in the layers or the number of steps they use"
        )
    layers = tuple(_joined_layer(members) for members in zip(*(trace.layers for trace in traces), strict=True))
    outputs = {name: torch.cat([trace.outputs[name] for trace in traces], 1) for name in first.outputs}
    return Trace(
        layers,
        _side_by_side([trace.input for trace in traces]),
        torch.cat([trace.lengths for trace in traces]),
        outputs,
    )


def _joined_layer(members: Sequence[LayerTrace]) -> LayerTrace:
    adjoints = [member.adjoints for member in members]
    return LayerTrace(
        members[0].layer,
        members[0].direction,
        JoinedSteps([member.steps for member in members]),
        Adjoints(
            _side_by_side([each.state for each in adjoints]),
            Scaled(
                torch.cat([each.initial.direction for each in adjoints]),
                torch.cat([each.initial.log for each in adjoints]),
            ),
            _side_by_side([each.inner for each in adjoints]),
            torch.cat([each.growth for each in adjoints], 1),
        ),
        torch.cat([member.end for member in members]),
        torch.cat([member.count for member in members]),
    )


def _side_by_side(parts: Sequence[Scaled]) -> Scaled:
    """Join ``(length, 1, size)`` along the examples."""
    return Scaled(torch.cat([part.direction for part in parts], 1), torch.cat([part.log for part in parts], 1))
