"""Read back what W&B wrote, with W&B's own reader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PICTURE, TABLE = "gradient/profile", "gradient/by_lag"


def inspect(log: Path) -> dict[str, Any]:
    """Return what a ``.wandb`` file says of a run."""
    told = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)],
        capture_output=True,
        text=True,
        check=True,
    )
    said: dict[str, Any] = {"history": [], "summary": {}, "axes": {}, "exit": None}
    for record in map(json.loads, told.stdout.splitlines()):
        value = record.get(record["type"], {})
        match record["type"]:
            case "run":
                said |= {
                    "id": value["run_id"],
                    "name": value["display_name"],
                    "group": value["run_group"],
                    "job_type": value["job_type"],
                    "tags": value.get("tags", []),
                    "notes": value.get("notes"),
                    "sweep": value.get("sweep_id"),
                    "project": value.get("project"),
                    "entity": value.get("entity"),
                    "config": value["config"]["update"],
                }
            case "history":
                said["history"].append(value["item"])
            case "metric":
                said["axes"][value.get("glob_name") or value["name"]] = value.get("step_metric")
            case "summary":
                said["summary"] |= value["update"]
            case "exit":
                said["exit"] = value["exit_code"]
    return said


def path_of(said: dict[str, Any], name: str) -> str | None:
    """Return where below its files the picture or table stands that a summary names; None where it names none."""
    summary = said["summary"]
    return summary[name]["path"] if name in summary else summary.get(f"{name}.path")


def logs(results: Path, run_id: str = "*") -> list[Path]:
    """Return the ``.wandb`` files below a folder of results, the oldest first."""
    return sorted(results.glob(f"wandb/*run-*-{run_id}/run-*.wandb"))


def figures(values: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a row or a summary, without W&B's own and without pictures, tables and texts."""
    numbers = (int, float, str)  # a string is what JSON has no number for
    kept = {key: value for key, value in values.items() if not key.startswith((PICTURE, TABLE, "_"))}
    texts = ("status", "metric", "error")
    return {key: float(value) for key, value in kept.items() if isinstance(value, numbers) and key not in texts}
