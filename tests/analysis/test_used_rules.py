"""The rules that studies use, at their own numbers of seeds and levels: what they cover, and how often they err."""

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.results import Results
from gradreach.analysis.stats.by_example import example_interval
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.study.looks import looks_of
from gradreach.analysis.study.parts import Part, leaves_of
from gradreach.analysis.study.study_files import known_studies, load_study
from gradreach.run_table.load import load_runs
from gradreach.study import Claim, Study, compare, share, value
from project import COMMITTED, PROJECT

pytestmark = pytest.mark.slow
LOOKS = [12, 18, 24]


def used(outcome):
    """Return with how many seeds, and at which levels, parts of committed studies of a class are looked at."""
    found = set()
    for name in known_studies(PROJECT / "experiments"):
        study = load_study(name, PROJECT / "experiments")
        if name not in COMMITTED or study.claim is None:
            continue
        results = Results(study.prepare(load_runs(name, PROJECT / "results")), derived=study.columns)
        looks = looks_at(study, results, range(100, 100 + (study.looks or [12])[-1]))
        if any(isinstance(p, Part) and p.quantity.outcome == outcome for p in leaves_of(study.parts).values()):
            found |= {(len(seeds), looks.level) for seeds in looks.seeds}
    return sorted(found)


def drawn(outcome, generator, n):
    """Return values of a class, and what is true of them."""
    if outcome == "mean":
        return generator.normal(3, 2, n), 3.0
    if outcome in ("ranks", "rounds"):
        return generator.laplace(3, 2, n), 3.0
    if outcome == "share":
        return (generator.random(n) < 0.9).astype(float), 0.9
    return (generator.random(n) < 0.9) - 1.0 * (generator.random(n) < 0.2), 0.7


@pytest.mark.parametrize("outcome", ["mean", "ranks", "rounds", "share", "share difference"])
def test_every_class_covers_what_it_promises_at_every_plan_that_is_committed(outcome):
    plans, repeats = used(outcome), 10_000
    assert plans
    for n, level in plans:
        generator, inside = np.random.default_rng(n), 0
        for _ in range(repeats):
            values, true = drawn(outcome, generator, n)
            found = OUTCOMES[outcome].interval(values, level)
            inside += found.low <= true <= found.high
        error = 3 * np.sqrt(level * (1 - level) / repeats)
        assert inside / repeats >= 1 - level - error, (n, level)
        if outcome in ("mean", "ranks", "rounds"):
            assert inside / repeats <= 1 - level + 0.01, (n, level)


def answered(generator, seeds, gain, questions=500):
    """Return who alone is right: questions are hard for both and for each, seeds good and bad."""
    hard = 2 * generator.standard_normal(questions)
    sides = [
        1.6 + more + hard + generator.standard_normal(questions) + 0.25 * generator.standard_normal((seeds, 1))
        for more in (gain, 0)
    ]
    a, b = (generator.random((seeds, questions)) < 1 / (1 + np.exp(-side)) for side in sides)
    return a.astype(float) - b


def test_a_plan_by_example_decides_wrongly_at_most_one_time_in_twenty():
    generator, repeats, wrong = np.random.default_rng(2), 1000, 0
    looks = looks_of(2, LOOKS, range(100, 124))
    for _ in range(repeats):
        parts = [answered(generator, LOOKS[-1], 0.0) for _ in range(looks.parts)]
        found = [example_interval(part[: len(seen)], looks.level) for part in parts for seen in looks.seeds]
        wrong += any(each.low > 0 or each.high < 0 for each in found)
    assert wrong / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


PARTS = {
    "better": compare("val/accuracy", "a", "b").above(0),
    "on average": value("test/accuracy", "a").above(60),
    "solved": share("solved", "a").above(50),
    "more often": compare("solved", "a", "b", outcome="share difference").above(0),
}


def test_a_whole_claim_of_which_nothing_is_true_is_decided_at_most_one_time_in_twenty():
    """Of four classes, each exactly at its threshold, through looks, room and all."""
    study = Study(question="?", claim=Claim("So.", parts=PARTS), looks=LOOKS, solved={"train/accuracy": 90})
    generator, repeats, wrong = np.random.default_rng(3), 400, 0
    seeds = list(range(100, 124))
    facts = {"status": "finished", "task": "t", "seq_len": 8, "kernel_size": None, "metric": "accuracy", "chance": 0.1}
    for _ in range(repeats):
        frames = [
            pd.DataFrame(
                {
                    "run_id": [f"{model}{seed}" for seed in seeds],
                    "model": model,
                    "seed": seeds,
                    "val/accuracy": 0.6 + 0.03 * generator.laplace(size=len(seeds)),
                    "test/accuracy": 0.6 + 0.03 * generator.normal(size=len(seeds)),
                    "train/accuracy": np.where(generator.random(len(seeds)) < 0.5, 0.95, 0.5),
                }
            ).assign(**facts)
            for model in "ab"
        ]
        results = Results(study.prepare(pd.concat(frames, ignore_index=True)))
        verdict = judged(study, results, looks_at(study, results, seeds))
        wrong += any(part.state != "open" for part in verdict.parts)
    assert wrong / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
