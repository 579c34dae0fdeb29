import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from gradreach.analysis.pages.coverage import chance_line, mixture_line
from gradreach.analysis.results import Results
from gradreach.analysis.stats.statistics import TOO_SMALL, holm, paired_test, unpaired_test
from gradreach.analysis.tables import formats
from gradreach.analysis.tables.aggregation import compare_runs
from gradreach.analysis.tables.layout import by_quantity, make
from gradreach.analysis.tables.specification import Computed, Measure, Table
from gradreach.run_table.columns import csv

ACCURACY = Measure("test/accuracy", "accuracy", scale=100, best="max")


def runs(seeds=5, **models):
    """Return runs of each model whose accuracy grows with the seed, from what is given; chance is one in ten."""
    return pd.DataFrame(
        {
            "run_id": f"{model}{seed}",
            "status": "finished",
            "architecture": model,
            "task": "digits",
            "seq_len": 64,
            "seed": seed,
            "metric": "accuracy",
            "chance": 0.1,
            "parameters": 1000,
            "test/accuracy": base + 0.01 * seed,
            "test/loss": 1 - base,
        }
        for model, base in models.items()
        for seed in range(seeds)
    )


def table(*measures, **options):
    return Table("t", "c", "r", measures or (ACCURACY,), **options)


def bold(view):
    return sorted(view.text.to_numpy()[view.marked])


def test_the_best_is_marked_only_where_it_beats_every_other():
    far = make(table(), Results(runs(a=0.9, b=0.5, c=0.3)))
    assert bold(far) == ["92.0 ± 2.0"]
    assert "Bold: better than every other in its column, Mann-Whitney" in far.notes
    near = make(table(), Results(runs(a=0.9, b=0.89, c=0.3)))
    assert bold(near) == []
    assert near.notes == ""
    p = near.numbers.set_index("architecture")["p_best"]
    assert p["b"] > 0.05 > p["c"]


def test_of_a_loss_the_least_is_best():
    view = make(table(Measure("test/loss", "loss", digits=2, best="min")), Results(runs(a=0.2, b=0.5)))
    assert bold(view) == ["0.50"]


def test_with_three_seeds_no_best_is_marked_and_the_table_says_why():
    view = make(table(), Results(runs(seeds=3, a=0.9, b=0.1)))
    assert bold(view) == []
    assert view.notes == f"No best is marked: {TOO_SMALL}."


def test_the_tests_of_a_table_are_one_family():
    some = pd.concat([runs(a=0.9, b=0.87, c=0.88).assign(seq_len=length) for length in (64, 128)])
    numbers = make(table(), Results(some)).numbers
    best, b, c = (some.loc[(some["architecture"] == m) & (some["seq_len"] == 64), "test/accuracy"] for m in "abc")
    alone = [unpaired_test(best.to_numpy(), other.to_numpy()).p for other in (b, c)]
    expected = holm([*alone, *alone])[:2]
    assert numbers.set_index(["architecture", "seq_len"]).loc[
        [("b", 64), ("c", 64)], "p_best"
    ].tolist() == pytest.approx(expected)


def test_pairs_are_compared_once_there_are_so_many_that_they_can_tell():
    a, b = (pd.Series(np.arange(8) + shift, index=range(8)) for shift in (0.5, 0.0))
    assert compare_runs(a, b) == paired_test(a, b)
    assert compare_runs(a, b, family=10) == unpaired_test(a, b)  # 2/2⁸ · 10 > 0.05
    assert compare_runs(a[:5], b[:5]) == unpaired_test(a[:5], b[:5])
    apart = b.set_axis(range(100, 108))
    assert compare_runs(a, apart) == unpaired_test(a, b)


def test_runs_without_a_number_are_counted_in_their_cell():
    some = runs(a=0.5)
    some.loc[0, ["status", "test/accuracy"]] = ["diverged", np.nan]
    some.loc[1, ["status", "test/accuracy"]] = ["failed", np.nan]
    some.loc[2, ["status", "test/accuracy"]] = ["missing", np.nan]
    some.loc[3, "test/accuracy"] = np.inf
    view = make(table(), Results(some))
    assert view.text.iloc[0, -1] == "54.0 (1/5, 1 failed, 1 diverged)"


def test_chance_stands_below_its_columns_or_beside_its_rows():
    below = make(table(ACCURACY, Measure("test/loss", "loss")), Results(runs(a=0.5))).text
    assert below.iloc[-1].tolist() == ["chance", "10.0", ""]  # chance is told of accuracy, not of loss
    several = pd.concat([runs(a=0.5), runs(a=0.6).assign(task="copy", chance=0.125)])
    beside = make(table(rows=("architecture", "task")), Results(several)).text
    assert beside["chance"].tolist() == ["10.0 %", "12.5 %"]
    by_column = make(table(columns="task"), Results(several)).text
    assert by_column.iloc[-1].tolist() == ["chance", "12.5", "10.0"]


def test_a_chance_level_beside_a_row_is_in_the_unit_of_its_own_metric():
    adding = runs(a=0.5).assign(task="adding", metric="mse", chance=1 / 6).rename(columns={"test/accuracy": "test/mse"})
    several = pd.concat([runs(a=0.5), adding])
    measures = (ACCURACY, Measure("test/mse", "squared error", digits=4))
    text = make(table(*measures, rows=("task",), columns=()), Results(several)).text
    assert text.set_index("task")["chance"].to_dict() == {"adding": "mse 0.1667", "digits": "10.0 %"}


def test_a_number_at_the_least_that_is_needed_counts():
    measure = Measure("x", "x", needs=("r2", 0.9))
    some = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "r2": [0.9, np.nextafter(0.9, 0), 0.95, np.nan]})
    np.testing.assert_array_equal(measure.values(some), [1.0, np.nan, 3.0, np.nan])


def test_people_read_a_minus_and_no_negative_zero():
    below = make(table(Measure("test/loss", "loss", digits=1)), Results(runs(seeds=1, a=3.0, b=1.04))).text
    assert below.iloc[:, -1].tolist()[:2] == ["−2.0", "0.0"]
    computed = Computed("n", "c", "r", lambda _: pd.DataFrame({"x": [-1.5, -2e-7], "shift": [-1, 0]}))
    view = make(computed, Results(runs(a=0.5)))
    assert view.text.to_numpy().tolist() == [["−1.5", "−1"], ["−2e−07", "0"]]
    assert csv(view.numbers) == "x,shift\n-1.5,-1\n-2e-07,0\n"


def test_what_stands_in_backticks_is_code():
    text = pd.DataFrame({"a": ["with `same_x` & none"]})
    assert "with <code>same_x</code> &amp; none" in formats.html(text)
    assert "with \\texttt{same\\_x} \\& none" in formats.latex(text, None, "c", "l")
    assert formats.prose("a ` alone <") == "a ` alone &lt;"


def test_a_number_leads_to_its_runs():
    numbers = make(table(), Results(runs(seeds=2, a=0.5, b=0.6))).numbers
    assert numbers.set_index("architecture")["run_ids"].to_dict() == {"a": "a0 a1", "b": "b0 b1"}


def test_keys_may_be_several_missing_or_absent():
    some = runs(a=0.5, b=0.6).assign(kernel_size=lambda r: r["architecture"].map({"a": 3}).astype("Int64"))
    text = make(table(rows=("architecture", "kernel_size"), columns=()), Results(some)).text
    assert list(text) == ["architecture", "kernel size (steps)", "accuracy"]
    assert text["kernel size (steps)"].tolist() == ["3", "–", ""]


def test_a_computed_table_shows_what_is_computed():
    computed = Computed("n", "c", "r", lambda results: pd.DataFrame({"model": ["a"], "x": [1234.5], "y": [np.nan]}))
    view = make(computed, Results(runs(a=0.5)))
    assert view.text.to_numpy().tolist() == [["a", "1,235", "–"]]
    assert not view.marked.any()


def test_where_nothing_is_there_is_a_table_that_says_so():
    assert make(table(where={"task": "copy"}), Results(runs(a=0.5))).text.to_numpy().tolist() == [["none yet"]]


def printed(view, width):
    said = io.StringIO()
    console = Console(file=said, width=width)
    for part in formats.terminal(view.text, view.marked, view.keys, width):
        console.print(part)
    return said.getvalue().splitlines()


def test_a_table_wider_than_the_terminal_stands_in_parts_that_lack_nothing():
    some = pd.concat([runs(a_long_name=0.9, b=0.5).assign(seq_len=length) for length in (10, 20, 50, 100, 200)])
    view = make(table(), Results(some))
    lines = printed(view, 80)
    assert max(map(len, lines)) <= 80
    assert sum("a_long_name" in line for line in lines) == 2  # parts, each with its key
    for cell in view.text.iloc[:2].to_numpy().ravel():
        assert any(f" {cell} " in line for line in lines)  # whole, on one line
    assert sum(line.count("sequence") for line in lines) == 5
    assert sum("a_long_name" in line for line in printed(view, 200)) == 1


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_long_text_is_folded_and_no_line_is_longer_than_the_terminal(width):
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    view = make(Computed("n", "c", "r", lambda _: pd.DataFrame({"k": ["a"], "said": [words]})), Results(runs(a=0.5)))
    lines = printed(view, width)
    assert max(map(len, lines)) <= width
    assert [word for word in words.split() if not any(word in line for line in lines)] == []


def test_the_terminal_shows_a_marked_cell_in_bold_and_no_markup():
    said = io.StringIO()
    (table,) = formats.terminal(
        pd.DataFrame({"[a]": ["x", "y"], "b": ["1", "2"]}), np.array([[False, True], [False, False]]), ["[a]"], 80
    )
    Console(file=said, force_terminal=True, markup=False).print(table)
    assert "[bold]" not in said.getvalue()
    assert "[a]" in said.getvalue()
    assert "\x1b[1m 1" in said.getvalue() or "\x1b[1m1" in said.getvalue()


def test_chance_levels_that_differ_are_told_as_a_range():
    several = pd.concat([runs(a=0.5).assign(task="recall", chance=level) for level in (0.147, 0.12, 0.123)])
    assert chance_line(several) == "Chance level: recall 12.0–14.7 %."
    adding = runs(a=0.5).assign(task="adding", metric="mse")
    levels = pd.concat([adding.assign(chance=level) for level in (0.16311, 0.16312)])
    assert chance_line(pd.concat([levels, runs(a=0.5)])) == "Chance level: adding mse 0.163, digits 10.0 %."


def test_several_runs_of_one_seed_are_one_draw():
    twice = pd.concat([runs(2, a=0.5), runs(2, a=0.7).assign(run_id=["again0", "again1"])], ignore_index=True)
    (cell,) = make(table(), Results(twice)).numbers.to_dict("records")
    assert (cell["n_valid"], cell["n_finished"], cell["n"]) == (2, 2, 2)
    assert cell["mean"] == pytest.approx(60.5)
    (alone,) = make(table(), Results(runs(2, a=0.6))).numbers.to_dict("records")
    assert (cell["ci95_low"], cell["ci95_high"]) == pytest.approx((alone["ci95_low"], alone["ci95_high"]))
    assert make(table(), Results(twice[twice["seed"] == 0])).text.loc[0, "accuracy, sequence length 64"] == "60.0"


def test_a_seed_counts_with_the_runs_of_it_that_have_a_number():
    four = pd.concat([runs(2, a=0.5), runs(2, a=0.7).assign(run_id=["again0", "again1"])], ignore_index=True)
    four.loc[2, "status"] = "diverged"
    four.loc[[1, 3], "test/accuracy"] = np.inf
    (cell,) = make(table(), Results(four)).numbers.to_dict("records")
    assert (cell["n_valid"], cell["n_finished"], cell["n"], cell["n_diverged"]) == (1, 2, 2, 1)
    assert cell["mean"] == pytest.approx(50.0)


def test_runs_that_share_a_seed_do_not_make_a_test_of_more_seeds():
    many = pd.concat([runs(3, a=0.9, b=0.5).assign(lr=lr) for lr in (1, 2, 3)], ignore_index=True)
    assert set(make(table(), Results(many)).numbers["test"]) == {"", TOO_SMALL}


def test_code_is_counted_by_its_digest_and_by_its_revision_where_it_has_none():
    three = pd.DataFrame({"revision": ["abc", "def", "abc"], "code": [None, None, None]})
    assert mixture_line(three) == "Runs of 2 commits: 2 of abc, 1 of def."
    assert mixture_line(three.assign(code="1234")) == ""  # committing results makes a commit, but the code is the same
    assert mixture_line(three.assign(code=["1234", "1234", "5678"])) == "Runs of 2 code digests: 2 of 1234, 1 of 5678."
    assert mixture_line(three.assign(code=["1234", "1234", None])) == "Runs of 2 code digests: 2 of 1234, 1 of abc."


def test_markdown_holds_no_html_of_its_cells():
    text = pd.DataFrame({"<b>": ["<script>alert(1)</script>", "p < 0.05", "`<i>`", "a|b"]})
    made = formats.markdown(text)
    assert "<script" not in made.replace("`<i>`", "")
    assert "&lt;script>alert(1)&lt;/script>" in made
    assert "p < 0.05" in made
    assert "`<i>`" in made
    assert "&lt;b>" in made


REACH = Measure("gradient/end/h.reach", "reach", digits=0)


def reaching(**reaches):
    rows = [
        {"run_id": f"{name}{seed}", "status": "finished", "architecture": name, "task": "recall", "seq_len": 128}
        | {"seed": seed, "gradient/end/h.reach": reach, "parameters": size}
        for size, (name, values) in enumerate(reaches.items())
        for seed, reach in enumerate(values)
    ]
    return Results(pd.DataFrame(rows))


def test_an_interval_ends_where_the_measure_does():
    view = make(table(REACH), reaching(lstm=[127, 127, 22]))
    assert view.text["reach, sequence length 128"].tolist() == ["92 [0, 127]"]
    assert view.numbers[["ci95_low", "ci95_high"]].to_numpy().tolist() == [[0, 127]]


def test_parameters_are_told_where_they_differ():
    assert "parameters" not in make(table(REACH), reaching(lstm=[1, 2])).text
    assert make(table(REACH), reaching(lstm=[1, 2], rnn=[1, 2])).text["parameters"].tolist() == ["0", "1"]


def test_a_row_whose_runs_have_no_value_is_left_out_and_one_whose_runs_are_lost_is_not():
    results = reaching(lstm=[5, np.nan], rnn=[np.nan, np.nan], gru=[np.nan, np.nan])
    results.runs.loc[results.runs["architecture"] == "gru", "status"] = "diverged"
    text = make(table(REACH), results).text
    told = text.set_index("architecture")["reach, sequence length 128"].to_dict()
    assert told == {"GRU": "– (2 diverged)", "LSTM": "5 (1/2)"}


def test_people_read_names_and_csv_files_keep_keys():
    some = runs(**{"lstm b=1": 0.9}).assign(task="mnist1d", seq_len=64, width=2000)
    view = make(replace(table(), rows=("task", "architecture", "width")), Results(some))
    assert list(view.text)[:3] == ["task", "architecture", "width (units)"]
    assert view.text.iloc[0, :3].tolist() == ["MNIST-1D", "LSTM, forget bias 1", "2,000"]
    assert view.text.columns[-1] == "accuracy, sequence length 64"
    assert view.numbers[["task", "architecture", "width"]].iloc[0].tolist() == ["mnist1d", "lstm b=1", 2000]


def test_keys_that_would_read_alike_keep_their_names():
    some = runs(b=0.5).assign(**{"model.width": 3, "task.width": 4})
    view = make(replace(table(), rows=("model.width", "task.width")), Results(some))
    assert list(view.text)[:2] == ["model.width", "task.width"]


def test_a_table_of_several_quantities_is_read_one_by_one():
    lines = (replace(REACH, label="start", line="reach"), Measure("test/accuracy", "start", line="accuracy", scale=100))
    results = reaching(lstm=[5, 6, 7])
    results.runs["test/accuracy"] = 0.5
    parts = by_quantity(make(table(*lines), results))
    assert [(title, list(text)) for title, text, _ in parts] == [
        ("reach, start", ["architecture", "sequence length 128"]),
        ("accuracy, start", ["architecture", "sequence length 128"]),
    ]


def test_estimates_stand_with_their_interval_and_unit_in_one_column():
    numbers = pd.DataFrame({"what": ["gap"], "estimate": [2.0], "95 % from": [-1.2], "to": [5.4], "unit": ["points"]})
    view = make(Computed("n", "c", "r", lambda _: numbers), reaching(lstm=[1]))
    assert view.text.to_numpy().tolist() == [["gap", "2.0 [−1.2, 5.4] points"]]
    assert list(view.numbers) == list(numbers)
