"""``gradreach decide``: what pilots say about a plan, before the deciding seeds are run."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.power import MOST, resampled, seeds_needed, smallest_found
from gradreach.analysis.stats.statistics import Interval, finite
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.comparison import Comparison
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.judging import looks_at
from gradreach.analysis.study.looks import Looks
from gradreach.analysis.study.parts import Part, Threshold, leaves_of
from gradreach.analysis.study.planned_rule import seeds_of
from gradreach.analysis.study.selection import in_words
from gradreach.analysis.study.study_files import known_studies, load_study
from gradreach.analysis.study.value import Value
from gradreach.errors import ConfigError
from gradreach.rounding import number
from gradreach.run_table.columns import MISSING
from gradreach.run_table.committed import CONFIRMATORY, run_table
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_examples

READING = (
    "Seeds needed: with this many, the part comes out as the pilots point, with a probability of 80 % at its last "
    "look, if deciding runs are like them. Planned: seeds of this part, which may be fewer than the sweep's. "
    "Supported from, refuted from: the true values nearest to the threshold that these seeds detect with that "
    "probability (of “within”, the largest that still is). By simulation: means from a normal distribution with "
    "the pilots' mean and spread; signed ranks by resampling pilots, smoothed, if there are six, otherwise from a "
    "normal distribution, as the table says; differences of shares from two independent sides, the second with "
    "the pilots' share. With few pilots all of it is rough."
)


def study_of(claim: str, experiments_dir: Path) -> tuple[str, Study]:
    """Return the study with this name, or with a claim of this number.

    Raises:
        ConfigError: there is none, or it makes no claim.
    """
    names = known_studies(experiments_dir)
    if claim in names:
        found = claim, load_study(claim, experiments_dir)
    else:
        studies = {name: load_study(name, experiments_dir) for name in names}
        ids = {study.claim.id: (name, study) for name, study in studies.items() if study.claim and study.claim.id}
        if claim not in ids:
            raise ConfigError(claim, allowed="there is no such claim or experiment", choices=[*ids, *names])
        found = ids[claim]
    if found[1].claim is None:
        raise ConfigError(claim, allowed="it makes no claim, so there is nothing to decide")
    return found


def decide(
    claim: str, results_dir: Path, experiments_dir: Path, plan: Callable[[str], pd.DataFrame]
) -> tuple[str, Looks, pd.DataFrame]:
    """State for every part how many seeds it needs, and what the planned ones can detect.

    Args:
        claim: its number, or the name of its experiment.
        results_dir: where the run table with the pilots is.
        experiments_dir: where studies are.
        plan: returns the runs that an experiment plans, a row each, see ``planned_row``.

    Returns:
        The experiment's name, the looks that are planned, and a row for each part that rests on runs.

    Raises:
        ConfigError: there is no such claim, or there are no pilots of it.
    """
    name, study = study_of(claim, experiments_dir)
    if not run_table(results_dir, name).exists():
        raise ConfigError(name, allowed="no runs yet", hint=f"python run.py -m experiment={name} seed=0,1,2,3,4,5")
    runs = load_runs(name, results_dir)
    pilots = runs[(runs["seed"] < CONFIRMATORY) & (runs["status"] != MISSING)]
    if pilots.empty:
        hint = f"python run.py -m experiment={name} seed=0,1,2,3,4,5"
        raise ConfigError(name, allowed=f"no run has a seed below {CONFIRMATORY}", hint=hint)
    prepared = study.prepare(pilots)
    by_example = partial(load_examples, study.by_example(prepared), name, results_dir)
    results = Results(prepared, read_examples=by_example, derived=study.columns)
    planned = Results(study.prepare(plan(name)), derived=study.columns)
    planned = planned.where(planned.runs["seed"] >= CONFIRMATORY)
    numbers = study.looks or [planned.runs["seed"].nunique() or pilots["seed"].nunique()]
    looks = looks_at(study, results, list(range(CONFIRMATORY, CONFIRMATORY + numbers[-1])))
    chosen = study.of_chosen(results).at(looks.level)
    return name, looks, pd.DataFrame(_rows(study, chosen, looks, planned))


def _rows(study: Study, results: Results, looks: Looks, planned: Results) -> Iterator[dict[str, Any]]:
    for title, part in leaves_of(study.parts).items():
        if not isinstance(part, Part):
            continue
        for place, quantity in part.quantity.split(results) or [({}, part.quantity)]:
            name = f"{title}, {in_words(place)}" if place else title
            own = len(seeds_of(quantity, planned)) or len(looks.seeds[-1])
            yield _row(name, Part(quantity, part.threshold), results, looks, own)


def _row(name: str, part: Part, results: Results, looks: Looks, planned: int) -> dict[str, Any]:
    quantity, threshold = part.quantity, part.threshold
    effect = quantity.of(results, name, threshold)
    row = {"part": name, "threshold": threshold, "test": effect.test, "pilots": effect.n}
    row["pilots say"] = threshold.judge(effect)[0] if effect.n else "nothing"
    row["planned"] = planned
    nothing = {"seeds needed": "", "supported from": "", "refuted from": "", "drawn": ""}
    if not isinstance(quantity, Value | Comparison):
        return row | nothing | {"seeds needed": "not known: a function"}
    if quantity.outcome == "rounds":
        return row | nothing | {"seeds needed": "none: gradreach time"}
    draws = quantity.scaled(quantity.draws(results, name))
    if len(draws) < 2:
        why = "no pilot runs" if len(draws) == 0 else "one pilot alone"
        return row | nothing | {"seeds needed": f"not known: {why}"}
    if not quantity.outcome.startswith("share") and (len(known := finite(draws)) < 2 or float(known.std()) == 0):
        return row | nothing | {"seeds needed": "not known: pilots that do not differ"}

    def comes_out(state: str) -> Callable[[Interval], bool]:
        return lambda found: threshold.judge(Effect("", *quantity.shown(found), level=looks.level))[0] == state

    rng = np.random.default_rng(0)
    pointed = _pointed(threshold, effect.value)
    needed = seeds_needed(quantity.outcome, draws, looks.level, comes_out(pointed), rng)
    row["seeds needed"] = f"{f'more than {MOST}' if needed is None else needed}, to be {pointed}"
    for state, (near, far) in _searched(quantity, threshold, effect.value, results).items():
        truth = smallest_found(
            quantity.outcome, draws, looks.level, comes_out(state), planned, rng,
            threshold=near, furthest=far, reference=_reference(quantity, results),
        )  # fmt: skip
        shown = math.nan if truth is None else quantity.shown(Interval(truth, truth, truth, 0)).value
        row[f"{state} from"] = "nothing" if truth is None else number(shown, ".3g")
    return row | {"drawn": "resampled" if resampled(quantity.outcome, draws) else _DRAWN.get(quantity.outcome, "")}


_DRAWN = {"mean": "normal", "ranks": "normal", "share": "binomial", "share difference": "two sides", "examples": "both"}
"""The distribution from which sweeps are simulated, by outcome class."""


def _pointed(threshold: Threshold, value: float) -> str:
    """Return what a part would be if the truth were that value."""
    at = threshold.at
    holds = {"above": value > at, "below": value < at, "within": abs(value) < at}[threshold.kind]
    return "supported" if holds else "refuted"


def _searched(
    quantity: Value | Comparison, threshold: Threshold, value: float, results: Results
) -> dict[str, tuple[float, float]]:
    """Return from where to where truths are searched that make a part come out so; of “within” on the pilots' side."""
    low, high = _limits(quantity, results)
    if threshold.kind == "within" and not (isinstance(quantity, Comparison) and quantity.ratio):
        upper = value >= 0
        at, none = _inner(quantity, threshold.at if upper else -threshold.at), 0.0
        return {"supported": (at, none), "refuted": (at, high if upper else low)}
    at = _inner(quantity, threshold.at)
    above = threshold.kind == "above"
    return {"supported": (at, high if above else low), "refuted": (at, low if above else high)}


def _reference(quantity: Value | Comparison, results: Results) -> float:
    """Return the pilots' share of the side that is subtracted; one half where there is none."""
    if quantity.outcome != "share difference" or not isinstance(quantity, Comparison):
        return 0.5
    found = quantity.reference(results) / OUTCOMES[quantity.outcome].scale
    return 0.5 if math.isnan(found) else found


def _inner(quantity: Value | Comparison, threshold: float) -> float:
    """Return a threshold in the numbers that the outcome class counts."""
    if isinstance(quantity, Comparison) and quantity.ratio:
        return math.log(threshold)
    return threshold / OUTCOMES[quantity.outcome].scale


def _limits(quantity: Value | Comparison, results: Results) -> tuple[float, float]:
    """Return the least and the greatest truth there can be, in the same numbers."""
    low, high = results.column(quantity.metric).limits
    if isinstance(quantity, Comparison):
        low, high = (-math.inf, math.inf) if quantity.ratio else (low - high, high - low)
    scale = OUTCOMES[quantity.outcome].scale
    return low / scale, high / scale
