"""The sweeper that plans before it launches."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gradreach.compose import Composer, all_jobs, is_basic
from gradreach.launchers.cores import CoresLauncher
from gradreach.launchers.places import is_here
from gradreach.system.garbage import importing


class PlannedSweeper(Sweeper):
    """All combinations, like Hydra's own; but every job is checked before the first starts.

    Identical runs are executed once, finished ones are not repeated, and the launcher gets only what is left.

    - ``params``: what an experiment sweeps; what the command line says of the same key wins.
    - ``parts``: where one grid does not say it, several by name: each is ``params`` and what it says
      itself, which wins; null leaves one out.
    """

    def __init__(
        self, params: Mapping[str, str] | None = None, parts: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """Ignore the arguments: the sweep is read from the configuration, see ``all_jobs``."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's settings of the sweep."""
        self.loader, self.master = hydra_context.config_loader, config
        self.runs = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, launch, report. Exits with code 1 where a run has failed."""
        with importing():
            from gradreach.sweeps.sweep import sweep  # brings torch, which a search and --help do without

        jobs = all_jobs(self.loader, self.master, arguments)
        composer = Composer(self.loader, self.master)
        try:
            launch = partial(self.runs.launch, initial_job_idx=0)
            return sweep(jobs, composer.compose, launch, is_here(self.runs), is_basic(self.runs))
        finally:
            if isinstance(self.runs, CoresLauncher):
                self.runs.close()
