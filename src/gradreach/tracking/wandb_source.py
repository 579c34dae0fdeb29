"""Records on a W&B server, read through its public API: for teams whose runs are there."""

import json
import tempfile
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from gradreach.errors import ConfigError, first_line
from gradreach.records import SCHEMA_VERSION
from gradreach.run_table.columns import GROUP_NAMES
from gradreach.tracking.wandb_run import BY_LENGTH, FACTS, HISTORY, STAGES

FIGURES = ("train/", "val/", "test/")
PROFILE = "gradient/by_lag"
STATES = {"running": "running", "finished": "finished", "crashed": "interrupted", "killed": "interrupted"}


class WandbSource:
    """The runs of a project as records, as far as W&B has them.

    Args:
        project: ``entity/project``.
        api: what reads the server; default ``wandb.Api()``, which finds key and address where W&B keeps them.

    Raises:
        ConfigError: the server, or the project, cannot be read.
    """

    def __init__(self, project: str, api: Any = None) -> None:
        self.project = project
        self.api = api

    @cached_property
    def _runs(self) -> dict[str, Any]:
        """The runs by their identity; of several of the same the last that was begun."""
        try:
            if self.api is None:
                import wandb

                self.api = wandb.Api()
            runs = list(self.api.runs(self.project, order="+created_at", lazy=False))
        except Exception as error:
            unread = f"cannot be read ({first_line(error)})"
            raise ConfigError("source", f"wandb:{self.project}", unread) from None
        return {str(run.config.get("run_id", run.id)): run for run in runs if "task" in run.config}

    def run_ids(self) -> list[str]:
        """Return the runs that were made by gradreach, sorted."""
        return sorted(self._runs)

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run as a record; without what W&B was not told."""
        run = self._runs.get(run_id)
        if run is None:
            return None
        config, summary = dict(run.config), dict(run.summary_metrics)
        at_length = {f"test/{name}": value for name, value in (summary.get(BY_LENGTH) or {}).items()}
        told = {key: value for key, value in summary.items() if not key.startswith(BY_LENGTH)} | at_length
        metrics = {key: float(value) for key, value in told.items() if key.startswith(FIGURES)}
        for stage in STAGES:
            measured = summary.get(f"gradient/{stage}") or {}
            metrics |= {f"gradient/{stage}/{name}": float(value) for name, value in measured.items()}
        status = summary.get("status") or STATES.get(run.state, "failed")
        return {
            **{key: summary.get(key) for key in FACTS},
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "status": status,
            "config": {key: config[key] for key in (*GROUP_NAMES, "seed") if key in config},
            "metrics": metrics,
            "metric": summary.get("metric") or next((m for m in ("mse", "accuracy") if f"val/{m}" in metrics), None),
            "steps_per_second": summary.get("time/steps_per_second"),
            **{key: config.get(key) for key in ("revision", "code", "versions", "host")},
        }

    def status_of(self, record: Mapping[str, Any]) -> str:
        """Return the status: the server knows who is gone."""
        return str(record["status"])

    def read_profile(self, run_id: str) -> Mapping[str, np.ndarray]:
        """Return the columns of a run's gradient profiles, from the table that it logged."""
        run = self._runs.get(run_id)
        told = None if run is None else run.summary_metrics.get(PROFILE)
        if not told:
            return {}
        held = json.loads(_text(run, told["path"]))
        columns = dict(zip(held["columns"], zip(*held["data"], strict=True), strict=True))
        texts, whole = ("stage", "layer", "direction", "quantity"), ("lag", "n")
        kinds: dict[str, Any] = {**dict.fromkeys(texts, str), **dict.fromkeys(whole, int)}
        return {
            name: np.array([_number(v, kinds.get(name, float)) for v in values]) for name, values in columns.items()
        }

    def read_table(self, run_id: str, table: str) -> Mapping[str, np.ndarray]:
        """Return the profile, where that is asked for: W&B was told of no other table."""
        return self.read_profile(run_id) if table == "profile" else {}

    def read_history(self, run_id: str) -> str:
        """Return the figures of a run's epochs as CSV; empty until the run has ended."""
        run = self._runs.get(run_id)
        return "" if run is None else _text(run, HISTORY)


def _text(run: Any, name: str) -> str:
    """Return a file of a run; empty where it has none."""
    found = next(iter(run.files(names=[name])), None)
    if found is None or not found.size:
        return ""
    with tempfile.TemporaryDirectory() as folder, found.download(root=folder, replace=True) as file:
        return str(file.read())


def _number(value: Any, kind: type) -> Any:
    return kind("nan" if value is None and kind is float else value)


def open_source(name: str | None) -> WandbSource | None:
    """Return the source that a name means, ``wandb:entity/project``; None is None, the records here.

    Raises:
        ConfigError: it is neither.
    """
    if name is None:
        return None
    kind, _, where = name.partition(":")
    if kind != "wandb" or where.count("/") != 1:
        raise ConfigError("source", name, "must be wandb:entity/project; leave it out to read the records here")
    return WandbSource(where)
