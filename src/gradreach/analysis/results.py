"""The input of tables, figures and rules."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.column_words import Column, column_of
from gradreach.errors import ConfigError, suggest
from gradreach.records import SETTLED
from gradreach.run_table.columns import MISSING
from gradreach.run_table.lengths import TEST_LENGTH, by_test_length
from gradreach.run_table.profiles import curves_of
from gradreach.run_table.times import COLUMNS

Where = Mapping[str, Any]
"""Selects runs: a value, or a list of values, for columns of the run table; None means no value.

``test_length`` is one of these columns where runs have ``task.test_lengths``: see ``by_test_length``.
"""

PENDING = (MISSING, "running", "interrupted")
"""Statuses of runs that have not ended."""

LONG = ("profiles", "history", "decoding", "examples")
"""Tables beside the run table."""


def _nothing() -> pd.DataFrame:
    return pd.DataFrame()


def _no_times() -> pd.DataFrame:
    return pd.DataFrame(columns=list(COLUMNS))


@dataclass(frozen=True)
class Results:
    """The runs of an experiment and their measurements; docs/results.md explains every column.

    - ``runs``: one row per planned run, finished or not; ``architecture`` names what differs between models.
    - ``read_profiles``, ``read_history``, ``read_decoding``, ``read_examples``: called when these tables are first
      asked for, which is never where no table, figure or rule needs them. What was asked for is committed beside the
      results.
    - ``read_curves``: returns ``curves``; without it they are taken from the profiles.
    - ``derived``: how to show columns that a study has added.
    - ``times``: measured by ``gradreach time``, one row per network and round; empty if it was not run.
    - ``name``: of the experiment.
    - ``level``: α, the error level of a part's interval.

    Made-up results, for a test:

    >>> results = Results(pd.DataFrame({"model": ["rnn", "lstm"], "status": "finished", "seed": 0}))
    >>> results.where({"model": "lstm"}).runs["model"].tolist()
    ['lstm']
    """

    runs: pd.DataFrame
    read_profiles: Callable[[], pd.DataFrame] = _nothing
    read_history: Callable[[], pd.DataFrame] = _nothing
    read_decoding: Callable[[], pd.DataFrame] = _nothing
    read_examples: Callable[[], pd.DataFrame] = _nothing
    derived: Mapping[str, Column] = field(default_factory=dict)
    read_curves: Callable[[str], pd.DataFrame] | None = None
    level: float = 0.05
    times: pd.DataFrame = field(default_factory=_no_times)
    name: str = ""

    def where(self, meant: Where | pd.Series) -> "Results":
        """Return the results of some of the runs; they share the long tables, which are read once.

        Args:
            meant: a value, or a list of values, for columns of the run table; or a mask, which may be of more runs.
        """
        if isinstance(meant, pd.Series):
            return self.reordered(self.runs[meant.reindex(self.runs.index, fill_value=False).astype(bool)])
        return self.reordered(selected(self.along(meant).runs, meant))

    def along(self, keys: Iterable[str]) -> "Results":
        """Return the results with one row per run and test length if ``test_length`` is among the keys."""
        if TEST_LENGTH not in keys or TEST_LENGTH in self.runs:
            return self
        return self.reordered(by_test_length(self.runs))

    def reordered(self, runs: pd.DataFrame) -> "Results":
        """Return the results with these rows of ``runs``, in their order."""
        read = (lambda: self.profiles, lambda: self.history, lambda: self.decoding, lambda: self.examples)
        return Results(runs, *read, self.derived, self.curves, self.level, self.times, self.name)

    def at(self, level: float) -> "Results":
        """Return the same results, with intervals at another level."""
        return replace(self.reordered(self.runs), level=level)

    def column(self, name: str) -> Column:
        """Return how a column is shown: its name, unit and digits."""
        return column_of(name, self.derived)

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """The gradient profiles, one row for each run, stage, layer, direction, quantity and lag."""
        return self.read_profiles()

    def curves(self, quantity: str) -> pd.DataFrame:
        """Return the part of the profiles that figures show, see ``curves_of``; all of them may take gigabytes."""
        if self.read_curves is None or "profiles" in vars(self):
            return curves_of(self.profiles, quantity)
        if quantity not in self._curves:
            self._curves[quantity] = self.read_curves(quantity)
        return self._curves[quantity]

    @cached_property
    def _curves(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def history(self) -> pd.DataFrame:
        """The figures of every epoch: ``run_id``, ``epoch``, and a column for each figure."""
        return self.read_history()

    @cached_property
    def decoding(self) -> pd.DataFrame:
        """Linear decoding of states, one row per run, stage, layer, part, position and decoded quantity."""
        return self.read_decoding()

    @cached_property
    def examples(self) -> pd.DataFrame:
        """Which examples of the test each run got right, one row a run, see ``load_examples``."""
        return self.read_examples()

    @property
    def finished(self) -> pd.DataFrame:
        """The rows of ``runs`` that finished."""
        return self.runs[self.runs["status"] == "finished"]

    @property
    def to_do(self) -> int:
        """How many runs have not ended; a failed run says nothing and has to be repeated."""
        return int(self.runs["status"].isin((*PENDING, "failed")).sum())

    @property
    def ended(self) -> pd.DataFrame:
        """The rows of ``runs`` that finished or diverged: a diverged run counts as the worst possible."""
        return self.runs[self.runs["status"].isin(SETTLED)]

    def asked(self, table: str) -> bool:
        """Return whether a table of ``LONG`` was asked for; that of examples may hold nothing, in older runs."""
        if table == "examples":
            return table in vars(self) and not self.examples.empty
        return table in vars(self) or (table == "profiles" and "_curves" in vars(self))


def has(runs: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of the run table.

    Raises:
        ConfigError: no run has it; the message lists those that exist.
    """
    if column not in runs or (column.count("/") and runs[column].isna().all()):
        known = [str(name) for name in runs if ("/" in str(name)) == ("/" in column) and runs[name].notna().any()]
        raise ConfigError(column, allowed="no run has this column", choices=known)
    return runs[column]


def selected(runs: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the runs selected by ``where``, of any status: a value, or a list of values, for columns.

    Raises:
        ConfigError: there is no such column; the message suggests one.
    """
    mask = pd.Series(True, index=runs.index)
    for column, value in where.items():
        if column not in runs:
            raise ConfigError(f"where {column}", value, "there is no such column", suggest(column, map(str, runs)))
        values = list(value) if isinstance(value, list | tuple | set | range) else [value]
        found = runs[column].isin([each for each in values if each is not None])
        mask &= found | runs[column].isna() if None in values else found
    return runs[mask]


def numbers(runs: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as floats, NaN where there is no value, or no such column."""
    if column not in runs:
        return np.full(len(runs), math.nan)
    return runs[column].to_numpy(dtype=float, na_value=math.nan)
