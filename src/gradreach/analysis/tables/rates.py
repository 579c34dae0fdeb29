"""Where in their grids the learning rates chosen by validation lie."""

from collections.abc import Sequence

import pandas as pd

from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Computed
from gradreach.rounding import number

RATE = "optimizer.lr"


def chosen_rates(by: Sequence[str], setting: str = RATE) -> Computed:
    """Return the table of where in their grids the learning rates chosen by validation lie.

    Args:
        by: what had a choice of its own, as ``choose`` was given it.
        setting: the setting chosen.
    """
    return Computed(
        "rates",
        "Where the learning rates chosen by validation lie in their grid.",
        "Settings are what had a choice of its own. Beyond a rate at an end of the grid there may be a better one; a "
        "grid of two has nothing but ends.",
        lambda results: places_in_grid(results, by, setting),
    )


def places_in_grid(results: Results, by: Sequence[str], setting: str) -> pd.DataFrame:
    """Count, for each architecture and grid, how many choices are the lowest rate of the grid, and the highest.

    A setting without a finished run has no chosen rate yet; one with a single rate had no choice.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for _, group in results.runs.groupby(list(by), dropna=False, sort=False):
        grid = ", ".join(number(rate, "g") for rate in sorted(group[setting].unique()))
        found.setdefault((str(group["architecture"].iloc[0]), grid), []).append(_place(group, setting))
    rows = []
    for (name, grid), places in found.items():
        made = [place for place in places if place]
        if made:
            counts = {place: f"{made.count(place)} of {len(made)}" for place in ("lowest", "in between", "highest")}
            rows.append({"architecture": name, "rates tried": grid, **counts})
    return pd.DataFrame(rows or [{"settings": "none chosen yet"}])


def _place(group: pd.DataFrame, setting: str) -> str:
    """Return where the chosen rate lies in its grid; None if there was no choice, or no run."""
    finished = group.loc[group["chosen"] & (group["status"] == "finished"), setting]
    low, high = group[setting].min(), group[setting].max()
    if finished.empty or low == high:
        return ""
    return {low: "lowest", high: "highest"}.get(finished.iloc[0], "in between")
