"""The order in which people expect rows: numbers by size, names alphabetically, also numbers within names."""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def in_order(runs: pd.DataFrame, keys: Iterable[str]) -> pd.DataFrame:
    """Return runs sorted by some columns; missing values come first, ties keep their order.

    >>> runs = pd.DataFrame({"architecture": ["rnn width 1024", "rnn width 256", "gru"]})
    >>> in_order(runs, ["architecture"])["architecture"].tolist()
    ['gru', 'rnn width 256', 'rnn width 1024']
    """
    keys = [key for key in dict.fromkeys(keys) if key in runs]
    if not keys or runs.empty:
        return runs
    ranked = runs[keys].apply(_rank)
    return runs.loc[ranked.sort_values(keys, kind="stable").index]


def _rank(values: pd.Series) -> pd.Series:
    order = {value: i for i, value in enumerate(sorted(values.dropna().unique(), key=natural))}
    return values.map(lambda value: -1 if pd.isna(value) else order[value]).astype(int)


def natural(value: Any) -> list[tuple[int, Any]]:
    """Return a sort key for values of any kind: numbers by size, also within words.

    >>> sorted(["auto", "10", "1e-05", "0.001", "cnn k=15", "cnn k=3"], key=natural)
    ['1e-05', '0.001', '10', 'auto', 'cnn k=3', 'cnn k=15']
    """
    if not isinstance(value, str):
        return [(0, value)]
    if NUMBER.fullmatch(value):
        return [(0, float(value))]
    parts = re.split(r"(\d+(?:\.\d+)?)", value)
    return [(0, float(part)) if i % 2 else (1, part) for i, part in enumerate(parts)]
