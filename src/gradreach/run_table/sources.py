"""Sources of records: files here, or a W&B server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gradreach.records import RecordStore


class Source(Protocol):
    """The interface of a source of records."""

    def run_ids(self) -> list[str]:
        """Return the runs with records, sorted."""

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's record, None where there is none."""

    def status_of(self, record: Mapping[str, Any]) -> str:
        """Return the status that a record has now."""

    def read_profile(self, run_id: str) -> Mapping[str, np.ndarray]:
        """Return the columns of a run's gradient profiles; empty where it has none."""

    def read_table(self, run_id: str, table: str) -> Mapping[str, np.ndarray]:
        """Return the columns of a table of the diagnostics, such as ``decoding``; empty where there is none."""

    def read_history(self, run_id: str) -> str:
        """Return the figures of a run's epochs as CSV; empty where it has none."""


def local(results_dir: Path) -> RecordStore:
    """Return the records in a folder of results."""
    return RecordStore(results_dir / "runs")
