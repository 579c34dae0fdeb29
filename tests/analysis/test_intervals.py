"""Intervals of outcome classes: against scipy's exact tests and closed forms, and by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gradreach.analysis.stats.intervals import (
    OUTCOMES,
    lopsided,
    mean_interval,
    median_interval,
    share_difference_interval,
    share_interval,
    signed_rank_interval,
)

LEVELS = (0.05, 0.05 / 3, 0.05 / 6)
USED = (12, 18, 24)


def covered(interval, draw, truth, level, repeats):
    found = [interval(draw(), level) for _ in range(repeats)]
    return np.mean([each.low <= truth <= each.high for each in found])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [9, 12, 18])
def test_signed_ranks_are_scipys_exact_test_turned_round(n, level):
    values = np.random.default_rng(n).normal(1, 2, n)
    found = signed_rank_interval(values, level)
    for end, outwards in ((found.low, -1), (found.high, 1)):
        within, beyond = (
            stats.wilcoxon(values - (end + outwards * step), method="exact").pvalue for step in (-1e-9, 1e-9)
        )
        assert within > level >= beyond
    means = [(a + b) / 2 for i, a in enumerate(values) for b in values[i:]]
    assert found.value == pytest.approx(np.median(means))


def test_infinite_differences_count_as_larger_than_any():
    found = signed_rank_interval([*range(1, 12), np.inf], 0.05)
    assert found == signed_rank_interval([*range(1, 12), 1e9], 0.05)
    assert signed_rank_interval([-np.inf] * 8).high == -np.inf
    assert signed_rank_interval([np.inf, -np.inf] * 5).value == 0
    assert signed_rank_interval([1, np.nan, 2]).n == 2


def test_what_is_too_few_for_signed_ranks_has_no_interval():
    assert np.isnan(signed_rank_interval([1.0] * 5).low)
    assert signed_rank_interval([1.0] * 6).low == 1.0
    assert np.isnan(signed_rank_interval([]).value)


MIXTURE_MEDIAN = -0.56595  # 0.7 Φ(x) + 0.3 Φ((x + 30) / 3) = 1/2


def mixture(generator, n):
    """Return differences of which 30 % are of runs that have failed."""
    return np.where(generator.random(n) < 0.3, generator.normal(-30, 3, n), generator.normal(0, 1, n))


@pytest.mark.parametrize("level", [*LEVELS, 0.00208])
@pytest.mark.parametrize("n", [9, 12, 18, 24])
def test_a_median_has_the_interval_of_scipys_exact_sign_test_turned_round(n, level):
    values = np.random.default_rng(n).normal(1, 2, n)
    found = median_interval(values, level)
    assert np.isnan(found.low) == np.isnan(signed_rank_interval(values, level).low) == (2 / 2**n > level)
    if 2 / 2**n <= level:
        for end, outwards in ((found.low, -1), (found.high, 1)):
            within, beyond = (
                stats.binomtest(int((values > end + outwards * step).sum()), n).pvalue for step in (-1e-9, 1e-9)
            )
            assert within > level >= beyond
    assert found.value == pytest.approx(np.median(values))


@pytest.mark.parametrize("repeats", [400, pytest.param(20_000, marks=pytest.mark.slow, id="many")])
@pytest.mark.parametrize(("n", "level"), [(12, 0.05 / 3), (24, 0.05 / 3), (24, 0.00208)])
def test_of_a_mixture_signed_ranks_err_about_the_median_and_what_decides_does_not(n, level, repeats):
    generator, wrong = np.random.default_rng(n), {"interval": 0, "deciding": 0}
    for _ in range(repeats):
        values = mixture(generator, n)
        for name in wrong:
            found = getattr(OUTCOMES["ranks"], name)(values, level)
            wrong[name] += found.low > MIXTURE_MEDIAN or found.high < MIXTURE_MEDIAN
    error = 3 * np.sqrt(level * (1 - level) / repeats)
    assert wrong["deciding"] / repeats <= level + error
    if (n, level) == (24, 0.05 / 3):
        assert wrong["interval"] / repeats > level + error


@pytest.mark.parametrize(("draw", "least", "most"), [("normal", 0, 0.02), ("laplace", 0, 0.02), (mixture, 0.5, 1)])
def test_mixtures_are_called_lopsided_and_symmetric_values_are_not(draw, least, most):
    generator = np.random.default_rng(0)
    values = (draw(generator, 12) if callable(draw) else getattr(generator, draw)(size=12) for _ in range(300))
    assert least <= np.mean([lopsided(each) for each in values]) <= most
    assert not lopsided([1.0] * 12)
    assert lopsided([1.0, 2.0, np.inf])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 7), (7, 7), (20, 24)])
def test_a_share_has_scipys_exact_interval(k, n, level):
    found = share_interval([1] * k + [0] * (n - k), level)
    exact = stats.binomtest(k, n).proportion_ci(1 - level, method="exact")
    assert (found.value, found.low, found.high) == pytest.approx((k / n, exact.low, exact.high))


def test_a_share_is_of_what_is_true_or_not():
    with pytest.raises(ValueError, match=r"not 0\.5"):
        share_interval([0.5, 1])


@pytest.mark.parametrize("level", LEVELS)
def test_a_mean_has_scipys_t_interval(level):
    values = np.random.default_rng(0).normal(size=12)
    exact = stats.ttest_1samp(values, 0).confidence_interval(1 - level)
    assert mean_interval(values, level)[1:3] == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("more", "less", "n"), [(0, 0, 12), (10, 0, 12), (7, 3, 18), (0, 24, 24)])
def test_a_difference_of_shares_has_scipys_exact_intervals_of_both_sides_at_once(more, less, n, level):
    found = share_difference_interval([1] * more + [-1] * less + [0] * (n - more - less), level)
    sides = [stats.binomtest(k, n).proportion_ci(1 - level / 2, method="exact") for k in (more, less)]
    assert (found.low, found.high) == pytest.approx((sides[0].low - sides[1].high, sides[0].high - sides[1].low))


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_difference_of_shares_holds_its_estimate_and_is_turned_with_its_sides(values):
    found, turned = share_difference_interval(values), share_difference_interval([-each for each in values])
    assert found.low <= found.value <= found.high
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert found.low >= -1
    assert found.high <= 1


@pytest.mark.parametrize("n", USED)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("outcome", ["mean", "ranks", "share", "share difference"])
def test_intervals_cover_what_they_promise(outcome, level, n):
    """At least that; of what is continuous no point more, either. Three standard errors are allowed."""
    generator, repeats = np.random.default_rng(n), 3000
    draws = {
        "mean": (lambda: generator.normal(3, 2, n), 3.0),
        "ranks": (lambda: generator.laplace(3, 2, n), 3.0),
        "share": (lambda: (generator.random(n) < 0.9).astype(float), 0.9),
        "share difference": (lambda: (generator.random(n) < 0.9) - 1.0 * (generator.random(n) < 0.2), 0.7),
    }
    draw, truth = draws[outcome]
    share = covered(OUTCOMES[outcome].interval, draw, truth, level, repeats)
    error = 3 * np.sqrt(level * (1 - level) / repeats)
    assert share >= 1 - level - error
    if outcome in ("mean", "ranks"):
        assert share <= 1 - level + 0.01 + error


def test_a_t_interval_of_solved_or_not_does_not_cover_and_the_exact_one_does():
    generator = np.random.default_rng(0)
    for truth, promised in ((0.8, 0.66), (0.9, 0.41), (0.95, 0.23)):

        def draw(truth=truth):
            return (generator.random(5) < truth).astype(float)

        assert covered(mean_interval, draw, truth, 0.05, 3000) == pytest.approx(promised, abs=0.04)
        assert covered(share_interval, draw, truth, 0.05, 3000) >= 0.95
