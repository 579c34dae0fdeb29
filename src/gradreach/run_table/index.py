"""A cache of records, so that only changes are read again.

    <results>/runs/.index/<code>/<table>/<checksum>.arrow   the rows of a table of up to a thousand runs

Each file says which runs it is of, and when their files were last written: its rows of a run count as long as that is
so. A file is written once, named by the checksum of its content, and taken up into another where little of it counts
any more. So whoever reads needs no lock, whatever is damaged is as good as absent, and all of it can be deleted at
any time.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gradreach import record_shape, records
from gradreach.records import Fingerprint, RecordStore
from gradreach.run_table.sources import Source
from gradreach.system import archive
from gradreach.system.files import write_bytes

Make = Callable[[Sequence[str]], pa.Table]

RUNS = 1024
"""How many runs are in a file."""
SETTLED_NS = 2_000_000_000
"""What was written within this many nanoseconds is read again: a second change may leave no other trace in so short a
time, as clocks of file systems are coarse."""
FORGOTTEN_SECONDS = 7 * 24 * 3600
"""How long an unused index of other code is kept: another checkout may work on the same results."""


class Segment(NamedTuple):
    """What a file of the index holds: which runs it is of, and their rows, those of a run together."""

    runs: dict[str, Fingerprint]
    rows: pa.Table


@cache
def made_by() -> str:
    """Return a digest of the code that reads records, and so decides what stands in an index."""
    read_by = (records, record_shape, archive)
    files = sorted([*Path(__file__).parent.glob("*.py"), *(Path(str(module.__file__)) for module in read_by)])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def settled_before() -> int:
    """Return since when a file must not have been written for what is read of it now to be believed later."""
    return time.time_ns() - SETTLED_NS


def index_of(store: RecordStore) -> Path:
    """Return the folder of the index that this code keeps."""
    return store.root / ".index" / made_by()


def rows_of_runs(
    source: Source, table: str, run_ids: Iterable[str], make: Make, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Yield the rows of runs in a table, about a thousand runs at a time, in no particular order.

    Args:
        source: of records here an index is kept, others are read.
        table: its name.
        run_ids: of which runs.
        make: reads the rows of some runs from their records, those of a run together; the column ``run_id`` of what
            it returns is a dictionary.
        columns: which are needed, ``run_id`` among them; None: all.
    """
    if not isinstance(source, RecordStore):
        yield from (_only(make(some), columns) for some in _batches(list(run_ids)))
        return
    folder, left = index_of(source) / table, {run_id: source.fingerprint(run_id) for run_id in run_ids}
    thin: list[Path] = []
    for path in sorted(folder.glob("*.arrow")):
        if (segment := _read(path, columns)) is None:
            continue
        valid = {run_id for run_id, found in segment.runs.items() if left.get(run_id) == found}
        for run_id in valid:
            del left[run_id]
        if valid:
            yield _of(segment, valid)
        if len(valid) < RUNS // 2:
            thin.append(path)
    before = settled_before()
    new = {run_id: found for run_id, found in left.items() if found is not None and max(found) < before}
    for some in _batches([run_id for run_id in left if run_id not in new]):
        yield _only(make(some), columns)
    for some in _batches(list(new)):
        rows = make(some)
        with suppress(OSError):  # such as in a folder that only others may write; then all is read each time
            _keep(source, folder, {run_id: new[run_id] for run_id in some}, rows, thin if len(some) < RUNS else ())
        yield _only(rows, columns)


def _keep(store: RecordStore, folder: Path, runs: dict[str, Fingerprint], rows: pa.Table, thin: Sequence[Path]) -> None:
    """Write the rows of some runs; what counts of thin files is taken up with them."""
    parts, taken_up = [rows], []
    for path in thin:
        if (segment := _read(path)) is None:
            continue
        valid = {i for i, found in segment.runs.items() if i not in runs and store.fingerprint(i) == found}
        if len(valid) < RUNS // 2:
            runs |= {run_id: segment.runs[run_id] for run_id in valid}
            parts.append(_of(segment, valid))
            taken_up.append(path)
    if not folder.parent.is_dir():
        _forget_old(folder.parents[1])
    _write(folder, runs, pa.concat_tables(parts, promote_options="default"))
    for path in taken_up:
        path.unlink(missing_ok=True)


def _forget_old(indexes: Path) -> None:
    """Delete old indexes of other code, which may read records differently."""
    for folder in indexes.glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - FORGOTTEN_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _write(folder: Path, runs: Mapping[str, Fingerprint], rows: pa.Table) -> None:
    rows = rows.unify_dictionaries().combine_chunks()
    rows = rows.replace_schema_metadata({"runs": json.dumps(runs)})
    file = pa.BufferOutputStream()
    with pa.ipc.new_file(
        file, rows.schema, options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    ) as writer:
        writer.write_table(rows)
    data = file.getvalue().to_pybytes()
    write_bytes(folder / f"{hashlib.sha256(data).hexdigest()}.arrow", data)


def _read(path: Path, columns: Sequence[str] | None = None) -> Segment | None:
    """Read a file of the index; one that is not what was written is removed, one that is gone counts as empty."""
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.stem:
            path.unlink()
            return None
    except OSError:
        return None
    schema = pa.ipc.open_file(data).schema
    fields = None if columns is None else [schema.get_field_index(name) for name in columns if name in schema.names]
    options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=False)
    runs = {run_id: tuple(found) for run_id, found in json.loads(schema.metadata[b"runs"]).items()}
    return Segment(runs, pa.ipc.open_file(data, options=options).read_all().replace_schema_metadata())


def _of(segment: Segment, valid: set[str]) -> pa.Table:
    """Return the rows of some of its runs."""
    if len(valid) == len(segment.runs) or not len(segment.rows):
        return segment.rows
    names = segment.rows["run_id"].combine_chunks()
    kept = np.array([name in valid for name in names.dictionary.to_pylist()], dtype=bool)
    return segment.rows.filter(pa.array(kept[names.indices.to_numpy()]))


def _only(rows: pa.Table, columns: Sequence[str] | None) -> pa.Table:
    return rows if columns is None else rows.select([name for name in columns if name in rows.column_names])


def _batches(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (run_ids[start : start + RUNS] for start in range(0, len(run_ids), RUNS))
