"""What a named sweep means: its question, its tables and figures, the claim it puts to the test and by which rule."""

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.tables.specification import Computed, Table
from gradreach.errors import ConfigError, suggest


@dataclass(frozen=True)
class Claim:
    """What the founding notes say.

    - ``id``: ``C1``.
    - ``section``: of the notes, ``4.1``.
    - ``words``: theirs, in Chinese.
    - ``translation``: into English.
    """

    id: str
    section: str
    words: str
    translation: str


@dataclass(frozen=True)
class Prediction:
    """What is to be expected before the runs.

    - ``text``: one or two sentences.
    - ``source``: who says so.
    """

    text: str
    source: str


def as_they_are(runs: pd.DataFrame) -> pd.DataFrame:
    """Add no columns."""
    return runs


@dataclass(frozen=True)
class Experiment:
    """``experiments/<name>.py`` holds one, as ``EXPERIMENT``.

    - ``title``, ``question``: what it is about.
    - ``caveat``: what a sceptical reader has to know.
    - ``tables``, ``figures``: what is shown of it.
    - ``claim``: what it puts to the test, where it does.
    - ``prediction``: what the literature lets expect.
    - ``rule``: how the verdict is found, in one sentence fixed before the runs.
    - ``beyond``: why a part that is refuted says nothing against the claim: it goes beyond its words.
    - ``judge``: the same as code; called with results in which every planned run has been tried.
    - ``prepare``: adds columns of its own to the run table, or names its ``architecture`` anew.
    - ``profiles_of``: of which runs figures show gradient profiles or what states tell, which are committed for them
      alone: a value, or a list of values, for columns of the run table.

    Raises:
        ValueError: of claim, rule and judge only some are given.
    """

    title: str
    question: str
    caveat: str
    tables: tuple[Table | Computed, ...]
    figures: tuple[Figure, ...]
    claim: Claim | None = None
    prediction: Prediction | None = None
    rule: str = ""
    beyond: str = ""
    judge: Callable[[Results], Verdict] | None = None
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = as_they_are
    profiles_of: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({self.claim is None, not self.rule, self.judge is None}) != 1:
            raise ValueError(f"{self.title}: a claim needs a rule and a judge, and they a claim")


def known_experiments(folder: Path = Path("experiments")) -> list[str]:
    """Return the names of all experiments, sorted."""
    return sorted(file.stem for file in folder.glob("[!_]*.py"))


def unrun(names: Iterable[str], folder: Path = Path("experiments")) -> dict[str, Experiment]:
    """Return the experiments that are not among these names."""
    done = set(names)
    return {name: load_experiment(name, folder) for name in known_experiments(folder) if name not in done}


def load_experiment(name: str, folder: Path = Path("experiments")) -> Experiment:
    """Read ``<folder>/<name>.py``.

    Raises:
        ConfigError: there is no such experiment.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        known = known_experiments(folder)
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
