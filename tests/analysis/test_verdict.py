import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradreach.analysis.pages.summary import _plain
from gradreach.analysis.results import Results
from gradreach.analysis.stats.intervals import OUTCOMES, signed_rank_interval
from gradreach.analysis.stats.verdict import Effect, Verdict, combine, combine_named, stored_verdict
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.study.judging import judged
from gradreach.analysis.study.looks import Looks
from gradreach.analysis.study.parts import Threshold, arithmetic
from gradreach.errors import ConfigError
from gradreach.study import compare, value


@pytest.fixture
def runs():
    """An LSTM that is 0.2 better than an RNN in every seed, give or take; one of its runs has diverged."""
    rows = [
        {
            "status": "diverged" if (model, seed) == ("lstm", 5) else "finished",
            "model": model,
            "seed": seed,
            "seq_len": 100,
            "kernel_size": None,
            "task": "recall",
            "test/accuracy": (0.7 if model == "lstm" else 0.5) + 0.1 * seed + 0.01 * (seed * len(model) % 3),
            "gradient/end/h.r2": 1.0,
            "gradient/end/h.half_life": 8.0 if model == "lstm" else 2.0,
        }
        for model in ("rnn", "lstm")
        for seed in range(6)
    ]
    return pd.DataFrame(rows)


LSTM, RNN = {"model": "lstm"}, {"model": "rnn"}


def test_a_comparison_is_paired_by_seed_and_a_run_that_diverged_counts_as_the_worst(runs):
    effect = compare("test/accuracy", LSTM, RNN).of(Results(runs))
    first, second = (runs[runs["model"] == model].set_index("seed")["test/accuracy"] for model in ("lstm", "rnn"))
    difference = 100 * (first.where(first.index < 5, 0.0) - second)
    assert difference[5] < -90
    found = signed_rank_interval(difference.to_numpy())
    assert effect[1:5] == pytest.approx(tuple(found))
    assert (effect.n, effect.unit, effect.test, effect.absent) == (6, "points", "signed ranks", 0)
    assert effect.label == "test accuracy, LSTM − RNN"


def test_differences_that_are_near_normal_have_a_t_interval(runs):
    some = runs[runs["seed"] < 5]
    effect = compare("test/accuracy", LSTM, RNN, outcome="mean").of(Results(some).at(0.01))
    by_seed = some.set_index("seed").groupby("model")["test/accuracy"]
    test = stats.ttest_1samp(100 * (by_seed.get_group("lstm") - by_seed.get_group("rnn")), 0)
    interval = test.confidence_interval(0.99)
    assert effect[2:4] == pytest.approx((interval.low, interval.high))
    assert "99 % interval" in str(effect)


def test_a_ratio_is_that_of_pairs(runs):
    ratio = compare("gradient/end/h.half_life", LSTM, RNN, ratio=True)
    some = runs[runs["seed"] < 5]
    assert ratio.of(Results(some)).value == pytest.approx(4.0)
    alike = some.assign(**{"gradient/end/h.half_life": 2.0})
    both = ratio.of(Results(pd.concat([some, alike], ignore_index=True)))
    assert both.value == pytest.approx(2.0), "of two partners too"
    assert ratio.of(Results(runs)).absent == 1, "what diverged has no half-life, and that is told"


def test_a_level_is_the_mean_of_the_runs_that_are_meant(runs):
    some = value("test/accuracy", {"model": "rnn", "seed": [0, 1]}).of(Results(runs))
    assert some.value == pytest.approx(55.5, abs=1)
    assert value("test/accuracy", LSTM).of(Results(runs)).n == 6


def test_runs_of_one_seed_count_with_their_mean(runs):
    runs = runs[runs["seed"] < 5]
    twice = pd.concat([runs, runs.assign(**{"test/accuracy": runs["test/accuracy"] + 0.1})])
    once, both = (value("test/accuracy", LSTM).of(Results(each)) for each in (runs, twice))
    assert both.n == once.n
    assert both.value == pytest.approx(once.value + 5)


def test_no_interval_leaves_what_is_possible(runs):
    high = runs.assign(**{"test/accuracy": [1.0] * 11 + [0.5], "status": "finished"})
    assert value("test/accuracy", LSTM).of(Results(high)).high == 100
    error = runs.assign(**{"test/mse": [0.0] * 11 + [0.5]})
    assert value("test/mse", LSTM).of(Results(error[error["seed"] != 4])).low == 0


@pytest.mark.parametrize("quantity", [compare("test/acuracy", LSTM, RNN), value("test/acuracy", {"model": "lstm"})])
def test_a_metric_that_no_run_has_is_named_with_those_that_exist(runs, quantity):
    with pytest.raises(ConfigError, match="test/acuracy: no run has this column; did you mean test/accuracy"):
        quantity.of(Results(runs))


def effect(low, high, n=5):
    return Effect("gain", (low + high) / 2, low, high, n)


@pytest.mark.parametrize(
    ("interval", "state"),
    [((6, 8), "supported"), ((4, 8), "open"), ((1, 4), "refuted"), ((-1, 1), "refuted"), ((5, 5), "open")],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(interval, state):
    assert Threshold("above", 5).judge(effect(*interval))[0] == state
    assert ("95 % interval" in str(effect(*interval))) == (interval[0] < interval[1])


def test_an_interval_without_width_is_not_told():
    assert str(Effect("parameters", 0.2142, 0.2142, 0.2142, 6)) == "parameters: 0.214, identical in all runs"
    assert str(Effect("gain", 2.0, 1.9, 2.1, 6)) == "gain: 2, 95 % interval 1.9 to 2.1 (n = 6)"
    assert "too small for an interval" in str(Effect("gain", 2.0, float("nan"), float("nan"), 1))
    assert str(Effect("gain", *[float("nan")] * 3, 0)) == "gain: no runs to compare"


def test_a_claim_that_something_is_small_is_judged_the_other_way_round():
    small = Threshold("below", 0.1)
    assert small.judge(effect(0.01, 0.09))[0] == "supported"
    assert small.judge(effect(0.2, 0.3))[0] == "refuted"


@pytest.mark.parametrize(
    ("interval", "state"),
    [
        ((-1, 1), "supported"),
        ((-1, 3), "open"),
        ((-3, 3), "open"),
        ((3, 4), "refuted"),
        ((-4, -3), "refuted"),
    ],
)
def test_equal_to_a_margin_is_judged_by_both_of_its_ends(interval, state):
    assert Threshold("within", 2).judge(effect(*interval))[0] == state


@pytest.mark.parametrize(
    ("few", "why"),
    [
        (effect(6, 8, n=2), "2 seeds are too few"),
        (effect(math.nan, math.nan), "5 seeds are too few"),
        (effect(6, 8)._replace(absent=1), "1 of 6 seeds have no value"),
        (effect(6, 8, n=0), "no runs to compare"),
        (effect(4, 8), "the interval contains the threshold"),
    ],
)
def test_what_is_open_says_why(few, why):
    assert Threshold("above", 5).judge(few) == ("open", why)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        (["supported", "supported"], "supported"),
        (["refuted"], "refuted"),
        (["supported", "refuted"], "refuted in part"),
        (["refuted", "open"], "refuted in part"),
        (["refuted", "no room"], "refuted in part"),
        (["supported", "open"], "supported in part"),
        (["supported", "no room"], "supported in part"),
        (["refuted", "open", "supported"], "refuted in part"),
        (["refuted in part", "supported"], "refuted in part"),
        (["supported in part", "open"], "supported in part"),
        (["open", "no room"], "open"),
        (["no room"], "open"),
    ],
)
def test_a_claim_is_what_its_parts_are(states, whole):
    verdict = combine([Verdict(state, effect(0, 1), "") for state in states])
    assert verdict.state == whole
    assert verdict.leaves == verdict.parts


def test_parts_that_differ_are_counted_beside_the_word():
    parts = {name: Verdict(state, effect(0, 1), "") for name, state in (("a", "refuted"), ("b", "open"))}
    assert combine_named(parts).words == "refuted in part: 1 refuted, 1 open"
    within = combine_named({"all": combine_named(parts), "c": Verdict("supported", effect(0, 1), "")})
    assert within.words == "refuted in part: 1 refuted, 1 open, 1 supported"
    assert combine_named({"a": parts["a"]}).words == "refuted"
    assert [part.name for part in within.refuted] == ["all: a"]
    assert Verdict("refuted", None, "").refuted == (Verdict("refuted", None, ""),)
    assert [part.name for part in combine_named({"all": combine_named({"a": parts["a"]})}).refuted] == ["all"]


def test_the_first_line_says_where_all_that_is_decided_is_so_by_arithmetic_alone():
    calculated = arithmetic(lambda: True, "Yes.").judge(None)
    fixed = Verdict("supported", effect(0, 1)._replace(test=OUTCOMES["fixed"].words), "")
    measured = Verdict("supported", effect(0, 1)._replace(test="signed ranks"), "")
    left = Verdict("open", effect(0, 1), "")
    assert combine([calculated, left]).words == "supported in part: by arithmetic alone; 1 supported, 1 open"
    assert combine([calculated, fixed]).words == "supported: by arithmetic alone"
    assert combine([calculated, measured, left]).words == "supported in part: 2 supported, 1 open"
    assert combine([left, left]).words == "open"


@pytest.mark.parametrize(
    ("parts", "lead"),
    [
        ([("supported", 1), ("open", 2), ("refuted", 3), ("refuted", 4)], 2),
        ([("supported", 0), ("supported", 1), ("open", 2)], 1),
        ([("supported", 0), ("open", 2)], 0),
        ([("supported", None), ("open", 2)], 1),
        ([("open", None)], None),
    ],
)
def test_the_lead_is_refuted_or_supported_by_more_than_arithmetic(parts, lead):
    whole = combine([Verdict(s, None if width is None else effect(6 - width, 6), "") for s, width in parts])
    assert whole.lead == (None if lead is None else whole.parts[lead])


def test_where_parts_have_parts_the_lead_is_the_one_that_came_nearest_to_its_threshold():
    def below(at, value):
        return Verdict(
            "supported", effect(value, value), "", margin=Threshold("below", at).margin(effect(value, value))
        )

    agrees = {"exact": below(1e-9, 1e-15), "limit": below(0.02, 0.0106), "also exact": below(1e-9, 1e-16)}
    whole = combine_named({"it agrees": combine_named(agrees), "alone": below(1, 0.99)})
    assert (whole.lead.name, whole.parts[0].lead.name) == ("limit", "limit")
    assert stored_verdict(json.loads(json.dumps(_plain(whole)))).lead.name == "limit"
    mixed = combine_named({"it agrees": combine_named(agrees | {"wrong": replace(agrees["limit"], state="refuted")})})
    assert mixed.lead.name == "wrong"


def test_of_margins_that_differ_by_rounding_alone_the_first_leads():
    first, second = (Verdict("supported", effect(1, 1), "", margin=0.1 + least) for least in (2e-16, 0.0))
    assert combine_named({"both": combine_named({"first": first, "second": second})}).lead.name == "first"


@pytest.mark.parametrize(
    ("kind", "at", "ends", "margin"),
    [
        ("above", 10, (12, 16), 0.2),
        ("below", 10, (4, 5), 0.5),
        ("within", 2, (-1, 0.5), 0.5),
        ("above", 0, (1, 3), 0.5),
    ],
)
def test_the_margin_is_what_is_left_to_the_threshold(kind, at, ends, margin):
    assert Threshold(kind, at).margin(effect(*ends)) == pytest.approx(margin)


def test_a_rule_is_applied_only_when_every_run_has_been_tried(runs):
    study = Study(question="q", claim=Claim("words", parts={"it is": arithmetic(lambda: True, "yes")}))
    assert judged(study, Results(runs), Looks(0)).state == "supported"  # a diverged run has been tried
    for status in ("missing", "running", "interrupted", "failed"):
        left = Results(runs.assign(status=np.where(runs["seed"] == 0, status, "finished")))
        waiting = judged(study, left, Looks(0))
        assert waiting.state == "open"
        assert "2 of 12 planned runs" in waiting.sentence


def test_a_claim_without_a_part_is_refused():
    with pytest.raises(ConfigError, match="claim “words”: has no parts, so nothing can decide it"):
        Claim("words")


def test_a_combined_verdict_says_which_part_came_out_how():
    parts = {name: Verdict(state, None, "") for name, state in (("a", "refuted"), ("b", "supported"), ("c", "refuted"))}
    combined = combine_named(parts)
    assert combined.state == "refuted in part"
    assert combined.sentence == "Refuted: a, c; supported: b."
