"""Optimizers and schedules, by name."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, ReduceLROnPlateau

from gradreach.config import OptimizerSettings
from gradreach.errors import ConfigError

NOTABLE = 1e-4
"""A training loss counts as lower if it is by so much: Keras's default, and that of the protocols that use it."""


def make_optimizer(settings: OptimizerSettings, model: nn.Module, fused: bool = True) -> torch.optim.Optimizer:
    """Make an optimizer, with a fused kernel where torch has one.

    Args:
        settings: which, and its rates.
        model: whose parameters are updated.
        fused: false where gradients come scaled: a fused kernel unscales them itself, after they were clipped.
    """
    parameters: Any = model.parameters() if settings.decay == "all" else by_decay(model)
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    match settings.name:
        case "adam":
            return torch.optim.Adam(parameters, **common, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, **common, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, **common, alpha=settings.alpha)
        case "sgd":
            return torch.optim.SGD(parameters, **common, fused=fused)
        case "adadelta":  # M. Zeiler, 2012, with the constants of Keras, whose rate was 1
            return torch.optim.Adadelta(parameters, **common, rho=0.95, eps=1e-7)


def by_decay(model: nn.Module) -> list[dict[str, Any]]:
    """Return two groups of parameters, the second without weight decay: all but the matrices and kernels.

    Spared are biases, what a norm has, vectors, and what a module calls ``undecayed``: of its eigenvalues, as the
    published code of Mamba spares its A and D, and that of S4 its A and Δ.

    >>> model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    >>> [len(group["params"]) for group in by_decay(model)]
    [1, 3]
    """
    spared = {
        parameter
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.dim() < 2
        or "bias" in name
        or "Norm" in type(module).__name__
        or name in getattr(module, "undecayed", ())
    }
    decayed = [parameter for parameter in model.parameters() if parameter not in spared]
    rest = [parameter for parameter in model.parameters() if parameter in spared]
    return [{"params": decayed}, {"params": rest, "weight_decay": 0.0}]


def make_schedule(
    settings: OptimizerSettings, optimizer: torch.optim.Optimizer, steps: float = math.inf
) -> LRScheduler | None:
    """Make a schedule with one learning rate per step; None if the rate does not change by the step.

    Of step k, from 0, of a warm-up of W it is ``lr · (k + 1) / W``; after it ``cosine`` gives, with u the share of the
    rest that is over, ``min_lr + (lr − min_lr) (1 + cos πu) / 2``.

    Args:
        settings: which, and of what.
        optimizer: whose rate it is.
        steps: with which it ends; only a cosine and a share need to know.

    Raises:
        ConfigError: the warm-up leaves no step.
        ValueError: it needs the length of training, which is unknown.
    """
    rising, falls = settings.warmup, settings.schedule == "cosine"
    if steps == math.inf and (falls or isinstance(rising, float)):
        what = "schedule=cosine" if falls else f"warmup={rising}"
        raise ValueError(f"{what}: needs the length of training; give the Trainer max_epochs or max_steps")
    rising = max(1, int(rising * steps)) if isinstance(rising, float) else rising
    if rising and rising >= steps:
        there = "is 1 step" if steps == 1 else f"are {steps} steps"
        raise ConfigError("optimizer.warmup", settings.warmup, f"there {there} in all", "choose fewer, or 0")
    if not rising:
        return CosineAnnealingLR(optimizer, T_max=int(steps), eta_min=settings.min_lr) if falls else None
    least = settings.min_lr / settings.lr

    def share(step: int) -> float:
        if step < rising:
            return (step + 1) / rising
        over = (step - rising) / (steps - rising)
        return least + (1 - least) * (1 + math.cos(math.pi * over)) / 2 if falls else 1.0

    return LambdaLR(optimizer, share)


def make_plateau(settings: OptimizerSettings, optimizer: torch.optim.Optimizer) -> ReduceLROnPlateau:
    """Make what is told each epoch's loss, and lowers the rate when ``patience`` of them were no lower.

    As Keras's callback of the same name does it; torch's own counts one epoch more.
    """
    return ReduceLROnPlateau(
        optimizer,
        factor=settings.factor,
        patience=settings.patience - 1,
        threshold=NOTABLE,
        threshold_mode="abs",
        min_lr=settings.min_lr,
        eps=0.0,
    )
