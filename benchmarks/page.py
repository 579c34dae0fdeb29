"""The page that people read: the answer first, then the picture, the budgets, how cost grows, and all else."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import torch

from benchmarks.budgets import BUDGETS, FINISHED, RUN, STEP, SWEEP, flushed
from benchmarks.growth import DENORMALS, GROWTH
from benchmarks.measure import Row
from benchmarks.picture import LINES
from gradreach.system.provenance import host, revision, versions


class Part(NamedTuple):
    """What was measured in one go, and when: the day, the commit, the load average of the five minutes before."""

    rows: list[Row]
    measured: str

    @classmethod
    def now(cls, rows: list[Row]) -> "Part":
        """Return rows that were measured just now."""
        load = os.getloadavg()[1] if hasattr(os, "getloadavg") else float("nan")
        return cls(rows, f"{datetime.now(UTC):%Y-%m-%d}, commit {revision()}, load {load:.1f}")


def number(value: float | None, unit: str = "") -> str:
    """Return a figure as people read it; nothing for none.

    >>> number(0.31415, "×"), number(3994.2, "MiB"), number(None)
    ('0.314 ×', '3,994 MiB', '')
    """
    if value is None:
        return ""
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 100 else f"{value:.3g} {unit}".strip()


def interval(row: Row) -> str:
    """Return between which values a median lies."""
    return "" if row.low is None or row.rounds == 1 else f"{number(row.low)} – {number(row.high)}"


def page(parts: Mapping[str, Part], drawn: bool, quick: bool = False) -> list[str]:
    """Return the page, paragraph by paragraph: answer, picture, budgets, growth, how it was measured, all else."""
    rows = [row for part in parts.values() for row in part.rows]
    known = {(row.what, row.case): row for row in rows}
    machine = host()
    when = "\n".join(f"- {name}: {part.measured}" for name, part in parts.items())
    rest = [row for row in rows if not row.verdict and row.what != FINISHED and not row.what.startswith(GROWTH)]
    return [
        "# What gradreach costs",
        *(["**Made with `--quick`: these figures say that the benchmark works, and nothing else.**"] if quick else []),
        *answer(known),
        *([PICTURE] if drawn else []),
        "## Budgets",
        BUDGETS_READING,
        table(BUDGET_COLUMNS, budget_lines(known)),
        *growth_section(rows),
        "## How it was measured",
        HOW,
        f"Measured on {os.cpu_count()} cores of {machine['cpu']}, Python {versions()['python']}, torch "
        f"{torch.__version__}. A load average above the number of cores means that others were at work:",
        when,
        "<details><summary>All other figures</summary>",
        table(REST_COLUMNS, [rest_line(row) for row in rest]),
        "</details>",
        "Made by `make bench`; as data: [speed.csv](speed.csv).",
    ]


def answer(known: Mapping[tuple[str, str], Row]) -> list[str]:
    """Return what a stranger wants to know, in a few sentences; only what was measured is said."""

    def told(what: str, case: str) -> str:
        return f"**{number(known[what, case].value, known[what, case].unit)}**"

    def has(*keys: tuple[str, str]) -> bool:
        return all(key in known for key in keys)

    said = []
    against = flushed(STEP)
    if has(*((what, f"{model}, T = 200") for what in (STEP, against) for model in ("gru", "rnn", "lstm"))):
        gru, rnn, lstm = (told(against, f"{model}, T = 200") for model in ("gru", "rnn", "lstm"))
        stock = [told(STEP, f"{model}, T = 200") for model in ("gru", "rnn", "lstm")]
        said.append(
            "A training step over 200 time steps, compared with a PyTorch loop written by hand that flushes denormal "
            f"numbers: a GRU takes {gru} its time, an RNN {rnn}, an LSTM {lstm}. Compared with the same loop without "
            f"that one flag: {stock[0]}, {stock[1]} and {stock[2]}."
        )
    if has((DENORMALS, "a * b")):
        said.append(
            "How far the two comparisons are apart depends on the processor, since vanishing gradients are full of "
            f"denormal numbers: here a product with such numbers takes {told(DENORMALS, 'a * b')} the time of one "
            "without, on others many times."
        )
    if has(*((flushed(RUN), model) for model in ("gru", "rnn", "cnn", "lstm"))):
        figures = ", ".join(f"{model.upper()} {told(flushed(RUN), model)}" for model in ("gru", "rnn", "cnn", "lstm"))
        said.append(
            "A whole default run, with records, gradient diagnostics and W&B offline, against the bare loop with "
            f"flushing: {figures}."
        )
    if has((flushed(SWEEP), "24 default runs")):
        said.append(
            f"A sweep of 24 such runs on all cores does {told(flushed(SWEEP), '24 default runs')} what that loop does "
            "in sequence."
        )
    verdicts = [known[key].verdict for key in BUDGETS if key in known]
    if verdicts:
        said.append(f"{verdicts.count('met')} of {len(verdicts)} budgets are met.")
    return [" ".join(said)] if said else []


PICTURE = (
    "![milliseconds of a training step against the length of the sequence](speed.png)\n\n"
    "*A training step of a GRU (width 32, batches of 64, recall) against the length of the sequence, both axes "
    "logarithmic. From the first line to the second denormal numbers are flushed; from the second to the third the "
    "harness comes in (Lightning, figures, kept memory); from the third to the fourth its compiled kernels. Where "
    "lines lie on each other, that step costs or gains nothing on this processor.*"
)
REST_COLUMNS = ("what", "case", "median", "range", "by the clock", "rounds", "note")
BUDGET_COLUMNS = ("what", "case", "landed", "budget", "reached", "range", "by the clock", "loop with flushing", "")
BUDGETS_READING = (
    "*The loop* is `benchmarks/loop.py`, PyTorch as anybody writes it; the last column but one is the same ratio "
    "against it *with* flushing, which is the fairer one. *Landed* is what the first edition measured, on a processor "
    "where denormal numbers are slow. *All on*: gradient diagnostics and W&B offline, the defaults."
)
HOW = (
    "Ratios compare what was timed in turn, A B A B: in warm processes, or each from a cold start. They are ratios of "
    "processor seconds, W&B's own process included, and beside them by the clock; sweeps on several cores go by the "
    "clock. The value is the median over rounds; the range says where the median of many more rounds lies, 19 times "
    "of 20 (of up to eight rounds: the smallest and the largest). While a range spans its budget more rounds are "
    "measured; what is still open after the last is decided *by the median*, and the row says so. Loop and runs do "
    "the same: their validation losses after the first epoch are compared. A step is an epoch, with its validation, "
    "divided by its steps. Of a sweep the loop does the first seeds, and the others are taken to last as long."
)


def rest_line(row: Row) -> tuple[str, ...]:
    """Return a row that has no budget."""
    median, wall = number(row.value, row.unit), number(row.wall, row.unit)
    return row.what, row.case, median, interval(row), wall, str(row.rounds), row.note


def budget_lines(known: Mapping[tuple[str, str], Row]) -> list[tuple[str, ...]]:
    """Return the rows that have a budget, in the order of the table of budgets."""
    lines: list[tuple[str, ...]] = []
    for (what, case), budget in BUDGETS.items():
        if (row := known.get((what, case))) is None:
            continue
        beside = known.get((flushed(what), case)) if flushed(what) != what else None
        reached = number(row.value, row.unit)
        verdict = f"**{row.verdict}**" if row.verdict == "missed" else row.verdict
        note = f"{verdict} ({row.note})" if row.note else verdict
        bound = f"{budget.sign} {number(budget.bound, row.unit)}"
        with_flushing = "" if beside is None else number(beside.value, beside.unit)
        wall = number(row.wall, row.unit)
        lines.append((what, case, budget.landed, bound, reached, interval(row), wall, with_flushing, note))
    return lines


def growth_section(rows: Sequence[Row]) -> list[str]:
    """Return how a step grows with length, width and batch, and a sweep that is done with the number of its runs."""
    found = {(row.what, row.case): row for row in rows if row.what.startswith(GROWTH)}
    again = [row for row in rows if row.what == FINISHED]
    section = []
    if found:
        cases = dict.fromkeys(case for _, case in found)
        shown = [name for name in LINES if any(what == f"{GROWTH}, {name}" for what, _ in found)]
        lines = [(case, *(number(found[f"{GROWTH}, {name}", case].value) for name in shown)) for case in cases]
        section.append(f"{GROWTH.capitalize()}; unless said otherwise T = 200, width 32, batches of 64.")
        section.append(table(("", *(LINES[name] for name in shown)), lines))
    if again:
        section.append("A sweep in which nothing is left to do, from its start to its end:")
        section.append(
            table(("", "CPU", "clock"), [(row.case, *map(_seconds, (row.value, row.wall))) for row in again])
        )
    return ["## Growth", *section] if section else []


def _seconds(value: float | None) -> str:
    return number(value, "s")


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rows = [list(columns), ["---"] * len(columns), *map(list, lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
