"""What is read of records is kept beside them, and is the same whether it was kept or not."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_load import CONFIG, record

from gradreach.records import RecordStore
from gradreach.run_table import index
from gradreach.run_table.columns import csv, inert
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_history, write_long
from gradreach.run_table.profiles import curves_of, load_curves, load_profiles, write_profiles

RUNS = 7


def profile(number, redone=0.0):
    """A curve of its own for each run; every third run has two layers, each fourth no profile."""
    layers = ["0", "1"] if number % 3 == 0 else ["0"]
    rows = [
        {
            "layer": layer,
            "direction": "forward",
            "quantity": quantity,
            "lag": lag,
            "median": -lag / (number + 3) + redone,
        }
        for layer in layers
        for quantity in ("x", "h")
        for lag in range(2 + number % 2)
    ]
    extremes = {"q10": -np.inf, "q90": np.nan, "n": 4}
    return {} if number % 4 == 0 else {"profile": pd.DataFrame(rows).assign(stage="end", **extremes)}


def write(store, number, redone=0.0, **more):
    model = {**CONFIG["model"], "gates": number if number % 2 else f"{number} gates"}  # a number here, a word there
    if number == 5:
        model["only"] = [1, 2]
    config = {**CONFIG, "model": model, "seed": RUNS - number}
    told = {"metrics": {"test/accuracy": number / 3 + redone, **({"rare": -0.0} if number == 2 else {})}, "code": "c"}
    history = [{"epoch": 1, "step": 2, "val/loss": 1 / (number + 1) + redone}]
    store.write(record(number, config, **(told | more)), history, profile(number, redone))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Some records, written long enough ago."""
    monkeypatch.setattr(index, "SETTLED_NS", -(10**12))
    store = RecordStore(tmp_path / "runs")
    for number in range(1, RUNS + 1):
        write(store, number)
    return store


def everything(store):
    """All that tables are made of, as bytes."""
    results = store.root.parent
    runs = load_runs(results)
    write_profiles(results / "some" / "profiles.csv", runs, "some", results)
    profiles = load_profiles(runs, None, results)
    curves = load_curves("h", runs, None, results)
    pd.testing.assert_frame_equal(curves, curves_of(profiles, "h").reset_index(drop=True), check_categorical=False)
    lines = (results / "some" / "profiles.csv").read_text()
    write_long(results / "whole.csv", profiles)
    assert lines == (results / "whole.csv").read_text()
    labels = [profiles[name].cat.categories.tolist() for name in ("run_id", "layer", "quantity")]
    return csv(runs), str(runs.dtypes), lines, str(labels), csv(load_history(runs, results_dir=results))


def without_index(store, monkeypatch):
    """The same, read from the records alone."""
    with monkeypatch.context() as patch:
        patch.setattr(index, "SETTLED_NS", 10**18)
        kept = store.root / ".index"
        aside = store.root / ".aside"
        kept.rename(aside) if kept.exists() else None
        made = everything(store)
        shutil.rmtree(kept, ignore_errors=True)
        aside.rename(kept) if aside.exists() else None
    return made


def files(store, table="*"):
    return sorted((store.root / ".index").glob(f"*/{table}/*.arrow"))


def reads(monkeypatch):
    """Which records, and which files beside them, are opened from now on."""
    opened = []
    for name in ("_read", "_read_beside"):
        method = getattr(RecordStore, name)
        monkeypatch.setattr(
            RecordStore,
            name,
            lambda self, run_id, *more, method=method: (opened.append(run_id), method(self, run_id, *more))[1],
        )
    return opened


def test_tables_are_the_same_without_an_index_with_a_new_one_and_with_an_old_one(store, monkeypatch):
    plain = without_index(store, monkeypatch)
    assert not files(store)
    assert everything(store) == plain
    assert files(store)
    assert everything(store) == plain


def test_of_unchanged_runs_no_record_is_opened(store, monkeypatch):
    runs = load_runs(store.root.parent)
    load_profiles(runs, None, store.root.parent)
    opened = reads(monkeypatch)
    load_runs(store.root.parent)
    load_profiles(runs, None, store.root.parent)
    load_curves("x", runs, None, store.root.parent)
    assert opened == []
    write(store, 3, redone=0.5)
    load_runs(store.root.parent)
    assert set(opened) == {f"{3:016x}"}


def test_what_was_changed_added_and_removed_is_seen(store, monkeypatch):
    everything(store)
    write(store, 2, redone=0.25)
    write(store, 5, redone=0.5, status="diverged")
    write(store, RUNS + 1)
    shutil.rmtree(store.folder(f"{6:016x}"))
    changed = everything(store)
    assert changed == without_index(store, monkeypatch)
    assert changed == everything(store)
    frame = load_runs(store.root.parent)
    assert len(frame) == RUNS
    assert frame["status"].tolist().count("diverged") == 1


def test_small_files_are_taken_up_into_one(store):
    for number in range(RUNS + 1, RUNS + 6):
        write(store, number)
        load_runs(store.root.parent)
    assert len(files(store, "runs")) == 1
    shutil.rmtree(store.folder(f"{1:016x}"))
    write(store, 2, redone=1.0)
    load_runs(store.root.parent)
    (path,) = files(store, "runs")
    assert sorted(index._read(path).runs) == [f"{number:016x}" for number in range(2, RUNS + 6)]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"", lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:]]
)
def test_a_damaged_index_is_made_anew(store, damage, capsys):
    whole = everything(store)
    damaged = [*files(store), *(store.root / ".index").glob("*/lines/*.json")]
    assert len(damaged) == 3
    for path in damaged:
        path.write_bytes(damage(path.read_bytes()))
    assert everything(store) == whole
    assert len(files(store)) == 2
    assert capsys.readouterr().err == ""


def test_the_index_of_other_code_is_not_read_and_goes_away_when_it_is_old(store, monkeypatch):
    whole = everything(store)
    (this,) = (store.root / ".index").iterdir()
    monkeypatch.setattr(index, "made_by", lambda: "other")
    opened = reads(monkeypatch)
    assert everything(store) == whole
    assert len(set(opened)) == RUNS
    assert {path.name for path in (store.root / ".index").iterdir()} == {this.name, "other"}
    os.utime(this, (0, 0))
    monkeypatch.setattr(index, "made_by", lambda: "third")
    assert everything(store) == whole
    assert {path.name for path in (store.root / ".index").iterdir()} == {"other", "third"}


def test_where_no_index_can_be_written_all_is_read(store, monkeypatch):
    whole = without_index(store, monkeypatch)
    (store.root / ".index").write_text("not a folder")
    opened = reads(monkeypatch)
    assert everything(store) == whole
    assert everything(store) == whole
    assert len(opened) > 2 * RUNS


def test_what_was_written_just_now_is_read_again(store, monkeypatch):
    monkeypatch.setattr(index, "SETTLED_NS", 10**12)
    load_runs(store.root.parent)
    assert files(store) == []


@pytest.mark.parametrize(
    ("name", "old", "new"), [("record.json", b"finished", b"diverged"), ("profile.npz", b"PK", b"KP")]
)
def test_a_file_that_was_changed_by_hand_is_noticed_though_size_and_time_are_the_same(store, name, old, new, capsys):
    runs = load_runs(store.root.parent)
    load_profiles(runs, None, store.root.parent)
    path = store.folder(f"{3:016x}") / name
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert f"{3:016x}" not in set(load_profiles(load_runs(store.root.parent), None, store.root.parent)["run_id"])
    assert f"{3:016x}" not in set(load_runs(store.root.parent)["run_id"])
    assert "moved to" in capsys.readouterr().err


def test_whether_a_run_still_goes_on_is_looked_up_each_time(store):
    write(store, 3, status="running")

    def states():
        return load_runs(store.root.parent).set_index("run_id")["status"][f"{3:016x}"]

    assert states() == states() == "interrupted"
    with store.claim(f"{3:016x}"):
        assert states() == "running"
    assert states() == "interrupted"


def test_a_file_of_lines_is_left_alone_while_nothing_changes_and_mended_where_it_was_changed(store):
    whole = everything(store)
    path = store.root.parent / "some" / "profiles.csv"
    before = path.stat()
    assert everything(store) == whole
    assert path.stat() == before or path.stat().st_ctime_ns == before.st_ctime_ns
    data = path.read_bytes()
    path.write_bytes(data.replace(b"end", b"END"))
    assert everything(store) == whole
    assert path.read_bytes() == data


def test_lines_of_unchanged_runs_are_copied(store, monkeypatch):
    everything(store)
    write(store, 3, redone=0.5)
    runs = load_runs(store.root.parent)
    asked = []
    rows = index.rows_of_runs
    monkeypatch.setattr(
        "gradreach.run_table.profiles.rows_of_runs",
        lambda source, table, run_ids, *more: (asked.extend(run_ids), rows(source, table, run_ids, *more))[1],
    )
    write_profiles(store.root.parent / "some" / "profiles.csv", runs, "some", store.root.parent)
    assert asked == [f"{3:016x}"]
    assert everything(store) == without_index(store, monkeypatch)


def test_two_processes_may_make_tables_at_once(store, monkeypatch):
    code = (
        "import sys; from pathlib import Path; from gradreach.run_table import index\n"
        "from gradreach.run_table.columns import csv; from gradreach.run_table.load import load_runs\n"
        "from gradreach.run_table.profiles import load_profiles\n"
        "index.SETTLED_NS = -(10**12); results = Path(sys.argv[1]); print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(5):\n"
        "    runs = load_runs(results); profiles = load_profiles(runs, None, results)\n"
        "    for path in sorted((results / 'runs' / '.index').glob('*/*/*.arrow'))[:1]: path.unlink(missing_ok=True)\n"
        "print(csv(runs) + profiles.to_csv(index=False), end='')"
    )
    command = [sys.executable, "-c", code, str(store.root.parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for each in both:
        assert each.stdout.readline() == "ready\n"
    told = [each.communicate("go\n", timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    runs = load_runs(store.root.parent)
    whole = csv(runs) + load_profiles(runs, None, store.root.parent).to_csv(index=False)
    assert told == [whole, whole]


TEXTS = st.text(max_size=5).filter(lambda text: inert(text) == text)  # others csv marks, pandas does not
CELLS = st.one_of(
    st.lists(st.floats() | st.none(), min_size=1, max_size=6).map(lambda held: np.array(held, dtype=float)),
    st.lists(st.integers(-(2**60), 2**60) | st.none(), min_size=1, max_size=6).map(
        lambda v: pd.array(v, dtype="Int64")
    ),
    st.lists(st.booleans() | st.none(), min_size=1, max_size=6).map(lambda held: pd.array(held, dtype="boolean")),
    st.lists(TEXTS | st.none(), min_size=1, max_size=6).map(lambda held: np.array(held, dtype=object)),
)


@settings(deadline=None)
@given(st.lists(CELLS, min_size=2, max_size=4))
def test_csv_is_as_pandas_writes_it(columns):
    shortest = min(map(len, columns))
    frame = pd.DataFrame({f"column, {i}": held[:shortest] for i, held in enumerate(columns)})
    assert csv(frame) == frame.to_csv(index=False, lineterminator="\n")
