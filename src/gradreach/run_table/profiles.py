"""Gradient profiles of many runs: as one frame, as the curves that figures show, as the lines of a committed file."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gradreach.records import RecordStore
from gradreach.run_table.index import index_of, rows_of_runs
from gradreach.run_table.lines import write_lines
from gradreach.run_table.measurements import (
    DECIMALS,
    LABELS,
    NUMBERS,
    PROFILE,
    committed_rows,
    table_of,
    together,
    unrecorded,
    write_long,
)
from gradreach.run_table.sources import Source, local

KINDS: dict[str, Any] = {"stage": str, "layer": str, "quantity": str, **NUMBERS}
"""Of the columns of a profile; without ``direction`` before bidirectional layers were told apart."""
CURVE = ["run_id", "stage", "layer", "lag", "median"]
"""What figures show of a quantity."""


def load_profiles(
    runs: pd.DataFrame, experiment: str | None = None, results_dir: Path | str = "results", source: Source | None = None
) -> pd.DataFrame:
    """Return the gradient profiles of finished runs: one row for each run, stage, layer, direction, quantity and lag.

    Args:
        runs: the run table, whose ``run_id`` and ``status`` count: what is committed of runs that have no record joins
            the profiles of those that have, as their rows did in ``load_runs``.
        experiment: whose committed profiles these are; None: of raw records alone.
        results_dir: the folder of results.
        source: where raw records are, if not in ``<results_dir>/runs``.
    """
    source, finished = source or local(Path(results_dir)), _finished(runs)
    profiles = _frame(_rows(source, finished), finished)
    absent = unrecorded(finished, profiles, source) if experiment is not None else []
    if not absent:
        return profiles
    committed = committed_rows(Path(results_dir) / str(experiment) / "profiles.csv", PROFILE, absent, NUMBERS)
    return _labelled(together(profiles, committed, finished))


def load_curves(
    quantity: str,
    runs: pd.DataFrame,
    experiment: str | None = None,
    results_dir: Path | str = "results",
    source: Source | None = None,
) -> pd.DataFrame:
    """Return ``curves_of`` the profiles of finished runs, without the memory that all of those take.

    Args:
        quantity: ``x``, ``h`` or ``c``.
        runs: as for ``load_profiles``.
        experiment: likewise.
        results_dir: likewise.
        source: likewise.
    """
    whence, finished = source or local(Path(results_dir)), _finished(runs)
    needed = [*CURVE, "direction", "quantity"]
    curves = _frame((_of_quantity(table, quantity) for table in _rows(whence, finished, needed)), finished, CURVE)
    if experiment is not None and unrecorded(finished, curves, whence):
        return curves_of(load_profiles(runs, experiment, results_dir, source), quantity)
    return _last_layer(curves)


def curves_of(profiles: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return the median norms of one quantity: of several recurrent layers the last, of two directions the forward one.

    >>> curve = {"run_id": "a", "stage": "end", "layer": "0", "quantity": ["x", "h"], "lag": 0, "median": [-1.0, -2.0]}
    >>> curves_of(pd.DataFrame(curve), "h")["median"].tolist()
    [-2.0]
    """
    if profiles.empty:
        return pd.DataFrame(columns=CURVE)
    mine = profiles["quantity"] == quantity
    if "direction" in profiles:
        mine &= profiles["direction"] == "forward"
    return _last_layer(profiles.loc[mine, CURVE])


def _last_layer(curves: pd.DataFrame) -> pd.DataFrame:
    if curves["layer"].nunique() < 2:
        return curves
    layers = curves[["run_id", "layer"]].drop_duplicates()
    last = layers.drop_duplicates("run_id", keep="last")
    return curves if len(last) == len(layers) else curves.merge(last, on=["run_id", "layer"])


def write_profiles(
    path: Path,
    runs: pd.DataFrame,
    experiment: str,
    results_dir: Path,
    source: Source | None = None,
) -> str:
    """Write the profiles of finished runs, as ``load_profiles`` returns them, and return the SHA-256 of the CSV.

    Of records here the lines of runs that have not changed are taken from the file that stands there.
    """
    store, finished = source or local(results_dir), _finished(runs)
    if isinstance(store, RecordStore):
        found = {run_id: trail for run_id in finished if (trail := store.fingerprint(run_id)) is not None}
        if len(found) == len(finished):
            known = (
                index_of(store) / "lines" / f"{experiment}.json" if path.parent == results_dir / experiment else None
            )
            return write_lines(path, PROFILE, found, lambda some: _rows(store, some), known)
    return write_long(path, load_profiles(runs, experiment, results_dir, source))


def _finished(runs: pd.DataFrame) -> list[str]:
    finished: list[str] = runs.loc[runs["status"] == "finished", "run_id"].tolist()
    return finished


def _rows(source: Source, run_ids: Sequence[str], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    return rows_of_runs(source, "profiles", run_ids, partial(_read, source), columns)


def _read(source: Source, run_ids: Sequence[str]) -> pa.Table:
    """Put profiles together; labels that they share, as runs of one sweep do, are read once."""
    measured: list[str] = []
    lengths: list[int] = []
    parts: dict[str, list[np.ndarray]] = {name: [] for name in PROFILE[1:]}
    labels: dict[str, dict[str, int]] = {name: {} for name in LABELS[1:]}
    known: dict[tuple[str, str, bytes], np.ndarray] = {}
    for run_id in run_ids:
        if not (columns := table_of(source, run_id, "profile", KINDS)):
            continue
        measured.append(run_id)
        lengths.append(len(columns["lag"]))
        for name, codes in labels.items():
            texts = columns.get(name, np.full(lengths[-1], "forward"))
            key = (name, texts.dtype.str, texts.tobytes())
            if key not in known:
                known[key] = np.array([codes.setdefault(label, len(codes)) for label in texts.tolist()], np.int32)
            parts[name].append(known[key])
        for name, kind in NUMBERS.items():
            parts[name].append(columns[name].astype(kind))  # a copy: a column would keep the whole table in memory
    packed = {"run_id": _dictionary(np.repeat(np.arange(len(measured), dtype=np.int32), lengths), measured)}
    for name, codes in labels.items():
        packed[name] = _dictionary(np.concatenate(parts.pop(name) or [np.empty(0, np.int32)]), list(codes))
    for name, kind in NUMBERS.items():
        values = np.concatenate(parts.pop(name) or [np.empty(0, kind)])
        rounded = values.round(DECIMALS) + 0.0 if kind is float else values  # no −0, which is 0 in CSV
        packed[name] = pa.array(rounded, from_pandas=True)
    return pa.table(packed)


def _dictionary(codes: np.ndarray, labels: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(labels, pa.string()))


def _of_quantity(rows: pa.Table, quantity: str) -> pa.Table:
    mine = _is(rows["quantity"], quantity) & _is(rows["direction"], "forward")
    return rows.select(CURVE).filter(pa.array(mine))


def _is(column: pa.ChunkedArray, label: str) -> np.ndarray:
    whole = column.combine_chunks()
    meant = np.array([each == label for each in whole.dictionary.to_pylist()], dtype=bool)
    return meant[whole.indices.to_numpy()] if len(whole) else np.empty(0, bool)


def _frame(tables: Iterable[pa.Table], run_ids: Sequence[str], names: Sequence[str] = PROFILE) -> pd.DataFrame:
    """Put blocks of rows into one frame, runs in this order, labels as categories in that in which they appear."""
    rank = {run_id: place for place, run_id in enumerate(run_ids)}
    labels: dict[str, dict[str, int]] = {"run_id": rank, **{name: {} for name in LABELS[1:]}}
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for table in tables:
        for name in names:
            column = table[name].combine_chunks()
            if name not in labels:
                parts[name].append(column.to_numpy(zero_copy_only=False))
                continue
            codes = [labels[name].setdefault(label, len(labels[name])) for label in column.dictionary.to_pylist()]
            kind = np.int32 if name == "run_id" else np.int16
            parts[name].append(np.array(codes, kind)[column.indices.to_numpy()])
    empty = {name: np.empty(0, NUMBERS.get(name, np.int32)) for name in names}
    runs = np.concatenate(parts.pop("run_id", [empty["run_id"]]))
    order = _order(runs)
    framed: dict[str, Any] = {"run_id": _categories(runs[order], run_ids)}
    for name in names[1:]:
        values = np.concatenate(parts.pop(name, [empty[name]]))[order]
        framed[name] = _categories(values, list(labels[name])) if name in labels else values
    return pd.DataFrame(framed, copy=False)  # joined in blocks, it would be in memory twice


def _order(runs: np.ndarray) -> Any:
    """Return what brings rows into the order of the runs; those of a run stand together."""
    starts = np.flatnonzero(np.diff(runs, prepend=-1))
    lengths = np.diff(np.append(starts, len(runs)))
    places = np.argsort(runs[starts], kind="stable")
    if (places == np.arange(len(places))).all():
        return slice(None)
    before = np.cumsum(lengths[places]) - lengths[places]
    return np.repeat(starts[places] - before, lengths[places]) + np.arange(len(runs))


def _categories(codes: np.ndarray, labels: Sequence[str]) -> pd.Categorical:
    """Make labels categories in the order in which they appear: groupby follows it."""
    appear = pd.unique(codes)
    renumbered = np.empty(len(labels), codes.dtype)
    renumbered[appear] = np.arange(len(appear))
    return pd.Categorical.from_codes(renumbered[codes], pd.Index([labels[code] for code in appear]))


def _labelled(profiles: pd.DataFrame) -> pd.DataFrame:
    """Make labels categories, as those of raw records are."""
    texts = {name: profiles[name].astype(object) for name in LABELS}
    return profiles.assign(**{name: pd.Categorical(text, text.unique()) for name, text in texts.items()})
