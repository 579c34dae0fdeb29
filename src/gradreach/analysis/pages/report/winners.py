"""Who wins: for each task, the study that compares most models with one protocol, and their scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradreach.analysis.column_words import Column, column_of
from gradreach.analysis.naming import plain
from gradreach.analysis.results import Results, numbers
from gradreach.analysis.stats.draws import draws
from gradreach.analysis.stats.model_selection import choose
from gradreach.analysis.stats.statistics import LEVEL, estimate, holm
from gradreach.analysis.study.judging import PILOTS
from gradreach.analysis.study.selection import swept
from gradreach.analysis.tables.aggregation import compare_runs
from gradreach.analysis.tables.layout import View
from gradreach.analysis.tables.specification import Table
from gradreach.look import display_name
from gradreach.rounding import with_interval
from gradreach.run_table.committed import CONFIRMATORY

VARIANT = "variant"
UNDECIDED = f"{PILOTS}: not decided"
"""The finding if only pilots ran: nobody is ahead."""
PROTOCOL = ("task.", "seq_len", "trainer.epochs", "trainer.batch_size")
"""Prefixes of settings that must be the same for all models of a contest."""


@dataclass(frozen=True)
class Entry:
    """One model of a contest: its mean, the interval of it, which variant that is, and how large."""

    text: str
    interval: str
    variant: str
    tip: str
    best: bool = False


@dataclass(frozen=True)
class Contest:
    """What several models score at one task, by one protocol.

    - ``task``, ``study``: which, and whose runs they are.
    - ``where``: the settings of the task that the study sweeps, in words.
    - ``score``: what is measured, with its unit.
    - ``entries``: by model.
    - ``seeds``: the fewest that a mean rests on.
    - ``weight``: by how much the contest says more than another of the same task.
    - ``finding``: who wins, or who ties.
    """

    task: str
    study: str
    where: str
    score: str
    entries: dict[str, Entry]
    seeds: int
    weight: tuple[float, ...]
    finding: str


def scores(views: Sequence[View]) -> bool:
    """Return whether a study compares test scores at all: one that calibrates the instrument trains for no score."""
    tables = [view.table for view in views if isinstance(view.table, Table)]
    return any(measure.metric.startswith("test/") for table in tables for measure in table.measures)


def contests(name: str, results: Results) -> list[Contest]:
    """Return the contests of a study: models that were trained on the same data for as long.

    Args:
        name: of the study.
        results: of the runs whose settings were chosen.
    """
    runs = results.runs
    trained = runs[pd.to_numeric(runs["trainer.epochs"]) > 0] if "trainer.epochs" in runs else runs
    if trained.empty or "metric" not in trained:
        return []
    known = trained.groupby("task")["metric"].transform("first")  # runs that have not finished do not say
    found = []
    for task, group in trained.assign(metric=known).groupby("task", sort=False):
        varied = [key for key in swept(group) if key not in ("task", "task.seq_len")]
        keys = [key for key in varied if key.startswith(PROTOCOL)]
        others = [key for key in varied if key not in (*keys, "model")]
        for place, runs in group.groupby(keys, sort=False, dropna=False) if keys else [((), group)]:
            where = (
                f"{key.rpartition('.')[2]} {plain(value)}"
                for key, value in zip(keys, place, strict=True)
                if plain(value) != plain(None)
            )
            found.append(_contest(name, runs, str(task), ", ".join(where), others))
    return [each for each in found if len(each.entries) > 1]


def _contest(name: str, runs: pd.DataFrame, task: str, where: str, others: Sequence[str]) -> Contest:
    metric = str(runs["metric"].iloc[0])
    column = column_of(f"test/{metric}", {})
    variant = runs.groupby(list(others), dropna=False, sort=False).ngroup() if others else 0
    chosen = choose(runs.assign(**{VARIANT: variant}), ["model"], VARIANT)
    values: dict[str, pd.Series] = {}
    told: dict[str, tuple[str, str, str, str]] = {}
    for model, group in chosen[chosen["chosen"]].groupby("model", sort=True):
        finished = group[group["status"] == "finished"]
        drawn = draws(pd.Series(numbers(finished, f"test/{metric}") * column.scale, finished.index), finished["seed"])
        if not drawn.notna().any():
            continue
        values[str(model)] = drawn
        told[str(model)] = *_text(drawn, column, group["seed"].nunique()), _variant(str(model), group), _tip(group)
    best, tied, tested = ranking(values, column)
    pilots = bool((runs["seed"] < CONFIRMATORY).all())
    entries = {model: Entry(*told[model], best=model == best and not (tied or pilots)) for model in values}
    seeds = min((int(each.notna().sum()) for each in values.values()), default=0)
    sizes = (_largest(runs, key) for key in ("seq_len", "task.train_size"))
    weight = (float(tested), float(len(entries)), float(seeds), *sizes)
    return Contest(
        task, name, where, column.label, entries, seeds, weight, UNDECIDED if pilots else _finding(best, tied, tested)
    )


def _largest(runs: pd.DataFrame, key: str) -> float:
    return float(np.nan_to_num(numbers(runs, key)).max(initial=0.0)) if key in runs else 0.0


def ranking(values: dict[str, pd.Series], column: Column) -> tuple[str, list[str], bool]:
    """Return the model best by its mean, those that do not differ significantly from it, and whether any was tested."""
    if not values:
        return "", [], False
    sign = -1 if column.best == "min" else 1
    best = max(values, key=lambda model: sign * float(np.nanmean(values[model])))
    others = [model for model in values if model != best]
    tests = [compare_runs(values[best], values[other], len(others)) for other in others]
    p = holm([test.p for test in tests])
    tied = [other for other, each in zip(others, p, strict=True) if not each < LEVEL]
    return best, tied, any(not math.isnan(each) for each in p)


def _finding(best: str, tied: Sequence[str], tested: bool) -> str:
    if not tested:
        return "too few seeds for a test"
    if not tied:
        return f"{display_name(best)}, ahead of the others here"
    return f"no significant difference: {', '.join(map(display_name, [best, *tied]))}"


def _text(drawn: pd.Series, column: Column, planned: int) -> tuple[str, str]:
    found = estimate(drawn.to_numpy())
    low, high = found.mean - found.half_width, found.mean + found.half_width
    value, _, ends = with_interval(found.mean, low, high, limits=column.limits, brackets=True).partition(" ")
    lacking = f"({found.n}/{planned})" if found.n < planned else ""
    return value, " ".join(filter(None, (ends, lacking)))


def _variant(model: str, group: pd.DataFrame) -> str:
    """Return which variant it is, where that is not the model as it comes."""
    names = [display_name(str(name)) for name in dict.fromkeys(group["architecture"])]
    return "" if names == [display_name(model)] else ", ".join(names)


def _tip(group: pd.DataFrame) -> str:
    largest = group["parameters"].max() if "parameters" in group else math.nan
    return "" if pd.isna(largest) else f"{int(largest):,} parameters"


def most_telling(found: Sequence[Contest]) -> list[Contest]:
    """Return one contest a task: one with a test, of most models, most seeds, the longest sequences, the most data."""
    best: dict[str, Contest] = {}
    for contest in sorted(found, key=lambda each: (each.study, each.where)):
        if contest.task not in best or contest.weight > best[contest.task].weight:
            best[contest.task] = contest
    return [best[task] for task in sorted(best)]
