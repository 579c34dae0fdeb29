"""``sweep.yaml`` for those who launch from W&B: an experiment's axes as grids, and an agent that calls ``run.py``."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradreach.compose import configuration
from gradreach.errors import ConfigError

AGENT = ("${env}", "${interpreter}", "${program}", "${args_no_hyphens}")
"""W&B's own words: ``python run.py model=lstm seq_len=64 ...``, each parameter as Hydra reads it."""


def sweep_files(experiment: str, conf_dir: Path, project: str, entity: str | None, output: Path) -> dict[Path, str]:
    """Return the YAML of the W&B sweeps that together make the runs of an experiment.

    Every axis becomes a parameter with the same values; what Hydra swept, W&B's grid does. A W&B sweep has one grid, so
    an experiment of several (``hydra.sweeper.parts``) gets a file for each. Runs that are the same, as a kernel size
    makes of an RNN, are done once all the same.

    Args:
        experiment: its name.
        conf_dir: the folder of configurations.
        project: W&B's project.
        entity: W&B's team or user; None: the account's own.
        output: the file; where there are several, a part's is called after it: ``sweep_<part>.yaml``.

    Raises:
        ConfigError: there is no such experiment, or it sweeps nothing.
    """
    from hydra import compose
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from gradreach.compose import grids

    with configuration(conf_dir):
        known = [file.stem for file in (conf_dir / "experiment").glob("*.yaml")]
        if experiment not in known:
            raise ConfigError("experiment", experiment, "there is no such option", choices=known)
        own = compose("config", overrides=[f"experiment={experiment}"], return_hydra_config=True).hydra.sweeper
    parts = {name: part for name, part in (own.get("parts") or {}).items() if part is not None}
    texts = {}
    for name, params in zip(parts or [None], grids(own.params or {}, parts), strict=True):
        if not params:
            nothing = "sweeps nothing (hydra.sweeper.params)"
            raise ConfigError("experiment", experiment, nothing, "W&B needs at least one axis")
        path = output if name is None else output.with_stem(f"{output.stem}_{name}")
        overrides = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
        sweep: dict[str, Any] = {
            "program": "run.py",
            "name": experiment if name is None else f"{experiment}: {name}",
            "project": project,
            **({"entity": entity} if entity else {}),
            "method": "grid",
            "command": [*AGENT, f"experiment={experiment}", "tracking=online"],
            "parameters": {override.key_or_group: {"values": _values(override)} for override in overrides},
        }
        head = f"# Made by 'gradreach wandb-sweep {experiment}'. Then: wandb sweep {path.name}; wandb agent <its id>\n"
        texts[path] = head + OmegaConf.to_yaml(OmegaConf.create(sweep))
    return texts


def _values(override: Any) -> list[Any]:
    """Return the values of an axis, as Hydra's own sweeper would try them.

    Numbers stay numbers. All else is written as Hydra writes it: an agent would make Python's ``None`` of a null.
    """
    values = override.sweep_iterator(lambda value: value) if override.is_sweep_override() else [override.value()]
    return [value if type(value) in (int, float) else override._get_value_element_as_str(value) for value in values]
