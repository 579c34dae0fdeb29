"""Where records can be: in files here, or on a W&B server."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from gradreach.errors import ConfigError
from gradreach.records import RecordStore


class Source(Protocol):
    """What tables need of whoever keeps records."""

    def run_ids(self) -> list[str]:
        """Return the runs that there are records of, sorted."""

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


def open_source(name: str | None) -> Source | None:
    """Return the source that a name means, ``wandb:entity/project``; None is None, the records here.

    Raises:
        ConfigError: it is neither.
    """
    if name is None:
        return None
    kind, _, where = name.partition(":")
    if kind != "wandb" or where.count("/") != 1:
        raise ConfigError(f"source={name}: must be wandb:entity/project, or left out for the records here")
    from gradreach.analysis.wandb_source import WandbSource

    return WandbSource(where)


def disagreements(experiment: str, results_dir: Path, source: Source) -> tuple[int, list[str]]:
    """Compare what a source and the records here tell of an experiment's runs.

    Returns:
        How many runs are in both, and a line for each value that both tell and that differs. Numbers may differ by
        one part in a million, which is what a server may round.
    """
    from gradreach.analysis.frame import load_runs

    here, there = (
        load_runs(experiment, results_dir, each).set_index("run_id") for each in (local(results_dir), source)
    )
    both = here.index[(here["status"] != "missing") & (there["status"].reindex(here.index) != "missing")]
    lines = []
    for column in sorted(set(here) & set(there)):
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
