"""One run: configuration in, record out."""

import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pandas as pd
import torch
from omegaconf import DictConfig

from gradreach.config import RunConfig, Workplace, parse, plain
from gradreach.diagnostics import Instrument
from gradreach.errors import ConfigError, refuse
from gradreach.models import SequenceModel
from gradreach.provenance import host, revision, versions
from gradreach.records import RecordStore
from gradreach.tasks import Task
from gradreach.tracking import Tracker, track

Tell = Callable[[dict[str, Any]], None]


def run_composed(composed: DictConfig) -> float | None:
    """Do the run that Hydra composed.

    Returns:
        Its validation accuracy, for sweepers that search; None where it has none.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from gradreach.display import RunDisplay

    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    try:
        run, workplace = parse(plain(composed))
        check(run)
    except ConfigError as error:
        if in_sweep:
            raise
        refuse(str(error))  # before Hydra could report it in its own words
    if in_sweep:
        record = execute(run, workplace)
    else:
        with RunDisplay(run) as display:
            record = execute(run, workplace, display.epoch)
        display.result(record, workplace)
        if record["status"] == "failed":
            sys.exit(1)
    return record.get("metrics", {}).get("val/accuracy")


def assemble(run: RunConfig) -> tuple[Task, SequenceModel]:
    """Make the task and a model that fits it.

    Raises:
        ConfigError: where they cannot work together.
    """
    task: Task = run.task.make()
    encoder = run.model.make(task.shape.channels)
    encoder.check_length(task.shape.length)
    return task, SequenceModel(encoder, run.model.readout, task.shape.outputs)


def check(run: RunConfig) -> tuple[Task, SequenceModel]:
    """Assemble a run without memory for its weights, and without data: what cannot work is refused here."""
    with torch.device("meta"):
        return assemble(run)


def execute(run: RunConfig, workplace: Workplace, tell: Tell = lambda row: None) -> dict[str, Any]:
    """Do a run unless it is done; what goes wrong within it becomes a record, and the caller goes on.

    Args:
        run: what to do.
        workplace: where and how.
        tell: called with the figures of each epoch.

    Returns:
        The record: ``finished``, ``diverged``, or ``failed`` with its traceback.
    """
    store = RecordStore(workplace.results_dir / "runs")
    with store.claim(run.run_id):
        done = store.settled(run.run_id)
        if done is not None and not workplace.force:
            return done
        record: dict[str, Any] = {
            "run_id": run.run_id,
            "group_id": run.group_id,
            "label": run.label,
            "status": "running",
            "experiment": workplace.experiment,
            "config": run.canonical(),
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "revision": revision(),
            "versions": versions(),
            "host": host(),
        }
        store.write(record)
        start = time.perf_counter()
        history: list[dict[str, Any]] = []
        tables: dict[str, list[pd.DataFrame]] = {}
        try:
            with track(run, workplace, record) as tracker:
                record |= _train_and_measure(run, workplace, tracker, tell, history, tables)
        except Exception as error:
            record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            record["traceback"] = traceback.format_exc()
        record["seconds"] = round(time.perf_counter() - start, 3)
        store.write(record, history, _columns(tables))
        return record


def _train_and_measure(
    run: RunConfig,
    workplace: Workplace,
    tracker: Tracker,
    tell: Tell,
    history: list[dict[str, Any]],
    tables: dict[str, list[pd.DataFrame]],
) -> dict[str, Any]:
    """Do the work; history and tables grow as it goes, so that a failure keeps what there was."""
    from gradreach.training import Diverged, fit

    torch.set_num_threads(workplace.threads)
    torch.manual_seed(run.seed)
    task, model = assemble(run)
    model.to(workplace.device)
    splits = task.splits(workplace.data_dir)
    facts = {
        "chance": task.chance(splits),
        "parameters": model.parameter_count,
        "multiply_adds": model.multiply_adds(task.shape.length),
        "receptive_field": model.encoder.receptive_field,
        "examples": {name: len(split) for name, split in splits._asdict().items()},
    }
    metrics: dict[str, float] = {}

    probe = splits.validation.take(slice(run.diagnostics.examples))
    instrument = Instrument(model, probe, task.loss, run.diagnostics.schedules, run.diagnostics.exponents)
    instrument.tables = tables

    def measure(stage: str, epoch: int | None = None) -> dict[str, float]:
        measured = instrument.measure(stage, epoch)
        if epoch is None:
            metrics.update({f"gradient/{stage}/{name}": value for name, value in measured.items()})
        return {f"gradient/{name}": value for name, value in measured.items()}

    def told(row: dict[str, Any]) -> None:
        row = {**row, **measure(f"epoch {row['epoch']}", row["epoch"])}
        history.append(row)
        tracker.log(row)
        tell(row)

    tracker.log({"epoch": 0, **measure("start")})
    before = instrument.seconds
    try:
        fitted = fit(model, task, splits, run.optimizer, run.trainer, seed=run.seed, device=workplace.device, tell=told)
    except Diverged as reason:
        return {**facts, "status": "diverged", "metrics": metrics, "error": str(reason)}
    training_seconds = fitted.seconds - (instrument.seconds - before)
    tracker.log({"epoch": run.trainer.epochs, **measure("end")})
    metrics.update(fitted.figures)
    tracker.summarize(metrics, tables.get("profile", []))
    return {
        **facts,
        "status": "finished",
        "metrics": metrics,
        "best_epoch": fitted.best_epoch,
        "steps": fitted.steps,
        "steps_per_second": round(fitted.steps / training_seconds, 3),
        "training_seconds": round(training_seconds, 3),
        "diagnostics_seconds": round(instrument.seconds, 3),
    }


def _columns(tables: dict[str, list[pd.DataFrame]]) -> dict[str, np.ndarray]:
    """Return what profile.npz holds: the profile's columns, and those of every other table as ``table/column``."""
    columns: dict[str, np.ndarray] = {}
    for title, frames in tables.items():
        prefix = "" if title == "profile" else f"{title}/"
        table = pd.concat(frames, ignore_index=True)
        # text is stored as fixed-width unicode: an array of Python objects would need a pickle
        columns |= {f"{prefix}{n}": table[n].to_numpy("U" if table[n].dtype == object else None) for n in table}
    return columns
