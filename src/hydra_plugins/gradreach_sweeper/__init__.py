"""Where Hydra looks for plugins: the sweeper that plans before it launches."""

import copy
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.gradreach_launchers.cores import CoresLauncher

# A plain mapping, no dataclass: conf/search puts another sweeper with other parameters in its place.
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="gradreach",
    node={"_target_": "hydra_plugins.gradreach_sweeper.PlannedSweeper", "params": {}},
    provider="gradreach",
)


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
        from gradreach.sweep import sweep

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


def all_jobs(loader: Any, master: DictConfig, arguments: Sequence[str]) -> list[Sequence[str]]:
    """Return the overrides of every job of all grids of a sweep.

    Read from the configuration, not from the sweeper that Hydra made of it: making resolves values, so that an escaped
    ``\\${seq_len}`` would become the master's length instead of each run's.

    Args:
        loader: Hydra's, which knows the groups.
        master: what the sweep was composed to, with Hydra's own part.
        arguments: what the command line says of runs; it wins.
    """
    own = master.hydra.sweeper
    return [
        job
        for grid in grids(own.get("params") or {}, own.get("parts"))
        for job in combinations(loader, grid, arguments)
    ]


def grids(params: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any] | None] | None) -> list[dict[str, Any]]:
    """Return the grids of a sweep: one for each part that is not null; without parts, what is swept itself."""
    if not parts:
        return [dict(params)]
    return [{**params, **part} for part in parts.values() if part is not None]


def combinations(loader: Any, params: Mapping[str, Any], arguments: Sequence[str]) -> Sequence[Sequence[str]]:
    """Return the overrides of every job of a sweep.

    Args:
        loader: Hydra's, which knows the groups.
        params: what the configuration sweeps.
        arguments: what the command line says; it wins.
    """
    words = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
    return BasicSweeper.split_arguments(overrides, None)[0]


class Composer:
    """Composes many jobs that differ in few files: each choice of files is composed once.

    Hydra needs 0.15 s and more a job to read all files anew. A value (``seed=3``) is applied after the files are
    composed, so that a copy of the composed files and the value give the same.
    """

    def __init__(self, loader: Any, master: DictConfig) -> None:
        self.loader = loader
        self.master = master
        self.parser = OverridesParser.create(config_loader=loader)
        self.composed: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}
        self.is_group = cache(lambda key: bool(loader.get_group_options(key)))

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Return what Hydra would compose, without its own part.

        Raises:
            HydraException: a key or an option does not exist.
        """
        return self._compose(overrides)[0]

    def compose_job(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return all that Hydra would compose for a job of a sweep."""
        config, own = self._compose(overrides)
        whole = copy.deepcopy(own)
        with open_dict(whole), read_write(whole):
            whole.hydra.overrides.task = list(overrides)
            whole.hydra.job.num = number
            whole.hydra.job.id = f"{whole.hydra.job.name}_{number}"
            for key in config:
                whole[key] = config._get_node(key)
        return whole

    def _compose(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        parsed = self.parser.parse_overrides(list(overrides))
        is_value = [self._is_value(override) for override in parsed]
        values = list(compress(parsed, is_value))
        files = tuple(override for override, value in zip(overrides, is_value, strict=True) if not value)
        if files not in self.composed:
            whole = self.loader.load_sweep_config(self.master, list(files))
            rest = OmegaConf.masked_copy(whole, [key for key in whole if key != "hydra"])
            self.composed[files] = rest, OmegaConf.masked_copy(whole, ["hydra"])
        rest, own = self.composed[files]
        config = copy.deepcopy(rest)
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        return config, own

    def _is_value(self, override: Override) -> bool:
        key = override.key_or_group
        plain = not (override.is_add() or override.is_force_add() or override.is_delete() or override.package)
        return plain and not key.startswith("hydra") and not self.is_group(key)
