"""What the page says of one experiment, ready for the template."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradreach.analysis.build import Built
from gradreach.analysis.report.svg import inline_svg
from gradreach.analysis.tables import COUNTED, Table, View
from gradreach.analysis.tables import _head as head
from gradreach.analysis.verdict import Verdict

STATES = ("finished", "diverged", "failed", "interrupted", "running", "missing")
GROUPS = ("task.", "model.", "optimizer.", "trainer.")
IDENTITY = ("run_id", "status", "task", "model", "seq_len", "kernel_size", "seed")
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
    """An experiment, or what the page says of it."""

    built: Built
    verdict: Verdict | None

    @property
    def name(self) -> str:
        """Of the experiment."""
        return self.built.name

    @property
    def runs(self) -> pd.DataFrame:
        """Its run table."""
        return self.built.results.runs

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in which state; states that do not occur are left out."""
        found = self.runs["status"].value_counts()
        return {state: int(found[state]) for state in STATES if state in found}

    @property
    def seconds(self) -> float:
        """What its runs took together."""
        return float(self.runs["seconds"].sum()) if "seconds" in self.runs else 0.0

    @property
    def revisions(self) -> list[str]:
        """Of the program that made the runs."""
        return distinct(self.runs, "revision")

    def method(self) -> list[tuple[str, str]]:
        """Return what was swept and what was held fixed, in the words of the configuration."""
        swept, fixed = {}, {}
        for column in self.runs:
            if column in ("task", "model", "seq_len", "kernel_size", "seed") or str(column).startswith(GROUPS):
                values = distinct(self.runs, str(column))
                shown = ("task", "optimizer.name", "optimizer.lr", "trainer.epochs", "trainer.batch_size")
                if len(values) > 1 and not str(column).endswith((".name", "_target_", ".seq_len", ".kernel_size")):
                    swept[str(column)] = ", ".join(values)
                elif column in shown and values:
                    fixed[str(column)] = values[0]
        sizes = self.runs["parameters"].dropna() if "parameters" in self.runs else pd.Series(dtype=float)
        if len(sizes):
            fixed["parameters"] = spread(sizes.min(), sizes.max())
        return [*swept.items(), *fixed.items()]

    def grids(self) -> list[Grid]:
        """Return its tables."""
        return [as_grid(view) for view in self.built.views]

    def figures(self) -> list[tuple[str, str, str]]:
        """Return heading, picture as SVG, and caption of its figures."""
        return [
            (
                heading(figure.name),
                inline_svg(self.built.pictures[figure.name], f"{self.name}-{figure.name}", heading(figure.name)),
                figure.caption,
            )
            for figure in self.built.experiment.figures
        ]

    def every_run(self) -> Grid:
        """Return the runs that all numbers of the section rest on."""
        metrics = [str(c) for c in self.runs if str(c).startswith("test/") and self.runs[c].notna().any()]
        wanted = [*IDENTITY, *metrics, *FACTS]
        columns = [c for c in wanted if c in self.runs and self.runs[c].notna().any()]
        rows = [
            [Cell(shown(row[c]), sort_key(row[c])) for c in columns] for row in self.runs[columns].to_dict("records")
        ]
        return Grid("Runs", f"All {len(rows)} planned runs.", "", columns, rows)


def coverage(sections: Sequence[Section]) -> Grid:
    """Return how much of every experiment there is, and what it cost."""
    states = [state for state in STATES if any(state in section.counts for section in sections)]
    rows = []
    for section in sections:
        values = [section.name, len(section.runs), *(section.counts.get(state, 0) for state in states)]
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
            column = head(cell["measure"], table.column_keys, [cell[key] for key in table.column_keys])
            tips[i, column] = told(cell)
    return tips


def told(cell: Mapping[str, Any]) -> str:
    """Say what a cell rests on: mean, sd, interval, counts, run ids."""
    parts = [f"mean {cell['mean']:.5g}" if math.isfinite(cell["mean"]) else "no value"]
    if math.isfinite(cell["sd"]):
        parts.append(f"sd {cell['sd']:.3g}")
        parts.append(f"95 % interval {cell['ci95_low']:.5g} to {cell['ci95_high']:.5g}")
    parts.append(f"{cell['n_valid']} values of {cell['n_finished']} finished runs of {cell['n']} planned")
    parts += [f"{cell[f'n_{status}']} {status}" for status in COUNTED if cell[f"n_{status}"]]
    return ", ".join(parts) + (f"; runs {cell['run_ids']}" if cell["run_ids"] else "")


def sort_key(value: Any) -> str:
    """Return what a column is sorted by: the number that a text begins with, else the text; nothing for a dash."""
    text = shown(value)
    number = re.match(r"[-−]?[\d,]*\.?\d+(e[-+]?\d+)?(?![\w.])", text)
    if number:
        return number[0].replace(",", "").replace("−", "-")
    return "" if text.startswith("–") else text


def shown(value: Any) -> str:
    """Return a value of the run table as people read it."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def distinct(runs: pd.DataFrame, column: str) -> list[str]:
    """Return the values of a column, in order."""
    if column not in runs:
        return []
    values = runs[column].dropna().unique()
    return [shown(value) for value in (sorted(values) if len({type(v) for v in values}) == 1 else values)]


def spread(low: float, high: float) -> str:
    """Return a range of whole numbers."""
    return f"{int(low):,}" if low == high else f"{int(low):,} to {int(high):,}"


def heading(name: str) -> str:
    """Return the name of a file as a heading."""
    return name.replace("_", " ").capitalize()
