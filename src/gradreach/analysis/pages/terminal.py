"""The output of the commands."""

import tempfile
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from gradreach.analysis.pages import findings
from gradreach.analysis.pages.build import build, differences
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.coverage import chance_line, mixture_line, state_line
from gradreach.analysis.pages.decide import READING
from gradreach.analysis.pages.decide import decide as decided
from gradreach.analysis.pages.ledger import ledger, machine_ledger
from gradreach.analysis.pages.report import Section, section_of, write_report
from gradreach.analysis.results import Results
from gradreach.analysis.study.declaration import Study, outcomes
from gradreach.analysis.study.study_files import EXPERIMENTS, known_studies, load_study, of_project
from gradreach.analysis.tables import formats
from gradreach.analysis.tables.layout import View, make
from gradreach.analysis.tables.specification import Table
from gradreach.errors import WHOLE_TRACES, ConfigError, advise, first_line
from gradreach.errors import report as complain
from gradreach.rounding import number
from gradreach.run_table.columns import csv
from gradreach.run_table.load import disagreements
from gradreach.run_table.sources import Source
from gradreach.system.files import write_text

REPORT = "report.html"


def experiment(built: Built) -> None:
    """Print an experiment: verdict, tables, how to read them, where the rest is."""
    console, study = Console(highlight=False, markup=False), built.study
    console.print(f"\n{study.question}", style="bold")
    if study.about:
        console.print(study.about)
    if study.claim is not None and built.verdict is not None:
        console.print(f"\n{study.claim.id or 'Claim'}: {study.claim.text}")
        console.print(f"{built.verdict.words}. {built.answer}", style="bold")
        for part in built.parts:
            console.print(
                f"  {'aside: ' * part.aside}{part.name}: {part.state}" + (f"; {part.effect}" if part.effect else "")
            )
        console.print(f"outcomes={outcomes(built.verdict)!r}")
    for view in built.views:
        console.print()
        _print(console, view)
        if view.notes:
            console.print(view.notes)
    for reading in dict.fromkeys(view.table.reading for view in built.views):
        console.print(f"\n{reading}")
    console.print(f"\n{built.state}", style="bold")
    for caveat in built.caveats:
        console.print(f"- {caveat}")
    console.print(f"\nPage, tables (csv, md, tex, html), figures (png, pdf): {built.folder}/README.md", soft_wrap=True)
    for name in built.captions:
        console.print(f"Look at {built.folder / name}.png", soft_wrap=True)


@contextmanager
def progress(what: str, number: int) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal while yielding the items."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=number)
        yield lambda done: bar.update(task, completed=done)


def frame(rows: pd.DataFrame, keys: Sequence[str]) -> None:
    """Print a frame as a table."""
    console = Console(highlight=False, markup=False)
    for part in formats.terminal(rows.astype(str), np.zeros(rows.shape, bool), list(keys), console.width):
        console.print(part)


def decide(claim: str, results_dir: Path, experiments_dir: Path, plan: Callable[[str], pd.DataFrame]) -> None:
    """Print what pilots say about a plan."""
    name, looks, rows = decided(claim, results_dir, experiments_dir, plan)
    console = Console(highlight=False, markup=False)
    numbers = ", ".join(str(len(seeds)) for seeds in looks.seeds)
    console.print(
        f"{name}: looks after {numbers} seeds; each part covers {number(100 * (1 - looks.level), '.4g')} %.",
        style="bold",
    )
    frame(rows, ["part"])
    console.print(READING)


def agreement(name: str, results_dir: Path, source: Source) -> bool:
    """Report whether records elsewhere and those here agree on their common runs."""
    both, lines = disagreements(name, results_dir, source)
    for line in lines[:20]:
        print(line)
    more = ", the first 20 above" * (len(lines) > 20)
    verdict = f"{len(lines)} values differ{more}" if lines else "they agree"
    print(f"{name}: {both} runs are in both places: {verdict}" if both else f"{name}: none of the runs there is here")
    return not lines


def report(sections: Sequence[Section], results_dir: Path, experiments_dir: Path = EXPERIMENTS) -> None:
    """Write the report on all studies of the project, and print its path."""
    path = results_dir / REPORT
    _write_report(sections, path, experiments_dir)
    print(f"Everything on one page ({number(path.stat().st_size / 1e6, '.1f')} MB), for any browser: {path}")


def _write_report(sections: Sequence[Section], path: Path, experiments_dir: Path) -> None:
    kept = set(of_project([section.name for section in sections], experiments_dir))
    shown = [section for section in sections if section.name in kept]
    write_report(shown, path, unrun(kept, experiments_dir))


def unrun(done: Collection[str], experiments_dir: Path = EXPERIMENTS) -> dict[str, Study]:
    """Return the project's studies that are not among these names; report unreadable ones in one line each."""
    names = [name for name in of_project(known_studies(experiments_dir), experiments_dir) if name not in done]
    return dict(one_by_one(names, lambda name: load_study(name, experiments_dir), []))


def overview(results_dir: Path, experiments_dir: Path = EXPERIMENTS) -> None:
    """Write the ledger and the findings of the whole project, and print their paths."""
    for name, made in _of_all([results_dir], experiments_dir).items():
        write_text(results_dir / name, made)
    print(f"\nAll experiments and verdicts: {results_dir}/README.md")
    for page, template in findings.pages(results_dir).items():
        write_text(page, findings.findings([results_dir], experiments_dir, template))
        print(f"Two pages for readers: {page}")


def _of_all(folders: Sequence[Path], experiments_dir: Path) -> dict[str, str]:
    """Return the ledger for people and for machines, by the names of their files."""
    return {
        "README.md": ledger(folders, experiments_dir),
        "ledger.csv": machine_ledger(folders, experiments_dir),
    }


T = TypeVar("T")


def one_by_one(names: Iterable[str], do: Callable[[str], T], failed: list[str]) -> Iterator[tuple[str, T]]:
    """Do something for each name; an error is reported in one line and does not stop the others.

    Args:
        names: of experiments.
        do: what to do.
        failed: collects the names for which something went wrong.

    Raises:
        Exception: whatever went wrong, where ``HYDRA_FULL_ERROR=1`` asks for the whole stack trace.
    """
    for name in names:
        try:
            done = do(name)
        except Exception as error:
            if WHOLE_TRACES:
                raise
            failed.append(name)
            complain(_told(name, error))
        else:
            yield name, done


def _told(name: str, error: Exception) -> ConfigError | str:
    """Report what went wrong with an experiment, and where in its file."""
    if isinstance(error, ConfigError):
        return error if name in str(error) else f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    own = next((frame for frame in reversed(frames) if Path(frame.filename).stem == name), frames[-1])
    place = f"{Path(own.filename).name}, line {own.lineno}"
    return f"{name}: {place}: {type(error).__name__}: {first_line(error)}"


def check(names: Sequence[str], results_dir: Path, whole: bool, experiments_dir: Path = EXPERIMENTS) -> int:
    """Report files that differ from what the records give, or that are no longer produced.

    Args:
        names: of experiments.
        results_dir: where their results are.
        whole: whether these are all there are; then the pages of all are checked too.
        experiments_dir: where studies are.

    Returns:
        The exit code: 2 where something could not be built, 1 where something is not up to date, else 0.
    """
    stale: list[str] = []
    sections: list[Section] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for name, built in one_by_one(names, lambda name: build(name, results_dir, experiments_dir, into=made), failed):
            sections.append(section_of(built))
            stale += differences(results_dir / name, made / name)
            if built.outdated_answer:
                stale.append(built.outdated_answer)
        if whole and not failed:
            _write_report(sections, made / REPORT, experiments_dir)
            stale += _unlike(results_dir / REPORT, (made / REPORT).read_bytes())
        if of_project(names, experiments_dir) and not failed:
            for page, template in findings.pages(results_dir).items():
                stale += _unlike(page, findings.findings([made, results_dir], experiments_dir, template).encode())
            for name, text in _of_all([made, results_dir], experiments_dir).items():
                stale += _unlike(results_dir / name, text.encode())
    for line in stale:
        print(line)
    count = "1 file is" if len(stale) == 1 else f"{len(stale)} files are"
    found = f"{count} out of date; gradreach tables rebuilds them" if stale else "up to date"
    checked = [name for name in names if name not in failed]
    if checked:
        print(f"{', '.join(checked)}: {found}")
    return 2 if failed else 1 if stale else 0


def _unlike(path: Path, made: bytes) -> list[str]:
    return [] if path.is_file() and path.read_bytes() == made else [f"{path}: differs from what the experiments give"]


def table(asked: Table, runs: pd.DataFrame, form: str) -> None:
    """Print an ad-hoc table."""
    view = make(asked, Results(runs))
    advise(mixture_line(runs) or None)
    runs = runs.drop_duplicates("run_id")  # of several test lengths each has several rows
    notes = " ".join(filter(None, (asked.reading, view.notes, state_line(runs), chance_line(runs))))
    text, marked, caption = view.text, view.marked, asked.caption
    if form == "csv":
        print(csv(view.numbers.drop(columns="run_ids")), end="")
    elif form == "markdown":
        print(f"{caption}\n\n{formats.markdown(text, marked)}\n{notes}")
    elif form == "latex":
        print(formats.latex(text, marked, f"{caption} {notes}", "tab:table"), end="")
    elif form == "html":
        print(formats.html(text, marked, f"{caption} {notes}"), end="")
    else:
        console = Console(highlight=False, markup=False)
        _print(console, view)
        console.print(notes)


def _print(console: Console, view: View) -> None:
    console.print(view.table.caption)
    for part in formats.terminal(view.text, view.marked, view.keys, console.width):
        console.print(part)
