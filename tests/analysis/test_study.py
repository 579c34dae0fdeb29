"""A study: what its parts mean, what follows from them, and what is refused before anything is made of it."""

import ast
import math
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.budget import budget
from gradreach.analysis.study.declaration import outcomes
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.study.parts import Threshold, judge_parts, leaves_of
from gradreach.analysis.study.planned_rule import check_parts
from gradreach.analysis.study.rule import _written, digest_of, stored_rule
from gradreach.analysis.study.study_files import load_study, of_project
from gradreach.errors import ConfigError
from gradreach.study import (
    Answer,
    Claim,
    Study,
    arithmetic,
    by_function,
    column,
    compare,
    computed,
    contrast,
    effect_of,
    effects,
    figure,
    measure,
    share,
    table,
    time_ratio,
    value,
)


def runs(models=("rnn", "lstm"), lengths=(50, 100), rates=(0.01,), seeds=range(5), **columns):
    """Return a run table in which every number follows from its place."""
    rows = [
        {
            "run_id": f"{model}{length}{rate}{seed}",
            "status": "finished",
            "model": model,
            "task": "recall",
            "seq_len": length,
            "kernel_size": None,
            "seed": seed,
            "model.forget_bias": None,
            "optimizer.lr": rate,
            "metric": "accuracy",
            "chance": 0.1,
            "parameters": 100 * (1 + models.index(model)),
            "val/accuracy": 0.5 + rate,
            "train/accuracy": 0.9,
            "test/accuracy": 0.3 + 0.2 * models.index(model) - 0.001 * length + 0.01 * (seed * (1 + length)) % 0.03,
        }
        for model in models
        for length in lengths
        for rate in rates
        for seed in seeds
    ]
    return pd.DataFrame(rows).assign(**columns)


def two_biases(frame):
    """Return every run twice, with a forget bias of 1 and without one."""
    twice = frame.loc[frame.index.repeat(2)].reset_index(drop=True)
    return twice.assign(**{"model.forget_bias": np.where(twice.index % 2, 1.0, math.nan)})


def results(frame=None, **study):
    declared = Study(question="?", **study)
    found = Results(declared.prepare(runs() if frame is None else frame), derived=declared.columns)
    return declared.of_chosen(found)


LSTM, RNN = {"model": "lstm"}, {"model": "rnn"}


def test_accuracies_are_in_per_cent_and_their_differences_in_points():
    assert value("test/accuracy", LSTM, where={"seq_len": 50}).of(results()).unit == "%"
    gain = compare("test/accuracy", LSTM, RNN, where={"seq_len": 50}).of(results())
    assert (gain.value, gain.unit) == (pytest.approx(20), "points")
    assert gain.label == "test accuracy, LSTM − RNN, sequence length 50"


def test_over_takes_the_mean_of_each_seed():
    frame = runs()
    effect = value("test/accuracy", RNN, over="seq_len").of(results(frame))
    by_seed = 100 * frame[frame["model"] == "rnn"].groupby("seed")["test/accuracy"].mean()
    interval = stats.ttest_1samp(by_seed, 0).confidence_interval()
    assert (effect.value, effect.low, effect.high) == pytest.approx((by_seed.mean(), interval.low, interval.high))
    assert effect.n == 5


def test_pairs_of_a_seed_rest_on_what_both_sides_have_done():
    frame = runs()
    frame.loc[(frame["model"] == "lstm") & (frame["seq_len"] == 100) & (frame["seed"] == 0), "status"] = "failed"
    effect = compare("test/accuracy", LSTM, RNN, over="seq_len").of(results(frame))
    assert effect.value == pytest.approx(20)  # without this seed, of which the short sequences alone would count
    assert (effect.n, effect.absent) == (4, 1)


RUN = {"model": "lstm", "seq_len": 100, "seed": 0}
OVER = [
    value("test/accuracy", LSTM, over="seq_len"),
    compare("test/accuracy", LSTM, RNN, over="seq_len"),
    compare("test/accuracy", LSTM, RNN, over="seq_len", ratio=True),
    contrast("train/accuracy", "test/accuracy", LSTM, over="seq_len", label="lost"),
]


@pytest.mark.parametrize("quantity", OVER)
@pytest.mark.parametrize(
    ("column", "found", "counted", "absent"),
    [
        ("status", "finished", 5, 0),
        ("status", "failed", 4, 1),  # what is left of the seed would be a mean of something else
        ("test/accuracy", math.nan, 4, 1),
        ("status", "missing", 4, 0),  # to come: the page says so
        ("status", "interrupted", 4, 0),
    ],
)
def test_a_seed_counts_whole_or_not_at_all_and_one_that_is_left_out_is_told(quantity, column, found, counted, absent):
    frame = runs()
    frame.loc[(frame[list(RUN)] == pd.Series(RUN)).all(axis=1), column] = found
    effect = quantity.of(results(frame))
    assert (effect.n, effect.absent) == (counted, absent)
    rows = effects("t", {"it": quantity}, "T.").table(results(frame)).compute(results(frame))
    assert rows.get("seeds left out", pd.Series([0])).tolist() == [absent]


def test_a_run_that_diverged_leaves_its_seed_out_where_no_end_is_worse():
    frame = runs(**{"gradient/start/h.decay": 0.5, "gradient/end/h.decay": 0.5})
    frame.loc[(frame[list(RUN)] == pd.Series(RUN)).all(axis=1), "status"] = "diverged"
    after = value("gradient/end/h.decay", LSTM, over="seq_len").of(results(frame))
    assert (after.n, after.absent) == (4, 1)
    before = value("gradient/start/h.decay", LSTM, over="seq_len").of(results(frame))
    assert (before.n, before.absent) == (5, 0)  # it was measured before anything could diverge
    assert value("test/accuracy", LSTM, over="seq_len").of(results(frame)).absent == 0  # it counts as the worst


def test_a_run_that_lacks_what_it_needs_does_not_count_and_its_seed_does():
    frame = runs(**{"gradient/start/h.half_life": 3.0, "gradient/start/h.r2": 0.95})
    frame.loc[
        (frame[list(RUN)] == pd.Series(RUN)).all(axis=1), ["gradient/start/h.half_life", "gradient/start/h.r2"]
    ] = [9, 0.5]
    one = value("gradient/start/h.half_life", LSTM, over="seq_len").of(results(frame))
    assert (one.value, one.n, one.absent) == (3, 5, 0)
    frame.loc[frame["seed"] == 0, "gradient/start/h.r2"] = 0.5
    assert value("gradient/start/h.half_life", LSTM, over="seq_len").of(results(frame)).absent == 1  # none counts


def test_seeds_that_are_means_of_different_things_are_refused_before_the_runs():
    planned = runs(status="missing", seeds=range(100, 104))
    some = planned[~((planned["seed"] == 103) & (planned["seq_len"] == 100))]
    declared = study(value("test/accuracy", "lstm", over="seq_len").above(0))
    check_parts(declared, Results(planned))
    with pytest.raises(
        ConfigError, match="“p”: seed 103 has 1 of 2 combinations of seq_len; plan all of them for every seed, or"
    ):
        check_parts(declared, Results(some))


def test_each_makes_a_part_of_every_value():
    claim = Claim("It is.", parts={"more": compare("test/accuracy", LSTM, RNN, each="seq_len").above(5)})
    declared = Study(question="?", claim=claim)
    found = results(runs(seeds=range(100, 108)))
    looks = looks_at(declared, found, range(100, 108))
    verdict = judged(declared, found, looks)
    (part,) = verdict.parts
    assert [leaf.name for leaf in part.parts] == ["seq_len 50", "seq_len 100"]
    assert outcomes(verdict) == "2 supported"
    assert looks.level == 0.025, "two parts share the error"


def test_a_ratio_is_that_of_geometric_means():
    effect = compare("parameters", LSTM, RNN, over="seq_len", ratio=True, outcome="mean").of(results())
    assert effect[1:4] == pytest.approx((2, 2, 2))
    assert effect.unit == "times"


def test_a_share_is_that_of_runs_in_per_cent():
    frame = runs()
    frame["val/accuracy"] = np.where(frame["seed"] < 2, 0.95, 0.5)
    solved = results(frame, solved={"val/accuracy": 90})
    assert share("solved", LSTM, where={"seq_len": 50}).of(solved).value == pytest.approx(40)


def test_a_share_of_seeds_asks_each_of_them_for_so_many_of_its_runs():
    frame = runs(lengths=range(10), seeds=range(100, 112))
    frame["val/accuracy"] = np.where(frame["seq_len"] < 9, 0.95, 0.5)  # nine of the ten runs of a seed
    frame.loc[(frame["seed"] == 100) & (frame["seq_len"] == 0), "val/accuracy"] = 0.5  # and of this one eight
    solved = results(frame, solved={"val/accuracy": 90})
    counted = {least: share("solved", LSTM, over="seq_len", least=least) for least in (80, 90, 91)}
    assert {least: each.of(solved).value for least, each in counted.items()} == pytest.approx(
        {80: 100, 90: 1100 / 12, 91: 0}
    )
    found = counted[90].of(solved)
    exact = stats.binomtest(11, 12).proportion_ci(method="exact")
    assert (found.low, found.high, found.n) == pytest.approx((100 * exact.low, 100 * exact.high, 12))
    assert found.label.endswith("LSTM, seeds with at least 90 % of their runs over sequence length")
    assert digest_of(of_part(counted[80].above(50))) != digest_of(of_part(counted[90].above(50)))


@pytest.mark.parametrize("option", [{}, {"over": "seq_len", "outcome": "mean"}])
def test_a_least_share_of_runs_is_refused_where_a_seed_has_one_run_or_no_share(option):
    with pytest.raises(ConfigError, match=r"least=90: works only for a share over several runs per seed; write share"):
        share("solved", LSTM, least=90, **option)


def test_a_function_of_what_is_true_or_not_is_judged_in_per_cent():
    def won(results):
        return effect_of("won", [True] * 11 + [False], "%", results.level, outcome="share")

    part = by_function(won, outcome="share").above(50)
    exact = stats.binomtest(11, 12).proportion_ci(method="exact")
    assert part.judge(results()).effect[1:5] == pytest.approx((1100 / 12, 100 * exact.low, 100 * exact.high, 12))
    assert part.judge(results()).state == "supported"
    assert part.least(0.05) == 6, "of six true ones the interval begins at 54 %"


def of_part(part):
    return Study(question="?", claim=Claim("It is.", parts={"p": part}))


def test_a_run_without_a_number_has_not_solved_its_task():
    frame = runs(status="diverged", **{"val/accuracy": math.nan})
    assert not results(frame, solved={"val/accuracy": 0}).runs["solved"].any()


def test_what_a_number_needs_is_seen_to():
    frame = runs(lengths=(50,), **{"gradient/start/h.half_life": 3.0, "gradient/start/h.r2": 0.95})
    frame.loc[frame["seed"] < 2, "gradient/start/h.r2"] = 0.5
    assert value("gradient/start/h.half_life", LSTM).of(results(frame)).n == 3  # by itself
    assert value("test/accuracy", LSTM, needs=("gradient/start/h.r2", 0.9)).of(results(frame)).n == 3


def test_a_selector_that_leaves_a_swept_setting_open_is_refused_with_what_to_say():
    frame = two_biases(runs(lengths=(50,)))
    with pytest.raises(
        ConfigError, match=r"“p”: lstm: model\.forget_bias is not fixed \(1, –\); give over='model\.forget"
    ):
        value("test/accuracy", LSTM).of(results(frame), "p")
    both = value("test/accuracy", LSTM, over="model.forget_bias").of(results(frame))
    default = value("test/accuracy", {**LSTM, "model.forget_bias": None}).of(results(frame))
    assert both.n == default.n == 5


def test_parts_are_checked_before_there_is_any_run():
    planned = runs(status="missing")[["run_id", "status", "model", "task", "seq_len", "kernel_size", "seed"]]
    opened = Study(question="?", claim=Claim("It is.", parts={"p": value("test/accuracy", "lstm").above(0)}))
    with pytest.raises(ConfigError, match="seq_len is not fixed"):
        check_parts(opened, Results(planned))
    closed = Claim("It is.", parts={"p": value("test/accuracy", "lstm", over="seq_len").above(0)})
    check_parts(Study(question="?", claim=closed), Results(planned))


def test_a_rate_is_chosen_for_every_combination_of_the_other_settings():
    frame = runs(rates=(0.001, 0.01))
    better = (frame["seq_len"] == 100) & (frame["optimizer.lr"] == 0.001)
    frame.loc[better, "val/accuracy"] = 0.9
    chosen = results(frame, choose="optimizer.lr").runs
    assert chosen.groupby("seq_len")["optimizer.lr"].unique().map(list).to_dict() == {50: [0.01], 100: [0.001]}
    assert value("test/accuracy", RNN, over="seq_len").of(results(frame, choose="optimizer.lr")).n == 5


def test_a_setting_that_no_run_has_cannot_be_chosen():
    with pytest.raises(ConfigError, match=r"choose=optimizer\.rl: no run has this setting; did you mean optimizer\.lr"):
        results(choose="optimizer.rl")


@pytest.mark.parametrize(
    ("kind", "interval", "state"),
    [
        ("above", (6, 8), "supported"),
        ("above", (4, 8), "open"),
        ("above", (1, 4), "refuted"),
        ("below", (1, 4), "supported"),
        ("below", (6, 8), "refuted"),
        ("within", (-4, 4), "supported"),
        ("within", (-8, -6), "refuted"),
        ("within", (4, 6), "open"),
    ],
)
def test_a_threshold_needs_the_whole_interval_on_one_side(kind, interval, state):
    low, high = interval
    effect = Effect("gain", (low + high) / 2, low, high, 5)
    assert Threshold(kind, 5).judge(effect)[0] == state
    assert Threshold(kind, 5).judge(effect._replace(n=2))[0] == "open"


def test_a_part_says_its_number_with_its_interval_and_the_threshold():
    part = compare("test/accuracy", LSTM, RNN, where={"seq_len": 50}).above(5)
    verdict = part.judge(results(runs(seeds=range(6))))
    assert verdict.sentence == (
        "test accuracy, LSTM − RNN, sequence length 50: 20 points, identical in all runs; threshold: above 5 points."
    )


def test_a_part_by_a_function_and_one_by_arithmetic():
    def gain(found):
        return effect_of("gain", [1.0, 2.0, 3.0, 2.0])

    parts = {"counted": arithmetic(lambda: 1 + 1 == 2, "Two."), "all": {"gained": by_function(gain).within(5)}}
    assert outcomes(judge_parts(parts, results())) == "2 supported"
    assert list(leaves_of(parts)) == ["counted", "all: gained"]


def test_what_stands_beside_a_number_is_told_with_it():
    beside = {"RNN": value("test/accuracy", RNN, over="seq_len"), "runs": lambda found: len(found.finished) / 1}
    effect = value("test/accuracy", LSTM, over="seq_len", beside=beside).of(results())
    assert effect.label.endswith(" %; runs 20)")
    assert "(RNN " in effect.label


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Claim("It is."), "claim “It is.”: has no part"),
        (lambda: Claim("It is.", parts={"p": value("x", "lstm")}), "part “p”: has no threshold; end it by"),
        (lambda: figure("metric_againts"), "did you mean metric_against"),
        (lambda: figure(lambda found, stem: None), "a figure of your own needs a caption"),
        (lambda: table(), "shows no column"),
        (lambda: Study(question="Q", show=[table("test/accuracy"), table("val/accuracy")]), "Q: two tables are called"),
        (lambda: results(derive={"x": lambda r: r["sed"]}), "derive x: there is no column sed; did you mean seed"),
        (lambda: results().where({"modle": "rnn"}), "where modle=rnn: there is no such column; did you mean model"),
        (lambda: results(solved={"parameters": 3}), "solved parameters=3: must be an accuracy or an error"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(declare, message):
    with pytest.raises(ConfigError) as refused:
        declare()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_of_what_no_run_has_measured_is_left_out():
    gap = column(lambda r: r["train/accuracy"] - r["test/accuracy"], "gap", "points")
    assert "gap" not in results(runs().drop(columns="train/accuracy"), derive={"gap": gap}).runs
    found = value("gap", LSTM, over="seq_len").of(results(derive={"gap": gap}))
    assert (found.value, found.unit, found.label) == (
        pytest.approx(46, abs=2),
        "points",
        "gap, LSTM, mean over sequence length",
    )


def test_some_of_the_results_share_the_tables_that_are_read_once():
    read = []
    whole = Results(runs(), lambda: read.append(1) or pd.DataFrame({"lag": [1]}))
    some = whole.where(LSTM).where(whole.runs["seed"] < 2)
    assert len(some.runs) == 4
    assert len(some.profiles) == len(whole.where(RNN).profiles) == 1
    assert read == [1]
    assert whole.asked("profiles")


def test_tables_tell_units_choice_and_needs_by_themselves():
    found = results(runs(rates=(0.001, 0.01)), choose="optimizer.lr")
    shown, _ = table("test/accuracy", columns="seq_len", where=LSTM).view_of(found)
    assert (shown.name, shown.caption) == ("accuracy", "Test accuracy in per cent, LSTM.")
    assert "Best in validation of 2 values for each; the test split was not used to choose." in shown.reading
    assert (shown.measures[0].scale, shown.measures[0].best) == (100, "max")
    halved, _ = table("gradient/start/h.half_life").view_of(found)
    assert "only where the curve is an exponential (R² at least 0.9)" in halved.reading


def test_rates_tried_are_a_column_where_they_differ_between_rows():
    frame = runs(rates=(0.001, 0.01))
    frame = frame[(frame["model"] == "lstm") | (frame["optimizer.lr"] == 0.01)]
    shown, _ = table("test/accuracy", columns="seq_len").view_of(results(frame, choose="optimizer.lr"))
    assert shown.rows == ("architecture", "tried")


def test_a_table_of_effects_has_a_row_for_each_place():
    made = effects("gains", {"lstm − rnn": compare("test/accuracy", LSTM, RNN, each="seq_len")}, "Gains.")
    rows = made.table(results()).compute(results())
    assert rows[["what", "seq_len", "seeds"]].to_numpy().tolist() == [["lstm − rnn", 50, 5], ["lstm − rnn", 100, 5]]


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        (
            compare("test/accuracy", "lstm", "rnn", outcome="mean"),
            "Mean and 95 % interval (Student's t) of pairs",
        ),
        (
            compare("test/accuracy", "lstm", "rnn"),
            "Pseudomedian and 95 % interval (signed ranks) of pairs of",
        ),
        (compare("parameters", "lstm", "rnn", ratio=True), "one that holds 1 does not tell them apart."),
        (compare("test/accuracy", "lstm", "rnn", outcome="examples"), "(Student's t over seeds and examples) of pairs"),
        (compare("parameters", "lstm", "rnn", outcome="fixed"), "No test: the same in every run. Read it so."),
        (contrast("a", "b", "lstm", label="a − b"), "Pseudomedian and 95 % interval (signed ranks)."),
        (share("solved", "lstm"), "Share and 95 % interval (exact binomial)."),
        (time_ratio("gru", "lstm"), "(signed ranks, over rounds) of pairs of one round: one that holds 1"),
    ],
)
def test_a_table_of_effects_says_by_which_test_its_intervals_are_found(quantity, said):
    reading = effects("t", {"it": quantity}, "T.", "Read it so.").table(results()).reading
    assert said in reading
    assert reading.endswith(" Read it so.")


def test_a_table_of_ones_own_waits_for_the_first_run():
    made = computed("t", lambda found: 1 / 0, "T.").table(results())
    assert made.compute(results(runs(status="missing"))).to_dict("records") == [{"runs": "none yet"}]


def test_the_budget_is_read_from_the_runs():
    frame = runs(rates=(0.003, 0.01), **{"steps": 1000, "trainer.epochs": 20, "optimizer.name": "adam"})
    assert budget(frame, "optimizer.lr") == (
        "Budget: 1,000 steps of adam, 20 epochs, 100 and 200 parameters, 5 seeds (0 to 4), learning rates tried: 0.003 "
        "and 0.01."
    )
    quick = runs(seeds=[0, 7], steps=50)
    assert "50 steps" in budget(quick)
    assert "2 seeds (0 and 7)" in budget(quick)


PART = value("test/accuracy", "lstm", over="seq_len")


def study(part, **more):
    return Study(question="?", claim=Claim("It is.", parts={"p": part}), **more)


def test_the_digest_is_of_what_decides_and_of_no_words():
    kept = digest_of(study(PART.above(5)))
    labelled = value("test/accuracy", "lstm", over="seq_len", label="recalled", beside={"n": len})
    words = Study(question="??", caveats=["."], claim=Claim("So.", parts={"other": labelled.above(5)}))
    assert digest_of(words) == kept
    others = [
        study(PART.above(6)),
        study(PART.below(5)),
        study(value("test/accuracy", "lstm").above(5)),
        study(value("val/accuracy", "lstm", over="seq_len").above(5)),
        study(PART.above(5), choose="optimizer.lr"),
        study(PART.above(5), solved={"val/accuracy": 90}),
        study(PART.above(5), derive={"x": lambda r: r["seed"]}),
        study(PART.above(5), looks=[12, 18]),
    ]
    assert len({kept, *map(digest_of, others)}) == 1 + len(others)


def test_a_function_counts_by_its_code_and_not_by_its_comments():
    def one(found):
        """Say."""
        return effect_of("", [1.0])  # one

    def same():
        def one(found):
            return effect_of("", [1.0])

        return one

    def other():
        def one(found):
            return effect_of("", [2.0])

        return one

    assert digest_of(study(by_function(one).above(0))) == digest_of(study(by_function(same()).above(0)))
    assert digest_of(study(by_function(one).above(0))) != digest_of(study(by_function(other()).above(0)))


def test_a_digest_is_the_same_whatever_quotes_a_python_writes():
    """From 3.12 on an f-string is written in quotes that stand within it; stored digests are of what 3.11 writes."""
    source = """def name(a, b):\n    return f"{a!r:>{len(b)}} {', '.join(b)} {{it's}} {(1 if a else 2):.1f}\\n\""""
    assert _written(source) == {1: [source]}
    if sys.version_info < (3, 12):
        assert ast.unparse(ast.parse(source)) == source


BOUND, OTHERS = 5, {"a", "b"}


def test_a_function_counts_with_what_it_takes_from_outside(monkeypatch):
    def bounded(most):
        return study(PART.above(5), derive={"x": lambda runs: runs["seed"] < most})

    def helped():
        return 1 if len(OTHERS) < BOUND else 2

    of_module = study(
        PART.above(5),
        derive={"x": lambda runs: helped()},
    )
    assert digest_of(bounded(1)) == digest_of(bounded(1)) != digest_of(bounded(2))
    assert digest_of(study(PART.above(5), derive={"x": partial(max, 1)})) != digest_of(
        study(PART.above(5), derive={"x": partial(max, 2)})
    )
    before = digest_of(of_module)
    monkeypatch.setitem(globals(), "BOUND", 6)
    assert digest_of(of_module) != before, "named by a function that the lambda names"


def test_the_page_says_what_a_stored_digest_shows():
    declared = study(PART.above(5))
    stored = {"date": "2026-11-29", "digest": digest_of(declared), "seeds": [100, 101], "done": 0}
    assert stored_rule(declared, stored, [100, 101]) == (
        "A digest of this rule was stored on 2026-11-29, before any of its runs; the rule has not changed since."
    )
    assert stored_rule(declared, stored, [100, 101, 102]).endswith("Seeds of no plan, which decide nothing: 102.")
    assert "changed since" in stored_rule(study(PART.above(6)), stored, [100, 101])
    assert "when 3 of its runs had been done" in stored_rule(declared, {**stored, "done": 3}, [100, 101])
    assert "No digest" in stored_rule(declared, None, [0, 1])
    pilots = stored_rule(study(PART.above(6)), {**stored, "seeds": [0, 1]}, [0, 1])
    assert pilots.endswith("was stored on 2026-11-29, when its pilots were planned; the rule has changed since.")


@pytest.mark.parametrize("looks", [[18, 12], [0], [12, 12]])
def test_looks_that_do_not_ascend_are_refused(looks):
    with pytest.raises(ConfigError, match=r"looks=.*: must be ascending numbers of seeds"):
        study(PART.above(5), looks=looks)


def test_what_is_part_of_the_project_stands_in_one_file(tmp_path):
    assert of_project(["a", "mine"], tmp_path) == ["a", "mine"]
    (tmp_path / "project.txt").write_text("# ours\na\n", encoding="utf-8")
    assert of_project(["a", "mine"], tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1/0", r"mine\.py: cannot be read \(ZeroDivisionError: division by zero\)"),
        ("X = 1", r"mine\.py: has no STUDY; write STUDY = Study"),
        ("from gradreach.study import Claim\nClaim('So.')", r"mine\.py: claim “So\.”: has no part"),
    ],
)
def test_a_study_that_cannot_be_read_is_named_in_one_line(tmp_path, text, message):
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_study("mine", tmp_path)


def test_measures_take_what_differs_from_how_a_column_is_known():
    asked = measure("test/accuracy", "recalled", digits=0, best=None).measure(results())
    assert (asked.label, asked.digits, asked.best, asked.scale) == ("recalled", 0, None, 100)


def test_an_answer_stands_only_for_the_outcomes_that_it_was_written_for(tmp_path):
    from gradreach.analysis.pages.built import Built

    declared = study(PART.above(5), answer=Answer("Yes, it is.", outcomes="supported"))
    found = results(runs(seeds=range(6)))

    def built(of):
        return Built("mine", of, found, (), {}, {}, judge_parts(of.parts, found), "", (), "", tmp_path)

    assert (built(declared).answer, built(declared).outdated_answer) == ("Yes, it is.", "")
    other = built(study(PART.above(95), answer=declared.answer))
    assert other.answer == "Refuted: p."
    assert "mine: its answer was written for “supported”, but the parts came out “refuted”" in other.outdated_answer
    assert built(study(PART.above(5))).answer == "Supported: p."
    counted = Answer(lambda every: f"{len(every.runs)} runs, all told.", outcomes="supported")
    assert built(study(PART.above(5), answer=counted)).answer == f"{len(found.runs)} runs, all told."
