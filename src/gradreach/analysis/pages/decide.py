"""``gradreach decide``: what pilots say of a plan, before the seeds that decide are run."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.stats.power import MOST, seeds_needed, smallest_found
from gradreach.analysis.stats.statistics import Interval
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.comparison import Comparison
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.judging import looks_at
from gradreach.analysis.study.looks import Looks
from gradreach.analysis.study.parts import Part, leaves_of
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
    "Seeds needed: with so many, the part is decided with a probability of 80 % at its last look if runs that decide "
    "are like the pilots. Planned: seeds of this part, which may be fewer than the sweep's. Smallest found: the truth "
    "nearest to the threshold that these find with that probability. Both by simulation, from the mean and spread of "
    "the pilots; of few pilots they are rough."
)


def study_of(claim: str, experiments_dir: Path) -> tuple[str, Study]:
    """Return the study that is called so, or that has a claim of this number.

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
        raise ConfigError(claim, allowed="makes no claim, so there is nothing to decide")
    return found


def decide(
    claim: str, results_dir: Path, experiments_dir: Path, plan: Callable[[str], pd.DataFrame]
) -> tuple[str, Looks, pd.DataFrame]:
    """Say of every part how many seeds it needs, and what the planned ones can find.

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
    quantity = part.quantity
    effect = quantity.of(results, name, part.threshold)
    row = {"part": name, "threshold": part.threshold, "test": effect.test, "pilots": effect.n}
    row["pilots say"] = part.threshold.judge(effect)[0] if effect.n else "nothing"
    row["planned"] = planned
    if not isinstance(quantity, Value | Comparison):
        return row | {"seeds needed": "not known: a function", "smallest found": ""}
    if quantity.outcome == "rounds":
        return row | {"seeds needed": "none: gradreach time", "smallest found": ""}
    draws = quantity.scaled(quantity.draws(results, name))
    spread = quantity.outcome.startswith("share") or (np.isfinite(draws).sum() > 1 and float(draws.std()) > 0)
    if len(draws) < 2 or not spread:
        return row | {"seeds needed": "not known: pilots that do not differ", "smallest found": ""}

    def judged(found: Interval) -> str:
        return part.threshold.judge(Effect("", *quantity.shown(found), level=looks.level))[0]

    rng = np.random.default_rng(0)
    needed = seeds_needed(
        quantity.outcome, draws, looks.level, lambda found: judged(found) in ("supported", "refuted"), rng
    )
    smallest = None
    if part.threshold.kind != "within":
        smallest = smallest_found(
            quantity.outcome, draws, looks.level, lambda found: judged(found) == "supported", planned, rng,
            threshold=_inner(quantity, part.threshold.at), furthest=_furthest(quantity, part.threshold.kind, results),
        )  # fmt: skip
    found = "" if smallest is None else number(quantity.shown(Interval(smallest, smallest, smallest, 0)).value, ".3g")
    nothing = "" if part.threshold.kind == "within" else "nothing"
    return row | {
        "seeds needed": f"more than {MOST}" if needed is None else str(needed),
        "smallest found": found or nothing,
    }


def _inner(quantity: Value | Comparison, threshold: float) -> float:
    """Return a threshold in the numbers that the outcome class counts."""
    if isinstance(quantity, Comparison) and quantity.ratio:
        return math.log(threshold)
    return threshold / OUTCOMES[quantity.outcome].scale


def _furthest(quantity: Value | Comparison, kind: str, results: Results) -> float:
    """Return the truth that is furthest on the side that is claimed, in the same numbers."""
    low, high = results.column(quantity.metric).limits
    if isinstance(quantity, Comparison):
        low, high = (-math.inf, math.inf) if quantity.ratio else (low - high, high - low)
    end = high if kind == "above" else low
    return end / OUTCOMES[quantity.outcome].scale
