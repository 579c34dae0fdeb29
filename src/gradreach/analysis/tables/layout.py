"""Grouped estimates -> the table that people read. Rounding and order are fixed: a diff means a change."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.naming import plain
from gradreach.analysis.order import in_order
from gradreach.analysis.results import Results
from gradreach.analysis.stats.statistics import TOO_SMALL
from gradreach.analysis.tables.aggregation import COUNTED, only, summarize
from gradreach.analysis.tables.specification import Computed, Measure, Table
from gradreach.look import axis_label, display_name, setting_name
from gradreach.rounding import number, with_interval

ENDS = ("estimate", "95 % from", "to")
"""The columns of an effect, which people see as one column."""
LEAST_PARTED, MOST_PARTED = 1000, 10**7
"""The range in which numbers have thousands separators; beyond it floats are powers of ten."""
Key = tuple[Any, ...]  # the values of a table's keys: those of a row, or of a column


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

    @property
    def keys(self) -> list[str]:
        """The columns that tell what a line is about."""
        table = self.table
        names = [*heads_of(table.row_keys).values(), table.lines] if isinstance(table, Table) else []
        return [name for name in names if name in self.text] or [str(self.text.columns[0])]


def make(table: Table | Computed, results: Results) -> View:
    """Make a table."""
    if isinstance(table, Computed):
        numbers = table.compute(results)
        shown = with_intervals(numbers)
        text = _for_people(shown.apply(lambda column: column.map(lambda v: _significant(v, table.digits))), results)
        return View(table, numbers, text, np.zeros(text.shape, dtype=bool))
    numbers = told(summarize(results.runs, table), [*table.row_keys, table.lines])
    text, marked = wide(numbers, table)
    return View(table, numbers, text, marked, _notes(numbers, table, bool(marked.any())))


def _for_people(text: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Return a computed table whose columns that are keys of the run table are called, and read, as people do."""
    keys = [name for name in map(str, text) if name in results.runs]
    spoken = text.assign(**{name: text[name].map(display_name) for name in keys})
    return spoken.rename(columns={name: axis_label(name) for name in keys})


def told(summary: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return the groups without those rows of the table whose runs are done and have no value at all."""
    if summary.empty:
        return summary
    lost = summary[[f"n_{status}" for status in COUNTED]].sum(axis=1)
    says = (summary["n_valid"] > 0) | (summary["n_finished"] == 0) | (lost > 0)
    return summary[says.groupby([summary[key] for key in keys], dropna=False).transform("any")]


def with_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which estimates stand with their intervals, and their unit, in one column."""
    if not {*ENDS, "unit"} <= {*frame}:
        return frame
    ends = frame[[*ENDS]].to_numpy(float)
    numbers = [
        "–" if math.isnan(value) else with_interval(value, low, high, brackets=True) for value, low, high in ends
    ]
    texts = [f"{text} {unit}".strip() for text, unit in zip(numbers, frame["unit"], strict=True)]
    merged = frame.drop(columns=[*ENDS[1:], "unit"])
    merged[ENDS[0]] = texts
    return merged.rename(columns={ENDS[0]: "estimate [95 %]"})


def by_quantity(view: View) -> list[tuple[str, pd.DataFrame, np.ndarray]]:
    """Split a table into parts of one quantity each: its name and unit, the table, its best cells.

    One of which every column shows another quantity stays whole, as does a computed one.
    """
    table, numbers = view.table, view.numbers
    several = isinstance(table, Table) and not numbers.empty and (len(table.measures) > 1)
    if not isinstance(table, Table) or not several or not (table.column_keys or any(m.line for m in table.measures)):
        return [("", view.text, view.marked)]
    parts = []
    for name in dict.fromkeys(measure.line or measure.label for measure in table.measures):
        mine = tuple(m for m in table.measures if name == (m.line or m.label))
        some = numbers[numbers["measure"].isin([m.label for m in mine])]
        some = some[some[table.lines] == mine[0].line].assign(**{table.lines: ""})
        alone = tuple(replace(measure, line="") for measure in mine)
        if some.empty:
            continue
        text, marked = wide(some, replace(table, measures=alone))
        title = name
        if len(alone) == 1:
            said, measured = alone[0].label, alone[0].title
            text = text.set_axis([str(head).removeprefix(f"{said}, ") for head in text], axis=1)
            title = measured if name == said else f"{name}, {said}"
        parts.append((title, text, marked))
    return parts


def wide(summary: pd.DataFrame, table: Table) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the table as people read it, and which of its cells are marked.

    Cells: the mean with its interval, and where not every planned seed has a value how many have, and what has become
    of the others. The chance level stands in a last line, or beside the rows where it differs between them; so do
    parameters.
    """
    if summary.empty:
        return pd.DataFrame({"runs": ["none yet"]}), np.zeros((1, 1), dtype=bool)
    measures = {measure.label: measure for measure in table.measures}
    columns = _sorted_keys(summary, table.column_keys)
    heads = {(label, column): head_of(label, table.column_keys, column) for label in measures for column in columns}
    by_row = summary.groupby(table.row_keys, sort=False, dropna=False)["chance"].nunique().max() <= 1
    beside = by_row and len(summary["chance"].dropna().unique()) > 1
    sized = len(summary["parameters"].dropna().unique()) > 1
    keys, lines, marks = heads_of(table.row_keys), [], []
    for key, group in summary.groupby([*table.row_keys, table.lines], sort=False, dropna=False):
        line = {head: _key(value) for head, value in zip(keys.values(), key, strict=False)}
        if sized:
            line["parameters"] = ", ".join(f"{int(p):,}" for p in sorted(group["parameters"].dropna().unique()))
        if beside:
            line["chance"] = _chance_beside(group, measures)
        if key[-1]:
            line[table.lines] = str(key[-1])
        cells = {
            (cell["measure"], tuple(plain(cell[k]) for k in table.column_keys)): cell
            for cell in group.to_dict("records")
        }
        best = set()
        for (label, column), head in heads.items():
            cell = cells.get((label, tuple(map(plain, column))))
            line[head] = "" if cell is None else _cell(cell, measures[label])
            if cell is not None and cell["marked"]:
                best.add(head)
        lines.append(line)
        marks.append(best)
    if not beside and summary["chance"].notna().any():
        lines.append(_chance_below(summary, table, heads, measures))
        marks.append(set())
    text = pd.DataFrame(lines).fillna("")
    return text, np.array([[head in best for head in text] for best in marks])


def _key(value: Any) -> str:
    """Return a key of a row as people read it."""
    parted = isinstance(value, int | np.integer) and value >= LEAST_PARTED
    return f"{value:,}" if parted else display_name(plain(value))


def _chance_beside(group: pd.DataFrame, measures: Mapping[str, Measure]) -> str:
    """Return the chance level of a row with its unit, which depends on the metric of the row's task."""
    known = group.dropna(subset=["chance"])
    if known.empty:
        return ""
    measure = measures[str(known["measure"].iloc[0])]
    level = _level(only(known["chance"]), measure)
    return f"{level} %" if measure.scale == 100 else f"{measure.metric.rpartition('/')[2]} {level}"


def _chance_below(
    summary: pd.DataFrame, table: Table, heads: Mapping[tuple[str, Key], str], measures: Mapping[str, Measure]
) -> dict[str, str]:
    row = {next(iter(heads_of(table.row_keys).values())): "chance"}
    for (label, column), head in heads.items():
        mask = summary["measure"] == label
        for key, value in zip(table.column_keys, column, strict=True):
            mask &= summary[key].map(plain) == plain(value)
        row[head] = _level(only(summary.loc[mask, "chance"]), measures[label])
    return row


def _notes(summary: pd.DataFrame, table: Table, bold: bool) -> str:
    """Explain the marks, if there are any, and where n is too small for a test."""
    if summary.empty or not any(measure.best for measure in table.measures):
        return ""
    kinds = sorted(set(summary["test"]) - {"", TOO_SMALL, "no pair differs"})
    note = f"Bold: better than every other in its column, {' or '.join(kinds)}, p < 0.05 after Holm's correction."
    few = "In some columns too few seeds differ for a test." if kinds else f"No best is marked: {TOO_SMALL}."
    return " ".join([note] * bold + [few] * (TOO_SMALL in set(summary["test"])))


def _sorted_keys(summary: pd.DataFrame, keys: Sequence[str]) -> list[Key]:
    if not keys:
        return [()]
    distinct = in_order(summary[list(keys)].drop_duplicates(), keys)
    return list(distinct.itertuples(index=False, name=None))


def heads_of(keys: Sequence[str]) -> dict[str, str]:
    """Return what people read above keys of rows; those that would read alike keep their names."""
    labels = {key: axis_label(key) for key in keys}
    return {key: label if [*labels.values()].count(label) == 1 else key for key, label in labels.items()}


def head_of(label: str, keys: Iterable[str], values: Iterable[Any]) -> str:
    """Return the heading of the column for a group's measure."""
    return ", ".join([label, *(setting_name(key, plain(value)) for key, value in zip(keys, values, strict=True))])


def _cell(cell: Mapping[Any, Any], measure: Measure) -> str:
    lost = [f"{cell[f'n_{status}']} {status}" for status in COUNTED if cell[f"n_{status}"]]
    if cell["n_valid"] == 0:
        return f"– ({', '.join(lost)})" if lost else "–"
    counted = ", ".join([f"{cell['n_valid']}/{cell['n']}", *lost]) if lost or cell["n_valid"] != cell["n"] else ""
    form = f",.{measure.digits}f"
    text = with_interval(cell["mean"], cell["ci95_low"], cell["ci95_high"], form, measure.limits)
    return f"{text} ({counted})" if counted else text


def _level(chance: float, measure: Measure) -> str:
    return "" if math.isnan(chance) else number(chance * measure.scale, f".{measure.digits}f")


def _significant(value: Any, digits: int) -> str:
    if isinstance(value, float | np.floating):
        whole = LEAST_PARTED <= abs(float(value)) < MOST_PARTED
        return "–" if math.isnan(value) else number(float(value), ",.0f" if whole else f".{digits}g")
    return f"{value:,}" if isinstance(value, int | np.integer) and value >= LEAST_PARTED else plain(value)
