"""What is kept of an overlong sequence."""

from typing import Literal

import numpy as np

Keep = Literal["head", "tail", "both"]


def shorten(steps: np.ndarray, most: int, keep: str) -> np.ndarray:
    """Return at most this many steps: the first, the last, or half of each (the larger half first)."""
    if len(steps) <= most:
        return steps
    first = {"head": most, "tail": 0, "both": most - most // 2}[keep]
    return np.concatenate([steps[:first], steps[len(steps) - (most - first) :]])
