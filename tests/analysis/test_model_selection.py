"""Validation chooses a setting for each group; the test has no say."""

import math

import pandas as pd
import pytest

from gradreach.analysis.naming import named
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose


def runs(rows, metric="accuracy"):
    table = pd.DataFrame(rows, columns=["architecture", "optimizer.lr", "seed", f"val/{metric}", f"test/{metric}"])
    return table.assign(status="finished", metric=metric, run_id=[f"r{i}" for i in range(len(table))])


def picked(table, architecture="a"):
    return table.loc[table["chosen"] & (table["architecture"] == architecture), "optimizer.lr"].unique().tolist()


def test_the_setting_with_the_best_validation_mean_is_chosen_whatever_the_test_says():
    table = choose(
        runs([("a", 0.1, 0, 0.9, 0.1), ("a", 0.1, 1, 0.5, 0.1), ("a", 0.01, 0, 0.8, 0.9), ("a", 0.01, 1, 0.7, 0.9)]),
        ["architecture"],
    )
    assert picked(table) == [0.01]
    assert table["chosen"].sum() == 2
    assert (table["tried"] == 2).all()


def test_every_group_has_a_choice_of_its_own():
    table = choose(
        runs([("a", 0.1, 0, 0.9, 0), ("a", 0.01, 0, 0.8, 0), ("b", 0.1, 0, 0.2, 0), ("b", 0.01, 0, 0.8, 0)]),
        ["architecture"],
    )
    assert (picked(table), picked(table, "b")) == ([0.1], [0.01])


def test_of_a_squared_error_the_least_is_best():
    table = choose(runs([("a", 0.1, 0, 0.3, 0), ("a", 0.01, 0, 0.2, 9)], metric="mse"), ["architecture"])
    assert picked(table) == [0.01]


def test_a_diverged_run_counts_as_the_worst_there_is():
    table = runs([("a", 0.1, 0, 0.9, 0), ("a", 0.1, 1, math.nan, 0), ("a", 0.01, 0, 0.7, 0), ("a", 0.01, 1, 0.7, 0)])
    table.loc[1, "status"] = "diverged"
    assert picked(choose(table, ["architecture"])) == [0.1]  # (0.9 + 0.7) / 2
    table.loc[0, "val/accuracy"] = 0.69
    assert picked(choose(table, ["architecture"])) == [0.01]


def test_a_diverged_run_counts_as_little_as_the_worst_of_other_settings():
    tried = [(0.1, 0, 0.9), (0.1, 1, math.nan), (0.01, 0, 0.7), (0.01, 1, 0.7), (0.001, 0, 0.2), (0.001, 1, 0.2)]
    table = runs([("a", *run, 0) for run in tried])
    table.loc[1, "status"] = "diverged"
    assert picked(choose(table, ["architecture"])) == [0.01]  # 0.7; that of 0.1 is (0.9 + 0.2) / 2


def test_before_there_is_any_run_one_setting_stands_for_each_group():
    table = choose(runs([("a", 0.1, 0, math.nan, 0), ("a", 0.01, 0, math.nan, 0)]).assign(status="missing"), ["seed"])
    assert picked(table) == [0.01]


def test_what_is_read_for_chosen_runs_counts_as_asked_for():
    table = choose(runs([("a", 0.1, 0, 0.9, 0), ("a", 0.01, 0, 0.8, 0)]), ["architecture"])
    results = Results(table, lambda: pd.DataFrame({"lag": [1]}))
    chosen = results.where(CHOSEN)
    assert chosen.runs["run_id"].tolist() == ["r0"]
    assert not results.asked("profiles")
    assert len(chosen.profiles) == 1
    assert results.asked("profiles")


@pytest.mark.parametrize(
    ("value", "name"), [(1.0, "lstm b=1"), (None, "lstm"), (math.nan, "lstm"), ("none", "lstm"), ("default", "lstm")]
)
def test_a_setting_that_a_run_does_not_have_is_not_in_its_name(value, name):
    table = pd.DataFrame({"model": ["lstm"], "model.forget_bias": pd.Series([value], dtype=object)})
    form = "b={:g}" if isinstance(value, float) else "b={}"
    assert named(table, {"model.forget_bias": form, "model.absent": "x"}).tolist() == [name]
