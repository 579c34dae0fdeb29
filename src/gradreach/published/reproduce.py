"""``gradreach reproduce``: runs or computes a paper's missing cells, and rebuilds the ledger."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from gradreach.compose import quoted
from gradreach.config.published import Cell
from gradreach.config.settings import RESERVED
from gradreach.errors import WHOLE_TRACES, ConfigError
from gradreach.published.cells import Found, find
from gradreach.published.draws import draw
from gradreach.published.overview import counts, overview
from gradreach.published.pages import NONE_YET, cheapest_of, files, table
from gradreach.published.papers import Redone, load, papers
from gradreach.rounding import number
from gradreach.run_table.committed import RESTORE
from gradreach.run_table.compressed import PACKED, read_table, stored_at, write_table
from gradreach.system.files import write_text

CONF = Path("conf")
KEPT = {"draws.csv"}
"""What stands beside a paper's page and is made by nothing else."""


def reproduce(
    name: str,
    cells: Sequence[str] | None,
    overrides: Sequence[str],
    results_dir: Path,
    conf_dir: Path,
    force: bool,
    tell: Callable[[str], None],
) -> tuple[Found, int]:
    """Run a paper's missing cells, or some of them, and rebuild its pages.

    Trained cells are the sweep ``python run.py -m published=<name>``, without the parts that are not needed.

    Args:
        name: of the paper.
        cells: names; None: all.
        overrides: further overrides for ``run.py``, such as ``data_dir=…``.
        results_dir: where results are.
        conf_dir: beside it is ``run.py``.
        force: repeat finished runs.
        tell: called with one line per draw.

    Returns:
        The results, and the exit code of the sweep.

    Raises:
        ConfigError: there is no such paper, or no such cell, or one that is asked for cannot be run.
    """
    redone = load(name, conf_dir)
    known = list(redone.paper.cells)
    _check_cells(redone, cells)
    for word in overrides:
        if "=" not in word:
            hint = f"choose a cell with --cells {word}" if word in known else "write it as data_dir=data"
            raise ConfigError("reproduce", word, "not a setting with a value", hint)
    if minutes := sum(_left(find(redone, results_dir), cells, again=force)):
        tell(f"{name}: about {number(minutes, ',.2g')} minutes of one core; re-run the same command to resume.")
    draw(redone, redone.computed(cells), results_dir, force=force, tell=tell)
    code = 0
    if trained := redone.trained(cells):
        left_out = [f"hydra.sweeper.parts.{part}=null" for part in redone.parts if part not in trained]
        own = [f"results_dir={quoted(results_dir / 'published')}"] if results_dir != Path("results") else []
        line = ["-m", f"published={name}", *left_out, *own, *["force=true"] * force, *overrides]
        code = subprocess.run(
            [sys.executable, "run.py", *line], cwd=conf_dir.absolute().parent, env=_environment()
        ).returncode
    everything = all_found(results_dir, conf_dir)
    found = next(each for each in everything if each.redone.name == name)
    write(found, results_dir)
    write_overview(everything, results_dir)
    return found, code


def _check_cells(redone: Redone, cells: Sequence[str] | None) -> None:
    """Refuse cells that there are not, and those of which no runs are planned."""
    known = redone.paper.cells
    if cells is not None and not cells:
        raise ConfigError("--cells", "", "names no cell", choices=known)
    for name in cells or ():
        _check_cell(redone, name)
        if not known[name].planned:
            raise ConfigError(
                "--cells",
                name,
                f"cannot be run: {_why_not(known[name])}",
                f"gradreach reproduce {redone.name} --list shows which can",
            )
    if cells is None and not any(cell.planned for cell in known.values()):
        whys = "; ".join(dict.fromkeys(map(_why_not, known.values())))
        raise ConfigError(
            "reproduce", redone.name, f"none of its cells can be run: {whys}", "gradreach reproduce lists papers"
        )


def _check_cell(redone: Redone, name: str) -> None:
    if name not in redone.paper.cells:
        raise ConfigError("--cells", name, f"{redone.name} has no such cell", choices=redone.paper.cells)


def _why_not(cell: Cell) -> str:
    return f"not comparable, {cell.not_comparable}" if cell.not_comparable else f"{cell.not_run}"


def _environment() -> dict[str, str]:
    """Return the variables of this process but for what it has Hydra do with its own mistakes."""
    return {name: value for name, value in os.environ.items() if name != "HYDRA_FULL_ERROR" or WHOLE_TRACES}


def write(found: Found, results_dir: Path) -> None:
    """Write the files of a paper."""
    for name, text in files(found, results_dir).items():
        write_table(results_dir / "published" / found.redone.name / name, text)


def write_overview(everything: Sequence[Found], results_dir: Path) -> None:
    """Write the page over all papers."""
    write_text(results_dir / "published" / "README.md", overview(everything))


def all_of(conf_dir: Path = CONF) -> list[Redone]:
    """Return all papers."""
    return [load(name, conf_dir) for name in papers(conf_dir)]


def all_found(results_dir: Path, conf_dir: Path = CONF) -> list[Found]:
    """Return every paper with its results so far."""
    return [find(each, results_dir) for each in all_of(conf_dir)]


def rebuild(results_dir: Path, conf_dir: Path = CONF) -> None:
    """Write the whole ledger from records, without running anything."""
    everything = all_found(results_dir, conf_dir)
    for found in everything:
        write(found, results_dir)
    write_overview(everything, results_dir)


def stale(results_dir: Path, conf_dir: Path = CONF) -> list[str]:
    """Return a line for each outdated file of the ledger; nothing is written."""
    folder = results_dir / "published"
    everything = all_found(results_dir, conf_dir)
    lines = _unlike(folder / "README.md", overview(everything))
    for found in everything:
        own, made = folder / found.redone.name, files(found, results_dir)
        for name, text in made.items():
            lines += _unlike(own / name, text)
        there = {path.name.removesuffix(PACKED) for path in own.iterdir()} if own.is_dir() else set()
        others = there - made.keys() - KEPT
        lines += [f"{own / name}: no longer produced: delete it" for name in others if not name.startswith(".")]
    known = {found.redone.name for found in everything} | RESERVED
    strays = [path for path in folder.iterdir() if path.is_dir() and path.name not in known] if folder.is_dir() else []
    lines += [f"{path}: its paper no longer exists: delete it" for path in strays if not path.name.startswith(".")]
    return sorted(lines)


def _unlike(path: Path, made: str) -> list[str]:
    path = stored_at(path)
    if not path.is_file():
        return [f"{path}: missing"]
    return [] if read_table(path, RESTORE) == made.encode() else [f"{path}: differs from what the records give"]


def is_kept(results_dir: Path, conf_dir: Path = CONF) -> bool:
    """Return whether a folder of results has a ledger."""
    return (results_dir / "published").is_dir() and bool(papers(conf_dir))


def standing(results_dir: Path, conf_dir: Path) -> pd.DataFrame:
    """Return one row per paper: the outcomes of its cells, and the estimated cost of the rest.

    Raises:
        ConfigError: there are no papers.
    """
    everything = all_found(results_dir, conf_dir)
    if not everything:
        raise ConfigError(
            conf_dir / "published", allowed="there are no papers", hint="see docs/reproduce.md for how to write one"
        )
    frame = counts(everything)
    left = [sum(_left(found)) for found in everything]
    frame["core-minutes left"] = [number(minutes, ",.0f") for minutes in [*left, sum(left)]]
    frame["paper"] = [*(found.redone.name for found in everything), "all"]
    return frame


def cells_and_costs(
    name: str, results_dir: Path, conf_dir: Path, cells: Sequence[str] | None = None
) -> tuple[pd.DataFrame, str]:
    """Return one row per cell, with its cost, and a command that runs one of the cells left.

    Raises:
        ConfigError: there is no such paper, or no such cell.
    """
    found = find(load(name, conf_dir), results_dir)
    for cell in cells or ():
        _check_cell(found.redone, cell)
    rows = table(found)
    rows["outcome"] = [
        "cannot be run yet" if cell.not_run else found.outcomes[name].kind
        for name, cell in found.redone.paper.cells.items()
    ]
    listed = rows[rows["cell"].isin(cells)] if cells is not None else rows
    line = f"gradreach reproduce {name} --cells {cheapest}" if (cheapest := cheapest_of(found, cells)) else NONE_YET
    return listed[["cell", "data", "model", "outcome", "core-minutes"]].reset_index(drop=True), line


def _left(found: Found, cells: Sequence[str] | None = None, *, again: bool = False) -> list[float]:
    """Return the minutes of planned cells and trials not yet run; those of one part count once.

    Args:
        found: the paper.
        cells: only these; None: all.
        again: also those that have been run.
    """
    paper, outcomes = found.redone.paper, {**found.outcomes, **found.trials}
    waiting = {
        paper.part_of(name): cell.minutes or 0.0
        for name, cell in paper.asked(cells).items()
        if cell.planned and (again or outcomes[name].kind == "not run")
    }
    return [float(minutes) for minutes in waiting.values()]
