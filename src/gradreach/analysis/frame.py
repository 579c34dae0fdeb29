"""Records as a table: one row a run. docs/results.md tells every column."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.sources import Source, local
from gradreach.config import RunConfig, Workplace
from gradreach.errors import ConfigError, suggest
from gradreach.files import write_text

AXES = ("run_id", "status", "model", "task", "seq_len", "kernel_size", "seed")
GROUPS = ("task.", "model.", "optimizer.", "trainer.", "diagnostics.")
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
    "torch",
    "host",
    "schema_version",
    "error",
)
TEXTS = {"run_id", "status", "model", "task", "metric", "revision", "torch", "host", "error"}
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
    """Return the row of a record: identity, axes, configuration, facts, metrics."""
    host = record.get("host") or {}
    facts = {name: record.get(name) for name in FACTS}
    facts["host"] = ", ".join(str(host[key]) for key in ("cpu", "system", "machine") if host.get(key)) or None
    facts["torch"] = (record.get("versions") or {}).get("torch")
    facts["error"] = next(iter(str(record.get("error") or "").splitlines()), None)
    return {
        **planned_row(record["config"], record["run_id"]),
        "status": record["status"],
        **facts,
        **(record.get("metrics") or {}),
    }


def as_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame, rows and columns in a fixed order, typed so that writing and reading it give the same."""
    rows = list(rows)
    names = dict.fromkeys(name for keys in dict.fromkeys(tuple(row) for row in rows) for name in keys)
    frame = pd.DataFrame({name: _column(name, [row.get(name) for row in rows]) for name in _ordered(names)})
    return frame if frame.empty else frame.sort_values(ORDER, na_position="first", ignore_index=True)


def _ordered(names: Iterable[str]) -> list[str]:
    """Return axes, settings by group and name, facts, metrics by name."""
    rest = set(names) - set(AXES) - set(FACTS)
    settings = [name for group in GROUPS for name in sorted(rest) if name.startswith(group)]
    return [*AXES, *settings, *FACTS, *sorted(rest - set(settings))]


def _column(name: str, values: Sequence[Any]) -> Any:
    """Type a column of plain values and None: text, whole number, number; a setting by what it holds."""
    if name in TEXTS:
        return np.array([None if value is None else str(value) for value in values], dtype=object)
    if name in INTEGERS:
        return pd.array(values, dtype="Int64")
    if not name.startswith(GROUPS):
        return np.array(values, dtype=float)
    texts = {list, dict, tuple}
    held = pd.array([str(value) if type(value) in texts else value for value in values])
    return _setting(pd.Series(held))


def _setting(held: pd.Series) -> Any:
    """Type a setting: Int64, boolean, float64, or text; a number here and a word there are both words."""
    if held.isna().all():
        return np.full(len(held), math.nan)
    if isinstance(held.dtype, pd.Int64Dtype | pd.BooleanDtype):
        return held.array
    if isinstance(held.dtype, pd.Float64Dtype):
        return held.to_numpy(dtype=float, na_value=math.nan)
    return np.array([None if pd.isna(value) else str(value) for value in held], dtype=object)


def load_runs(
    what: Path | str | None = None, results_dir: Path | str = "results", source: Source | None = None
) -> pd.DataFrame:
    """Return one row a run.

    As soon as there is one raw record among the runs that are meant, only raw records count; without any, the rows of
    committed run tables do: one's own runs are never mixed with somebody else's.

    Args:
        what: the name of an experiment: the runs that its last sweep planned, those not done included as ``missing``.
            A folder of results: all runs in it. None: all runs in ``results_dir``.
        results_dir: where experiments have their results.
        source: where raw records are, if not in ``<results_dir>/runs``.

    Raises:
        ConfigError: there is neither such an experiment with runs, nor such a folder; or a run table names a run twice.
    """
    folder = Path(results_dir)
    if what is not None and run_table(folder, str(what)).is_file():
        return _planned(run_table(folder, str(what)), source or local(folder))
    if what is not None:
        folder = Path(what)
    store = source or local(folder)
    raw = [row({**r, "status": store.status_of(r)}) for r in map(store.read, store.run_ids()) if r is not None]
    tables = sorted(folder.glob("*/runs.csv"))
    if raw:
        return as_frame(raw)
    if source is not None:
        raise ConfigError("the source has no run that gradreach made; `python run.py tracking=online` makes some")
    if not tables:
        known = [path.parent.name for path in Path(results_dir).glob("*/runs.csv")]
        if what is not None and not folder.is_dir() and known:
            raise ConfigError(
                f"{what}: no experiment that has runs, and no folder of results; {suggest(str(what), known)}"
            )
        raise ConfigError(f"{folder.resolve()}: no runs here; python run.py -m experiment=quickstart makes some")
    return as_frame({old["run_id"]: old for table in tables for old in _rows(read_runs(table))}.values())


def _planned(path: Path, source: Source) -> pd.DataFrame:
    planned = _read(path, ["run_id"])["run_id"]
    found = {}
    for run_id in planned:
        record = source.read(run_id)
        if record is not None:
            found[run_id] = row({**record, "status": source.status_of(record)})
    if len(found) == len(planned):
        return as_frame(found.values())
    committed = read_runs(path)
    if not found:
        return as_frame(_rows(committed))
    absent = committed[~committed["run_id"].isin(list(found))]
    return as_frame([*found.values(), *map(_unknown, _rows(absent))])


def _unknown(old: Mapping[str, Any]) -> dict[str, Any]:
    """Forget what a committed row says of a run that was not done here."""
    return {k: v for k, v in old.items() if k in AXES or k.startswith(GROUPS)} | {"status": MISSING}


def run_table(results_dir: Path, experiment: str) -> Path:
    """Return where an experiment's compact run table stands."""
    return results_dir / experiment / "runs.csv"


def write_plan(workplace: Workplace, runs: Iterable[RunConfig]) -> None:
    """Write which runs an experiment consists of; what its table knows of them already is kept."""
    assert workplace.experiment is not None
    path = run_table(workplace.results_dir, workplace.experiment)
    known = {old["run_id"]: old for old in _rows(read_runs(path))} if path.exists() else {}
    write_csv(path, as_frame(known.get(run.run_id, planned_row(run.canonical(), run.run_id)) for run in runs))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame so that reading it gives every digit back."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_runs(path: Path) -> pd.DataFrame:
    """Read a run table that we wrote; one of an older version lacks columns, which are empty then.

    Raises:
        ConfigError: it cannot be read, or names a run twice.
    """
    frame = _read(path, [])
    try:
        return pd.DataFrame({name: _read_column(name, frame[name]) for name in map(str, frame)})
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read as a run table ({error}); restore it, or sweep again") from None


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read columns of a run table, or all, and see that it is one."""
    try:
        frame = pd.read_csv(
            path,
            usecols=columns or None,
            float_precision="round_trip",
            dtype_backend="numpy_nullable",
            keep_default_na=False,
            na_values=[""],
            dtype=dict.fromkeys(TEXTS, "string"),
        )
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read as a run table ({error}); restore it, or sweep again") from None
    lacking = set(columns or ("run_id", "status", "model", "task")) - set(frame)
    if lacking:
        raise ConfigError(f"{path}: not a run table, it lacks {', '.join(lacking)}; restore it, or sweep again")
    twice = frame["run_id"][frame["run_id"].duplicated()].unique().tolist()
    if twice:
        raise ConfigError(f"{path}: names {len(twice)} runs twice, {twice[0]} among them; keep one row of each")
    return frame


def _read_column(name: str, held: pd.Series) -> Any:
    if name in TEXTS:
        return held.astype(object).where(held.notna(), None).to_numpy()
    if name in INTEGERS:
        return held.astype("Int64").array
    return _setting(held) if name.startswith(GROUPS) else held.to_numpy(dtype=float, na_value=math.nan)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in old.items()} for old in plain.to_dict("records")]
