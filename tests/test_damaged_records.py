"""One odd record is put aside in one line, whatever it is, and nothing of it raises, hangs or fills the memory."""

import hashlib
import io
import json
import os
import random
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest

from accidents import damaged
from gradreach.errors import advise
from gradreach.records import MOST, RecordStore, sealed
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_decoding, load_history
from gradreach.run_table.profiles import load_profiles
from gradreach.system.archive import columns_of, packed
from project import SMALL

GOOD, ODD = "0" * 16, "f" * 16
ODDITIES = [
    None,
    True,
    0,
    -1,
    2**70,
    0.5,
    "",
    "4",
    "text",
    [],
    ["a"],
    [[[]]],
    {},
    {"a": {}},
    {"a": [1]},
    "\x1b[31m",
    float("nan"),
]


@pytest.fixture(scope="module")
def record(composed):
    """A whole record, as runs leave them."""
    from gradreach.config import parse, plain

    run, _ = parse(plain(composed("model=rnn", *SMALL)))
    return {
        "run_id": ODD,
        "group_id": run.group_id,
        "label": run.label,
        "status": "finished",
        "experiment": None,
        "config": run.canonical(),
        "started": "2026-01-01",
        "revision": "abc",
        "code": "def",
        "versions": {"torch": "2.13.0"},
        "host": {"name": "n", "process": 7, "cpu": "C", "system": "Linux", "machine": "x86_64"},
        "metric": "accuracy",
        "chance": 0.1,
        "width": 4,
        "parameters": 100,
        "multiply_adds": 1000,
        "receptive_field": None,
        "metrics": {"test/accuracy": 0.5, "gradient/end/x.reach": 9.0},
        "best_epoch": 1,
        "steps": 4,
        "seconds": 1.0,
        "training_seconds": 0.5,
        "steps_per_second": 8.0,
        "warnings": ["slow"],
        "caveat": None,
    }


@pytest.fixture
def store(tmp_path, record):
    """A good run, and a place for an odd one."""
    made = RecordStore(tmp_path / "runs")
    made.write({**record, "run_id": GOOD}, [{"epoch": 1, "train/loss": 0.5}], {"profile": profile()})
    return made


def profile():
    labels = {"stage": "end", "layer": "input", "direction": "forward", "quantity": "x"}
    return pd.DataFrame({**labels, "lag": range(4), "q10": -1.0, "median": -0.5, "q90": -0.1, "n": 4})


def put(store, data, **beside):
    folder = store.folder(ODD)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_bytes(data if isinstance(data, bytes) else data.encode())
    for name, content in beside.items():
        (folder / name.replace("_", ".")).write_bytes(content)


def answering(record, **beside):
    """Seal a record that answers for what lies beside it."""
    sums = {
        name.replace("_", "."): {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in beside.items()
    }
    return sealed({**record, "files": sums})


def everything(store, capsys):
    """Read all that tables, sweeps and commands read; return whether the odd run counts, and what was said."""
    advise.cache_clear()
    capsys.readouterr()
    folder = store.root.parent
    runs = load_runs(None, folder)
    for load in (load_profiles, load_history, load_decoding):
        load(runs, None, folder)
    for run_id in store.run_ids():
        store.status(run_id), store.settled(run_id), store.stamp(run_id), store.fingerprint(run_id)
        store.intact(run_id), store.read_history(run_id), store.read_profile(run_id), store.died(run_id)
    assert GOOD in runs["run_id"].tolist()
    assert store.status(GOOD) == "finished"
    return ODD in runs["run_id"].tolist(), capsys.readouterr().err.splitlines()


def bomb():
    """An archive of three megabytes that unpacks to three gigabytes."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": [("lag", "<i8")], "fortran_order": False, "shape": (3 * 2**27,)}
    )
    archive, zeros = io.BytesIO(), bytes(2**24)
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("profile.npy", "w", force_zip64=True) as into,
    ):
        into.write(head.getvalue())
        for _ in range(3 * 2**30 // 2**24):
            into.write(zeros)
    return archive.getvalue()


def of_objects():
    archive = io.BytesIO()
    np.savez(archive, profile=np.array([({"a": 1}, 2)], dtype=[("median", object), ("lag", int)]))
    return archive.getvalue()


def link(store):
    store.folder(ODD).mkdir(parents=True)
    (store.folder(ODD) / "record.json").symlink_to("record.json")


def pipe(store):
    store.folder(ODD).mkdir(parents=True)
    os.mkfifo(store.folder(ODD) / "record.json")


def huge(store):
    put(store, b"")
    os.truncate(store.folder(ODD) / "record.json", MOST["record.json"] + 1)


STRANGE = {
    "a link to itself": link,
    "a folder that is a link to itself": lambda store: store.folder(ODD).symlink_to(ODD),
    "a pipe": pipe,
    "a folder": lambda store: (store.folder(ODD) / "record.json" / "inside").mkdir(parents=True),
    "a file of many bytes": huge,
    "deep lists": lambda store: put(store, "[" * 100_000),
    "deep mappings": lambda store: put(store, '{"a":' * 900 + "1" + "}" * 900),
    "a number of many digits": lambda store: put(store, "9" * 5000),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_record_is_put_aside_in_one_line(store, capsys, kind):
    STRANGE[kind](store)
    counts, said = everything(store, capsys)
    assert not counts
    (line,) = said
    assert f"{ODD}: " in line
    assert "the run counts as not done" in line
    assert everything(store, capsys) == (False, [])
    store.write({"run_id": ODD, "config": {}, "status": "failed"})
    assert store.status(ODD) == "failed"


@pytest.mark.parametrize("name", ["history.csv", "profile.npz"])
@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)], ids=["pipe", "folder", "link"]
)
def test_what_is_no_file_beside_a_record_is_put_aside_with_it(store, record, capsys, name, make):
    put(store, sealed(record))
    make(store.folder(ODD) / name)
    _, said = everything(store, capsys)
    (line,) = said
    assert f"{ODD}: {name} " in line
    assert store.status(ODD) == "missing"


@pytest.mark.parametrize("schema", ["4", "3", 4.0, True, [], 0, -1, 2**70])
def test_a_schema_that_is_not_one_of_ours_is_damage(store, record, capsys, schema):
    text = sealed(record).partition(",")[2].replace('"schema_version": 3', f'"schema_version": {json.dumps(schema)}')
    put(store, f'{{\n "checksum": "{hashlib.sha256(text.encode()).hexdigest()}",{text}')
    counts, said = everything(store, capsys)
    assert not counts
    assert len(said) == 1


@pytest.mark.parametrize(
    "files", [[], ["a"], "x", 1, {"history.csv": 1}, {"history.csv": {}}, {"../x": {"bytes": 1, "sha256": ""}}]
)
def test_what_a_record_tells_of_its_files_is_looked_at(store, record, capsys, files):
    put(store, sealed({**record, "files": files}))
    counts, said = everything(store, capsys)
    assert not counts
    assert len(said) == 1


@pytest.mark.parametrize("archive", [bomb, of_objects])
def test_an_archive_that_would_fill_the_memory_or_holds_objects_is_not_unpacked(store, record, capsys, archive):
    data = archive()
    assert len(data) < 4e6
    put(store, answering(record, profile_npz=data), profile_npz=data)
    tracemalloc.start()
    _, said = everything(store, capsys)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5e7
    (line,) = said
    assert "profile.npz cannot be read (" in line
    with pytest.raises(ValueError, match=r"more than|not numbers or text|object"):
        columns_of(data, "profile")


@pytest.mark.parametrize("name", ["profile", "decoding"])
@pytest.mark.parametrize("columns", [{"lag": [1]}, {"lag": ["x"]}, {"stage": [1.5]}, {}])
def test_a_table_with_other_columns_is_put_aside(store, record, capsys, name, columns):
    whole = profile()
    whole = whole.assign(**{key: np.resize(held, len(whole)) for key, held in columns.items()})
    whole = whole[["lag"]] if columns == {"lag": [1]} else whole if columns else whole.drop(columns="lag")
    archive = packed({name: whole})
    put(store, answering(record, profile_npz=archive), profile_npz=archive)
    _, said = everything(store, capsys)
    (line,) = said
    assert f"{ODD}: its table {name} " in line


def paths(value, path=()):
    """Name each place within a record."""
    yield path
    if isinstance(value, dict):
        for key, held in value.items():
            yield from paths(held, (*path, key))


def changed(record, path, value):
    if not path:
        return value
    return {**record, path[0]: changed(record[path[0]], path[1:], value)}


def test_a_value_of_any_kind_at_any_place_is_read_or_put_aside(store, record, capsys):
    chance, outcomes = random.Random(0), {True: 0, False: 0}
    for path in [each for each in paths(record) if each]:
        for value in chance.sample(ODDITIES, 4):
            put(store, sealed(changed(record, path, value)))
            counts, said = everything(store, capsys)
            assert len(said) == (not counts), (path, value, said)
            outcomes[counts] += 1
            store.write(record)
    assert min(outcomes.values()) > 50


def hostile(record, chance):
    """Return a record and what lies beside it after accidents, with checksums that are right."""
    history = b"epoch,step,train/loss\n1,4,0.5\n"
    content = {"history_csv": history, "profile_npz": packed({"profile": profile()})}
    for name in content:
        if chance.random() < 0.5:
            content[name] = damaged(content[name], chance)
    body = answering(record, **content)
    if chance.random() < 0.7:
        body = damaged(body.encode(), chance)
        if chance.random() < 0.5 and body.count(b",") > 1:  # as somebody would who seals what he has made
            rest = body.partition(b",")[2]
            body = b'{\n "checksum": "' + hashlib.sha256(rest).hexdigest().encode() + b'",' + rest
    return body, content


@pytest.mark.parametrize("count", [150, pytest.param(4000, marks=pytest.mark.slow)])
def test_accidents_of_records_and_of_what_lies_beside_them_end_nothing(store, record, capsys, count):
    chance = random.Random(count)
    for _ in range(count):
        body, content = hostile(record, chance)
        put(store, body, **content)
        _, said = everything(store, capsys)
        assert len(said) <= 2, said
        assert all(ODD in line or "history.csv" in line for line in said)
