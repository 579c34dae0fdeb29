"""``gradreach time``: measures the networks whose speed a claim compares, side by side, and writes ``times.csv``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gradreach.analysis.results import Results
from gradreach.analysis.study.parts import Part, leaves_of
from gradreach.analysis.study.study_files import load_study
from gradreach.analysis.study.times import TimeRatio
from gradreach.compose import quoted
from gradreach.config import RunConfig, RunEnvironment
from gradreach.errors import ConfigError
from gradreach.run_table.columns import as_frame, planned_row
from gradreach.run_table.times import DIRECTIONS, step_settings, times_table, write_times
from gradreach.sweeps.status import planned
from gradreach.system import machine
from gradreach.system.provenance import host
from gradreach.training.timing import FEWEST, prepare_steps, time_steps

Runs = dict[str, tuple[RunConfig, RunEnvironment]]


def to_time(name: str, conf_dir: Path, experiments_dir: Path, **places: Path | None) -> tuple[Path, Runs]:
    """Return the networks whose speed a study's claim compares.

    Args:
        name: of the sweep.
        conf_dir: where it is configured.
        experiments_dir: where studies are.
        places: ``results_dir`` and ``data_dir`` in place of the configuration's.

    Returns:
        Where times are written, and the runs by what decides how long a step takes; those that are compared stand
        beside each other.

    Raises:
        ConfigError: there is no such experiment, or its claim compares no times.
    """
    jobs = planned([name, *(f"{key}={quoted(path)}" for key, path in places.items() if path is not None)], conf_dir)
    environment = jobs[0].environment
    assert environment.experiment is not None
    study = load_study(environment.experiment, experiments_dir)
    by_id = {job.run_id: (job.run, job.environment) for job in jobs}
    frame = as_frame(planned_row(run.canonical(), run_id) for run_id, (run, _) in by_id.items())
    results = study.of_chosen(Results(study.prepare(frame), derived=study.columns))
    found: Runs = {}
    for title, part in leaves_of(study.parts).items():
        if not isinstance(part, Part) or not isinstance(part.quantity, TimeRatio):
            continue
        for _, quantity in part.quantity.split(results) or [({}, part.quantity)]:
            assert isinstance(quantity, TimeRatio)
            sides = quantity.timed(results, f"part “{title}”")
            if all(len(side) for side in sides):
                for side in sides:
                    found.setdefault(step_settings(side.iloc[:1]).iloc[0], by_id[side["run_id"].iloc[0]])
    if not found:
        hint = "give its claim a part time_ratio(a, b), and its sweep runs of both"
        raise ConfigError(name, allowed="compares no times", hint=hint)
    return times_table(environment.results_dir, environment.experiment), found


def measure(
    path: Path, runs: Runs, rounds: int, seconds: float, tell: Callable[[int], Any] = lambda done: None
) -> pd.DataFrame:
    """Time runs in turn, in one thread; nothing is written before all are measured.

    Args:
        path: where to.
        runs: by their settings, as ``to_time`` gives them.
        rounds: how often each has its turn.
        seconds: after this many no new round begins.
        tell: called after each round with the number of rounds.

    Returns:
        What was written.

    Raises:
        ConfigError: there are too few rounds for a test, or data are missing.
    """
    if rounds < FEWEST:
        raise ConfigError("--rounds", rounds, f"cannot decide anything; at least {FEWEST} are needed")
    with machine.training(1, compiled=True):
        rows = time_steps(prepare_steps(runs), rounds, seconds, tell)
    facts: dict[str, Any] = {
        "threads": 1,
        "device": "cpu",
        "processor": host()["cpu"] or "",
        "torch": torch.__version__,
    }
    times = pd.DataFrame(rows).assign(**facts)
    write_times(path, times)
    return times


def medians(times: pd.DataFrame) -> pd.DataFrame:
    """Return milliseconds of the processor a step, the median over rounds and their range, a row a network.

    Of settings those are told that not all have.
    """
    common = set.intersection(*({*str(setting).split()} for setting in times["setting"].unique()))
    rows = []
    for (setting, backend), some in times.groupby(["setting", "kernels"], sort=False):
        own = " ".join(word for word in str(setting).split() if word not in common)
        row: dict[str, Any] = {"setting": own, "kernels": backend}
        for direction in DIRECTIONS:
            spent = 1000 * some[f"{direction}_cpu"]
            row[f"{direction}, ms"] = f"{spent.median():.2f} ({spent.min():.2f} to {spent.max():.2f})"
        rows.append({**row, "rounds": len(some)})
    return pd.DataFrame(rows)
