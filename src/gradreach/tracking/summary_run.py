"""The summary of an experiment: one W&B run of job type ``summary`` holds its tables and figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gradreach.config import RunEnvironment
from gradreach.run_table.columns import read_csv
from gradreach.system.provenance import revision
from gradreach.tracking.wandb_files import summary_id


@dataclass(frozen=True)
class ExperimentSummary:
    """What W&B is shown of an experiment.

    - ``title``, ``notes``: for people.
    - ``state``: how much of the sweep there is.
    - ``captions``: how each figure is read, by the name of its file.
    - ``tables``: names of its tables.
    - ``folder``: where figures (png) and tables (csv) stand.
    """

    title: str
    notes: str
    state: str
    captions: Mapping[str, str]
    tables: tuple[str, ...]
    folder: Path


def is_summarized(environment: RunEnvironment) -> bool:
    """Return whether W&B has been told of the tables that there are; of such that were built since, it has not."""
    if environment.experiment is None or environment.tracking.mode == "off":
        return True
    page, note = environment.results_dir / environment.experiment / "README.md", _note(environment)
    return page.exists() and note.exists() and note.stat().st_mtime >= page.stat().st_mtime


def _note(environment: RunEnvironment) -> Path:
    """Return the file whose presence says that the summary run has been made, and its age when."""
    return environment.results_dir / "wandb" / f"{summary_id(environment.experiment or '')}.made"


def log_summary(environment: RunEnvironment, experiment: str, shown: ExperimentSummary) -> None:
    """Make an experiment's summary run, or renew it."""
    import wandb

    from gradreach.tracking.session import begin, end
    from gradreach.tracking.wandb_run import tell_table

    run = begin(
        environment.tracking,
        environment.results_dir,
        goes_on=False,
        id=summary_id(experiment),
        name=f"{experiment} · summary",
        group=experiment,
        job_type="summary",
        tags=[experiment, *environment.tracking.tags],
        notes=shown.notes,
        config={
            "run_id": summary_id(experiment),
            "experiment": experiment,
            "architecture": "summary",
            "title": shown.title,
            "revision": revision(),
        },
    )
    try:
        figures = {
            f"figures/{name}": wandb.Image(str(shown.folder / f"{name}.png"), caption=caption)
            for name, caption in shown.captions.items()
        }
        run.log(figures)
        run.summary["state"] = shown.state
        for name in shown.tables:
            frame = read_csv(shown.folder / f"{name}.csv")
            tell_table(run, f"tables/{name}", frame.astype(object).where(frame.notna(), None))
    except BaseException:
        end(run, 1)
        raise
    end(run, 0)
    _note(environment).touch()
