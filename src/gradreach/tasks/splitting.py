"""Splits that we make ourselves, where a data set comes without."""

import numpy as np
import torch
from torch import Tensor


def stratified_split(
    labels: np.ndarray, seed: int, validation: float = 0.2, test: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw training, validation and test indices with the same share of every class.

    Args:
        labels: the class of each example, ``(n,)``.
        seed: the data seed: the one thing, beside the labels, on which the split depends.
        validation: its share of all examples.
        test: its share of all examples.
    """
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(labels))
    rest, held_out = train_test_split(everything, test_size=test, stratify=labels, random_state=seed)
    train, chosen_by = train_test_split(
        rest, test_size=validation / (1 - test), stratify=labels[rest], random_state=seed
    )
    return torch.from_numpy(train), torch.from_numpy(chosen_by), torch.from_numpy(held_out)
