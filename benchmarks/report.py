"""The figures as a table in the terminal and as CSV; with the page and its picture they are written together."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.budgets import BUDGETS
from benchmarks.measure import Row
from benchmarks.page import Part, interval, number, page
from benchmarks.picture import draw
from gradreach.system.files import write_text

COLUMNS = ("what", "case", "value", "unit", "low", "high", "wall", "rounds", "landed", "sign", "budget", "verdict")


def show(rows: Sequence[Row]) -> None:
    """Print what has a budget, and then the rest."""
    names = ("what", "case", "median", "range", "by the clock", "budget", "")
    table = Table(*names, title="What gradreach costs", title_justify="left", title_style="bold")
    colours = {"met": "green", "missed": "bold red", "": ""}
    for row in sorted(rows, key=lambda row: not row.verdict):
        budget = BUDGETS.get((row.what, row.case))
        bound = "" if budget is None else f"{budget.sign} {budget.bound:g}"
        verdict = f"[{colours[row.verdict]}]{row.verdict}" if row.verdict else ""
        wall = number(row.wall, row.unit)
        table.add_row(row.what, row.case, number(row.value, row.unit), interval(row), wall, bound, verdict)
    Console(highlight=False, width=None if Console().is_terminal else 160).print(table)


def read(folder: Path) -> dict[str, Part]:
    """Return what ``write`` wrote, by part; nothing where there is no such file."""
    parts: dict[str, Part] = {}
    if not (folder / "speed.csv").is_file():
        return parts
    with (folder / "speed.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if "rounds" not in line:  # written by another edition
                return {}
            low, high, wall = (float(line[name]) if line[name] else None for name in ("low", "high", "wall"))
            value, rounds = float(line["value"]), int(line["rounds"])
            row = Row(line["what"], line["case"], value, line["unit"], low, high, wall, rounds, line["note"])
            parts.setdefault(line["part"], Part([], line["measured"])).rows.append(row)
    return parts


def write(parts: Mapping[str, Part], folder: Path, quick: bool = False) -> None:
    """Write ``speed.csv``, ``speed.md`` and the picture."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["part", *COLUMNS, "note", "measured"])
    for name, part in parts.items():
        for row in part.rows:
            figures = ["" if value is None else round(value, 5) for value in (row.low, row.high, row.wall)]
            budget = BUDGETS.get((row.what, row.case))
            bound = ["", "", ""] if budget is None else [budget.landed, budget.sign, budget.bound]
            front = [name, row.what, row.case, round(row.value, 5), row.unit, *figures, row.rounds]
            writer.writerow([*front, *bound, row.verdict, row.note, part.measured])
    write_text(folder / "speed.csv", text.getvalue())
    rows = [row for part in parts.values() for row in part.rows]
    drawn = draw(rows, folder / "speed")
    write_text(folder / "speed.md", "\n\n".join(page(parts, drawn, quick)) + "\n")
