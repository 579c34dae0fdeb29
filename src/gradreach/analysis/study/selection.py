"""Which runs a selector means, which settings it leaves open, and how to express it in words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradreach.analysis.naming import plain
from gradreach.analysis.results import Results, Where
from gradreach.errors import ConfigError
from gradreach.look import axis_label, display_name, without_unit
from gradreach.run_table.columns import GROUPS
from gradreach.run_table.lengths import TEST_LENGTH

SILENT = ("model", "architecture")
"""Columns whose values are shown without the column's name."""
AXES = ("task", "model", "seq_len", "kernel_size", TEST_LENGTH)
NO_SETTING = ("diagnostics.",)
TWICE = (".name", "._target_")
"""Settings that the axes already show."""

Over = str | Iterable[str] | Mapping[str, Any] | None
"""Columns, or columns with the selected values."""


def selector(meant: str | Where) -> dict[str, Any]:
    """Return a selector as a mapping; a word alone is an architecture.

    >>> selector("lstm b=1")
    {'architecture': 'lstm b=1'}
    """
    return {"architecture": meant} if isinstance(meant, str) else dict(meant)


def keys_of(over: Over) -> tuple[str, ...]:
    """Return the columns of ``over=`` or ``each=``."""
    return () if over is None else (over,) if isinstance(over, str) else tuple(over)


def values_of(over: Over) -> dict[str, Any]:
    """Return the values that ``over=`` or ``each=`` restrict their columns to, where they do."""
    return dict(over) if isinstance(over, Mapping) else {}


def swept(runs: pd.DataFrame) -> list[str]:
    """Return the settings that vary over some runs, the seed aside."""
    names = [
        name
        for name in map(str, runs)
        if name in AXES or (name.startswith(GROUPS) and not name.startswith(NO_SETTING) and not name.endswith(TWICE))
    ]
    return [name for name in names if len(runs[name].unique()) > 1]


def check_closed(results: Results, meant: Where, cells: Iterable[str], part: str) -> None:
    """Check that a selector means one configuration in every cell.

    Raises:
        ConfigError: it leaves a setting open that was swept.
    """
    runs = results.where(meant).runs
    cells = list(cells)
    varying = [name for name in swept(runs) if name not in cells]
    if not varying:
        return
    if cells:
        counts = runs.groupby(cells, dropna=False)[varying].nunique(dropna=False).max()
        varying = [name for name in varying if counts[name] > 1]
    if varying:
        name = varying[0]
        values = ", ".join(sorted(plain(value) for value in runs[name].unique()))
        raise ConfigError(
            f"part “{part}”",
            allowed=f"{in_words(meant) or 'all runs'}: {name} is not fixed ({values})",
            hint=f"give over={name!r} (mean per seed) or each={name!r} (one part per value), or fix it with where=",
        )


def check_even(results: Results, meant: Where, cells: Sequence[str], part: str) -> None:
    """Check before the runs that every seed has runs in the same cells, so that the means of all seeds are comparable.

    Raises:
        ConfigError: naming a seed that lacks one.
    """
    if not cells:
        return
    runs = results.where(meant).runs[["seed", *cells]].drop_duplicates()
    sizes = runs.groupby("seed").size()
    if len(short := sizes[sizes < sizes.max()]):
        wrong = f"seed {short.index[0]} has {short.iloc[0]} of {sizes.max()} combinations of {listed(cells)}"
        hint = f"plan all of them for every seed, or give each={cells[0]!r} instead of over="
        raise ConfigError(f"part “{part}”", allowed=wrong, hint=hint)


def in_words(meant: Where, *, keys: bool = True) -> str:
    """Express a selector in words.

    Args:
        meant: which runs.
        keys: keep the names of columns and values, as for names of parts, which code looks up, and for errors; else
            what people call them.

    >>> in_words({"model": "lstm", "seq_len": [100, 200]})
    'lstm, seq_len 100 and 200'
    >>> in_words({"solved": True, "model.forget_bias": None})
    'solved, no model.forget_bias'
    >>> in_words({"architecture": "lstm b=1", "seq_len": 100, "task": "mnist1d"}, keys=False)
    'LSTM, forget bias 1, sequence length 100, MNIST-1D'
    """
    return ", ".join(_one(column, value, keys) for column, value in meant.items())


def _one(column: str, value: Any, keys: bool) -> str:
    name = column if keys else without_unit(axis_label(column))
    if value is None:
        return f"no {name}"
    if isinstance(value, bool):
        return name if value else f"not {name}"
    several = isinstance(value, list | tuple | set | range)
    said = listed(plain(each) if keys else display_name(plain(each)) for each in (value if several else [value]))
    texts = isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(each, str) for each in value))
    return said if column in SILENT or (texts and column == "task") else f"{name} {said}"


def listed(words: Iterable[str]) -> str:
    """Join words into a list for people.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
