"""What the commands print."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from gradreach.analysis.experiment import unrun
from gradreach.analysis.pages import findings
from gradreach.analysis.pages.build import build, differences
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.coverage import chance_line, mixture_line, state_line
from gradreach.analysis.pages.ledger import ledger
from gradreach.analysis.pages.report import Section, section_of, write_report
from gradreach.analysis.results import Results
from gradreach.analysis.tables import formats
from gradreach.analysis.tables.layout import View, make
from gradreach.analysis.tables.specification import Table
from gradreach.errors import advise
from gradreach.run_table.columns import csv
from gradreach.run_table.load import disagreements
from gradreach.run_table.sources import Source
from gradreach.system.files import write_text

REPORT = "report.html"


def experiment(built: Built) -> None:
    """Print an experiment: verdict, tables, how to read them, where the rest is."""
    console = Console(highlight=False, markup=False)
    console.print(f"\n{built.experiment.title}", style="bold")
    console.print(built.experiment.question)
    if built.experiment.claim is not None and built.verdict is not None:
        console.print(f"\n{built.experiment.claim.id}: {built.experiment.claim.translation}")
        console.print(f"{built.verdict.words}. {built.verdict.sentence}", style="bold")
    for view in built.views:
        console.print()
        _print(console, view)
        if view.notes:
            console.print(view.notes)
    for reading in dict.fromkeys(view.table.reading for view in built.views):
        console.print(f"\n{reading}")
    console.print(f"\n{built.experiment.caveat}")
    console.print(built.state, style="bold")
    console.print(f"\nPage, tables (csv, md, tex, html), figures (png, pdf): {built.folder}/README.md", soft_wrap=True)
    for figure in built.experiment.figures:
        console.print(f"Look at {built.folder / figure.name}.png", soft_wrap=True)


def agreement(name: str, results_dir: Path, source: Source) -> bool:
    """Say whether records elsewhere and those here tell the same of the same runs."""
    both, lines = disagreements(name, results_dir, source)
    for line in lines[:20]:
        print(line)
    more = ", the first 20 above" * (len(lines) > 20)
    verdict = f"{len(lines)} values differ{more}" if lines else "they agree"
    print(
        f"{name}: {both} runs are both there and here: {verdict}" if both else f"{name}: none of the runs is here too"
    )
    return not lines


def report(sections: Sequence[Section], results_dir: Path) -> None:
    """Write the pages of all experiments, and say where they are."""
    path = results_dir / REPORT
    write_report(sections, path, unrun(section.name for section in sections))
    print(f"Everything on one page ({path.stat().st_size / 1e6:.1f} MB), for any browser: {path}")


def overview(results_dir: Path) -> None:
    """Write the ledger and the findings, which are of all experiments, and say where they are."""
    write_text(results_dir / "README.md", ledger([results_dir]))
    print(f"\nAll experiments and verdicts: {results_dir}/README.md")
    if findings.applies(results_dir):
        write_text(findings.PAGE, findings.findings([results_dir]))
        print(f"Two pages for readers: {findings.PAGE}")


def is_current(names: Sequence[str], results_dir: Path, whole: bool) -> bool:
    """Say which files are not what the records give, or are made by nothing any more.

    Args:
        names: of experiments.
        results_dir: where their results are.
        whole: whether these are all there are; then the page of all is checked too.
    """
    stale, sections = [], []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        for name in names:
            sections.append(section_of(build(name, results_dir, into=made)))
            stale += differences(results_dir / name, made / name)
        if whole:
            write_report(sections, made / REPORT, unrun(names))
            stale += _unlike(results_dir / REPORT, (made / REPORT).read_bytes())
        if findings.applies(results_dir):
            stale += _unlike(findings.PAGE, findings.findings([made, results_dir]).encode())
        stale += _unlike(results_dir / "README.md", ledger([made, results_dir]).encode())
    for line in stale:
        print(line)
    count = "1 file is" if len(stale) == 1 else f"{len(stale)} files are"
    found = f"{count} not up to date; gradreach tables makes them anew" if stale else "up to date"
    print(f"{', '.join(names)}: {found}")
    return not stale


def _unlike(path: Path, made: bytes) -> list[str]:
    return [] if path.is_file() and path.read_bytes() == made else [f"{path}: not what the experiments give"]


def table(asked: Table, runs: pd.DataFrame, form: str) -> None:
    """Print a table that was asked for once."""
    view = make(asked, Results(runs))
    advise(mixture_line(runs) or None)
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
