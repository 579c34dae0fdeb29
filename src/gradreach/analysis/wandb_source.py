"""Records on a W&B server, read through its public API: for teams whose runs lie there."""

import csv
import io
import json
import tempfile
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from gradreach.errors import ConfigError
from gradreach.records import SCHEMA_VERSION
from gradreach.tracking.wandb import FACTS

GROUPS = ("task", "model", "optimizer", "trainer", "diagnostics", "seed")
FIGURES = ("train/", "val/", "test/")
PROFILE = "gradient/by_lag"
STATES = {"running": "running", "finished": "finished", "crashed": "interrupted", "killed": "interrupted"}


class WandbSource:
    """The runs of a project as records, as far as W&B was told of them.

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
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConfigError(f"source=wandb:{self.project}: cannot be read ({reason})") from None
        return {str(run.config.get("run_id", run.id)): run for run in runs if "task" in run.config}

    def run_ids(self) -> list[str]:
        """Return the runs that were made by gradreach, sorted."""
        return sorted(self._runs)

    def read(self, run_id: str) -> dict[str, Any] | None:
        """Return a run as a record; without what W&B was not told."""
        run = self._runs.get(run_id)
        if run is None:
            return None
        config, summary = dict(run.config), dict(run.summary)
        metrics = {key: float(value) for key, value in summary.items() if key.startswith(FIGURES)}
        metrics |= _gradients(self._measured(run_id, first=True), "start")
        status = summary.get("status") or STATES.get(run.state, "failed")
        if status == "finished":
            metrics |= _gradients(summary, "end")
        return {
            **{key: summary.get(key) for key in FACTS},
            "schema_version": SCHEMA_VERSION,
            "run_id": run_id,
            "status": status,
            "config": {key: config[key] for key in GROUPS},
            "metrics": metrics,
            "metric": summary.get("metric") or next((m for m in ("mse", "accuracy") if f"val/{m}" in metrics), None),
            "steps_per_second": summary.get("time/steps_per_second"),
            **{key: config.get(key) for key in ("revision", "versions", "host")},
        }

    def status_of(self, record: Mapping[str, Any]) -> str:
        """Return the status: the server knows who is gone."""
        return str(record["status"])

    def _measured(self, run_id: str, first: bool = False) -> Any:
        """Return the rows of a run, or the one of before training."""
        rows = self._runs[run_id].scan_history(**({"max_step": 1} if first else {}))
        return next(iter(rows), {}) if first else list(rows)

    def read_profile(self, run_id: str) -> Mapping[str, np.ndarray]:
        """Return the columns of a run's gradient profiles, from the table that it logged."""
        run = self._runs.get(run_id)
        told = None if run is None else dict(run.summary).get(PROFILE)
        if run is None or not told:
            return {}
        with (
            tempfile.TemporaryDirectory() as folder,
            run.file(told["path"]).download(root=folder, replace=True) as file,
        ):
            held = json.load(file)
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
        """Return the figures of a run's epochs as CSV."""
        if run_id not in self._runs:
            return ""
        rows = [_epoch(told) for told in self._measured(run_id) if "train/loss" in told]
        names = list(dict.fromkeys(name for epoch in rows for name in epoch))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue() if rows else ""


def _epoch(told: Mapping[str, Any]) -> dict[str, Any]:
    return {_local(k): v for k, v in told.items() if not k.startswith("_") and not isinstance(v, Mapping)}


def _gradients(told: Mapping[str, Any], stage: str) -> dict[str, float]:
    """Return the figures of the gradient that were told at one stage, under the names that records give them."""
    figures = {_local(key): value for key, value in told.items()}
    return {
        key.replace("gradient/", f"gradient/{stage}/", 1): float(value)
        for key, value in figures.items()
        if key.startswith("gradient/") and isinstance(value, int | float | str)
    }


def _local(name: str) -> str:
    """Return what records call a figure: W&B has the gates as a family of their own."""
    return name.replace("gates/", "gradient/gate_", 1) if name.startswith("gates/") else name


def _number(value: Any, kind: type) -> Any:
    return kind("nan" if value is None and kind is float else value)
