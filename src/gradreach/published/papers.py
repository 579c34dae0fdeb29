"""``conf/published/<name>.yaml``: the papers, and the runs of each of their parts."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gradreach.compose import Composer, jobs_by_part
from gradreach.config import RunConfig, checked
from gradreach.config.published import Paper
from gradreach.errors import ConfigError, first_line
from gradreach.sweeps.plan import configured
from gradreach.sweeps.status import reading

FIRST_SEED = 20
"""Of computations: as of the runs of papers' files, above the pilots of studies and below the seeds that decide."""


@dataclass(frozen=True)
class Redone:
    """A paper, and how it is reproduced.

    - ``name``: of its file.
    - ``parts``: names of the grids of its sweep.
    """

    name: str
    paper: Paper
    parts: Sequence[str]
    conf_dir: Path

    @cached_property
    def runs(self) -> dict[str, list[RunConfig]]:
        """The runs of each part that cells need; composing them takes Hydra a second or more."""
        if not self.paper.trains:
            return {}
        with reading([f"published={self.name}"], self.conf_dir) as (loader, master, of_runs):
            jobs, compose = jobs_by_part(loader, master, of_runs), Composer(loader, master).compose
            wanted = {part: jobs[part] for part in self.trained()}
            return {part: [run for _, run, _ in configured(own, compose)] for part, own in wanted.items()}

    def trained(self, cells: Sequence[str] | None = None) -> list[str]:
        """Return the parts that planned cells and their trials take from training, each once."""
        return self._parts(cells, lambda part: part not in self.paper.compute)

    def computed(self, cells: Sequence[str] | None = None) -> list[str]:
        """Return the parts that planned cells and their trials take from computations, each once."""
        return self._parts(cells, lambda part: part in self.paper.compute)

    def _parts(self, cells: Sequence[str] | None, of_kind: Any) -> list[str]:
        planned = [self.paper.part_of(name) for name, cell in self.paper.asked(cells).items() if cell.planned]
        return [part for part in dict.fromkeys(planned) if of_kind(part)]


def papers(conf_dir: Path) -> list[str]:
    """Return the names of all papers."""
    return sorted(path.stem for path in (conf_dir / "published").glob("*.yaml"))


def load(name: str, conf_dir: Path) -> Redone:
    """Read a paper's file.

    Raises:
        ConfigError: it does not exist or cannot be read, or a cell names something that does not exist.
    """
    path = conf_dir / "published" / f"{name}.yaml"
    if name not in papers(conf_dir):
        raise ConfigError("reproduce", name, "no such paper", choices=papers(conf_dir) or ("none, conf/published",))
    try:
        said = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:
        raise ConfigError(path, allowed=f"cannot be read ({first_line(error)})") from None
    values = {str(key): value for key, value in said.items()} if isinstance(said, dict) else {}
    paper = checked(Paper, values.get("published") or {}, "published")
    sweeper = (values.get("hydra") or {}).get("sweeper") or {}
    found = Redone(name, paper, list(sweeper.get("parts") or {}), conf_dir)
    _check_parts(found, path)
    if values.get("experiment") != name:
        raise ConfigError(path, allowed=f"must say experiment: {name}", hint="its results go to a folder of that name")
    if paper.trains and values.get("results_dir") != "results/published":
        raise ConfigError(path, allowed="must say results_dir: results/published", hint="the ledger reads that folder")
    return found


def _check_parts(found: Redone, path: Path) -> None:
    paper = found.paper
    if both := sorted(paper.compute.keys() & set(found.parts)):
        raise ConfigError(path, allowed=f"{both[0]} is both computed and trained", hint="give them different names")
    for name, cell in paper.asked().items():
        part, kind = paper.part_of(name), "cells" if name in paper.cells else "trials"
        if cell.planned and part not in paper.compute and part not in found.parts:
            known = [*paper.compute, *found.parts]
            raise ConfigError(f"published.{kind}.{name}.part", part, f"no such part in {path}", choices=known)
    for name, computation in paper.compute.items():
        _check_call(f"published.compute.{name}", computation.function, computation.arguments)


def _check_call(key: str, function: str, arguments: Mapping[str, Any]) -> None:
    """Check that a function is one of ours and takes these arguments."""
    from gradreach.published.computations import FUNCTIONS

    if function not in FUNCTIONS:
        raise ConfigError(f"{key}.function", function, "no such computation", choices=sorted(FUNCTIONS))
    try:
        inspect.signature(FUNCTIONS[function]).bind(0, **arguments)
    except TypeError as error:
        raise ConfigError(f"{key}.arguments", dict(arguments), f"not those of {function} ({error})") from None
