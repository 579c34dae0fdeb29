"""One run: configuration in, record out."""

import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from filelock import Timeout
from omegaconf import DictConfig

from gradreach.assemble import assemble, check, check_device
from gradreach.config import RunConfig, RunEnvironment, parse, plain
from gradreach.diagnostics import DECODED, Instrument
from gradreach.errors import FULL, ConfigError, advise, no_room, refuse
from gradreach.models import caveat
from gradreach.records import SETTLED, RecordStore, left_alone
from gradreach.run_table.join import committed_note
from gradreach.system.interruption import Interrupted, Interruption, asked_to_stop, watched
from gradreach.system.provenance import code_digest, host, revision, versions
from gradreach.system.worker import worker
from gradreach.tracking import Tracker, mode_now, track

if TYPE_CHECKING:
    from gradreach.training import EpochEnd

Tell = Callable[[dict[str, Any]], None]

CLAIM_SECONDS = 0.5
"""How long a worker tries for a run: longer than others look whether it is held, much shorter than they do it."""


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
        run, environment = parse(plain(composed))
        task, model = check(run, environment)
        check_device(environment.device)
        if not in_sweep:
            RecordStore(environment.results_dir / "runs").check_writable()
            mode_now(environment.tracking)  # refuses a wrong key before anything starts
    except ConfigError as error:
        if in_sweep:
            raise
        refuse(error)  # before Hydra could report it in its own words
    with watched() as interruption:
        if in_sweep:
            record = execute_in_sweep(run, environment, interruption)
        else:
            advise(caveat(model, task.shape))
            advise(committed_note(environment.results_dir, run.run_id))
            with RunDisplay(run) as display:
                record = execute(run, environment, display.epoch, interruption)
            display.result(record, environment)
            if record["status"] != "finished":
                sys.exit({"diverged": 0, "interrupted": 130}.get(record["status"], 1))
    return (record.get("metrics") or {}).get(f"val/{record.get('metric')}")


def execute_in_sweep(run: RunConfig, environment: RunEnvironment, interruption: Interruption) -> dict[str, Any]:
    """Do a run among many: what it prints goes to its log, and a run that another worker does is left to it.

    Returns:
        The record; empty where somebody else is at it, or where this process has been asked to stop.
    """
    store = RecordStore(environment.results_dir / "runs")
    if asked_to_stop():
        return {}
    try:
        with store.claim(run.run_id, timeout=CLAIM_SECONDS):
            log = store.log(run.run_id)
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
                record = _execute(run, environment, store, lambda row: None, interruption)
            if not log.stat().st_size:
                log.unlink()
    except Timeout:
        return {}
    interruption.pass_on()
    return record


def execute(
    run: RunConfig,
    environment: RunEnvironment,
    tell: Tell = lambda row: None,
    interruption: Interruption | None = None,
) -> dict[str, Any]:
    """Do a run unless it is done; what goes wrong within it becomes a record, and the caller goes on.

    Args:
        run: what to do.
        environment: where and how.
        tell: called with the figures of each epoch.
        interruption: says whether the process was asked to stop.

    Returns:
        The record: ``finished``, ``diverged``, ``interrupted`` (it goes on when it is done again), or ``failed`` with
        its traceback.
    """
    store = RecordStore(environment.results_dir / "runs")
    with store.claim(run.run_id):
        return _execute(run, environment, store, tell, interruption)


def _execute(
    run: RunConfig, environment: RunEnvironment, store: RecordStore, tell: Tell, interruption: Interruption | None
) -> dict[str, Any]:
    """Do a run that this process holds.

    Raises:
        OSError: the disk takes no more; the record says so if it can.
    """
    from gradreach.training import EpochEnd, Saving

    done = store.read(run.run_id)
    if done is not None and not environment.force and done["status"] in left_alone(environment.retry):
        return done
    saving = Saving(store.checkpoint(run.run_id), run.trainer.checkpoint_seconds, run.trainer.keep_checkpoint)
    if environment.force:
        saving.path.unlink(missing_ok=True)
    record: dict[str, Any] = {
        "run_id": run.run_id,
        "group_id": run.group_id,
        "label": run.label,
        "status": "running",
        "experiment": environment.experiment,
        "config": run.canonical(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(),
        "code": code_digest(),
        "versions": versions(),
        "host": {**host(), **worker()},
    }
    store.write(record)
    start = time.perf_counter()
    epochs = EpochEnd(tell, saving, interruption)

    def spent() -> dict[str, Any]:
        """Sum up over all parts of a run that was interrupted."""
        seconds = epochs.spent_before.get("seconds", 0.0) + time.perf_counter() - start
        return {"started": epochs.spent_before.get("started", record["started"]), "seconds": round(seconds, 3)}

    epochs.spent, begun = spent, dict(record)
    try:
        try:
            with track(run, environment, record) as tracker:
                record |= _train_and_measure(run, environment, tracker, epochs)
        except Interrupted as reason:
            record |= {"status": "interrupted", "error": f"stopped by {reason} after epoch {epochs.done}"}
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            record["traceback"] = traceback.format_exc()
        record |= epochs.spent()
        tables = {title: pd.concat(frames, ignore_index=True) for title, frames in epochs.tables.items()}
        store.write(record, epochs.history, tables)
    except OSError as error:
        with suppress(OSError):  # a record alone is small
            store.write({**begun, **epochs.spent(), "status": "interrupted", "error": no_room(error)})
        raise
    if record["status"] in SETTLED and not saving.keep:
        saving.path.unlink(missing_ok=True)
    return record


def _train_and_measure(
    run: RunConfig,
    environment: RunEnvironment,
    tracker: Tracker,
    epochs: "EpochEnd",
) -> dict[str, Any]:
    """Do the work; what the epochs hold grows as it goes, so that a failure keeps what there was."""
    from gradreach.training import Diverged, fit, flaw

    torch.set_num_threads(environment.threads)
    torch.manual_seed(run.seed)
    task, model = assemble(run, environment)
    model.to(environment.device)
    saved = epochs.saving.path if epochs.saving is not None else None
    if saved is not None and saved.exists() and (why := flaw(saved, model)) is not None:
        print(f"gradreach: {saved}: {why}; the run begins at its start", file=sys.stderr)
        saved.unlink()
    splits = task.splits(environment.data_dir)
    facts = {
        "metric": task.metric,
        "chance": task.chance(splits),
        "width": model.width,
        "parameters": model.parameter_count,
        "multiply_adds": model.multiply_adds(task.shape.length),
        "receptive_field": model.receptive_field,
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

    whole = epochs.spent

    def spent() -> dict[str, Any]:
        seconds = epochs.spent_before.get("diagnostics_seconds", 0.0) + instrument.seconds
        return {**whole(), "diagnostics_seconds": round(seconds, 3)}

    epochs.tell, epochs.measure, epochs.spent = tell, measure_within, spent
    tracker.log({"epoch": 0, "step": 0, **measure("start")})
    try:
        fitted = fit(
            model, task, splits, run.optimizer, run.trainer, seed=run.seed, device=environment.device, epochs=epochs
        )
    except Diverged as reason:
        result = {**facts, "status": "diverged", "metrics": metrics, "error": str(reason)}
        tracker.summarize(result, epochs.tables.get("profile", []))
        return result
    measure("end")
    metrics.update(fitted.figures)
    result = {
        **facts,
        "status": "finished",
        "metrics": metrics,
        "best_epoch": fitted.best_epoch,
        "steps": fitted.steps,
        "steps_per_second": round(fitted.steps / fitted.seconds, 3),
        "training_seconds": round(fitted.seconds, 3),
    }
    tracker.summarize(result, epochs.tables.get("profile", []))
    return result
