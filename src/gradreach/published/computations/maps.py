"""Small maps whose gradients and exponents are printed in textbooks, measured by the instrument."""

import numpy as np
import torch
from torch import Tensor

from gradreach.diagnostics import lyapunov_spectrum
from gradreach.diagnostics.scaled import Scaled
from gradreach.diagnostics.steps import Steps, adjoints
from gradreach.diagnostics.trace import LayerTrace


class GivenJacobians(Steps):
    """A layer of which no more than its step Jacobians are known, ``(length, batch, size, size)``."""

    def __init__(self, jacobians: Tensor) -> None:
        self.jacobians = jacobians
        self.length, self.batch, size = jacobians.shape[:3]
        self.parts, self.gates = {"h": size}, {}

    def pull_back(self, t: int, adjoint: Tensor) -> tuple[Tensor, Tensor]:
        """Take adjoints one step back; see ``Steps``."""
        return (self.jacobians[t].mT @ adjoint.unsqueeze(-1)).squeeze(-1), adjoint

    def input_cotangent(self, inner: Tensor) -> Tensor:
        """Return what arrives at the step."""
        return inner

    def weight_gradients(self, step: object) -> dict[str, Tensor]:
        """Return none: there are no weights."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.jacobians.device


def henon_exponents(
    seed: int, *, a: float = 1.4, b: float = 0.3, steps: int = 20_000, settle: int = 1000
) -> dict[str, float]:
    """Return both Lyapunov exponents of the Hénon map ``(1 − a x² + y, b x)``, from a drawn point, and their sum.

    >>> found = henon_exponents(0, steps=2000)
    >>> abs(found["sum"] - math.log(0.3)) < 1e-9
    True
    """
    x, y = np.random.default_rng(seed).uniform(-0.1, 0.1, 2)
    jacobians = np.empty((steps, 1, 2, 2))
    for step in range(-settle, steps):
        if step >= 0:
            jacobians[step, 0] = [[-2 * a * x, 1.0], [b, 0.0]]
        x, y = 1 - a * x * x + y, b * x
    count = torch.tensor([steps])
    given = GivenJacobians(torch.from_numpy(jacobians))
    layer = LayerTrace("henon", "forward", given, adjoints(given, _nothing(given)), count - 1, count)
    first, second = lyapunov_spectrum(layer)[0].tolist()
    return {"first": first, "second": second, "sum": first + second}


def _nothing(steps: Steps) -> Scaled:
    return Scaled.of(torch.zeros(steps.length, steps.batch, steps.size, dtype=torch.float64))


def saito_gradients(seed: int, *, scale: float = 1.0) -> dict[str, float]:
    """Return ``√Σ dh² / 2`` after one and after twenty steps back, ``dh ← dh Wᵀ`` from ones, two examples of size 3.

    K. Saito, Deep Learning from Scratch 2 (2018), rnn_gradient_graph.py, whose weights have a seed of their own, 3.

    >>> saito_gradients(0)["norm_1"]
    2.468406809457930...
    """
    weights = torch.from_numpy(np.random.RandomState(3).randn(3, 3)) * scale
    steps = GivenJacobians(weights.mT.expand(20, 2, 3, 3))
    norms = {}
    for lag in (1, 20):
        seeds = torch.zeros(20, 2, 3, dtype=torch.float64)
        seeds[lag - 1] = 1
        sizes = adjoints(steps, Scaled.of(seeds)).initial.log_norm().exp()
        norms[f"norm_{lag}"] = float(sizes.square().sum().sqrt()) / 2
    return norms
