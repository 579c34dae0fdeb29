"""Durable records of runs: one folder a run, named by its identity, written whole or not at all.

    <results>/runs/<run_id>/record.json    status, configuration, metrics, cost, versions, host
                            history.csv    one row an epoch, and one for every measurement within
                            profile.npz    the gradient profiles, full precision, and further tables of the
                                           diagnostics: each a structured array, no pickled objects

                            run.log        what the run printed, within a sweep
                            checkpoint.ckpt  while it goes on: where a killed run continues

A claim is a lock of the operating system on ``<results>/runs/.claims/<run_id>``: it ends with the process
that holds it, so a dead worker's claim is free at once. A record that cannot be read, or is not what was written
(its first line is a checksum of all others), is moved to ``<results>/runs/.quarantine``, and its run counts as not
done.
"""

import csv
import hashlib
import io
import json
import math
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
import numpy as np

from gradreach.errors import ConfigError
from gradreach.files import write_atomically, write_text

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 3
"""Of what is written. Read is also 2, without a checksum, and 1, whose ``profile.npz`` has an array for each column."""

Status = Literal["running", "interrupted", "finished", "diverged", "failed"]
SETTLED: tuple[Status, ...] = ("finished", "diverged")
"""What a run may end as and need not be done again."""


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
            raise ConfigError(f"results_dir={where}: cannot be written ({error.strerror}); choose another") from None

    def folder(self, run_id: str) -> Path:
        """Return where a run's files stand."""
        return self.root / run_id

    def stamp(self, run_id: str) -> int:
        """Return when a run's record was last written, 0 where there is none."""
        try:
            return (self.folder(run_id) / "record.json").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def run_ids(self) -> list[str]:
        """Return the runs that have a folder, sorted."""
        return sorted(folder.name for folder in self.root.glob("[0-9a-f]*"))

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's record, or None where there is none; a damaged one is put aside.

        Raises:
            ConfigError: it was written by a newer gradreach.
        """
        path = self.folder(run_id) / "record.json"
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            record = json.loads(data)
        except ValueError:
            record = None
        if not (isinstance(record, dict) and record.get("run_id") == run_id and {"status", "config"} <= set(record)):
            self._quarantine(path, "not a record of this run")
            return None
        version = record.setdefault("schema_version", 1)
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise ConfigError(
                f"{path}: schema_version={version} is of a newer gradreach, this one reads up to {SCHEMA_VERSION}; "
                "update gradreach"
            )
        if record.pop("checksum", None) != (None if version in (1, 2) else _checksum(data)):
            self._quarantine(path, "changed after it was written, says its checksum")
            return None
        return record

    def _quarantine(self, path: Path, why: str) -> None:
        """Put a damaged record aside: we write records whole, so the damage comes from elsewhere."""
        place = self.root / ".quarantine" / f"{path.parent.name}.json"
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
        except OSError as error:
            print(f"gradreach: {path}: {why}, and cannot be moved ({error})", file=sys.stderr)
        else:
            print(f"gradreach: {path}: {why}; moved to {place}, the run counts as not done", file=sys.stderr)

    def status(self, run_id: str) -> str:
        """Return a run's status; ``missing`` without a record, ``interrupted`` where who ran it is gone."""
        record = self.read(run_id)
        return "missing" if record is None else self.status_of(record)

    def status_of(self, record: Mapping[str, Any]) -> str:
        """Return the status that a record has now: ``interrupted`` where who ran it is gone."""
        dead = record["status"] == "running" and not self.claimed(record["run_id"])
        return "interrupted" if dead else str(record["status"])

    def settled(self, run_id: str) -> dict[str, Any] | None:
        """Return the record of a run that need not be done again, else None."""
        record = self.read(run_id)
        return record if record is not None and record.get("status") in SETTLED else None

    def read_history(self, run_id: str) -> str:
        """Return the figures of a run's epochs as CSV; empty where it has none."""
        try:
            return (self.folder(run_id) / "history.csv").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def read_profile(self, run_id: str) -> dict[str, np.ndarray]:
        """Return the columns of a run's gradient profiles; empty where it has none."""
        return self.read_table(run_id, "profile")

    def read_table(self, run_id: str, table: str) -> dict[str, np.ndarray]:
        """Return the columns of a table of the diagnostics, such as ``bptt``; empty where it was not measured."""
        try:
            data = (self.folder(run_id) / "profile.npz").read_bytes()  # at once: an archive is sought through in it
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
        except FileNotFoundError:
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
        if history:
            write_text(folder / "history.csv", as_csv(history))
        if tables:
            arrays: Any = {name: _structured(table) for name, table in tables.items()}
            write_atomically(folder / "profile.npz", lambda file: np.savez_compressed(file, **arrays))
        write_text(folder / "record.json", sealed(record))

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
