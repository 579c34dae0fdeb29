"""Figures show what they are given, say what is lacking, and are the same bytes every time."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradreach import drawing
from gradreach.analysis import figures
from gradreach.analysis.figures import (
    critical_difference,
    decoding_by_lag,
    gates_through_training,
    gradient_by_lag,
    gradient_through_training,
    half_life_and_reach,
    learning_curves,
    metric_against,
    metric_by_cost,
    reach_and_score,
)
from gradreach.analysis.figures.captions import MEANS, READING, explained
from gradreach.analysis.figures.common import Point
from gradreach.analysis.figures.costs import pareto
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.labels import label_lines, spread
from gradreach.analysis.figures.profiles import relative
from gradreach.analysis.figures.shares import gate_shares
from gradreach.analysis.results import Results
from gradreach.analysis.stats.statistics import estimate
from gradreach.analysis.study.page_figures import figure
from gradreach.analysis.tables.specification import Measure
from gradreach.diagnostics import reach
from gradreach.drawing import WIDE, as_svg, figure_of, save_figure, save_svgs
from gradreach.look import SHADES, display_name, look_of
from made_up import EPOCHS, results
from project import PROJECT

FIGURES = {
    "gradient_by_lag": gradient_by_lag,
    "gradient_through_training": gradient_through_training,
    "accuracy": metric_against,
    "kernels": partial(metric_against, x="kernel_size", by="model", panels="seq_len"),
    "half_life": half_life_and_reach,
    "curves": learning_curves,
    "gates": gates_through_training,
    "decoding": decoding_by_lag,
    "cost": metric_by_cost,
    "reach": reach_and_score,
    "ranks": partial(critical_difference, over=("seq_len",)),
}
MANY = [f"model{i}" for i in range(12)]
LACKING = {
    "one seed": results(seeds=1),
    "nothing finished": results(status=lambda *_: "missing"),
    "some failed, diverged": results(status=lambda model, length, seed: ("failed", "diverged", "finished")[seed]),
    "not finite": results(**{"test/accuracy": np.nan, "gradient/end/h.half_life": np.inf}),
    "many models": results(models=MANY, lengths=(8,)),
    "many seeds, one length": results(seeds=30, lengths=(8,)),
}


@pytest.fixture(autouse=True)
def drawn_but_not_written(request, monkeypatch):
    """Write no files where a test asks for none: to lay out and to write a figure is most of its time."""
    if "bytes" not in request.node.name:
        monkeypatch.setattr(drawing, "TIMELESS", {})


def texts(figure):
    """Return what stands at lines, at points and in a key."""
    keys = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [*(text.get_text() for axes in figure.axes for text in axes.texts), *keys]


def lines(axes, label=None):
    return [line for line in axes.get_lines() if label is None or line.get_label() == display_name(label)]


@pytest.mark.parametrize("name", FIGURES)
def test_every_panel_names_its_axes(name, tmp_path):
    figure = FIGURES[name](results(models=("a", "b", "c")), tmp_path / name)
    labelled = [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]
    assert all(any(a.get_xlabel() for a in column(figure, axes)) for axes in labelled)
    assert all(any(a.get_ylabel() for a in row(figure, axes)) for axes in labelled)


def column(figure, axes):
    return [a for a in figure.axes if abs(a.get_position().x0 - axes.get_position().x0) < 0.05]


def row(figure, axes):
    return [a for a in figure.axes if abs(a.get_position().y1 - axes.get_position().y1) < 0.05]


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_results_give_the_same_bytes(name, tmp_path):
    data = results(models=("a", "b", "c"), status=lambda model, length, seed: "failed" if seed == 2 else "finished")
    first, second = (FIGURES[name](data, tmp_path / f"{name}{i}") for i in (1, 2))
    for suffix in ("png", "pdf"):
        assert (tmp_path / f"{name}1.{suffix}").read_bytes() == (tmp_path / f"{name}2.{suffix}").read_bytes()
    assert as_svg(first) == as_svg(second)


@pytest.mark.parametrize("lacking", LACKING)
@pytest.mark.parametrize("name", FIGURES)
def test_whatever_is_lacking_there_is_a_figure(name, lacking, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "TIMELESS", {"png": {}})
    monkeypatch.setitem(drawing.STYLE, "figure.constrained_layout.use", False)  # half of the time
    figure = FIGURES[name](LACKING[lacking], tmp_path / name)
    assert (tmp_path / f"{name}.png").stat().st_size > 1000
    assert figure.axes


def test_means_and_intervals_are_those_of_the_runs(tmp_path):
    data = results()
    (axes,) = metric_against(data, tmp_path / "accuracy").axes
    for model in ("cnn", "lstm"):
        groups = data.runs[data.runs["model"] == model].groupby("seq_len")["test/accuracy"]
        expected = [estimate(100 * values.to_numpy(float)) for _, values in groups]
        (line,) = lines(axes, model)
        np.testing.assert_allclose(line.get_ydata(), [e.mean for e in expected])
        drawn = [c.get_segments()[0] for c in axes.collections]
        for e in expected:
            assert any(np.allclose(bar[:, 1], [e.mean - e.half_width, e.mean + e.half_width]) for bar in drawn)
    (chance,) = lines(axes, "chance")
    assert set(chance.get_ydata()) == {10.0}


def test_gradients_are_the_profiles_relative_to_lag_1(tmp_path):
    data = results(models=("lstm",), lengths=(8,))
    start, _ = gradient_by_lag(data, tmp_path / "lag").axes
    (line,) = lines(start, "lstm")
    np.testing.assert_allclose(line.get_ydata(), 10 ** (0.1 - 0.1 * np.arange(8)))
    assert len(lines(start)) == 3 + 1 + 1  # seeds, their median, the line at 1 %


def test_reach_is_the_largest_lag_at_which_a_curve_is_not_below_the_line_at_1_per_cent():
    norms = [0.0, -5.0, -7.5, -7.0, -7.1]  # the largest is at lag 0
    told = {"layer": "rnn", "direction": "forward", "quantity": "h"}
    shares = relative(pd.DataFrame({"run": norms}))["run"]
    assert shares.index[shares >= -2].max() == reach(pd.DataFrame({"lag": range(5), "median": norms, **told})) == 3


def test_where_lag_1_is_exactly_zero_a_curve_is_relative_to_its_largest():
    shares = relative(pd.DataFrame({"run": [-3.0, -np.inf, -1.0], "empty": [-np.inf] * 3}))
    assert shares["run"].tolist() == [-2, -np.inf, 0]


def test_both_panels_of_the_hero_agree_on_where_reach_ends(tmp_path):
    data = results(models=("lstm",), lengths=(8,))
    norms, _ = reach_and_score(data, tmp_path / "reach").axes
    (line,) = (line for line in norms.get_lines() if str(line.get_gid()).startswith("tip: LSTM"))
    assert line.get_ydata()[1] == 1
    assert norms.get_ylabel().endswith("÷ that at lag 1")


def test_a_run_is_a_dot_at_its_share_of_the_longest_lag_and_lines_have_their_names_beside_them(tmp_path):
    data = results(models=("cnn", "lstm"), **{"gradient/end/x.reach": 5.0})
    norms, runs = reach_and_score(data, tmp_path / "reach", seq_len=8).axes
    dots = [line for line in runs.get_lines() if str(line.get_gid()).startswith("tip: ") and len(line.get_xdata()) == 1]
    told = data.runs["gradient/end/x.reach"] / (data.runs["seq_len"] - 1), 100 * data.runs["test/accuracy"]
    drawn = [[line.get_xdata()[0] for line in dots], [line.get_ydata()[0] for line in dots]]
    np.testing.assert_allclose(drawn, np.array(told, float))
    assert {text.get_text() for text in norms.texts} >= {"CNN", "LSTM"}
    assert "8 steps" in norms.get_title()


def test_ranks_are_as_wide_as_a_phone_shows_and_no_name_is_cut_off(tmp_path):
    data = results(models=("cnn", "gru", "lstm", "lstm b=1", "rnn orthogonal gain 2"), lengths=(8, 16))
    drawn = critical_difference(data, tmp_path / "ranks", over=("seq_len",))
    assert drawn.get_figwidth() <= WIDE[0]
    drawing.as_image(drawn)
    boxes = [text.get_window_extent() for text in drawn.axes[0].texts]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= drawn.bbox.x1


def test_a_line_that_leaves_its_panel_early_is_named_at_its_foot_and_others_in_the_margin(tmp_path):
    with save_figure(tmp_path / "lines") as (axes,):
        axes.set(xlim=(0, 10), ylim=(0, 1))
        for label, slope in (("gone first", -0.5), ("gone", -0.4), ("late", -0.12), ("stays", -0.05)):
            axes.plot(np.linspace(0, 10, 101), 0.99 + slope * np.linspace(0, 10, 101), label=label)
        label_lines(figure_of([axes]))
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert {name for name, (x, _) in places.items() if x == 1.05} == {"late", "stays"}
    assert places["gone first"][0] == places["gone"][0] == pytest.approx(0.3, abs=0.02)  # beside the last to leave
    assert places["gone first"][1] > places["gone"][1] > 0


def test_the_head_of_a_page_has_a_form_for_dark_ones_of_the_same_lines_in_other_shades(tmp_path):
    drawn = reach_and_score(results(models=("lstm",), lengths=(8,)), tmp_path / "hero")
    save_svgs(drawn, tmp_path / "hero")
    light, dark = (tmp_path.joinpath(f"hero{form}.svg").read_text() for form in ("", "-dark"))
    look, (on_paper, on_dark_page) = look_of("lstm"), SHADES["l0"]
    assert look.color == on_paper
    assert on_paper in light
    assert on_paper not in dark
    assert on_dark_page in dark
    assert 'fill="#000000"' in light
    assert "#000000" not in dark
    assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)


def test_the_heat_map_holds_a_row_a_lag_and_a_column_an_epoch(tmp_path):
    data = results(models=("lstm",), lengths=(8,))
    axes = gradient_through_training(data, tmp_path / "map").axes[0]
    (mesh,) = axes.collections
    np.testing.assert_allclose(mesh.get_array(), np.tile(0.1 - 0.1 * np.arange(8)[:, None], EPOCHS + 1))
    farthest = [line.get_ydata()[0] for line in axes.get_lines()]
    assert farthest == [7] * (EPOCHS + 1)  # 10^-0.6 is more than 1 %


def test_what_states_tell_is_the_mean_over_runs_by_lag_and_by_position(tmp_path):
    told = decoding_by_lag(results(models=("lstm",), lengths=(8,)), tmp_path / "decoding")
    inputs, target = told.axes
    names = {f"{part}, {when} training" for when in ("before", "after") for part in ("hidden state h", "cell c")}
    assert set(texts(told)) == names
    for axes, places in ((inputs, ["0", "2"]), (target, ["50", "100"])):
        assert [label.get_text() for label in axes.get_xticklabels()] == places
        for label, r2 in (("hidden state h, after training", 0.6), ("cell c, before training", 0.5)):
            (line,) = lines(axes, label)
            assert line.get_ydata() == pytest.approx([r2 - 0.01] * 2)  # the middle of three seeds
            assert line.get_xdata() == pytest.approx(
                [float(place) / (1 if axes is inputs else 100) for place in places]
            )


def test_learning_curves_show_every_seed_and_their_median(tmp_path):
    data = results(models=("lstm",), lengths=(8,), seeds=5)
    (axes,) = learning_curves(data, tmp_path / "curves").axes
    thin = [line for line in lines(axes) if line.get_linewidth() < 1 and len(line.get_xdata())]
    assert len(thin) == 5
    (median,) = lines(axes, "lstm")
    np.testing.assert_allclose(median.get_ydata(), 100 * (0.1 * np.arange(1, EPOCHS + 1) + 0.02))


def test_half_lives_of_curves_that_are_no_exponentials_do_not_count(tmp_path):
    data = results(models=("lstm",), lengths=(8, 16))
    _, end, _, reach = half_life_and_reach(data, tmp_path / "half").axes
    (line,) = lines(end, "lstm")
    np.testing.assert_allclose(line.get_ydata(), [5.5, 5.5])  # seeds 1 and 2; seed 0 has R² 0.5
    (line,) = lines(reach, "lstm")
    np.testing.assert_allclose(line.get_ydata(), [7, 15])


def test_gates_begin_before_training(tmp_path):
    data = results(models=("lstm",), lengths=(8,))
    mean, *_ = gates_through_training(data, tmp_path / "gates").axes
    (line,) = lines(mean, "forget gate")
    np.testing.assert_allclose(line.get_xdata(), range(EPOCHS + 1))
    np.testing.assert_allclose(line.get_ydata(), [0.5, *(0.5 + 0.05 * np.arange(1, EPOCHS + 1))])


def test_what_is_lacking_is_pale_and_counted(tmp_path):
    data = results(status=lambda model, length, seed: "diverged" if (model, seed) == ("lstm", 0) else "finished")
    figure = metric_against(data, tmp_path / "accuracy")
    assert "LSTM (4/6, 2 diverged)" in texts(figure)
    assert "CNN" in texts(figure)
    points = [line for line in figure.axes[0].get_lines() if (line.get_gid() or "").startswith("tip: LSTM")]
    assert [line.get_alpha() < 1 for line in points] == [True, True]
    assert all(line.get_markerfacecolor() == "none" for line in points)
    whole = [line for line in figure.axes[0].get_lines() if (line.get_gid() or "").startswith("tip: CNN")]
    assert [line.get_alpha() for line in whole] == [1.0, 1.0]


def test_few_seeds_are_points_and_the_interval_of_an_accuracy_ends_where_it_does(tmp_path):
    data = results(models=("lstm",), lengths=(8, 16), seeds=4)
    data.runs["test/accuracy"] = [0.1, 1.0, 0.1, 1.0] * 2
    (axes,) = metric_against(data, tmp_path / "accuracy").axes
    seeds = [line for line in axes.get_lines() if line.get_marker() == "."]
    assert [list(line.get_ydata()) for line in seeds] == [[10, 100, 10, 100]] * 2
    assert [bar.get_segments()[0][:, 1].tolist() for bar in axes.collections] == [[0, 100]] * 2
    (axes,) = metric_against(results(models=("lstm",), lengths=(8,), seeds=11), tmp_path / "many").axes
    assert not [line for line in axes.get_lines() if line.get_marker() == "."]


@pytest.mark.parametrize(
    ("metric", "values", "ends"),
    [
        ("test/mse", [0.1, 1], [0, None]),
        ("gradient/end/x.reach", [1, 7], [0, 7]),
        ("gradient/end/h.log10_norm", [0, 2], [None, None]),
        ("shift/loss", [0, 2], [None, None]),
    ],
)
def test_an_interval_ends_where_the_measure_does(tmp_path, metric, values, ends):
    data = results(models=("lstm",), lengths=(8,), seeds=4)
    data.runs[metric] = values * 2
    (axes,) = metric_against(data, tmp_path / "picture", measure=Measure(metric, "measure")).axes
    drawn = [bar.get_segments()[0][:, 1].tolist() for bar in axes.collections]
    half = stats.t.ppf(0.975, 3) * np.std(data.runs[metric], ddof=1) / 2
    free = [np.mean(values) - half, np.mean(values) + half]
    assert drawn == [pytest.approx([f if end is None else end for f, end in zip(free, ends, strict=True)])]


def test_an_axis_shows_where_values_are_or_all_panels_alike_with_lines_to_compare_with(tmp_path):
    data = results(models=("a", "b", "c"), lengths=tuple(range(1, 10)))
    fitted = metric_against(data, tmp_path / "fitted", panels="model", whole=False).axes
    assert len({axes.get_position().y0 for axes in fitted}) == 1  # three beside each other: no hole
    assert all(axes.get_ylim()[0] > 60 for axes in fitted)  # chance, at 10, stretches none
    assert ticks(fitted[0].xaxis) == [str(length) for length in range(1, 10)]
    shift = Measure("test/accuracy", "shift")
    shared = metric_against(
        data, tmp_path / "shared", panels="model", measure=shift, whole=False, threshold={"none": 0, "half": 0.5}
    ).axes
    assert len({axes.get_ylim() for axes in shared}) == 1
    assert [lines(shared[0], name)[0].get_ydata()[0] for name in ("none", "half")] == [0, 0.5]


def test_a_caption_explains_the_marks_that_the_picture_has(tmp_path):
    def caption(draw, data, text="It.", **options):
        return (
            explained(text, draw(data, tmp_path / "picture", **options))
            .replace(" Black dots: chance.", "")
            .replace(f" {MEANS}", "")
        )

    many = results(models=("lstm",), lengths=(8, 16), seeds=12)
    assert caption(metric_against, many) == "It."
    assert caption(metric_against, results()) == "It. Small points: the seeds."
    assert caption(metric_against, results(), "It; small points are seeds.") == "It; small points are seeds."
    pale = results(
        seeds=12, status=lambda model, length, seed: "missing" if (model, seed) == ("cnn", 0) else "finished"
    )
    assert caption(metric_against, pale) == "It. Hollow and pale: not every planned run has a value there."
    none = results(seeds=12, status=lambda model, *_: "missing" if model == "cnn" else "finished")
    assert caption(metric_against, none) == (
        "It. A cross at the foot: no seed has a value. A pale line: runs are missing."
    )
    level = caption(metric_against, results(seeds=12, models=("cnn", "lstm")), x="kernel_size")
    assert level == "It. A horizontal line with its band: a model to which the axis does not apply."
    assert caption(metric_against, many, whole=False) == "It. The axis does not begin at zero."
    assert "The axis does not begin at zero." in caption(dots, many)
    diverged = results(models=("lstm",), status=lambda *place: "diverged" if place[2] == 1 else "finished")
    assert "A cross: there the run diverged or failed." in caption(learning_curves, diverged)
    assert caption(learning_curves, many) == caption(gradient_by_lag, many) == "It."


def test_a_caption_speaks_of_chance_where_a_picture_has_it(tmp_path):
    def caption(draw, **options):
        return explained(READING[draw], draw(results(), tmp_path / "picture", **options))

    for draw in (metric_against, dots, learning_curves):
        assert "Black dots: chance." in caption(draw), draw
    assert "chance" not in caption(metric_against, measure=Measure("parameters", "parameters"))


def test_every_line_is_named_once_at_its_end(tmp_path):
    data = results(models=("lstm",), lengths=(8,))
    assert texts(learning_curves(data, tmp_path / "curves")) == ["LSTM", "chance"]
    panels = gradient_by_lag(data, tmp_path / "lag").axes
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [["LSTM", "1 %"]] * 2
    (axes,) = metric_against(results(), tmp_path / "accuracy").axes
    label = next(text for text in axes.texts if text.get_text() == "LSTM")
    (line,) = lines(axes, "lstm")
    end = axes.transAxes.inverted().transform(axes.transData.transform(line.get_xydata()[-1]))
    assert label.xy == pytest.approx(tuple(end), abs=1e-6)
    assert label.xyann[0] > 1  # in the margin
    assert all(text.xy[0] > 0.9 for axes in panels for text in axes.texts)  # each at the end of its own line
    assert not metric_against(results(), tmp_path / "accuracy").legends


def test_names_of_lines_that_end_together_are_spread(tmp_path):
    data = results(models=("rnn", "lstm", "gru", "cnn"), lengths=(8, 16))
    data.runs["test/accuracy"] += 0.05 * data.runs["architecture"].map({"rnn": 0, "lstm": 1, "gru": 2, "cnn": 3})
    data.runs.loc[data.runs["seq_len"] == 8, "test/accuracy"] -= data.runs["architecture"].map(len) / 100
    (axes,) = metric_against(data, tmp_path / "accuracy").axes
    heights = sorted(text.xyann[1] for text in axes.texts if text.get_text() != "chance")
    assert min(np.diff(heights)) > 0.03 or len(heights) < 4
    assert spread([0.2, 0.2, 0.2], [0.1] * 3) == pytest.approx([0.1, 0.2, 0.3])
    assert spread([0.0, 1.0, 1.0], [0.1] * 3) == pytest.approx([0.05, 0.85, 0.95])


def test_lines_that_lie_on_each_other_share_a_name(tmp_path):
    data = results(**{"test/accuracy": 0.5})
    (axes,) = metric_against(data, tmp_path / "accuracy").axes
    assert [text.get_text() for text in axes.texts] == ["CNN =\nLSTM", "chance"]


def test_points_of_one_place_stand_at_it(tmp_path):
    (axes,) = metric_against(results(), tmp_path / "accuracy").axes
    for model in ("cnn", "lstm"):
        assert lines(axes, model)[0].get_xdata() == pytest.approx([8, 16])


def test_at_most_five_lines_stand_in_a_panel_and_families_stay_together(tmp_path):
    models = ("rnn", "rnn orthogonal", "lstm", "lstm b=1", "lstm chrono", "gru", "tcn")
    data = results(models=models, lengths=(8, 16))
    shown = [{*lines_of(axes)} for axes in metric_against(data, tmp_path / "accuracy").axes]
    assert shown == [{"RNN", "RNN, orthogonal", "TCN"}, {"LSTM", "LSTM, forget bias 1", "LSTM, chrono", "GRU"}]
    assert [{*lines_of(axes)} for axes in learning_curves(data, tmp_path / "curves", panels=None).axes] == shown
    for axes in half_life_and_reach(data, tmp_path / "h").axes + gradient_by_lag(data, tmp_path / "lag").axes:
        assert {*lines_of(axes)} in shown


def lines_of(axes):
    """Return the names of the series of a panel."""
    return [
        line.get_label() for line in axes.get_lines() if line.get_color() != drawing.INK and line.get_label()[0] != "_"
    ]


def test_a_thing_has_its_look_in_every_figure(tmp_path):
    data = results(models=("lstm", "cnn"))
    for draw in (metric_against, learning_curves, gradient_by_lag, half_life_and_reach):
        for axes in draw(data, tmp_path / "figure").axes:
            for name in ("lstm", "cnn"):
                for line in lines(axes, name):
                    assert line.get_color() == look_of(name).color, draw


def test_a_logarithmic_axis_shows_medians(tmp_path):
    data = results(models=("lstm",), lengths=(8,), seeds=7)
    data.runs["test/loss"] = [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 1.0]
    loss = Measure("test/loss", "loss")
    (axes,) = metric_against(data, tmp_path / "loss", measure=loss, log=True).axes
    assert [line.get_ydata()[0] for line in axes.get_lines() if line.get_label() == "_median"] == [4e-4]
    assert [bar.get_segments()[0][:, 1].tolist() for bar in axes.collections] == [[1e-4, 1.0]]  # order statistics
    assert "medians" in explained("", axes.figure)
    (axes,) = metric_against(data, tmp_path / "loss", measure=loss).axes
    assert [line.get_ydata()[0] for line in axes.get_lines() if line.get_label() == "_mean"] == [
        pytest.approx(data.runs["test/loss"].mean())
    ]


def test_how_many_runs_solved_the_task_stands_above_a_point_where_it_is_not_all_or_none(tmp_path):
    data = results(models=("lstm",), lengths=(8, 16, 32))
    data.runs["solved"] = [True] * 3 + [True, False, True] + [False] * 3
    picture = metric_against(data, tmp_path / "accuracy")
    assert [text for text in texts(picture) if "/" in text] == ["2/3"]
    assert "as in 4/5: this many" in explained("", picture)
    loss = metric_against(data, tmp_path / "size", measure=Measure("parameters", "parameters"))
    assert not [text for text in texts(loss) if "/" in text]  # what is not scored is not solved


def test_a_half_life_says_of_how_many_runs_it_is(tmp_path):
    picture = half_life_and_reach(results(models=("lstm",)), tmp_path / "half")
    assert [text.get_text() for text in picture.axes[1].texts][:2] == ["n = 2", "n = 2"]  # seed 0 is not an exponential
    assert not [text for text in picture.axes[0].texts if text.get_text().startswith("n =")]
    assert "n = 3 above a point" in explained("", picture)


def test_the_threshold_of_a_rule_is_drawn_and_named(tmp_path):
    data = results()
    for picture in (metric_against(data, tmp_path / "m", threshold=60), dots(data, tmp_path / "d", threshold=60)):
        (line,) = lines(picture.axes[0], "threshold")
        assert 60 in (line.get_xdata()[0], line.get_ydata()[0])
        assert "threshold" in texts(picture)
        assert "Dashed black: the threshold of the rule." in explained("", picture)


def test_calibration_is_a_deviation_with_its_band(tmp_path):
    data = results(models=("lstm",), lengths=(8,), **{"factor/known": 0.5, "gradient/start/h.decay": 0.505})
    (axes,) = figures.against_known(data, tmp_path / "known", threshold=2).axes
    assert axes.get_lines()[1].get_xdata() == pytest.approx([1.0])  # per cent
    (band,) = axes.patches
    assert (band.get_x(), band.get_width()) == (-2, 4)


def test_dots_stand_in_the_order_of_the_run_table_or_in_that_which_is_asked_for(tmp_path):
    data = results(models=("lstm", "cnn", "rnn"), lengths=(8,))
    names = [[t.get_text() for t in dots(data, tmp_path / "d", **o).axes[0].get_yticklabels()]
             for o in ({}, {"order": ["rnn", "gru", "lstm"]})]  # fmt: skip
    assert names == [["LSTM", "CNN", "RNN"], ["RNN", "LSTM", "CNN"]]


def test_a_group_of_which_nothing_has_finished_is_there(tmp_path):
    data = results(status=lambda model, *_: "missing" if model == "cnn" else "finished")
    figure = metric_against(data, tmp_path / "accuracy")
    assert "CNN (0/6)" in texts(figure)
    crosses = [line for line in figure.axes[0].get_lines() if line.get_marker() == "x"]
    assert len(crosses) == 2


def test_a_panel_without_data_says_so(tmp_path):
    for name, panels in (("curves", 2), ("gradient_by_lag", 4), ("half_life", 4), ("accuracy", 1)):
        figure = FIGURES[name](LACKING["nothing finished"], tmp_path / name)
        assert texts(figure).count("nothing measured yet") == panels
    assert len(figure.axes[0].get_yticks()) > 0  # of an accuracy the range is known
    assert len(half_life_and_reach(LACKING["nothing finished"], tmp_path / "h").axes[0].get_yticks()) == 0
    some = half_life_and_reach(LACKING["not finite"], tmp_path / "h")
    assert texts(some).count("nothing measured yet") == 1
    assert len(some.axes[1].get_yticks()) > 0  # it shares its axis with one that has values


def test_every_point_knows_its_runs(tmp_path):
    data = results()
    figure = metric_against(data, tmp_path / "accuracy")
    told = " ".join(line.get_gid() or "" for line in figure.axes[0].get_lines())
    assert all(run_id in told for run_id in data.runs["run_id"])


def test_a_curve_of_a_diverged_run_ends_with_a_cross(tmp_path):
    data = results(models=("lstm",), lengths=(8,), status=lambda *place: "diverged" if place[2] == 1 else "finished")
    (axes,) = learning_curves(data, tmp_path / "curves").axes
    (cross,) = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert cross.get_xdata()[0] == EPOCHS


def test_the_front_is_what_nothing_cheaper_beats(tmp_path):
    points = [(1.0, 50.0), (2.0, 40.0), (2.0, 60.0), (3.0, 60.0), (4.0, 90.0)]
    assert front(points) == [(1.0, 50.0), (2.0, 60.0), (4.0, 90.0)]
    assert front(points, lower_is_better=True) == [(1.0, 50.0), (2.0, 40.0)]
    brute = [p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)]
    assert front(points) == brute


def front(points, half=0.0, **options):
    """Return the front of points with intervals of a half-width."""
    given = [(cost, Point(y, y - half, y + half, (y,), {"finished": 1}, ())) for cost, y in points]
    return [(cost, y.value) for cost, y in pareto(given, **options)]


def test_the_front_holds_what_is_told_apart_only():
    assert front([(1.0, 50.0), (2.0, 60.0), (3.0, 90.0)], half=8.0) == [(1.0, 50.0), (3.0, 90.0)]
    assert front([(100.0, 50.0), (100.9, 60.0)]) == [(100.9, 60.0)]
    assert front([(100.0, 50.0), (101.1, 60.0)]) == [(100.0, 50.0), (101.1, 60.0)]
    assert front([(1.0, 50.0), (2.0, 60.0), (3.0, 10.0)], half=8.0, lower_is_better=True) == [(1.0, 50.0), (3.0, 10.0)]


def test_unfinished_groups_make_no_front(tmp_path):
    data = results(status=lambda model, length, seed: "failed" if (model, seed) == ("cnn", 0) else "finished")
    figure = metric_by_cost(data, tmp_path / "cost", costs=("parameters",))
    (front,) = lines(figure.axes[0], "Pareto front")
    assert list(front.get_xdata()) == [2016.0]


@pytest.mark.parametrize("draw", [metric_by_cost, gradient_through_training, gates_through_training])
def test_a_figure_of_one_length_among_several_says_which(draw, tmp_path):
    assert draw(results(), tmp_path / "a").get_suptitle().lower().endswith("sequence length 16 (not shown: 8)")
    assert (
        draw(results(), tmp_path / "b", seq_len=8).get_suptitle().lower().endswith("sequence length 8 (not shown: 16)")
    )
    assert "sequence length" not in draw(results(lengths=(8,)), tmp_path / "c").get_suptitle().lower()
    assert "the head says which" in READING[draw]


def ticks(axis):
    axis.figure.canvas.draw()
    low, high = sorted(axis.get_view_interval())
    at = axis.get_majorticklocs()
    return [label.get_text() for label, where in zip(axis.get_ticklabels(), at, strict=True) if low <= where <= high]


@pytest.mark.parametrize("lengths", [(8, 16), (25, 50, 100, 200, 400)])
def test_the_axis_of_lengths_ticks_where_there_are_lengths(lengths, tmp_path):
    (axes,) = metric_against(results(lengths=lengths), tmp_path / "accuracy").axes
    assert ticks(axes.xaxis) == [str(length) for length in lengths]
    (line,) = lines(axes, "cnn")
    assert axes.transData.transform([line.get_xdata(), line.get_xdata()])[0] == pytest.approx(
        axes.transData.transform([lengths, lengths])[0], abs=8
    )


@pytest.mark.parametrize(("low", "high"), [(1.1, 1.9), (0.5, 40.0), (3e-4, 0.2), (3.0, 70.0)])
def test_logarithmic_axes_have_plain_ticks_or_decades(low, high, tmp_path):
    data = results(models=("lstm",), seeds=1, **{"test/loss": [low, high]})
    (axes,) = metric_against(data, tmp_path / "loss", measure=Measure("test/loss", "loss"), log=True).axes
    found = ticks(axes.yaxis)
    assert 2 <= len(found) <= 9
    assert all("times" not in label for label in found)
    assert {label.get_text() for label in axes.yaxis.get_ticklabels(minor=True)} <= {""}


def test_no_results_at_all_is_an_empty_figure(tmp_path):
    data = results()
    empty = Results(data.runs.iloc[:0], lambda: data.profiles.iloc[:0], lambda: data.history.iloc[:0])
    for name, draw in FIGURES.items():
        assert draw(empty, tmp_path / name).axes


def test_every_kind_of_figure_has_a_caption_and_a_line_in_the_docs():
    kinds = {name: getattr(figures, name) for name in figures.__all__}
    assert set(READING) == set(kinds.values())
    page = (PROJECT / "docs" / "figures.md").read_text(encoding="utf-8")
    for name, draw in kinds.items():
        assert f"| `{name}` |" in page
        declared = figure(name, name="file", about="About it.")
        assert (declared.name, declared.caption) == ("file", f"About it. {READING[draw]}")


def test_bars_are_data_and_a_panel_without_any_says_so(tmp_path):
    lacking = gate_shares(results(), tmp_path / "shares", gates={"f": "forget"})
    assert {text.get_text() for text in lacking.axes[1].texts} == {"not measured"}
    measured = results(
        **{f"gradient/{stage}/gate_f.{part}": 0.25 for stage in ("start", "end") for part in ("closed", "open")}
    )
    for given, said in ((measured, 0), (results(status=lambda *_: "missing"), 2)):
        figure = gate_shares(given, tmp_path / "shares", gates={"f": "forget"})
        words = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert words.count("nothing measured yet") == said


def test_a_value_between_gaps_is_a_dot_and_a_median_of_seeds_needs_no_seed_without_zeros(tmp_path):
    """A gradient that is exactly zero at every second lag, and at others for one seed alone."""
    data = results(models=("lstm", "tcn"), lengths=(9,), seeds=3)

    def profiles():
        odd = data.profiles["lag"] % 2 == 1
        tcn = data.profiles["run_id"].str.startswith("01")
        one = data.profiles["run_id"].str.endswith("001") & (data.profiles["lag"] == 4)
        return data.profiles.assign(median=data.profiles["median"].mask(tcn & (odd | one), -np.inf))

    picture = gradient_by_lag(Results(data.runs, profiles), tmp_path / "lag")
    start = picture.axes[0]
    (line,) = lines(start, "tcn")
    assert np.isfinite(line.get_ydata()).tolist() == [lag % 2 == 0 for lag in range(9)]
    assert line.get_marker() != "None"
    assert line.get_markevery() == [0, 2, 4, 6, 8]
    assert lines(start, "lstm")[0].get_marker() == "None"
    assert "A dot in a gap" in explained("", picture)
    assert "A dot in a gap" not in explained("", gradient_by_lag(data, tmp_path / "lag"))


def test_a_legend_names_what_has_no_value_so(tmp_path):
    data = results(models=("lstm",), lengths=(9,))
    silent = Results(data.runs, lambda: data.profiles.assign(median=-np.inf))
    start = gradient_by_lag(silent, tmp_path / "lag").axes[0]
    assert [line.get_label() for line in lines(start)][3] == "LSTM (no value)"


def test_a_curve_of_one_epoch_is_seen(tmp_path):
    data = results(models=("lstm",), lengths=(8,))
    short = Results(data.runs, lambda: data.profiles, lambda: data.history[data.history["epoch"] == 1])
    (axes,) = learning_curves(short, tmp_path / "curves").axes
    assert lines(axes, "lstm")[0].get_marker() != "None"
