"""A study met before its runs: what cannot be decided is refused, and its rule is kept as a digest."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gradreach.analysis.results import Results
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.parts import Part, leaves_of
from gradreach.analysis.study.rule import digest_of
from gradreach.analysis.study.study_files import EXPERIMENTS, load_study
from gradreach.config import RunConfig
from gradreach.run_table.columns import as_frame, planned_row


def rule_to_store(name: str, runs: Iterable[RunConfig], done: int, folder: Path = EXPERIMENTS) -> dict[str, Any] | None:
    """Check a sweep's study against the runs that are planned, and return what is stored of its rule.

    Args:
        name: of the sweep.
        runs: that are planned.
        done: of how many of them there are records.
        folder: where studies are.

    Returns:
        Its digest, and ``done``; None where there is no study, or it makes no claim.

    Raises:
        ConfigError: the study cannot be read, or a part of its claim leaves a setting open that is swept.
    """
    if not (folder / f"{name}.py").is_file():
        return None
    study = load_study(name, folder)
    check_parts(study, Results(as_frame(planned_row(run.canonical(), run.run_id) for run in runs)))
    return {"digest": digest_of(study), "done": done} if study.claim is not None else None


def check_parts(study: Study, planned: Results) -> None:
    """See that every part of a claim means one configuration a seed in the runs that are planned.

    Raises:
        ConfigError: naming the part, the setting that it leaves open, and what to say instead.
    """
    prepared = Results(study.prepare(planned.runs), derived=study.columns)
    for name, part in leaves_of(study.parts).items():
        if isinstance(part, Part):
            part.quantity.check(study.of_chosen(prepared), name)
