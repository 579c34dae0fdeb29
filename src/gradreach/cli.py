"""``gradreach``: everything done with results, except producing them (``run.py``)."""

import os
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gradreach import __version__
from gradreach.errors import ConfigError, one_line_errors, say_when_stopped
from gradreach.system.garbage import own_process

say_when_stopped()

import typer  # noqa: E402  # takes a while

from gradreach.cli_usage import call  # noqa: E402
from gradreach.cli_wandb import ResultsDir, dashboard, sync, wandb_sweep  # noqa: E402

if TYPE_CHECKING:
    from gradreach.run_table.sources import Source

app = typer.Typer(
    help="How far back does a model's gradient reach? `python run.py` makes runs; these commands use their results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SourceName = Annotated[
    str | None, typer.Option("--source", help="Read records from a W&B server, given as wandb:entity/project.")
]
What = Annotated[str | None, typer.Argument(help="An experiment, or a folder of results; default: all runs.")]

NOT_SWEPT = {"data_dir", "results_dir"}
"""Overrides of ``status`` that do not make a sweep."""


class Best(StrEnum):
    """The better end of a metric."""

    max = "max"
    min = "min"


class Form(StrEnum):
    """The format of a table."""

    terminal = "terminal"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"
    html = "html"


class Long(StrEnum):
    """Which table is exported."""

    runs = "runs"
    profiles = "profiles"
    history = "history"
    decoding = "decoding"
    examples = "examples"


def _version(asked: bool) -> None:
    if asked:
        print(f"gradreach {__version__}")
        raise typer.Exit


def _records(source: str | None) -> "Source | None":
    """Return the source of records, None for those here."""
    if source is None:
        return None
    from gradreach.tracking.wandb_source import open_source  # brings wandb

    return open_source(source)


def _joined(keys: list[str] | None) -> str | None:
    """Return the keys of an option that was given once or more often."""
    return None if keys is None else ",".join(keys)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Handle options before a command."""


@app.command()
def tables(
    experiments: Annotated[list[str] | None, typer.Argument(help="Experiments; default: all that have runs.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; list what is out of date.")] = False,
    source: SourceName = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Rebuild tables, figures and verdicts from records, without training; of all, also ledgers and report.html."""
    from gradreach.analysis.pages import terminal
    from gradreach.analysis.pages.build import build, built_experiments
    from gradreach.analysis.pages.report import section_of
    from gradreach.analysis.study.study_files import of_project

    names = experiments or built_experiments(results_dir)
    if check:
        if source is not None:
            raise ConfigError("--check", allowed="compares with the records here", hint="drop --source")
        code = terminal.check(names, results_dir, whole=not experiments)
        raise typer.Exit(code if experiments else max(code, _check_published(results_dir)))
    records = _records(source)
    agreed, sections, rebuilt, failed = [], [], list[str](), list[str]()
    for name, built in terminal.one_by_one(names, lambda name: build(name, results_dir, source=records), failed):
        terminal.experiment(built)
        rebuilt.append(name)
        if not experiments:
            sections.append(section_of(built))
        if records is not None:
            agreed.append(terminal.agreement(name, results_dir, records))
    if of_project(rebuilt):
        terminal.overview(results_dir)
    if sections:
        terminal.report(sections, results_dir)
    if not experiments and records is None:
        _rebuild_published(results_dir)
    if failed:
        raise typer.Exit(2)
    if not all(agreed):
        raise typer.Exit(1)


def _rebuild_published(results_dir: Path) -> None:
    from gradreach.published.reproduce import is_kept, rebuild

    if is_kept(results_dir):
        rebuild(results_dir)
        print(f"Published numbers beside ours: {results_dir}/published/README.md")


def _check_published(results_dir: Path) -> int:
    """Report outdated files of the ledger of published numbers; return the exit code."""
    from gradreach.published.reproduce import is_kept, stale

    if not is_kept(results_dir):
        return 0
    lines = stale(results_dir)
    for line in lines:
        print(line)
    count = "1 file is" if len(lines) == 1 else f"{len(lines)} files are"
    print(f"published: {f'{count} out of date; gradreach tables rebuilds them' if lines else 'up to date'}")
    return bool(lines)


@app.command()
def reproduce(
    paper: Annotated[str | None, typer.Argument(help="A paper in conf/published; default: list all.")] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Settings, as in run.py.")
    ] = None,
    cells: Annotated[str | None, typer.Option(help="Only these cells, such as cnn,gru.")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="Run nothing; list the cells and their costs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Redo finished runs.")] = False,
    results_dir: ResultsDir = Path("results"),
    conf_dir: Annotated[Path, typer.Option(help="The configuration folder; run.py is beside it.")] = Path("conf"),
) -> None:
    """Run what a published table still needs and compare each number with ours: gradreach reproduce mnist1d."""
    from gradreach.analysis.pages import terminal
    from gradreach.published import reproduce as ledger
    from gradreach.published.pages import table

    if paper is None:
        terminal.frame(ledger.standing(results_dir, conf_dir), ["paper"])
        print("To list a paper's cells and their costs: gradreach reproduce mnist1d --list")
        return
    asked = None if cells is None else [cell for cell in cells.split(",") if cell]
    if only_list:
        listed, line = ledger.cells_and_costs(paper, results_dir, conf_dir, asked)
        terminal.frame(listed, ["cell"])
        print(line)
        return
    found, code = ledger.reproduce(
        paper, asked, overrides or [], results_dir, conf_dir, force, partial(print, flush=True)
    )
    if code == 2:  # refused, and said why
        raise typer.Exit(code)
    terminal.frame(table(found)[["cell", "published", "ours", "n", "outcome"]], ["cell"])
    print(f"{results_dir}/published/{paper}/README.md")
    if code:
        raise typer.Exit(code)


@app.command()
def report(results_dir: ResultsDir = Path("results")) -> None:
    """Rebuild everything without printing tables, and write report.html: all claims, verdicts, figures on one page."""
    from gradreach.analysis.pages import terminal
    from gradreach.analysis.pages.build import build, built_experiments
    from gradreach.analysis.pages.report import section_of

    failed: list[str] = []
    builds = terminal.one_by_one(built_experiments(results_dir), lambda name: build(name, results_dir), failed)
    terminal.report([section_of(built) for _, built in builds], results_dir)
    terminal.overview(results_dir)
    if failed:
        raise typer.Exit(2)


@app.command()
def table(
    what: What = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(help="One or more keys: model,task; repeatable.", show_default="model, or seq_len beside it"),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(help="One or more keys; empty: none; repeatable.", show_default="seq_len, unless a row has it"),
    ] = None,
    value: Annotated[list[str] | None, typer.Option(help="A metric; repeatable.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Keep runs with key=value or key=value,value; null: not set; repeatable.")
    ] = None,
    best: Annotated[Best | None, typer.Option(help="Mark the best of a column if it beats all others.")] = None,
    form: Annotated[
        Form, typer.Option("--format", metavar="<format>", help="terminal, csv, markdown, latex or html.")
    ] = Form.terminal,
    source: SourceName = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Print a table of any keys and metrics: gradreach table --rows model --columns seq_len --value test/accuracy."""
    from gradreach.analysis.pages import terminal
    from gradreach.analysis.results import Results
    from gradreach.analysis.tables import adhoc
    from gradreach.run_table.columns import architectures
    from gradreach.run_table.load import load_runs

    runs = load_runs(what, results_dir, _records(source))
    below, beside = adhoc.keys_of(_joined(rows), _joined(columns))
    keys = [*below, *beside, *(condition.partition("=")[0] for condition in where or [])]
    runs = Results(runs.assign(architecture=architectures(runs))).along(keys).runs
    runs = adhoc.narrowed(runs, where or [])
    asked = adhoc.table(runs, below, beside, value or ["test/accuracy"], best.value if best else None)
    terminal.table(asked, runs, form.value)


@app.command()
def export(
    to: Annotated[Path, typer.Argument(help="The file to write: .parquet or .csv.")],
    what: What = None,
    long: Annotated[
        Long, typer.Option("--table", metavar="<table>", help="runs, profiles, history, decoding or examples.")
    ] = Long.runs,
    source: SourceName = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Export runs, profiles, histories, decoding or per-example test results to a file; see docs/results.md."""
    from gradreach.errors import advise
    from gradreach.run_table.load import load_runs
    from gradreach.run_table.measurements import load_decoding, load_examples, load_history, write_frame
    from gradreach.run_table.profiles import load_profiles

    records = _records(source)
    frame = load_runs(what, results_dir, records)
    if long is not Long.runs:
        load = {
            Long.profiles: load_profiles,
            Long.history: load_history,
            Long.decoding: load_decoding,
            Long.examples: load_examples,
        }[long]
        frame = load(frame, what, results_dir, records)
        if frame.empty and what is None:
            none_there = f"no raw records there, so no {long.value}"
            hint = "name an experiment to use its committed tables"
            raise ConfigError(results_dir / "runs", allowed=none_there, hint=hint)
        advise(f"{what}: its runs have no {long.value}; the file has a header and no rows" if frame.empty else None)
    write_frame(to, frame)
    print(f"{to}: {len(frame)} rows, {frame.shape[1]} columns")


@app.command()
def decide(
    claim: Annotated[str, typer.Argument(help="A claim, such as C13, or its experiment.")],
    results_dir: ResultsDir = Path("results"),
    experiments_dir: Annotated[Path, typer.Option(help="The folder of studies.")] = Path("experiments"),
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
) -> None:
    """Estimate from pilot runs (seeds below 100) how many seeds a claim needs, and what the planned ones can detect."""
    from gradreach.analysis.pages.terminal import decide
    from gradreach.sweeps.status import planned_rows

    decide(claim, results_dir, experiments_dir, lambda name: planned_rows(name, conf_dir))


@app.command()
def time(
    experiment: Annotated[str, typer.Argument(help="An experiment whose claim compares times, such as gru_vs_lstm.")],
    rounds: Annotated[int, typer.Option(help="In each round every network takes ten steps in turn.")] = 30,
    seconds: Annotated[float, typer.Option(help="Start no new round after this time, once twelve are done.")] = 300,
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
    experiments_dir: Annotated[Path, typer.Option(help="The folder of studies.")] = Path("experiments"),
    results_dir: Annotated[
        Path | None, typer.Option(help="The folder of results.", show_default="the configuration's")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder of data.", show_default="the configuration's")
    ] = None,
) -> None:
    """Time the networks whose speed a claim compares, side by side in one process and one thread; writes times.csv."""
    from gradreach.analysis.pages import terminal
    from gradreach.timing import measure, medians, to_time

    path, runs = to_time(experiment, conf_dir, experiments_dir, results_dir=results_dir, data_dir=data_dir)
    with terminal.progress(f"{len(runs)} networks, rounds", rounds) as tell:
        times = measure(path, runs, rounds, seconds, tell)
    terminal.frame(medians(times), ["setting", "kernels"])
    print(f"{path}: written; gradreach tables {path.parent.name} judges by it")


@app.command()
def describe(
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Settings, as in run.py.")
    ] = None,
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
    multirun: Annotated[bool, typer.Option("--multirun", "-m", hidden=True)] = False,
) -> None:
    """Describe a run before any training: layers, parameters, multiply-adds, receptive field, causality, task."""
    from rich.console import Console

    if multirun:
        raise ConfigError("-m", allowed="means several runs", hint="leave it out; describe shows one run at a time")
    from gradreach.describe import describe

    describe(overrides or [], conf_dir, Console(highlight=False))


@app.command()
def status(
    line: Annotated[
        list[str] | None,
        typer.Argument(
            help="An experiment or sweep line such as model=rnn,lstm seed=0,1; several, or none (all): one line each."
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write one row per run to this file.")] = None,
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
    results_dir: Annotated[
        Path | None, typer.Option(help="The folder of results.", show_default="the configuration's")
    ] = None,
    multirun: Annotated[
        bool, typer.Option("--multirun", "-m", help="Ignored, so that a run.py line can be pasted.")
    ] = False,
) -> None:
    """Show which runs of a sweep are finished, failed, diverged, running (and where) or missing, and the time left."""
    from gradreach.compose import quoted
    from gradreach.run_table.columns import csv as as_csv
    from gradreach.sweeps.overview import overview, show_overview, studies
    from gradreach.sweeps.status import made_by_other_code, planned, show, survey
    from gradreach.system.files import write_text

    line = [*(line or []), *([] if results_dir is None else [f"results_dir={quoted(results_dir)}"])]
    names = [word for word in line if "=" not in word]
    if not names and all(word.partition("=")[0] in NOT_SWEPT for word in line):
        names = studies(conf_dir)
    line = [*names, *(word for word in line if "=" in word)]
    if len(names) > 1:
        frame = overview(names, [word for word in line if "=" in word], conf_dir)
        show_overview(frame)
    else:
        jobs = planned(line, conf_dir)
        frame = survey(jobs)
        show(frame, made_by_other_code(jobs))
    if csv is not None:
        try:
            write_text(csv, as_csv(frame))
        except OSError as error:
            raise ConfigError("--csv", csv, f"cannot be written ({error.strerror})", "choose another place") from None


@app.command()
def weights(
    run: Annotated[str, typer.Argument(help="The id of a run.")],
    to: Annotated[Path | None, typer.Option(help="Copy them here, as a state dict for torch.load.")] = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Print the path of a run's best weights; trainer.keep_weights=true keeps them."""
    from gradreach.weights import export_weights

    print(export_weights(run, results_dir, to))


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="An empty folder.")] = Path()) -> None:
    """Create run.py, conf/ and an example study in a folder: all you need for your own sweeps."""
    from gradreach.scaffold import lay_out

    laid = lay_out(folder)
    print(f"{', '.join(laid)}: in {folder.resolve()}")
    there = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(f"now: {there}gradreach run -m experiment=example && gradreach tables example")


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(context: typer.Context) -> None:
    """Run python run.py of this folder: gradreach run -m model=lstm,gru seed=0,1,2."""
    if not Path("run.py").is_file():
        raise ConfigError("run.py", allowed="is not in this folder", hint="gradreach init creates it here")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "run.py", *context.args])


for verb in (sync, dashboard, wandb_sweep):
    app.command()(verb)


def main() -> None:
    """Run the command line."""
    own_process()
    with one_line_errors():
        call(app)
