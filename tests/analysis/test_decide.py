"""``gradreach decide``: what pilots say of a plan, each part with its own seeds."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.pages import decide as page
from gradreach.analysis.results import Results
from gradreach.analysis.stats.power import power
from gradreach.analysis.study.planned_rule import check_parts, seeds_of
from gradreach.errors import ConfigError
from gradreach.study import Claim, Study, compare, value

STUDY = """
from gradreach.study import Claim, Study, compare
MORE = compare("test/accuracy", "lstm", "rnn", each="task").above(0)
STUDY = Study(question="?", claim=Claim("It is.", id="C99", parts={"more": MORE}), looks=[12, 24])
"""


def runs(seeds, status="finished"):
    """Return runs of two tasks, with this many seeds each."""
    generator = np.random.default_rng(0)
    rows = [
        {"run_id": f"{task}{model}{seed}", "model": model, "task": task, "seed": seed, "status": status}
        | {
            "seq_len": 8,
            "kernel_size": None,
            "metric": "accuracy",
            "chance": 0.1,
            "test/accuracy": 0.5 + 0.03 * (model == "lstm") + 0.02 * generator.normal(),
        }
        for task, some in seeds.items()
        for model in ("rnn", "lstm")
        for seed in some
    ]
    return pd.DataFrame(rows)


PLAN = runs({"digits": range(100, 112), "mnist": range(100, 124)}, "missing").drop(columns="test/accuracy")


@pytest.fixture(autouse=True)
def few_sweeps(monkeypatch):
    monkeypatch.setattr("gradreach.analysis.stats.power.SWEEPS", 60)


def test_each_part_is_told_what_its_own_seeds_can_find(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(STUDY, encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "runs.csv").touch()
    monkeypatch.setattr(page, "load_runs", lambda *_: runs({"digits": range(6), "mnist": range(6)}))
    name, looks, rows = page.decide("C99", tmp_path, tmp_path, lambda name: PLAN)
    assert (name, [len(seeds) for seeds in looks.seeds]) == ("mine", [12, 24])
    assert rows["planned"].tolist() == [12, 24]


PARTS = """
from gradreach.study import Claim, Study, compare
SOLVED = compare("solved", "lstm", "rnn", outcome="share difference")
ACCURACY = compare("test/accuracy", "lstm", "rnn")
PARTS = {
    "no worse": SOLVED.above(-25),
    "alike": ACCURACY.within(8),
    "not there": compare("test/accuracy", "gru", "rnn").above(0),
}
STUDY = Study(question="?", claim=Claim("It is.", id="C99", parts=PARTS), solved={"val/accuracy": 90}, looks=[12, 24])
"""


@pytest.fixture
def decided(tmp_path, monkeypatch):
    """Return what is said of three parts, of pilots of which an LSTM solves a share and an RNN all."""

    def decided(share, pilots=8):
        (tmp_path / "mine.py").write_text(PARTS, encoding="utf-8")
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / "runs.csv").touch()
        table = runs({"digits": range(pilots)})
        right = (table["model"] == "rnn") | (table["seed"] < share * pilots)
        monkeypatch.setattr(page, "load_runs", lambda *_: table.assign(**{"val/accuracy": 0.5 + 0.5 * right}))
        plan = runs({"digits": range(100, 124)}, "missing").drop(columns="test/accuracy")
        return page.decide("C99", tmp_path, tmp_path, lambda name: plan)[2].set_index("part")

    return decided


def told(text):
    return float(text.replace("−", "-"))


def test_what_nobody_fails_is_no_worse_and_what_all_fail_is_refuted(decided):
    none, every = decided(0.0).loc["no worse"], decided(1.0).loc["no worse"]
    assert -25 < told(every["supported from"]) <= 0
    assert every["seeds needed"].endswith(", to be supported")
    assert none["seeds needed"].endswith(", to be refuted")
    assert -100 < told(none["refuted from"]) < -25


def test_of_within_the_largest_truth_that_is_still_found_so_is_told_and_the_least_beyond(decided):
    row = decided(1.0).loc["alike"]
    assert 0 < told(row["supported from"]) < 8 < told(row["refuted from"])
    assert row["drawn"] == "resampled"
    assert decided(1.0, pilots=4).loc["alike", "drawn"] == "normal"


def test_a_part_without_pilots_is_told_so(decided):
    assert decided(1.0).loc["not there", "seeds needed"] == "not known: no pilot runs"


def test_where_no_run_fails_pairs_do_not_differ_whatever_pilots_did():
    pilots, rng = np.array([-1.0] * 6 + [1.0] * 6), np.random.default_rng(0)
    alike = partial(power, "share difference", pilots, 0.05, lambda found: found.low == -found.high, 12, rng)
    assert alike(0.0, reference=1.0) == 1.0
    assert alike(0.0, reference=0.5) < 0.5


def test_six_pilots_that_have_two_modes_are_drawn_with_both():
    pilots = np.array([0.0] * 9 + [-30.0] * 3) + np.linspace(0, 1, 12)

    def beyond(draws):
        return power("ranks", draws, 0.05, lambda found: found.high > 8, 6, np.random.default_rng(0))

    assert beyond(pilots) == 0
    assert beyond(pilots[7:12]) > 0.3  # five: a normal law with their mean and spread


def test_a_part_has_the_seeds_that_both_of_its_sides_have():
    planned = Results(Study(question="?").prepare(PLAN[(PLAN["model"] == "lstm") | (PLAN["seed"] < 103)]))
    more = compare("test/accuracy", "lstm", "rnn", where={"task": "mnist"})
    assert seeds_of(more, planned) == {100, 101, 102}
    assert seeds_of(value("test/accuracy", "lstm", where={"task": "mnist", "solved": True}), planned) == set(
        range(100, 124)
    )


def test_a_part_with_fewer_seeds_than_the_sweep_is_refused_where_these_decide_nothing():
    few = PLAN[(PLAN["task"] == "mnist") | (PLAN["seed"] < 106)]
    parts = {"more": compare("test/accuracy", "lstm", "rnn", each="task").above(0)}
    declared = Study(question="?", claim=Claim("It is.", parts=parts), looks=[12, 24])
    check_parts(declared, Results(PLAN))
    with pytest.raises(
        ConfigError, match=r"“more”.*no outcome with 6 seeds at the first look .* look first at 8 seeds"
    ):
        check_parts(declared, Results(few))
