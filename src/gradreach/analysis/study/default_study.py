"""What a sweep without ``experiments/<name>.py`` shows: its axes, and the results along them."""

import pandas as pd

from gradreach.analysis.naming import plain
from gradreach.analysis.order import in_order
from gradreach.analysis.study.asked import file_stem
from gradreach.analysis.study.declaration import Shown, Study
from gradreach.analysis.study.page_figures import figure
from gradreach.analysis.study.page_tables import table
from gradreach.analysis.study.prepare import Architecture
from gradreach.analysis.study.selection import listed, swept
from gradreach.run_table.lengths import SETTING as LENGTHS
from gradreach.run_table.lengths import TEST_LENGTH

AXES = ("task", "model", "seq_len", "kernel_size")
TWICE = ("task.seq_len", "model.kernel_size", "trainer.kernels")
"""Settings that the axes tell already, or that follow from the model."""
REACH = "gradient/end/x.reach"
SHOWN = 12
"""Up to this many values of an axis are listed."""


def default_study(name: str, runs: pd.DataFrame) -> Study:
    """Return the default study of a sweep: its axes, and a table and a figure of each metric and of the reach."""
    axes = axes_of(runs)
    numeric = [key for key in axes if key not in ("task", "model", "seed") and _has_places(runs[key])]
    x = next(iter(numeric), None)
    settings = {key: f"{key.rpartition('.')[2]}={{}}" for key in axes if key not in (*AXES, "seed", x)}
    names: Architecture = {**({} if x == "kernel_size" else {"kernel_size": "k={:g}"}), **settings}
    rows = ("task", "architecture") if "task" in axes else ("architecture",)
    columns = () if x is None else (x,)
    show: list[Shown] = []
    for metric in metrics_of(runs):
        of_metric = runs.loc[runs[metric].notna(), "task"].unique().tolist() if metric in runs else []
        where = {"task": of_metric} if of_metric and set(of_metric) != set(runs["task"]) else {}
        show.append(table(metric, rows=rows, columns=columns, where=where))
        show.append(
            figure("dots", measure=metric, where=where)
            if x is None
            else figure("metric_against", measure=metric, x=x, where=where)
        )
        if LENGTHS in runs and runs[LENGTHS].notna().any():
            show.append(
                table(metric, name=f"{file_stem(metric)}_by_length", rows=rows, columns=TEST_LENGTH, where=where)
            )
            show.append(
                figure(
                    "metric_against", name=f"{file_stem(metric)}_by_length", measure=metric, x=TEST_LENGTH, where=where
                )
            )
    return Study(
        question=f"What came out of the sweep “{name}”?",
        about=f"No experiments/{name}.py says what this sweep is for, so this page shows what every sweep has. "
        f"Swept: {'; '.join(f'{key} {_values(runs, key)}' for key in axes) or 'nothing'}.",
        architecture=names,
        show=show,
    )


def axes_of(runs: pd.DataFrame) -> list[str]:
    """Return the settings that were swept, the seed among them.

    Settings that only follow from model or task do not count: an LSTM has no kernel size, a CNN no forget bias.
    """
    own = [key for key in swept(runs) if key not in TWICE]
    alike = runs.groupby(["task", "model"], dropna=False)
    found = [key for key in own if key in AXES[:2] or alike[key].nunique(dropna=False).max() > 1]
    return [*found, *(["seed"] if len(runs["seed"].unique()) > 1 else [])]


def metrics_of(runs: pd.DataFrame) -> list[str]:
    """Return what was measured on the test split, and the reach of the gradient, as far as it exists."""
    there = [key for key in ("test/accuracy", "test/mse", REACH) if key in runs and runs[key].notna().any()]
    return there or ["test/accuracy"]


def _has_places(values: pd.Series) -> bool:
    """Return whether a numeric axis has more than one value."""
    known = values.dropna()
    return bool(pd.api.types.is_numeric_dtype(values)) and values.dtype != "boolean" and len(known.unique()) > 1


def _values(runs: pd.DataFrame, key: str) -> str:
    values = in_order(runs[[key]].drop_duplicates(), [key])[key].map(plain).tolist()
    return listed(values) if len(values) <= SHOWN else f"{values[0]} to {values[-1]} ({len(values)} values)"
