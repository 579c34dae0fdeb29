"""The examples in docstrings: every public name of the diagnostics has one, and all of them are true."""

import doctest
import inspect
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from project import PROJECT

FACES: dict[str, tuple[str, ...] | None] = {
    "gradreach.diagnostics": None,
    "gradreach.watch": ("GradientReach", "Watcher", "reach_of", "watch"),
    "gradreach.kernels": ("accelerate",),
    "gradreach.models": ("Encoder", "SequenceModel", "build", "caveat", "output_length", "valid_steps"),
    "gradreach.models.leaky": ("LeakyCell",),
    "gradreach.tasks": (
        *("MQAR", "Adding", "Batch", "Batches", "CycleNavigation", "Digits", "EvenPairs", "ModularArithmetic"),
        *("Parity", "SelectiveCopy", "Shape", "Warping"),
    ),
    "gradreach.look.looks": ("look_of", "looks_of"),
    "gradreach.look.words": ("axis_label", "display_name", "model_of", "panel_title", "setting_name", "without_unit"),
    "gradreach.analysis.figures.labels": ("spread",),
    "gradreach.analysis.figures.panels": ("split",),
    "gradreach.published.computations.first_lstm": (
        *("Criterion", "adding", "first_lstm_adding", "first_lstm_order", "temporal_order"),
    ),
    "gradreach.published.computations.truncated_lstm": ("present",),
    "gradreach.run_table.load": ("load_runs",),
    "gradreach.tracking.replay": ("rows_of",),
    "gradreach.tracking.wandb_run": ("shortened",),
    "gradreach.analysis.stats.statistics": None,
    "gradreach.analysis.stats.draws": None,
    "gradreach.analysis.stats.by_example": ("accuracy_interval", "example_interval", "mcnemar"),
    "gradreach.analysis.stats.intervals": (
        "extent",
        "mean_interval",
        "share_difference_interval",
        "share_interval",
        "signed_rank_interval",
    ),
    "gradreach.analysis.stats.power": ("power", "seeds_needed", "smallest_found"),
    "gradreach.analysis.stats.verdict": ("as_aside",),
    "gradreach.analysis.study.comparison": ("compare",),
    "gradreach.analysis.study.contrast": ("contrast",),
    "gradreach.analysis.study.page_tables": ("how_found", "table"),
    "gradreach.analysis.study.parts": ("Threshold", "arithmetic"),
    "gradreach.analysis.study.room": ("no_room",),
    "gradreach.analysis.study.times": ("time_ratio",),
    "gradreach.analysis.study.value": ("share", "value"),
}
"""Modules, and which of their names have an example; None: every public function and class."""


def public(module: ModuleType) -> list[str]:
    """Return the functions and classes that a module offers."""
    offered = getattr(module, "__all__", None) or [
        name
        for name, found in vars(module).items()
        if not name.startswith("_") and getattr(found, "__module__", None) == module.__name__
    ]
    return [name for name in offered if inspect.isfunction(found := getattr(module, name)) or inspect.isclass(found)]


TUPLES = {"Estimate", "Interval", "Comparison", "Ranks"}
"""What functions that have an example give."""
CASES = [
    (face, name)
    for face, names in FACES.items()
    for name in (public(import_module(face)) if names is None else names)
    if name not in TUPLES
]


LIBRARIES = (
    "import math; import numpy as np; import pandas as pd; import torch; from pathlib import Path; from torch import nn"
)
"""What the examples take for granted, beside the public names of their own module, of the models and of the tasks."""


@cache
def known(face: str) -> dict[str, Any]:
    """Return the names that an example may use: those that the example of the module's own docstring sets are too."""
    names: dict[str, Any] = {}
    exec(LIBRARIES, names)
    for module in map(import_module, ("gradreach.models", "gradreach.tasks", face)):
        names |= {name: getattr(module, name) for name in public(module)}
    run(doctest.DocTestParser().get_doctest(import_module(face).__doc__ or "", names, face, None, 0), names)
    return names


def run(test: doctest.DocTest, names: dict[str, Any]) -> None:
    told: list[str] = []
    test.globs = names
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=told.append, clear_globs=False)
    assert not told, "".join(told)


@pytest.mark.parametrize(("face", "name"), CASES, ids=[name for _, name in CASES])
def test_an_example_is_true(face: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    offered = getattr(import_module(face), name)
    names = dict(known(face))
    example = doctest.DocTestParser().get_doctest(inspect.getdoc(offered) or "", names, name, None, 0)
    assert example.examples, f"{face}.{name} has no example"
    run(example, names)
