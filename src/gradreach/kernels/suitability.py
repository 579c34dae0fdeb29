"""Where the compiled loops are used: what they can do, and do faster than torch. Everything else is torch's.

The private names of torch that it takes to see who else looks at a call are in this file alone.
"""

from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import Parameter

WIDEST = {"RNN_TANH": 128, "RNN_RELU": 128, "GRU": 128}


def possible(layer: nn.RNNBase) -> bool:
    """Return whether a layer is one that the loops can run: one layer, one direction, of a width at which they pay."""
    return layer.num_layers == 1 and not layer.bidirectional and layer.hidden_size <= WIDEST.get(layer.mode, 0)


def suitable(layer: nn.RNNBase, x: object, start: object) -> bool:
    """Return whether the loops run this call; what is wrong with its arguments is torch's to say."""
    if not (possible(layer) and _plain(x) and x.dim() == 3 and x.numel() > 0 and x.shape[2] == layer.input_size):
        return False
    batch = x.shape[0 if layer.batch_first else 1]
    if start is not None and not (_plain(start) and start.shape == (1, batch, layer.hidden_size)):
        return False
    return not (
        transformed()
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or forward_ad._current_level >= 0
        or torch._C._len_torch_dispatch_stack() > 0
    )


def plain_weights(weights: tuple[Tensor | None, ...]) -> bool:
    """Return whether all weights are what the loops read."""
    return all(weight is None or _plain(weight) for weight in weights)


def transformed() -> bool:
    """Return whether ``torch.func`` looks at what is computed (vmap, grad, jvp, …)."""
    return torch._C._are_functorch_transforms_active()


def _plain(x: Any) -> TypeGuard[Tensor]:
    """Return whether x is float32 in the CPU's memory, and no subclass that means something else."""
    return type(x) in (Tensor, Parameter) and x.dtype == torch.float32 and x.is_cpu and x.layout == torch.strided
