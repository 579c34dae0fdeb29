"""One run: configuration in, record out."""

import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig

from gradreach.config import RunConfig, Workplace, parse, plain
from gradreach.diagnostics import figures, gradient_profile
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
        Its validation accuracy (or mean squared error: then search for the least), for sweepers that search; None
        where it has none.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from gradreach.display import RunDisplay

    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    try:
        run, workplace = parse(plain(composed))
        check(run, workplace)
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
    return record.get("metrics", {}).get(f"val/{record.get('metric')}")


def assemble(run: RunConfig, workplace: Workplace) -> tuple[Task, SequenceModel]:
    """Make the task and a model that fits it.

    Raises:
        ConfigError: where they cannot work together, or the task's files cannot be used.
    """
    task: Task = run.task.make()
    task.prepare(workplace.data_dir)
    encoder = run.model.make(task.shape.channels)
    encoder.check_length(task.shape.length)
    return task, SequenceModel(encoder, run.model.readout, task.shape.outputs)


def check(run: RunConfig, workplace: Workplace) -> tuple[Task, SequenceModel]:
    """Assemble a run without memory for its weights; of the data no more is read than tells their shape.

    What cannot work is refused here.
    """
    with torch.device("meta"):
        return assemble(run, workplace)


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
        profiles: list[pd.DataFrame] = []
        try:
            with track(run, workplace, record) as tracker:
                record |= _train_and_measure(run, workplace, tracker, tell, history, profiles)
        except Exception as error:
            record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            record["traceback"] = traceback.format_exc()
        record["seconds"] = round(time.perf_counter() - start, 3)
        profile = pd.concat(profiles) if profiles else pd.DataFrame()
        columns = {str(name): profile[name].to_numpy(_storable(profile[name])) for name in profile}
        store.write(record, history, columns)
        return record


def _train_and_measure(
    run: RunConfig,
    workplace: Workplace,
    tracker: Tracker,
    tell: Tell,
    history: list[dict[str, Any]],
    profiles: list[pd.DataFrame],
) -> dict[str, Any]:
    """Do the work; history and profiles grow as it goes, so that a failure keeps what there was."""
    from gradreach.training import Diverged, fit

    torch.set_num_threads(workplace.threads)
    torch.manual_seed(run.seed)
    task, model = assemble(run, workplace)
    model.to(workplace.device)
    splits = task.splits(workplace.data_dir)
    facts = {
        "metric": task.metric,
        "chance": task.chance(splits),
        "parameters": model.parameter_count,
        "multiply_adds": model.multiply_adds(task.shape.length),
        "receptive_field": model.encoder.receptive_field,
        "examples": {name: len(split) for name, split in splits._asdict().items()},
        "data": task.facts(),
    }
    metrics: dict[str, float] = {}

    def measure(stage: str) -> dict[str, float]:
        if run.diagnostics.name == "off":
            return {}
        probe = splits.validation.take(slice(run.diagnostics.examples))
        profile = gradient_profile(model, probe, task.loss)
        profiles.append(profile.assign(stage=stage))
        measured = figures(profile)
        metrics.update({f"gradient/{stage}/{name}": value for name, value in measured.items()})
        return {f"gradient/{name}": value for name, value in measured.items()}

    def told(row: dict[str, Any]) -> None:
        history.append(row)
        tracker.log(row)
        tell(row)

    tracker.log({"epoch": 0, **measure("start")})
    try:
        fitted = fit(model, task, splits, run.optimizer, run.trainer, seed=run.seed, device=workplace.device, tell=told)
    except Diverged as reason:
        return {**facts, "status": "diverged", "metrics": metrics, "error": str(reason)}
    tracker.log({"epoch": run.trainer.epochs, **measure("end")})
    metrics.update(fitted.figures)
    tracker.summarize(metrics, profiles)
    return {
        **facts,
        "status": "finished",
        "metrics": metrics,
        "best_epoch": fitted.best_epoch,
        "steps": fitted.steps,
        "steps_per_second": round(fitted.steps / fitted.seconds, 3),
    }


def _storable(column: pd.Series) -> str | None:
    """Text is stored as fixed-width unicode: an array of Python objects would need a pickle."""
    return "U" if column.dtype == object else None
