"""What every page says about its runs: budget, learning rates tried, seeds, sizes."""

import re

import pandas as pd

from gradreach.analysis.naming import plain
from gradreach.analysis.study.selection import listed
from gradreach.rounding import number

FEW = 4
"""Up to this many values are listed, more are given as a range."""


def budget(runs: pd.DataFrame, setting: str = "") -> str:
    """Describe the budget of the runs, and the size of the networks.

    Args:
        runs: the run table.
        setting: the setting that validation chooses.
    """
    finished = runs[runs["status"] == "finished"]
    optimizers = listed(sorted(runs["optimizer.name"].unique())) if "optimizer.name" in runs else ""
    said = [
        _of(finished, "steps", f"steps of {optimizers}" if optimizers else "steps"),
        _of(runs, "trainer.epochs", "epochs"),
        _of(runs, "trainer.batch_size", "sequences a batch"),
        _of(finished, "parameters", "parameters"),
        _of(runs, "seed", "seeds", count=True),
    ]
    if setting and setting in runs and len(runs[setting].unique()) > 1:
        name = "learning rates" if setting == "optimizer.lr" else setting
        said.append(f"{name} tried: {listed(number(value, 'g') for value in sorted(runs[setting].dropna().unique()))}")
    return f"Budget: {', '.join(filter(None, said))}." if any(said) else ""


def _of(runs: pd.DataFrame, name: str, words: str, *, count: bool = False) -> str:
    if name not in runs or runs[name].dropna().empty:
        return ""
    values = sorted(runs[name].dropna().unique())
    if count:
        whole = list(values) == list(range(int(values[0]), int(values[-1]) + 1))
        which = f"{values[0]} to {values[-1]}" if whole and len(values) > 1 else listed(map(plain, values))
        return f"{len(values)} {words if len(values) > 1 else words.removesuffix('s')} ({which})"
    few = [number(float(value), ",.0f") for value in values]
    if few == ["1"]:
        words = re.sub(r"^(\w+)s\b", r"\1", words)
    return f"{listed(few) if len(few) <= FEW else f'{few[0]} to {few[-1]}'} {words}"


def one_draw(runs: pd.DataFrame, by_example: bool = False) -> str:
    """State what intervals cover if all seeds share their data.

    Args:
        runs: the run table.
        by_example: whether a part of the claim counts example by example.
    """
    if "task.data_seed" in runs and len(runs["task.data_seed"].unique()) > 1:
        return ""
    which = "Intervals of parts that count by example are over draws of the test too; all others" * by_example
    return (
        f"{which or 'Intervals'} are over initial weights and the order of batches: the data are one draw, the same "
        "for every seed."
    )
