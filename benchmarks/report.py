"""The figures as a table in the terminal, as CSV and as Markdown."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.measure import AT_MOST, Row
from gradreach.system.files import write_text
from gradreach.system.provenance import host, revision, versions


class Part(NamedTuple):
    """What was measured in one go, and when: the day, the revision, the load average of the five minutes before."""

    rows: list[Row]
    measured: str

    @classmethod
    def now(cls, rows: list[Row]) -> "Part":
        """Return rows that were measured just now."""
        load = os.getloadavg()[1] if hasattr(os, "getloadavg") else float("nan")
        return cls(rows, f"{datetime.now(UTC):%Y-%m-%d} at revision {revision()}, load {load:.1f}")


COLUMNS = ("what", "case", "median", "range", "budget", "verdict", "note")
READING = (
    "A ratio compares what was timed in turn, A B A B, in the same process or from the same cold start: the median of "
    "the ratios of the rounds, and their range. *All on*: gradient diagnostics and W&B offline, which are the "
    "defaults. The loop written by hand is `benchmarks/loop.py`; it and the runs come to the same validation loss "
    "after the first epoch, which is checked. Data are read, every epoch is validated, the best one is kept and "
    "tested in both. A verdict is *undecided* where the range spans the budget: the machine was not quiet enough. The "
    "default run is short: by hand it takes a second or two, and start and end of a run cost a fifth to a third of one "
    "however long it is, so it misses the budget that runs as long as those of a study (small, medium) meet; the "
    "profile says where that time goes."
)


def cells(row: Row) -> tuple[str, ...]:
    """Return a row as people read it, in the order of ``COLUMNS``."""
    span = "" if row.low is None or row.high is None else f"{_number(row.low)} – {_number(row.high)}"
    budget = "" if row.budget is None else f"{row.sign} {row.budget:g} {row.unit}"
    return (row.what, row.case, f"{_number(row.value)} {row.unit}", span, budget, row.verdict, row.note)


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(*COLUMNS[:-1], title="What gradreach costs", title_justify="left", title_style="bold")
    colours = {"met": "green", "undecided": "yellow", "missed": "bold red", "": ""}
    for row in rows:
        *front, verdict, _ = cells(row)
        table.add_row(*front, f"[{colours[verdict]}]{verdict}" if verdict else "")
    Console(highlight=False, width=None if Console().is_terminal else 140).print(table)


def read(folder: Path) -> dict[str, Part]:
    """Return what ``write`` wrote, by part; nothing where there is no such file."""
    parts: dict[str, Part] = {}
    if not (folder / "speed.csv").is_file():
        return parts
    with (folder / "speed.csv").open(newline="") as file:
        for line in csv.DictReader(file):
            low, high, budget = (float(line[name]) if line[name] else None for name in ("low", "high", "budget"))
            row = Row(
                line["what"],
                line["case"],
                float(line["value"]),
                line["unit"],
                low,
                high,
                budget,
                line["sign"] or AT_MOST,
                line["note"],
            )
            parts.setdefault(line["part"], Part([], line["measured"])).rows.append(row)
    return parts


def write(parts: Mapping[str, Part], folder: Path) -> None:
    """Write ``speed.csv`` and ``speed.md``, with what machine and which versions they hold for."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["part", "what", "case", "value", "unit", "low", "high", "sign", "budget", "verdict", "note", "measured"]
    )
    for name, part in parts.items():
        for row in part.rows:
            figures = [None if number is None else round(number, 4) for number in (row.low, row.high)]
            bound = ["" if row.budget is None else row.sign, row.budget]
            front = [name, row.what, row.case, round(row.value, 4), row.unit]
            writer.writerow([*front, *figures, *bound, row.verdict, row.note, part.measured])
    write_text(folder / "speed.csv", text.getvalue())

    machine = host()
    state = (
        f"Measured on {os.cpu_count()} cores of {machine['cpu']}, Python {versions()['python']}, "
        f"torch {torch.__version__} (a load average above the number of cores: others were at work):"
    )
    when = "\n".join(f"- {name}: {part.measured}" for name, part in parts.items())
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for part in parts.values() for row in part.rows]
    page = [
        "# What gradreach costs",
        READING,
        "\n".join(lines),
        state,
        when,
        "Made by `make bench`; as data: [speed.csv](speed.csv).",
    ]
    write_text(folder / "speed.md", "\n\n".join(page) + "\n")


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
