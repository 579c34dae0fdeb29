"""Where the project stands, and what makes a real run take a second."""

from pathlib import Path
from typing import Any

from gradreach.config import OptimizerSettings, RunConfig, RunEnvironment, TrainerSettings
from gradreach.run_state import Run
from gradreach.run_table.committed import run_tables

PROJECT = Path(__file__).resolve().parent.parent
COMMITTED = [path.parent.name for path in run_tables(PROJECT / "results")]
"""Sweeps whose run tables are committed."""
SMALL = ["trainer.epochs=2", "model.width=4", "diagnostics.examples=4"]


def bare_run(
    optimizer: OptimizerSettings, trainer: TrainerSettings, *, seed: int = 0, **environment: Any
) -> tuple[Run, list[dict[str, Any]]]:
    """Return a run of which nothing is configured but its training, and the rows that it will tell."""
    rows: list[dict[str, Any]] = []
    config = RunConfig.model_construct(optimizer=optimizer, trainer=trainer, seed=seed, callbacks={})
    where = {"results_dir": Path("there is no such folder"), "device": "cpu", "logger": {}, **environment}
    return Run(config, RunEnvironment.model_construct(**where), listeners=[rows.append]), rows
