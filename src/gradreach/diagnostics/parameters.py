"""The gradient with respect to the parameters: how large it was before clipping."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.diagnostics.trace import check_model

TOTAL = "total"


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Return the current gradient's norm for each parameter, each layer and, as ``total``, all; in float64.

    A gradient that is not finite gives a norm that is not finite; a parameter without one counts as zero.

    >>> network = nn.Linear(2, 1, bias=False)
    >>> network(torch.tensor([[3.0, 4.0]])).sum().backward()
    >>> gradient_norms(network)
    {'weight': 5.0, 'total': 5.0}
    """
    one = GradientNorms(model)
    one.add()
    return {name: float(norms[0]) for name, norms in one.by_name().items()} if one.norms else {}


class GradientNorms:
    """Collects gradient norms step by step on the device, so that no step has to wait.

    - ``model``: whose parameters they are.
    - ``clip_norm``: the total norm above which a step counts as clipped; infinite if nothing is clipped.
    - ``total``: the norm of the latest step's gradient with respect to all parameters; None if there was no gradient.

    >>> network = nn.Linear(2, 1, bias=False)
    >>> norms = GradientNorms(network, clip_norm=1.0)
    >>> network(torch.tensor([[3.0, 4.0]])).sum().backward()
    >>> norms.add()
    >>> norms.take()[0]
    {'norm': 5.0, 'clip_rate': 1.0, 'nonfinite': 0.0}
    """

    def __init__(self, model: nn.Module, clip_norm: float = math.inf) -> None:
        check_model(model)
        self.parameters = dict(model.named_parameters())
        self.clip_norm = clip_norm
        self.norms: list[Tensor] = []
        self.total: Tensor | None = None

    def add(self) -> None:
        """Add the current gradients as one step."""
        self.total = None
        there = {i: p.grad for i, p in enumerate(self.parameters.values()) if p.grad is not None}
        if not there:
            return
        norms = torch.stack(torch._foreach_norm(list(there.values()), 2, torch.float64))
        if len(there) < len(self.parameters):
            some = torch.tensor(list(there), device=norms.device)
            norms = norms.new_zeros(len(self.parameters)).index_copy(0, some, norms)
        self.norms.append(norms)
        self.total = torch.linalg.vector_norm(norms).to(torch.get_default_dtype())

    def by_name(self) -> dict[str, np.ndarray]:
        """Return the norms of all steps so far, ``(steps,)``, by parameters, by layers that hold some, and by all."""
        norms = torch.stack(self.norms).T.cpu().numpy() if self.norms else np.empty((len(self.parameters), 0))
        single = dict(zip(self.parameters, norms, strict=True))
        layers: dict[str, list[np.ndarray]] = {}
        for name, steps in single.items():
            layers.setdefault(name.rpartition(".")[0], []).append(steps)
        whole = {layer: _joined(members) for layer, members in layers.items() if layer}
        return {**single, **whole, TOTAL: _joined(list(norms))}

    def take(self) -> tuple[dict[str, float], pd.DataFrame]:
        """Summarize the steps since the last call, and reset.

        Returns:
            Of the total ``norm`` (mean over steps with a finite one), ``clip_rate``, and ``nonfinite`` (how many steps
            had none); and by parameter and layer a table ``name, norm, largest, nonfinite``.
        """
        found = self.by_name()
        self.norms = []
        finite = {name: norms[np.isfinite(norms)] for name, norms in found.items()}
        table = pd.DataFrame(
            {
                "name": list(found),
                "norm": [norms.mean() if norms.size else math.nan for norms in finite.values()],
                "largest": [norms.max() if norms.size else math.nan for norms in finite.values()],
                "nonfinite": [norms.size - finite[name].size for name, norms in found.items()],
            }
        )
        total = found[TOTAL]
        summary = {
            "norm": float(table["norm"].iloc[-1]),
            "clip_rate": float((total > self.clip_norm).mean()) if total.size else math.nan,
            "nonfinite": float(table["nonfinite"].iloc[-1]),
        }
        return summary, table


def _joined(norms: list[np.ndarray]) -> np.ndarray:
    """Return the norm of parts whose norms are given; of squares of float32's numbers none is beyond float64."""
    whole: np.ndarray = np.sqrt(np.sum(np.square(norms), axis=0))
    return whole
