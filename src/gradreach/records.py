"""Durable records of runs: one folder a run, named by its identity, written whole or not at all.

    <results>/runs/<run_id>/record.json    status, configuration, metrics, cost, versions, host
                            history.csv    one row an epoch, and one for every measurement within
                            profile.npz    the gradient profiles, full precision, and further tables of the
                                           diagnostics: each a structured array, no pickled objects

                            run.log        what the run printed, within a sweep
                            weights.pt     of the best epoch, where they are kept; the record tells their checksum
                            checkpoint.ckpt  while it goes on: where a killed run continues

A claim is a lock of the operating system on ``<results>/runs/.claims/<run_id>``: it ends with the process
that holds it, so a dead worker's claim is free at once. A record that cannot be read, or is not what was written
(its first line is a checksum of all others, and it tells size and checksum of the files beside it), is moved with them
to ``<results>/runs/.quarantine``, and its run counts as not done.
"""

import csv
import hashlib
import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
import numpy as np

from gradreach.errors import ConfigError, report
from gradreach.system.files import write_bytes, write_text

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 3
"""Of what is written. Read is also 2, without a checksum, and 1, whose ``profile.npz`` has an array for each column."""

Status = Literal["running", "interrupted", "finished", "diverged", "failed"]
SETTLED: tuple[Status, ...] = ("finished", "diverged")
"""What a run may end as and need not be done again."""
BESIDE = ("history.csv", "profile.npz")
"""The files that a record answers for."""


def left_alone(retry: str) -> tuple[Status, ...]:
    """Return as what a run may have ended and is not done again, by the setting ``retry``."""
    return SETTLED if retry == "failed" else (*SETTLED, "failed")


Fingerprint = tuple[int, ...]
"""When each of a run's files was last written and changed, in nanoseconds, and its size."""


class Damaged(ValueError):
    """A run's files are not what was written; the message says which, and why."""


@dataclass(frozen=True)
class RecordStore:
    """The folder of all run records."""

    root: Path

    def check_writable(self) -> None:
        """Make the folder, and see that files can be written into it.

        Raises:
            ConfigError: they cannot.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_text(self.root / ".writable", "")
            (self.root / ".writable").unlink(missing_ok=True)  # another sweep may have been faster
        except OSError as error:
            where = self.root.parent
            refused = f"cannot be written ({error.strerror})"
            raise ConfigError("results_dir", where, refused, "choose another") from None

    def folder(self, run_id: str) -> Path:
        """Return where a run's files stand."""
        return self.root / run_id

    def stamp(self, run_id: str) -> int:
        """Return when a run's record was last written, 0 where there is none."""
        try:
            return (self.folder(run_id) / "record.json").stat().st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def fingerprint(self, run_id: str) -> Fingerprint | None:
        """Return what tells whether a run's files have been written since; None where there is no record.

        The time of change, unlike that of writing, cannot be set by hand.
        """
        if (record := trace(f"{self.root}/{run_id}/record.json")) is None:
            return None
        history, profile = (trace(f"{self.root}/{run_id}/{name}") or (0, 0, 0) for name in BESIDE)
        return *record, *history, *profile

    def run_ids(self) -> list[str]:
        """Return the runs that have a folder, sorted."""
        if not self.root.is_dir():
            return []
        with os.scandir(self.root) as entries:
            return sorted(entry.name for entry in entries if entry.name[0] in "0123456789abcdef" and entry.is_dir())

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's record, or None where there is none; a damaged one is put aside.

        Of the files beside it only the size is looked at: ``read_history`` and ``read_table`` look at the rest of what
        they read, ``intact`` at all of it.

        Raises:
            ConfigError: it was written by a newer gradreach.
        """
        try:
            return self._read(run_id)
        except Damaged as why:
            self._quarantine(run_id, str(why))
            return None

    def _read(self, run_id: str) -> dict[str, Any] | None:
        path = self.folder(run_id) / "record.json"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise Damaged("is no folder") from None
        except IsADirectoryError:
            raise Damaged("record.json is a folder") from None
        try:
            record = json.loads(data)
        except ValueError:
            record = None
        if not (isinstance(record, dict) and record.get("run_id") == run_id and {"status", "config"} <= set(record)):
            raise Damaged("record.json is not a record of this run")
        version = record.setdefault("schema_version", 1)
        if record.pop("checksum", None) != (None if version in (1, 2) else _checksum(data)):
            raise Damaged("record.json was changed after it was written, says its checksum")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            newer = f"schema_version={version} is of a newer gradreach, this one reads up to {SCHEMA_VERSION}"
            raise ConfigError(path, allowed=newer, hint="update gradreach")
        for name, told in record.get("files", {}).items():
            if _size(f"{path.parent}/{name}") != told["bytes"]:
                if _bytes(path) != data:  # somebody does the run again just now
                    return self._read(run_id)
                raise Damaged(f"{name} is not what its record says")
        return record

    def intact(self, run_id: str) -> bool:
        """Return whether a run's files are what was written, to the last bit; damaged ones are put aside."""
        return all(self._read_beside(run_id, name) is not None for name in BESIDE) and self.read(run_id) is not None

    def _read_beside(self, run_id: str, name: str) -> bytes | None:
        """Return the content of a file beside the record, empty where there is none, None where it is damaged."""
        path = self.folder(run_id) / "record.json"
        data = _bytes(path.parent / name)
        for _ in range(2):  # the second time is for a run that is done again between the two
            record = _bytes(path)
            told = _TOLD[name].search(record)
            if told is None or hashlib.sha256(data).hexdigest() == told[1].decode():
                return data
            data = _bytes(path.parent / name)
        if _bytes(path) == record:
            self._quarantine(run_id, f"{name} is not what its record says")
        return None

    def _quarantine(self, run_id: str, why: str) -> None:
        """Put what is damaged aside: we write files whole, so the damage comes from elsewhere.

        A checkpoint stays, the run goes on from there.
        """
        folder, shelf = self.folder(run_id), self.root / ".quarantine"
        taken = set(os.listdir(shelf)) if shelf.is_dir() else set()
        place = shelf / next(name for n in count(1) if (name := f"{run_id}.{n}") not in taken)
        try:
            place.mkdir(parents=True)
            files = [folder / name for name in ("record.json", *BESIDE)] if folder.is_dir() else [folder]
            for file in files:
                if file.exists():
                    file.replace(place / file.name)
        except OSError as error:
            report(f"{folder}: {why}, and cannot be moved ({error})")
        else:
            report(f"{folder}: {why}; moved to {place}, the run counts as not done")

    def status(self, run_id: str) -> str:
        """Return a run's status; ``missing`` without a record, ``interrupted`` where who ran it is gone."""
        record = self.read(run_id)
        return "missing" if record is None else self.status_of(record)

    def status_of(self, record: Mapping[str, Any]) -> str:
        """Return the status that a record has now: ``interrupted`` where who ran it is gone."""
        return "interrupted" if self._abandoned(record) else str(record["status"])

    def died(self, run_id: str) -> bool:
        """Return whether who ran it is gone without a word."""
        record = self.read(run_id)
        return record is not None and self._abandoned(record)

    def _abandoned(self, record: Mapping[str, Any]) -> bool:
        return record["status"] == "running" and not self.claimed(record["run_id"])

    def settled(self, run_id: str) -> dict[str, Any] | None:
        """Return the record of a run that need not be done again, else None."""
        record = self.read(run_id)
        return record if record is not None and record.get("status") in SETTLED else None

    def read_history(self, run_id: str) -> str:
        """Return the figures of a run's epochs as CSV; empty where it has none."""
        return (self._read_beside(run_id, "history.csv") or b"").decode()

    def read_profile(self, run_id: str) -> dict[str, np.ndarray]:
        """Return the columns of a run's gradient profiles; empty where it has none."""
        return self.read_table(run_id, "profile")

    def read_table(self, run_id: str, table: str) -> dict[str, np.ndarray]:
        """Return the columns of a table of the diagnostics, such as ``bptt``; empty where it was not measured."""
        data = self._read_beside(run_id, "profile.npz")  # at once: an archive is sought through in it
        if not data:
            return {}
        try:
            return _columns(data, table)
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError) as error:  # of before there were checksums
            self._quarantine(run_id, f"profile.npz cannot be read ({error})")
            return {}

    def write(
        self,
        record: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        tables: "Mapping[str, pd.DataFrame] | None" = None,
    ) -> None:
        """Write a run's files; the record comes last, so that where it stands the others stand too.

        Args:
            record: status, configuration, metrics; ``run_id`` names the folder.
            history: rows of figures.
            tables: what the diagnostics tabulate; ``profile`` among them.
        """
        folder = self.folder(record["run_id"])
        beside = {}
        if history:
            beside["history.csv"] = as_csv(history).encode()
        if tables:
            arrays: Any = {name: _structured(table) for name, table in tables.items()}
            np.savez_compressed(archive := io.BytesIO(), **arrays)
            beside["profile.npz"] = archive.getvalue()
        for name, data in beside.items():
            write_bytes(folder / name, data)
        sums = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in beside.items()}
        write_text(folder / "record.json", sealed({**record, "files": sums} if sums else record))

    @contextmanager
    def claim(self, run_id: str, timeout: float = -1) -> Iterator[None]:
        """Hold a run, so that no other worker does it at the same time.

        Args:
            run_id: the run to hold.
            timeout: seconds to wait for whoever holds it; negative waits as long as it takes.

        Raises:
            filelock.Timeout: another worker still holds it.
        """
        path = self.root / ".claims" / run_id
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path, timeout=timeout):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while it is held; who waits for it sees that, and locks a new file

    def claimed(self, run_id: str) -> bool:
        """Return whether a worker holds a run."""
        if not (self.root / ".claims" / run_id).exists():
            return False
        try:
            with self.claim(run_id, timeout=0):
                return False
        except filelock.Timeout:
            return True

    def log(self, run_id: str) -> Path:
        """Return where a run within a sweep writes what it prints."""
        return self.folder(run_id) / "run.log"

    def weights(self, run_id: str) -> Path:
        """Return where a run keeps the weights of its best epoch, if it is to."""
        return self.folder(run_id) / "weights.pt"

    def checkpoint(self, run_id: str) -> Path:
        """Return where a run keeps what it needs to go on."""
        return self.folder(run_id) / "checkpoint.ckpt"


def sealed(record: Mapping[str, Any]) -> str:
    """Return the text of a record: JSON whose first line is a checksum of all others."""
    body = json.dumps(_finite({**record, "schema_version": SCHEMA_VERSION}), indent=1, allow_nan=False)[1:] + "\n"
    return f'{{\n "checksum": "{hashlib.sha256(body.encode()).hexdigest()}",{body}'


def _checksum(data: bytes) -> str:
    """Return the checksum that a record's first line should tell."""
    first = data.find(b",") + 1
    return hashlib.sha256(data[first:]).hexdigest()


def trace(path: str | Path) -> tuple[int, int, int] | None:
    """Return when a file was last written and changed, in nanoseconds, and its size; None where there is none."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _size(path: str) -> int | None:
    found = trace(path)
    return None if found is None else found[-1]


def _bytes(path: Path) -> bytes:
    """Return the content of a file, empty where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return b""


_TOLD = {
    name: re.compile(rb'"%s": {\s*"bytes": \d+,\s*"sha256": "(\w+)"' % re.escape(name).encode()) for name in BESIDE
}
"""Finds a file's checksum in a record without reading all of it as JSON, which ten thousand runs notice."""


def _columns(data: bytes, table: str) -> dict[str, np.ndarray]:
    """Return the columns of a table in an archive, empty where it is not in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        arrays = [name.removesuffix(".npy") for name in archive.namelist()]
        if table in arrays:
            rows = _array(archive.read(f"{table}.npy"))
            return {name: rows[name] for name in rows.dtype.names or ()}
        owners = {name: name.rpartition("/") for name in arrays}
        return {
            column: _array(archive.read(f"{name}.npy"))
            for name, (owner, _, column) in owners.items()
            if (owner or "profile") == table
        }


def _array(data: bytes) -> np.ndarray:
    """Read a one-dimensional array as numpy saves it; its own reader parses the same header ten thousand times."""
    size = 10 + int.from_bytes(data[8:10], "little")  # version 1 of the format, which all short headers have
    return np.frombuffer(data, _kind(data[:size]), offset=size)


@cache
def _kind(header: bytes) -> np.dtype:
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    return np.lib.format.read_array_header_1_0(file)[2]


def _structured(table: "pd.DataFrame") -> np.ndarray:
    """Return a table as one array: read at once, which ten thousand runs notice."""
    # text is stored as fixed-width unicode: an array of Python objects would need a pickle
    columns = {str(name): table[name].to_numpy("U" if table[name].dtype == object else None) for name in table}
    rows = np.empty(len(table), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    return rows


def _finite(value: Any) -> Any:
    """Write what JSON has no number for as a string that float() reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of figures as CSV, a column for each that any of them has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
