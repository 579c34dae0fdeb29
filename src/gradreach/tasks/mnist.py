"""MNIST, read pixel by pixel."""

from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np

from gradreach.errors import ConfigError
from gradreach.tasks.cache import Arrays, Prepared, progress
from gradreach.tasks.download import fetch, gunzip, verified
from gradreach.tasks.splits import check_train_size, draw_some, grouped_split, keys_of
from gradreach.tasks.task import Shape, Size, Splits, Steps, Task, splits_of

SIDE = 28
VALIDATION = 1 / 6
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FILES = {  # the digest is of the unpacked bytes: there are several ways to pack them
    "train-images-idx3-ubyte.gz": "md5:6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "md5:a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "md5:2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "md5:27ae3e4e09519cfbb04c329615203637",
}


@dataclass(kw_only=True)
class MNIST(Task):
    """Name a handwritten digit after its pixels, row by row, one a step.

    60,000 and 10,000 images of 28×28 pixels with values 0…1; 10 classes; 10,000 of the 60,000 are validation.
    ``seq_len`` says how many pixels there are: 784 are the images as they are, fewer their averages over equal areas.

    - ``seq_len``: pixels, the square of a side of 2 to 28: 64, 100, 196, 400, 784.
    - ``permuted``: the pixels in another order, the same in every image.
    - ``train_size``: draw this many of the 50,000 training images; None: all.
    - ``data_seed``: draws validation, ``train_size`` and the permutation.
    """

    source = "Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits, 1998"
    licence = "the files state none; distributors name CC BY-SA 3.0"

    seq_len: Steps = SIDE * SIDE
    permuted: bool = False
    train_size: Size | None = None

    def __post_init__(self) -> None:
        self.side = isqrt(self.seq_len)
        if self.side**2 != self.seq_len or not 2 <= self.side <= SIDE:
            near = sorted({min(max(s, 2), SIDE) ** 2 for s in (self.side, self.side + 1)})
            raise ConfigError(
                "seq_len",
                self.seq_len,
                f"task=mnist reads square images of 2 to {SIDE} pixels a side",
                f"choose {' or '.join(map(str, near))}",
            )
        self.shape = Shape(channels=1, length=self.seq_len, outputs=10)

    def prepare(self, data_dir: Path) -> None:
        """Download what is absent from ``data_dir/mnist``, and average the pixels, where that is not kept already."""
        files = [
            fetch(data_dir / "mnist" / name, [mirror + name for mirror in MIRRORS], digest, of=gunzip)
            for name, digest in FILES.items()
        ]
        self.prepared = Prepared("mnist", self.settings(), files, lambda: (self._make(files), {}))

    def splits(self, data_dir: Path) -> Splits:
        """Return the three splits."""
        self.prepare(data_dir)
        return splits_of(self.prepared.arrays())

    def _make(self, files: list[Path]) -> Arrays:
        read = (read_idx(path, digest) for path, digest in zip(files, FILES.values(), strict=True))
        images, digits, test_images, test_digits = progress(read, "reading MNIST", len(files))
        # no two of the 70,000 images are equal, nor are their averages, down to 2x2
        rest, chosen_by = grouped_split(digits, keys_of(images), (1 - VALIDATION, VALIDATION), self.data_seed)
        check_train_size(self.train_size, digits[rest])
        rest = rest[draw_some(digits[rest], self.train_size, self.data_seed)]
        order = np.arange(self.side**2)
        if self.permuted:
            np.random.default_rng([self.data_seed, 2]).shuffle(order)
        drawn = [(images[rest], digits[rest]), (images[chosen_by], digits[chosen_by]), (test_images, test_digits)]
        arrays: Arrays = {}
        for name, (some, target) in zip(Splits._fields, drawn, strict=True):
            arrays[f"{name}.x"] = self._pixels(some)[:, order, None]
            arrays[f"{name}.target"] = target.astype(np.int64)
        return arrays

    def _pixels(self, images: np.ndarray) -> np.ndarray:
        area = averages(self.side)
        pixels = (area @ (images.astype(np.float32) / 255) @ area.T).reshape(len(images), -1)
        inside: np.ndarray = np.clip(pixels, 0, 1)  # an average of ones may round to more than one
        return inside


def averages(side: int) -> np.ndarray:
    """Return ``(side, 28)``: row i averages the i-th of ``side`` equal parts of 28 pixels."""
    edges = np.linspace(0, SIDE, side + 1)
    pixels = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (overlap.clip(min=0) * side / SIDE).astype(np.float32)


def read_idx(path: Path, digest: str) -> np.ndarray:
    """Read an IDX file of bytes in gzip, ``(n, 28, 28)`` or ``(n,)``.

    Raises:
        ConfigError: its unpacked bytes are not those that the digest is of.
    """
    content = verified(path, digest, of=gunzip)
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
