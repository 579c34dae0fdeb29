"""What comes from elsewhere is verified before it is used, and archives name no path of ours."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from urllib.response import addinfourl

import numpy as np
import pytest
import torch

from gradreach.errors import ConfigError
from gradreach.tasks import IMDB, MNIST, SST, TREC
from gradreach.tasks.download import fetch
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
    with pytest.raises(ConfigError, match=r"t10k-labels.*cannot be unpacked"):
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


def test_imdb_reads_the_archive_without_unpacking_it(tmp_path):
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
    task = IMDB()
    train, _, test = task.read(task.files(tmp_path))
    assert sorted(zip(train.labels, train.texts, strict=True)) == [("negative", "bad film"), ("positive", "fine film")]
    assert (test.labels, test.texts) == (["negative"], ["awful<br />film"])
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["aclImdb_v1.tar.gz"]
