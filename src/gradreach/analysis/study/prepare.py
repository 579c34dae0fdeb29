"""The run table as a study sees it: named architectures, added columns, solved runs and chosen settings."""

import operator
from collections.abc import Callable, Mapping

import pandas as pd

from gradreach.analysis.column_words import Column, column_of
from gradreach.analysis.naming import named
from gradreach.analysis.order import in_order
from gradreach.analysis.stats.model_selection import choose
from gradreach.analysis.study.selection import swept
from gradreach.errors import ConfigError, suggest
from gradreach.run_table.columns import FACTS, architectures

Architecture = Mapping[str, str | Mapping[object, str]] | Callable[[pd.DataFrame], pd.Series]
ORDER = ("task", "architecture", "seq_len", "kernel_size")
CHOICE = "choice"
"""The column that separates the groups for which a setting is chosen."""


def prepare(
    runs: pd.DataFrame,
    architecture: Architecture,
    columns: Mapping[str, Column],
    solved: Mapping[str, float],
    setting: str,
) -> pd.DataFrame:
    """Return the run table with a study's additions, in the order that people expect.

    Raises:
        ConfigError: a function asks for a column that does not exist, or the setting was not part of any run.
    """
    runs = runs.assign(architecture=_names(runs, architecture))
    for name, column in columns.items():
        runs = _derived(runs, name, column)
    if solved:
        runs = runs.assign(solved=_solved(runs, solved))
    if setting:
        if setting not in runs:
            raise ConfigError("choose", setting, "no run has this setting", choices=[*map(str, runs)])
        others = [name for name in swept(runs) if name != setting]
        keys = [runs[name] for name in others]
        group = runs.groupby(keys, dropna=False, sort=False).ngroup() if others else 0
        runs = choose(runs.assign(**{CHOICE: group}), [CHOICE], setting)
    return in_order(runs, [*ORDER, *swept(runs), "seed"])


def _names(runs: pd.DataFrame, architecture: Architecture) -> pd.Series:
    if callable(architecture):
        return architecture(runs)
    if not architecture:
        return architectures(runs)
    forms = {name: form for name, form in architecture.items() if isinstance(form, str)}
    values = {name: form for name, form in architecture.items() if not isinstance(form, str)}
    said = {name: runs[name].map(forms_of) for name, forms_of in values.items() if name in runs}
    return named(runs.assign(**said), {name: forms.get(name, "{}") for name in architecture})


def _derived(runs: pd.DataFrame, name: str, column: Column) -> pd.DataFrame:
    """Add a column, unless it needs something that no run has measured yet."""
    assert column.compute is not None
    try:
        return runs.assign(**{name: column.compute(runs)})
    except KeyError as error:
        wanted = str(error.args[0]) if error.args else ""
        if "/" in wanted or wanted in FACTS:
            return runs
        hint = suggest(wanted, map(str, runs))
        raise ConfigError(f"derive {name}", allowed=f"there is no column {wanted}", hint=hint) from None


def _solved(runs: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.Series:
    """Return which runs have solved their task; a run without a number has not."""
    found = pd.Series(False, index=runs.index)
    for name, threshold in thresholds.items():
        column = column_of(name, {})
        if column.best is None:
            raise ConfigError(f"solved {name}", threshold, "must be an accuracy or an error, such as val/accuracy")
        if name in runs:
            reaches = operator.ge if column.best == "max" else operator.le
            found |= reaches(runs[name].astype(float) * column.scale, threshold) & (
                runs["metric"] == name.partition("/")[2]
            )
    return found
