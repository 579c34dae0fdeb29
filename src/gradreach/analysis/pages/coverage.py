"""How complete a sweep is, which code ran it, and the chance level."""

from collections import Counter

import pandas as pd

from gradreach.analysis.results import PENDING
from gradreach.look import display_name
from gradreach.rounding import number


def state_line(runs: pd.DataFrame) -> str:
    """Say how many of the planned runs exist."""
    states = runs["status"].value_counts()
    finished = int(states.get("finished", 0))
    others = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "finished")
    line = f"{finished} of {len(runs)} planned runs finished"
    if not others:
        return f"{line}."
    return f"{line}; {others}{': not complete' if runs['status'].isin(PENDING).any() else ''}."


def mixture_line(runs: pd.DataFrame) -> str:
    """Count the runs of each code and schema where there are several; empty where there is one.

    Code is identified by its digest, in runs from before digests by its commit.
    """
    code = _known(runs, "code")
    known = {"commits" if code.isna().all() else "code digests": code.fillna(_known(runs, "revision"))}
    lines = []
    for what, values in (known | {"schema versions": _known(runs, "schema_version")}).items():
        counts = Counter(map(str, values.dropna()))
        if len(counts) > 1:
            each = ", ".join(f"{count} of {value}" for value, count in sorted(counts.items()))
            lines.append(f"Runs of {len(counts)} {what}: {each}.")
    return " ".join(lines)


def _known(runs: pd.DataFrame, column: str) -> pd.Series:
    return runs[column] if column in runs else pd.Series(None, index=runs.index, dtype=object)


def chance_line(runs: pd.DataFrame) -> str:
    """State the chance level of every task, as a range if it depends on the drawn data."""
    known = runs.dropna(subset=["chance"]) if "chance" in runs else runs.iloc[:0]
    parts = []
    for task, group in known.groupby("task"):
        by_value = "metric" in group and (group["metric"] == "mse").all()
        ends = [
            number(c, ".3g") if by_value else number(100 * c, ".1f")
            for c in (group["chance"].min(), group["chance"].max())
        ]
        levels = "–".join(dict.fromkeys(ends))
        name = display_name(task)
        parts.append(f"{name} mse {levels}" if by_value else f"{name} {levels} %")
    return "Chance level: " + ", ".join(parts) + "." if parts else "Chance level: not known yet, no run has finished."
