"""``sweep.yaml`` for those who launch from W&B: an experiment's axes as a grid, and an agent that calls ``run.py``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradreach.errors import ConfigError, suggest

AGENT = ("${env}", "${interpreter}", "${program}", "${args_no_hyphens}")
"""W&B's own words: ``python run.py model=lstm seq_len=64 ...``, each parameter as Hydra reads it."""


def sweep_file(experiment: str, conf_dir: Path, project: str, entity: str | None) -> str:
    """Return the YAML of a W&B sweep that makes the runs of an experiment.

    Every axis of ``conf/experiment/<name>.yaml`` becomes a parameter with the same values; what Hydra swept, W&B's grid
    does. Runs that are the same, as a kernel size makes of an RNN, are done once all the same.

    Raises:
        ConfigError: there is no such experiment, it sweeps nothing, or several grids.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    path = conf_dir / "experiment" / f"{experiment}.yaml"
    if not path.is_file():
        known = [file.stem for file in path.parent.glob("*.yaml")]
        raise ConfigError(f"experiment={experiment}: there is no such option; {suggest(experiment, known)}")
    config = OmegaConf.load(path)
    if OmegaConf.select(config, "hydra.sweeper.parts"):
        raise ConfigError(
            f"experiment={experiment}: several grids (hydra.sweeper.parts), and a W&B sweep has one; run it by "
            f"python run.py -m experiment={experiment} tracking=online"
        )
    params: Mapping[str, Any] = OmegaConf.select(config, "hydra.sweeper.params") or {}
    if not params:
        raise ConfigError(
            f"experiment={experiment}: sweeps nothing (hydra.sweeper.params); W&B needs at least one axis"
        )
    overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    sweep = {
        "program": "run.py",
        "name": experiment,
        "project": project,
        **({"entity": entity} if entity else {}),
        "method": "grid",
        "command": [*AGENT, f"experiment={experiment}", "tracking=online"],
        "parameters": {override.key_or_group: {"values": _values(override)} for override in overrides},
    }
    head = f"# Made by 'gradreach wandb-sweep {experiment}'. Then: wandb sweep sweep.yaml; wandb agent <what it says>\n"
    return head + OmegaConf.to_yaml(OmegaConf.create(sweep))


def _values(override: Any) -> list[Any]:
    """Return the values of an axis, as Hydra's own sweeper would try them."""
    if not override.is_sweep_override():
        return [override.value()]
    return list(override.sweep_iterator(transformer=lambda value: value))
