"""Where the compiled loops are used: for what they support and do faster than torch. Torch does the rest.

The private names of torch that it takes to see who else looks at a call are in this file alone.
"""

from collections.abc import Iterable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import Parameter

MODES = ("RNN_TANH", "RNN_RELU", "GRU")
WIDEST = 128
"""The largest width for the loops. Times faster than torch, forward and backward, one thread, batch 16 and 64:

    width   RNN             GRU
       32   4.8–6.1  3.4    5.3–6.6  2.8–3.8
       64   2.9–3.1  2.1    2.9–3.5  1.8–2.3
      128   1.6–1.7  1.4    1.7–1.8  1.3
      256   0.9–1.1  1.2    0.9–1.3  1.1

Batches of 1 to 512 and 4 to 400 steps gain more or as much (a GRU's 4 steps: as much). A rule of sizes alone: were
loops chosen by a measurement, a run would not repeat.
"""


def possible(layer: nn.RNNBase) -> bool:
    """Return whether the loops can run a layer: one layer, one direction, of a width at which they are faster."""
    return layer.mode in MODES and layer.num_layers == 1 and not layer.bidirectional and layer.hidden_size <= WIDEST


def suitable(layer: nn.RNNBase, x: object, start: object) -> bool:
    """Return whether the loops run this call; torch reports errors in its arguments."""
    if _observed() or not (possible(layer) and _plain(x) and x.dim() == 3 and x.numel() > 0):
        return False
    batch = x.shape[0 if layer.batch_first else 1]
    return x.shape[2] == layer.input_size and (
        start is None or (_plain(start) and start.shape == (1, batch, layer.hidden_size))
    )


def all_plain(tensors: Iterable[Tensor | None]) -> bool:
    """Return whether the loops can read all arguments."""
    return all(tensor is None or _plain(tensor) for tensor in tensors)


def only_numbers(gradients: Iterable[Tensor | None]) -> bool:
    """Return whether numbers are all that is wanted of a way back: no graph of it, and no batch of gradients."""
    special = torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or _transformed()
    return not special and all_plain(gradients)


def _observed() -> bool:
    """Return whether something looks at torch's operations, or changes them, that would not see a loop."""
    return (
        torch.compiler.is_compiling()  # first: the compiler knows none of the others
        or torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
        or torch.is_autocast_enabled("cpu")
        or _transformed()
    )


def _transformed() -> bool:
    """Return whether ``torch.func`` transforms what is computed: vmap, grad, jvp, …"""
    return torch._C._are_functorch_transforms_active()


def _plain(x: Any) -> TypeGuard[Tensor]:
    """Return whether x is float32 in the CPU's memory, and no subclass that means something else."""
    return (
        type(x) in (Tensor, Parameter)
        and x.dtype == torch.float32
        and x.is_cpu
        and x.layout == torch.strided
        and not torch._C._functorch.is_legacy_batchedtensor(x)  # what ``is_grads_batched`` hands to a way back
    )
