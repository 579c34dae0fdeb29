"""Tables of what validation chose: accuracies at the chosen rates, and where these lie in their grids."""

from collections.abc import Sequence

import pandas as pd

from gradreach.analysis.naming import CELLS, CHOSEN_RATE
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN
from gradreach.analysis.stats.robustness import RATE
from gradreach.analysis.tables.specification import Computed, Measure, Table


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


def chosen_rates(by: Sequence[str], setting: str = RATE) -> Computed:
    """Return the table of where in its grid the learning rates lie that validation chose.

    Args:
        by: what had a choice of its own, as ``choose`` was given it.
        setting: what was tried.
    """
    return Computed(
        "rates",
        "Where the learning rates that validation chose lie in the grid that was tried.",
        "Settings are what had a choice of its own. Beyond a rate at an end of the grid there may be a better one; a "
        "grid of two has nothing but ends.",
        lambda results: places_in_grid(results, by, setting),
    )


def places_in_grid(results: Results, by: Sequence[str], setting: str = RATE) -> pd.DataFrame:
    """Count, for each architecture and grid, how many choices are the lowest rate that was tried, and the highest.

    A setting of which no run has finished has chosen nothing yet; one that tried a single rate had no choice.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for _, group in results.runs.groupby(list(by), dropna=False, sort=False):
        grid = ", ".join(f"{rate:g}" for rate in sorted(group[setting].unique()))
        found.setdefault((str(group["architecture"].iloc[0]), grid), []).append(_place(group, setting))
    rows = []
    for (name, grid), places in found.items():
        made = [place for place in places if place]
        if made:
            counts = {place: f"{made.count(place)} of {len(made)}" for place in ("lowest", "in between", "highest")}
            rows.append({"architecture": name, "rates tried": grid, **counts})
    return pd.DataFrame(rows or [{"settings": "none has chosen yet"}])


def _place(group: pd.DataFrame, setting: str) -> str:
    """Return where the chosen rate lies among those that were tried; nothing where there was no choice, or no run."""
    finished = group.loc[group["chosen"] & (group["status"] == "finished"), setting]
    low, high = group[setting].min(), group[setting].max()
    if finished.empty or low == high:
        return ""
    return {low: "lowest", high: "highest"}.get(finished.iloc[0], "in between")
