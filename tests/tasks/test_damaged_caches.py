"""Whatever stands in the place of a cache: what it should hold is rebuilt, whole."""

import json
import os
import random
import zipfile

import numpy as np
import pytest

from accidents import damaged
from gradreach.tasks.cache import Prepared, cache_folder


def make_arrays():
    return {"x": np.arange(12.0).reshape(3, 4), "target": np.arange(3), "words": np.array(["a", "字"])}, {"length": 4}


def assert_made_anew_whole():
    prepared = Prepared("t", {}, [], make_arrays)
    assert prepared.facts == {"length": 4}
    arrays, (wanted, _) = prepared.arrays(), make_arrays()
    assert {name: one.tolist() for name, one in arrays.items()} == {name: one.tolist() for name, one in wanted.items()}


def damage_caches(times):
    path = Prepared("t", {}, [], make_arrays).path
    whole, chance = path.read_bytes(), random.Random(0)
    for _ in range(times):
        path.write_bytes(damaged(whole, chance))
        assert_made_anew_whole()


def test_a_damaged_cache_is_made_anew():
    damage_caches(200)


@pytest.mark.slow
def test_many_damaged_caches_are_made_anew():
    damage_caches(5000)


HOSTILE = {
    "objects": {"x": np.array([{"a": 1}], dtype=object)},
    "another shape": {"x": np.arange(12.0)},
    "another type": {"x": np.arange(12).reshape(3, 4)},
    "records": {"x": np.zeros(3, dtype=[("a", "f8"), ("b", "O")])},
    "one more": {"more": np.arange(3)},
}


@pytest.mark.parametrize("kind", [*HOSTILE, "no facts", "facts of the wrong type", "packed", "no array"])
def test_a_whole_cache_that_is_none_of_ours_is_made_anew(kind):
    path = Prepared("t", {}, [], make_arrays).path
    with np.load(path) as file:
        members = dict(file)
    if kind == "no facts":
        del members["facts"]
    elif kind == "facts of the wrong type":
        members["facts"] = np.array(json.dumps([[1], {}]))
    save = np.savez_compressed if kind == "packed" else np.savez
    with path.open("wb") as file:
        save(file, allow_pickle=True, **{**members, **HOSTILE.get(kind, {})})
    if kind == "no array":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("notes.txt", "x" * 200)
    assert_made_anew_whole()


def test_a_header_that_claims_more_than_there_is_is_not_believed():
    path = Prepared("t", {}, [], make_arrays).path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x.npy"] = members["x.npy"].replace(b"(3, 4)", b"(9, 4)")
    facts = members["facts.npy"].decode("latin-1").replace("[\0\0\x003\0\0\0,", "[\0\0\x009\0\0\0,")
    members["facts.npy"] = facts.encode("latin-1")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert_made_anew_whole()


@pytest.mark.parametrize("kind", ["pipe", "folder", "zeros", "link to itself"])
def test_what_stands_in_the_place_of_a_cache_is_replaced_or_passed_over(kind, capfd):
    path = Prepared("t", {}, [], make_arrays).path
    path.unlink()
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "zeros": lambda: path.symlink_to("/dev/zero"),
        "link to itself": lambda: path.symlink_to(path),
    }[kind]()
    assert_made_anew_whole()
    assert path.is_file() == (kind != "folder")
    assert cache_folder() == path.parent
