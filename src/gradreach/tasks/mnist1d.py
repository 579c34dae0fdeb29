"""MNIST-1D: the ten digits as short one-dimensional signals."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from gradreach.batch import Batch
from gradreach.errors import ConfigError
from gradreach.tasks.cache import Arrays, Prepared, progress
from gradreach.tasks.splits import HoldOut, check_train_size, draw_some, grouped_split, keys_of
from gradreach.tasks.task import Shape, Size, Splits, Steps, Task

STEPS = 40
MAKER_SEED = 42
"""The seed of the published set."""


@dataclass(kw_only=True)
class MNIST1D(Task):
    """Name the digit that a noisy, shifted and sheared signal of 40 steps stands for, then silence up to ``seq_len``.

    The published set of 4,000 and 1,000 signals, made on this machine (no download, no global random state touched);
    a tenth of the 4,000 is validation. 10 classes. Source: S. Greydanus and D. Kobak, Scaling down deep learning
    with MNIST-1D, 2020.

    - ``seq_len``: steps, at least 40; 40 is the published task.
    - ``shuffled``: the steps in another order, the same in every signal: what is lost is what was local.
    - ``train_size``: draw this many of the 3,600 training signals; None: all.
    - ``hold_out``: keep validation out of training; without it, all 4,000 are learned from, as published, and
      validation, which has been seen then, must choose nothing.
    - ``data_seed``: draws validation and ``train_size``.
    """

    source = "S. Greydanus and D. Kobak, Scaling down deep learning with MNIST-1D, 2020; made by the package mnist1d"
    licence = "Apache-2.0 (the package that makes it)"

    seq_len: Steps = STEPS
    shuffled: bool = False
    train_size: Size | None = None
    hold_out: HoldOut = True

    def __post_init__(self) -> None:
        if self.seq_len < STEPS:
            raise ConfigError("seq_len", self.seq_len, f"task=mnist1d has {STEPS} steps", f"choose {STEPS} or more")
        self.shape = Shape(channels=1, length=self.seq_len, outputs=10)

    def prepare(self, data_dir: Path) -> None:
        """Make the set where it is not kept."""
        settings = {"shuffled": self.shuffled, "seed": MAKER_SEED}
        self.prepared = Prepared("mnist1d", settings, [], lambda: (make(self.shuffled), {}))
        check_train_size(self.train_size, self.prepared.arrays()["y"][self._draw()[0]])

    def splits(self, data_dir: Path) -> Splits:
        """Return the three splits; ``data_dir`` is not read."""
        self.prepare(data_dir)
        arrays = self.prepared.arrays()
        rest, chosen_by = self._draw()
        rest = rest[draw_some(arrays["y"][rest], self.train_size, self.data_seed)]
        train, test = self._batch(arrays["x"], arrays["y"]), self._batch(arrays["x_test"], arrays["y_test"])
        return Splits(train.take(torch.from_numpy(rest)), train.take(torch.from_numpy(chosen_by)), test)

    def _draw(self) -> list[np.ndarray]:
        """Return the indices of what is learned from, and of validation."""
        arrays = self.prepared.arrays()
        rest, chosen_by = grouped_split(arrays["y"], keys_of(arrays["x"]), (0.9, 0.1), self.data_seed)
        return [rest if self.hold_out else np.concatenate([rest, chosen_by]), chosen_by]

    def _batch(self, signals: np.ndarray, digits: np.ndarray) -> Batch:
        x = torch.zeros(len(signals), self.seq_len, 1)
        x[:, :STEPS, 0] = torch.from_numpy(signals)
        return Batch(x, None, torch.from_numpy(digits))


def make(shuffled: bool = False) -> Arrays:
    """Make the published set: ``x (4000, 40)``, ``y (4000,)``, ``x_test (1000, 40)``, ``y_test (1000,)``."""
    from mnist1d.data import get_dataset_args, make_dataset

    arguments = get_dataset_args()
    arguments.seed, arguments.shuffle_seq = MAKER_SEED, shuffled
    with global_random_state_kept():
        made = next(make_dataset(arguments) for _ in progress([0], "making MNIST-1D", patience=0))
    kinds = {"x": np.float32, "x_test": np.float32, "y": np.int64, "y_test": np.int64}
    return {name: made[name].astype(kind) for name, kind in kinds.items()}


@contextmanager
def global_random_state_kept() -> Iterator[None]:
    """Give the global generators of Python, numpy and torch back the states they had."""
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(torch_state)
