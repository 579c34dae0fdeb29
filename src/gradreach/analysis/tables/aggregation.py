"""Runs -> estimates by group, and the best group of each column."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradreach.analysis.order import in_order
from gradreach.analysis.results import selected
from gradreach.analysis.stats.draws import draws
from gradreach.analysis.stats.statistics import LEVEL, Comparison, estimate, holm, paired_test, unpaired_test
from gradreach.analysis.tables.specification import Measure, Table

COUNTED = ("failed", "diverged", "interrupted", "running")
"""Statuses that a cell reports for runs without a number; missing runs are part of the sweep's state."""


def summarize(runs: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return one row for each group and measure: mean, sd, 95 % interval, n, parameters, chance, test against the best.

    Groups come in the order that people expect: by rows, then by columns, what has no value of a key first.

    Several runs of one seed are one draw, as in verdicts, and count with their mean. ``n``, ``n_finished`` and
    ``n_valid`` count seeds: planned, with a run that finished, with a finite number; ``n_failed`` and such count runs.
    ``p_best`` is that of the test against the best cell of the column, corrected by Holm for all tests of the table;
    ``marked`` is true of a best cell that differs significantly from every other one.
    """
    keys = [*table.row_keys, *table.column_keys]
    rows, values = [], []
    meant = in_order(selected(runs, table.where), keys)
    for key, group in meant.groupby(keys, sort=False, dropna=False):
        finished = group[group["status"] == "finished"]
        for measure in table.measures:
            if len(finished) and _absent(finished, measure.metric):
                continue  # a measure that this architecture does not have
            drawn = _draws(measure, finished)
            result = estimate(drawn.to_numpy())
            least, most = measure.possible(finished)
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    table.lines: measure.line,
                    "measure": measure.label,
                    "mean": result.mean,
                    "sd": result.sd,
                    "ci95_low": _cut(result.mean - result.half_width, least, most),
                    "ci95_high": _cut(result.mean + result.half_width, least, most),
                    "n_valid": result.n,
                    "n_finished": len(drawn),
                    **{f"n_{status}": int((group["status"] == status).sum()) for status in COUNTED},
                    "n": _seeds(group).nunique(dropna=False),
                    "parameters": _common(finished, "parameters"),
                    "chance": _chance(finished, measure),
                    "run_ids": " ".join(finished["run_id"]) if "run_id" in finished else "",
                }
            )
            values.append(drawn)
    summary = pd.DataFrame(rows)
    if not summary.empty:
        summary["p_best"], summary["marked"], summary["test"] = _against_best(summary, values, table)
    return summary


def _against_best(
    summary: pd.DataFrame, values: Sequence[pd.Series], table: Table
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Test the best of every column against the column's others, and correct for all these tests."""
    good = {measure.label: measure.best for measure in table.measures}
    tests: dict[int, Comparison] = {}
    best_of: dict[int, list[int]] = {}
    for (label, *_), column in summary.groupby(["measure", table.lines, *table.column_keys], sort=False, dropna=False):
        means = column["mean"].dropna()
        if good[str(label)] is None or len(means) < 2:
            continue
        places = means.index.to_numpy()
        best = int(places[means.argmax() if good[str(label)] == "max" else means.argmin()])
        best_of[best] = [int(i) for i in places if i != best]
    family = sum(map(len, best_of.values()))
    for best, others in best_of.items():
        tests |= {other: compare_runs(values[best], values[other], family) for other in others}
    p = np.full(len(summary), math.nan)
    p[list(tests)] = holm([test.p for test in tests.values()])
    marked = np.zeros(len(summary), dtype=bool)
    for best, others in best_of.items():
        marked[best] = bool((p[others] < LEVEL).all())
    return p, marked, [tests[i].note if i in tests else "" for i in range(len(summary))]


def compare_runs(a: pd.Series, b: pd.Series, family: int = 1) -> Comparison:
    """Test two groups of runs, by pairs that share a seed or as independent groups.

    Args:
        a: one value a seed, which is the index.
        b: the others.
        family: the number of tests to correct for. Pairs need about six seeds for one test, one more whenever these
            double: with fewer, p could not stay below 0.05 once it is corrected, and the groups are compared as
            independent, which is on the safe side where seeds do what they are shared for.
    """
    shared = a.dropna().index.intersection(b.dropna().index)
    if 2 / 2 ** len(shared) <= LEVEL / family:
        return paired_test(a[shared].to_numpy(), b[shared].to_numpy())
    return unpaired_test(a.to_numpy(), b.to_numpy())


def _cut(end: float, least: float, most: float) -> float:
    """Return the end of an interval, cut at the bounds of the measure; NaN if there is none."""
    return end if math.isnan(end) else min(max(end, least), most)


def _seeds(runs: pd.DataFrame) -> pd.Series:
    """Return the seed of each run; without seeds each is a draw of its own."""
    return runs["seed"] if "seed" in runs else pd.Series(np.arange(len(runs)), index=runs.index)


def _draws(measure: Measure, runs: pd.DataFrame) -> pd.Series:
    """Return one value a seed, the mean of its runs, as several of one seed are not independent draws."""
    values, counts = (pd.Series(each, index=runs.index) for each in (measure.values(runs), measure.counts(runs)))
    return draws(values, _seeds(runs), counts, sort=False)


def _chance(finished: pd.DataFrame, measure: Measure) -> float:
    """Return the chance level, if the measure has one: accuracy, or mean squared error."""
    told_for = set(finished["metric"].dropna()) if "metric" in finished else set()
    if told_for and told_for != {measure.metric.rpartition("/")[2]}:
        return math.nan
    return _common(finished, "chance")


def _common(group: pd.DataFrame, column: str) -> float:
    """Return the value that all rows share, NaN where they have none."""
    return only(group[column]) if column in group else math.nan


def _absent(finished: pd.DataFrame, metric: str) -> bool:
    return metric not in finished or bool(finished[metric].isna().all())


def only(values: pd.Series) -> float:
    """Return the only value; NaN if there is none, or several."""
    known = values.dropna().unique()
    return float(known[0]) if len(known) == 1 else math.nan
