"""Fair comparisons: each model is represented by the tried setting with the best validation score."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

CHOSEN = {"chosen": True}
"""For ``where``: the runs whose setting was chosen."""


def choose(
    runs: pd.DataFrame, by: Sequence[str], setting: str = "optimizer.lr", metric: str | None = None
) -> pd.DataFrame:
    """Choose a setting for each group by its mean validation metric over seeds; test metrics are never used.

    A run without a number (diverged, failed) counts as the worst there is in its group. As long as runs are to come,
    the choice is that of those that are there.

    Args:
        runs: the run table, with ``architecture``.
        by: what makes a group, such as ``["architecture", "seq_len"]``.
        setting: the setting chosen.
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


def _score(runs: pd.DataFrame, metric: str | None) -> pd.Series:
    """Return each run's validation score, higher is better."""
    if metric is not None:
        return runs[metric].astype(float)
    score = pd.Series(np.nan, index=runs.index)
    for name, sign in (("accuracy", 1.0), ("mse", -1.0)):
        if f"val/{name}" in runs and "metric" in runs:
            mine = runs["metric"] == name
            score[mine] = sign * runs.loc[mine, f"val/{name}"].astype(float)
    return score
