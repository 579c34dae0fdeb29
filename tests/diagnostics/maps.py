"""Layers whose Jacobians are given."""

import torch
from torch import Tensor

from gradreach.diagnostics.steps import Adjoints, Steps
from gradreach.diagnostics.trace import LayerTrace


class Maps(Steps):
    """Steps whose Jacobians are given, (length, batch, size, size)."""

    def __init__(self, jacobians: Tensor) -> None:
        self.jacobians = jacobians.double()
        self.length, self.batch, width = jacobians.shape[:3]
        self.parts, self.gates = {"h": width}, {}

    def pull_back(self, t, adjoint):
        return (self.jacobians[t].mT @ adjoint.unsqueeze(-1)).squeeze(-1), adjoint

    def input_cotangent(self, inner):
        return inner

    def weight_gradients(self, step):
        return {}

    @property
    def device(self):
        return self.jacobians.device


def along(steps: Steps) -> LayerTrace:
    count = torch.full((steps.batch,), steps.length)
    nothing: Adjoints = None  # type: ignore[assignment]
    return LayerTrace("maps", "forward", steps, nothing, count - 1, count)
