"""One row a run: its columns, their order and their types. docs/results.md tells every one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from sys import intern
from typing import Any

import numpy as np
import pandas as pd

from gradreach.errors import ConfigError

AXES = ("run_id", "status", "model", "task", "seq_len", "kernel_size", "seed")
GROUP_NAMES = ("task", "model", "optimizer", "trainer", "diagnostics", "callbacks")
"""The groups of a run's configuration; without callbacks of one's own it has no such group."""
GROUPS = tuple(f"{name}." for name in GROUP_NAMES)
"""How the columns of their settings begin."""
FACTS = (
    "metric",
    "chance",
    "width",
    "parameters",
    "multiply_adds",
    "receptive_field",
    "best_epoch",
    "steps",
    "seconds",
    "training_seconds",
    "steps_per_second",
    "revision",
    "code",
    "torch",
    "host",
    "schema_version",
    "error",
)
TEXTS = {"run_id", "status", "model", "task", "metric", "revision", "code", "torch", "host", "error"}
INTEGERS = {
    "seq_len",
    "kernel_size",
    "seed",
    "width",
    "parameters",
    "multiply_adds",
    "receptive_field",
    "best_epoch",
    "steps",
    "schema_version",
}
ORDER = ["task", "model", "kernel_size", "seq_len", "seed", "run_id"]
MISSING = "missing"
OLDER = {
    f"gradient/{stage}/{old}": f"gradient/{stage}/probe.nonfinite"
    for stage in ("start", "end")
    for old in ("nonfinite", "profile.nonfinite")
}
"""What metrics were called in records and run tables of older versions, and are called now."""


def csv(frame: pd.DataFrame) -> str:
    """Return a table of values as CSV: reading it gives every digit back."""
    return frame.to_csv(index=False, lineterminator="\n")


def planned_row(config: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return the row of a run of which nothing is known but its configuration."""
    model, task = config["model"], config["task"]
    return {
        "run_id": run_id,
        "status": MISSING,
        "model": model["name"],
        "task": task["name"],
        "seq_len": task.get("seq_len"),
        "kernel_size": model.get("kernel_size"),
        "seed": config["seed"],
        **{
            f"{group}.{key}": value
            for group, settings in config.items()
            if isinstance(settings, Mapping)
            for key, value in settings.items()
        },
    }


def row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a record: identity, axes, configuration, facts, metrics.

    Raises:
        ConfigError: its configuration lacks what every run has.
    """
    host = record.get("host") or {}
    facts = {name: record.get(name) for name in FACTS}
    facts["host"] = ", ".join(str(host[key]) for key in ("cpu", "system", "machine") if host.get(key)) or None
    facts["torch"] = (record.get("versions") or {}).get("torch")
    facts["error"] = next(iter(str(record.get("error") or "").splitlines()), None)
    try:
        planned = planned_row(record["config"], record["run_id"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"run {record['run_id']}",
            allowed=f"its record has no valid run configuration ({type(error).__name__}: {error})",
            hint="delete the record and do the run again",
        ) from None
    return {
        **planned,
        "status": record["status"],
        **facts,
        **{OLDER.get(name, name): value for name, value in (record.get("metrics") or {}).items()},
    }


def as_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame, rows and columns in a fixed order, typed so that writing and reading it give the same.

    Of each row only the values are kept, beside those that have the same columns: names of a hundred thousand rows
    take gigabytes.
    """
    alike: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        alike.setdefault(tuple(row), []).append(tuple(row.values()))
    columns: dict[str, list[Any]] = {name: [] for name in _ordered({name for names in alike for name in names})}
    while alike:
        names, values = alike.popitem()
        known = dict(zip(names, zip(*values, strict=True), strict=True))
        for name, column in columns.items():
            column.extend(known.get(name, repeat(None, len(values))))
    frame = pd.DataFrame({name: typed(name, columns.pop(name)) for name in list(columns)})
    return frame if frame.empty else frame.sort_values(ORDER, na_position="first", ignore_index=True)


def _ordered(names: Iterable[str]) -> list[str]:
    """Return axes, settings by group and name, facts, metrics by name."""
    rest = set(names) - set(AXES) - set(FACTS)
    settings = [name for group in GROUPS for name in sorted(rest) if name.startswith(group)]
    return [*AXES, *settings, *FACTS, *sorted(rest - set(settings))]


def typed(name: str, values: Sequence[Any]) -> Any:
    """Type a column of plain values and None: text, whole number, number; a setting by what it holds."""
    if name in TEXTS:
        return np.array([None if value is None else intern(str(value)) for value in values], dtype=object)
    if name in INTEGERS:
        return pd.array(values, dtype="Int64")
    if not name.startswith(GROUPS):
        return np.array(values, dtype=float)
    texts = {list, dict, tuple}
    held = [str(value) if type(value) in texts else value for value in values]
    if set(map(type, held)) - {type(None)} == {str}:
        return np.array([None if value is None else intern(value) for value in held], dtype=object)
    return setting(pd.Series(pd.array(held)))


def setting(held: pd.Series) -> Any:
    """Type a setting: Int64, boolean, float64, or text; a number here and a word there are both words."""
    if held.isna().all():
        return np.full(len(held), math.nan)
    if isinstance(held.dtype, pd.Int64Dtype | pd.BooleanDtype):
        return held.array
    if isinstance(held.dtype, pd.Float64Dtype):
        return held.to_numpy(dtype=float, na_value=math.nan)
    return np.array([None if pd.isna(value) else str(value) for value in held], dtype=object)


def architectures(runs: pd.DataFrame) -> pd.Series:
    """Name what differs between models: ``cnn k=3``, ``lstm``."""
    return runs["model"] + [
        "" if pd.isna(kernel_size) else f" k={int(kernel_size)}" for kernel_size in runs["kernel_size"]
    ]
