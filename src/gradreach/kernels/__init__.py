"""Recurrent layers at the speed of the machine, on the CPU: ``nn.RNN`` and ``nn.GRU`` in compiled loops."""

from torch import nn

from gradreach.kernels.compiled import compile_all, installed
from gradreach.kernels.layers import GRU, RNN, accelerate

__all__ = ["GRU", "RNN", "accelerate", "compile_all", "installed", "prepare"]


def prepare(model: nn.Module) -> bool:
    """Accelerate a model and compile its loops now; return whether it has any.

    At their first call loops that cannot be compiled give way to torch's: whoever says which are used must know before.
    """
    if not accelerate(model):
        return False
    compile_all(*{type(layer).__name__ for layer in model.modules() if isinstance(layer, RNN | GRU)})
    return True
