"""``results/<experiment>/times.csv``: what a step of training takes, measured side by side by ``gradreach time``."""

import io
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.errors import ConfigError
from gradreach.run_table.columns import read_csv
from gradreach.run_table.seal import check_seal, sealed
from gradreach.system.files import write_text

DIRECTIONS = ("forward", "backward", "step")
"""Loss, its gradient, and a whole step: both, clipping, and the weight update."""
CLOCKS = ("cpu", "wall")
COLUMNS = (
    "setting",
    "kernels",
    "round",
    *(f"{direction}_{clock}" for clock in CLOCKS for direction in DIRECTIONS),
    "threads",
    "device",
    "processor",
    "torch",
)
"""One row a configuration and round: what is timed, by which kernels, its seconds a step by both clocks, and where."""
TEXTS = ("setting", "kernels", "device", "processor", "torch")
WITHOUT = ("model._target_", "model.name", "task._target_", "task.name", "task.seq_len", "model.kernel_size")
"""Settings that the axes tell already."""


def times_table(results_dir: Path, experiment: str) -> Path:
    """Return the path of an experiment's times."""
    return results_dir / experiment / "times.csv"


def write_times(path: Path, times: pd.DataFrame) -> None:
    """Write times, whole, with their checksum."""
    write_text(path, sealed(times[list(COLUMNS)].reset_index(drop=True)))


def read_times(path: Path) -> pd.DataFrame:
    """Read measured times; no rows if there are none.

    Raises:
        ConfigError: they were changed by hand, or are not times.
    """
    if not path.is_file():
        return pd.DataFrame(columns=list(COLUMNS))
    hint = "restore it, or measure again with gradreach time"
    data = path.read_bytes()
    check_seal(path, data, hint)
    frame = read_csv(io.BytesIO(data), dtype=dict.fromkeys(TEXTS, "object"))
    if lacking := [name for name in COLUMNS if name not in frame]:
        raise ConfigError(path, allowed=f"is not a table of times: it lacks {', '.join(lacking)}", hint=hint)
    return frame[list(COLUMNS)]


def step_settings(runs: pd.DataFrame) -> pd.Series:
    """Return the settings that determine a step's time: model, task, batch size; not the seed, nor the learning rate.

    >>> step_settings(pd.DataFrame({"model": ["lstm"], "task": ["recall"], "seq_len": [20], "model.width": [32.0]}))[0]
    'model=lstm model.width=32 seq_len=20 task=recall'
    """
    axes = ("model", "task", "seq_len", "kernel_size", "trainer.batch_size")
    names = sorted(
        name
        for name in map(str, runs)
        if name in axes or (name.startswith(("model.", "task.")) and name not in WITHOUT)
    )
    columns = [[(name, value) for value in runs[name].tolist()] for name in names]
    words = [" ".join(f"{name}={_text(v)}" for name, v in row if not pd.isna(v)) for row in zip(*columns, strict=True)]
    return pd.Series(words, index=runs.index, dtype=object)


def _text(value: Any) -> str:
    """Write a value alike, whatever type its column has beside other rows."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).lower()
