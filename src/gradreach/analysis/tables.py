"""Runs -> grouped estimates -> the table that people read. Rounding and order are fixed: a diff means a change."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results
from gradreach.analysis.statistics import LEVEL, TOO_SMALL, Comparison, estimate, holm, paired_test, unpaired_test

KEYS = "architecture"
COUNTED = ("failed", "diverged", "interrupted", "running")
"""What a cell tells of runs that have no number; those that are missing stand in the state of the sweep."""


@dataclass(frozen=True)
class Measure:
    """One number of a run, as a table shows it.

    - ``metric``: its column in the run table.
    - ``label``: what readers call it.
    - ``line``: tells measures of one group apart that stand below each other.
    - ``digits``: behind the point.
    - ``scale``: 100 for per cent.
    - ``needs``: another column and the least it must be for the number to mean anything.
    - ``best``: which end is good; the best of a column is marked where it beats every other.
    """

    metric: str
    label: str
    line: str = ""
    digits: int = 1
    scale: float = 1.0
    needs: tuple[str, float] | None = None
    best: Literal["max", "min"] | None = None

    def values(self, runs: pd.DataFrame) -> np.ndarray:
        """Return the measure of every run, NaN where it has none."""
        values = _numbers(runs, self.metric) * self.scale
        if self.needs is not None:
            values[~(_numbers(runs, self.needs[0]) >= self.needs[1])] = math.nan
        return values


@dataclass(frozen=True)
class Table:
    """A grouped table of means over seeds.

    - ``name``: of its files.
    - ``caption``: what it shows.
    - ``reading``: how its cells are read.
    - ``measures``: side by side, but for their lines.
    - ``rows``, ``columns``: a key of the run table, or several; no columns: one column a measure.
    - ``lines``: what the lines of a group are called.
    - ``where``: which runs; a value, or a list of values, for columns of the run table.
    """

    name: str
    caption: str
    reading: str
    measures: tuple[Measure, ...]
    rows: str | tuple[str, ...] = KEYS
    columns: str | tuple[str, ...] = "seq_len"
    lines: str = "line"
    where: Mapping[str, Any] = field(default_factory=dict)

    @property
    def row_keys(self) -> list[str]:
        """The keys of the rows."""
        return [self.rows] if isinstance(self.rows, str) else list(self.rows)

    @property
    def column_keys(self) -> list[str]:
        """The keys of the columns."""
        return [self.columns] if isinstance(self.columns, str) else list(self.columns)


@dataclass(frozen=True)
class Computed:
    """A table that is no mean over seeds, such as the longest length solved.

    - ``name``, ``caption``, ``reading``: as of ``Table``.
    - ``compute``: given the results, returns it; what is text stands as it is.
    - ``digits``: significant ones of its numbers.
    """

    name: str
    caption: str
    reading: str
    compute: Callable[[Results], pd.DataFrame]
    digits: int = 3


@dataclass(frozen=True)
class View:
    """A table, made.

    - ``table``: what was asked for.
    - ``numbers``: one row for each group and measure, with ``run_ids`` that it rests on; of a computed table its
      numbers.
    - ``text``: what people read.
    - ``marked``: which of its cells are best, and really so.
    - ``notes``: what has to be known of tests and marks.
    """

    table: Table | Computed
    numbers: pd.DataFrame
    text: pd.DataFrame
    marked: np.ndarray
    notes: str = ""


def make(table: Table | Computed, results: Results) -> View:
    """Make a table."""
    if isinstance(table, Computed):
        numbers = table.compute(results)
        text = numbers.apply(lambda column: column.map(lambda value: _significant(value, table.digits)))
        return View(table, numbers, text, np.zeros(text.shape, dtype=bool))
    numbers = summarize(results.runs, table)
    text, marked = wide(numbers, table)
    return View(table, numbers, text, marked, _notes(numbers, table))


def summarize(runs: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return one row for each group and measure: mean, sd, 95 % interval, n, parameters, chance, test against the best.

    ``p_best`` is that of the test against the best cell of the column, corrected by Holm for all tests of the table;
    ``marked`` is true of a best cell that every other one is told apart from.
    """
    keys = [*table.row_keys, *table.column_keys]
    rows, values = [], []
    for key, group in selected(runs, table.where).groupby(keys, sort=False, dropna=False):
        finished = group[group["status"] == "finished"]
        for measure in table.measures:
            if len(finished) and _absent(finished, measure.metric):
                continue  # a measure that this architecture does not have
            numbers = measure.values(finished)
            result = estimate(numbers)
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    table.lines: measure.line,
                    "measure": measure.label,
                    "mean": result.mean,
                    "sd": result.sd,
                    "ci95_low": result.mean - result.half_width,
                    "ci95_high": result.mean + result.half_width,
                    "n_valid": result.n,
                    "n_finished": len(finished),
                    **{f"n_{status}": int((group["status"] == status).sum()) for status in COUNTED},
                    "n": len(group),
                    "parameters": _common(finished, "parameters"),
                    "chance": _chance(finished, measure),
                    "run_ids": " ".join(finished["run_id"]) if "run_id" in finished else "",
                }
            )
            values.append(pd.Series(numbers, index=_units(finished)))
    summary = pd.DataFrame(rows)
    if not summary.empty:
        summary["p_best"], summary["marked"], summary["test"] = _against_best(summary, values, table)
    return summary


def _against_best(
    summary: pd.DataFrame, values: Sequence[pd.Series], table: Table
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Test the best of every column against the others of it, and correct for all these tests."""
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
        a: values by seed.
        b: the others.
        family: how many tests it is one of. Pairs need about six seeds for one test, one more whenever these double:
            with fewer, p could not stay below 0.05 once it is corrected, and the groups are compared as independent,
            which is on the safe side where seeds do what they are shared for.
    """
    shared = a.dropna().index.intersection(b.dropna().index)
    if a.index.is_unique and b.index.is_unique and 2 / 2 ** len(shared) <= LEVEL / family:
        return paired_test(a[shared].to_numpy(), b[shared].to_numpy())
    return unpaired_test(a.to_numpy(), b.to_numpy())


def wide(summary: pd.DataFrame, table: Table) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the table as people read it, and which of its cells are marked.

    Cells: ``mean ± half-width (valid/planned)``, and what has become of the others. The chance level stands in a last
    line, or beside the rows where it differs between them.
    """
    if summary.empty:
        return pd.DataFrame({"runs": ["none yet"]}), np.zeros((1, 1), dtype=bool)
    digits = {measure.label: measure.digits for measure in table.measures}
    scales = {measure.label: measure.scale for measure in table.measures}
    columns = _sorted_keys(summary, table.column_keys)
    heads = {(label, column): head_of(label, table.column_keys, column) for label in digits for column in columns}
    by_row = summary.groupby(table.row_keys, sort=False, dropna=False)["chance"].nunique().max() <= 1
    beside = by_row and len(summary["chance"].dropna().unique()) > 1
    lines, marks = [], []
    for key, group in summary.groupby([*table.row_keys, table.lines], sort=False, dropna=False):
        line = {name: _plain(value) for name, value in zip(table.row_keys, key, strict=False)}
        line["parameters"] = ", ".join(f"{int(p):,}" for p in group["parameters"].dropna().unique())
        if beside:
            label = str(group["measure"].iloc[0])
            line["chance"] = _number(_only(group["chance"]), scales[label], digits[label])
        if key[-1]:
            line[table.lines] = str(key[-1])
        cells = {
            (cell["measure"], tuple(_plain(cell[k]) for k in table.column_keys)): cell
            for cell in group.to_dict("records")
        }
        best = set()
        for (label, column), head in heads.items():
            cell = cells.get((label, tuple(map(_plain, column))))
            line[head] = "" if cell is None else _cell(cell, digits[label])
            if cell is not None and cell["marked"]:
                best.add(head)
        lines.append(line)
        marks.append(best)
    if not beside and summary["chance"].notna().any():
        lines.append(_chance_row(summary, table, heads, digits, scales))
        marks.append(set())
    text = pd.DataFrame(lines).fillna("")
    return text, np.array([[head in best for head in text] for best in marks])


def _chance_row(
    summary: pd.DataFrame,
    table: Table,
    heads: Mapping[tuple[str, tuple], str],
    digits: Mapping[str, int],
    scales: Mapping[str, float],
) -> dict[str, str]:
    row = {table.row_keys[0]: "chance"}
    for (label, column), head in heads.items():
        mask = summary["measure"] == label
        for key, value in zip(table.column_keys, column, strict=True):
            mask &= summary[key].map(_plain) == _plain(value)
        row[head] = _number(_only(summary.loc[mask, "chance"]), scales[label], digits[label])
    return row


def selected(runs: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """Return the runs that ``where`` means, of whatever status: a value, or a list of values, for columns."""
    mask = pd.Series(True, index=runs.index)
    for column, value in where.items():
        mask &= runs[column].isin(list(value) if isinstance(value, list | tuple | set) else [value])
    return runs[mask]


def chance_line(runs: pd.DataFrame) -> str:
    """Say the chance level of every task."""
    known = runs.dropna(subset=["chance"]) if "chance" in runs else runs.iloc[:0]
    parts = []
    for task, group in known.groupby("task"):
        by_value = "metric" in group and (group["metric"] == "mse").all()
        levels = (f"mse {c:.3g}" if by_value else f"{100 * c:.1f} %" for c in sorted(group["chance"].unique()))
        parts.append(f"{task} {' / '.join(levels)}")
    return "Chance level: " + ", ".join(parts) + "." if parts else "Chance level: not known yet, no run has finished."


def _notes(summary: pd.DataFrame, table: Table) -> str:
    """Say what the marks mean, and where n is too small for a test."""
    if summary.empty or not any(measure.best for measure in table.measures):
        return ""
    kinds = sorted(set(summary["test"]) - {"", TOO_SMALL, "no pair differs"})
    note = f"Bold: better than every other in its column, {' or '.join(kinds)}, p < 0.05 after Holm's correction."
    few = "In some columns n is too small for a test." if kinds else f"No best is marked: {TOO_SMALL}."
    if TOO_SMALL not in set(summary["test"]):
        return note if kinds else ""
    return f"{note} {few}" if kinds else few


def _units(finished: pd.DataFrame) -> pd.Index:
    return pd.Index(finished["seed"] if "seed" in finished else np.arange(len(finished)))


def _sorted_keys(summary: pd.DataFrame, keys: Sequence[str]) -> list[tuple]:
    if not keys:
        return [()]
    distinct = summary[list(keys)].drop_duplicates().sort_values(list(keys), na_position="first")
    return list(distinct.itertuples(index=False, name=None))


def head_of(label: str, keys: Iterable[str], values: Iterable[Any]) -> str:
    """Return the head of the column in which a measure of a group stands."""
    return ", ".join([label, *(f"{key} {_plain(value)}" for key, value in zip(keys, values, strict=True))])


def _plain(value: Any) -> str:
    """Return a key as text; what is missing is a dash, and a whole number has no point, whatever pandas made of it."""
    if pd.isna(value):
        return "–"
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _cell(cell: Mapping[Any, Any], digits: int) -> str:
    lost = ", ".join(f"{cell[f'n_{status}']} {status}" for status in COUNTED if cell[f"n_{status}"])
    counted = f"({cell['n_valid']}/{cell['n']}{', ' * bool(lost)}{lost})"
    if cell["n_valid"] == 0:
        return f"– {counted}"
    half = cell["ci95_high"] - cell["mean"]
    interval = f" ± {half:.{digits}f}" if math.isfinite(half) else ""
    return f"{cell['mean']:.{digits}f}{interval} {counted}"


def _number(value: float, scale: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value * scale:.{digits}f}"


def _significant(value: Any, digits: int) -> str:
    if isinstance(value, float | np.floating):
        return "–" if math.isnan(value) else f"{value:.{digits}g}"
    return _plain(value)


def _numbers(runs: pd.DataFrame, column: str) -> np.ndarray:
    if column not in runs:
        return np.full(len(runs), math.nan)
    return runs[column].to_numpy(dtype=float, na_value=math.nan)


def _chance(finished: pd.DataFrame, measure: Measure) -> float:
    """Return the chance level of what chance is told for: accuracy, or mean squared error."""
    told_for = set(finished["metric"].dropna()) if "metric" in finished else set()
    if told_for and told_for != {measure.metric.rpartition("/")[2]}:
        return math.nan
    return _common(finished, "chance")


def _common(group: pd.DataFrame, column: str) -> float:
    """Return the value that all rows share, NaN where they have none."""
    return _only(group[column]) if column in group else math.nan


def _absent(finished: pd.DataFrame, metric: str) -> bool:
    return metric not in finished or bool(finished[metric].isna().all())


def _only(values: pd.Series) -> float:
    known = values.dropna().unique()
    return float(known[0]) if len(known) == 1 else math.nan
