"""Fair comparisons: of the settings that were tried for each model, the one that validation chose stands for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradreach.analysis.experiment import Draw
from gradreach.analysis.naming import CELLS, CHOSEN_RATE
from gradreach.analysis.results import Results
from gradreach.analysis.tables import Measure, Table, selected

CHOSEN = {"chosen": True}
"""For ``where``: the runs whose setting was chosen."""


def chosen_accuracy(columns: str = "seq_len") -> Table:
    """Return the table of test accuracies at the learning rates that validation chose, by a key of the run table."""
    return Table(
        "accuracy",
        "Test accuracy in per cent.",
        f"{CELLS} {CHOSEN_RATE}",
        (Measure("test/accuracy", "accuracy", scale=100, best="max"),),
        rows=("architecture", "tried"),
        columns=columns,
        where=CHOSEN,
    )


def choose(
    runs: pd.DataFrame, by: Sequence[str], setting: str = "optimizer.lr", metric: str | None = None
) -> pd.DataFrame:
    """Choose a setting for each group, by the mean of its validation metric over seeds; the test decides nothing.

    A run without a number (diverged, failed) counts as the worst there is in its group. As long as runs are to come,
    the choice is that of those that are there.

    Args:
        runs: the run table, with ``architecture``.
        by: what makes a group, such as ``["architecture", "seq_len"]``.
        setting: what was tried.
        metric: what it is chosen by; by default what the task is scored by, of which a squared error is better low.

    Returns:
        The table in the order of the groups, with ``chosen``, and ``tried``: how many settings the group tried.
    """
    runs = runs.sort_values(list(by), kind="stable", na_position="first")
    runs = runs.assign(chosen=False, tried=runs.groupby(list(by), dropna=False)[setting].transform("nunique"))
    score = _score(runs, metric)
    for _, group in runs.groupby(list(by), dropna=False, sort=False):
        values = score[group.index]
        ended = group["status"].isin(["finished", "diverged", "failed"])
        values = values.where(~(ended & values.isna()), values.min())
        means = values.groupby(group[setting]).mean()
        best = means.idxmax() if means.notna().any() else means.index.min()
        runs.loc[group.index[group[setting] == best], "chosen"] = True
    return runs


def of_chosen(draw: Draw, where: Mapping[str, Any] = CHOSEN) -> Draw:
    """Draw the runs of chosen settings only, and of them those that ``where`` means."""

    def drawn(results: Results, stem: Path) -> Figure:
        kept = chosen_results(results)
        return draw(replace(kept, runs=selected(kept.runs, where)), stem)

    return drawn


def chosen_results(results: Results) -> Results:
    """Return the results of the runs of chosen settings; what else was measured is read where it was read before."""
    return replace(
        results,
        runs=results.runs[results.runs["chosen"]],
        read_profiles=lambda: results.profiles,
        read_history=lambda: results.history,
        read_decoding=lambda: results.decoding,
    )


def _score(runs: pd.DataFrame, metric: str | None) -> pd.Series:
    """Return what validation says of each run, higher is better."""
    if metric is not None:
        return runs[metric].astype(float)
    score = pd.Series(np.nan, index=runs.index)
    for name, sign in (("accuracy", 1.0), ("mse", -1.0)):
        if f"val/{name}" in runs and "metric" in runs:
            mine = runs["metric"] == name
            score[mine] = sign * runs.loc[mine, f"val/{name}"].astype(float)
    return score
