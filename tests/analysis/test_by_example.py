"""Two networks on a small test set: against closed forms, scipy's exact test, and by simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradreach.analysis.results import Results
from gradreach.analysis.stats.by_example import accuracy_interval, example_interval, mcnemar, spread_of
from gradreach.analysis.stats.power import seeds_needed, smallest_found
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.errors import ConfigError
from gradreach.study import compare, value

QUESTIONS = 500


def logistic(values):
    return 1 / (1 + np.exp(-values))


def sweep(generator, seeds, level=1.6, gain=0.5, shared=2.0, own=1.0, of_seed=0.25, examples=QUESTIONS):
    """Return who is right where: questions are hard for both networks and for each, and seeds are good and bad."""
    hard = shared * generator.standard_normal(examples)
    sides = [
        logistic(
            level
            + more
            + hard
            + own * generator.standard_normal(examples)
            + of_seed * generator.standard_normal((seeds, 1))
        )
        for more in (gain, 0)
    ]
    a, b = (generator.random((seeds, examples)) < chance for chance in sides)
    return a.astype(float) - b


def truth(level=1.6, gain=0.5, shared=2.0, own=1.0, of_seed=0.25):
    """Return the expected difference; the sum of normal numbers is one."""
    spread = math.sqrt(shared**2 + own**2 + of_seed**2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    a, b = (float(weights @ logistic(level + more + spread * nodes)) / math.sqrt(2 * math.pi) for more in (gain, 0))
    return a - b


@pytest.mark.parametrize("seeds", [6, 12])
@pytest.mark.parametrize("level", [0.05, 0.05 / 6])
@pytest.mark.parametrize(
    "world",
    [
        {},
        {"gain": 0.0, "of_seed": 0.0},
        {"of_seed": 1.0, "shared": 1.0, "own": 0.5},  # seeds are nearly all of it
        {"level": 6.0, "gain": 1.5, "own": 0.5},  # nearly all questions come out alike
    ],
)
def test_the_interval_covers_what_it_promises_over_draws_of_seeds_and_questions(world, level, seeds):
    generator, repeats = np.random.default_rng(seeds), 1000
    found = [example_interval(sweep(generator, seeds, **world), level) for _ in range(repeats)]
    true = truth(**world)
    share = np.mean([each.low <= true <= each.high for each in found])
    assert share >= 1 - level - 0.01 - 3 * math.sqrt(level * (1 - level) / repeats)


def test_an_interval_over_seeds_alone_does_not_cover_draws_of_questions():
    generator = np.random.default_rng(0)
    found = []
    for _ in range(400):
        values = sweep(generator, 12, own=1.5, of_seed=0.05)
        of_seeds = stats.ttest_1samp(values.mean(1), 0).confidence_interval(0.95)
        found.append(of_seeds.low <= truth(own=1.5, of_seed=0.05) <= of_seeds.high)
    assert np.mean(found) < 0.85


@pytest.mark.parametrize("seeds", [8, 24])
def test_the_variance_is_that_of_a_bootstrap_of_seeds_and_questions_but_for_what_both_count_thrice(seeds):
    """Owen 2007: resampling both counts the rest three times, the closed form twice."""
    values, generator = sweep(np.random.default_rng(1), seeds), np.random.default_rng(2)
    drawn = []
    for _ in range(4000):
        rows, columns = generator.integers(seeds, size=seeds), generator.integers(QUESTIONS, size=QUESTIONS)
        drawn.append(values[rows][:, columns].mean())
    of_seeds, of_questions = values.mean(1).var(ddof=1) / seeds, values.mean(0).var(ddof=1) / QUESTIONS
    rest = spread_of(values).rest / (seeds * QUESTIONS)
    expected = of_seeds * (seeds - 1) / seeds + of_questions + rest * (seeds - 1) / seeds
    assert np.var(drawn) == pytest.approx(expected, rel=0.1)
    found = example_interval(values)
    freedom = (of_seeds + of_questions) ** 2 / (of_seeds**2 / (seeds - 1) + of_questions**2 / (QUESTIONS - 1))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(of_seeds + of_questions)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.03)  # two questions more


def test_variances_are_found_again_that_normal_numbers_were_made_with():
    generator = np.random.default_rng(3)
    made = [
        generator.normal(0, 2, (20, 1)) + generator.normal(0, 3, (1, 40)) + generator.normal(0, 1, (20, 40))
        for _ in range(400)
    ]
    assert np.mean([spread_of(each) for each in made], axis=0) == pytest.approx((4, 9, 1), rel=0.06)


def test_the_interval_turns_with_the_sides_and_is_never_without_width():
    values = sweep(np.random.default_rng(4), 6)
    found, turned = example_interval(values), example_interval(-values)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    same = example_interval(np.zeros((6, QUESTIONS)))
    assert same.low < 0 < same.high < 0.01


@pytest.mark.parametrize("seeds", [6, 12])
@pytest.mark.parametrize("level", [0.05, 0.05 / 6])
@pytest.mark.parametrize("mean", [1.6, 4.0])
def test_an_accuracy_has_an_interval_over_seeds_and_questions_that_covers(mean, level, seeds):
    generator, repeats, found = np.random.default_rng(seeds), 400, []
    for _ in range(repeats):
        hard = 2 * generator.standard_normal(QUESTIONS) + 0.25 * generator.standard_normal((seeds, 1))
        right = generator.random((seeds, QUESTIONS)) < logistic(mean + hard)
        found.append(accuracy_interval(right.astype(float), level))
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    true = float(weights @ logistic(mean + math.hypot(2, 0.25) * nodes)) / math.sqrt(2 * math.pi)
    share = np.mean([each.low <= true <= each.high for each in found])
    assert share >= 1 - level - 0.01 - 3 * math.sqrt(level * (1 - level) / repeats)


def test_where_nearly_all_questions_are_answered_right_a_small_test_leaves_room_that_seeds_alone_would_not():
    """Six seeds of 97 % on 100 questions, always the same: over seeds alone the reference has no width."""
    always = np.arange(100) < 97
    right = dict.fromkeys(runs()["run_id"], always)
    part = MORE.above(5)
    verdict = part.judge(results(right))
    assert (verdict.state, verdict.effect.full) == ("refuted", "")
    big = {run_id: np.arange(10_000) < 9_700 for run_id in runs()["run_id"]}
    assert part.judge(results(big)).why.startswith("the reference, 96.7 to 97.3, lies within 5 of the bound 100")


def test_a_seed_that_is_not_known_counts_as_absent_and_one_alone_has_no_interval():
    values = sweep(np.random.default_rng(5), 6)
    assert example_interval(np.vstack((values, np.full(QUESTIONS, np.nan)))) == example_interval(values)
    assert math.isnan(example_interval(values[:1]).low)
    assert example_interval(np.full((2, 1), np.nan)).n == 0


@pytest.mark.parametrize(("more", "less"), [(9, 1), (0, 0), (5, 5), (3, 12), (40, 25)])
def test_mcnemar_is_scipys_exact_test_of_one_half(more, less):
    values = np.array([1] * more + [-1] * less + [0] * 30)
    exact = stats.binomtest(more, more + less, 0.5).pvalue if more + less else 1.0
    assert mcnemar(values) == pytest.approx(exact)


def test_power_by_simulation_is_that_of_whole_sweeps():
    """Made up from means and variances alone, as against every question of every run."""
    generator = np.random.default_rng(6)
    pilots = sweep(generator, 40, gain=0.8, of_seed=0.6, examples=2000)[:, :QUESTIONS]
    needed = seeds_needed("examples", pilots, 0.05, lambda found: found.low > 0, np.random.default_rng(0))
    share = np.mean([example_interval(sweep(generator, needed, gain=0.8, of_seed=0.6)).low > 0 for _ in range(300)])
    assert share == pytest.approx(0.8, abs=0.15)


def test_more_seeds_do_not_find_what_the_number_of_questions_hides():
    pilots = sweep(np.random.default_rng(7), 6, gain=0.1)
    found = [
        smallest_found(
            "examples", pilots, 0.05, lambda f: f.low > 0, seeds, np.random.default_rng(0), threshold=0.0, furthest=1.0
        )
        for seeds in (6, 400)
    ]
    assert found[0] > found[1] > 0.02


def runs(seeds=range(100, 106), status="finished"):
    rows = [
        {"run_id": f"{model}{seed}", "model": model, "architecture": model, "seed": seed, "status": "finished"}
        for model in ("lstm", "rnn")
        for seed in seeds
    ]
    frame = pd.DataFrame(rows).assign(task="trec", seq_len=8, kernel_size=None)
    return frame.assign(**{"test/accuracy": 0.5, "chance": 0.1, "optimizer.lr": 0.01})


def told(right):
    """Return what is known of runs, by who is right where."""
    rows = [(run_id, len(bits), np.packbits(bits).tobytes().hex()) for run_id, bits in right.items()]
    return pd.DataFrame(rows, columns=["run_id", "n", "right"])


MORE = compare("test/accuracy", {"model": "lstm"}, {"model": "rnn"}, outcome="examples")


def results(right, frame=None):
    return Results(runs() if frame is None else frame, read_examples=lambda: told(right))


def test_a_part_counts_example_by_example():
    generator = np.random.default_rng(8)
    right = {run_id: generator.random(200) < (0.8 if "lstm" in run_id else 0.6) for run_id in runs()["run_id"]}
    effect = MORE.above(0).judge(results(right)).effect
    pairs = np.array([right[f"lstm{seed}"].astype(float) - right[f"rnn{seed}"] for seed in range(100, 106)])
    assert (effect.value, effect.low, effect.high) == pytest.approx(100 * np.array(example_interval(pairs)[:3]))
    apart = sum(stats.binomtest((p > 0).sum(), (p != 0).sum()).pvalue < 0.05 for p in pairs)
    assert f"differ by McNemar's test: {apart} of 6)" in effect.label
    assert (effect.unit, effect.n, effect.test) == ("points", 6, "Student's t over seeds and examples")


def test_what_was_not_recorded_leaves_a_part_open_and_a_run_that_diverged_is_wrong_everywhere():
    right = {run_id: np.arange(100) < 50 for run_id in runs()["run_id"]}
    frame = runs()
    frame.loc[frame["run_id"] == "rnn103", "status"] = "diverged"
    effect = MORE.of(results(right, frame))
    assert (effect.n, effect.value) == (6, pytest.approx(50 / 6))
    del right["lstm101"]
    verdict = MORE.above(0).judge(results(right))
    assert (verdict.state, verdict.why) == ("open", "1 of 6 seeds have no value")
    verdict = MORE.above(0).judge(results({}))
    assert (verdict.state, verdict.effect.n) == ("open", 0)


def test_runs_of_several_tests_are_refused():
    right = {run_id: np.ones(100 if "lstm" in run_id else 90, bool) for run_id in runs()["run_id"]}
    with pytest.raises(ConfigError, match="compares test sets of 90 and 100 examples; choose runs with one test set"):
        MORE.of(results(right))


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: value("test/accuracy", "lstm", outcome="examples"), "compares two networks on one test set"),
        (
            lambda: compare("val/accuracy", "a", "b", outcome="examples"),
            "works only for test/accuracy, in pairs of one seed",
        ),
        (lambda: compare("test/accuracy", "a", "b", over="seq_len", outcome="examples"), "leave out .* and over="),
    ],
)
def test_what_is_not_known_by_example_is_refused_when_it_is_declared(declare, said):
    with pytest.raises(ConfigError, match=said):
        declare()


def test_a_study_keeps_the_examples_of_those_runs_that_are_decided_by_them():
    parts = {"x": compare("test/accuracy", "lstm", "rnn", where={"task": "trec"}, outcome="examples").above(0)}
    study = Study(question="?", claim=Claim("It is.", parts=parts))
    frame = pd.concat([runs(), runs().assign(model="gru", architecture="gru"), runs().assign(task="imdb")])
    kept = study.by_example(frame.reset_index(drop=True))
    assert len(kept) == 12
    assert set(kept["task"]) == {"trec"}
    none = Study(question="?", claim=Claim("It is.", parts={"x": compare("test/accuracy", "lstm", "rnn").above(0)}))
    assert none.by_example(frame).empty
