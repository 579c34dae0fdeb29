"""The state of a sweep: finished here or elsewhere, failed, running, missing; time spent, and time left."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from gradreach.compose import Composer, all_jobs, configuration
from gradreach.config import ROUND, parse, plain
from gradreach.display import counted, warned_lines
from gradreach.records import SETTLED, RecordStore
from gradreach.rounding import number
from gradreach.run_table.columns import MISSING, as_frame, planned_row
from gradreach.run_table.committed import rows_of
from gradreach.run_table.join import LONG, committed_runs
from gradreach.sweeps.plan import Job, labels, plan, varied

Compose = Callable[[Sequence[str]], DictConfig]

AXES = ["model", "task", "seq_len", "kernel_size"]
MEASURED = ["made", "seconds", "expected_seconds", "host", "process", "started", "error", "warnings"]
BETWEEN = " | "
"""Separates the warnings of a run."""
HERE, COMMITTED, OTHER = "here", "committed", "other code"
"""The source of a run's data: a record here, or a committed table, made by this code or by other code."""


def planned(line: Sequence[str], conf_dir: Path) -> list[Job]:
    """Return the runs of ``python run.py -m <line>``; a bare name is an experiment.

    Raises:
        ConfigError: the folder has no configuration, or a setting is invalid.
    """
    with composing(line, conf_dir) as (jobs, compose):
        return plan(jobs, compose)


def planned_rows(name: str, conf_dir: Path) -> pd.DataFrame:
    """Return the run table of an experiment before its runs; no data are read for it.

    Raises:
        ConfigError: as of ``planned``.
    """
    with composing([name], conf_dir) as (jobs, compose):
        runs = {run.run_id: run for run, _ in (parse(plain(compose(job))) for job in jobs)}
    return as_frame(planned_row(run.canonical(), run_id) for run_id, run in runs.items())


@contextmanager
def composing(line: Sequence[str], conf_dir: Path) -> Iterator[tuple[Sequence[Sequence[str]], Compose]]:
    """Yield the overrides of each job of ``python run.py -m <line>``, and the function that composes them.

    Raises:
        ConfigError: the folder has no configuration.
    """
    with reading(line, conf_dir) as (loader, master, of_runs):
        yield all_jobs(loader, master, of_runs), Composer(loader, master).compose


@contextmanager
def reading(line: Sequence[str], conf_dir: Path) -> Iterator[tuple[Any, DictConfig, Sequence[str]]]:
    """Give Hydra's loader, what it composes for ``python run.py -m <line>``, and what the line says of runs.

    Raises:
        ConfigError: the folder has no configuration.
    """
    from hydra import compose
    from hydra.core.global_hydra import GlobalHydra

    overrides = [word if "=" in word else f"experiment={word}" for word in line]
    with configuration(conf_dir):
        of_sweep = [override for override in overrides if override.lstrip("+~").startswith(("hydra.", "hydra/"))]
        of_runs = [override for override in overrides if override not in of_sweep]
        named = [override for override in of_runs if override.startswith(("experiment=", "published="))]
        master = compose("config", overrides=[*named, *of_sweep], return_hydra_config=True)
        yield GlobalHydra.instance().config_loader(), master, of_runs


def survey(jobs: Sequence[Job]) -> pd.DataFrame:
    """Return one row a run, with a column for each key that varies.

    ``made`` says where what is known of a run comes from. What a committed table knows of runs that the present code
    made counts as done. ``expected_seconds`` of what is not done is reckoned from runs of the same model on the same
    task, else on others, else of other models; among them are those that are committed, whatever code made them.
    """
    frame, known = standing(jobs)
    names, more = labels(jobs), varied(jobs)
    frame["run"] = frame["run_id"].map(names)
    frame["process"] = frame["process"].astype("Int64")  # not 8119.0, as beside runs without one
    frame = frame.join(pd.DataFrame([more[job.run_id] for job in jobs], index=frame.index))
    frame["expected_seconds"] = expected_seconds(frame, known).where(~frame["status"].isin(SETTLED)).round(1)
    axes = [axis for axis in AXES if len(frame[axis].unique()) > 1]
    swept = dict.fromkeys(key for values in more.values() for key in values)
    return frame[["run_id", "status", "run", *axes, *swept, "seed", *MEASURED]]


def standing(jobs: Sequence[Job]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the state of each run of a sweep, and the runs from which the time of others is estimated."""
    store, committed = RecordStore(jobs[0].environment.results_dir / "runs"), committed_of(jobs)
    rows = {str(each["run_id"]): each for each in rows_of(committed)}
    frame = pd.DataFrame([_row(store, job, rows.get(job.run_id)) for job in jobs])
    here = frame[frame["made"] == HERE]
    return frame, together([timed(here), timed(costed(committed[~committed["run_id"].isin(here["run_id"])]))])


def committed_of(jobs: Sequence[Job]) -> pd.DataFrame:
    """Return what is committed of runs, as ``committed_runs`` does, for the experiment that a sweep is of."""
    environment = jobs[0].environment
    return committed_runs(environment.results_dir, environment.experiment)


def made_by_other_code(jobs: Sequence[Job]) -> int:
    """Return how many runs stand in the committed table of a sweep's experiment that other code made, and only there.

    Among them are those that the present code knows by another identity, or plans no more.
    """
    if jobs[0].environment.experiment is None:
        return 0
    store, committed = RecordStore(jobs[0].environment.results_dir / "runs"), committed_of(jobs)
    others = committed.loc[~committed["present"], "run_id"]
    return sum(store.read(run_id) is None for run_id in others)


def costed(runs: pd.DataFrame) -> pd.DataFrame:
    """Add the cost of each run to a run table, in the unit of ``Job.cost``."""
    long = runs.reindex(columns=[f"trainer.{name}" for name in LONG]).astype(float)  # a table lacks what no run has set
    epochs, steps, examples, batches = (long[name] for name in long)
    passes = epochs.fillna(np.ceil(steps * examples * batches.fillna(1) / ROUND))  # as TrainerSettings.passes
    return runs.assign(cost=runs["multiply_adds"].astype(float) * passes)


def timed(runs: pd.DataFrame) -> pd.DataFrame:
    """Return ``model``, ``task``, ``cost`` and ``seconds`` of runs that went to their end; what diverged did not."""
    whole = (runs["status"] == "finished") & runs["seconds"].notna() & runs["cost"].notna()
    return runs.loc[whole, ["model", "task", "cost", "seconds"]].astype({"cost": float, "seconds": float})


def together(known: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return several frames from ``timed`` as one."""
    return pd.concat([each for each in known if len(each)] or known[:1])


def expected_seconds(runs: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    """Estimate the time of runs from others; NaN if nothing is known.

    Args:
        runs: ``model``, ``task``, and ``cost``.
        known: from ``timed``.
    """

    def pace(*alike: str) -> pd.Series:
        sums = known.groupby(list(alike), sort=False)[["seconds", "cost"]].sum()
        ratio = (sums["seconds"] / sums["cost"]).rename("pace")
        return pd.Series(runs[list(alike)].join(ratio, on=list(alike))["pace"].to_numpy(float), index=runs.index)

    anything = known["seconds"].sum() / known["cost"].sum() if len(known) else math.nan
    return runs["cost"].astype(float) * pace("model", "task").fillna(pace("model")).fillna(anything)


def _row(store: RecordStore, job: Job, committed: Mapping[str, Any] | None) -> dict[str, Any]:
    record = store.read(job.run_id)
    made, status = (None, MISSING) if record is None else (HERE, store.status_of(record))
    if record is None and committed is not None:
        made = COMMITTED if committed["present"] else OTHER
    record = record or {}
    if made == COMMITTED and committed is not None:
        status, record = committed["status"], {"seconds": committed["seconds"]}
    host = record.get("host", {})
    return {
        "run_id": job.run_id,
        "status": status,
        "made": made,
        "seed": job.run.seed,
        "model": job.run.model.name,
        "task": job.run.task.name,
        "seq_len": _text(job.run.task.arguments().get("seq_len")),
        "kernel_size": _text(job.run.model.arguments().get("kernel_size")),
        "cost": job.cost,
        "seconds": record.get("seconds"),
        "host": host.get("name"),
        "process": host.get("process") if status == "running" else None,
        "started": record.get("started"),
        "error": record.get("error"),
        "warnings": BETWEEN.join(record.get("warnings", ())) or None,
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)  # not a number: one without would make a 5 a 5.0


def show(frame: pd.DataFrame, others: int = 0) -> None:
    """Print counts, runs finished elsewhere, running ones with their places, and errors.

    Args:
        frame: from ``survey``.
        others: how many runs other code made that are committed, from ``made_by_other_code``.
    """
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {status}" for status, count in frame["status"].value_counts().items())
    console.print(f"[bold]{counted(len(frame))}[/bold]: {counts}")
    if committed := int((frame["made"] == COMMITTED).sum()):
        console.print(f"  from the committed table, made elsewhere by this code: {committed} of them")
    if others:
        console.print(f"  in the committed table, made by other code: {counted(others)}, not counted above")
        console.print("  'gradreach tables' shows them as they are; a sweep re-runs them with this code")
    to_do = ~frame["status"].isin(SETTLED)
    left = frame["expected_seconds"].sum()
    spent, known = frame["seconds"].sum(), frame["expected_seconds"].notna().any()
    ahead = f", about {_time(left / (os.cpu_count() or 1))} left on {os.cpu_count()} cores" if known else ""
    console.print(f"time spent in runs: {_time(spent)}{ahead}")
    if to_do.any():
        unknown = int((to_do & frame["expected_seconds"].isna()).sum())
        console.print(f"core-hours left: {core_hours(left, int(to_do.sum()), unknown)}")
    for line in warned_lines(texts.split(BETWEEN) for texts in frame["warnings"].dropna()):
        console.print(line, markup=False)
    for run in frame[frame["status"] == "running"].itertuples():
        console.print(
            f"  running      {run.run} · seed {run.seed}  on {run.host}, process {run.process}, since {run.started}"
        )
    for run in frame[frame["status"].isin(["failed", "diverged", "interrupted"])].itertuples():
        error = str(run.error).splitlines()[0] if isinstance(run.error, str) else "its process has died"
        console.print(f"  {run.status:<11}  {run.run} · seed {run.seed}: {error}", markup=False)


def core_hours(seconds: float, left: int, unknown: int) -> str:
    """Return the core-hours left of a sweep, at one core per run.

    Args:
        seconds: the estimated part.
        left: how many runs it is.
        unknown: how many of them have no estimate.
    """
    if left and left == unknown:
        return "unknown, no similar run has finished"
    hours = seconds / 3600
    return number(hours, ".1f" if hours >= 1 else ".2f") + (
        f", and {counted(unknown)} of unknown length" if unknown else ""
    )


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
