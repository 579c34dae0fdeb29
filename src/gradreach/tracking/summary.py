"""What a whole experiment says: one W&B run of job type ``summary`` holds its tables and figures."""

import sys
from pathlib import Path

from gradreach.config import Workplace
from gradreach.errors import first_line
from gradreach.provenance import revision


def summary_id(experiment: str) -> str:
    """Return the id of an experiment's summary run: always the same, so that every sweep renews it."""
    return f"summary-{experiment}"


def is_summarized(workplace: Workplace) -> bool:
    """Return whether W&B has been told of the tables that there are; of such that were built since, it has not."""
    if workplace.experiment is None or workplace.tracking.mode == "off":
        return True
    page, note = workplace.results_dir / workplace.experiment / "README.md", _note(workplace)
    return page.exists() and note.exists() and note.stat().st_mtime >= page.stat().st_mtime


def _note(workplace: Workplace) -> Path:
    """Return the file whose presence says that the summary run has been made, and its age when."""
    return workplace.results_dir / "wandb" / f"{summary_id(workplace.experiment or '')}.made"


def summarize_sweep(workplace: Workplace, experiments_dir: Path = Path("experiments")) -> None:
    """Build an experiment's tables and figures from its records, and show them in W&B.

    Whatever goes wrong is said in one line: the records are there, and ``gradreach tables`` makes the same of them.
    """
    if workplace.experiment is None or workplace.tracking.mode == "off":
        return
    try:
        _summarize(workplace, workplace.experiment, experiments_dir)
    except Exception as error:
        print(f"gradreach: note: no summary of {workplace.experiment} for W&B: {first_line(error)}", file=sys.stderr)


def _summarize(workplace: Workplace, experiment: str, experiments_dir: Path) -> None:
    import pandas as pd
    import wandb

    from gradreach.analysis.build import build
    from gradreach.tracking.wandb import begin, end, tell_table

    built = build(experiment, workplace.results_dir, experiments_dir)
    run = begin(
        workplace.tracking,
        workplace.results_dir,
        goes_on=False,
        id=summary_id(experiment),
        name=f"{experiment} · summary",
        group=experiment,
        job_type="summary",
        tags=[experiment],
        notes=f"{built.experiment.title}\n\n{built.experiment.question}\n\n{built.state} {built.experiment.caveat}",
        config={
            "run_id": summary_id(experiment),
            "experiment": experiment,
            "architecture": "summary",
            "title": built.experiment.title,
            "revision": revision(),
        },
    )
    try:
        figures = {
            f"figures/{name}": wandb.Image(str(built.folder / f"{name}.png"), caption=caption)
            for name, caption in built.captions.items()
        }
        run.log(figures)
        run.summary["state"] = built.state
        for table in built.experiment.tables:
            frame = pd.read_csv(built.folder / f"{table.name}.csv", float_precision="round_trip")
            tell_table(run, f"tables/{table.name}", frame.astype(object).where(frame.notna(), None))
    except BaseException:
        end(run, 1)
        raise
    end(run, 0)
    _note(workplace).touch()
