"""``results/<experiment>/runs.csv`` or ``.csv.bz2``: the plan of a sweep and the state of its runs, with a checksum."""

import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from csv import DictReader, reader
from datetime import date
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from gradreach.config import RunConfig, RunEnvironment
from gradreach.errors import ConfigError, advise
from gradreach.records import SETTLED
from gradreach.run_table.columns import (
    GROUPS,
    INTEGERS,
    OLDER,
    TEXTS,
    as_frame,
    as_was,
    planned_row,
    read_csv,
    setting,
)
from gradreach.run_table.compressed import open_table, read_table, stored_at, tables_named, write_table
from gradreach.run_table.seal import check_seal, has_seal, sealed
from gradreach.system.provenance import code_digest

RUNS = "runs.csv"
RESTORE = "restore it, or delete it and sweep again: runs with a record are not repeated"


def run_table(results_dir: Path, experiment: str) -> Path:
    """Return where an experiment's run table stands, or would stand."""
    return stored_at(results_dir / experiment / RUNS)


def run_tables(results_dir: Path) -> list[Path]:
    """Return the run tables of all experiments, by name."""
    return tables_named(results_dir, RUNS)


CONFIRMATORY = 100
"""Seeds from here on decide; those below are pilots, used to choose rules, numbers of seeds and settings."""
ONCE = ("sweep", "rule")
"""Columns of a run table that have one cell, in the first row, beside its checksum."""


def write_plan(environment: RunEnvironment, runs: Iterable[RunConfig], rule: Mapping[str, Any] | None = None) -> None:
    """Write the list of an experiment's runs, keeping what its table already has.

    So are runs that the present code has done and that this line does not ask for: a study may be made in parts, by
    some of its seeds here and others there, and no part removes the results of another. Of a published table that is
    redone all rows are kept: its cells may be done one by one, over many versions of the code.

    Args:
        environment: names the experiment, and its folder.
        runs: of the sweep.
        rule: what is stored of the rule of its verdict when the sweep is planned for the first time: the digest, and
            of how many runs there were records (``done``). Date and seeds are added here.
    """
    assert environment.experiment is not None
    path = run_table(environment.results_dir, environment.experiment)
    planned = {run.run_id: run for run in runs}
    known = read_runs(path) if path.exists() else pd.DataFrame({"run_id": []})
    kept = known if is_published(path) else known[known["run_id"].isin(planned) | _done_by_this_code(known)]
    new = planned.keys() - set(kept["run_id"])
    table = as_frame(chain(rows_of(kept), (planned_row(planned[i].canonical(), i) for i in new)))
    cells = stored_cells(path) if path.exists() else {}
    seeds = sorted({run.seed for run in planned.values()})
    if rule is not None and _is_first_plan(seeds, known, cells):
        cells["rule"] = json.dumps({**rule, "date": date.today().isoformat(), "seeds": seeds}, sort_keys=True)
    sweep = None if is_published(path) else sweep_digest(sweep_name(path))
    write_runs(path, table, cells | ({"sweep": sweep} if sweep else {}))


def _is_first_plan(seeds: Sequence[int], known: pd.DataFrame, cells: Mapping[str, str]) -> bool:
    """Return whether seeds are the first to be planned, or the first of those that decide."""
    before = json.loads(cells["rule"])["seeds"] if "rule" in cells else known.get("seed", pd.Series(dtype=int))
    return not len(before) or (max(seeds) >= CONFIRMATORY and not any(seed >= CONFIRMATORY for seed in before))


def _done_by_this_code(runs: pd.DataFrame) -> pd.Series:
    if "code" not in runs:
        return pd.Series(False, index=runs.index)
    return (runs["code"] == code_digest()) & runs["status"].isin(SETTLED)


def is_quick(path: Path) -> bool:
    """Return whether a run table is of a quick form."""
    return path.parent.parent.name == "quick"


def is_published(path: Path) -> bool:
    """Return whether a run table is of a published table that is redone."""
    return path.parent.parent.name == "published"


def sweep_name(path: Path) -> str:
    """Return what ``experiment=`` calls the sweep of a run table; those in ``results/quick`` are of quick forms."""
    return path.parent.name + "_quick" * is_quick(path)


def sweep_digest(name: str, conf_dir: Path = Path("conf")) -> str | None:
    """Return the SHA-256 of what ``conf/experiment/<name>.yaml`` says, and what it builds on; None where it is not.

    Comments and the order of keys do not count.
    """
    files, said = [name], []
    for each in files:
        try:
            settings = OmegaConf.to_container(OmegaConf.load(conf_dir / "experiment" / f"{each}.yaml"))
        except Exception:  # absent, or such that Hydra would not read it either
            return None
        said.append(settings)
        built_on = settings.get("defaults", []) if isinstance(settings, dict) else []
        files += [base for base in built_on if isinstance(base, str) and base not in ("_self_", *files)]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def stored_cells(path: Path) -> dict[str, str]:
    """Return what a run table says once: the digest of its sweep, and what is stored of the rule of its verdict."""
    with open_table(path, RESTORE) as file, TextIOWrapper(file, encoding="utf-8", newline="") as text:
        first = next(DictReader(text), {})
    return {name: first[name] for name in ONCE if first.get(name)}


def stored_plan(path: Path) -> dict[str, Any] | None:
    """Return what was stored of a rule when its sweep was first planned; None where nothing was."""
    stored: dict[str, Any] | None = json.loads(stored_cells(path).get("rule", "null"))
    return stored


def outdated(path: Path) -> str | None:
    """Return a note if an experiment's sweep has changed since its run table was planned, otherwise None."""
    name = sweep_name(path)
    planned, today = stored_cells(path).get("sweep"), sweep_digest(name)
    if planned is None or today is None or planned == today:
        return None
    return (
        f"{name}: conf/experiment/{name}.yaml has changed since {path} was planned; "
        f"python run.py -m experiment={name} runs what is new"
    )


def write_runs(path: Path, runs: pd.DataFrame, once: Mapping[str, str] | None = None) -> None:
    """Write a run table.

    Some columns have one cell, in the first row: ``sweep``, the digest of the sweep that the runs were planned from;
    ``rule``, what was stored of the rule of its verdict; ``checksum``, the SHA-256 of the file without that cell. A
    column ``code`` in which nothing stands is left out, as tables of older versions have none.
    """
    if "code" in runs and runs["code"].isna().all():
        runs = runs.drop(columns="code")
    text = sealed(runs, {name: once[name] for name in ONCE if once and name in once})
    write_table(path, text)


def read_runs(path: Path) -> pd.DataFrame:
    """Read a run table that we wrote; one of an older version lacks columns, which are empty then.

    Raises:
        ConfigError: it cannot be read, was edited by hand, or has no runs or duplicates.
    """
    frame = _read(path).drop(columns=[*ONCE, "checksum"], errors="ignore")
    for old, name in OLDER.items():
        if old in frame:
            held = frame.pop(old)
            frame[name] = frame[name].fillna(held) if name in frame else held
    if "code" not in frame:
        place = list(frame).index("revision") + 1 if "revision" in frame else len(frame.columns)
        frame.insert(place, "code", pd.Series(pd.NA, index=frame.index, dtype=object))
    try:
        return pd.DataFrame({name: _read_column(name, frame[name]) for name in map(str, frame)})
    except (ValueError, TypeError) as error:
        raise ConfigError(path, allowed=f"cannot be read as a run table ({error})", hint=RESTORE) from None


def planned_ids(path: Path) -> list[str]:
    """Return the runs that a run table names.

    Raises:
        ConfigError: as ``read_runs``.
    """
    ids: list[str] = _read(path, ["run_id"])["run_id"].tolist()
    return ids


def read_columns(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a run table; one that it lacks is empty.

    Raises:
        ConfigError: as ``read_runs``.
    """
    with open_table(path, RESTORE) as file, TextIOWrapper(file, encoding="utf-8", newline="") as text:
        head = next(reader(text), [])
    frame = _read(path, [name for name in names if name in head or name == "run_id"])
    absent = pd.Series(pd.NA, index=frame.index, dtype=object)
    return pd.DataFrame({name: _read_column(name, frame.get(name, absent)) for name in names})


def rows_of(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows of a run table, as plain values and None."""
    columns = [values.astype(object).where(values.notna(), None).tolist() for _, values in frame.items()]
    for values in zip(*columns, strict=True):
        yield dict(zip(map(str, frame), values, strict=True))


def _read(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read columns of a run table, or all, and check its format."""
    data = read_table(path, RESTORE)
    _check_seal(path, data)
    try:
        frame = read_csv(
            io.BytesIO(data),
            usecols=columns,
            dtype_backend="numpy_nullable",
            keep_default_na=False,
            na_values=[""],
            dtype=dict.fromkeys({*TEXTS, *ONCE, "checksum"}, "string"),
        )
    except ValueError as error:
        raise ConfigError(path, allowed=f"cannot be read as a run table ({error})", hint=RESTORE) from None
    lacking = set(columns or ("run_id", "status", "model", "task")) - set(frame)
    if lacking:
        not_one = f"is not a run table: it lacks {', '.join(sorted(lacking))}"
        raise ConfigError(path, allowed=not_one, hint=RESTORE)
    if frame.empty:
        raise ConfigError(path, allowed="names no run", hint=RESTORE)
    twice = frame["run_id"][frame["run_id"].duplicated()].unique().tolist()
    if twice:
        repeated = f"has {len(twice)} duplicate runs, such as {twice[0]}"
        raise ConfigError(path, allowed=repeated, hint="keep one row for each")
    return frame


def _check_seal(path: Path, data: bytes) -> None:
    if has_seal(data):
        check_seal(path, data, RESTORE)
    else:
        advise(
            f"{path}: has no checksum, since an older gradreach wrote it; gradreach tables {path.parent.name} adds one"
        )


def _read_column(name: str, held: pd.Series) -> Any:
    if name in TEXTS or (name.startswith(GROUPS) and pd.api.types.is_string_dtype(held)):
        held = held.map(lambda text: as_was(text) if isinstance(text, str) else text)
    if name in TEXTS:
        return held.astype(object).where(held.notna(), None).to_numpy()
    if name in INTEGERS:
        return held.astype("Int64").array
    return setting(held) if name.startswith(GROUPS) else held.to_numpy(dtype=float, na_value=math.nan)
