"""Rows, columns, panels and choices come in the order that people expect, and null is a value like others."""

import random

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.figures.panels import panels_of
from gradreach.analysis.figures.scores import metric_against
from gradreach.analysis.naming import plain
from gradreach.analysis.results import Results
from gradreach.analysis.study.page_figures import figure
from gradreach.analysis.study.page_tables import table as table_of
from gradreach.analysis.tables import adhoc
from gradreach.analysis.tables.layout import make
from gradreach.errors import ConfigError
from gradreach.look import axis_label, without_unit
from gradreach.run_table.columns import as_frame
from made_up import results

VALUES = {
    "optimizer.lr": [0.0003, 0.001, 0.01, 0.1, 1.0],
    "model.layers": [1, 2, 9, 10, 100],
    "trainer.clip_norm": [None, 0.5, 1.0, 10.0],
    "trainer.stop_when": [None, "2", "10", "early"],
    "model.channels": ["[8, 16]", "[8, 128]", "[16, 4]"],
    "task.corpus": ["part 2", "part 10", "whole"],
    "model.bidirectional": [False, True],
}
"""Values of settings, each in the order that is expected."""


def runs_of(key, values):
    """Return the run table of runs that differ in a setting and a seed; run ids say nothing of it."""
    chance = random.Random(key)
    rows = []
    for value, seed in ((value, seed) for value in values for seed in range(2)):
        row = {"run_id": f"{chance.getrandbits(64):016x}", "status": "finished", "model": "rnn", "task": "digits"}
        row |= {"seq_len": 64, "seed": seed, key: value, "metric": "accuracy", "chance": 0.1}
        rows.append({**row, "test/accuracy": 0.5})
    chance.shuffle(rows)
    return as_frame(rows)


@pytest.mark.parametrize("key", VALUES)
def test_rows_and_columns_ascend_whatever_the_run_ids(key):
    runs = runs_of(key, VALUES[key])
    expected = ["–" if value is None else str(value) for value in VALUES[key]]
    short = [text.removesuffix(".0") for text in expected]
    for asked in (
        adhoc.table(runs, [key], [], ["test/accuracy"]),
        table_of("test/accuracy", rows=key).table(Results(runs)),
    ):
        view = make(asked, Results(runs))
        assert view.text[axis_label(key)].tolist()[:-1] == short  # the last row is chance
        assert view.numbers[key].map(plain).tolist() == short
    beside = make(adhoc.table(runs, ["model"], [key], ["test/accuracy"]), Results(runs))
    name = without_unit(axis_label(key))
    heads = [head.rpartition(f"{name} ")[2] for head in beside.text if f"{name} " in head]
    assert heads == short


@pytest.mark.parametrize("key", VALUES)
def test_every_value_that_a_table_shows_can_be_asked_for(key):
    runs = runs_of(key, VALUES[key])
    for value in VALUES[key]:
        if isinstance(value, str) and "," in value:
            continue  # a comma stands between values
        for text in {str(value).lower(), f"{value:e}" if isinstance(value, float) else str(value)}:
            found = adhoc.narrowed(runs, [f"{key}={'null' if value is None else text}"])
            assert len(found) == 2
            assert found[key].isna().all() if value is None else (found[key] == value).all()
    with pytest.raises(ConfigError, match="no run has this"):
        adhoc.narrowed(runs, [f"{key}=77"])


def test_null_can_be_asked_for_beside_others():
    runs = runs_of("trainer.clip_norm", VALUES["trainer.clip_norm"])
    found = adhoc.narrowed(runs, ["trainer.clip_norm=null, 0.5"])["trainer.clip_norm"]
    assert found.isna().sum() == 2
    assert found.dropna().tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("rows", "columns", "keys"),
    [
        (None, None, (["model"], ["seq_len"])),
        ("seq_len", None, (["seq_len"], [])),
        ("seq_len,model", None, (["seq_len", "model"], [])),
        (None, "model", (["seq_len"], ["model"])),
        (None, "model, seq_len", (["task"], ["model", "seq_len"])),
        ("task", "", (["task"], [])),
        ("seq_len", "seq_len", (["seq_len"], ["seq_len"])),  # said twice, and so refused
    ],
)
def test_what_is_not_said_is_what_the_other_leaves(rows, columns, keys):
    assert adhoc.keys_of(rows, columns) == keys


def test_panels_and_lines_by_a_number_ascend_and_none_is_left_out(tmp_path):
    clip = [10.0, np.nan, 0.5]
    made = results(models=("a", "b", "c"), lengths=(8, 16))
    runs = made.runs.assign(**{"trainer.clip_norm": made.runs["model"].map(dict(zip("abc", clip, strict=True)))})
    assert [title for title, _ in panels_of(runs, "trainer.clip_norm")] == [
        "clip norm –",
        "clip norm 0.5",
        "clip norm 10",
    ]
    picture = figure("metric_against", by="trainer.clip_norm").figure(Results(runs)).draw(Results(runs), tmp_path / "f")
    labels = [line.get_label() for line in picture.axes[0].get_lines()]
    assert [label for label in labels if not label.startswith("_")][:3] == ["–", "0.5", "10"]


def test_places_on_an_axis_are_numbers(tmp_path):
    made = results(models=("a",), lengths=(8, 64, 16, 128))
    shuffled = Results(made.runs.sample(frac=1, random_state=0))
    (axes,) = metric_against(shuffled, tmp_path / "f").axes
    line = next(line for line in axes.get_lines() if len(line.get_xdata()) == 4)
    assert (np.diff(line.get_xdata()) > 0).all()
    assert pd.Series([8, 16, 64, 128]).tolist() == sorted(axes.get_xticks())
