"""How far an experiment can speak: what its seeds are draws of, what they share, and whether its rates were enough."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradreach.analysis.stats.verdict import compare

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
