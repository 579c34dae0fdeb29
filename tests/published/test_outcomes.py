"""When two numbers agree: intervals against simulation and scipy, outcomes by hand."""

import numpy as np
import pytest
from scipy import stats

from gradreach.config.published import Cell
from gradreach.published.outcomes import Measured, indistinguishable, judge, prediction_interval

TOLD = {"dataset": "some data", "model": "some model", "metric": "test/accuracy"}


def cell(published, **told):
    return Cell.model_validate({**TOLD, "published": published, **told})


@pytest.mark.parametrize("further", [1, 5])
@pytest.mark.parametrize("n", [2, 10])
def test_a_prediction_interval_covers_the_mean_of_further_runs(n, further):
    random = np.random.default_rng(0)
    ours, theirs = random.normal(7, 2, (4000, n)), random.normal(7, 2, (4000, further)).mean(1)
    half = stats.t.ppf(0.975, n - 1) * ours.std(1, ddof=1) * np.sqrt(1 / further + 1 / n)
    low, high = np.array([prediction_interval(values, further) for values in ours[:50]]).T
    assert np.allclose([low, high], [ours.mean(1)[:50] - half[:50], ours.mean(1)[:50] + half[:50]])
    covered = float((abs(theirs - ours.mean(1)) <= half).mean())
    assert covered == pytest.approx(0.95, abs=0.012)


def test_single_runs_are_told_apart_exactly_where_welchs_test_does():
    random = np.random.default_rng(1)
    for _ in range(200):
        ours = random.normal(0, 1, random.integers(2, 12))
        theirs = random.normal(random.uniform(-2, 2), random.uniform(0.2, 3), random.integers(2, 12))
        low, high = indistinguishable(ours, theirs)
        p = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
        assert (low <= theirs.mean() <= high) == (p >= 0.05), (ours, theirs)


def test_runs_that_are_all_alike_agree_only_with_their_own_number():
    assert indistinguishable([100.0, 100.0], [100.0, 100.0]) == (100.0, 100.0)
    measured = Measured([100.0] * 10, planned=10)
    assert judge(cell("100", unit="%", n=10, spread=0), measured).words == "within"
    assert judge(cell("99", unit="%", n=10), measured).words == "off by +1 points"


@pytest.mark.parametrize(
    ("published", "told", "values", "words"),
    [
        (92.3, {"unit": "%"}, [92.1, 92.4, 92.7], "within"),
        (95.3, {"unit": "%"}, [92.1, 92.4, 92.7], "off by −2.9 points"),
        (92.3, {"unit": "%"}, [90.0, 92.5, 94.9], "too wide to tell"),
        (92.3, {"unit": "%", "n": 1}, [92.0], "too wide to tell"),
        (92.3, {"unit": "%", "widest": 0.5}, [92.1, 92.4, 92.7], "too wide to tell"),
        (0.30958, {"metric": "max_exponent"}, [0.309, 0.310, 0.311], "within"),
        (0.30958, {"metric": "max_exponent", "chance": 0.3}, [0.309, 0.310, 0.311], "too wide to tell"),
    ],
)
def test_an_outcome_by_hand(published, told, values, words):
    assert judge(cell(published, **told), Measured(values, len(values))).words == words


def test_the_mean_of_many_runs_is_held_to_more_than_a_single_run():
    values = Measured([91.0, 92.0, 93.0, 92.5, 91.5], planned=5)
    assert judge(cell(90.2, unit="%", widest=2, n=1), values).kind != "off by"
    assert judge(cell(90.2, unit="%", widest=2, n=10), values).kind == "off by"


def test_a_number_without_draws_must_agree_in_every_printed_digit():
    measured = Measured([249.4956154212], planned=1, fixed=True)
    assert judge(cell("249.4956154"), measured).words == "within"
    assert judge(cell("249.4956155"), measured).kind == "off by"


def test_what_was_printed_may_have_been_rounded():
    assert judge(cell("0.25"), Measured([0.2549], planned=1, fixed=True)).words == "within"
    assert judge(cell("0.250"), Measured([0.2549], planned=1, fixed=True)).kind == "off by"


def test_nothing_is_said_before_all_planned_seeds_have_ended():
    half = judge(cell(92.3, unit="%", minutes=5), Measured([92.1, 92.3, 92.5], planned=10))
    assert half.words == "not run: 3 of 10 seeds, about 5 core-minutes"
    assert judge(cell(92.3, unit="%", minutes=5), Measured()).words == "not run: about 5 core-minutes"


def test_a_run_that_diverged_counts_as_chance_and_is_told():
    values = Measured([92.2, 92.3, 92.4], planned=4, lost=1)
    counted = judge(cell(92.3, unit="%", chance=10), values)
    assert counted.words == "too wide to tell; 1 of 4 seeds diverged or failed"
    assert (counted.n, counted.ours) == (4, pytest.approx(71.725))
    assert judge(cell(92.3, unit="%"), values).words == "too wide to tell; 1 of 4 seeds diverged or failed"


def test_a_cell_that_is_not_planned_says_why():
    assert judge(cell(1, not_comparable="another task"), Measured()).words == "not comparable: another task"
    assert judge(cell(1, not_run="no such model", minutes=60), Measured()).words == (
        "not run: no such model, about 60 core-minutes"
    )


def test_accuracies_may_be_scaled_so_that_chance_is_zero():
    scaled = cell("1.000", n=3, factor=2, zero=0.5, chance=0)
    assert [scaled.ours(accuracy) for accuracy in (0.5, 0.75, 1.0)] == [0, 0.5, 1]
    assert scaled.allowed == pytest.approx(0.04)  # two points of accuracy, as of every other
    assert cell("0.000", factor=2, zero=0.5, chance=0).allowed == pytest.approx(0.04)
    assert cell(92.3, unit="%").allowed == 2
