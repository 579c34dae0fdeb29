"""The results of each cell: the values of its seeds, from runs or from draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.config.published import Cell
from gradreach.errors import ConfigError
from gradreach.published.draws import draws_file, draws_of, read_draws, seeds_of
from gradreach.published.outcomes import Measured, Outcome, judge
from gradreach.published.papers import Redone
from gradreach.run_table.columns import as_frame, frame_of, planned_row
from gradreach.run_table.committed import read_runs, rows_of, run_table
from gradreach.run_table.join import join
from gradreach.run_table.lengths import SETTING, lengths_in
from gradreach.run_table.load import recorded
from gradreach.run_table.sources import local

LOST = ("diverged", "failed")


@dataclass(frozen=True)
class Found:
    """A paper and what was found.

    - ``runs``: all runs of its cells, finished or not; None if none was ever planned.
    - ``draws``: its draws, one row a number.
    - ``outcomes``: of each cell, in the order of the file.
    - ``trials``: of each trial, the same.
    """

    redone: Redone
    runs: pd.DataFrame | None
    draws: pd.DataFrame
    outcomes: Mapping[str, Outcome]
    trials: Mapping[str, Outcome]


def find(redone: Redone, results_dir: Path) -> Found:
    """Return a paper's cells with their results so far.

    Raises:
        ConfigError: a table was changed by hand; or a cell needs a metric that its finished runs lack.
    """
    runs, draws = runs_of(redone, results_dir), read_draws(draws_file(results_dir, redone.name))
    outcomes = {
        name: judge(cell, _measured(redone, name, cell, runs, draws)) for name, cell in redone.paper.asked().items()
    }
    trials = {name: outcomes.pop(name) for name in redone.paper.trials}
    return Found(redone, runs, draws, outcomes, trials)


def runs_of(redone: Redone, results_dir: Path) -> pd.DataFrame | None:
    """Return one row a run of all parts: raw records first, then what is committed.

    For a part with some raw records, committed rows count if the same code made them, as everywhere; parts are
    independent, since the cells of a paper are run by many versions of the code.
    """
    folder = results_dir / "published"
    path = run_table(folder, redone.name)
    if not redone.paper.trains or not path.is_file():
        return None
    planned = {run.run_id: run for runs in redone.runs.values() for run in runs}
    raw = {str(row["run_id"]): row for row in rows_of(frame_of(recorded(local(folder), list(planned))))}
    committed = read_runs(path)
    known: dict[str, Mapping[str, Any]] = dict(raw)
    for part, runs in redone.runs.items():
        own = {run.run_id for run in runs}
        rows = committed[committed["run_id"].isin(own - raw.keys())]
        if codes := {raw[run_id]["code"] for run_id in own & raw.keys()}:
            rows = rows[join(rows, codes, f"{redone.name} {part}")]
        known |= {str(row["run_id"]): row for row in rows_of(rows)}
    return as_frame(known.get(run_id) or planned_row(run.canonical(), run_id) for run_id, run in planned.items())


def _measured(redone: Redone, name: str, cell: Cell, runs: pd.DataFrame | None, draws: pd.DataFrame) -> Measured:
    if not cell.planned:
        return Measured()
    part = redone.paper.part_of(name)
    if part in redone.paper.compute:
        return _of_draws(redone, name, cell, part, draws)
    if runs is None:
        return Measured()
    return _of_runs(name, cell, runs[runs["run_id"].isin([run.run_id for run in redone.runs[part]])])


def _of_draws(redone: Redone, name: str, cell: Cell, part: str, draws: pd.DataFrame) -> Measured:
    computation, table = redone.paper.compute[part], draws_of(redone, draws, part)
    if table.empty:
        return Measured(planned=computation.draws)
    if cell.metric not in table:
        raise ConfigError(
            f"published.cells.{name}.metric", cell.metric, "no such quantity", choices=[str(column) for column in table]
        )
    values = table[cell.metric].astype(float)
    given = [cell.ours(float(value)) for value in values.dropna()]
    lost = int(values.isna().sum())
    return Measured(given, len(seeds_of(computation)), lost, computation.draws == 1, "came to no value")


def _of_runs(name: str, cell: Cell, runs: pd.DataFrame) -> Measured:
    """Return the mean of each seed; a seed with missing runs does not count yet."""
    values, lost = [], 0
    for _, some in runs.groupby("seed"):
        if some["status"].isin(LOST).any():
            lost += 1
        elif (some["status"] == "finished").all():
            columns = _columns(some, cell.metric)
            if not columns or some[columns].isna().any(axis=None):
                choices = [str(column) for column in some if some[column].notna().all() and "/" in str(column)]
                raise ConfigError(
                    f"published.cells.{name}.metric", cell.metric, "its runs do not have this metric", "", choices
                )
            values.append(cell.ours(float(some[columns].to_numpy(float).mean())))
    return Measured(values, int(runs["seed"].nunique()), lost)


def _columns(runs: pd.DataFrame, metric: str) -> list[str]:
    """Return the columns of a metric; of ``test/accuracy/*`` those of all test lengths."""
    if not metric.endswith("/*"):
        return [metric] if metric in runs else []
    lengths = lengths_in(runs[SETTING].iloc[0]) if SETTING in runs else ()
    names = [f"{metric.removesuffix('*')}{length}" for length in lengths]
    return names if set(names) <= set(runs) else []
