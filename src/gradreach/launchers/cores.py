"""A launcher for this machine: one process per core, reused for the next run."""

from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gradreach.compose import Composer
from gradreach.errors import ConfigError
from gradreach.system.interruption import not_inherited


class CoresLauncher(Launcher):
    """Executes runs in several processes, like Hydra's own joblib launcher, but with less overhead between runs.

    That one rereads all files of the configuration for every run, in the worker. Here the sweep composes, which has
    read them.

    - ``n_jobs``: how many processes; -1: one for each core.
    """

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs = n_jobs
        self.working = False

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's settings of the sweep."""
        if type(self.n_jobs) is not int or self.n_jobs < -1 or self.n_jobs == 0:
            allowed = "must be a number of processes, or -1 for one per core"
            raise ConfigError("hydra.launcher.n_jobs", self.n_jobs, allowed)
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all jobs; return when the last has ended.

        Raises:
            TerminatedWorkerError: a worker was killed; joblib ends the others then.
        """
        from joblib import Parallel, delayed

        setup_globals()
        self.working = True
        composer = Composer(self.hydra_context.config_loader, self.config)
        state = Singleton.get_state()
        with not_inherited():
            ended: list[JobReturn] = Parallel(n_jobs=self.n_jobs, backend="loky", batch_size=1, pre_dispatch="all")(
                delayed(_do)(composer.compose_job(overrides, number), self.hydra_context, self.task_function, state)
                for number, overrides in enumerate(job_overrides, initial_job_idx)
            )
        return ended

    def close(self) -> None:
        """Kill the workers, which hold no unsaved data; ending by themselves takes them two seconds."""
        if not self.working:
            return
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _do(config: DictConfig, context: HydraContext, task_function: TaskFunction, state: Any) -> JobReturn:
    """Execute one run, in a worker."""
    setup_globals()
    Singleton.set_state(state)
    HydraConfig.instance().set_config(config)
    return run_job(task_function, config, "hydra.sweep.dir", "hydra.sweep.subdir", context)
