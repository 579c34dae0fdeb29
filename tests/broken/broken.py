"""Encoders that pass every check and then fail while they train."""

import os
import signal

from torch import Tensor

from gradreach.models import RNN


class Broken(RNN):
    """Raises when it sees data."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not x.is_meta:
            raise ValueError("broken on purpose")
        return super().forward(x, lengths)


class Deadly(RNN):
    """Ends its process when it sees data, as the kernel ends one that needs more memory than there is."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not x.is_meta:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x, lengths)
