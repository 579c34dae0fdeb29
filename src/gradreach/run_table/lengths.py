"""Runs by the length that they were tested at: ``test/accuracy/160`` becomes ``test/accuracy`` where it is 160."""

import json
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

TEST_LENGTH = "test_length"
SETTING = "task.test_lengths"
AT_LENGTH = re.compile(r"((?:test|gradient)/.+)/(\d+)")
"""What was measured at a test length, and at which."""


def by_test_length(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each run and each of its test lengths: what was measured there by its plain name.

    Of test and gradient nothing else stands there; a run without test lengths has no row. Where no run has any, the
    table stays as it is. A run that finished, but whose loss is not finite at a length, has diverged there.

    >>> columns = {"task.test_lengths": ["[5, 10]"], "test/accuracy": [1.0], "test/accuracy/5": [0.9]}
    >>> by_test_length(pd.DataFrame({**columns, "test/accuracy/10": [0.5]}))[["test_length", "test/accuracy"]].values
    array([[ 5. ,  0.9],
           [10. ,  0.5]])
    """
    lengths_of = [lengths_in(told) for told in runs[SETTING]] if SETTING in runs else []
    lengths = sorted({length for each in lengths_of for length in each})
    if not lengths:
        return runs
    measured = [str(name) for name in runs if str(name).startswith(("test/", "gradient/"))]
    found = {name: match for name in measured if (match := AT_LENGTH.fullmatch(name))}
    rest = runs.drop(columns=measured)
    parts, places = [], []
    for length in lengths:
        there = np.array([length in each for each in lengths_of])
        here = {match[1]: runs.loc[there, name] for name, match in found.items() if int(match[2]) == length}
        part = rest[there].assign(**{TEST_LENGTH: length, **here})
        if "status" in part and "test/loss" in part:
            no_number = ~np.isfinite(part["test/loss"].astype(float))
            part["status"] = part["status"].mask((part["status"] == "finished") & no_number, "diverged")
        parts.append(part)
        places.append(np.flatnonzero(there))
    order = np.argsort(np.concatenate(places), kind="stable")
    return pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True)


def of_run(metrics: Mapping[str, float]) -> pd.DataFrame:
    """Return what was measured of one run at its test lengths: a row a length; empty where there are none.

    >>> of_run({"test/accuracy": 1.0, "test/accuracy/5": 0.9, "test/accuracy/10": 0.5}).values.tolist()
    [[5.0, 0.9], [10.0, 0.5]]
    """
    found = {name: match for name in metrics if (match := AT_LENGTH.fullmatch(name))}
    rows: dict[int, dict[str, float]] = {}
    for name, match in found.items():
        rows.setdefault(int(match[2]), {})[match[1]] = metrics[name]
    return pd.DataFrame([{TEST_LENGTH: length, **rows[length]} for length in sorted(rows)])


def lengths_in(told: object) -> Sequence[int]:
    """Return the lengths that a cell of ``task.test_lengths`` or ``task.train_lengths`` names; none of an empty one."""
    found: list[int] = json.loads(told) if isinstance(told, str) else []
    return found
