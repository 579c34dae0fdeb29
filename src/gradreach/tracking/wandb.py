"""Weights & Biases: one W&B run for each of ours, with the same id."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import pandas as pd
import wandb

from gradreach.config import RunConfig, Workplace


class WandbRun:
    """A W&B run, open from ``with`` to its end; a run that raises is closed with exit code 1.

    Raises:
        RuntimeError: another W&B run is still open in this process.
    """

    def __init__(self, run: RunConfig, workplace: Workplace, record: Mapping[str, Any]) -> None:
        if wandb.run is not None:
            raise RuntimeError(f"W&B run {wandb.run.id} is still open in this process; finish it first")
        tracking = workplace.tracking
        workplace.results_dir.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            id=run.run_id,
            name=f"{run.label} · seed {run.seed}",
            group=f"{run.label} · {run.group_id[:6]}",
            job_type="train",
            tags=[tag for tag in (workplace.experiment, run.task.name, run.model.name) if tag],
            config={**run.canonical(), "revision": record["revision"], "versions": record["versions"]},
            project=tracking.project,
            entity=tracking.entity,
            mode=tracking.mode,  # type: ignore[arg-type]  # "off" never comes here
            dir=workplace.results_dir,
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_code=True,
                disable_git=True,
                x_disable_stats=True,
                x_save_requirements=False,  # it would read what is installed anew for each run; config has versions
            ),
        )
        self.run.define_metric("epoch", hidden=True)
        for family in ("train", "val", "gradient", "time"):
            self.run.define_metric(f"{family}/*", step_metric="epoch")

    def __enter__(self) -> "WandbRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.run.finish(exit_code=0 if kind is None else 1)

    def log(self, row: Mapping[str, Any]) -> None:
        """Log a row of figures."""
        self.run.log({key: value for key, value in row.items() if key != "step"})

    def summarize(self, metrics: Mapping[str, float], profiles: list[pd.DataFrame]) -> None:
        """Write the chosen epoch's figures into the summary, and log the gradient profile as a picture."""
        chosen = {key: value for key, value in metrics.items() if not key.startswith("gradient/")}
        self.run.summary.update(chosen)
        if profiles:
            from gradreach.drawing import draw_run_profile

            profile = pd.concat(profiles, ignore_index=True)
            # a type for all: wandb would else infer one for every cell, which costs more than the picture
            rows: list[Any] = profile.to_numpy(dtype=object).tolist()
            table = wandb.Table(columns=[*map(str, profile)], data=rows, allow_mixed_types=True)
            self.run.log({"gradient/profile": wandb.Image(draw_run_profile(profile)), "gradient/by_lag": table})
