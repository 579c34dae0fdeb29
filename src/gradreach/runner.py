"""One run: configuration in, record out."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from omegaconf import DictConfig

from gradreach.config import RunConfig, Workplace, parse, plain, resolve
from gradreach.diagnostics import DECODED, Instrument
from gradreach.errors import ConfigError, advise, refuse
from gradreach.interruption import Interrupted, Interruption, asked_to_stop, watched
from gradreach.models import SequenceModel, build, caveat
from gradreach.provenance import host, revision, versions
from gradreach.records import SETTLED, RecordStore
from gradreach.tasks import Task
from gradreach.tracking import Tracker, mode_now, track

if TYPE_CHECKING:
    from gradreach.training import EpochEnd

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
        task, model = check(run, workplace)
        check_device(workplace.device)
        if not in_sweep:
            RecordStore(workplace.results_dir / "runs").check_writable()
            mode_now(workplace.tracking)  # refuses a wrong key before anything starts
    except ConfigError as error:
        if in_sweep:
            raise
        refuse(str(error))  # before Hydra could report it in its own words
    with watched() as interruption:
        if in_sweep:
            record = execute_in_sweep(run, workplace, interruption)
        else:
            advise(caveat(model, task.shape))
            with RunDisplay(run) as display:
                record = execute(run, workplace, display.epoch, interruption)
            display.result(record, workplace)
            if record["status"] != "finished":
                sys.exit({"diverged": 0, "interrupted": 130}.get(record["status"], 1))
    return (record.get("metrics") or {}).get(f"val/{record.get('metric')}")


def execute_in_sweep(run: RunConfig, workplace: Workplace, interruption: Interruption) -> dict[str, Any]:
    """Do a run among many: what it prints goes to its log, and a run that another worker does is left to it.

    Returns:
        The record; empty where somebody else is at it, or where this process has been asked to stop.
    """
    store = RecordStore(workplace.results_dir / "runs")
    if asked_to_stop() or store.claimed(run.run_id):
        return {}
    log = store.log(run.run_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        record = execute(run, workplace, interruption=interruption)
    if not log.stat().st_size:
        log.unlink()
    interruption.pass_on()
    return record


def assemble(run: RunConfig, workplace: Workplace) -> tuple[Task, SequenceModel]:
    """Make the task and a model that fits it.

    Raises:
        ConfigError: where they cannot work together, or the task's files cannot be used.
    """
    task = _task(run, workplace)
    return task, _model(run, task)


def check(run: RunConfig, workplace: Workplace) -> tuple[Task, SequenceModel]:
    """Assemble a run without memory for its weights; of the data no more is read than tells their shape.

    What cannot work is refused here.
    """
    task = _task(run, workplace)
    with torch.device("meta"):
        return task, _model(run, task)


def _task(run: RunConfig, workplace: Workplace) -> Task:
    task: Task = run.task.make()
    task.prepare(workplace.data_dir)
    return task


def _model(run: RunConfig, task: Task) -> SequenceModel:
    return build(resolve(run.model.target), run.model.arguments(), task.shape, **run.model.ends())


def check_device(name: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name not in devices and not (name == "cuda" and torch.cuda.is_available()):
        raise ConfigError(f"device={name}: not on this machine; choose from {', '.join(devices)}")


def execute(
    run: RunConfig,
    workplace: Workplace,
    tell: Tell = lambda row: None,
    interruption: Interruption | None = None,
) -> dict[str, Any]:
    """Do a run unless it is done; what goes wrong within it becomes a record, and the caller goes on.

    Args:
        run: what to do.
        workplace: where and how.
        tell: called with the figures of each epoch.
        interruption: says whether the process was asked to stop.

    Returns:
        The record: ``finished``, ``diverged``, ``interrupted`` (it goes on when it is done again), or ``failed`` with
        its traceback.
    """
    from gradreach.training import EpochEnd, Saving

    store = RecordStore(workplace.results_dir / "runs")
    with store.claim(run.run_id):
        done = store.settled(run.run_id)
        if done is not None and not workplace.force:
            return done
        saving = Saving(store.checkpoint(run.run_id), run.trainer.checkpoint_seconds, run.trainer.keep_checkpoint)
        if workplace.force or not _readable(saving.path):
            saving.path.unlink(missing_ok=True)
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
            "host": {**host(), "process": os.getpid()},
        }
        store.write(record)
        start = time.perf_counter()
        epochs = EpochEnd(tell, saving, interruption)
        try:
            with track(run, workplace, record) as tracker:
                record |= _train_and_measure(run, workplace, tracker, epochs)
        except Interrupted as reason:
            record |= {"status": "interrupted", "error": f"stopped by {reason} after epoch {epochs.done}"}
        except Exception as error:
            record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            record["traceback"] = traceback.format_exc()
        record["seconds"] = round(time.perf_counter() - start, 3)
        tables = {title: pd.concat(frames, ignore_index=True) for title, frames in epochs.tables.items()}
        store.write(record, epochs.history, tables)
        if record["status"] in SETTLED and not saving.keep:
            saving.path.unlink(missing_ok=True)
        return record


def _readable(checkpoint: Path) -> bool:
    """Return whether a run can go on from a checkpoint; one from elsewhere may be damaged."""
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception:
        return False
    return True


def _train_and_measure(
    run: RunConfig,
    workplace: Workplace,
    tracker: Tracker,
    epochs: "EpochEnd",
) -> dict[str, Any]:
    """Do the work; what the epochs hold grows as it goes, so that a failure keeps what there was."""
    from gradreach.training import Diverged, fit

    torch.set_num_threads(workplace.threads)
    torch.manual_seed(run.seed)
    task, model = assemble(run, workplace)
    model.to(workplace.device)
    splits = task.splits(workplace.data_dir)
    facts = {
        "metric": task.metric,
        "chance": task.chance(splits),
        "width": model.width,
        "parameters": model.parameter_count,
        "multiply_adds": model.multiply_adds(task.shape.length),
        "receptive_field": model.encoder.receptive_field,
        "examples": {name: len(split) for name, split in splits._asdict().items()},
        "data": task.facts(),
    }
    metrics: dict[str, float] = {}

    probe, decoded = (splits.validation.take(slice(n)) for n in (run.diagnostics.examples, DECODED))
    instrument = Instrument(model, probe, task.loss, run.diagnostics.schedules, run.diagnostics.exponents, decoded)
    instrument.tables = epochs.tables

    def measure(stage: str, passed: tuple[float, int] | None = None) -> dict[str, float]:
        measured = instrument.measure(stage, passed)
        if passed is None:
            metrics.update({f"gradient/{stage}/{name}": value for name, value in measured.items()})
        return {f"gradient/{name}": value for name, value in measured.items()}

    def measure_within(epoch: float, step: int) -> dict[str, float]:
        return measure(f"epoch {epoch}", (epoch, step))

    show = epochs.tell

    def tell(row: dict[str, Any]) -> None:
        tracker.log(row)
        show(row)

    epochs.tell, epochs.measure = tell, measure_within
    tracker.log({"epoch": 0, "step": 0, **measure("start")})
    before = instrument.seconds
    try:
        fitted = fit(
            model, task, splits, run.optimizer, run.trainer, seed=run.seed, device=workplace.device, epochs=epochs
        )
    except Diverged as reason:
        result = {**facts, "status": "diverged", "metrics": metrics, "error": str(reason)}
        tracker.summarize(result, epochs.tables.get("profile", []))
        return result
    training_seconds = fitted.seconds - (instrument.seconds - before)
    measure("end")
    metrics.update(fitted.figures)
    result = {
        **facts,
        "status": "finished",
        "metrics": metrics,
        "best_epoch": fitted.best_epoch,
        "steps": fitted.steps,
        "steps_per_second": round(fitted.steps / training_seconds, 3),
        "training_seconds": round(training_seconds, 3),
        "diagnostics_seconds": round(instrument.seconds, 3),
    }
    tracker.summarize(result, epochs.tables.get("profile", []))
    return result
