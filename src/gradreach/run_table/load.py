"""Records as a table: one row per run. docs/results.md explains every column."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.columns import AXES, GROUPS, MISSING, as_frame, frame_of, packed, row
from gradreach.run_table.committed import planned_ids, read_runs, rows_of, run_table, run_tables
from gradreach.run_table.index import rows_of_runs
from gradreach.run_table.join import join, rows_beside
from gradreach.run_table.sources import Source, local


def load_runs(
    what: Path | str | None = None, results_dir: Path | str = "results", source: Source | None = None
) -> pd.DataFrame:
    """Return one row a run.

    If none of the runs has a raw record, committed run tables count as they are. Beside raw records only rows made by
    the same code count, so that a study can span machines; other rows are never mixed with them.

    Args:
        what: the name of an experiment: the runs that its last sweep planned, those not done included as ``missing``.
            A folder of results: all runs in it. None: all runs in ``results_dir``.
        results_dir: where experiments have their results.
        source: where raw records are, if not in ``<results_dir>/runs``; beside those of a server nothing counts.

    Raises:
        ConfigError: there is no such experiment with runs and no such folder, or a run table cannot be used.

    >>> runs = load_runs("quickstart")
    >>> runs["status"].unique().tolist(), runs["model"].nunique()
    (['finished'], 4)
    """
    folder = Path(results_dir)
    if what is not None and run_table(folder, str(what)).is_file():
        return _planned(run_table(folder, str(what)), source, folder)
    if what is not None:
        folder = Path(what)
    store = source or local(folder)
    raw = recorded(store, store.run_ids())
    tables = run_tables(folder) if source is None else []
    if len(raw):
        runs = frame_of(raw)
        joined = list(rows_beside(runs, tables))
        return as_frame(chain(rows_of(runs), joined)) if joined else runs
    if source is not None:
        hint = "make some with 'python run.py tracking=online'"
        raise ConfigError("--source", allowed="has no gradreach runs", hint=hint)
    if not tables:
        known = [path.parent.name for path in run_tables(Path(results_dir))]
        if what is not None and not folder.is_dir() and known:
            neither = "neither an experiment with runs nor a folder of results"
            raise ConfigError(what, allowed=neither, choices=known)
        hint = "make some with python run.py -m experiment=quickstart"
        raise ConfigError(folder.resolve(), allowed="it has no runs", hint=hint)
    return as_frame({old["run_id"]: old for table in tables for old in rows_of(read_runs(table))}.values())


def recorded(source: Source, run_ids: Sequence[str]) -> pa.Table:
    """Return packed rows of the runs with a record; whether one is still running is looked up now."""
    blocks = list(rows_of_runs(source, "runs", run_ids, partial(_read, source)))
    rows = pa.concat_tables(blocks or [packed([])], promote_options="default")
    states = rows["status"].to_pylist()
    if "running" not in states:
        return rows
    told = zip(rows["run_id"].to_pylist(), states, strict=True)
    now = [source.status_of({"run_id": run_id, "status": status}) for run_id, status in told]
    place = rows.column_names.index("status")
    return rows.set_column(place, "status", pa.array(now, pa.string()).dictionary_encode())


def _read(source: Source, run_ids: Sequence[str]) -> pa.Table:
    return packed(_rows(source, run_ids))


def _rows(source: Source, run_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Go through the rows of records; one of which none can be made is put aside, where it is here."""
    for run_id in run_ids:
        if (record := source.read(run_id)) is None:
            continue
        try:
            yield row(record)
        except ConfigError as error:
            if not isinstance(source, RecordStore):
                raise
            source.put_aside(run_id, error.allowed)


def _planned(path: Path, source: Source | None, results_dir: Path) -> pd.DataFrame:
    """Return the runs that an experiment planned: from raw records, or if there is none, from committed rows."""
    planned = planned_ids(path)
    raw = recorded(source or local(results_dir), planned)
    absent = set(planned) - set(raw["run_id"].to_pylist())
    if not absent:
        return frame_of(raw)
    committed = read_runs(path)
    rows: Iterator[Mapping[str, Any]] = iter(())
    if len(raw):
        committed = committed[committed["run_id"].isin(absent)]
        nothing = pd.Series(False, index=committed.index)
        joined = nothing if source is not None else join(committed, set(raw["code"].to_pylist()), path.parent.name)
        rows = map(_unknown, rows_of(committed[~joined]))
        committed = committed[joined]
    beside = packed(chain(rows, rows_of(committed)))
    return frame_of(pa.concat_tables([raw, beside], promote_options="default"))


def _unknown(old: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the committed results of a run that was not executed here."""
    return {k: v for k, v in old.items() if k in AXES or k.startswith(GROUPS)} | {"status": MISSING}


def disagreements(experiment: str, results_dir: Path, source: Source) -> tuple[int, list[str]]:
    """Compare an experiment's runs between a source and the records here.

    Returns:
        How many runs are in both, and a line for each value that both tell and that differs. Numbers may differ by
        one part in a million, which is what a server may round.
    """
    here, there = (load_runs(experiment, results_dir, each).set_index("run_id") for each in (None, source))
    both = here.index[(here["status"] != "missing") & (there["status"].reindex(here.index) != "missing")]
    lines = []
    for column in sorted(str(name) for name in set(here) & set(there)):
        pairs = zip(both, here.loc[both, column], there.loc[both, column], strict=True)
        lines += [
            f"{run_id} {column}: {ours} here, {theirs} there"
            for run_id, ours, theirs in pairs
            if not (pd.isna(ours) or pd.isna(theirs) or _same(ours, theirs))
        ]
    return len(both), lines


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, str | bool) or isinstance(theirs, str | bool):
        return bool(ours == theirs)
    return math.isclose(ours, theirs, rel_tol=1e-6)
