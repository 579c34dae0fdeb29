"""Series: MNIST-1D, MNIST and .ts files."""

import lzma
import random
import warnings

import numpy as np
import pytest
import torch
from mnist1d.data import get_dataset_args
from scipy.interpolate import interp1d

from gradreach.errors import ConfigError
from gradreach.tasks import MNIST, MNIST1D, TimeSeriesFile
from gradreach.tasks.mnist1d import global_random_state_kept, make
from gradreach.tasks.ts_file import stretched


@pytest.fixture(scope="module")
def published():
    """Make the set once, amid a global random state that must not be touched."""
    np.random.seed(7)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    made = make()
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before  # noqa: NPY002
    return made


@pytest.fixture
def signals(published, monkeypatch):
    monkeypatch.setattr("gradreach.tasks.mnist1d.make", lambda shuffled: published)
    return published


def test_making_mnist1d_leaves_the_global_random_state_as_it_was():
    random.seed(5), np.random.seed(5), torch.manual_seed(5)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    with global_random_state_kept():
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        torch.manual_seed(0)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after


def test_mnist1d_is_the_published_set(published):
    for name, shape in {"x": (4000, 40), "x_test": (1000, 40), "y": (4000,), "y_test": (1000,)}.items():
        assert published[name].shape == shape
    everything = np.concatenate([published["x"], published["x_test"]])
    assert everything.mean() == pytest.approx(0, abs=1e-4)
    assert everything.std() == pytest.approx(1, abs=1e-4)
    assert np.bincount(np.concatenate([published["y"], published["y_test"]])).tolist() == [500] * 10
    from sklearn.linear_model import LogisticRegression

    linear = LogisticRegression(max_iter=200).fit(published["x"], published["y"])
    assert linear.score(published["x_test"], published["y_test"]) == pytest.approx(0.32, abs=0.02)  # as published


def test_mnist1d_comes_in_classes_of_equal_size_and_ends_in_silence(signals, tmp_path):
    task = MNIST1D(seq_len=50)
    splits = task.splits(tmp_path)
    assert [len(s) for s in splits] == pytest.approx([3600, 400, 1000], abs=5)
    assert not splits.test.x[:, 40:].any()
    assert np.array_equal(splits.test.x[:, :40, 0].numpy(), signals["x_test"])
    rows = torch.cat([splits.train.x, splits.validation.x])
    assert len(rows) == 4000
    assert len(rows.unique(dim=0)) == 4000


def test_fewer_training_signals_leave_validation_and_test_alone(signals, tmp_path):
    few, all_of_them = (MNIST1D(train_size=n).splits(tmp_path) for n in (100, None))
    assert len(few.train) == 100
    assert torch.equal(few.validation.x, all_of_them.validation.x)
    assert torch.equal(few.test.x, all_of_them.test.x)
    known = {row.numpy().tobytes() for row in all_of_them.train.x}
    assert all(row.numpy().tobytes() in known for row in few.train.x)


def test_all_4000_signals_are_learned_from_where_none_is_held_out(signals, tmp_path):
    whole, usual = (MNIST1D(hold_out=held_out).splits(tmp_path) for held_out in (False, True))
    learned = {row.tobytes() for row in whole.train.x[:, :, 0].numpy()}
    assert learned == {row.tobytes() for row in signals["x"]}
    assert len(whole.train) == 4000
    for split in ("validation", "test"):
        assert torch.equal(getattr(whole, split).x, getattr(usual, split).x)


def test_mnist1d_shuffled_holds_the_same_steps_in_one_other_order(tmp_path, monkeypatch):
    few = get_dataset_args()
    few.num_samples = 100
    monkeypatch.setattr("mnist1d.data.get_dataset_args", lambda: few)
    plain, shuffled = (MNIST1D(shuffled=it).splits(tmp_path).test.x[:, :, 0] for it in (False, True))
    order = torch.cdist(shuffled.T, plain.T).argmin(1)
    assert order.sort().values.tolist() == list(range(40))
    assert order.tolist() != list(range(40))
    assert (plain[:, order] - shuffled).abs().max() < 1e-6


def test_mnist1d_needs_40_steps():
    with pytest.raises(ConfigError, match="choose 40 or more"):
        MNIST1D(seq_len=39)


def test_real_mnist_is_read(data_dir):
    splits = MNIST(seq_len=64, train_size=1000).splits(data_dir)
    assert [len(s) for s in splits] == pytest.approx([1000, 10_000, 10_000], abs=5)
    assert torch.bincount(splits.test.target).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert 0 <= splits.test.x.min() < splits.test.x.max() <= 1
    assert splits.test.x.mean() == pytest.approx(0.1325, abs=1e-4)  # as published


HEAD = "#about\n@problemName Toy\n@timeStamps false\n@univariate false\n@classLabel true up down\n@data\n"


def series(n=20, seed=0, channels=2, longest=6):
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        length = 2 + i % (longest - 1)
        values = generator.normal(size=(channels, length)).round(3)
        rows.append(":".join(",".join(map(str, channel)) for channel in values) + ":" + ("up", "down")[i % 2])
    return rows


def write(path, rows, head=HEAD):
    path.write_text(head + "\n".join(rows) + "\n")
    return str(path)


def test_a_ts_file_becomes_padded_series(tmp_path):
    rows = series()
    task = TimeSeriesFile(file=write(tmp_path / "toy.ts", rows), normalize=False)
    splits = task.splits(tmp_path)
    assert (task.shape.channels, task.shape.length, task.shape.outputs) == (2, 6, 2)
    assert task.shape.variable_length
    assert task.classes() == ["up", "down"]
    assert sum(map(len, splits)) == 20
    known = {}
    for row in rows:
        *channels, label = row.split(":")
        values = torch.tensor([[float(v) for v in channel.split(",")] for channel in channels]).T
        known[values.numpy().tobytes()] = label
    for split in splits:
        for x, length, target in zip(*split, strict=True):
            assert known[x[:length].numpy().tobytes()] == task.classes()[target]
            assert not x[length:].any()


def test_channels_are_brought_to_mean_0_by_the_training_split_alone(tmp_path):
    task = TimeSeriesFile(file=write(tmp_path / "toy.ts", series(200)))
    splits = task.splits(tmp_path)
    valid = torch.arange(6) < splits.train.lengths.unsqueeze(1)
    steps = splits.train.x[valid]
    assert steps.mean(0).abs().max() < 1e-5
    assert (steps.std(0, correction=0) - 1).abs().max() < 1e-5
    assert splits.test.x[torch.arange(6) < splits.test.lengths.unsqueeze(1)].mean(0).abs().max() > 1e-3


def test_missing_values_become_the_mean_and_are_counted(tmp_path):
    rows = [f"{i},?,{i + 1}:{'up' if i % 2 else 'down'}" for i in range(30)]
    task = TimeSeriesFile(file=write(tmp_path / "toy.ts", rows))
    splits = task.splits(tmp_path)
    assert not splits.train.x[:, 1].any()
    assert (task.facts()["cut"], task.facts()["missing"]) == (0, pytest.approx(1 / 3))
    assert splits.train.lengths is None  # all have three steps


def test_a_test_file_is_the_test_and_what_it_holds_is_never_validation(tmp_path):
    rows = series(40)
    task = TimeSeriesFile(
        file=write(tmp_path / "a.ts", rows), test_file=write(tmp_path / "b.ts", rows[:10]), normalize=False
    )
    splits = task.splits(tmp_path)
    tested = {x.numpy().tobytes() for x in splits.test.x}
    assert len(splits.test) == 10
    assert 0 < task.facts()["also_in_test"] == 40 - len(splits.train) - len(splits.validation)
    assert not tested & {x.numpy().tobytes() for x in splits.validation.x}


def test_series_that_are_written_differently_but_equal_stand_in_one_split(tmp_path):
    rows = [
        f"{value},{i}.0:{'up' if i % 2 else 'down'}" for i in range(40) for value in ("0.1", "1e-1", "0.100000000001")
    ]
    rows += [f"{value},{i}:{'up' if i % 2 else 'down'}" for i in range(40) for value in ("0", "-0.0")]
    splits = TimeSeriesFile(file=write(tmp_path / "a.ts", rows)).splits(tmp_path)
    train, validation, test = ({tuple(x.flatten().tolist()) for x in split.x} for split in splits)
    assert sum(map(len, splits)) == 200
    assert len(train) + len(validation) + len(test) == 80
    assert train.isdisjoint(test)
    assert validation.isdisjoint(train | test)


def test_the_share_of_series_cut_is_told(tmp_path):
    task = TimeSeriesFile(file=write(tmp_path / "toy.ts", series(20)), seq_len=5, keep="tail")
    task.prepare(tmp_path)
    assert task.shape.length == 5
    assert task.facts()["cut"] == 4 / 20


def test_of_a_long_series_that_part_is_given_which_is_asked_for(tmp_path):
    file = write(
        tmp_path / "toy.ts", [f"-1{i:02},-2{i:02},-3{i:02},4{i:02}:{'up' if i % 2 else 'down'}" for i in range(20)]
    )
    for keep, kept in {"head": [-1, -2], "tail": [-3, 4], "both": [-1, 4]}.items():
        x = TimeSeriesFile(file=file, seq_len=2, keep=keep, normalize=False).splits(tmp_path).train.x
        assert (x[:, :, 0] / 100).trunc().unique(dim=0).tolist() == [kept]


@pytest.mark.parametrize(
    ("rows", "head", "says"),
    [
        (series(), "@problemName x\n", "line 2 stands before @data"),
        ([], HEAD, "this file has no series"),
        (["1,2:3,4:up", "1,2:down"], HEAD, "line 8 has 1 channels"),
        (["1,2:3:up"], HEAD, "line 7: its channels have different lengths"),
        (["1,2:sideways"], HEAD, "line 7: class 'sideways' is not one of up, down"),
        (["1,two:up"], HEAD, "line 7: 'two' is not a number"),
        (["1,2"], HEAD, "line 7 has no class"),
        (["1,2:"], HEAD, "line 7 has no class"),
        (["1,2:3,4", "1,2:3,5"], HEAD.replace("@classLabel true up down\n", ""), "line 6 has no class"),
        (["1,2:up"], HEAD.replace("true up down", "false"), "line 5: these series have no classes"),
        (["1,inf:up"], HEAD, "line 7: inf is too large"),
        (["1,1e39:up"], HEAD, "line 7: 1e39 is too large"),
        (["1,2:up"], HEAD, "all 1 series are of class 'up'"),
        (["1,2:up", "2,3:up"], HEAD, "all 2 series are of class 'up'"),
        (["(0,1),(1,2):up"], HEAD.replace("timeStamps false", "timeStamps true"), "line 3: values with time stamps"),
        (["1,2:0.5"], HEAD.replace("@classLabel true up down", "@targetLabel true"), "these series have no classes"),
        (["1,2:up", "2,3:down"], HEAD, "no series are left for the validation split, of 2 with 2 different ones"),
        (series(longest=70, n=70), HEAD, "choose 70 or more, or task.keep=head"),
    ],
)
def test_what_is_wrong_with_a_ts_file_is_said_in_one_line(tmp_path, rows, head, says):
    task = TimeSeriesFile(file=write(tmp_path / "toy.ts", rows, head))
    with pytest.raises(ConfigError) as refused:
        task.prepare(tmp_path)
    assert says in str(refused.value)
    assert "toy.ts" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_do_not_fit_are_refused(tmp_path):
    three = write(tmp_path / "three.ts", [row + ":down" for row in series(channels=2)], HEAD)
    one = write(tmp_path / "one.ts", series(20), HEAD.replace("up down", "up down left"))
    left = write(tmp_path / "left.ts", [*series(4), "1,2:1,2:left"], HEAD.replace("up down", "up down left"))
    narrow = write(tmp_path / "narrow.ts", series(channels=1))
    for test_file, says in (
        (left, "class 'left' does not occur in training"),
        (narrow, "have 1 channels"),
        (three, "not a number"),
    ):
        with pytest.raises(ConfigError, match=says):
            TimeSeriesFile(file=one, test_file=test_file).prepare(tmp_path)
    with pytest.raises(ConfigError, match="there is no file"):
        TimeSeriesFile(file="absent.ts").prepare(tmp_path)
    with pytest.raises(ConfigError, match="nothing is left for training"):
        TimeSeriesFile(file=one, validation_share=0.5, test_share=0.5)


def test_a_ts_file_that_is_no_utf_8_says_what_to_do(tmp_path):
    path = tmp_path / "toy.ts"
    path.write_bytes(HEAD.encode() + b"1,\xe9:up\n")
    with pytest.raises(
        ConfigError, match=r"toy\.ts: line 7 is not utf-8 \(byte 0xe9\); replace it, or save it in this"
    ):
        TimeSeriesFile(file=str(path)).prepare(tmp_path)


def test_a_broken_packed_file_is_named(tmp_path):
    path = tmp_path / "toy.ts.xz"
    path.write_bytes(lzma.compress((HEAD + "\n".join(series())).encode())[:-20])
    with pytest.raises(ConfigError, match=r"toy\.ts\.xz: cannot be read"):
        TimeSeriesFile(file=str(path)).prepare(tmp_path)


@pytest.mark.parametrize(
    ("name", "seq_len", "shape", "sizes"),
    [
        ("JapaneseVowels", 64, (12, 29, 9), (216, 54, 370)),
        ("GunPoint", 150, (1, 150, 2), (40, 10, 150)),
        ("ItalyPowerDemand", 64, (1, 24, 2), (54, 13, 1029)),
    ],
)
def test_real_series_are_read(data_dir, name, seq_len, shape, sizes):
    files = [f"ucr_uea/{name}_{part}.ts.xz" for part in ("TRAIN", "TEST")]
    task = TimeSeriesFile(file=files[0], test_file=files[1], seq_len=seq_len)
    splits = task.splits(data_dir)
    assert (task.shape.channels, task.shape.length, task.shape.outputs) == shape
    assert task.shape.variable_length == (name == "JapaneseVowels")
    assert tuple(len(s) for s in splits) == pytest.approx(sizes, abs=2)
    if task.shape.variable_length:
        assert (splits.test.lengths.min(), splits.test.lengths.max()) == (7, 29)


def test_a_larger_ts_file_than_is_allowed_is_refused(tmp_path):
    file = write(tmp_path / "toy.ts", series(20))
    with pytest.raises(
        ConfigError, match=r"toy\.ts: more than task\.max_rows=19 series, .*; take a sample of the file"
    ):
        TimeSeriesFile(file=file, max_rows=19).prepare(tmp_path)
    task, other = TimeSeriesFile(file=file, max_rows=20), TimeSeriesFile(file=file)
    task.prepare(tmp_path), other.prepare(tmp_path)
    assert task.prepared.path == other.prepared.path


def test_a_channel_without_any_value_is_zero_and_nothing_is_said_of_it(tmp_path):
    rows = [f"{i},{i + 1}:?,?:{'up' if i % 2 else 'down'}" for i in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = TimeSeriesFile(file=write(tmp_path / "toy.ts", rows)).splits(tmp_path)
    assert not splits.train.x[..., 1].any()
    assert splits.train.x[..., 0].all()


def test_a_class_of_the_test_that_training_lacks_is_named_with_its_line(tmp_path):
    head = HEAD.replace("up down", "up down left")
    first = write(tmp_path / "a.ts", series(20), head)
    second = write(tmp_path / "b.ts", [*series(4), "1,2:1,2:left"], head)
    with pytest.raises(
        ConfigError, match=r"b\.ts: line 11: class 'left' does not occur in training \(a\.ts\); remove it"
    ):
        TimeSeriesFile(file=first, test_file=second).prepare(tmp_path)


def test_series_of_the_users_own_test_that_are_learned_from_are_told(tmp_path, capfd):
    rows = series(40)
    files = {"file": write(tmp_path / "a.ts", rows), "test_file": write(tmp_path / "b.ts", rows[:11])}
    task = TimeSeriesFile(**files, normalize=False)
    splits = task.splits(tmp_path)
    learned = {x.numpy().tobytes() for x in splits.train.x}
    shared = sum(x.numpy().tobytes() in learned for x in splits.test.x)
    assert task.facts()["also_in_training"] == {"validation": 0, "test": shared}
    assert task.facts()["also_in_test"] + shared == 11
    told = f"series that are also in training: {shared} of test; they count as if they were new: remove them from one"
    assert capfd.readouterr().err == f"gradreach: note: {told} file\n"
    with pytest.raises(
        ConfigError, match=r"for the validation split \(8 of them also stand in the test\); use a larger file"
    ):
        TimeSeriesFile(file=files["file"], test_file=files["file"]).prepare(tmp_path)


def test_a_stretched_series_is_the_cubic_interpolation_of_scipy(tmp_path):
    generator = np.random.default_rng(0)
    for steps in (4, 7, 15):
        x = generator.normal(size=(steps, 2))
        by_scipy = interp1d(np.arange(steps), x, kind="cubic", axis=0)(np.linspace(0, steps - 1, 29))
        assert np.allclose(stretched(x, 29, tmp_path / "x.ts"), by_scipy)


def test_stretched_series_all_have_the_same_length(tmp_path):
    rows = [f"{','.join(str(i + j * j) for j in range(4 + i % 3))}:{'up' if i % 2 else 'down'}" for i in range(20)]
    task = TimeSeriesFile(file=write(tmp_path / "toy.ts", rows), seq_len=9, stretch=True, normalize=False)
    splits = task.splits(tmp_path)
    assert (task.shape.length, task.shape.variable_length) == (9, False)
    assert splits.train.lengths is None
    short = [f"{i},2,3:{'up' if i % 2 else 'down'}" for i in range(20)]
    with pytest.raises(
        ConfigError, match=r"short.ts: a series has 3 steps, but a cubic spline needs 4; set task.stretch"
    ):
        TimeSeriesFile(file=write(tmp_path / "short.ts", short), seq_len=9, stretch=True).splits(tmp_path)
    missing = [f"{i},?,3,4:{'up' if i % 2 else 'down'}" for i in range(20)]
    with pytest.raises(ConfigError, match=r"missing.ts: a series has missing values"):
        TimeSeriesFile(file=write(tmp_path / "missing.ts", missing), seq_len=9, stretch=True).splits(tmp_path)
    with pytest.raises(ConfigError, match=r"task.keep=head: has no effect with task.stretch"):
        TimeSeriesFile(file="x.ts", stretch=True, keep="head")


def test_all_series_of_a_file_are_learned_from_where_none_is_held_out(tmp_path, capsys):
    rows = series(26)
    file, test_file = write(tmp_path / "toy.ts", rows[:20]), write(tmp_path / "test.ts", rows[20:])
    whole, usual = (
        TimeSeriesFile(file=file, test_file=test_file, hold_out=held_out, normalize=False).splits(tmp_path)
        for held_out in (False, True)
    )
    assert (len(whole.train), len(usual.train)) == (20, 20 - len(usual.validation))
    assert torch.equal(whole.validation.x, usual.validation.x)
    learned = {x.numpy().tobytes() for x in whole.train.x}
    assert {x.numpy().tobytes() for x in torch.cat([usual.train.x, usual.validation.x])} == learned
    assert "of validation" not in capsys.readouterr().err
