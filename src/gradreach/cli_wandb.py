"""The commands of ``gradreach`` that talk to W&B."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # pydantic takes a tenth of a second
    from gradreach.config import TrackingSettings

ResultsDir = Annotated[Path, typer.Option(help="The folder of results.", show_default=True)]
Project = Annotated[str, typer.Option(help="W&B's project.", envvar="WANDB_PROJECT")]
Entity = Annotated[str | None, typer.Option(help="W&B's team or user; default: your own.", envvar="WANDB_ENTITY")]
BaseUrl = Annotated[str | None, typer.Option(help="W&B's server; default: WANDB_BASE_URL, or W&B's cloud.")]


def sync(
    what: Annotated[list[str] | None, typer.Argument(help="Only these experiments or run ids; default: all.")] = None,
    from_records: Annotated[bool, typer.Option("--from-records", help="Rebuild missing runs from records.")] = False,
    results_dir: ResultsDir = Path("results"),
    parallel: Annotated[int, typer.Option("--parallel", "-n", min=1, help="Runs to send at the same time.")] = 8,
    project: Project = "gradreach",
    entity: Entity = None,
    base_url: BaseUrl = None,
) -> None:
    """Send W&B the runs that were tracked offline or that the server lacks; each once."""
    from gradreach.tracking.sync import sync

    place = _place(project, entity, base_url)
    if not sync(results_dir, what or [], parallel, base_url, place if from_records else None):
        raise typer.Exit(1)


def dashboard(
    experiment: Annotated[str, typer.Argument(help="Its name.")],
    results_dir: ResultsDir = Path("results"),
    project: Project = "gradreach",
    entity: Entity = None,
    base_url: BaseUrl = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write the specification as JSON, offline.")] = False,
) -> None:
    """Create or update a W&B view of an experiment's runs, and a report with its tables and figures."""
    from gradreach.tracking.publish import publish

    _place(project, entity, base_url)
    publish(experiment, results_dir, project, entity, base_url, dry_run)


def wandb_sweep(
    experiment: Annotated[str, typer.Argument(help="Its name.")],
    conf_dir: Annotated[Path, typer.Option(help="The folder of configurations.")] = Path("conf"),
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("sweep.yaml"),
    project: Project = "gradreach",
    entity: Entity = None,
) -> None:
    """Write sweep.yaml, from which W&B agents run an experiment; one file per part if it has several."""
    from gradreach.errors import ConfigError
    from gradreach.system.files import write_text
    from gradreach.tracking.sweep_file import sweep_files

    _place(project, entity, None)
    if output.is_dir():
        raise ConfigError("--output", output, "is a folder", "name a file in it")
    texts = sweep_files(experiment, conf_dir, project, entity, output)
    for path in texts:
        if path.exists():
            hint = "delete it, or name another file with --output"
            raise ConfigError(path, allowed="already exists, and may have been edited", hint=hint)
    for path, text in texts.items():
        try:
            write_text(path, text)
        except OSError as error:
            cannot = f"cannot be written ({error.strerror})"
            raise ConfigError("--output", path, cannot, "choose another place") from None
        print(f"{path}: start it with 'wandb sweep {path}', then run 'wandb agent <the id it prints>' on each machine")


def _place(project: str, entity: str | None, base_url: str | None) -> "TrackingSettings":
    """Return W&B's project, entity and server.

    Raises:
        ConfigError: the name of the project, entity or server is invalid.
    """
    from gradreach.config import TrackingSettings, checked

    return checked(TrackingSettings, {"mode": "offline", "project": project, "entity": entity, "base_url": base_url})
