"""How far an experiment can speak: what its seeds are draws of, what they share, and whether its rates were enough."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradreach.analysis.results import Results
from gradreach.analysis.tables import Computed
from gradreach.analysis.verdict import compare

RATE = "optimizer.lr"
ONE_DRAW = (
    "Intervals are over initial weights and the order of batches: the data are one draw, the same for every seed."
)


def complete(runs: pd.DataFrame, by: Sequence[str], of: str = "model") -> pd.DataFrame:
    """Return the finished runs of those groups in which none is lacking of what is compared.

    So the means of a seed over several groups rest on the same groups for all that are compared.

    Args:
        runs: the run table.
        by: what makes a group, such as ``["seed", "task"]``.
        of: what is compared within each.
    """
    finished = runs[runs["status"] == "finished"]
    found = finished.groupby(list(by), dropna=False)[of].transform("nunique")
    return finished[found == runs[of].nunique()]


def beside(runs: pd.DataFrame, pairs: Iterable[tuple[str, str]], places: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Tabulate by how many points of test accuracy architectures are better than others, seed by seed.

    Args:
        runs: the run table; those that count.
        pairs: which architecture, and beside which.
        places: where: values of columns of the run table.
    """
    if "test/accuracy" not in runs:
        return pd.DataFrame([{"difference": "no run has finished yet"}])
    pairs, rows = list(pairs), []
    for place in places:
        for pair in pairs:
            first, second = ({**place, "architecture": name} for name in pair)
            _, value, low, high, n, _ = compare(runs, "test/accuracy", first, second, scale=100)
            found = {"difference": " − ".join(pair), "points": value, "95 % from": low, "to": high, "seeds": n}
            rows.append({**place, **found})
    return pd.DataFrame(rows)


def chosen_rates(by: Sequence[str]) -> Computed:
    """Return the table of where in its grid the learning rates lie that validation chose.

    Args:
        by: what had a choice of its own, as ``choose`` was given it.
    """
    return Computed(
        "rates",
        "Where the learning rates that validation chose lie in the grid that was tried.",
        "Settings are what had a choice of its own. Beyond a rate at an end of the grid there may be a better one; a "
        "grid of two has nothing but ends.",
        lambda results: places_in_grid(results, by),
    )


def places_in_grid(results: Results, by: Sequence[str]) -> pd.DataFrame:
    """Count, for each architecture and grid, how many choices are the lowest rate that was tried, and the highest.

    A setting of which no run has finished has chosen nothing yet; one that tried a single rate had no choice.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for _, group in results.runs.groupby(list(by), dropna=False, sort=False):
        grid = ", ".join(f"{rate:g}" for rate in sorted(group[RATE].unique()))
        found.setdefault((str(group["architecture"].iloc[0]), grid), []).append(_place(group))
    rows = []
    for (name, grid), places in found.items():
        made = [place for place in places if place]
        if made:
            counts = {place: f"{made.count(place)} of {len(made)}" for place in ("lowest", "in between", "highest")}
            rows.append({"architecture": name, "rates tried": grid, **counts})
    return pd.DataFrame(rows or [{"settings": "none has chosen yet"}])


def _place(group: pd.DataFrame) -> str:
    """Return where the chosen rate lies among those that were tried; nothing where there was no choice, or no run."""
    finished = group.loc[group["chosen"] & (group["status"] == "finished"), RATE]
    low, high = group[RATE].min(), group[RATE].max()
    if finished.empty or low == high:
        return ""
    return {low: "lowest", high: "highest"}.get(finished.iloc[0], "in between")
