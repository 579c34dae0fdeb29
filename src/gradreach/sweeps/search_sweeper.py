"""The sweeper that searches: Optuna proposes, the validation score decides."""

import re
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gradreach.compose import Composer
from gradreach.errors import ConfigError
from gradreach.launchers.clusters import need
from gradreach.launchers.cores import CoresLauncher
from gradreach.launchers.places import is_here

OLDEST = (4, 9)
"""The oldest supported version of Optuna."""


class SearchSweeper(Sweeper):
    """Propose, run, learn; the same command resumes, and does not repeat finished runs.

    - ``params``: the space, in Hydra's grammar of sweeps; what the command line says of the same key wins.
    - ``settings``: those of ``SearchSettings``.
    """

    def __init__(self, params: Mapping[str, Any], **settings: Any) -> None:
        self.params, self.settings = params, settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's settings of the search."""
        need("optuna", extra="optuna")
        check_version(version("optuna"))
        self.loader, self.master = hydra_context.config_loader, config
        self.runs = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search, and print the best trial. Exits with code 1 if a run has failed, or none has finished."""
        from gradreach.sweeps.search import SearchSettings, search  # brings torch, which --help does without
        from gradreach.sweeps.space import read_space

        settings = SearchSettings.checked(self.settings)
        space = read_space(self.params, arguments, self.loader)
        composer = Composer(self.loader, self.master)
        try:
            launch = partial(self.runs.launch, initial_job_idx=0)
            search(space, settings, composer.compose, launch, is_here(self.runs))
        finally:
            if isinstance(self.runs, CoresLauncher):
                self.runs.close()


def check_version(optuna: str) -> None:
    """Refuse a version of Optuna that is too old.

    Raises:
        ConfigError: it is.
    """
    if tuple(map(int, re.findall(r"\d+", optuna)[:2])) < OLDEST:
        allowed = "must be {}.{} or newer".format(*OLDEST)
        raise ConfigError("optuna", optuna, allowed, "pip install --upgrade 'gradreach[optuna]'")
