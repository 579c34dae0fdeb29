"""``gradreach``: what is done with results, beside making them (which is ``run.py``)."""

from pathlib import Path
from typing import Annotated

import typer

from gradreach.errors import one_line_errors

app = typer.Typer(
    help="How far back does a model's gradient reach? Runs are made by `python run.py`; this works on their results.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Results = Annotated[Path, typer.Option(help="The folder of results.", show_default=True)]
Project = Annotated[str, typer.Option(help="W&B's project.", envvar="WANDB_PROJECT")]
Entity = Annotated[str | None, typer.Option(help="W&B's team or user; none: the account's own.", envvar="WANDB_ENTITY")]
BaseUrl = Annotated[str | None, typer.Option(help="W&B's server; none: WANDB_BASE_URL, or W&B's cloud.")]


@app.callback()
def _root() -> None:
    """Keep subcommands, however few there are."""


@app.command()
def tables(
    experiments: Annotated[list[str] | None, typer.Argument(help="Names; none: all that have runs.")] = None,
    results_dir: Results = Path("results"),
) -> None:
    """Rebuild the tables and figures of experiments from their records, without training."""
    from rich.console import Console
    from rich.table import Table

    from gradreach.analysis.build import build
    from gradreach.errors import ConfigError

    names = experiments or sorted(path.parent.name for path in results_dir.glob("*/runs.csv"))
    if not names:
        raise ConfigError(
            f"{results_dir.resolve()}: no results here; python run.py -m experiment=quickstart makes some"
        )
    console = Console(highlight=False)
    for name in names:
        built = build(name, results_dir)
        console.print(f"\n[bold]{built.experiment.title}[/bold]\n{built.experiment.question}")
        for caption, frame in built.tables.items():
            shown = Table(*frame.columns, title=caption, title_justify="left", title_style="")
            for line, following in zip(frame.to_numpy().tolist(), [*frame.iloc[1:, 0], None], strict=True):
                shown.add_row(*line, end_section=line[0] != following and not frame.iloc[:, 0].is_unique)
            console.print()
            console.print(shown)
        for reading in dict.fromkeys(table.reading for table in built.experiment.tables):
            console.print(f"\n{reading}")
        console.print(f"\n{built.experiment.caveat}\n[bold]{built.state}[/bold]")
        console.print(f"\nPage, tables (csv, md, tex) and figures (png, pdf): {built.folder}/README.md", soft_wrap=True)
        for figure in built.experiment.figures:
            console.print(f"Look at {built.folder / figure.name}.png", soft_wrap=True)


@app.command()
def describe(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="As for run.py.")] = None,
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
) -> None:
    """Say what a run is before any training: layers, parameters, multiply-adds, receptive field, causality, task."""
    from rich.console import Console

    from gradreach.describe import describe

    describe(overrides or [], conf_dir, Console(highlight=False))


@app.command()
def status(
    line: Annotated[list[str], typer.Argument(help="An experiment, or a sweep line: model=rnn,lstm seed=0,1.")],
    csv: Annotated[Path | None, typer.Option(help="Also write one row a run here.")] = None,
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
) -> None:
    """Show which runs of a sweep are finished, failed, diverged, running (and where) or missing, and the time left."""
    from gradreach.status import planned, show, survey

    frame = survey(planned(line, conf_dir))
    show(frame)
    if csv is not None:
        frame.to_csv(csv, index=False)


@app.command()
def sync(
    experiment: Annotated[str | None, typer.Argument(help="Only its runs; none: all.")] = None,
    results_dir: Results = Path("results"),
    parallel: Annotated[int, typer.Option("--parallel", "-n", min=1, help="Runs sent at a time.")] = 8,
    base_url: BaseUrl = None,
) -> None:
    """Send runs to W&B that were tracked offline, or that a lost server has not got; each once."""
    from gradreach.tracking.sync import sync

    if not sync(results_dir, experiment, parallel, base_url):
        raise typer.Exit(1)


@app.command()
def dashboard(
    experiment: Annotated[str, typer.Argument(help="Its name.")],
    results_dir: Results = Path("results"),
    project: Project = "gradreach",
    entity: Entity = None,
    base_url: BaseUrl = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the specification as JSON, ask no server.")] = False,
) -> None:
    """Create or renew a W&B view of an experiment's runs, and a report with its tables and figures."""
    from gradreach.tracking.publish import publish

    publish(experiment, results_dir, project, entity, base_url, dry_run)


@app.command()
def wandb_sweep(
    experiment: Annotated[str, typer.Argument(help="Its name.")],
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write.")] = Path("sweep.yaml"),
    project: Project = "gradreach",
    entity: Entity = None,
) -> None:
    """Write the sweep.yaml by which W&B's agents make the runs of an experiment."""
    from gradreach.files import write_text
    from gradreach.tracking.sweep_file import sweep_file

    write_text(output, sweep_file(experiment, conf_dir, project, entity))
    print(f"{output}: start it with 'wandb sweep {output}', then 'wandb agent <the id that it says>' wherever runs go")


def main() -> None:
    """Run the command line."""
    with one_line_errors():
        app()
