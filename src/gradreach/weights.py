"""The best-validation checkpoint: kept beside a run's record, and loaded with model and task."""

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from gradreach.assemble import assemble
from gradreach.config import RunConfig, RunEnvironment, checked, resolve
from gradreach.errors import ConfigError, first_line
from gradreach.models import SequenceModel
from gradreach.records import RecordStore
from gradreach.system.files import write_bytes
from gradreach.tasks import Task


class LoadedRun(NamedTuple):
    """A finished run, loaded.

    - ``model``: with the weights of its best epoch, on the CPU, in evaluation mode.
    - ``task``: what it learned; ``task.splits(data_dir)`` are its examples.
    - ``record``: its configuration and metrics.
    """

    model: SequenceModel
    task: Task
    record: dict[str, Any]


def save_weights(model: nn.Module, path: Path) -> str:
    """Write the state of a model, tensors only, and return the SHA-256 of the file."""
    data = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in model.state_dict().items()}, data)
    write_bytes(path, data.getvalue())
    return hashlib.sha256(data.getvalue()).hexdigest()


def weights_of(run_id: str, results_dir: Path) -> tuple[Path, bytes, dict[str, Any]]:
    """Return where the chosen weights of a run are, what the file holds, and the run's record.

    Raises:
        ConfigError: there is no such run, it kept no weights, or they have changed.
    """
    store = RecordStore(results_dir / "runs")
    record = store.read(run_id) if "/" not in run_id and store.stamp(run_id) else None
    if record is None:
        hint = "list all runs with gradreach export runs.csv"
        raise ConfigError("run", run_id, f"no such run in {results_dir}", hint)
    path = store.weights(run_id)
    if "weights" not in record or not path.is_file():
        again = "re-run it with its settings and force=true trainer.keep_weights=true"
        raise ConfigError("run", run_id, "kept no weights", again)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != record["weights"]:
        raise ConfigError(path, allowed="does not match the run's record", hint="re-run it")
    return path, data, record


def export_weights(run_id: str, results_dir: Path, to: Path | None) -> Path:
    """Return where the chosen weights of a run are, or copy them.

    Raises:
        ConfigError: there are none, or they cannot be copied there.
    """
    path, _, _ = weights_of(run_id, results_dir)
    if to is None:
        return path
    try:
        shutil.copyfile(path, to)
    except OSError as error:
        raise ConfigError("--to", to, f"cannot be written ({error.strerror})", "choose another place") from None
    return to


def load_run(run_id: str, results_dir: Path | str = "results", data_dir: Path | str = "data") -> LoadedRun:
    """Return the model of a run with the weights of its best epoch, and its task.

    The file cannot execute code: it holds tensors, and the record may name only models and tasks.

    Args:
        run_id: its identity, 16 hexadecimal digits.
        results_dir: the folder of results.
        data_dir: where data sets lie.

    Raises:
        ConfigError: there is no such run, it kept no weights, or they cannot be loaded.
    """
    path, data, record = weights_of(run_id, Path(results_dir))
    run = checked(RunConfig, record["config"])
    for group, component, base in (("model", run.model, nn.Module), ("task", run.task, Task)):
        made_by = resolve(component.target, f"{group}._target_")
        if not (isinstance(made_by, type) and issubclass(made_by, base)):
            raise ConfigError(f"{group}._target_", component.target, f"must be a subclass of {base.__name__}")
    try:
        task, model = assemble(run, RunEnvironment.model_construct(data_dir=Path(data_dir)))
        model.load_state_dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except ConfigError:
        raise
    except Exception as error:
        other = f"does not fit the model that this version builds for the run ({first_line(error)})"
        raise ConfigError(path, allowed=other, hint="use the version named in the record") from None
    return LoadedRun(model.eval(), task, record)
