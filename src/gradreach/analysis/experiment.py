"""What a named sweep means: its question, its tables, its figures."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gradreach.analysis.tables import Table
from gradreach.errors import ConfigError, suggest

Draw = Callable[[pd.DataFrame, pd.DataFrame, Path], None]


@dataclass(frozen=True)
class Figure:
    """A picture of an experiment.

    - ``name``: of its files.
    - ``caption``: what it shows and how to read it.
    - ``draw``: given runs, profiles and the file name without its ending.
    """

    name: str
    caption: str
    draw: Draw


@dataclass(frozen=True)
class Experiment:
    """``experiments/<name>.py`` holds one, as ``EXPERIMENT``.

    - ``title``, ``question``: what it is about.
    - ``caveat``: what a sceptical reader has to know.
    """

    title: str
    question: str
    caveat: str
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]


def load_experiment(name: str, folder: Path = Path("experiments")) -> Experiment:
    """Read ``<folder>/<name>.py``.

    Raises:
        ConfigError: there is no such experiment.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        known = [file.stem for file in folder.glob("*.py")]
        where = (
            f"; {suggest(name, known)}"
            if known
            else f" in {folder.resolve()}: call gradreach from the project's folder"
        )
        raise ConfigError(f"{name}: there is no such experiment{where}")
    spec = importlib.util.spec_from_file_location(f"experiments.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    experiment: Experiment = module.EXPERIMENT
    return experiment
