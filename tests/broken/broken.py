"""Encoders that pass every check and then fail, or warn, while they train."""

import os
import signal
import warnings

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


class Warned(RNN):
    """Warns when it sees data, of its length and, where it is wide, of that."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not x.is_meta:
            warnings.warn(f"lstm: LSTMCell in a loop of {x.shape[1]} steps;\nits states are not measured", stacklevel=1)
            if x.shape[1] == 70:
                warnings.warn("long", stacklevel=1)
        return super().forward(x, lengths)
