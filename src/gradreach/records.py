"""Durable records of runs: one folder a run, named by its identity, written whole or not at all.

    <results>/runs/<run_id>/record.json    status, configuration, metrics, cost, versions, host
                            history.csv    one row an epoch
                            profile.npz    the gradient profiles, full precision, no pickled objects; further
                                           tables of the diagnostics under <table>/<column>

A claim is a lock of the operating system on ``<results>/runs/.claims/<run_id>``: it ends with the process
that holds it, so a dead worker's claim is free at once.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np

from gradreach.files import write_atomically, write_text

SCHEMA_VERSION = 1

Status = Literal["running", "finished", "diverged", "failed"]
SETTLED: tuple[Status, ...] = ("finished", "diverged")
"""What a run may end as and need not be done again."""


@dataclass(frozen=True)
class RecordStore:
    """The folder of all run records."""

    root: Path

    def folder(self, run_id: str) -> Path:
        """Return where a run's files stand."""
        return self.root / run_id

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's record, or None where there is none that can be read."""
        try:
            record = json.loads((self.folder(run_id) / "record.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError, UnicodeDecodeError):
            return None
        return record if isinstance(record, dict) and record.get("run_id") == run_id else None

    def settled(self, run_id: str) -> dict[str, Any] | None:
        """Return the record of a run that need not be done again, else None."""
        record = self.read(run_id)
        return record if record is not None and record.get("status") in SETTLED else None

    def read_profile(self, run_id: str) -> dict[str, np.ndarray]:
        """Return the columns of a run's gradient profiles; empty where it has none."""
        return {name: values for name, values in self._arrays(run_id).items() if "/" not in name}

    def read_table(self, run_id: str, table: str) -> dict[str, np.ndarray]:
        """Return the columns of another table of the diagnostics, such as ``bptt``; empty where it was not measured."""
        prefix = f"{table}/"
        arrays = self._arrays(run_id).items()
        return {name.removeprefix(prefix): values for name, values in arrays if name.startswith(prefix)}

    def _arrays(self, run_id: str) -> dict[str, np.ndarray]:
        try:
            with np.load(self.folder(run_id) / "profile.npz", allow_pickle=False) as arrays:
                return dict(arrays)
        except FileNotFoundError:
            return {}

    def write(
        self,
        record: Mapping[str, Any],
        history: Sequence[Mapping[str, Any]] = (),
        profile: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write a run's files; the record comes last, so that where it stands the others stand too."""
        folder = self.folder(record["run_id"])
        if history:
            write_text(folder / "history.csv", _csv(history))
        if profile:
            write_atomically(folder / "profile.npz", lambda file: np.savez_compressed(file, **dict(profile)))  # type: ignore[arg-type]
        text = json.dumps({"schema_version": SCHEMA_VERSION, **_finite(record)}, indent=1, allow_nan=False)
        write_text(folder / "record.json", text + "\n")

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
            yield


def _finite(value: Any) -> Any:
    """Write what JSON has no number for as a string that float() reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
