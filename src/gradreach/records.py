"""Durable records of runs: one folder per run, named by its identity, written whole or not at all.

    <results>/runs/<run_id>/record.json    status, configuration, metrics, cost, versions, host
                            history.csv    one row an epoch, and one for every measurement within
                            profile.npz    the gradient profiles, full precision, further tables of the diagnostics,
                                           and which tests are right: structured arrays, no pickled objects

                            run.log        what the run printed, within a sweep
                            weights.pt     of the best epoch, where they are kept; the record tells their checksum
                            checkpoint.ckpt  while it goes on: where a killed run continues

A claim is an operating-system lock on ``<results>/runs/.claims/<run_id>``: it ends with its process, so a dead worker's
claim is free at once. A record that cannot be read, or is not what was written (its first line is a checksum of all
others, and it tells size and checksum of the files beside it), is moved with them to ``<results>/runs/.quarantine``,
and its run counts as not done.
"""

import csv
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import filelock
import numpy as np

from gradreach.errors import ConfigError, advise, report
from gradreach.record_shape import flaw
from gradreach.system.archive import columns_of, packed
from gradreach.system.files import Unreadable, lockable, read_file, write_bytes, write_text

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 3
"""The version of new records. Readable are also 2, without a checksum, and 1, with one array per profile column."""

Status = Literal["running", "interrupted", "finished", "diverged", "failed"]
SETTLED: tuple[Status, ...] = ("finished", "diverged")
"""Statuses of runs that need not be repeated."""
BESIDE = ("history.csv", "profile.npz")
"""The files whose checksums a record holds."""
MOST = {"record.json": 2**24, "history.csv": 2**30, "profile.npz": 2**30}
"""The largest size in bytes: a reader has memory for one."""


def left_alone(retry: str) -> tuple[Status, ...]:
    """Return the statuses of runs that are not repeated, by the setting ``retry``."""
    return SETTLED if retry == "failed" else (*SETTLED, "failed")


Fingerprint = tuple[int, ...]
"""Modification and change time, in nanoseconds, and size of each of a run's files."""


class Damaged(ValueError):
    """A run's files differ from what was written; the message says which, and why."""


@dataclass(frozen=True)
class RecordStore:
    """The folder of all run records."""

    root: Path

    def check_writable(self) -> None:
        """Create the folder, and check that files can be written into it.

        Raises:
            ConfigError: they cannot be written, or not be locked: then two workers would execute the same run.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_text(self.root / ".writable", "")
            (self.root / ".writable").unlink(missing_ok=True)  # another sweep may have been faster
        except OSError as error:
            where = self.root.parent
            refused = f"cannot be written ({error.strerror})"
            raise ConfigError("results_dir", where, refused, "choose another") from None
        try:
            lockable(self.root)
        except OSError as error:
            refused = f"files there cannot be locked ({error.strerror})"
            raise ConfigError("results_dir", self.root.parent, refused, "choose one on another file system") from None

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run's files."""
        return self.root / run_id

    def stamp(self, run_id: str) -> int:
        """Return when a run's record was last written, 0 if there is none."""
        found = trace(self.folder(run_id) / "record.json")
        return 0 if found is None else found[0]

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
            return sorted(entry.name for entry in entries if entry.name[0] in "0123456789abcdef" and _is_folder(entry))

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's record, or None if there is none; a damaged one is moved away.

        Of the files beside it only the size is checked: ``read_history`` and ``read_table`` check what they read,
        ``intact`` checks everything.

        Raises:
            ConfigError: it was written by a newer gradreach, or a file is in the place of its folders.
        """
        try:
            return self._read(run_id)
        except Damaged as why:
            self.put_aside(run_id, str(why))
            return None

    def _read(self, run_id: str) -> dict[str, Any] | None:
        path = self.folder(run_id) / "record.json"
        try:
            data = read_file(path, MOST["record.json"])
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            if not self.root.is_dir():  # nothing can be moved below it
                raise ConfigError("results_dir", self.root.parent, "is not a folder", "choose another") from None
            raise Damaged("is not a folder") from None
        except Unreadable as why:
            raise Damaged(f"record.json {why}") from None
        except OSError as error:
            advise(f"{path}: cannot be read ({error.strerror}); the run counts as not done")
            return None
        try:
            record = json.loads(data)
        except (ValueError, RecursionError):
            record = None
        if not (isinstance(record, dict) and record.get("run_id") == run_id and {"status", "config"} <= set(record)):
            raise Damaged("record.json is not a record of this run")
        version = record.setdefault("schema_version", 1)
        if record.pop("checksum", None) != (None if version in (1, 2) else _checksum(data)):
            raise Damaged("record.json was changed after it was written (checksum mismatch)")
        if (wrong := flaw(record)) is not None:
            raise Damaged(f"record.json is not a gradreach record: {wrong}")
        if not version > 0:
            raise Damaged(f"record.json has schema_version={version}, which does not exist")
        if version > SCHEMA_VERSION:
            newer = f"schema_version={version} was written by a newer gradreach; this one reads up to {SCHEMA_VERSION}"
            raise ConfigError(path, allowed=newer, hint="update gradreach")
        for name, told in record.get("files", {}).items():
            if _size(f"{path.parent}/{name}") != told["bytes"]:
                if _bytes(path) != data:  # somebody is repeating the run just now
                    return self._read(run_id)
                raise Damaged(f"{name} is not what its record says")
        return record

    def intact(self, run_id: str) -> bool:
        """Return whether the files beside a record are unchanged; damaged ones are moved away."""
        return all(self._read_beside(run_id, name) is not None for name in BESIDE)

    def _read_beside(self, run_id: str, name: str) -> bytes | None:
        """Return the content of a file beside the record, empty if there is none, None if it is damaged."""
        path = self.folder(run_id) / "record.json"
        try:
            data = _bytes(path.parent / name)
        except Unreadable as why:
            self.put_aside(run_id, f"{name} {why}")
            return None
        for _ in range(2):  # the second attempt is for a run that is repeated between the two
            record = _bytes(path)
            told = _TOLD[name].search(record)
            if told is None or hashlib.sha256(data).hexdigest() == told[1].decode():
                return data
            data = _bytes(path.parent / name)
        if _bytes(path) == record:
            self.put_aside(run_id, f"{name} is not what its record says")
        return None

    def put_aside(self, run_id: str, why: str) -> None:
        """Move what is damaged to ``.quarantine``: we write files whole, so the damage comes from elsewhere.

        A checkpoint stays, the run goes on from there.
        """
        folder, shelf = self.folder(run_id), self.root / ".quarantine"
        taken = set(os.listdir(shelf)) if shelf.is_dir() else set()
        place = shelf / next(name for n in count(1) if (name := f"{run_id}.{n}") not in taken)
        try:
            place.mkdir(parents=True)
            files = [folder / name for name in ("record.json", *BESIDE)] if folder.is_dir() else [folder]
            for file in files:
                if os.path.lexists(file):  # also a broken or circular link
                    file.replace(place / file.name)
        except OSError as error:
            report(f"{folder}: {why}; it cannot be moved ({error})")
        else:
            report(f"{folder}: {why}; moved to {place}; the run counts as not done")

    def status(self, run_id: str) -> str:
        """Return a run's status; ``missing`` without a record, ``interrupted`` if its process has died."""
        record = self.read(run_id)
        return "missing" if record is None else self.status_of(record)

    def status_of(self, record: Mapping[str, Any]) -> str:
        """Return a record's current status: ``interrupted`` if the run's process has died."""
        return "interrupted" if self._abandoned(record) else str(record["status"])

    def died(self, run_id: str) -> bool:
        """Return whether the run's process died without changing its status."""
        record = self.read(run_id)
        return record is not None and self._abandoned(record)

    def _abandoned(self, record: Mapping[str, Any]) -> bool:
        return record["status"] == "running" and not self.claimed(record["run_id"])

    def settled(self, run_id: str) -> dict[str, Any] | None:
        """Return the record of a run that need not be repeated, otherwise None."""
        record = self.read(run_id)
        return record if record is not None and record.get("status") in SETTLED else None

    def read_history(self, run_id: str) -> str:
        """Return the figures of a run's epochs as CSV; empty where it has none."""
        try:
            return (self._read_beside(run_id, "history.csv") or b"").decode()
        except UnicodeDecodeError as error:
            self.put_aside(run_id, f"history.csv is not UTF-8 ({error.reason})")
            return ""

    def read_profile(self, run_id: str) -> dict[str, np.ndarray]:
        """Return the columns of a run's gradient profiles; empty where it has none."""
        return self.read_table(run_id, "profile")

    def read_table(self, run_id: str, table: str) -> dict[str, np.ndarray]:
        """Return the columns of a table of the diagnostics, such as ``bptt``; empty where it was not measured."""
        data = self._read_beside(run_id, "profile.npz")  # at once: an archive is sought through in it
        if not data:
            return {}
        try:
            return columns_of(data, table)
        except ValueError as error:  # from before there were checksums, or not ours
            self.put_aside(run_id, f"profile.npz cannot be read ({error})")
            return {}

    def write(
        self,
        record: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        tables: "Mapping[str, pd.DataFrame] | None" = None,
    ) -> None:
        """Write a run's files; the record comes last, so that it implies the others.

        Args:
            record: status, configuration, metrics; ``run_id`` names the folder.
            history: rows of figures.
            tables: of the diagnostics, including ``profile``.
        """
        folder = self.folder(record["run_id"])
        beside = {}
        if history:
            beside["history.csv"] = as_csv(history).encode()
        if tables:
            beside["profile.npz"] = packed(tables)
        for name, data in beside.items():
            write_bytes(folder / name, data)
        sums = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in beside.items()}
        write_text(folder / "record.json", sealed({**record, "files": sums} if sums else record))

    @contextmanager
    def claim(self, run_id: str, timeout: float = -1) -> Iterator[None]:
        """Claim a run, so that no other worker executes it at the same time.

        Args:
            run_id: the run to claim.
            timeout: seconds to wait for another worker; a negative number waits forever.

        Raises:
            filelock.Timeout: another worker still holds it.
        """
        path = self.root / ".claims" / run_id
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path, timeout=timeout):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while it is held; waiting workers see that, and lock a new file

    def claimed(self, run_id: str) -> bool:
        """Return whether a worker has claimed a run."""
        if not (self.root / ".claims" / run_id).exists():
            return False
        try:
            with self.claim(run_id, timeout=0):
                return False
        except filelock.Timeout:
            return True

    def log(self, run_id: str) -> Path:
        """Return the path of a run's log within a sweep."""
        return self.folder(run_id) / "run.log"

    def weights(self, run_id: str) -> Path:
        """Return the path of a run's chosen weights, if it keeps them."""
        return self.folder(run_id) / "weights.pt"

    def checkpoint(self, run_id: str) -> Path:
        """Return the path of a run's checkpoint."""
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
    except OSError:  # or it cannot be told, as of a link to itself: who reads it says so
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _size(path: str) -> int | None:
    found = trace(path)
    return None if found is None else found[-1]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, which is put aside when it is read
        return True


def _bytes(path: Path) -> bytes:
    """Return the content of a file, empty where there is none.

    Raises:
        Unreadable: it is not a file, or too large.
    """
    try:
        return read_file(path, MOST[path.name])
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from None


_TOLD = {
    name: re.compile(rb'"%s": {\s*"bytes": \d+,\s*"sha256": "(\w+)"' % re.escape(name).encode()) for name in BESIDE
}
"""Finds a file's checksum in a record without parsing all of its JSON, which is slow for ten thousand runs."""


def _finite(value: Any) -> Any:
    """Write numbers that JSON lacks as strings that float() reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of metrics as CSV, one column for each metric that any row has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
