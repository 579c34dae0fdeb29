"""A sweeper that searches: Optuna proposes, validation accuracy judges; no test figure is read or shown."""

import sys
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gradreach.compose import raised_or_returned, search_space
from gradreach.launchers.clusters import need


class SearchSweeper(Sweeper):
    """Propose, run, learn; the same line again proposes the same and finds finished runs done.

    - ``params``: the space, as Hydra's Optuna sweeper reads it; what the command line says of the same key wins.
    - ``n_trials``: how many runs.
    - ``n_jobs``: how many are proposed, and run, at a time.
    - ``startup_trials``: how many are drawn at random, before the sampler (TPE, Bergstra et al. 2011) learns from them.
    - ``seed``: of the sampler.
    - ``folder``: where ``trials.csv`` is written.
    """

    def __init__(
        self, params: dict[str, str], n_trials: int, n_jobs: int, startup_trials: int, seed: int, folder: str
    ) -> None:
        self.params, self.n_trials, self.n_jobs = params, n_trials, n_jobs
        self.startup_trials, self.seed, self.folder = startup_trials, seed, Path(folder)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take up what Hydra knows of the search."""
        need("optuna", "hydra_plugins.hydra_optuna_sweeper", extra="optuna")
        self.runs = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search, and say what was best. Exits with code 1 where no trial has finished."""
        import optuna
        from rich.console import Console

        console = Console(highlight=False, soft_wrap=True, markup=False)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space, fixed = search_space([*(f"{key}={value}" for key, value in self.params.items()), *arguments])
        space = {key: choices for key, choices in space.items() if key not in fixed}
        sampler = optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=self.startup_trials)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        console.print(f"search: {self.n_trials} runs over {', '.join(space)}, judged by validation accuracy")
        for first in range(0, self.n_trials, self.n_jobs):
            trials = [study.ask(space) for _ in range(min(self.n_jobs, self.n_trials - first))]
            jobs = [[f"{key}={value}" for key, value in {**fixed, **trial.params}.items()] for trial in trials]
            for trial, returned in zip(trials, self.runs.launch(jobs, initial_job_idx=first), strict=True):
                accuracy, reason = judge(returned)
                state = optuna.trial.TrialState.FAIL if accuracy is None else optuna.trial.TrialState.COMPLETE
                study.tell(trial, accuracy, state)
                said = reason if accuracy is None else f"validation accuracy {accuracy:6.1%}"
                console.print(
                    f"[{trial.number + 1:>{len(str(self.n_trials))}}/{self.n_trials}] {said}   {shown(trial)}"
                )
            self._write(study)
        if not any(trial.value is not None for trial in study.trials):
            console.print("no trial has finished; the records say why")
            sys.exit(1)
        best = study.best_trial
        console.print(f"best of {self.n_trials}: validation accuracy {best.value:.1%}   {shown(best)}")
        console.print(f"  all trials: {self.folder / 'trials.csv'}")

    def _write(self, study: Any) -> None:
        import pandas as pd

        from gradreach.system.files import write_text

        rows = [{"trial": trial.number + 1, "val/accuracy": trial.value, **trial.params} for trial in study.trials]
        write_text(self.folder / "trials.csv", pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def judge(returned: JobReturn) -> tuple[float | None, str]:
    """Return a run's validation accuracy, or None and why it has none."""
    if returned.status is not JobStatus.COMPLETED:
        return None, f"failed: {str(raised_or_returned(returned)).strip().splitlines()[0]}"
    if returned.return_value is None:
        return None, "failed or diverged; its record says why"
    return float(returned.return_value), ""


def shown(trial: Any) -> str:
    """Write a proposal much as it would stand on the command line; ``trials.csv`` has all digits."""
    values = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in trial.params.items()}
    return " ".join(f"{key}={value}" for key, value in values.items())
