"""Prepared data are made once, kept whole, and rebuilt where anything that shaped them differs."""

import errno
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np
import pytest

from gradreach.tasks.cache import (
    Prepared,
    _check,
    _code,
    _facts,
    _intact,
    cache_folder,
    file_hash,
    map_arrays,
    progress,
)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_text("one")
    return path


class Maker:
    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"x": np.arange(5), "words": np.array(["a", "字"])}, {"length": 5, "share": 0.25}


def test_it_is_made_once_and_read_back_equal(source):
    make = Maker()
    first, again = (Prepared("t", {"a": 1}, [source], make) for _ in range(2))
    assert make.times == 1
    assert first.facts == again.facts == {"length": 5, "share": 0.25}
    for prepared in (first, again):
        arrays = prepared.arrays()
        assert sorted(arrays) == ["words", "x"]
        assert arrays["x"].tolist() == [0, 1, 2, 3, 4]
        assert arrays["words"].tolist() == ["a", "字"]
    assert make.times == 1


@pytest.mark.parametrize("change", ["task", "settings", "content", "code"])
def test_whatever_shaped_it_is_in_its_name(source, change, monkeypatch):
    make = Maker()
    before = Prepared("t", {"a": 1}, [source], make).path
    if change == "content":
        source.write_text("two")
    if change == "code":
        monkeypatch.setattr("gradreach.tasks.cache._code", lambda: "mended")
    after = Prepared("other" if change == "task" else "t", {"a": 2 if change == "settings" else 1}, [source], make).path
    assert before != after
    assert make.times == 2


def test_the_place_of_a_file_does_not_count(source, tmp_path):
    make = Maker()
    copy = tmp_path / "elsewhere.txt"
    copy.write_bytes(source.read_bytes())
    assert Prepared("t", {}, [source], make).path == Prepared("t", {}, [copy], make).path
    assert make.times == 1


@pytest.mark.parametrize("damage", ["cut", "garbage", "flipped"])
def test_a_damaged_file_is_made_anew(source, damage):
    make = Maker()
    path = Prepared("t", {}, [source], make).path
    content = path.read_bytes()
    middle = content.index(np.arange(5).tobytes())
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "garbage": b"garbage",
            "flipped": content[:middle] + b"\xff" + content[middle + 1 :],
        }[damage]
    )
    assert Prepared("t", {}, [source], make).arrays()["x"].tolist() == [0, 1, 2, 3, 4]
    assert make.times == 2
    assert Prepared("t", {}, [source], make).arrays()["x"].tolist() == [0, 1, 2, 3, 4]
    assert make.times == 2


def test_what_fails_half_way_leaves_nothing(source):
    def fail():
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        Prepared("t", {}, [source], fail)
    assert not list(cache_folder().glob("*.npz"))


def test_without_a_place_to_keep_it_it_works_all_the_same(source, monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("GRADREACH_CACHE_DIR", str(tmp_path / "a file"))
    make = Maker()
    assert Prepared("t", {}, [source], make).arrays()["x"].tolist() == [0, 1, 2, 3, 4]
    assert make.times == 1


def test_arrays_are_mapped_and_what_is_written_into_them_stays_in_the_process(source):
    first, again = (Prepared("t", {}, [source], Maker()) for _ in range(2))
    x, content = first.arrays()["x"], first.path.read_bytes()
    assert isinstance(x, np.memmap)
    x += 1
    assert x.tolist() == [1, 2, 3, 4, 5]
    assert first.path.read_bytes() == content
    assert again.arrays()["x"].tolist() == [0, 1, 2, 3, 4]


def test_arrays_of_every_kind_are_mapped_as_they_were(source):
    kept = {
        "empty": np.zeros((0, 7), dtype=np.float32),
        "by_column": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        "words": np.array(["", "好吃", "a" * 300]),
        "scalar": np.array(3),
        "x": np.arange(24, dtype=np.int32).reshape(2, 3, 4),
    }
    path = Prepared("t", {}, [source], lambda: (kept, {})).path
    for arrays in (map_arrays(path), Prepared("t", {}, [source], lambda: ({}, {})).arrays()):
        assert arrays.keys() == kept.keys()
        for name, array in kept.items():
            assert arrays[name].dtype == array.dtype
            assert np.array_equal(arrays[name], array)


def test_looking_at_a_row_does_not_read_the_rest(source):
    """Told by the operating system: of 64 MB only pages that were touched are resident."""
    big = {"x": np.ones((4096, 4096), dtype=np.float32)}
    path = Prepared("t", {}, [source], lambda: (big, {})).path
    read = (
        "import resource, sys; from pathlib import Path; from gradreach.tasks.cache import map_arrays;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; x = map_arrays(Path(sys.argv[1]))['x'];"
        "assert x[7].sum() == 4096; print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    told = subprocess.run([sys.executable, "-c", read, str(path)], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 32


def test_nothing_is_pickled(source):
    path = Prepared("t", {}, [source], Maker()).path
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["facts", "words", "x"]


def test_two_that_need_it_at_once_make_it_once(source):
    times = []

    def make():
        times.append(1)
        time.sleep(0.3)
        return {"x": np.arange(3)}, {}

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: Prepared("t", {}, [source], make).arrays()["x"].tolist(), range(2)))
    assert both == [[0, 1, 2]] * 2
    assert len(times) == 1


def test_a_changed_file_has_another_hash(source):
    before = file_hash(source)
    source.write_text("longer than before")
    assert file_hash(source) != before


def test_what_takes_long_is_told_once_and_what_is_quick_is_not(capfd):
    assert list(progress(range(3), "reading a.csv")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")
    assert list(progress(range(3), "reading a.csv", patience=0)) == [0, 1, 2]
    told = f"gradreach: reading a.csv, only once: the result is cached in {cache_folder()}\n"
    assert capfd.readouterr() == ("", told)


@pytest.mark.parametrize("moment", ["while it is made", "while it is written"])
def test_a_cache_whose_maker_was_killed_is_made_anew(source, moment):
    """A process dies by SIGKILL half-way; the next one finds nothing to read, no lock, and leaves no remains."""
    script = (
        "import os, signal, sys; from pathlib import Path; import numpy as np; import gradreach.system.files as files;"
        "from gradreach.tasks.cache import Prepared\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        "def make():\n"
        "    if sys.argv[2] == 'while it is made': die()\n"
        "    files._sync = die\n"
        "    return {'x': np.zeros(1000)}, {}\n"
        "Prepared('t', {}, [Path(sys.argv[1])], make)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(source), moment], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not list(cache_folder().glob("*.npz"))
    assert Prepared("t", {}, [source], Maker()).arrays()["x"].tolist() == [0, 1, 2, 3, 4]
    assert not list(cache_folder().glob("*.tmp"))
    assert len(list(cache_folder().glob("*.npz"))) == 1


def test_whatever_byte_of_a_file_is_damaged_it_is_read_whole_or_not_at_all(source):
    """Zip and npy headers answer damage with many kinds of errors, or with fewer arrays."""
    path = Prepared("t", {}, [source], lambda: ({"x": np.arange(5)}, {"a": 1})).path
    content = path.read_bytes()
    made_anew = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        _check.cache_clear()
        arrays, facts = _intact(map_arrays, path), _intact(_facts, path)
        assert arrays is None or (arrays.keys() == {"x"} and arrays["x"].tolist() == [0, 1, 2, 3, 4])
        assert facts in (None, {"a": 1})
        made_anew += arrays is None
    assert made_anew > len(content) / 2


def test_data_made_by_other_versions_are_not_read(source, monkeypatch):
    make = Maker()
    before = Prepared("t", {}, [source], make).path
    for package in ("mnist1d", "numpy", "torch", "torchtext"):
        with monkeypatch.context() as changed:
            changed.setattr(
                "gradreach.tasks.cache.version", lambda name, other=package: "0" if name == other else version(name)
            )
            _code.cache_clear()
            assert Prepared("t", {}, [source], make).path != before
    _code.cache_clear()
    assert Prepared("t", {}, [source], make).path == before


def test_a_disk_that_takes_no_more_is_told_of(source, monkeypatch, capfd):
    def full(path, write):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gradreach.tasks.cache.write_atomically", full)
    assert Prepared("t", {}, [source], Maker()).arrays()["x"].tolist() == [0, 1, 2, 3, 4]
    told = f"gradreach: note: {cache_folder()}: No space left on device: prepared data are not cached, but rebuilt "
    assert capfd.readouterr().err == f"{told}each time; make room or set GRADREACH_CACHE_DIR\n"
