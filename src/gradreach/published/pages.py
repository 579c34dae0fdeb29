"""A paper of the ledger as files: ``results/published/<name>/README.md``, ``cells.csv`` and ``runs.csv``."""

import math
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path

import pandas as pd

from gradreach.analysis.tables.formats import markdown, without_tags
from gradreach.config.published import Cell, Paper
from gradreach.published.cells import Found
from gradreach.published.costs import LEGEND, cost_text
from gradreach.published.draws import draws_of
from gradreach.published.outcomes import Outcome
from gradreach.published.papers import FIRST_SEED
from gradreach.rounding import in_short, number
from gradreach.run_table.columns import csv
from gradreach.run_table.committed import RUNS, run_table, stored_cells
from gradreach.run_table.seal import sealed

NONE_YET = "None of its cells can be run yet."


def files(found: Found, results_dir: Path) -> dict[str, str]:
    """Return the files of a paper that are made from its records, by name."""
    made = {"README.md": page(found), "cells.csv": csv(cells_frame(found))}
    path = run_table(results_dir / "published", found.redone.name)
    if found.runs is not None:
        once = {name: cell for name, cell in stored_cells(path).items() if name != "rule"}
        code = found.runs if not found.runs["code"].isna().all() else found.runs.drop(columns="code")
        made[RUNS] = sealed(code, once)
    return made


def cells_frame(found: Found) -> pd.DataFrame:
    """Return one row a cell, as ``cells.csv`` has it: numbers in the unit of what is published, six digits of ours.

    ``widest`` is the largest half-width of an interval of which "within" is said.
    """
    rows = []
    for name, outcome in found.outcomes.items():
        cell = found.redone.paper.cells[name]
        ours = {key: _six(getattr(outcome, key)) for key in ("ours", "low", "high")}
        rows.append(
            {"paper": found.redone.name, "cell": name, "published": str(cell.published), "spread": cell.spread}
            | ours
            | {"widest": _six(cell.allowed), "n": outcome.n, "outcome": outcome.words}
        )
    return pd.DataFrame(rows).astype({"spread": float})


def _six(value: float) -> float:
    return float(f"{value:.6g}")


def page(found: Found) -> str:
    """Return the page of a paper, in Markdown."""
    paper = found.redone.paper
    links = [f"[{paper.source.removeprefix('https://')}]({address(paper.source)})"]
    links += [f"code: {paper.code}"] if paper.code else []
    parts = [
        f"# {paper.title}",
        f"{paper.authors}, {paper.year}; {'; '.join(links)}. The numbers: {paper.where}.",
        markdown(table(found)).rstrip(),
        "Ours: the mean over n seeds, [where the published number should lie if it is of the same kind]. What the "
        f"outcomes mean: [all papers](../README.md). {_narrower(paper)}{LEGEND}",
        _redo(found),
    ]
    if paper.files:
        parts.append("\n".join(["Data that you get yourself, below `data_dir`:", "", *_files(paper)]))
    if told := _differences(paper):
        parts.append("\n".join(["## What differs from theirs", "", *told]))
    if paper.trials:
        parts += ["## What was tried", markdown(trials(found)).rstrip()]
    if paper.notes:
        parts.append("\n".join(["## Notes", "", *(f"- {note}" for note in paper.notes)]))
    if len(computed := _computed(found)):
        parts += ["## All that was computed", "Mean and standard deviation over draws.", markdown(computed).rstrip()]
    return "\n\n".join(without_tags(part) if part.lstrip()[:1] != "|" else part for part in parts) + "\n"


def _narrower(paper: Paper) -> str:
    """Return how narrow intervals must be where that is less than usual."""
    own = {name: cell for name, cell in paper.cells.items() if cell.planned and cell.allowed < cell.usual}
    if not own:
        return ""
    told = ", ".join(f"`{name}` ± {in_short(cell.allowed, '.3g')}" for name, cell in own.items())
    return f"Of these cells an interval must be narrower than usual to be called *within*: {told}. "


def address(source: str) -> str:
    """Return where a source can be read.

    >>> address("arXiv:1803.01271"), address("doi:10.1007/BF01608556")
    ('https://arxiv.org/abs/1803.01271', 'https://doi.org/10.1007/BF01608556')
    """
    return source.replace("arXiv:", "https://arxiv.org/abs/").replace("doi:", "https://doi.org/")


def table(found: Found) -> pd.DataFrame:
    """Return the cells of a paper as people read them."""
    rows = []
    for name, outcome in found.outcomes.items():
        cell = found.redone.paper.cells[name]
        rows.append(
            {
                "cell": name,
                "data": cell.dataset,
                "model": cell.model,
                "published": published_text(cell),
                "ours": ours_text(cell, outcome),
                "n": str(outcome.n or ""),
                "outcome": outcome.words,
                "core-minutes": cost_text(found, name),
            }
        )
    return pd.DataFrame(rows)


def trials(found: Found) -> pd.DataFrame:
    """Return what was tried to explain misses, as people read it: the published number beside each trial."""
    rows, cells = [], found.redone.paper.tried
    for name, outcome in found.trials.items():
        trial, cell = found.redone.paper.trials[name], cells[name]
        rows.append(
            {
                "cell": trial.cell,
                "tried": trial.tried,
                "published": published_text(cell),
                "ours then": ours_text(cell, outcome),
                "n": str(outcome.n or ""),
                "outcome": outcome.words,
                "core-minutes": cost_text(found, name),
            }
        )
    return pd.DataFrame(rows)


def published_text(cell: Cell) -> str:
    """Return a published number with its published details.

    >>> published_text(Cell(dataset="x", model="y", metric="z", published=92.7, spread=1.1, n=10, unit="%"))
    '92.7 ± 1.1 % (n = 10)'
    """
    spread = f" ± {number(cell.spread)}" if cell.spread is not None else ""
    unit = f" {cell.unit}" if cell.unit else ""
    n = cell.n or len(cell.runs)
    printed = f"{int(cell.published):,}" if str(cell.published).isdigit() else cell.published
    return f"{printed}{spread}{unit}{f' (n = {n})' if n else ''}".replace("-", "−")


def ours_text(cell: Cell, outcome: Outcome) -> str:
    """Return our mean and its interval, to one digit more than is published; of accuracies it ends where they do.

    Thousands are whole numbers.
    """
    if math.isnan(outcome.ours):
        return ""
    bounds = (outcome.low, outcome.high)
    if cell.is_accuracy:
        bounds = (max(outcome.low, cell.ours(0)), min(outcome.high, cell.ours(1)))
    low, mean, high = (_like(cell, value) for value in (bounds[0], outcome.ours, bounds[1]))
    return mean if math.isnan(outcome.low) or outcome.low == outcome.high else f"{mean} [{low}, {high}]"


def _like(cell: Cell, value: float) -> str:
    if 0 < abs(value) < 1e-3:
        return number(value, f".{len(Decimal(cell.published).as_tuple().digits) + 1}g")
    digits = max(0, -round(math.log10(2 * cell.half_digit)))
    return in_short(value, f".{min(digits + 1, 10)}f")


def cheapest_of(found: Found, asked: Collection[str] | None = None) -> str | None:
    """Return the cheapest cell not yet run, of all or of some, or if none is left of all; None if none can be run."""
    cells = found.redone.paper.cells
    planned = [name for name in cells if cells[name].planned and (asked is None or name in asked)]
    left = [name for name in planned if found.outcomes[name].kind == "not run"] or planned
    return min(left, key=lambda name: cells[name].minutes or 0.0, default=None)


def _redo(found: Found) -> str:
    name = found.redone.name
    if (cheapest := cheapest_of(found)) is None:
        return NONE_YET
    lines = [f"One cell: `gradreach reproduce {name} --cells {cheapest}`; what each costs: `--list`."]
    if found.redone.paper.trains:
        lines.append(f"All that is trained: `python run.py -m published={name}`.")
    if found.redone.computed():
        lines.append(f"What is computed has seeds from {FIRST_SEED} on; `--force` draws again.")
    return " ".join(lines)


def _files(paper: Paper) -> list[str]:
    return [f"- `{path}`: {origin}" for path, origin in paper.files.items()]


def _differences(paper: Paper) -> list[str]:
    """Return deviations from the protocol: of all cells first, then of groups of cells that share one."""
    own: dict[str, list[str]] = {}
    for name, cell in paper.cells.items():
        for each in cell.deviations:
            own.setdefault(each, []).append(name)
    return [f"- {each}" for each in paper.deviations] + [
        f"- {', '.join(f'`{name}`' for name in names)}: {each}" for each, names in own.items()
    ]


def _computed(found: Found) -> pd.DataFrame:
    rows = []
    for part in found.redone.computed():
        table = draws_of(found.redone, found.draws, part)
        for quantity in table:
            held = table[quantity].astype(float)
            spread = number(float(held.std()), ".3g") if len(held) > 1 else ""
            rows.append(
                {
                    "part": part,
                    "quantity": str(quantity),
                    "mean": in_short(float(held.mean()), ".5g"),
                    "sd": spread,
                    "n": str(held.notna().sum()),
                }
            )
    return pd.DataFrame(rows)
