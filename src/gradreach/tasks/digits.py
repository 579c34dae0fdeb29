"""Handwritten digits, read pixel by pixel."""

from dataclasses import dataclass
from pathlib import Path

import torch

from gradreach.batch import Batch
from gradreach.errors import ConfigError
from gradreach.tasks.splits import grouped_split, keys_of
from gradreach.tasks.task import Shape, Splits, Steps, Task

PIXELS = 64


@dataclass(kw_only=True)
class Digits(Task):
    """Name the digit after its 64 pixels, row by row, and then silence (zeros) up to ``seq_len``.

    Silence counts as input: the longer it lasts, the longer the digit has to be remembered. 1,797 images of
    8×8 pixels with values 0…16, here 0…1, from 43 writers; 10 classes; 60 / 20 / 20 % for training, validation
    and test.

    - ``seq_len``: steps, at least 64.
    - ``data_seed``: draws the split.

    >>> task = Digits(seq_len=64)
    >>> task.shape.length, len(task.splits(Path()).test)
    (64, 359)
    """

    source = (
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, as shipped by scikit-learn"
    )
    licence = "CC BY 4.0"

    seq_len: Steps = PIXELS

    def __post_init__(self) -> None:
        if self.seq_len < PIXELS:
            raise ConfigError("seq_len", self.seq_len, f"task=digits has {PIXELS} pixels", f"choose {PIXELS} or more")
        self.shape = Shape(channels=1, length=self.seq_len, outputs=10)

    def splits(self, data_dir: Path) -> Splits:
        """Return the three splits; they ship with scikit-learn, so ``data_dir`` is not read."""
        from sklearn.datasets import load_digits

        pixels, digits = load_digits(return_X_y=True)
        x = torch.zeros(len(pixels), self.seq_len, 1)
        x[:, :PIXELS, 0] = torch.from_numpy(pixels).float() / 16
        examples = Batch(x, None, torch.from_numpy(digits).long())
        parts = grouped_split(digits, keys_of(pixels), (0.6, 0.2, 0.2), self.data_seed)
        return Splits(*(examples.take(torch.from_numpy(index)) for index in parts))
