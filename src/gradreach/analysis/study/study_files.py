"""Studies by the names of their sweeps: ``experiments/<name>.py``, or what every sweep is worth a page of."""

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gradreach.analysis.study.declaration import Shown, Study
from gradreach.analysis.study.page_figures import figure
from gradreach.analysis.study.page_tables import table
from gradreach.analysis.study.prepare import Architecture
from gradreach.analysis.study.selection import swept
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
        runs: what was run, if anything: a sweep without a study then has that which shows what there is.

    Raises:
        ConfigError: there is no such study and nothing was run, or its file cannot be used.
    """
    path = folder / f"{name}.py"
    if not path.is_file():
        if runs is not None:
            return default_study(name, runs)
        known = known_studies(folder)
        if known:
            raise ConfigError(name, allowed="there is no such experiment", choices=known)
        absent = f"there is no such experiment in {folder.resolve()}"
        raise ConfigError(name, allowed=absent, hint="call gradreach from the project's folder")
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
        raise ConfigError(path, allowed=f"cannot be read ({why})", hint="fix it, or move it away") from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        hint = "write STUDY = Study(question=…), as docs/experiments.md shows"
        raise ConfigError(path, allowed="has no STUDY", hint=hint)
    return study


def default_study(name: str, runs: pd.DataFrame) -> Study:
    """Return what every sweep is worth: accuracy, reach, and how both depend on the length."""
    settings = [key for key in swept(runs) if key not in ("task", "model", "seq_len", "kernel_size", "task.seq_len")]
    short = {key: key.rpartition(".")[2] for key in settings if key != "model.kernel_size"}
    names: Architecture = {"kernel_size": "k={:g}", **{key: f"{word}={{}}" for key, word in short.items()}}
    measured = [metric for metric in ("test/accuracy", "test/mse") if metric in runs and runs[metric].notna().any()]
    metric = (measured or ["test/accuracy"])[0]
    several = len(runs["task"].unique()) > 1
    rows = ("task", "architecture") if several else ("architecture",)
    reach = "gradient/end/x.reach"
    show: list[Shown] = [table(*(measured or [metric]), name="accuracy", rows=rows, columns="seq_len")]
    if reach in runs and runs[reach].notna().any():
        show += [table(reach, rows=rows, columns="seq_len"), figure("metric_against", measure=reach)]
    show.append(figure("metric_against", measure=metric))
    return Study(
        question=f"What came out of the sweep “{name}”?",
        about=f"There is no experiments/{name}.py that says what this sweep is to show: here is what every sweep has.",
        architecture=names,
        show=show,
    )
