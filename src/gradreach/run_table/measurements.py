"""Measurements within runs: gradient profiles, metrics of every epoch, linear decoding, per-example test results."""

import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from pandas.api.types import is_string_dtype
from pyarrow import Table
from pyarrow.csv import write_csv

from gradreach.errors import ConfigError, advise
from gradreach.records import RecordStore
from gradreach.run_table.columns import MISSING, csv, read_csv
from gradreach.run_table.compressed import read_table, stored_at, table_digest, write_table_by
from gradreach.run_table.lines import OPTIONS
from gradreach.run_table.sources import Source, local
from gradreach.system.files import write_atomically, write_text

LABELS = ("run_id", "stage", "layer", "direction", "quantity")
NUMBERS: dict[str, Any] = {"lag": np.int32, "q10": float, "median": float, "q90": float, "n": np.int32}
WHOLE = ("lag", "n", "epoch", "step")
PROFILE = [*LABELS, *NUMBERS]
DECODING: dict[str, Any] = {
    **dict.fromkeys((*LABELS, "of"), str),
    **dict.fromkeys(("position", "lag", "r2"), float),
    "n": int,
}
EXAMPLES: dict[str, Any] = {"run_id": str, "n": int, "right": str}
RESTORE = "restore it, or run the sweep again"
AT_ONCE = 1_000_000
"""How many lines are put into the form in which they are written."""
DECIMALS = 4
"""Of log10 of a norm, and of R²: more than any figure shows; the raw tables keep them all."""
DIGITS = 6
"""Significant ones of a figure of an epoch; the raw history keeps them all."""


def load_history(
    runs: pd.DataFrame, experiment: str | None = None, results_dir: Path | str = "results", source: Source | None = None
) -> pd.DataFrame:
    """Return the figures of every epoch: ``run_id``, ``epoch``, ``step``, and a column for each figure.

    The arguments are those of ``load_profiles``; diverged, failed and interrupted runs have a history too.
    """
    source = source or local(Path(results_dir))
    bodies: dict[str, list[str]] = defaultdict(list)
    begun = runs.loc[runs["status"] != MISSING, "run_id"].tolist()
    for run_id in begun:
        header, _, body = source.read_history(run_id).partition("\n")
        bodies[header].extend(f"{run_id},{line}" for line in body.splitlines())
    bodies.pop("", None)
    parts = [part for head, lines in bodies.items() for part in _histories(source, head, lines) if len(part)]
    raw = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["run_id", "epoch"])
    figures = sorted({str(name) for name in raw} - {"run_id", "epoch", "step"})
    raw[figures] = raw[figures].apply(_rounded)
    absent = unrecorded(begun, raw, source) if experiment is not None else []
    if absent:
        committed = committed_rows(Path(results_dir) / str(experiment) / "history.csv", ["run_id", "epoch"], absent)
        if raw.empty:
            return committed
        raw = together(raw, committed, begun)
    rank = {run_id: i for i, run_id in enumerate(begun)}
    whole = raw.sort_values(
        ["run_id", "epoch"], key=lambda c: c.map(rank) if c.name == "run_id" else c, kind="stable", ignore_index=True
    )
    figures = sorted({str(name) for name in whole} - {"run_id", "epoch", "step"})
    return whole[[name for name in ("run_id", "epoch", "step", *figures) if name in whole]]


def _histories(source: Source, header: str, lines: Sequence[str]) -> list[pd.DataFrame]:
    """Read histories of the same columns at once, which is far faster; one by one to put aside one that is damaged.

    Raises:
        ConfigError: one is damaged, and the records are not here.
    """
    with suppress(ConfigError):
        return [_history(header, lines, "history.csv of runs")]
    found = []
    for run_id, own in groupby(lines, lambda line: line.partition(",")[0]):
        try:
            found.append(_history(header, list(own), f"history.csv of run {run_id}"))
        except ConfigError as error:
            if not isinstance(source, RecordStore):
                raise
            source.put_aside(run_id, f"history.csv {error.allowed}")
    return found


def _history(header: str, lines: Sequence[str], name: str) -> pd.DataFrame:
    if "epoch" not in header.split(","):
        raise ConfigError(name, allowed="has no column epoch", hint="restore it, or delete it")
    return _parse(io.StringIO("\n".join((f"run_id,{header}", *lines))), name)


def table_of(source: Source, run_id: str, name: str, kinds: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
    """Return the columns of a table of a run; empty where there is none, or one that is not of our kind.

    Args:
        source: of records; those here that are odd are put aside.
        run_id: of which run.
        name: of the table.
        kinds: of its columns, text or numbers; what a table of an older version lacks is not among them.
    """
    columns = source.read_profile(run_id) if name == "profile" else source.read_table(run_id, name)
    if not columns:
        return {}
    lacking = [column for column in kinds if column not in columns]
    there = {column: kind is str for column, kind in kinds.items() if column in columns}
    odd = [column for column, is_text in there.items() if (columns[column].dtype.kind == "U") != is_text]
    if not lacking and not odd and len({len(values) for values in columns.values()}) == 1:
        return columns
    why = f"lacks {', '.join(lacking)}" if lacking else f"has {', '.join(odd) or 'columns'} of the wrong type"
    if isinstance(source, RecordStore):
        source.put_aside(run_id, f"its table {name} {why}")
    else:
        advise(f"run {run_id}: its table {name} {why}; left out")
    return {}


def load_decoding(
    runs: pd.DataFrame, experiment: str | None = None, results_dir: Path | str = "results", source: Source | None = None
) -> pd.DataFrame:
    """Return the linear decoding of finished runs: ``linear_decoding`` by run and stage.

    The arguments are those of ``load_profiles``.
    """
    source = source or local(Path(results_dir))
    finished = runs.loc[runs["status"] == "finished", "run_id"].tolist()
    kinds = {name: kind for name, kind in DECODING.items() if name != "run_id"}
    tables = {run_id: table_of(source, run_id, "decoding", kinds) for run_id in finished}
    frames = [pd.DataFrame({**table, "run_id": run_id}) for run_id, table in tables.items() if table]
    whole = pd.concat(frames, ignore_index=True)[list(DECODING)] if frames else pd.DataFrame(columns=list(DECODING))
    raw = whole.assign(r2=whole["r2"].round(DECIMALS) + 0.0) if frames else whole
    absent = unrecorded(finished, raw, source) if experiment is not None else []
    if not absent:
        return raw
    committed = committed_rows(Path(results_dir) / str(experiment) / "decoding.csv", list(DECODING), absent, DECODING)
    return together(raw, committed, finished)


def load_examples(
    runs: pd.DataFrame, experiment: str | None = None, results_dir: Path | str = "results", source: Source | None = None
) -> pd.DataFrame:
    """Return the test examples each finished run got right: ``run_id``, ``n`` and ``right``, one row per run.

    ``right`` has a bit for each of ``n`` examples, in the order of the test, as hexadecimal digits: see ``bits_of``.
    The arguments are those of ``load_profiles``; older runs without this record have no row.
    """
    source = source or local(Path(results_dir))
    finished = runs.loc[runs["status"] == "finished", "run_id"].tolist()
    tables = {run_id: table_of(source, run_id, "examples", {"right": bool}) for run_id in finished}
    rows = [(run_id, len(table["right"]), _hexadecimal(table["right"])) for run_id, table in tables.items() if table]
    raw = pd.DataFrame(rows, columns=list(EXAMPLES))
    absent = unrecorded(finished, raw, source) if experiment is not None else []
    if not absent:
        return raw
    committed = committed_rows(Path(results_dir) / str(experiment) / "examples.csv", list(EXAMPLES), absent, EXAMPLES)
    return together(raw, committed, finished)


def _hexadecimal(right: np.ndarray) -> str:
    return np.packbits(right.astype(bool)).tobytes().hex()


def bits_of(right: str, n: int) -> np.ndarray:
    """Return which of n examples were answered correctly, from hexadecimal digits.

    >>> bits_of("a0", 3)
    array([ True, False,  True])
    """
    return np.unpackbits(np.frombuffer(bytes.fromhex(right), np.uint8), count=n).astype(bool)


def unrecorded(run_ids: Sequence[str], raw: pd.DataFrame, source: Source) -> list[str]:
    """Return the runs of which the source has no record: their rows, and so their measurements, are committed ones."""
    measured = set(raw["run_id"].unique())
    return [run_id for run_id in run_ids if run_id not in measured and source.read(run_id) is None]


def together(raw: pd.DataFrame, committed: pd.DataFrame, run_ids: Sequence[str]) -> pd.DataFrame:
    """Return raw and committed measurements in the order of the runs, as one sweep on one machine has them."""
    if raw.empty or committed.empty:
        return committed if raw.empty else raw
    whole = pd.concat([part.astype({"run_id": str}) for part in (raw, committed)], ignore_index=True)
    rank = {run_id: i for i, run_id in enumerate(run_ids)}
    return whole.sort_values("run_id", key=lambda column: column.map(rank), kind="stable", ignore_index=True)


def write_long(path: Path, frame: pd.DataFrame) -> str:
    """Write a table beside an experiment's run table, compressed if it is large, and return the SHA-256 of its CSV."""
    return table_digest(write_table_by(path, lambda file: _write_lines(file, frame)))


def _write_lines(file: BinaryIO, frame: pd.DataFrame) -> None:
    """Write millions of CSV lines in seconds."""
    file.write((",".join(map(str, frame)) + "\n").encode())
    for start in range(0, len(frame), AT_ONCE):  # otherwise all of it would be in memory twice
        write_csv(Table.from_pandas(frame.iloc[start : start + AT_ONCE], preserve_index=False), file, OPTIONS)


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write any frame as Parquet or CSV, by the ending of the name.

    Raises:
        ConfigError: the name has another ending, or the file cannot be written.
    """
    try:
        _write_frame(path, frame)
    except OSError as error:
        refused = f"cannot be written ({error.strerror})"
        raise ConfigError(path, allowed=refused, hint="choose another place") from None


def _write_frame(path: Path, frame: pd.DataFrame) -> None:
    if path.suffix == ".parquet":
        texts = {name: "string" for name in frame if is_string_dtype(frame[name].dtype)}
        write_atomically(path, lambda file: frame.astype(texts).to_parquet(file, index=False))
    elif path.suffix == ".csv":
        if {"lag", "quantity"} <= set(frame):
            write_atomically(path, lambda file: _write_lines(file, frame))
        else:
            write_text(path, csv(frame))
    else:
        raise ConfigError(path, allowed="must end in .parquet or .csv")


def committed_rows(
    path: Path,
    columns: list[str],
    run_ids: list[str],
    known: Mapping[str, Any] = MappingProxyType({}),
) -> pd.DataFrame:
    """Read committed measurements of runs without a record.

    Raises:
        ConfigError: it was edited by hand, cannot be read, lacks columns, or is missing.
    """
    told = stored_digests(path.parent).get(path.name)
    path = stored_at(path)
    committed = pd.DataFrame(columns=columns)
    if path.exists():
        data = read_table(path, RESTORE)
        if told is not None and hashlib.sha256(data).hexdigest() != told:
            changed = "changed after it was written (checksum mismatch in summary.json)"
            raise ConfigError(path, allowed=changed, hint=RESTORE)
        committed = _parse(io.BytesIO(data), path, known)
    elif told is not None:
        missing = "is missing and cannot be rebuilt: there are no raw runs"
        raise ConfigError(path, allowed=missing, hint=RESTORE)
    if "quantity" in committed and "direction" not in committed:  # made before bidirectional layers were told apart
        committed.insert(3, "direction", "forward")
    lacking = [name for name in columns if name not in committed]
    if lacking:
        raise ConfigError(path, allowed=f"lacks {', '.join(lacking)}", hint="restore it, or delete it")
    if path.exists() and committed.empty and run_ids:
        advise(f"{path}: is empty, but should hold {len(run_ids)} runs; their figures show nothing")
    return committed[committed["run_id"].isin(run_ids)].reset_index(drop=True)


def _parse(
    file: io.BytesIO | io.StringIO, name: Path | str, known: Mapping[str, Any] = MappingProxyType({})
) -> pd.DataFrame:
    """Read one of our files; errors mention its name. Columns are numbers unless their type is known.

    Raises:
        ConfigError: it cannot be read.
    """
    kinds: dict[str, Any] = {**dict.fromkeys(LABELS, str), **dict.fromkeys(WHOLE, int), **known}
    try:
        return read_csv(file, dtype=defaultdict[str, Any](lambda: float, kinds))
    except (ValueError, OverflowError) as error:
        broken = f"cannot be read as CSV ({error})"
        raise ConfigError(name, allowed=broken, hint="restore it, or delete it") from None


def _rounded(values: pd.Series) -> pd.Series:
    """Round to significant digits."""
    numbers = values.to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(numbers))))
        rounded = np.rint(numbers * scale) / scale
    return pd.Series(np.where(np.isfinite(rounded), rounded, numbers) + 0.0, index=values.index)


def stored_digests(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each long table that is committed beside a summary; empty where none tells.

    A summary of an older version tells none. One that cannot be read is not our concern here: it is rebuilt.
    """
    try:
        told: dict[str, str] = json.loads((folder / "summary.json").read_text(encoding="utf-8")).get("checksums", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return told
