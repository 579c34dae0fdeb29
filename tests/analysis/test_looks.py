"""Looks: who decides, when, how surely, and what is refused before any run."""

import json

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.results import Results
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.study.looks import looks_of, planned_seeds
from gradreach.analysis.study.planned_rule import check_parts
from gradreach.analysis.study.rule import rule_words
from gradreach.errors import ConfigError
from gradreach.study import compare, share, value

LSTM, RNN = {"model": "lstm"}, {"model": "rnn"}
MORE = compare("test/accuracy", LSTM, RNN).above(5)
SOLVES = share("solved", LSTM).above(50)


def runs(seeds, gain=20.0, noise=0.0, status="finished", level=50.0, chance=0.1):
    generator = np.random.default_rng(0)
    rows = [
        {
            "run_id": f"{model}{seed}",
            "status": status,
            "model": model,
            "task": "recall",
            "seq_len": 50,
            "kernel_size": None,
            "optimizer.lr": 0.01,
            "seed": seed,
            "metric": "accuracy",
            "chance": chance,
            "val/accuracy": 0.95,
            "test/accuracy": (level + gain * (model == "lstm") + noise * generator.normal()) / 100,
        }
        for model in ("rnn", "lstm")
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def study(*parts, looks=(), **more):
    claim = Claim("It is.", parts={f"p{i}": part for i, part in enumerate(parts)})
    return Study(question="?", claim=claim, looks=looks, solved={"val/accuracy": 90}, **more)


def verdict(declared, frame, seeds=None):
    results = Results(declared.prepare(frame), derived=declared.columns)
    seeds = planned_seeds(frame["seed"], None) if seeds is None else seeds
    return judged(declared, results, looks_at(declared, results, seeds))


def test_parts_and_looks_share_the_error():
    looks = looks_of(3, [12, 18, 24], range(100, 124))
    assert looks.level == pytest.approx(0.05 / 9)
    assert looks.seeds[1] == tuple(range(100, 118))
    assert looks_of(3, [], range(100, 112)).level == pytest.approx(0.05 / 3)


@pytest.mark.parametrize("looks", [[12], [12, 30]])
def test_looks_end_with_the_last_planned_seed(looks):
    with pytest.raises(
        ConfigError, match=r"looks=.*: must end with the number of planned seeds, 24; plan seeds 100 to"
    ):
        looks_of(1, looks, range(100, 124))


def test_pilot_seeds_decide_nothing_and_say_what_they_point_to():
    found = verdict(study(MORE), runs(range(12)))
    assert found.state == "open"
    assert found.parts[0].why == "pilot seeds; they would say supported"
    assert "pilot seeds" in found.parts[0].sentence


def test_pilots_are_judged_at_the_level_of_the_looks_that_are_planned_and_the_rule_says_so():
    declared, seeds = study(MORE, SOLVES, looks=[12, 18, 24]), range(12)
    results = Results(declared.prepare(runs(seeds)), derived=declared.columns)
    pilots, planned = looks_at(declared, results, []), looks_at(declared, results, list(range(100, 124)))
    assert pilots.level == planned.level == pytest.approx(0.05 / 6)
    assert judged(declared, results, pilots).parts[0].effect.level == planned.level
    assert "at 3 planned looks, after 12, 18 and 24 seeds: each interval covers 99.17 %" in rule_words(pilots)
    assert "at 3 looks, after 12, 18 and 24 seeds: each interval covers 99.17 %" in rule_words(planned)


def test_signed_ranks_decide_only_where_the_median_by_signs_agrees_and_the_page_says_so():
    frame = runs(range(100, 112), gain=6, noise=0.1)
    rows = (frame["model"] == "lstm") & (frame["seed"] == 100)
    frame.loc[rows, "test/accuracy"] -= 0.009  # one of twelve is just below the threshold
    declared = study(MORE, *[SOLVES] * 8)
    part = verdict(declared, frame).parts[0]
    assert (part.state, part.effect.low > 5) == ("open", True)
    assert part.why.startswith("the median's interval by signs alone, ")
    assert part.why.endswith(" contains the threshold")
    frame.loc[rows, "test/accuracy"] += 0.009
    assert verdict(declared, frame).parts[0].state == "supported"


def test_a_part_whose_differences_are_a_mixture_is_told():
    frame = runs(range(100, 112), noise=0.1)
    assert "symmetric" not in str(verdict(study(MORE), frame).parts[0].effect)
    frame.loc[(frame["model"] == "lstm") & (frame["seed"] < 104), "test/accuracy"] -= 0.3
    assert str(verdict(study(MORE), frame).parts[0].effect).endswith("(n = 12; far from symmetric)")


def test_confirmatory_seeds_decide():
    assert verdict(study(MORE), runs(range(100, 112))).state == "supported"
    assert verdict(study(MORE), runs(range(100, 112), gain=1)).state == "refuted"
    assert verdict(study(MORE), runs(range(100, 112), gain=5, noise=1)).state == "open"


def test_a_look_that_is_not_complete_says_nothing():
    frame = runs(range(100, 118))
    frame.loc[frame["seed"] == 111, "status"] = "missing"
    found = verdict(study(MORE, looks=[12, 18]), frame)
    assert found.state == "open"
    assert found.sentence == "2 of the 24 runs of the look at 12 seeds are still to be done."
    frame.loc[frame["seed"] == 111, "status"] = "failed"
    assert verdict(study(MORE, looks=[12, 18]), frame).state == "open", "it has told nothing"


def test_what_a_look_has_decided_stays_so_and_what_is_open_waits_for_the_next():
    frame = runs(range(100, 118))
    later = frame["seed"] >= 112
    frame.loc[later & (frame["model"] == "lstm"), "test/accuracy"] = 0.0
    assert verdict(study(MORE, looks=[12, 18]), frame).state == "supported"
    assert verdict(study(MORE, looks=[18]), frame).state == "open"
    frame.loc[later, "status"] = "missing"
    found = verdict(study(MORE, compare("test/accuracy", LSTM, RNN).above(20), looks=[12, 18]), frame)
    assert [part.state for part in found.parts] == ["supported", "open"]
    assert found.state == "supported in part"
    assert found.parts[1].why.startswith(
        "the interval contains the threshold; 12 of the 36 runs of the look at 18 seeds"
    )


def test_seeds_of_no_plan_decide_nothing():
    stored = {"seeds": [0, 1, *range(100, 112)]}
    assert planned_seeds(range(100, 130), stored) == list(range(100, 112))
    assert planned_seeds(range(100, 103), None) == [100, 101, 102]
    assert planned_seeds(range(20), None) == []


@pytest.mark.parametrize(
    ("parts", "looks", "least"),
    [([SOLVES], 3, 7), ([SOLVES] * 2, 3, 8), ([MORE] * 3, 3, 9), ([MORE] * 6, 3, 10), ([MORE] * 14, 1, 10)],
)
def test_a_part_that_no_outcome_could_decide_is_refused_with_the_number_that_would_do(parts, looks, least):
    numbers = [least - 1 + i for i in range(looks)]
    planned = Results(runs(range(100, 100 + numbers[-1]), status="missing"))
    with pytest.raises(
        ConfigError, match=rf"part “p0”.*no outcome with {least - 1} seeds .* look first at {least} seeds"
    ):
        check_parts(study(*parts, looks=numbers), planned)
    numbers = [each + 1 for each in numbers]
    check_parts(study(*parts, looks=numbers), Results(runs(range(100, 100 + numbers[-1]), status="missing")))
    check_parts(study(*parts, looks=numbers), Results(runs(range(3), status="missing")))  # pilots


def test_which_runs_solve_their_task_is_not_asked_before_they_are_done(capsys):
    planned = Results(runs(range(100, 112), status="missing").drop(columns="val/accuracy"))
    check_parts(study(value("test/accuracy", LSTM, where={"solved": True}).above(50)), planned)
    assert "nothing decides it" not in capsys.readouterr().err
    check_parts(study(value("test/accuracy", {"model": "gru"}).above(50)), planned)
    assert "nothing decides it" in capsys.readouterr().err


def test_a_share_against_nine_tenths_needs_more():
    assert share("solved", LSTM).above(50).least(0.05) == 6
    assert share("solved", LSTM).above(90).least(0.05) == 36  # 0.9 ** n <= 0.025
    assert value("test/accuracy", LSTM).above(50).least(0.05) == 3


@pytest.mark.parametrize(
    ("level", "gain", "part", "state"),
    [
        (97.0, 1.0, MORE, "no room"),
        (90.0, 1.0, MORE, "refuted"),
        (3.0, 3.0, MORE, "no room"),  # at chance, both
        (97.0, 1.0, compare("test/accuracy", LSTM, RNN).within(5), "no room"),
        (97.0, 1.0, compare("test/accuracy", LSTM, RNN).below(5), "no room"),
        (97.0, -50.0, compare("test/accuracy", LSTM, RNN).below(-5), "supported"),
        (50.0, 1.0, compare("test/accuracy", LSTM, RNN).within(5), "supported"),
    ],
)
def test_where_nothing_could_come_out_there_is_no_room(level, gain, part, state):
    (leaf,) = verdict(study(part), runs(range(100, 112), gain=gain, level=level)).parts
    assert leaf.state == state
    assert bool(leaf.why) == (state == "no room")


@pytest.mark.parametrize(("margin", "state"), [(20, "open"), (30, "no room")])
def test_twelve_of_twelve_leave_room_as_far_as_an_exact_share_does(margin, state):
    """Student's t takes what came out alike for certain; by Clopper and Pearson 12 of 12 may be 73.5 %."""
    part = compare("solved", LSTM, RNN, outcome="share difference").above(margin)
    (leaf,) = verdict(study(part), runs(range(100, 112))).parts
    assert leaf.state == state
    assert state == "open" or leaf.why.startswith("the reference, 73.5 to 100, lies within 30 of the bound 100")


def test_sides_of_ranks_have_room_by_ranks_so_that_one_run_that_diverged_does_not_pass_for_none():
    frame = runs(range(100, 112)).drop(columns="test/accuracy")
    frame = frame.assign(**{"test/mse": np.where(frame["model"] == "lstm", 0.001, 0.002)})
    part = compare("test/mse", LSTM, RNN).below(-0.01)
    assert verdict(study(part), frame).parts[0].state == "no room"
    some = (frame["model"] == "rnn") & (frame["seed"] < 104)
    frame.loc[some, "status"] = "diverged"
    assert verdict(study(part), frame).parts[0].state == "open"  # a mean without them would lie at 0.002


def test_a_share_over_several_settings_is_no_share():
    frame = pd.concat([runs(range(6)), runs(range(6)).assign(seq_len=100, **{"val/accuracy": 0.5})])
    declared = study(share("solved", LSTM, over="seq_len").above(50))
    with pytest.raises(ConfigError, match=r"outcome of solved.*: needs a column of true and false; use each="):
        verdict(declared, frame)


def test_an_outcome_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="outcome=rank; did you mean ranks"):
        compare("test/accuracy", LSTM, RNN, outcome="rank")


@pytest.mark.parametrize("outcome", ["mean", "ranks", "share difference", "ranks of a mixture"])
def test_a_plan_with_looks_decides_wrongly_at_most_one_time_in_twenty(outcome):
    """Where nothing is to be found. Two parts, three looks, and whoever looks stops at the first that decides."""
    generator, repeats, wrong = np.random.default_rng(1), 2000, 0
    looks, deciding = looks_of(2, [12, 18, 24], range(100, 124)), OUTCOMES[outcome.split(" of ")[0]].deciding
    for _ in range(repeats):
        drawn = generator.normal(size=(2, 24))
        if outcome == "ranks of a mixture":  # runs that have failed; less its median
            drawn = np.where(generator.random((2, 24)) < 0.3, 3 * drawn - 30, drawn) + 0.56595
        parts = np.sign(np.round(drawn)) if outcome == "share difference" else drawn
        found = (deciding(part[: len(seen)], looks.level) for part in parts for seen in looks.seeds)
        wrong += any(each.low > 0 or each.high < 0 for each in found)
    assert wrong / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_a_plan_keeps_the_seeds_that_were_first_planned_to_decide():
    from gradreach.run_table import committed

    known = pd.DataFrame({"seed": [0, 1]})
    first = committed._is_first_plan
    assert first([0, 1], pd.DataFrame({"run_id": []}), {})
    assert not first([0, 1, 2], known, {"rule": json.dumps({"seeds": [0, 1]})})
    assert first([100, 101], known, {"rule": json.dumps({"seeds": [0, 1]})})
    assert first([100, 101], known, {})
    assert not first([100, 101, 102], known, {"rule": json.dumps({"seeds": [100, 101]})})
