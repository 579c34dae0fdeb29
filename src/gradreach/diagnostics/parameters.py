"""The gradient by the parameters: how large it was before it was clipped."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def gradient_norms(model: nn.Module) -> dict[str, float]:
    """Return the norm of the present gradient by each parameter and, as ``total``, by all; in float64.

    A gradient that is not finite gives a norm that is not finite. Parameters without one are left out.
    """
    named = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    norms = {name: float(torch.linalg.vector_norm(g, dtype=torch.float64)) for name, g in named.items()}
    return {**norms, "total": math.hypot(*norms.values())}


class GradientNorms:
    """Clips step by step, and collects the norm there was before, on the device, so that no step waits.

    - ``clip_norm``: what clips; infinite where nothing does.
    """

    def __init__(self, clip_norm: float = math.inf) -> None:
        self.clip_norm = clip_norm
        self.norms: list[Tensor] = []

    def clip(self, parameters: Sequence[Tensor]) -> None:
        """Count the norm of the present gradients of one step, then scale them down where it is too large."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients, 2, torch.float64)))
        self.norms.append(norm)
        if math.isfinite(self.clip_norm):
            nn.utils.clip_grads_with_norm_(parameters, self.clip_norm, norm.to(gradients[0].dtype))

    def take(self) -> dict[str, float]:
        """Return ``norm`` (mean over finite steps), ``clip_rate``, ``nonfinite`` (steps), and begin anew."""
        norms = torch.stack(self.norms) if self.norms else torch.zeros(0)
        self.norms = []
        finite = norms[norms.isfinite()]
        return {
            "norm": float(finite.mean()) if len(finite) else math.nan,
            "clip_rate": float((norms > self.clip_norm).double().mean()) if len(norms) else math.nan,
            "nonfinite": float(len(norms) - len(finite)),
        }
