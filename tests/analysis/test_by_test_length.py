"""Test length is a key like any other: of tables, of figures, and of what a part of a claim rests on."""

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.figures import half_life_and_reach, metric_against
from gradreach.analysis.figures.captions import explained
from gradreach.analysis.figures.common import TRAINED
from gradreach.analysis.results import Results
from gradreach.analysis.study.default_study import default_study
from gradreach.analysis.tables.specification import Measure
from gradreach.errors import ConfigError
from gradreach.run_table.lengths import by_test_length
from gradreach.study import compare, figure, table, value

LENGTHS = (20, 40, 80)
SEEDS = 7


def accuracy(model, length, seed):
    return 1.0 if model == "gru" else 1 - length / 100 - seed / 1000


def rows(train="[2, 20]", **more):
    for model in ("gru", "transformer"):
        for seed in range(SEEDS):
            told = {f"test/accuracy/{length}": accuracy(model, length, seed) for length in LENGTHS}
            told |= {f"gradient/end/x.reach/{length}": length - 1.0 for length in LENGTHS}
            told |= {
                f"gradient/end/h.{name}/{length}": 1.0 for length in LENGTHS for name in ("half_life", "r2", "reach")
            }
            yield {
                "run_id": f"{model}{seed}",
                "status": "finished",
                "model": model,
                "task": "recall",
                "seq_len": 20,
                "architecture": model,
                "seed": seed,
                "metric": "accuracy",
                "chance": 0.125,
                "kernel_size": None,
                "task.train_lengths": train,
                "task.test_lengths": "[20, 40, 80]",
                "parameters": 9,
                "revision": "abc",
                "test/accuracy": 0.99,
                "test/f1": 0.98,
                "val/accuracy": 0.97,
                "gradient/end/x.reach": 19.0,
                **told,
                **more,
            }


def results(**options):
    return Results(pd.DataFrame(rows(**options)))


def test_a_part_names_the_length_it_is_of():
    found = results()
    short, long = (value("test/accuracy", "transformer", where={"test_length": n}).of(found).value for n in (20, 80))
    assert (short, long) == pytest.approx((80 - 0.3, 20 - 0.3))
    plain = value("test/accuracy", "transformer").of(found).value
    assert plain == pytest.approx(99), "that of the lengths of training, as if there were no others"
    apart = compare("test/accuracy", "gru", "transformer", where={"test_length": 40}).above(5)
    assert apart.judge(found).state == "supported"
    assert apart.rule == "test/accuracy, gru − transformer, test_length 40: above 5"


def test_each_test_length_is_a_part_and_over_them_a_seed_counts_once():
    found = results()
    parts = compare("test/accuracy", "gru", "transformer", each="test_length").above(5).judge(found).parts
    assert [part.name for part in parts] == ["test_length 20", "test_length 40", "test_length 80"]
    mean = value("test/accuracy", "transformer", over={"test_length": [20, 40]}).of(found)
    assert (mean.n, mean.value) == (SEEDS, pytest.approx(70 - 0.3))


def test_runs_of_several_lengths_that_are_left_open_are_refused():
    with pytest.raises(ConfigError, match="test_length is not fixed"):
        value("test/accuracy", "gru", where={"test_length": [20, 40]}).of(results())


def test_where_no_run_was_tested_at_lengths_there_is_no_such_column():
    with pytest.raises(ConfigError, match="where test_length=20: there is no such column"):
        value("test/accuracy", "gru", where={"test_length": 20}).of(results(**{"task.test_lengths": None}))


def test_a_run_that_is_not_done_has_its_rows_and_one_that_diverged_counts_as_the_worst():
    found = results(status="diverged")
    assert value("test/accuracy", "gru", where={"test_length": 80}).of(found).value == 0
    waiting = by_test_length(results(status="missing").runs)
    assert len(waiting) == 2 * SEEDS * 3


def test_only_what_was_measured_at_a_length_stands_there():
    long = by_test_length(results().runs)
    assert long["test_length"].tolist()[:4] == [20, 40, 80, 20]
    assert "test/f1" not in long
    assert (long["val/accuracy"] == 0.97).all()
    assert long["gradient/end/x.reach"].tolist()[:3] == [19, 39, 79]


def test_tables_have_it_as_a_key():
    (view,) = (make_view(table("test/accuracy", columns="test_length")),)
    heads = [f"test accuracy, test sequence length {n}" for n in LENGTHS]
    assert [name for name in view.text if "test sequence length" in name] == heads
    assert make_view(table("test/accuracy", rows=("architecture", "test_length"))).text.shape[0] == 6 + 1
    (narrow,) = view_cells(table("gradient/end/h.half_life", where={"test_length": 80}))
    assert narrow.startswith("1.0")


def make_view(shown):
    from gradreach.analysis.tables.layout import make

    return make(*shown.view_of(results()))


def view_cells(shown):
    text = make_view(shown).text
    return text.iloc[:1, -1].tolist()


@pytest.mark.parametrize(("train", "shaded"), [("[2, 20]", (2, 20)), (None, (20, 20))])
def test_figures_have_it_as_an_axis_and_shade_the_lengths_of_training(train, shaded, tmp_path):
    picture = (
        figure("metric_against", x="test_length")
        .figure(results(train=train))
        .draw(results(train=train), tmp_path / "a")
    )
    (axes,) = picture.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines["Transformer"].get_ydata(), [79.7, 59.7, 19.7])
    if train is None:
        assert lines[TRAINED].get_xdata() == [20, 20]
    else:
        (patch,) = axes.patches
        assert (patch.get_x(), patch.get_x() + patch.get_width()) == shaded
    assert "the lengths of training." in explained("", picture)
    assert "lengths of training" not in explained("", metric_against(results(), tmp_path / "b", x="seq_len"))


def test_reach_by_length_is_compared_with_the_whole_sequence(tmp_path):
    reach = Measure("gradient/end/x.reach", "reach (steps)")
    picture = metric_against(results().along(["test_length"]), tmp_path / "a", x="test_length", measure=reach)
    lines = {line.get_label(): line for line in picture.axes[0].get_lines()}
    assert [*lines["the whole sequence"].get_ydata()] == [*lines["GRU"].get_ydata()] == [19, 39, 79]
    both = half_life_and_reach(results().along(["test_length"]), tmp_path / "b", x="test_length", stages=("end",))
    assert "the whole sequence" in {line.get_label() for line in both.axes[1].get_lines()}


def test_a_sweep_without_a_study_shows_scores_and_reach_by_length(tmp_path):
    found = results()
    names = [each.name for each in default_study("mine", found.runs).show]
    assert names == ["accuracy", "accuracy"] + ["accuracy_by_length"] * 2 + ["reach"] * 2 + ["reach_by_length"] * 2
    before = results(**{"task.test_lengths": None})
    assert not [each for each in default_study("mine", before.runs).show if "length" in each.name]
