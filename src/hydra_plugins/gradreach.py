"""The names that Hydra looks for: it finds plugins only in this package. Their code is in ``gradreach``."""

from hydra.core.config_store import ConfigStore

from gradreach.launchers import clusters, cores
from gradreach.sweeps import planned_sweeper, search_sweeper


class CoresLauncher(cores.CoresLauncher):
    """``hydra/launcher=cores``."""


class RayLauncher(clusters.RayLauncher):
    """``hydra/launcher=ray_cluster``."""


class SubmititLauncher(clusters.SubmititLauncher):
    """``hydra/launcher=slurm`` and ``slurm_local``."""


class PlannedSweeper(planned_sweeper.PlannedSweeper):
    """The default sweeper."""


class SearchSweeper(search_sweeper.SearchSweeper):
    """``+search=training``."""


# A plain mapping, no dataclass: conf/search puts another sweeper with other parameters in its place.
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="gradreach",
    node={"_target_": "hydra_plugins.gradreach.PlannedSweeper", "params": {}},
    provider="gradreach",
)
