"""One row per run: its columns, their order and their types. docs/results.md explains each."""

import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from csv import writer as csv_writer
from sys import intern
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

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
"""Old and current names of metrics in records and run tables."""

EXACT: dict[str, Any] = {} if int(pd.__version__.partition(".")[0]) > 2 else {"float_precision": "round_trip"}
"""Makes pandas 2 read every digit, which later ones do by themselves."""


def csv(frame: pd.DataFrame) -> str:
    """Return a table of values as CSV: reading it gives every digit back."""
    text = io.StringIO()
    writer = csv_writer(text, lineterminator="\n")
    writer.writerow(map(str, frame))
    writer.writerows(zip(*(_cells(values) for _, values in frame.items()), strict=True))
    return text.getvalue()


def read_csv(file: Any, **options: Any) -> pd.DataFrame:
    """Read a table that ``csv`` wrote, exact to the last digit; the options are pandas'.

    >>> read_csv(io.StringIO("x\\n0.1\\n"))["x"].tolist()
    [0.1]
    """
    frame: pd.DataFrame = pd.read_csv(file, **EXACT, **options)
    return frame


def _cells(values: pd.Series) -> list[Any]:
    """Return a column as CSV writes it; a number that many runs share is put into words once."""
    if values.dtype != float:
        cells = values.astype(object).where(values.notna(), None)
        return [inert(cell) if isinstance(cell, str) else cell for cell in cells]
    places, bits = pd.factorize(values.to_numpy().view(np.int64))  # as floats, 0 and −0 were one
    texts = ["" if math.isnan(number) else repr(number) for number in bits.view(float).tolist()]
    return list(np.array(texts, dtype=object)[places])


COMPUTED = re.compile(r"'*[=+@\t\r-]")
"""First characters of texts that a spreadsheet would evaluate, or that were escaped."""
PLAIN_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def inert(text: str) -> str:
    """Return a text with a leading ' if a spreadsheet would evaluate it; ``as_was`` undoes that.

    >>> inert("=1+1"), inert("-1e-3"), inert("rnn"), as_was(inert("'=1"))
    ("'=1+1", '-1e-3', 'rnn', "'=1")
    """
    return f"'{text}" if COMPUTED.match(text) and not PLAIN_NUMBER.fullmatch(text) else text


def as_was(text: str) -> str:
    """Undo ``inert``."""
    return text[1:] if text.startswith("'") and COMPUTED.match(text) else text


def planned_row(config: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Return the row of a run with only a configuration."""
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
            if group in GROUP_NAMES
            for key, value in settings.items()
        },
    }


def row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a record: identity, axes, configuration, facts, metrics.

    Raises:
        ConfigError: its configuration is incomplete.
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
            hint="delete the record and run it again",
        ) from None
    return {
        **planned,
        "status": record["status"],
        **facts,
        **{OLDER.get(name, name): value for name, value in (record.get("metrics") or {}).items()},
    }


def as_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame, rows and columns in a fixed order, typed so that writing and reading it give the same."""
    return frame_of(packed(rows))


def packed(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows with each value as it came: what type a column has is not known before all rows are together.

    A setting stands as JSON, for it may be a number in one row and a word in another. A null is what a row does not
    have, or a fact that is not known. Of each row only the values are kept, beside those that have the same columns:
    names of a hundred thousand rows take gigabytes.
    """
    alike: dict[tuple[str, ...], list[tuple[Any, ...]]] = {(*AXES, *FACTS): []}
    for row in rows:
        alike.setdefault(tuple(row), []).append(tuple(row.values()))
    tables = []
    while alike:
        names, values = alike.popitem()
        lacking = {name: [None] * len(values) for name in (*AXES, *FACTS) if name not in names}
        columns = dict(zip(names, zip(*values, strict=True), strict=True)) if values else dict.fromkeys(names, ())
        tables.append(pa.table({name: _as_it_came(name, held) for name, held in {**columns, **lacking}.items()}))
    return pa.concat_tables(tables, promote_options="default")


def _as_it_came(name: str, values: Sequence[Any]) -> pa.Array:
    if name in INTEGERS:
        return pa.array(pd.array(list(values), dtype="Int64"))
    if name in TEXTS:
        texts = [None if value is None else str(value) for value in values]
    elif name.startswith(GROUPS):
        keys = [(type(value), repr(value)) for value in values]
        known = {key: _as_json(value) for key, value in dict(zip(keys, values, strict=True)).items()}
        texts = [known[key] for key in keys]
    else:
        return pa.array(np.array(values, dtype=float), from_pandas=False)
    return pa.array(texts, pa.string()).dictionary_encode()


def _as_json(value: Any) -> str:
    return json.dumps(str(value) if isinstance(value, list | dict | tuple) else value)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return packed rows, of one block or of several, as ``as_frame`` does."""
    table = table.unify_dictionaries()
    always = {*AXES, *FACTS}
    names = [name for name in table.column_names if name in always or table[name].null_count < len(table)]
    frame = pd.DataFrame({name: typed(name, table[name].combine_chunks()) for name in _ordered(names)})
    return frame if frame.empty else frame.sort_values(ORDER, na_position="first", ignore_index=True)


def _ordered(names: Iterable[str]) -> list[str]:
    """Return axes, settings by group and name, facts, metrics by name."""
    rest = set(names) - set(AXES) - set(FACTS)
    settings = [name for group in GROUPS for name in sorted(rest) if name.startswith(group)]
    return [*AXES, *settings, *FACTS, *sorted(rest - set(settings))]


def typed(name: str, packed: pa.Array) -> Any:
    """Type a packed column: text, whole number, number; a setting by what it holds."""
    if name in INTEGERS:
        return pd.arrays.IntegerArray(packed.fill_null(0).to_numpy(), np.array(packed.is_null()))
    if name not in TEXTS and not name.startswith(GROUPS):
        return packed.to_numpy(zero_copy_only=False)
    codes = packed.indices.fill_null(len(packed.dictionary)).to_numpy()
    used, places = np.unique(codes, return_inverse=True)
    texts = packed.dictionary.to_pylist()
    if name in TEXTS:
        held = [None if code == len(texts) else intern(texts[code]) for code in used]
        return np.array(held, dtype=object)[places]
    held = [None if code == len(texts) else json.loads(texts[code]) for code in used]
    if set(map(type, held)) - {type(None)} == {str}:
        return np.array([None if value is None else intern(value) for value in held], dtype=object)[places]
    return setting(pd.Series(pd.array(held)))[places]


def setting(held: pd.Series) -> Any:
    """Type a setting: Int64, boolean, float64, or text; a number here and a word there are both words."""
    if held.isna().all():
        return np.full(len(held), math.nan)
    if isinstance(held.dtype, pd.Int64Dtype | pd.BooleanDtype):
        return held.array
    if isinstance(held.dtype, pd.Float64Dtype):
        return held.to_numpy(dtype=float, na_value=math.nan)
    return np.array([None if pd.isna(value) else str(value) for value in held], dtype=object)


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return every cell as text, that which is missing, too: ``astype(str)`` of pandas 3 leaves it out.

    >>> in_words(pd.DataFrame({"x": [0.5, math.nan]}))["x"].tolist()
    ['0.5', 'nan']
    """
    return frame.astype(object).map(str)


def architectures(runs: pd.DataFrame) -> pd.Series:
    """Name what differs between models: ``cnn k=3``, ``lstm``."""
    return runs["model"] + [
        "" if pd.isna(kernel_size) else f" k={int(kernel_size)}" for kernel_size in runs["kernel_size"]
    ]
