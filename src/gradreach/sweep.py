"""A sweep: every job checked first, identical runs once, finished runs not again."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from gradreach.config import RunConfig, Workplace, parse, plain
from gradreach.display import SweepDisplay
from gradreach.records import RecordStore
from gradreach.runner import check


@dataclass(frozen=True)
class Job:
    """One combination of a sweep.

    - ``overrides``: what the launcher is given.
    - ``cost``: multiply-adds of a sequence, times epochs: enough to tell long runs from short ones.
    """

    overrides: Sequence[str]
    run: RunConfig
    workplace: Workplace
    cost: int


def plan(jobs: Sequence[Sequence[str]], compose: Callable[[Sequence[str]], DictConfig]) -> list[Job]:
    """Compose and check all jobs; of identical runs the first is kept.

    Raises:
        ConfigError: naming the first setting that cannot be; nothing has been started or written then.
    """
    distinct: dict[str, Job] = {}
    for overrides in jobs:
        run, workplace = parse(plain(compose(overrides)))
        if run.run_id not in distinct:
            task, model = check(run, workplace)
            cost = model.multiply_adds(task.shape.length) * run.trainer.epochs
            distinct[run.run_id] = Job(overrides, run, workplace, cost)
    return list(distinct.values())


def sweep(
    jobs: Sequence[Sequence[str]],
    compose: Callable[[Sequence[str]], DictConfig],
    launch: Callable[[Sequence[Sequence[str]]], Any],
) -> None:
    """Do what is left of a sweep, show how it goes, and exit with code 1 where a run has failed."""
    planned = plan(jobs, compose)
    workplace = planned[0].workplace
    store = RecordStore(workplace.results_dir / "runs")
    left = [job for job in planned if workplace.force or not store.settled(job.run.run_id)]
    left.sort(key=lambda job: -job.cost)  # the longest first, so that all workers end at about the same time
    if workplace.experiment is not None:
        from gradreach.analysis.frame import write_plan

        write_plan(workplace, [job.run for job in planned])
    with SweepDisplay(store, jobs=len(jobs), planned=len(planned), left=[job.run for job in left]) as display:
        try:
            if left:
                for returned in launch([job.overrides for job in left]):
                    _ = returned.return_value  # raises what a worker raised
        except KeyboardInterrupt:
            display.note("interrupted: what was finished is kept; the same line goes on from here")
        except Exception as error:
            display.note(f"the launcher stopped: {type(error).__name__}: {str(error).strip().splitlines()[0]}")
    states = Counter((store.read(job.run.run_id) or {"status": "missing"})["status"] for job in planned)
    display.summary(states, workplace)
    if set(states) - {"finished", "diverged"}:
        sys.exit(1)
