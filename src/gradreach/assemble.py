"""Configuration -> a task and a model that fit; what cannot work together is refused here."""

import re

import torch

from gradreach.config import RunConfig, RunEnvironment, resolve
from gradreach.errors import ConfigError, first_line
from gradreach.models import SequenceModel, build
from gradreach.tasks import Task


def assemble(run: RunConfig, environment: RunEnvironment) -> tuple[Task, SequenceModel]:
    """Make the task and a model that fits it.

    Raises:
        ConfigError: where they cannot work together, or the task's files cannot be used.
    """
    task = _task(run, environment)
    _check_figures(run, task)
    return task, _model(run, task)


def check(run: RunConfig, environment: RunEnvironment) -> tuple[Task, SequenceModel]:
    """Assemble a run without memory for its weights; of the data no more is read than tells their shape.

    Raises:
        ConfigError: where they cannot work together, or the model is larger than any memory.
    """
    task = _task(run, environment)
    _check_figures(run, task)
    try:
        with torch.device("meta"):
            return task, _model(run, task)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise ConfigError("model", allowed=f"too large ({first_line(error)})", hint="choose a smaller width") from None


def _task(run: RunConfig, environment: RunEnvironment) -> Task:
    task: Task = run.task.make()
    task.prepare(environment.data_dir)
    return task


def _model(run: RunConfig, task: Task) -> SequenceModel:
    model = build(resolve(run.model.target), run.model.arguments(), task.shape, **run.model.ends())
    if run.trainer.gradient_horizon is not None:
        model.limit_gradient(run.trainer.gradient_horizon)
    return model


def _check_figures(run: RunConfig, task: Task) -> None:
    """Refuse to wait for a figure of training or validation that this task does not have."""
    known = [f"{stage}/{name}" for stage in ("train", "val") for name in ("loss", task.metric)]
    asked = [
        ("trainer.stop_when", f"{{{name}: {bound}}}", name) for name, bound in (run.trainer.stop_when or {}).items()
    ]
    for name, callback in run.callbacks.items():
        monitor = str(callback.arguments().get("monitor"))
        if task.judged_by_class and monitor in ("val/f1", "val/balanced_accuracy"):
            continue
        asked.append((f"callbacks.{name}.monitor", monitor, monitor))
    for setting, value, figure in asked:
        if figure.startswith(("train/", "val/")) and figure not in known:
            has = f"task={run.task.name} has {', '.join(known)}"
            raise ConfigError(setting, value, has, "choose one of them")


def check_device(name: str, precision: str = "32-true", here: bool = True) -> None:
    """Refuse a device that there is not, or that does not have the precision.

    Args:
        name: of the device.
        precision: of the run.
        here: whether this machine must have it; another may have any.

    Raises:
        ConfigError: naming those that there are.
    """
    if precision == "16-mixed" and name == "cpu":
        hint = "choose bf16-mixed, or device=cuda"
        raise ConfigError("trainer.precision", precision, "not on device=cpu", hint)
    if not here:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise ConfigError("device", name, "must be cpu, cuda, or cuda: and a number")
        return
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name not in devices and not (name == "cuda" and torch.cuda.is_available()):
        raise ConfigError("device", name, "not on this machine", choices=devices)
