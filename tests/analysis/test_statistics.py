"""Each number against a second computation, or a published example."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gradreach.analysis.stats import statistics
from gradreach.analysis.stats.statistics import (
    TOO_SMALL,
    bootstrap,
    critical_difference_ranks,
    estimate,
    hedges_g,
    holm,
    interquartile_mean,
    longest_solved,
    nemenyi_critical_difference,
    normalised_score,
    paired_test,
    probability_of_improvement,
    unpaired_test,
)


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_is_students(n):
    values = generator(n).normal(size=n)
    result = estimate(values)
    low, high = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert result.mean - result.half_width == pytest.approx(low)
    assert result.mean + result.half_width == pytest.approx(high)


def test_the_interval_of_a_published_example():
    # NIST/SEMATECH e-Handbook, 7.2.2.1: the particle counts on ten wafers have t = 1.782 against 50
    counts = [50, 48, 44, 56, 61, 52, 53, 55, 67, 51]
    result = estimate(counts)
    assert result.mean == pytest.approx(53.7)
    assert (result.mean - 50) / (result.sd / math.sqrt(10)) == pytest.approx(1.782, abs=1e-3)


def test_what_is_not_finite_lowers_n():
    assert estimate([1.0, math.inf, math.nan]).n == 1
    assert math.isnan(estimate([]).mean)


def test_the_interquartile_mean_cuts_a_quarter_at_either_end():
    values = generator().permutation([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1000.0])
    assert interquartile_mean(values) == np.mean([2, 3, 4, 5])
    assert interquartile_mean(np.array([[1.0, 2.0, 30.0]])) == 11.0  # three: nothing to cut
    assert interquartile_mean(np.array([0.0, 1.0, 5.0, 1000.0])) == 3.0  # four: one at either end


def test_the_bootstrap_of_a_mean_agrees_with_scipys():
    values = generator(1).normal(size=40)
    ours = bootstrap([values], np.mean, generator(), 5000)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=generator(5))
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)


def test_the_bootstrap_draws_within_strata():
    strata = [np.full(5, 0.0), np.full(5, 100.0)]  # without strata the mean would vary, within them it cannot
    assert bootstrap(strata, np.mean, generator()) == (50.0, 50.0, 50.0, 10)


def test_a_stratum_without_a_number_is_left_out_of_the_bootstrap():
    values = generator(2).normal(size=10)
    alone = bootstrap([values], np.mean, generator(3))
    assert bootstrap([np.array([math.nan]), values, np.array([])], np.mean, generator(3)) == alone
    assert bootstrap([np.array([]), np.array([math.inf])], np.mean, generator()).n == 0


def test_the_bootstrap_is_what_its_generator_makes_it():
    values = generator(2).normal(size=10)
    first = bootstrap([values], interquartile_mean, generator(7))
    assert bootstrap([values], interquartile_mean, generator(7)) == first
    assert bootstrap([values], interquartile_mean, generator(8)) != first


@pytest.mark.parametrize("n", [6, 9, 12])
def test_signed_ranks_agree_with_scipys_exact_test(n):
    a, b = generator(n).normal(0.5, size=n), generator(n + 100).normal(size=n)
    assert paired_test(a, b).p == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)


def test_signed_ranks_with_ties_agree_with_going_through_all_signs():
    difference = np.array([1, 1, 2, 2, 2, -1, 3])
    ranks = stats.rankdata(abs(difference))
    seen = abs((np.sign(difference) * ranks).sum())
    all_signs = [abs(np.dot(signs, ranks)) >= seen for signs in itertools.product((1, -1), repeat=7)]
    assert paired_test(difference, np.zeros(7)).p == pytest.approx(np.mean(all_signs))


def test_the_least_p_of_a_paired_test_is_two_in_two_to_the_n():
    assert paired_test(range(1, 7), np.zeros(6)).p == 2 / 2**6
    assert paired_test(range(1, 6), np.zeros(5)) == pytest.approx((math.nan, 5, TOO_SMALL), nan_ok=True)
    assert paired_test([1.0] * 8, [1.0] * 8).p == 1.0


@pytest.mark.parametrize(("n", "m"), [(4, 4), (5, 5), (6, 3), (9, 7)])
def test_rank_sums_agree_with_scipys_exact_test(n, m):
    a, b = generator(n).normal(0.5, size=n), generator(m + 100).normal(size=m)
    assert unpaired_test(a, b).p == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)


def test_rank_sums_with_ties_agree_with_going_through_all_groupings():
    a, b = [1, 2, 2, 5], [2, 5, 6, 7, 7]
    ranks = stats.rankdata([*a, *b])
    seen = abs(ranks[:4].sum() - 4 * ranks.mean())
    sums = [
        abs(ranks[list(some)].sum() - 4 * ranks.mean()) >= seen - 1e-9 for some in itertools.combinations(range(9), 4)
    ]
    assert unpaired_test(a, b).p == pytest.approx(np.mean(sums))


def test_the_least_p_of_an_unpaired_test_is_that_of_the_facts():
    assert unpaired_test(range(4), range(4, 8)).p == pytest.approx(2 / 70)
    assert unpaired_test(range(5), range(5, 10)).p == pytest.approx(2 / 252)
    assert unpaired_test(range(3), range(3, 6)).note == TOO_SMALL
    assert math.isnan(unpaired_test([], [1.0]).p)


def test_large_groups_are_compared_too():
    a, b = generator(1).normal(1, size=60), generator(2).normal(size=60)
    assert paired_test(a, b).p == stats.wilcoxon(a - b).pvalue < 0.01
    assert unpaired_test(a, b).p == stats.mannwhitneyu(a, b).pvalue < 0.01


def test_holms_correction_by_hand():
    # smallest × 4, next × 3, …, never falling
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, math.nan, 0.6]) == pytest.approx([1.0, math.nan, 1.0], nan_ok=True)
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferronis(p):
    """An hypothesis falls only if every set of hypotheses that holds it does, by Bonferroni's bound."""
    sets = [c for size in range(1, len(p) + 1) for c in itertools.combinations(range(len(p)), size)]
    closed = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]
    assert holm(p) == pytest.approx(closed)


def test_the_effect_size_is_the_difference_in_corrected_standard_deviations():
    a, b = [3.0, 4.0, 5.0], [1.0, 2.0, 3.0]  # sd 1 in both, means 2 apart
    assert hedges_g(a, b) == pytest.approx(2 * (1 - 3 / (4 * 4 - 1)))
    assert math.isnan(hedges_g([1.0], [2.0]))
    assert math.isnan(hedges_g([1.0, 1.0], [2.0, 2.0]))


def test_the_probability_of_improvement_is_mann_and_whitneys_share():
    a, b = [1, 2, 2, 5], [2, 5, 6, 7, 7]
    assert probability_of_improvement(a, b) == stats.mannwhitneyu(a, b).statistic / 20
    assert probability_of_improvement([2.0], [1.0, 2.0]) == 0.75
    assert math.isnan(probability_of_improvement([], [1.0]))


def test_the_normalised_score_is_0_at_chance_and_1_at_the_best():
    assert normalised_score(np.array([0.1, 0.55, 1.0]), 0.1, 1.0) == pytest.approx([0, 0.5, 1])
    assert normalised_score(np.array([1 / 6, 1 / 12, 0.0]), 1 / 6, 0.0) == pytest.approx([0, 0.5, 1])


def test_the_longest_length_solved_is_that_below_which_all_are():
    solved = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 0]])  # 20, 10, 40, 0, 20
    result = longest_solved([10, 20, 40], solved, generator())
    assert (result.value, result.n) == (20, 5)
    assert result.low <= 10
    assert result.high == 40
    assert longest_solved([10, 20], np.ones((3, 2)), generator()) == (20, 20, 20, 3)
    with pytest.raises(ValueError, match="ascend"):
        longest_solved([20, 10], np.ones((3, 2)), generator())


def test_the_critical_difference_of_demsars_example():
    # Demšar 2006, section 3.2.2: four classifiers on 14 data sets, critical difference 1.25 (q = 2.569)
    assert nemenyi_critical_difference(4, 14) == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), abs=2e-3)
    assert nemenyi_critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)


def test_ranks_over_tasks_agree_with_friedmans_formula():
    scores = generator(3).normal([0.0, 0.2, 1.5, 3.0], size=(12, 4))
    ranks = critical_difference_ranks(scores)
    by_hand = np.array([[1 + sum(other > score for other in row) for score in row] for row in scores]).mean(0)
    assert ranks.mean == pytest.approx(by_hand)
    chi2 = 12 * 12 / (4 * 5) * ((by_hand**2).sum() - 4 * 25 / 4)
    assert ranks.p == pytest.approx(stats.chi2.sf(chi2, 3))
    critical = nemenyi_critical_difference(4, 12)
    assert {pair for group in ranks.groups for pair in itertools.combinations(sorted(group), 2)} == {
        (i, j) for i, j in itertools.combinations(range(4), 2) if abs(by_hand[i] - by_hand[j]) < critical
    }


def test_ranks_that_differ_by_just_the_critical_difference_are_told_apart(monkeypatch):
    """Demšar 2006, section 3.2.2: significantly different if they differ by at least the critical difference."""
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])  # mean ranks 1, 2, 3
    monkeypatch.setattr(statistics, "nemenyi_critical_difference", lambda *_: 1.0)
    assert critical_difference_ranks(scores).groups == ()
    monkeypatch.setattr(statistics, "nemenyi_critical_difference", lambda *_: 1.0 + 1e-9)
    assert critical_difference_ranks(scores).groups == ((0, 1), (1, 2))


def test_of_errors_the_smallest_ranks_first_and_nan_last():
    scores = np.array([[0.1, 0.2, math.nan], [0.1, 0.3, 0.2]])
    assert critical_difference_ranks(scores, higher_is_better=False).mean == pytest.approx([1, 2.5, 2.5])
    assert critical_difference_ranks(np.ones((3, 3))).p == 1.0
    with pytest.raises(ValueError, match="three competitors"):
        critical_difference_ranks(np.ones((3, 2)))
