"""A study before its runs: parts that cannot be decided are rejected, and the rule is stored as a digest."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from gradreach.analysis.results import Results
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.judging import looks_at
from gradreach.analysis.study.looks import confirmatory
from gradreach.analysis.study.parts import MANY, Part, Quantity, leaves_of
from gradreach.analysis.study.rule import digest_of
from gradreach.analysis.study.study_files import EXPERIMENTS, load_study
from gradreach.config import RunConfig
from gradreach.errors import ConfigError
from gradreach.run_table.columns import as_frame, planned_row
from gradreach.run_table.committed import CONFIRMATORY


def rule_to_store(
    name: str, runs: Collection[RunConfig], done: Collection[str], folder: Path = EXPERIMENTS
) -> dict[str, Any] | None:
    """Check a sweep's study against the planned runs, and return what is stored of its rule.

    Args:
        name: of the sweep.
        runs: that are planned.
        done: ids of those that have a record.
        folder: where studies are.

    Returns:
        Its digest, and ``done``: how many of the runs that decide have a record; None where there is no study, or it
        makes no claim.

    Raises:
        ConfigError: the study cannot be read; a part of its claim leaves a setting open that is swept, or could not be
            decided by any outcome of this many seeds.
    """
    if not (folder / f"{name}.py").is_file():
        return None
    study = load_study(name, folder)
    check_parts(study, Results(as_frame(planned_row(run.canonical(), run.run_id) for run in runs)))
    if study.claim is None:
        return None
    deciding = {run.run_id for run in runs if run.seed >= CONFIRMATORY} or {run.run_id for run in runs}
    return {"digest": digest_of(study), "done": len(deciding & set(done))}


def check_parts(study: Study, planned: Results) -> None:
    """Check that every part of a claim means one configuration per seed, and can be decided by the planned runs.

    Raises:
        ConfigError: naming the part, the setting that it leaves open, and what to say instead; or the number of seeds
            that would do.
    """
    prepared = Results(study.prepare(planned.runs), derived=study.columns)
    for name, part in leaves_of(study.parts).items():
        if isinstance(part, Part):
            part.quantity.check(study.of_chosen(prepared), name)
    looks = looks_at(study, prepared, confirmatory(planned.runs["seed"]))
    if not looks.seeds:
        return
    for name, part in leaves_of(study.parts).items():
        if not isinstance(part, Part) or part.quantity.outcome == "rounds":
            continue
        every = [seeds_of(each, prepared) for _, each in part.quantity.split(prepared) or [({}, part.quantity)]]
        first = min(len(seeds.intersection(looks.seeds[0])) for seeds in every)
        if 0 < first < (least := part.least(looks.level)):
            shared = f"of {looks.parts} that share 5 % at looks: {len(looks.seeds)}"
            wrong = f"no outcome with {first} seeds at the first look could support it, {shared}"
            hint = f"look first at {least} seeds or more" if least < MANY else "choose another threshold"
            raise ConfigError(f"part “{name}”", part.rule, wrong, hint)


def seeds_of(quantity: Quantity, planned: Results) -> set[int]:
    """Return the seeds of a part: those that all its sides have; for a function all seeds.

    Args:
        quantity: of the part.
        planned: the prepared runs, of which nothing is known yet. What is measured first selects none of them.
    """
    measured = {"solved", *(planned.derived.keys() - set(planned.runs))}
    sides = [{key: value for key, value in side.items() if key not in measured} for side in quantity.sides]
    of_sides = [set(planned.where(side).runs["seed"]) for side in sides] or [set(planned.runs["seed"])]
    return set(map(int, set.intersection(*of_sides)))
