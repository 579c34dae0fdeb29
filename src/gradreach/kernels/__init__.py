"""Recurrent layers at the speed of the machine, on the CPU: ``nn.RNN`` and ``nn.GRU`` in compiled loops."""

from gradreach.kernels.compiled import compile_all, installed
from gradreach.kernels.layers import GRU, RNN, accelerate

__all__ = ["GRU", "RNN", "accelerate", "compile_all", "installed"]
