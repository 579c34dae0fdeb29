"""What comes from elsewhere is verified before it is used, and archives name no path of ours."""

import gzip
import hashlib
import http.client
import io
import json
import lzma
import tarfile
import zipfile
from urllib.response import addinfourl

import numpy as np
import pytest
import torch

from gradreach.errors import ConfigError
from gradreach.tasks import IMDB, MNIST, SST, TREC
from gradreach.tasks.download import fetch, without_download
from gradreach.tasks.mnist import averages
from gradreach.tasks.tokens import torchtext


def md5(content):
    return "md5:" + hashlib.md5(content).hexdigest()


@pytest.fixture
def far(tmp_path):
    folder = tmp_path / "far"
    folder.mkdir()
    return folder


def test_a_file_arrives_from_the_first_address_that_gives_the_right_content(far, tmp_path):
    (far / "wrong").write_bytes(b"wrong")
    (far / "right").write_bytes(b"right")
    urls = [(far / name).as_uri() for name in ("absent", "wrong", "right")]
    target = fetch(tmp_path / "data" / "set" / "file", urls, md5(b"right"))
    assert target.read_bytes() == b"right"


def test_what_is_there_is_not_downloaded(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    assert fetch(tmp_path / "file", [], md5(b"other")).read_bytes() == b"mine"


def test_what_only_looks_downloads_nothing_and_says_that_data_are_absent(far, tmp_path):
    (far / "right").write_bytes(b"right")
    asked = tmp_path / "file", [(far / "right").as_uri()], md5(b"right")
    with without_download(), pytest.raises(ConfigError, match="the data are missing"):
        fetch(*asked)
    assert fetch(*asked).read_bytes() == b"right"


def test_a_wrong_content_never_gets_its_name(far, tmp_path):
    (far / "wrong").write_bytes(b"wrong")
    with pytest.raises(ConfigError, match="not md5:") as refused:
        fetch(tmp_path / "data" / "file", [(far / "wrong").as_uri()], md5(b"right"))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "data").exists()


def test_a_file_that_breaks_off_is_said_to_be_incomplete(tmp_path, monkeypatch):
    broken = addinfourl(io.BytesIO(b"half"), {"Content-Length": "8"}, "http://far")
    monkeypatch.setattr("urllib.request.urlopen", lambda request, timeout: broken)
    with pytest.raises(ConfigError, match="http://far: the connection broke after 4 of 8 bytes"):
        fetch(tmp_path / "file", ["http://far"], md5(b"all of it"))


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_mnist(far, monkeypatch):
    generator = np.random.default_rng(0)
    contents = {
        "train-images-idx3-ubyte.gz": idx(np.tile(generator.integers(256, size=(60, 28, 28)), (2, 1, 1))),
        "train-labels-idx1-ubyte.gz": idx(np.arange(120) % 10),
        "t10k-images-idx3-ubyte.gz": idx(generator.integers(256, size=(20, 28, 28))),
        "t10k-labels-idx1-ubyte.gz": idx(np.arange(20) % 10),
    }
    for name, content in contents.items():
        (far / name).write_bytes(gzip.compress(content))
    monkeypatch.setattr("gradreach.tasks.mnist.FILES", {name: md5(content) for name, content in contents.items()})
    monkeypatch.setattr("gradreach.tasks.mnist.MIRRORS", (far.as_uri() + "/",))
    return contents


def test_mnist_is_downloaded_verified_and_split(small_mnist, tmp_path):
    splits = MNIST().splits(tmp_path / "data")
    assert [len(split) for split in splits] == [100, 20, 20]
    assert [len(split.x.unique(dim=0)) for split in splits] == [50, 10, 20]  # equal images stand in one split
    images = np.frombuffer(small_mnist["t10k-images-idx3-ubyte.gz"], np.uint8, offset=16).reshape(20, 784)
    assert np.array_equal((splits.test.x[:, :, 0] * 255).round().numpy(), images)
    assert splits.test.target.tolist() == [i % 10 for i in range(20)]


def test_mnist_permuted_holds_the_same_pixels_in_one_other_order(small_mnist, tmp_path):
    plain, permuted = MNIST().splits(tmp_path), MNIST(permuted=True).splits(tmp_path)
    order = [int((plain.test.x[:, :, 0] == permuted.test.x[:, i : i + 1, 0]).all(0).nonzero()) for i in range(784)]
    assert sorted(order) == list(range(784))
    assert order != list(range(784))
    assert (plain.train.x[:, order] == permuted.train.x).all()
    assert not torch.equal(MNIST(permuted=True, data_seed=1).splits(tmp_path).test.x, permuted.test.x)


def test_mnist_shrunk_averages_equal_areas(small_mnist, tmp_path):
    whole, small = MNIST().splits(tmp_path).test.x, MNIST(seq_len=49).splits(tmp_path).test.x
    by_hand = whole.view(20, 7, 4, 7, 4).mean((2, 4)).view(20, 49, 1)
    assert (small - by_hand).abs().max() < 1e-6
    for side in (2, 8, 10, 27, 28):
        assert np.allclose(averages(side).sum(1), 1)
        assert np.allclose(averages(side).sum(0), side / 28)


def test_a_damaged_mnist_file_is_named(small_mnist, tmp_path):
    MNIST().prepare(tmp_path)
    path = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"other"))
    with pytest.raises(ConfigError, match=r"t10k-labels.*damaged"):
        MNIST().splits(tmp_path)
    path.write_bytes(b"no gzip")
    with pytest.raises(ConfigError, match=r"t10k-labels.*cannot be read"):
        MNIST().splits(tmp_path)


@pytest.mark.parametrize(("seq_len", "near"), [(50, "49 or 64"), (1, "choose 4"), (900, "choose 784")])
def test_mnist_wants_a_square(seq_len, near):
    with pytest.raises(ConfigError, match=near):
        MNIST(seq_len=seq_len)


def test_trec_is_downloaded_from_where_torchtext_says(far, tmp_path, monkeypatch):
    files = {"train_5500.label": b"NUM:dist How far is it ?\n" * 3 + b"HUM:ind Who was he ?\n" * 3}
    files["TREC_10.label"] = b"NUM:dist How far is a sister\xf0city ?\n"
    for name, content in files.items():
        (far / name).write_bytes(content)
    assert [url.rpartition("/")[2] for url in torchtext().datasets.TREC.urls] == list(files)
    monkeypatch.setattr(torchtext().datasets.TREC, "urls", [(far / name).as_uri() for name in files])
    monkeypatch.setattr(TREC, "digests", {name: md5(content) for name, content in files.items()})
    task = TREC()
    train, _, test = task.read(task.files(tmp_path))
    assert train.labels == ["NUM"] * 3 + ["HUM"] * 3
    assert test.texts == ["How far is a sister city ?"]


def test_sst_takes_its_three_members_and_nothing_else_of_an_archive(far, tmp_path, monkeypatch):
    trees = {f"{part}.txt": f"(3 (2 {part}) (4 good))\n".encode() for part in ("train", "dev", "test")}
    with zipfile.ZipFile(far / "trees.zip", "w") as archive:
        archive.writestr("../../escaped.txt", "outside")
        for name, content in trees.items():
            archive.writestr(f"trees/{name}", content)
    monkeypatch.setattr(torchtext().datasets.SST, "urls", [(far / "trees.zip").as_uri()])
    monkeypatch.setattr(SST, "digests", {name: md5(content) for name, content in trees.items()})
    files = SST().files(tmp_path / "deep" / "data")
    assert [path.read_bytes() for path in files] == list(trees.values())
    assert {p.name for p in tmp_path.rglob("*.txt")} == set(trees)


def test_imdb_reads_the_archive_without_unpacking_it(tmp_path, monkeypatch):
    (tmp_path / "imdb").mkdir()
    with tarfile.open(tmp_path / "imdb" / "aclImdb_v1.tar.gz", "w:gz") as archive:
        for name, text in {
            "aclImdb/train/pos/0_9.txt": "fine film",
            "aclImdb/train/neg/1_2.txt": "bad film",
            "aclImdb/test/neg/0_1.txt": "awful<br />film",
            "aclImdb/train/unsup/0_0.txt": "no label",
            "../../aclImdb/test/pos/0_8.txt": "from outside",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("aclImdb/test/pos/3_8.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    content = (tmp_path / "imdb" / "aclImdb_v1.tar.gz").read_bytes()
    monkeypatch.setattr(IMDB, "digest", md5(content))
    task = IMDB()
    train, _, test = task.read(task.files(tmp_path))
    assert sorted(zip(train.labels, train.texts, strict=True)) == [("negative", "bad film"), ("positive", "fine film")]
    assert (test.labels, test.texts) == (["negative"], ["awful<br />film"])
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["aclImdb_v1.tar.gz"]


@pytest.mark.parametrize("damage", ["cut", "other bytes", "empty", "junk"])
@pytest.mark.parametrize(
    ("task", "name"),
    [
        (TREC(), "trec/train_5500.label"),
        (TREC(), "trec/TREC_10.label"),
        (SST(), "sst/trees/train.txt"),
        (SST(), "sst/trees/dev.txt"),
        (SST(), "sst/trees/test.txt"),
        (IMDB(), "imdb/aclImdb_v1.tar.gz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_published_set_that_is_not_whole_is_named_and_never_read(tmp_path, monkeypatch, task, name, damage):
    """Half of such a file would be read without an error, and so would an archive with other bytes in its middle."""
    whole = {
        "trec/train_5500.label": b"NUM:dist How far is it ?\nHUM:ind Who was he ?\n" * 9,
        "trec/TREC_10.label": b"NUM:dist How far ?\n" * 9,
        **{
            f"sst/trees/{part}.txt": b"(3 (2 It) (4 works))\n(1 (2 It) (0 fails))\n" * 9
            for part in ("train", "dev", "test")
        },
        "imdb/aclImdb_v1.tar.gz": b"stands for an archive",
    }
    for path, content in whole.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    monkeypatch.setattr(TREC, "digests", {name: md5(whole[f"trec/{name}"]) for name in TREC.digests})
    monkeypatch.setattr(SST, "digests", {name: md5(whole[f"sst/trees/{name}"]) for name in SST.digests})
    content = whole[name]
    half = len(content) // 2
    damaged = {"cut": content[:half], "other bytes": content[:half] + b"!!!!" + content[half + 4 :], "empty": b""}
    (tmp_path / name).write_bytes(damaged.get(damage, b"\x1f\x8b junk"))
    with pytest.raises(
        ConfigError, match=r"this file is damaged or not the expected one .*; delete or replace it"
    ) as refused:
        task.prepare(tmp_path)
    assert str(tmp_path / name) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def small_imdb(tmp_path, monkeypatch):
    """A set of lines, four each; gives a function that rewrites one of its files."""
    (tmp_path / "imdb").mkdir()
    monkeypatch.setattr(IMDB, "size", 4)

    def rewrite(part, rows):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "imdb" / f"{part}.jsonl.xz").write_bytes(lzma.compress(text.encode()))

    for part in ("train", "test"):
        rewrite(part, [{"label": i % 2, "text": f"{part} {i}"} for i in range(4)])
    return rewrite


def test_imdb_is_read_from_lines(small_imdb, tmp_path):
    train, _, test = (task := IMDB()).read(task.files(tmp_path))
    assert (train.texts, train.labels) == ([f"train {i}" for i in range(4)], ["negative", "positive"] * 2)
    assert test.texts == [f"test {i}" for i in range(4)]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "has 0 reviews; the published set has 4; delete or replace it (task.train_size draws fewer)"),
        ([{"label": 0, "text": "x"}] * 3, "has 3 reviews; the published set has 4"),
        ([{"label": 0, "text": "x"}] * 5, "has 5 reviews; the published set has 4"),
        ([{"label": 0, "text": 5}], 'line 1 must be {"label": 0 or 1, "text": ...}'),
        ([{"label": 0, "text": "x"}, {"label": -1, "text": "x"}], "line 2 must be"),
        ([{"label": "positive", "text": "x"}], "line 1 must be"),
        ([{"label": [], "text": "x"}], "line 1 must be"),
        ([{"text": "x"}], "line 1 must be"),
        ([5], "line 1 must be"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_imdb_lines_that_are_not_the_set_are_refused_in_one_line(small_imdb, tmp_path, part, rows, says):
    small_imdb(part, rows)
    with pytest.raises(ConfigError) as refused:
        IMDB().prepare(tmp_path)
    assert f"{part}.jsonl.xz: {says}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "error",
    [
        http.client.IncompleteRead(b"half", 4),
        http.client.BadStatusLine("two\nlines"),
        http.client.InvalidURL("no url"),
        ConnectionResetError("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_address_that_breaks_off_is_followed_by_the_next(tmp_path, error):
    def get(url):
        if url == "first":
            raise error
        return b"right"

    assert fetch(tmp_path / "file", ["first", "second"], md5(b"right"), get=get).read_bytes() == b"right"
    with pytest.raises(ConfigError, match="could not be downloaded") as refused:
        fetch(tmp_path / "absent", ["first"], md5(b"right"), get=get)
    assert "\n" not in str(refused.value)
