"""Records as a table: one row a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.config import RunConfig, Workplace
from gradreach.files import write_text
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
    known = _rows(run_table(Path(results_dir), experiment))
    records = {str(old["run_id"]): store.read(str(old["run_id"])) for old in known}
    if not any(records.values()):
        return as_frame(known)
    return as_frame(
        row(record | {"status": store.status(run_id)}) if record is not None else _unknown(old)
        for old, (run_id, record) in zip(known, records.items(), strict=True)
    )


def _unknown(old: Mapping[str, Any]) -> dict[str, Any]:
    """Forget what a committed row says of a run that was not done here."""
    configured = {"run_id", "model", "task", "seq_len", "kernel_size", "seed"}
    groups = ("task.", "model.", "optimizer.", "trainer.", "diagnostics.")
    return {k: v for k, v in old.items() if k in configured or k.startswith(groups)} | {"status": MISSING}


def load_profiles(results_dir: Path | str, runs: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Return the gradient profiles of finished runs, long form, with ``run_id`` and ``stage``.

    Raw profiles where they are, else those of the committed table.
    """
    store = RecordStore(Path(results_dir) / "runs")
    path = profile_table(Path(results_dir), experiment)
    committed = read_csv(path) if path.exists() else pd.DataFrame({"run_id": []})
    frames = []
    for run_id in runs.loc[runs["status"] == "finished", "run_id"]:
        columns = store.read_profile(run_id)
        if columns:
            frames.append(_compact(pd.DataFrame(columns)).assign(run_id=run_id))
        else:
            frames.append(committed[committed["run_id"] == run_id])
    if not frames:
        return pd.DataFrame(columns=PROFILE)
    profiles = pd.concat(frames, ignore_index=True)
    return profiles[PROFILE]


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
    known = {old["run_id"]: old for old in _rows(path)} if path.exists() else {}
    write_csv(path, as_frame(known.get(run.run_id, planned_row(run.canonical(), run.run_id)) for run in runs))


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame so that reading it gives every digit back."""
    write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_csv(path: Path) -> pd.DataFrame:
    """Read a frame that we wrote."""
    return _typed(pd.read_csv(path, float_precision="round_trip", dtype={"run_id": str, "revision": str}))


def _rows(path: Path) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in old.items()} for old in read_csv(path).to_dict("records")]


def _compact(profile: pd.DataFrame) -> pd.DataFrame:
    """Keep four decimals of log10, which is more than any figure shows; the raw profile keeps them all."""
    return profile.round({"q10": 4, "median": 4, "q90": 4})
