"""Records as a table: one row a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from gradreach.config import RunConfig, Workplace
from gradreach.files import write_atomically, write_text
from gradreach.records import RecordStore

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
    "steps_per_second",
    "revision",
)
INTEGERS = (
    "seq_len",
    "kernel_size",
    "seed",
    "width",
    "parameters",
    "multiply_adds",
    "receptive_field",
    "best_epoch",
    "steps",
)
ORDER = ["task", "model", "kernel_size", "seq_len", "seed", "run_id"]
LABELS = ("run_id", "stage", "layer", "quantity")
PROFILE = ["run_id", "stage", "layer", "quantity", "lag", "q10", "median", "q90", "n"]
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
    metrics = {name: float(value) for name, value in (record.get("metrics") or {}).items()}
    return {
        **planned_row(record["config"], record["run_id"]),
        "status": record["status"],
        **{name: record.get(name) for name in FACTS},
        **metrics,
    }


def as_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame in a fixed order, typed so that writing and reading it give the same."""
    frame = _typed(pd.DataFrame(list(rows)))
    return frame if frame.empty else frame.sort_values(ORDER, na_position="first", ignore_index=True)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Make whole numbers nullable integers: a CNN has a kernel size, an LSTM has none."""
    return frame.astype({column: "Int64" for column in INTEGERS if column in frame})


def load_runs(results_dir: Path | str, experiment: str | None = None) -> pd.DataFrame:
    """Return one row a run.

    Args:
        results_dir: the folder ``results``.
        experiment: only the runs that its last sweep planned, those not done included as ``missing``. As soon as there
            is one raw record among them, only raw records count; without any, the rows of the committed run table
            do: one's own runs are never mixed with somebody else's. None: all raw records.

    Raises:
        FileNotFoundError: the experiment has no run table.
    """
    store = RecordStore(Path(results_dir) / "runs")
    if experiment is None:
        everything = (store.read(folder.name) for folder in sorted(store.root.glob("[0-9a-f]*")))
        return as_frame(row(record) for record in everything if record is not None)
    committed = read_csv(run_table(Path(results_dir), experiment))
    found = {}
    for run_id in committed["run_id"]:
        record = store.read(run_id)
        if record is not None:
            found[run_id] = row(record | {"status": store.status_of(record)})
    if not found:
        return as_frame(_rows(committed))
    absent = committed[~committed["run_id"].isin(list(found))]
    return as_frame([*found.values(), *map(_unknown, _rows(absent))])


def _unknown(old: Mapping[str, Any]) -> dict[str, Any]:
    """Forget what a committed row says of a run that was not done here."""
    configured = {"run_id", "model", "task", "seq_len", "kernel_size", "seed"}
    groups = ("task.", "model.", "optimizer.", "trainer.", "diagnostics.")
    return {k: v for k, v in old.items() if k in configured or k.startswith(groups)} | {"status": MISSING}


def load_profiles(results_dir: Path | str, runs: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return the gradient profiles of finished runs, long form, with ``run_id`` and ``stage``.

    The raw ones where there are any, else those of the committed table. Four decimals of log10, which is more than any
    figure shows; the raw profile keeps them all.
    """
    finished = runs.loc[runs["status"] == "finished", "run_id"].tolist()
    store = RecordStore(Path(results_dir) / "runs")
    profiles = _pack((run_id, store.read_profile(run_id)) for run_id in finished)
    if not profiles.empty:
        return profiles
    path = profile_table(Path(results_dir), experiment)
    committed = read_csv(path) if path.exists() else pd.DataFrame(columns=PROFILE)
    return committed[committed["run_id"].isin(finished)].astype(dict.fromkeys(LABELS, "category"))


def _pack(profiles: Iterable[tuple[str, Mapping[str, np.ndarray]]]) -> pd.DataFrame:
    """Put many profiles into one frame; what they share, as runs of one sweep do, is held once until then."""
    run_ids: list[str] = []
    parts: dict[str, list[np.ndarray]] = {name: [] for name in PROFILE}
    labels: dict[str, dict[str, int]] = {name: {} for name in LABELS}
    known: dict[tuple[str, str, bytes], np.ndarray] = {}
    for run_id, columns in profiles:
        if not columns:
            continue
        for name in ("stage", "layer", "quantity"):
            key = (name, columns[name].dtype.str, columns[name].tobytes())
            if key not in known:
                codes = [labels[name].setdefault(label, len(labels[name])) for label in columns[name].tolist()]
                known[key] = np.array(codes, np.int16)
            parts[name].append(known[key])
        for name in ("q10", "median", "q90"):
            parts[name].append(columns[name].round(4))
        for name in ("lag", "n"):
            parts[name].append(columns[name].astype(np.int32))
        parts["run_id"].append(np.full(len(columns["lag"]), len(run_ids), np.int32))
        run_ids.append(run_id)
    labels["run_id"] = {run_id: i for i, run_id in enumerate(run_ids)}
    packed: dict[str, Any] = {}
    for name in PROFILE:
        values: Any = np.concatenate(parts.pop(name)) if run_ids else np.empty(0, int)
        packed[name] = (
            pd.Categorical.from_codes(values, pd.Index(list(labels[name]), dtype=object)) if name in LABELS else values
        )
    return pd.DataFrame(packed)


def run_table(results_dir: Path, experiment: str) -> Path:
    """Return where an experiment's compact run table stands."""
    return results_dir / experiment / "runs.csv"


def profile_table(results_dir: Path, experiment: str) -> Path:
    """Return where an experiment's compact profiles stand."""
    return results_dir / experiment / "profiles.csv"


def write_plan(workplace: Workplace, runs: Iterable[RunConfig]) -> None:
    """Write which runs an experiment consists of; what its table knows of them already is kept."""
    assert workplace.experiment is not None
    path = run_table(workplace.results_dir, workplace.experiment)
    known = {old["run_id"]: old for old in _rows(read_csv(path))} if path.exists() else {}
    write_csv(path, as_frame(known.get(run.run_id, planned_row(run.canonical(), run.run_id)) for run in runs))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame so that reading it gives every digit back."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def write_profiles(path: Path, profiles: pd.DataFrame) -> None:
    """Write profiles as ``write_csv`` does; millions of lines in seconds."""
    from pyarrow import Table
    from pyarrow.csv import WriteOptions
    from pyarrow.csv import write_csv as write

    table = Table.from_pandas(profiles, preserve_index=False)

    def into(file: BinaryIO) -> None:
        file.write((",".join(map(str, profiles)) + "\n").encode())
        write(table, file, WriteOptions(include_header=False, quoting_style="none"))

    write_atomically(path, into)


def read_csv(path: Path) -> pd.DataFrame:
    """Read a frame that we wrote."""
    return _typed(pd.read_csv(path, float_precision="round_trip", dtype={"run_id": str, "revision": str}))


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in old.items()} for old in frame.to_dict("records")]
