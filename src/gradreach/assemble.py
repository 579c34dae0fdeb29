"""Configuration -> a task and a model that fit; settings that cannot work together are rejected here."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from gradreach.batch import EVALUATION_BATCH, limited
from gradreach.config import RunConfig, RunEnvironment, resolve
from gradreach.errors import ConfigError, first_line
from gradreach.models import SequenceModel, build
from gradreach.schedule import STEPS
from gradreach.tasks import Synthetic, Task
from gradreach.tasks.task import MOST_BYTES

MEASURED = {
    "profile": r"\w+\.(reach|half_life|r2|decay|log10_norm)|probe\.nonfinite",
    "gates": r"gate_\w+\.(mean|closed|open|q10|median|q90|coupled|correlation)",
    "lyapunov": r"h\w*\.(lyapunov|log10_condition)",
    "jacobians": r"h\w*\.omega",
    "receptive_field": r"x\.(centroid|spread|beyond_field)",
    "decoding": r"\w+\.decoded_(inputs|target)",
    "sensitivity": r"(input|features|readout)\.(shift|noise_\d+)",
}
"""Metrics of epochs after which a quantity is measured; other quantities only have tables."""

MOST_WORK = 10**15
"""The most multiply-adds of the test at one length: hours on one processor."""


def assemble(run: RunConfig, environment: RunEnvironment) -> tuple[Task, SequenceModel]:
    """Make the task and a model that fits it.

    Raises:
        ConfigError: where they cannot work together, or the task's files cannot be used.
    """
    task = _task(run, environment)
    _check_figures(run, task)
    return task, _model(run, task)


def check(run: RunConfig, environment: RunEnvironment) -> tuple[Task, SequenceModel]:
    """Assemble a run without memory for its weights; read only enough of the data to know their shape.

    Raises:
        ConfigError: where they cannot work together, or the model is larger than any memory.
    """
    task = _task(run, environment)
    _check_figures(run, task)
    _check_lengths(run, task)
    _check_sizes(run, task)
    _check_selection(run, task)
    try:
        with torch.device("meta"):
            model = _model(run, task)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise ConfigError("model", allowed=f"too large ({first_line(error)})", hint="choose a smaller width") from None
    _check_cost(run, task, model)
    return task, model


def _task(run: RunConfig, environment: RunEnvironment) -> Task:
    task: Task = run.task.make()
    try:
        task.prepare(environment.data_dir)
    except ConfigError as error:
        files = {} if environment.published is None else environment.published.files
        if str(error.value) not in files or (environment.data_dir / str(error.value)).exists():
            raise
        got = f"get it from {files[str(error.value)]}, or give the folder that has it: data_dir=…"
        raise replace(error, hint=got) from None
    return task


def _model(run: RunConfig, task: Task) -> SequenceModel:
    model = build(resolve(run.model.target), run.model.arguments(), task.shape, **run.model.ends())
    if run.trainer.gradient_horizon is not None:
        model.limit_gradient(run.trainer.gradient_horizon)
    return model


def _check_figures(run: RunConfig, task: Task) -> None:
    """Refuse to wait for a metric that no epoch of this run has; a user's callback may log anything."""
    known = [f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", task.metric)]
    by_class = ["val/f1", "val/balanced_accuracy"] if task.judged_by_class else []
    measured = [
        f"gradient/({MEASURED[name]})"
        for name, when in run.diagnostics.schedules.items()
        if name in MEASURED and when not in (None, "ends")
    ]
    others = [r"gradient/(norm|clip_rate|nonfinite)", *measured, *(["optimizer/lr"] if run.optimizer.moves else [])]
    if not all(each.target.startswith(("pytorch_lightning.", "lightning.")) for each in run.callbacks.values()):
        others.append(r"(?!train/|val/).*")
    asked = [
        ("trainer.stop_when", f"{{{name}: {bound}}}", name)
        for name, bound in (run.trainer.stop_when or {}).items()
        if name != "steps"
    ]
    for name, callback in run.callbacks.items():
        monitor = callback.arguments().get("monitor")
        if monitor is not None and not (callback.target.endswith(".ModelCheckpoint") and monitor in ("epoch", "step")):
            asked.append((f"callbacks.{name}.monitor", str(monitor), str(monitor)))
    for setting, value, figure in asked:
        if figure not in (*known, *by_class) and not any(re.fullmatch(other, figure) for other in others):
            has = f"task={run.task.name} has {', '.join(known)}"
            raise ConfigError(setting, value, has, "choose one of these, or a measured quantity of gradient or states")


def _check_selection(run: RunConfig, task: Task) -> None:
    """Refuse to choose an epoch, or the learning rate, by training examples as if by others."""
    if getattr(task, "hold_out", True):
        return
    wrong, others = "would choose by training examples", {"task.hold_out": False}
    if run.trainer.select == "best":
        raise ConfigError("trainer.select", "best", wrong, "set trainer.select=last or train_loss", others=others)
    if run.optimizer.monitor == "val":
        raise ConfigError("optimizer.monitor", "val", wrong, "set optimizer.monitor=train", others=others)


def _check_lengths(run: RunConfig, task: Task) -> None:
    """Refuse to repeat batches that are redrawn every epoch."""
    if run.trainer.overfit_batches is not None and getattr(task, "train_lengths", None):
        drawn = "repeats the same batches every epoch, but task.train_lengths redraws them"
        raise ConfigError("trainer.overfit_batches", run.trainer.overfit_batches, drawn, "remove one of them")


def _check_cost(run: RunConfig, task: Task, model: SequenceModel) -> None:
    """Refuse a test length that would take days, or whose gradient no memory holds: attention has a weight a pair."""
    if not isinstance(task, Synthetic):
        return
    for length in task.test_lengths or ():
        cost = model.multiply_adds(length)
        if (all_of_them := cost * task.sizes["test"]) > MOST_WORK:
            needs = f"its {task.sizes['test']:,} examples take {all_of_them:.0e} multiply-adds"
            raise ConfigError(
                "task.test_lengths", length, needs, "choose shorter sequences, or a smaller task.test_size"
            )
        # what grows with the square: 4 · length² · width · layers, more than the bytes of all weights of attention
        size = model.multiply_adds(2 * length) - 2 * cost
        if run.diagnostics.profile is not None and size > MOST_BYTES:
            needs = f"the gradient through its attention needs {size / 2**30:,.0f} GiB"
            hint = f"the limit is {MOST_BYTES / 2**30:.0f} GiB: choose shorter sequences, or diagnostics=off"
            raise ConfigError("task.test_lengths", length, needs, hint)


def _check_sizes(run: RunConfig, task: Task) -> None:
    """Refuse values beyond the maximum: they would give the same run another name and identity."""
    for setting, value, number, most, same in _sizes(run, task):
        if number is not None and number > most:
            less = f"at most {most:,}" if most else ""
            hint = f"choose {' or '.join(dict.fromkeys(filter(None, (same, less))))}"
            raise ConfigError(setting, value, f"means the same as {same or f'{most:,}'}, which is all there is", hint)


def _sizes(run: RunConfig, task: Task) -> Iterator[tuple[str, Any, float | None, int, str]]:
    """Yield settings with their value, the number in it, the largest meaningful number, and what larger ones mean.

    How many examples there are is known where the task's settings say it.
    """
    budget, own = run.trainer, run.diagnostics
    horizon = budget.gradient_horizon
    yield "trainer.gradient_horizon", horizon, horizon, task.shape.length - 2, "null"
    if budget.fast_dev_run:
        return
    schedules = {f"diagnostics.{name}": each for name, each in own.schedules.items() if each is not None}
    by_epoch = {setting: each for setting, each in schedules.items() if isinstance(each, int)}
    if budget.epochs is not None:
        yield from ((setting, each, each, budget.epochs, "ends") for setting, each in by_epoch.items())
    sizes = {**getattr(task, "sizes", {})} or {"train": getattr(task, "train_size", None)}
    for split, stage in (("validation", "val"), ("test", "test")):
        if getattr(task, "train_lengths", None):  # then there are at least as many batches as lengths
            continue
        if (examples := sizes.get(split)) and not (stage == "val" and budget.overfit_batches):
            limit = getattr(budget, f"limit_{stage}_batches")
            yield f"trainer.limit_{stage}_batches", limit, limit, math.ceil(examples / EVALUATION_BATCH) - 1, "null"
    if not (train := sizes.get("train")):
        return
    batches = math.ceil(train / budget.batch_size)
    yield "trainer.overfit_batches", budget.overfit_batches, budget.overfit_batches, batches, ""
    batches = min(batches, budget.overfit_batches or batches)
    limit = budget.limit_train_batches
    yield "trainer.limit_train_batches", limit, limit, batches - 1, "null"
    batches = limited(limit, batches)
    yield "trainer.accumulate_grad_batches", budget.accumulate_grad_batches, budget.accumulate_grad_batches, batches, ""
    in_epoch = math.ceil(batches / budget.accumulate_grad_batches)
    if budget.epochs is not None:
        steps = budget.epochs * in_epoch
        yield "trainer.max_steps", budget.max_steps, budget.max_steps, steps - 1, "null"
        steps = min(steps, budget.max_steps or steps)
    else:
        steps = budget.max_steps or 0
        yield from ((setting, each, each, math.ceil(steps / in_epoch), "ends") for setting, each in by_epoch.items())
    if isinstance(rising := run.optimizer.warmup, int) and rising >= steps:
        some = f"there are {steps:,} steps in all"
        raise ConfigError("optimizer.warmup", rising, some, "choose fewer, or a share of them such as 0.1")
    stop = budget.stop_when or {}
    yield "trainer.stop_when", stop, stop.get("steps"), steps - 1, "null"
    for setting, each in schedules.items():
        by_step = STEPS.fullmatch(str(each))
        yield setting, each, int(by_step[1]) if by_step else None, steps, "ends"


def check_device(name: str, precision: str = "32-true", here: bool = True) -> None:
    """Refuse a device that does not exist, or does not support the precision.

    Args:
        name: of the device.
        precision: of the run.
        here: whether this machine must have it; other machines may have any device.

    Raises:
        ConfigError: naming those that exist.
    """
    if precision == "16-mixed" and name == "cpu":
        hint = "choose bf16-mixed, or device=cuda"
        raise ConfigError("trainer.precision", precision, "not supported on device=cpu", hint)
    if not here:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise ConfigError("device", name, "must be cpu, cuda, or cuda: with a number, such as cuda:1")
        return
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name not in devices and not (name == "cuda" and torch.cuda.is_available()):
        raise ConfigError("device", name, "this machine has no such device", choices=devices)
