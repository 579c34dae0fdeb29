"""How weights are moved: optimizers and schedules by name."""

from typing import Any

import torch

from gradreach.config import OptimizerSettings


def make_optimizer(settings: OptimizerSettings, parameters: Any, fused: bool = True) -> torch.optim.Optimizer:
    """Make an optimizer, with a fused kernel where torch has one.

    Args:
        settings: which, and how fast.
        parameters: what it moves.
        fused: false where gradients come scaled: a fused kernel unscales them itself, after they were clipped.
    """
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    match settings.name:
        case "adam":
            return torch.optim.Adam(parameters, **common, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, **common, fused=fused)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, **common)
        case "sgd":
            return torch.optim.SGD(parameters, **common, fused=fused)


def make_schedule(name: str, optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Make a learning-rate schedule.

    Args:
        name: ``cosine``, down to zero.
        optimizer: whose rate it is.
        steps: with which it ends.
    """
    assert name == "cosine"
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
