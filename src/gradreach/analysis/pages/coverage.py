"""How much of a sweep there is, of what revisions, and what chance is."""

from collections import Counter

import pandas as pd

from gradreach.run_table.columns import MISSING

PENDING = (MISSING, "running", "interrupted")
"""Runs that have not been tried to the end: until then no rule is applied."""


def state_line(runs: pd.DataFrame) -> str:
    """Say how many of the planned runs are there."""
    states = runs["status"].value_counts()
    finished = int(states.get("finished", 0))
    others = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "finished")
    line = f"{finished} of {len(runs)} planned runs finished"
    if not others:
        return f"{line}."
    return f"{line}; {others}{': not complete' if runs['status'].isin(PENDING).any() else ''}."


def mixture_line(runs: pd.DataFrame) -> str:
    """Count the runs of each revision and schema where there are several; empty where there is one."""
    lines = []
    for column, what in (("revision", "revisions"), ("schema_version", "schema versions")):
        counts = Counter(str(value) for value in runs[column].dropna()) if column in runs else Counter()
        if len(counts) > 1:
            each = ", ".join(f"{count} of {value}" for value, count in sorted(counts.items()))
            lines.append(f"Runs of {len(counts)} {what}: {each}.")
    return " ".join(lines)


def chance_line(runs: pd.DataFrame) -> str:
    """Say the chance level of every task; from where to where it lies where it depends on the data drawn."""
    known = runs.dropna(subset=["chance"]) if "chance" in runs else runs.iloc[:0]
    parts = []
    for task, group in known.groupby("task"):
        by_value = "metric" in group and (group["metric"] == "mse").all()
        ends = [f"{c:.3g}" if by_value else f"{100 * c:.1f}" for c in (group["chance"].min(), group["chance"].max())]
        levels = "–".join(dict.fromkeys(ends))
        parts.append(f"{task} mse {levels}" if by_value else f"{task} {levels} %")
    return "Chance level: " + ", ".join(parts) + "." if parts else "Chance level: not known yet, no run has finished."
