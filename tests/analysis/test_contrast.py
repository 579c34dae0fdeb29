"""Parts on two columns of the same runs."""

import numpy as np
import pandas as pd
import pytest
import scipy

from gradreach.analysis.results import Results
from gradreach.analysis.study.contrast import contrast

C, H = "gradient/end/c.decoded_target", "gradient/end/h.decoded_target"
PART = contrast(C, H, "lstm", label="R², cell − hidden state").above(0.02)


def results(cell, hidden, **columns):
    seeds = np.arange(len(cell))
    facts = {"model": "lstm", "architecture": "lstm", "task": "recall", "status": "finished", "seed": seeds}
    return Results(pd.DataFrame({**facts, C: cell, H: hidden, **columns}))


RNG = np.random.default_rng(0)
HIDDEN = RNG.uniform(0.2, 0.6, 12)


def test_differences_are_those_within_runs_whatever_lies_between_them():
    cell = HIDDEN + RNG.uniform(0.08, 0.12, 12)
    verdict = PART.judge(results(cell, HIDDEN))
    assert verdict.state == "supported"
    low, high = verdict.effect.low, verdict.effect.high
    assert (
        scipy.stats.wilcoxon(cell - HIDDEN - low + 1e-9).pvalue
        < 0.05
        < scipy.stats.wilcoxon(cell - HIDDEN - low - 1e-9).pvalue
    )
    assert high - low < 0.04 < HIDDEN.std()
    assert verdict.effect.test == "signed ranks"


def test_several_runs_of_a_seed_count_with_their_mean():
    twice = results(
        np.repeat(HIDDEN, 2) + np.tile([0.0, 0.4], 12), np.repeat(HIDDEN, 2), seed=np.repeat(np.arange(12), 2)
    )
    effect = PART.quantity.of(twice)
    assert (effect.n, effect.value) == (12, pytest.approx(0.2))


def test_a_reference_that_is_full_leaves_no_room_for_more():
    verdict = PART.judge(results(np.full(12, 0.999), RNG.uniform(0.996, 0.9985, 12)))
    assert (verdict.state, verdict.why.split(", ")[0]) == ("no room", "the reference")
    assert PART.judge(results(np.full(12, 0.97), RNG.uniform(0.9, 0.92, 12))).state == "supported"


def test_a_run_without_the_number_leaves_the_part_open():
    hidden = HIDDEN.copy()
    hidden[3] = np.nan
    verdict = PART.judge(results(HIDDEN + 0.1, hidden))
    assert (verdict.state, verdict.why) == ("open", "1 of 12 seeds have no value")
