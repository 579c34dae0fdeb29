"""How a sweep stands: what is done, failed, running (and where), missing; what it took, and what is left."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.compose import Composer, all_jobs, configuration
from gradreach.display import counted
from gradreach.records import SETTLED, RecordStore
from gradreach.sweeps.plan import Job, labels, plan, varied

AXES = ["model", "task", "seq_len", "kernel_size"]
MEASURED = ["seconds", "expected_seconds", "host", "process", "started", "error"]


def planned(line: Sequence[str], conf_dir: Path) -> list[Job]:
    """Return the runs that ``python run.py -m <line>`` would make; a bare name is an experiment.

    Raises:
        ConfigError: the folder has no configuration, or a setting cannot be.
    """
    from hydra import compose
    from hydra.core.global_hydra import GlobalHydra

    overrides = [word if "=" in word else f"experiment={word}" for word in line]
    with configuration(conf_dir):
        of_sweep = [override for override in overrides if override.lstrip("+~").startswith(("hydra.", "hydra/"))]
        of_runs = [override for override in overrides if override not in of_sweep]
        experiment = [override for override in of_runs if override.startswith("experiment=")]
        master = compose("config", overrides=[*experiment, *of_sweep], return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        return plan(all_jobs(loader, master, of_runs), Composer(loader, master).compose)


def survey(jobs: Sequence[Job]) -> pd.DataFrame:
    """Return one row a run, with a column for each key that varies.

    ``expected_seconds`` of what is not done is reckoned from runs of the same model on the same task, else on others,
    else of other models.
    """
    store = RecordStore(jobs[0].environment.results_dir / "runs")
    names, more = labels(jobs), varied(jobs)
    frame = pd.DataFrame(
        [{**_row(store, job), "run": names[job.run.run_id], **more[job.run.run_id]} for job in jobs],
    )
    model, task = frame["model"], frame["task"]
    whole = frame["status"] == "finished"  # one that diverged stopped early
    seconds, cost = (frame[column].where(whole).astype(float) for column in ("seconds", "cost"))

    def pace(*alike: pd.Series) -> pd.Series:
        return seconds.groupby(list(alike)).transform("sum") / cost.groupby(list(alike)).transform("sum")

    anything = pd.Series("any", index=frame.index)
    expected = frame["cost"] * pace(model, task).fillna(pace(model)).fillna(pace(anything))
    frame["expected_seconds"] = expected.where(~frame["status"].isin(SETTLED)).round(1)
    axes = [axis for axis in AXES if len(frame[axis].unique()) > 1]
    swept = dict.fromkeys(key for values in more.values() for key in values)
    return frame[["run_id", "status", "run", *axes, *swept, "seed", *MEASURED]]


def _row(store: RecordStore, job: Job) -> dict[str, Any]:
    record = store.read(job.run.run_id) or {}
    host = record.get("host", {})
    status = store.status(job.run.run_id)
    return {
        "run_id": job.run.run_id,
        "status": status,
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
    }


def _text(value: Any) -> str | None:
    return None if value is None else str(value)  # not a number: one without would make a 5 a 5.0


def show(frame: pd.DataFrame) -> None:
    """Print the counts, what is running where, and what went wrong."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {status}" for status, count in frame["status"].value_counts().items())
    console.print(f"[bold]{counted(len(frame))}[/bold]: {counts}")
    left = frame["expected_seconds"].sum() / (os.cpu_count() or 1)
    spent, known = frame["seconds"].sum(), frame["expected_seconds"].notna().any()
    ahead = f", about {_time(left)} left on {os.cpu_count()} cores" if known else ""
    console.print(f"time spent in runs: {_time(spent)}{ahead}")
    for run in frame[frame["status"] == "running"].itertuples():
        console.print(
            f"  running      {run.run} · seed {run.seed}  on {run.host}, process {run.process}, since {run.started}"
        )
    for run in frame[frame["status"].isin(["failed", "diverged", "interrupted"])].itertuples():
        error = str(run.error).splitlines()[0] if isinstance(run.error, str) else "its process is gone"
        console.print(f"  {run.status:<11}  {run.run} · seed {run.seed}: {error}", markup=False)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
