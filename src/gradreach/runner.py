"""One run: configuration in, record out."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress

import pandas as pd
import torch
from filelock import Timeout

from gradreach import kernels
from gradreach.assemble import assemble
from gradreach.batch import Batch
from gradreach.config import RunConfig, RunEnvironment, resolve
from gradreach.diagnostics import DECODED, Instrument, Quantity, register
from gradreach.errors import FULL, no_room
from gradreach.models import LabelledExamples, SequenceModel, caveat
from gradreach.records import SETTLED, left_alone
from gradreach.run_state import Row, Run, Tell, Watch
from gradreach.system import machine
from gradreach.system.garbage import importing
from gradreach.system.interruption import Interrupted, Interruption, asked_to_stop
from gradreach.system.provenance import code_digest, host, revision, versions
from gradreach.system.warned import noted
from gradreach.system.worker import is_driver, worker
from gradreach.tasks import Splits, Synthetic, Task
from gradreach.tracking import Tracker, replay_to_agent, track
from gradreach.weights import save_weights

CLAIM_SECONDS = 0.5
"""How long a worker waits for a claim: longer than checking it takes, much shorter than a run."""
PROBED = 2**14
"""The most steps, summed over examples, of a probe at a test length: each needs memory for the trace."""


def execute_in_sweep(config: RunConfig, environment: RunEnvironment, interruption: Interruption) -> Row:
    """Execute one run of a sweep: its output goes to its log, and a run claimed by another worker is skipped.

    In the process of the sweep itself there is no log: what is printed there is for the sweep, and for a debugger.

    Returns:
        The record; empty if another worker executes it, or if this process has been asked to stop.
    """
    run = Run(config, environment, interruption)
    if asked_to_stop():
        return {}
    try:
        with (
            run.store.claim(config.run_id, timeout=CLAIM_SECONDS),
            nullcontext() if is_driver() else _logged(run),
        ):
            record = _execute(run)
    except Timeout:
        return {}
    interruption.pass_on()
    return record


@contextmanager
def _logged(run: Run) -> Iterator[None]:
    """Redirect output to a run's log; an empty log is removed."""
    log = run.store.log(run.config.run_id)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        yield
    if not log.stat().st_size:
        log.unlink()


def execute(
    config: RunConfig,
    environment: RunEnvironment,
    tell: Tell = lambda row: None,
    interruption: Interruption | None = None,
    watch: Watch | None = None,
) -> Row:
    """Execute a run unless it is finished; its errors become part of the record, and the caller goes on.

    Args:
        config: what to run.
        environment: where and how.
        tell: called with the metrics of each epoch.
        interruption: says whether the process was asked to stop.
        watch: called within epochs with the progress of training.

    Returns:
        The record: ``finished``, ``diverged``, ``interrupted`` (it resumes when executed again), or ``failed`` with its
        traceback.
    """
    run = Run(config, environment, interruption or Interruption(), listeners=[tell], watch=watch)
    with run.store.claim(config.run_id):
        return _execute(run)


def _execute(run: Run) -> Row:
    """Execute a run that this process has claimed.

    Raises:
        OSError: the disk is full; the record says so if possible.
    """
    config, environment = run.config, run.environment
    done = run.store.read(config.run_id)
    if done is not None and not environment.force and done["status"] in left_alone(environment.retry):
        replay_to_agent(done, environment)
        return done
    if environment.force:
        run.checkpoint.unlink(missing_ok=True)
    run.store.weights(config.run_id).unlink(missing_ok=True)  # those of another time
    run.record = {
        "run_id": config.run_id,
        "group_id": config.group_id,
        "label": config.label,
        "status": "running",
        "experiment": environment.experiment,
        "config": config.canonical(),
        "started": run.started,
        "revision": revision(),
        "code": code_digest(),
        "versions": versions(),
        "host": {**host(), **worker()},
    }
    run.store.write(run.record)
    begun = dict(run.record)
    try:
        try:
            with noted(run.warnings), track(environment, run.record) as tracker:
                run.listeners.insert(0, tracker.log)
                with machine.training(environment.threads, compiled=config.trainer.kernels == "compiled"):
                    run.record |= _train_and_measure(run, tracker)
        except Interrupted as reason:
            run.record |= {"status": "interrupted", "error": f"stopped by {reason} after epoch {run.epochs}"}
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            run.record |= {"status": "failed", "error": f"{type(error).__name__}: {error}"}
            run.record["traceback"] = traceback.format_exc()
        run.record |= run.spent() | ({"warnings": run.warnings} if run.warnings else {})
        tables = {title: pd.concat(frames, ignore_index=True) for title, frames in run.tables.items()}
        run.store.write(run.record, run.history, tables)
    except OSError as error:
        with suppress(OSError):  # a record alone is small
            run.store.write({**begun, **run.spent(), "status": "interrupted", "error": no_room(error)})
        raise
    if run.record["status"] in SETTLED and not config.trainer.keep_checkpoint:
        run.checkpoint.unlink(missing_ok=True)
    return run.record


def _train_and_measure(run: Run, tracker: Tracker) -> Row:
    """Train and return the results; the run's history grows meanwhile, so that a failure keeps it."""
    with importing():
        from gradreach.training import Diverged, fit, flaw

    config, environment = run.config, run.environment
    torch.manual_seed(config.seed)
    task, model = assemble(config, environment)
    compiled = config.trainer.kernels == "compiled" and kernels.prepare(model)
    model.to(environment.device)
    if run.checkpoint.exists() and (why := flaw(run, model)) is not None:
        run.warnings.append(f"{run.checkpoint}: {why}; the run starts from the beginning")
        print(f"gradreach: {run.warnings[-1]}", file=sys.stderr)
        run.checkpoint.unlink()
    splits = task.splits(environment.data_dir)
    facts = {
        "kernels": "compiled" if compiled else "torch",
        "metric": task.metric,
        "chance": task.chance(splits),
        "width": model.width,
        "parameters": model.parameter_count,
        "multiply_adds": model.multiply_adds(task.shape.length),
        "receptive_field": model.receptive_field,
        "examples": {name: len(split) for name, split in splits._asdict().items()},
        "data": task.facts(),
        "caveat": caveat(model, task.shape),
    }
    diagnostics = config.diagnostics
    probe, decoded = (probe_of(task, splits, n) for n in (diagnostics.examples, DECODED))
    for name in diagnostics.own:
        register(name, Quantity(resolve(name)))
    labelled = LabelledExamples(probe, task.loss)
    run.instrument = Instrument(model, labelled, None, diagnostics.schedules, diagnostics.exponents, decoded)
    run.instrument.tables = run.tables
    if diagnostics.profile is not None:
        run.by_length = instruments_by_length(model, task, diagnostics.examples)
    tracker.log({"epoch": 0, "step": 0, **run.measure("start")})
    try:
        fitted = fit(run, model, task, splits)
    except Diverged as reason:
        result = {**facts, "status": "diverged", "metrics": run.metrics, "error": str(reason)}
    else:
        run.measure("end")
        run.metrics.update(fitted.figures)
        result = {
            **facts,
            "status": "finished",
            "metrics": run.metrics,
            "best_epoch": fitted.best_epoch,
            "steps": fitted.steps,
            "steps_per_second": round(fitted.steps / fitted.seconds, 3),
            "training_seconds": round(fitted.seconds, 3),
            "stopped": run.stopped,
        }
        if config.trainer.keep_weights:
            result["weights"] = save_weights(model, run.store.weights(config.run_id))
    tracker.summarize(result, run.tables.get("profile", []))
    return result


def probe_of(task: Task, splits: Splits, n: int) -> Batch:
    """Return what a model is measured on: examples of validation, or where these have many lengths, of the longest."""
    if isinstance(task, Synthetic) and task.train_lengths is not None:
        return task.probe(task.seq_len, n)
    return splits.validation.take(slice(n))


def instruments_by_length(model: SequenceModel, task: Task, examples: int) -> dict[int, Instrument]:
    """Return the instruments for each test length, with fewer examples of long sequences."""
    if not isinstance(task, Synthetic):
        return {}
    probes = {length: task.probe(length, max(1, min(examples, PROBED // length))) for length in task.test_lengths or ()}
    return {
        length: Instrument(model, LabelledExamples(probe, task.loss), None, {"profile": "ends"})
        for length, probe in probes.items()
    }
