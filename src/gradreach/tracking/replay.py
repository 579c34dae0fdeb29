"""Logs a run from its record, as during the run."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.config import RunEnvironment, TrackingSettings
from gradreach.records import SETTLED, RecordStore
from gradreach.tracking.environment import below_agent
from gradreach.tracking.tracker import Tracker, track


def replay(record: Mapping[str, Any], store: RecordStore, tracker: Tracker) -> None:
    """Send the record of a run to a tracker, moment by moment.

    Args:
        record: of a run that is not under way.
        store: where its history and its profiles stand.
        tracker: the receiver.
    """
    run_id = str(record["run_id"])
    metrics = {name: float(value) for name, value in (record.get("metrics") or {}).items()}
    start = {key.replace("/start/", "/"): value for key, value in metrics.items() if key.startswith("gradient/start/")}
    tracker.log({"epoch": 0, "step": 0, **start})
    for row in rows_of(store.read_history(run_id)):
        tracker.log(row)
    if record["status"] in SETTLED:
        profile = store.read_profile(run_id)
        tracker.summarize({**record, "metrics": metrics}, [pd.DataFrame(profile)] if profile else [])


def replay_to_agent(record: Mapping[str, Any], environment: RunEnvironment) -> None:
    """Tell of a finished run in the W&B run for which the server of an agent waits; elsewhere nobody does."""
    if environment.tracking.mode != "off" and below_agent():
        with track(environment, dict(record)) as tracker:
            replay(record, RecordStore(environment.results_dir / "runs"), tracker)


def rows_of(history: str) -> list[dict[str, Any]]:
    """Return the rows of a history as they were told: whole numbers whole, what a row has not left out.

    >>> rows_of("epoch,step,val/loss\\n1,17,0.5\\n1.5,25,\\n")
    [{'epoch': 1, 'step': 17, 'val/loss': 0.5}, {'epoch': 1.5, 'step': 25}]
    """
    return [
        {name: int(cell) if cell.isdecimal() else float(cell) for name, cell in row.items() if cell}
        for row in csv.DictReader(io.StringIO(history))
    ]


def lines_told(record: Mapping[str, Any], history: str) -> int:
    """Return how many lines of history W&B is told of a run, by its record: one a step."""
    steps = {row["step"] for row in rows_of(history)}
    return (len(steps | {0}) if steps else 0) + (record["status"] in SETTLED)


def rebuild(records: Iterable[Mapping[str, Any]], results_dir: Path, tracking: TrackingSettings) -> None:
    """Write the W&B files of runs from their records, as ``tracking=offline`` writes them.

    Args:
        records: of runs that are not under way; ``wandb_id`` among what one says is the id that a server has it by.
        results_dir: the folder of results.
        tracking: project and entity.
    """
    from gradreach.tracking.wandb_run import WandbRun

    os.environ.pop("WANDB_SWEEP_ID", None)  # an agent waits for one run, not for these
    for record in records:
        run = WandbRun(record, tracking.model_copy(update={"mode": "offline"}), results_dir)
        try:
            replay(record, RecordStore(results_dir / "runs"), run)
        except BaseException:
            run.abandon()
            raise
        run.close(0 if record["status"] in SETTLED else 1)
