"""What the page says of one experiment, ready for the template."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradreach.analysis.column_words import CLASS_SCORES
from gradreach.analysis.naming import plain
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.report.svg import inline_svg
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.tables.aggregation import COUNTED
from gradreach.analysis.tables.layout import View, head_of
from gradreach.analysis.tables.specification import Table
from gradreach.rounding import number
from gradreach.run_table.lengths import AT_LENGTH

STATES = ("finished", "diverged", "failed", "interrupted", "running", "missing")
AXES = ("task", "model", "seq_len", "kernel_size", "seed")
GROUPS = ("task.", "model.", "optimizer.", "trainer.")
TWICE = (".name", "._target_", ".seq_len", ".kernel_size")
"""Settings that the axes tell already."""
TOLD = ("task", "optimizer.name", "optimizer.lr", "trainer.epochs", "trainer.batch_size")
"""Settings that are told even where they do not vary."""
FACTS = ("parameters", "multiply_adds", "best_epoch", "seconds", "revision", "host")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it shows, what it sorts by, what it rests on."""

    text: str
    key: str
    tip: str = ""
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of the page."""

    heading: str
    caption: str
    reading: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Section:
    """What the page says of one experiment; it holds no more of the results than it shows.

    - ``name``, ``study``, ``verdict``, ``state``, ``caveats``, ``rule``, ``answer``: as of what was built.
    - ``counts``: how many runs are in which state; those that do not occur are left out.
    - ``seconds``: what the runs took together.
    - ``revisions``: of the program that made them.
    - ``method``: what was swept and what was held fixed, by setting.
    - ``grids``: its tables.
    - ``figures``: heading, picture as SVG, and caption.
    - ``runs``: what all its numbers rest on.
    """

    name: str
    study: Study
    verdict: Verdict | None
    state: str
    caveats: tuple[str, ...]
    rule: str
    answer: str
    counts: dict[str, int]
    seconds: float
    revisions: list[str]
    method: dict[str, str]
    grids: list[Grid]
    figures: list[tuple[str, str, str]]
    runs: Grid


def section_of(built: Built) -> Section:
    """Return what the page says of an experiment."""
    runs = built.results.runs
    states = runs["status"].value_counts()
    figures = []
    for name, caption in built.captions.items():
        title = heading(name)
        figures.append((title, inline_svg(built.pictures[name], f"{built.name}-{name}", title), caption))
    return Section(
        built.name,
        built.study,
        built.verdict,
        built.state,
        built.caveats,
        built.rule,
        built.answer,
        {state: int(states[state]) for state in STATES if state in states},
        float(runs["seconds"].sum()) if "seconds" in runs else 0.0,
        distinct(runs, "revision"),
        method(runs),
        [as_grid(view) for view in built.views],
        figures,
        every_run(runs),
    )


def method(runs: pd.DataFrame) -> dict[str, str]:
    """Return what was swept, then what was held fixed, in the words of the configuration."""
    swept, fixed = {}, {}
    for column in map(str, runs):
        values = distinct(runs, column) if column in AXES or column.startswith(GROUPS) else []
        if len(values) > 1 and not column.endswith(TWICE):
            swept[column] = ", ".join(values)
        elif values and column in TOLD:
            fixed[column] = values[0]
    sizes = runs["parameters"].dropna() if "parameters" in runs else pd.Series(dtype=float)
    if len(sizes):
        low, high = int(sizes.min()), int(sizes.max())
        fixed["parameters"] = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return swept | fixed


def every_run(runs: pd.DataFrame) -> Grid:
    """Return the run table, as far as people read it: scores that count classes alike are there for who asks."""
    metrics = [str(c) for c in runs if str(c).startswith("test/") and not AT_LENGTH.fullmatch(str(c))]
    metrics = [each for each in metrics if each.partition("/")[2] not in CLASS_SCORES]
    wanted = ["run_id", "status", *AXES, *metrics, *FACTS]
    columns = [column for column in wanted if column in runs and runs[column].notna().any()]
    rows = [[Cell(shown(row[c]), sort_key(row[c])) for c in columns] for row in runs[columns].to_dict("records")]
    return Grid("Runs", "", "", columns, rows)


def coverage(sections: Sequence[Section]) -> Grid:
    """Return how much of every experiment there is, and what it cost."""
    states = [state for state in STATES if any(state in section.counts for section in sections)]
    rows = []
    for section in sections:
        values: list[Any] = [section.name, sum(section.counts.values())]
        values += [section.counts.get(state, 0) for state in states]
        values += [round(section.seconds), ", ".join(section.revisions)]
        rows.append([Cell(shown(value), sort_key(value)) for value in values])
    columns = ["experiment", "planned", *states, "seconds", "revision"]
    return Grid("Coverage and cost", "", "", columns, rows)


def as_grid(view: View) -> Grid:
    """Return a table whose cells know the runs that they rest on."""
    table, columns = view.table, [str(name) for name in view.text]
    tips = tips_of(view) if isinstance(view.table, Table) else {}
    rows = []
    for i, (texts, marks) in enumerate(zip(view.text.to_numpy(), view.marked, strict=True)):
        rows.append(
            [
                Cell(str(text), sort_key(str(text)), tips.get((i, column), ""), bool(mark))
                for column, text, mark in zip(columns, texts, marks, strict=True)
            ]
        )
    reading = " ".join(filter(None, (table.reading, view.notes)))
    return Grid(heading(table.name), table.caption, reading, columns, rows)


def tips_of(view: View) -> dict[tuple[int, str], str]:
    """Return what every cell rests on, by its line and its column."""
    table, tips = view.table, {}
    assert isinstance(table, Table)
    if view.numbers.empty:
        return {}
    lines = view.numbers.groupby([*table.row_keys, table.lines], sort=False, dropna=False)
    for i, (_, group) in enumerate(lines):
        for cell in group.to_dict("records"):
            column = head_of(cell["measure"], table.column_keys, [cell[key] for key in table.column_keys])
            tips[i, column] = told(cell)
    return tips


def told(cell: Mapping[Any, Any]) -> str:
    """Say what a cell rests on: mean, sd, interval, counts, run ids."""
    mean, low, high = (number(cell[key], ".5g") for key in ("mean", "ci95_low", "ci95_high"))
    parts = [f"mean {mean}" if math.isfinite(cell["mean"]) else "no value"]
    if math.isfinite(cell["sd"]):
        parts.append(f"sd {number(cell['sd'], '.3g')}")
        parts.append(f"95 % interval {low} to {high}")
    parts.append(f"{cell['n_valid']} values of {cell['n_finished']} finished runs of {cell['n']} planned")
    parts += [f"{cell[f'n_{status}']} {status}" for status in COUNTED if cell[f"n_{status}"]]
    return ", ".join(parts) + (f"; runs {cell['run_ids']}" if cell["run_ids"] else "")


def sort_key(value: Any) -> str:
    """Return what a column is sorted by: the number that a text begins with, else the text; nothing for a dash."""
    text = shown(value)
    found = re.match(r"−?[\d,]*\.?\d+(e[−+]?\d+)?(?![\w.])", text)
    if found:
        return found[0].replace(",", "").replace("−", "-")
    return "" if text.startswith("–") else text


def shown(value: Any) -> str:
    """Return a value of the run table as people read it."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    return number(value, ".4g") if isinstance(value, float) else plain(value)


def distinct(runs: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column, in order."""
    if column not in runs:
        return []
    values = runs[column].dropna().unique()
    return [shown(value) for value in (sorted(values) if len({type(v) for v in values}) == 1 else values)]


def heading(name: str) -> str:
    """Return the name of a file as a heading."""
    return name.replace("_", " ").capitalize()
