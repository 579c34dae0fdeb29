"""An encoder that passes every check and then fails while it trains."""

from torch import Tensor

from gradreach.models import RNN


class Broken(RNN):
    """Raises when it sees data."""

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not x.is_meta:
            raise ValueError("broken on purpose")
        return super().forward(x, lengths)
