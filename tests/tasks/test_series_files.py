"""What stands in files of series, and what a model is given of it: padding, duplicates, formats, values, folds."""

import gzip
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gradreach.errors import ConfigError
from gradreach.tasks import TimeSeriesFile, TimeSeriesValues
from gradreach.tasks.card import card
from gradreach.tasks.series import read_series

HEAD = "@problemName Toy\n@classLabel true up down\n@data\n"
VALUES = "@problemName Toy\n@targetLabel true\n@data\n"


def write(path, rows, head=HEAD):
    path.write_text(head + "\n".join(rows) + "\n")
    return str(path)


def ragged(n=30, channels=1, seed=0, offset=0.0, scale=1.0):
    """Return series of different lengths, ``(length, channels)``."""
    generator = np.random.default_rng(seed)
    return [offset + scale * generator.normal(size=(3 + i % 5, channels)) for i in range(n)]


def row(series, label, *, length=None, missing="?"):
    """Write a series, its channels padded to a length."""
    padding = [missing] * ((length or len(series)) - len(series))
    return ":".join(",".join([*map(repr, channel.tolist()), *padding]) for channel in series.T) + f":{label}"


def same(one, other):
    for part, another in zip(one, other, strict=True):
        assert torch.equal(part.x, another.x)
        assert torch.equal(part.target, another.target)
        assert (part.lengths is None) == (another.lengths is None)
        assert part.lengths is None or torch.equal(part.lengths, another.lengths)


@pytest.mark.parametrize("missing", ["?", "NaN", "nan", " ? "])
@pytest.mark.parametrize("channels", [1, 3])
def test_steps_at_the_end_that_no_channel_has_a_value_of_are_no_steps(tmp_path, missing, channels):
    some = ragged(channels=channels)
    labels = ["up" if i % 2 else "down" for i in range(len(some))]
    short = write(tmp_path / "a.ts", [row(one, label) for one, label in zip(some, labels, strict=True)])
    rows = [row(one, label, length=9, missing=missing) for one, label in zip(some, labels, strict=True)]
    padded = TimeSeriesFile(file=write(tmp_path / "b.ts", rows), seq_len=7)  # 9 would be too long
    same(TimeSeriesFile(file=short, seq_len=7).splits(tmp_path), padded.splits(tmp_path))
    assert padded.shape.variable_length
    assert (padded.facts()["padded"], padded.facts()["missing"]) == (30, 0)
    assert "padded 30" in card(padded, tmp_path)


def test_a_step_that_one_channel_has_a_value_of_is_a_step_and_so_is_one_before_or_between(tmp_path):
    rows = ["?,1,?,2,?:?,?,?,?,3:up", "1,2,3,?,?:1,2,?,?,?:down"]
    first, second = read_series(tmp_path / write(tmp_path / "a.ts", rows), 9).series
    assert first.shape == (5, 2)
    assert np.isnan(first).tolist() == [[True, True], [False, True], [True, True], [False, True], [True, False]]
    assert second.shape == (3, 2)


def test_a_series_without_any_value_has_no_steps_and_can_be_read(tmp_path):
    rows = [row(one, "up" if i % 2 else "down") for i, one in enumerate(ragged())]
    task = TimeSeriesFile(file=write(tmp_path / "a.ts", rows), test_file=write(tmp_path / "b.ts", ["?,?:up", ":down"]))
    splits = task.splits(tmp_path)
    assert splits.test.lengths.tolist() == [0, 0]
    assert not splits.test.x.any()


@pytest.mark.parametrize("offset", [2e6, -1e9, 3e-30])
@pytest.mark.parametrize("channels", [1, 2])
def test_series_that_a_model_can_tell_apart_are_different_however_large_their_values(tmp_path, offset, channels):
    parts = []
    for seed, name in enumerate(("a", "b")):
        some = ragged(200, channels, seed, offset, scale=max(1.0, abs(offset)) * 1e-8 if abs(offset) > 1 else 1e-43)
        parts.append(
            write(tmp_path / f"{name}.ts", [row(one[:3], "up" if i % 2 else "down") for i, one in enumerate(some)])
        )
    task = TimeSeriesFile(file=parts[0], test_file=parts[1], validation_share=0.5)
    splits = task.splits(tmp_path)
    everything = torch.cat([split.x for split in splits]).flatten(1)
    if len(everything.unique(dim=0)) == 400:  # what the model is given is all different
        assert [len(split) for split in splits] == [100, 100, 200]
        assert (task.facts()["also_in_test"], task.facts()["also_in_training"]["test"]) == (0, 0)
    train, validation, test = ({x.numpy().tobytes() for x in split.x} for split in splits)
    assert validation.isdisjoint(test)
    assert validation.isdisjoint(train)


def test_series_of_which_a_model_is_given_the_same_part_are_equal(tmp_path):
    same_head = [f"{i % 20},{i % 20},{i}:{'up' if i % 2 else 'down'}" for i in range(100)]
    task = TimeSeriesFile(file=write(tmp_path / "a.ts", same_head), seq_len=2, keep="head")
    splits = task.splits(tmp_path)
    assert sum(map(len, splits)) == 100
    train, validation, test = ({x.numpy().tobytes() for x in split.x} for split in splits)
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)
    asked = write(tmp_path / "b.ts", ["3,3,7:up", "40,41,2:down"])
    task = TimeSeriesFile(file=write(tmp_path / "a.ts", same_head), test_file=asked, seq_len=2, keep="head")
    task.prepare(tmp_path)
    assert task.facts()["also_in_test"] + task.facts()["also_in_training"]["test"] in (5, 1)


def test_per_cent_signs_begin_comments_as_number_signs_do(tmp_path):
    rows = ["1,2:up", "% of nothing", "#", "2,3:down"]
    found = read_series(tmp_path / write(tmp_path / "a.ts", rows, "%About this\n" + HEAD), 9)
    assert (found.answers, found.lines) == (["up", "down"], [5, 8])


@pytest.mark.parametrize("packed", [False, True])
def test_ucrs_own_files_are_read(tmp_path, packed):
    """Class first, then the values of one channel; NaN is a missing value, and at the end none."""
    some = ragged()
    table = "".join(
        "\t".join([str(1 + i % 2), *map(repr, one[:, 0].tolist()), "NaN"]) + "\n" for i, one in enumerate(some)
    )
    path = tmp_path / ("a.tsv.gz" if packed else "a.tsv")
    path.write_bytes(gzip.compress(table.encode()) if packed else table.encode())
    rows = [row(one, 1 + i % 2) for i, one in enumerate(some)]
    other = TimeSeriesFile(file=write(tmp_path / "a.ts", rows, "@classLabel true 1 2\n@data\n"))
    same(TimeSeriesFile(file=str(path)).splits(tmp_path), other.splits(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.tsv", "1 2 3\n", "line 1 has no values after a class; separate them with tabs"),
        ("a.tsv", "1\t2\t\n", "line 1: '' is not a number"),
        ("a.tsv", "\t2\t3\n", "line 1 has no values after a class"),
        ("a.tsv", "", "this file has no series"),
        ("a.ts", "1\t2\t3\n", "line 1 stands before @data; is this a .ts file? (UCR's own are named .tsv)"),
        ("a.ts", HEAD + "1,1_0:up\n", "line 4: '1_0' is not a number"),
        ("a.tsv", "1\t2\t1_000\n", "line 1: '1_000' is not a number"),
        (
            "a.ts",
            f"@dimensions 3\n{HEAD}1,2:3,4:up\n",
            "line 5 has 2 channels, but by line 1 (@dimensions) it must have 3",
        ),
        (
            "a.ts",
            f"@univariate true\n{HEAD}1,2:3,4:up\n",
            "line 5 has 2 channels, but by line 1 (@univariate) it must have 1",
        ),
        (
            "a.ts",
            f"@equalLength true\n@seriesLength 5\n{HEAD}1,2,3,4,5:up\n1,2:up\n",
            "line 7 has 2 steps, but by line 2 (@serieslength) it must have 5; correct the series, or the header",
        ),
        (
            "a.ts",
            f"@equalLength true\n{HEAD}1,2,3:up\n1,2:up\n",
            "line 6 has 2 steps, but by line 5 (@equallength) it must have 3",
        ),
        ("a.ts", VALUES + "1,2:0.5\n", "line 2: these series have no classes; use task=ts_values"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as refused:
        TimeSeriesFile(file=name).prepare(tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_head_that_its_series_are_like_is_read_with_padding_or_without_equal_lengths(tmp_path):
    (tmp_path / "a.ts").write_text(
        f"@univariate false\n@dimensions 2\n@equalLength true\n@seriesLength 3\n{HEAD}1,2,?:3,4,?:up\n"
    )
    assert [one.shape for one in read_series(tmp_path / "a.ts", 9).series] == [(2, 2)]
    (tmp_path / "b.ts").write_text(f"@univariate true\n@equalLength false\n@seriesLength 3\n{HEAD}1,2:up\n1,2,3:up\n")
    assert [len(one) for one in read_series(tmp_path / "b.ts", 9).series] == [2, 3]


@pytest.mark.parametrize("table", [False, True])
def test_values_are_predicted_in_units_of_their_spread_in_training(tmp_path, table):
    some = ragged(60)
    values = [100 + 7 * float(one.sum()) for one in some]
    if table:
        lines = ["\t".join(map(repr, [value, *one[:, 0].tolist()])) for one, value in zip(some, values, strict=True)]
        path = write(tmp_path / "a.tsv", lines, "")
    else:
        path = write(tmp_path / "a.ts", [row(one, value) for one, value in zip(some, values, strict=True)], VALUES)
    task = TimeSeriesValues(file=path)
    splits = task.splits(tmp_path)
    facts = task.facts()
    assert (task.metric, task.shape.outputs, task.classes()) == ("mse", 1, [])
    assert splits.train.target.mean() == pytest.approx(0, abs=1e-6)
    assert splits.train.target.std(correction=0) == pytest.approx(1, abs=1e-6)
    given = torch.cat([split.target for split in splits]).double() * facts["value_std"] + facts["value_mean"]
    assert sorted(given.tolist()) == pytest.approx(sorted(values), rel=1e-5)
    assert "one value, training mean" in card(task, tmp_path)


@pytest.mark.parametrize(
    ("rows", "head", "says"),
    [
        (["1,2:up"], HEAD, "line 2: these series have classes, not values; use task=ts_file"),
        (["1,2:0.5", "1,2:much"], VALUES, "line 5: 'much' is not a value"),
        (["1,2:nan", "1,3:1"], VALUES, "'nan' is not a value; write a finite number"),
        (["1,2:1_000", "1,3:1"], VALUES, "'1_000' is not a value"),
        (["1,2:1e39", "1,3:1"], VALUES, "'1e39' is not a value"),
        ([f"{i},2:4" for i in range(30)], VALUES, "training values are 4; at least two different values are needed"),
    ],
)
def test_what_is_wrong_with_values_is_said_in_one_line(tmp_path, rows, head, says):
    with pytest.raises(ConfigError) as refused:
        TimeSeriesValues(file=write(tmp_path / "a.ts", rows, head)).prepare(tmp_path)
    assert says in str(refused.value)


def test_folds_test_on_every_series_once_and_never_choose_on_one_that_is_tested(tmp_path):
    rows = [row(one, "up" if i % 3 else "down") for i, one in enumerate(ragged(90))]
    file, tested = write(tmp_path / "a.ts", rows + rows[:9]), []
    for fold in range(5):
        splits = TimeSeriesFile(file=file, fold=fold, folds=5, normalize=False).splits(tmp_path)
        assert [len(split) for split in splits] == pytest.approx([63, 16, 20], abs=6)
        train, validation, test = ([x.numpy().tobytes() for x in split.x] for split in splits)
        assert not set(train) & (set(validation) | set(test))
        assert not set(validation) & set(test)
        assert abs(float(splits.test.target.double().mean()) - 1 / 3) < 0.15
        tested += test
    assert len(tested) == 99
    assert len(set(tested)) == 90


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fold": 10}, "task.fold=10: must be below task.folds=10; choose 0 to 9"),
        ({"folds": 5}, "task.folds=5: has no effect without a task.fold; remove task.folds"),
        ({"fold": 1, "test_file": "b.ts"}, "task.fold=1: task.test_file already gives the test"),
        ({"fold": 1, "test_share": 0.3}, "task.test_share=0.3: has no effect with a task.fold"),
        ({"test_share": 0.3, "test_file": "b.ts"}, "task.test_share=0.3: has no effect with a task.test_file"),
    ],
)
def test_settings_without_an_effect_are_refused_for_one_run_has_one_identity(settings, says):
    with pytest.raises(ConfigError) as refused:
        TimeSeriesFile(file="a.ts", **settings)
    assert says in str(refused.value)


def test_series_are_learned_by_the_squared_error_of_sigmoids_where_that_is_asked_for(tmp_path):
    rows = [row(one, "up" if i % 3 else "down") for i, one in enumerate(ragged(30))]
    file = write(tmp_path / "a.ts", rows)
    usual, squared = TimeSeriesFile(file=file), TimeSeriesFile(file=file, criterion="squared_error")
    same(usual.splits(tmp_path), squared.splits(tmp_path))
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.tensor([2, 0, 1, 1, 0])
    by_hand = [
        sum((1 / (1 + math.exp(-logit)) - (number == answer)) ** 2 for number, logit in enumerate(row)) / 3
        for row, answer in zip(logits.tolist(), target.tolist(), strict=True)
    ]
    assert squared.loss(logits, target).tolist() == pytest.approx(by_hand, abs=1e-12)
    assert usual.loss(logits, target).tolist() == F.cross_entropy(logits, target, reduction="none").tolist()
    assert torch.equal(squared.score(logits, target), usual.score(logits, target))


def test_values_have_no_criterion_to_choose(tmp_path):
    with pytest.raises(TypeError, match="criterion"):
        TimeSeriesValues(file="a.ts", criterion="cross_entropy")
    assert TimeSeriesValues(file="a.ts").loss(torch.tensor([[3.0]]), torch.tensor([1.0])).tolist() == [4]


def test_a_criterion_that_is_not_used_is_no_part_of_an_identity(configured):
    usual, squared = (
        configured("task=ts_file", "task.file=a.ts", *rest)[0] for rest in ([], ["task.criterion=squared_error"])
    )
    assert "criterion" not in usual.canonical()["task"]
    assert squared.canonical()["task"]["criterion"] == "squared_error"
    with pytest.raises(ConfigError, match="criterion=hinge: must be 'cross_entropy' or 'squared_error'"):
        configured("task=ts_file", "task.file=a.ts", "task.criterion=hinge")
