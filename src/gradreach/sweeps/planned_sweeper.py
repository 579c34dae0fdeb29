"""The sweeper that plans before it launches."""

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from gradreach.compose import Composer, all_jobs
from gradreach.launchers.cores import CoresLauncher


class PlannedSweeper(BasicSweeper):
    """All combinations, like Hydra's own; but every job is checked before the first starts.

    Identical runs are done once, finished ones not again, and the launcher is given only what is left.

    - ``params``: what an experiment sweeps; what the command line says of the same key wins.
    - ``parts``: where one grid does not say it, several by name: each is ``params`` and what it says
      itself, which wins; null leaves one out.
    """

    def __init__(self, params: dict[str, str] | None = None, parts: dict[str, dict[str, str]] | None = None) -> None:
        super().__init__(max_batch_size=None)  # what is swept is read from the configuration: all_jobs

    def sweep(self, arguments: list[str]) -> Any:
        """Plan, launch, report. Exits with code 1 where a run has failed."""
        from gradreach.sweeps.sweep import sweep  # brings torch, which a search and --help do without

        assert self.hydra_context is not None
        assert self.config is not None
        launcher = self.launcher
        assert launcher is not None
        loader = self.hydra_context.config_loader
        jobs = all_jobs(loader, self.config, arguments)
        composer = Composer(loader, self.config)
        try:
            return sweep(jobs, composer.compose, lambda chosen: launcher.launch(chosen, initial_job_idx=0))
        finally:
            if isinstance(launcher, CoresLauncher):
                launcher.close()
