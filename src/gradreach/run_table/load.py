"""Records as a table: one row a run. docs/results.md tells every column."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.errors import ConfigError
from gradreach.run_table.columns import AXES, GROUPS, MISSING, as_frame, row
from gradreach.run_table.committed import planned_ids, read_runs, rows_of, run_table
from gradreach.run_table.sources import Source, local


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
        ConfigError: there is neither such an experiment with runs, nor such a folder; or a run table cannot be used.
    """
    folder = Path(results_dir)
    if what is not None and run_table(folder, str(what)).is_file():
        return as_frame(_planned(run_table(folder, str(what)), source or local(folder)))
    if what is not None:
        folder = Path(what)
    store = source or local(folder)
    raw = as_frame(row({**r, "status": store.status_of(r)}) for r in map(store.read, store.run_ids()) if r is not None)
    if len(raw):
        return raw
    if source is not None:
        hint = "'python run.py tracking=online' makes some"
        raise ConfigError("--source", allowed="holds no run that gradreach made", hint=hint)
    tables = sorted(folder.glob("*/runs.csv"))
    if not tables:
        known = [path.parent.name for path in Path(results_dir).glob("*/runs.csv")]
        if what is not None and not folder.is_dir() and known:
            neither = "neither an experiment that has runs nor a folder of results"
            raise ConfigError(what, allowed=neither, choices=known)
        hint = "python run.py -m experiment=quickstart makes some"
        raise ConfigError(folder.resolve(), allowed="no runs here", hint=hint)
    return as_frame({old["run_id"]: old for table in tables for old in rows_of(read_runs(table))}.values())


def _planned(path: Path, source: Source) -> Iterator[Mapping[str, Any]]:
    """Go through the runs that an experiment planned: their raw records, or where there is none what is committed."""
    planned = planned_ids(path)
    absent = set()
    for run_id in planned:
        record = source.read(run_id)
        if record is None:
            absent.add(run_id)
        else:
            yield row({**record, "status": source.status_of(record)})
    if absent:
        committed = read_runs(path)
        own = len(absent) < len(planned)
        yield from map(_unknown, rows_of(committed[committed["run_id"].isin(absent)])) if own else rows_of(committed)


def _unknown(old: Mapping[str, Any]) -> dict[str, Any]:
    """Forget what a committed row says of a run that was not done here."""
    return {k: v for k, v in old.items() if k in AXES or k.startswith(GROUPS)} | {"status": MISSING}


def disagreements(experiment: str, results_dir: Path, source: Source) -> tuple[int, list[str]]:
    """Compare what a source and the records here tell of an experiment's runs.

    Returns:
        How many runs are in both, and a line for each value that both tell and that differs. Numbers may differ by
        one part in a million, which is what a server may round.
    """
    here, there = (
        load_runs(experiment, results_dir, each).set_index("run_id") for each in (local(results_dir), source)
    )
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
