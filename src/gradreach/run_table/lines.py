"""Long CSV files, in which the lines of unchanged runs are kept.

A file of a hundred thousand runs has gigabytes. What is known of it is kept in the index of the records: its checksum,
and of each run when its files were last written and how many bytes its lines have. While the file is the one that was
written, the lines of unchanged runs are copied from it; where no run has changed, it is left alone.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
from filelock import FileLock
from pyarrow.csv import WriteOptions, write_csv

from gradreach.records import Fingerprint, trace
from gradreach.run_table.compressed import open_table, stored_at, write_table_by
from gradreach.run_table.index import settled_before
from gradreach.system.files import write_text

OPTIONS = WriteOptions(include_header=False, quoting_style="none", batch_size=16384)
BLOCK = 1 << 23
"""The size of a copied block, in bytes."""


class Known(NamedTuple):
    """What is known of a file: its checksum, and of each run what its lines rest on and how many bytes they have."""

    sha256: str
    runs: dict[str, tuple[Fingerprint, int]]


class Place(NamedTuple):
    """The place of lines in a file."""

    file: Any
    start: int
    size: int


def write_lines(
    path: Path,
    columns: Sequence[str],
    wanted: Mapping[str, Fingerprint],
    rows_of: Callable[[Sequence[str]], Iterable[pa.Table]],
    state: Path | None,
) -> str:
    """Write the rows of runs, and return the SHA-256 of the CSV.

    Args:
        path: where; it is compressed if it is large.
        columns: of the file, ``run_id`` among them.
        wanted: of which runs, in their order, and when their files were last written.
        rows_of: reads the rows of some runs, in blocks; those of a run stand together.
        state: the file with this knowledge; None: everything is rebuilt, and nothing is remembered.
    """
    with ExitStack() as files:
        state = files.enter_context(_alone(state))
        before = settled_before()
        known = None if state is None else _known(state, path)
        if known is not None and [(run_id, found) for run_id, (found, _) in known.runs.items()] == list(wanted.items()):
            return known.sha256
        head = (",".join(columns) + "\n").encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        places: dict[str, Place] = {}
        if known is not None:
            places = _unchanged(known, wanted, files.enter_context(open_table(stored_at(path))), len(head))
        new = files.enter_context(tempfile.TemporaryFile(dir=path.parent))
        for table in rows_of([run_id for run_id in wanted if run_id not in places]):
            places |= _appended(new, table.select(columns))
        content = [places.get(run_id, Place(new, 0, 0)) for run_id in wanted]
        sha256 = hashlib.sha256(head)

        def write(file: BinaryIO) -> None:
            file.write(head)
            for data in _read(content):
                sha256.update(data)
                file.write(data)

        written = write_table_by(path, write)
        if state is not None:
            found = [each if max(each) < before else () for each in wanted.values()]
            runs = list(zip(wanted, found, [place.size for place in content], strict=True))
            body = json.dumps({"file": trace(written), "sha256": sha256.hexdigest(), "runs": runs})
            with suppress(OSError):
                write_text(state, f"{_checksum(body)}\n{body}")
        return sha256.hexdigest()


@contextmanager
def _alone(state: Path | None) -> Iterator[Path | None]:
    """Let one process at a time write a file and what is known of it; None where nothing can be kept."""
    lock = None
    if state is not None:
        with suppress(OSError):
            state.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(state.with_suffix(".lock"))
            lock.acquire()
    if lock is None or not lock.is_locked:
        yield None
        return
    try:
        yield state
    finally:
        lock.release()


def _known(state: Path, path: Path) -> Known | None:
    """Return what is known of a file; None where that is nothing, or the file is not the one that was written."""
    try:
        checksum, _, body = state.read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return None
    if checksum != _checksum(body):
        return None
    told = json.loads(body)
    if tuple(told["file"]) != trace(stored_at(path)):
        return None
    return Known(told["sha256"], {run_id: (tuple(found), size) for run_id, found, size in told["runs"]})


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _unchanged(known: Known, wanted: Mapping[str, Fingerprint], file: BinaryIO, start: int) -> dict[str, Place]:
    """Return where the lines are of those runs that are as they were."""
    places = {}
    for run_id, (found, size) in known.runs.items():
        if found and wanted.get(run_id) == found:
            places[run_id] = Place(file, start, size)
        start += size
    return places


def _appended(file: BinaryIO, rows: pa.Table) -> dict[str, Place]:
    """Write rows to the end of a file, and return where those of each run are."""
    if not len(rows):
        return {}
    start = file.tell()
    write_csv(rows, lines := pa.BufferOutputStream(), OPTIONS)
    data = lines.getvalue()
    file.write(data)
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    runs = rows["run_id"].combine_chunks()
    codes = runs.indices.to_numpy()
    firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    stops = ends[np.append(firsts[1:], len(codes)) - 1].tolist()
    names = runs.dictionary.take(pa.array(codes[firsts])).to_pylist()
    starts = [0, *stops[:-1]]
    return {name: Place(file, start + a, b - a) for name, a, b in zip(names, starts, stops, strict=True)}


def _read(content: Sequence[Place]) -> Iterator[memoryview]:
    """Go through lines; those that stand one behind the other are read together, always into the same memory."""
    block, i = memoryview(bytearray(BLOCK)), 0
    while i < len(content):
        file, start, size = content[i]
        i += 1
        while i < len(content) and content[i].file is file and content[i].start == start + size:
            size += content[i].size
            i += 1
        file.seek(start)
        while size:
            if not (read := file.readinto(block[:size])):
                raise OSError("a file was truncated while its lines were copied; try again")
            size -= read
            yield block[:read]
