"""Builds an experiment's tables and figures after a sweep, and shows them in W&B."""

from pathlib import Path

from gradreach.config import RunEnvironment
from gradreach.errors import first_line, report
from gradreach.tracking.summary_run import ExperimentSummary, log_summary


def summarize_sweep(environment: RunEnvironment, experiments_dir: Path = Path("experiments")) -> None:
    """Build an experiment's tables and figures from its records, and show them in W&B.

    Errors are reported in one line: the records exist, and ``gradreach tables`` builds the same from them.
    """
    if environment.experiment is None or environment.published is not None or environment.tracking.mode == "off":
        return
    try:
        log_summary(environment, environment.experiment, _summary(environment, environment.experiment, experiments_dir))
    except Exception as error:
        report(f"note: no summary of {environment.experiment} for W&B: {first_line(error)}")


def _summary(environment: RunEnvironment, experiment: str, experiments_dir: Path) -> ExperimentSummary:
    from gradreach.analysis.pages.build import build

    built = build(experiment, environment.results_dir, experiments_dir)
    study = built.study
    said = (study.question, study.about, built.answer, " ".join((built.state, *built.caveats)))
    return ExperimentSummary(
        title=study.question,
        notes="\n\n".join(filter(None, said)),
        state=built.state,
        captions=built.captions,
        tables=tuple(view.table.name for view in built.views),
        folder=built.folder,
    )
