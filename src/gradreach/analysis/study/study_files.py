"""Studies by the names of their sweeps: ``experiments/<name>.py``, or the default study."""

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.default_study import default_study
from gradreach.config.settings import checked_name
from gradreach.errors import ConfigError, first_line

EXPERIMENTS = Path("experiments")
PROJECT = "project.txt"
"""Which studies are part of the project: those of the ledger, the report and the findings."""


def known_studies(folder: Path = EXPERIMENTS) -> list[str]:
    """Return the names of all studies, sorted."""
    return sorted(file.stem for file in folder.glob("[!_]*.py"))


def of_project(names: Iterable[str], folder: Path = EXPERIMENTS) -> list[str]:
    """Return those of some names that are part of the project: ``project.txt`` lists them; without it, all are."""
    path = folder / PROJECT
    if not path.is_file():
        return list(names)
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    listed = set(lines)
    return [name for name in names if name in listed]


def load_study(name: str, folder: Path = EXPERIMENTS, runs: pd.DataFrame | None = None) -> Study:
    """Read the study of ``<folder>/<name>.py``.

    Args:
        name: of its sweep.
        folder: where studies are.
        runs: the runs, if any: a sweep with runs but without a study gets the default study.

    Raises:
        ConfigError: there is no such study and nothing was run, or its file cannot be used.
    """
    try:
        checked_name(name)
    except ValueError as error:
        raise ConfigError("experiment", name, str(error)) from None
    path = folder / f"{name}.py"
    if not path.is_file():
        if runs is not None:
            return default_study(name, runs)
        known = known_studies(folder)
        if known:
            raise ConfigError(name, allowed="there is no such experiment", choices=known)
        absent = f"there is no such experiment in {folder.resolve()}"
        raise ConfigError(name, allowed=absent, hint="run gradreach in the project's folder")
    spec = importlib.util.spec_from_file_location(f"experiments.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ConfigError as error:
        raise ConfigError(path, allowed=str(error)) from None
    except Exception as error:
        why = f"{type(error).__name__}: {first_line(error)}"
        raise ConfigError(path, allowed=f"cannot be read ({why})", hint="fix or move the file") from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        hint = "write STUDY = Study(question=…), as docs/experiments.md shows"
        raise ConfigError(path, allowed="has no STUDY", hint=hint)
    return study
