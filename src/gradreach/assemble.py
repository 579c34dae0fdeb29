"""Configuration -> a task and a model that fit; what cannot work together is refused here."""

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
    return task, _model(run, task)


def check(run: RunConfig, environment: RunEnvironment) -> tuple[Task, SequenceModel]:
    """Assemble a run without memory for its weights; of the data no more is read than tells their shape.

    Raises:
        ConfigError: where they cannot work together, or the model is larger than any memory.
    """
    task = _task(run, environment)
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
    return build(resolve(run.model.target), run.model.arguments(), task.shape, **run.model.ends())


def check_device(name: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name not in devices and not (name == "cuda" and torch.cuda.is_available()):
        raise ConfigError("device", name, "not on this machine", choices=devices)
