"""The report's section on one experiment, ready for the template."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradreach.analysis.naming import plain
from gradreach.analysis.pages.built import HERO, Built
from gradreach.analysis.pages.page import heading, parts_table, unmeasured
from gradreach.analysis.pages.report.svg import Drawing, inline_svg, ranges
from gradreach.analysis.pages.report.winners import Contest, contests, scores
from gradreach.analysis.pages.signs import SIGNS
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.tables.layout import View, head_of
from gradreach.analysis.tables.specification import Table
from gradreach.rounding import number
from gradreach.run_table.committed import RUNS
from gradreach.run_table.compressed import stored_at

STATES = ("finished", "diverged", "failed", "interrupted", "running", "missing")
AXES = ("task", "model", "seq_len", "kernel_size", "seed")
GROUPS = ("task.", "model.", "optimizer.", "trainer.")
TWICE = (".name", "._target_", ".seq_len", ".kernel_size")
"""Settings that the axes already show."""
TOLD = ("task", "optimizer.name", "optimizer.lr", "trainer.epochs", "trainer.batch_size")
"""Settings that are shown even if they do not vary."""
LETTERS = 8
"""Of a run's id that the page shows; more where these do not tell all runs apart."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it shows, what it tells besides, and the runs it rests on, by their numbers."""

    text: str
    tip: str = ""
    runs: str = ""
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table of the page.

    - ``name``: of its CSV file.
    - ``caption``, ``notes``: what it shows, and what has to be known of its tests and marks.
    - ``reading``: how tables of its kind are read.
    - ``columns``, ``rows``: its heads and cells.
    """

    name: str
    caption: str
    notes: str
    reading: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Picture:
    """A figure of the page; ``name`` is that of its PNG file."""

    name: str
    title: str
    caption: str
    drawing: Drawing


@dataclass(frozen=True)
class Parts:
    """How the parts of a claim came out.

    - ``heads``: of the columns behind the signs.
    - ``rows``: sign, state and cells of each part that has a number, or is arithmetic.
    - ``note``: of how many others there is none yet, and why.
    """

    heads: list[str]
    rows: list[tuple[str, str, list[str]]]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """What the page says of one experiment; it holds no more of the results than it shows.

    - ``name``, ``study``, ``verdict``, ``state``, ``caveats``, ``rule``, ``answer``: as of what was built.
    - ``parts``: how those of its claim came out.
    - ``counts``: how many runs are in which state; those that do not occur are left out.
    - ``seconds``: what the runs took together.
    - ``revisions``: the commits that made them.
    - ``method``: what was swept and what was held fixed, by setting.
    - ``grids``, ``pictures``: its tables and figures.
    - ``run_table``: the name of the file with all its runs.
    - ``runs``: the ids of its runs, as short as tells them apart; cells and points name runs by their place here.
    - ``contests``: tasks at which it compares several models.
    """

    name: str
    study: Study
    verdict: Verdict | None
    parts: Parts
    state: str
    caveats: tuple[str, ...]
    rule: str
    answer: str
    counts: dict[str, int]
    seconds: float
    revisions: list[str]
    method: dict[str, str]
    grids: list[Grid]
    pictures: list[Picture]
    run_table: str
    runs: list[str]
    contests: list[Contest]

    @property
    def readings(self) -> list[str]:
        """How its tables are read, each way once."""
        return list(dict.fromkeys(grid.reading for grid in self.grids if grid.reading))


def section_of(built: Built) -> Section:
    """Return the report's section on an experiment."""
    runs = built.results.runs
    states = runs["status"].value_counts()
    ids = list(dict.fromkeys(map(str, runs["run_id"])))
    numbers = {run_id: i for i, run_id in enumerate(ids)}
    pictures = [
        Picture(name, heading(name), caption, inline_svg(built.pictures[name], heading(name), numbers))
        for name, caption in built.captions.items()
    ]
    return Section(
        built.name,
        built.study,
        built.verdict,
        parts_of(built),
        built.state,
        built.caveats,
        built.rule,
        built.answer,
        {state: int(states[state]) for state in STATES if state in states},
        float(runs["seconds"].sum()) if "seconds" in runs else 0.0,
        distinct(runs, "revision"),
        method(runs),
        [as_grid(view, numbers) for view in built.views],
        sorted(pictures, key=lambda picture: picture.name != HERO),
        stored_at(built.folder / RUNS).name,
        shortened(ids),
        contests(built.name, built.study.of_chosen(built.results)) if scores(built.views) else [],
    )


def parts_of(built: Built) -> Parts:
    """Return what the experiment's own page says of the parts, with their signs for themselves."""
    table, states = parts_table(built), {sign: state for state, sign in SIGNS.items()}
    rows = []
    for named, *cells in table.itertuples(index=False):
        sign, _, name = str(named).partition(" ")
        rows.append((sign, states[sign], [name, *map(str, cells)]))
    return Parts([str(head) for head in table], rows, unmeasured(built))


def shortened(ids: Sequence[str]) -> list[str]:
    """Return the beginnings of ids, as long as tells them apart.

    >>> shortened(["0123456789ab", "0123456700cd"])
    ['012345678', '012345670']
    """
    letters = LETTERS
    while len({each[:letters] for each in ids}) < len(set(ids)):
        letters += 1
    return [each[:letters] for each in ids]


def method(runs: pd.DataFrame) -> dict[str, str]:
    """Return what was swept, then what was fixed, in the words of the configuration."""
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


def coverage(sections: Sequence[Section]) -> Grid:
    """Return how complete every experiment is, and its cost."""
    states = [state for state in STATES if any(state in section.counts for section in sections)]
    rows = []
    for section in sections:
        values: list[Any] = [section.name, sum(section.counts.values())]
        values += [section.counts.get(state, 0) for state in states]
        values += [round(section.seconds), ", ".join(section.revisions)]
        rows.append([Cell(shown(value)) for value in values])
    columns = ["experiment", "planned", *states, "seconds", "commit"]
    return Grid("", "", "", "", columns, rows)


def as_grid(view: View, numbers: Mapping[str, int]) -> Grid:
    """Return a table whose cells know the runs that they rest on."""
    table, columns = view.table, [str(name) for name in view.text]
    cells = grounds_of(view, numbers) if isinstance(view.table, Table) else {}
    rows = []
    for i, (texts, marks) in enumerate(zip(view.text.to_numpy(), view.marked, strict=True)):
        rows.append(
            [
                Cell(str(text), *cells.get((i, column), ("", "")), best=bool(mark))
                for column, text, mark in zip(columns, texts, marks, strict=True)
            ]
        )
    return Grid(table.name, table.caption, view.notes, table.reading, columns, rows)


def grounds_of(view: View, numbers: Mapping[str, int]) -> dict[tuple[int, str], tuple[str, str]]:
    """Return each cell's details and its runs, by row and column."""
    table, grounds = view.table, {}
    assert isinstance(table, Table)
    if view.numbers.empty:
        return {}
    lines = view.numbers.groupby([*table.row_keys, table.lines], sort=False, dropna=False)
    for i, (_, group) in enumerate(lines):
        for cell in group.to_dict("records"):
            column = head_of(cell["measure"], table.column_keys, [cell[key] for key in table.column_keys])
            grounds[i, column] = told(cell), ranges([numbers[each] for each in cell["run_ids"].split()])
    return grounds


def told(cell: Mapping[Any, Any]) -> str:
    """Describe what a cell does not show: more digits, and the spread of its runs."""
    parts = [f"mean {number(cell['mean'], '.5g')}"] if math.isfinite(cell["mean"]) else []
    return ", ".join(parts + [f"sd {number(cell['sd'], '.3g')}"] * math.isfinite(cell["sd"]))


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
