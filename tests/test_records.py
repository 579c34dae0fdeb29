import errno
import fcntl
import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest

from gradreach import records
from gradreach.errors import ConfigError
from gradreach.records import SCHEMA_VERSION, RecordStore
from gradreach.system import files

RUN = "0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def test_a_record_reads_as_it_was_written(store):
    profile = pd.DataFrame({"lag": range(3), "median": [0.1, -math.inf, math.nan], "layer": ["input", "h", "α"]})
    settled = {"run_id": RUN, "config": {}, "status": "finished", "metrics": {"a": 0.1}}
    store.write(settled, [{"epoch": 1, "x": 0.5}], {"profile": profile, "bptt": profile[["lag"]]})
    record = store.read(RUN)
    assert record["metrics"] == {"a": 0.1}
    assert record["schema_version"] == SCHEMA_VERSION
    assert (store.folder(RUN) / "history.csv").read_text() == "epoch,x\n1,0.5\n"
    pd.testing.assert_frame_equal(pd.DataFrame(store.read_profile(RUN)), profile)
    assert {name: values.tolist() for name, values in store.read_table(RUN, "bptt").items()} == {"lag": [0, 1, 2]}
    assert store.read_table(RUN, "gates") == store.read_profile("fedcba9876543210") == {}


@pytest.mark.parametrize("kind", [object, "string", "category", pd.StringDtype(na_value=math.nan)])
def test_texts_are_stored_as_texts_whatever_pandas_holds_them_in(store, kind):
    layers = pd.Series(["0", "out", "α"], dtype=kind)
    store.write({"run_id": RUN, "config": {}, "status": "finished"}, tables={"profile": layers.to_frame("layer")})
    stored = store.read_profile(RUN)["layer"]
    assert stored.dtype == "<U3"
    assert stored.tolist() == ["0", "out", "α"]


def test_what_is_not_finite_survives_json(store):
    store.write({"run_id": RUN, "config": {}, "status": "finished", "metrics": {"a": math.inf, "b": math.nan}})
    json.loads((store.folder(RUN) / "record.json").read_text(), parse_constant=pytest.fail)
    metrics = store.read(RUN)["metrics"]
    assert float(metrics["a"]) == math.inf
    assert math.isnan(float(metrics["b"]))


@pytest.mark.parametrize("text", ["", '{"run_id": "0123', "[1]", '{"run_id": "another"}', "\udcff"])
def test_a_damaged_record_is_put_aside_in_one_line(store, text, capsys):
    path = store.folder(RUN) / "record.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert store.read(RUN) is None
    assert not path.exists()
    aside = store.root / ".quarantine" / f"{RUN}.1" / "record.json"
    assert aside.read_bytes() == text.encode(errors="surrogateescape")
    assert capsys.readouterr().err.count("\n") == 1
    assert store.read(RUN) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("edit", [("0.5", "0.6"), ("finished", "failed"), ('{\n "checksum', '{\n  "checksum')])
def test_a_record_that_was_edited_by_hand_is_put_aside(store, edit, capsys):
    store.write({"run_id": RUN, "config": {}, "status": "finished", "metrics": {"a": 0.5}})
    path = store.folder(RUN) / "record.json"
    assert store.read(RUN)["metrics"] == {"a": 0.5}
    path.write_text(path.read_text().replace(*edit))
    touched = edit[0].startswith("{")  # white space before the checksum is not part of what was written
    assert (store.read(RUN) is None) is not touched
    assert ("changed after it was written" in capsys.readouterr().err) is not touched
    assert store.settled(RUN) is None or touched


def test_a_record_whose_checksum_was_taken_out_is_put_aside(store):
    store.write({"run_id": RUN, "config": {}, "status": "finished"})
    path = store.folder(RUN) / "record.json"
    record = json.loads(path.read_text())
    assert next(iter(record)) == "checksum"
    del record["checksum"]
    path.write_text(json.dumps(record))
    assert store.read(RUN) is None


def test_a_record_written_again_has_a_checksum_of_its_own(store):
    store.write({"run_id": RUN, "config": {}, "status": "running"})
    store.write({**store.read(RUN), "status": "finished"})
    assert store.read(RUN)["status"] == "finished"


@pytest.mark.parametrize("version", [None, 1, 2])
def test_records_of_older_versions_are_read(store, version):
    folder = store.folder(RUN)
    folder.mkdir(parents=True)
    record = {"run_id": RUN, "config": {}, "status": "finished", **({"schema_version": version} if version else {})}
    (folder / "record.json").write_text(json.dumps(record))
    assert store.read(RUN) == {**record, "schema_version": version or 1}


def test_profiles_of_the_first_version_are_read(store):
    store.folder(RUN).mkdir(parents=True)
    arrays = {"lag": np.arange(3), "layer": np.array(["h", "h", "α"]), "bptt/share": np.array([0.5, 0.25, 0.125])}
    np.savez_compressed(store.folder(RUN) / "profile.npz", **arrays)
    assert {name: values.tolist() for name, values in store.read_profile(RUN).items()} == {
        "lag": [0, 1, 2],
        "layer": ["h", "h", "α"],
    }
    assert store.read_table(RUN, "bptt")["share"].tolist() == [0.5, 0.25, 0.125]


def test_an_archive_without_profiles_has_none(store):
    told = pd.DataFrame({"r2": [0.5]})
    store.write({"run_id": RUN, "config": {}, "status": "finished"}, tables={"decoding": told})
    assert store.read_profile(RUN) == {}
    assert store.read_table(RUN, "decoding")["r2"].tolist() == [0.5]


def test_a_record_of_a_newer_version_is_refused_and_left_alone(store, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA_VERSION", 99)
    store.write({"run_id": RUN, "config": {}, "status": "finished"})
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="schema_version=99 was written by a newer gradreach"):
        store.read(RUN)
    assert (store.folder(RUN) / "record.json").exists()


def test_a_corrupt_digit_of_the_version_is_damage_and_not_a_newer_gradreach(store, capsys):
    store.write({"run_id": RUN, "config": {}, "status": "finished"})
    path = store.folder(RUN) / "record.json"
    path.write_text(path.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 7'))
    assert store.read(RUN) is None
    assert "(checksum mismatch); moved to" in capsys.readouterr().err


@pytest.mark.parametrize("strange", ["record.json", "."])
def test_a_folder_in_place_of_a_record_and_a_file_in_place_of_a_run_are_put_aside(store, strange, capsys):
    if strange == ".":
        store.root.mkdir()
        store.folder(RUN).write_text("a file")
    else:
        (store.folder(RUN) / strange / "inside").mkdir(parents=True)
    assert store.stamp(RUN) == 0 or strange != "."
    assert store.status(RUN) == "missing"
    assert capsys.readouterr().err.count("\n") == 1
    assert len(list((store.root / ".quarantine").iterdir())) == 1
    store.write({"run_id": RUN, "config": {}, "status": "finished"})
    assert store.status(RUN) == "finished"


def test_a_second_damaged_record_of_a_run_stands_beside_the_first(store):
    for text in ("first", "second"):
        store.folder(RUN).mkdir(exist_ok=True, parents=True)
        (store.folder(RUN) / "record.json").write_text(text)
        assert store.read(RUN) is None
    aside = sorted((store.root / ".quarantine").glob("*/record.json"))
    assert [path.read_text() for path in aside] == ["first", "second"]


@pytest.fixture
def measured(store):
    """A finished run with all of its files, and a checkpoint that was kept."""
    profile = pd.DataFrame({"lag": range(50), "median": np.random.default_rng(0).normal(size=50)})
    finished = {"run_id": RUN, "config": {}, "status": "finished"}
    store.write(finished, [{"epoch": 1, "x": 0.5}, {"epoch": 2, "x": 0.25}], {"profile": profile})
    store.checkpoint(RUN).touch()
    assert store.intact(RUN)
    return store


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("name", ["history.csv", "profile.npz"])
@pytest.mark.parametrize("damage", [flipped, lambda data: data[:-5], lambda data: b"", None])
def test_a_damaged_file_beside_a_record_is_put_aside_with_it_in_one_line(measured, name, damage, capsys):
    path = measured.folder(RUN) / name
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    assert not measured.intact(RUN)
    assert f"{name} is not what its record says; moved to" in capsys.readouterr().err
    assert measured.status(RUN) == "missing"
    assert measured.read_history(RUN) == ""
    assert measured.read_profile(RUN) == {}
    assert measured.checkpoint(RUN).exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["history.csv", "profile.npz"])
def test_a_flipped_bit_is_seen_by_who_reads_the_file(measured, name, capsys):
    path = measured.folder(RUN) / name
    whole = path.read_bytes()
    path.write_bytes(flipped(whole))
    assert measured.read(RUN)["status"] == "finished"
    assert not (measured.read_history(RUN) if name == "history.csv" else measured.read_profile(RUN))
    assert measured.read(RUN) is None
    assert capsys.readouterr().err.count("\n") == 1


def test_a_lacking_end_of_a_file_is_seen_by_who_reads_the_record(measured, capsys):
    path = measured.folder(RUN) / "history.csv"
    path.write_bytes(path.read_bytes()[:-1])
    assert measured.read(RUN) is None
    assert capsys.readouterr().err.count("\n") == 1


def test_a_record_of_before_there_were_checksums_of_files_is_read_and_a_broken_archive_of_it_put_aside(store, capsys):
    store.write({"run_id": RUN, "config": {}, "status": "finished"})
    (store.folder(RUN) / "history.csv").write_text("epoch\n1\n")
    assert store.intact(RUN)
    assert store.read_history(RUN) == "epoch\n1\n"
    (store.folder(RUN) / "profile.npz").write_bytes(b"half")
    assert store.read_profile(RUN) == {}
    assert "profile.npz cannot be read (File is not a zip file)" in capsys.readouterr().err
    assert store.read(RUN) is None


def test_a_run_that_is_done_again_while_it_is_read_is_not_damaged(measured, monkeypatch, capsys):
    read, redone = records._bytes, []

    def redo(path):
        data = read(path)
        if path.name == "history.csv" and not redone:
            redone.append(path)
            measured.write({"run_id": RUN, "config": {}, "status": "finished"}, [{"epoch": 1, "x": 0.125}])
        return data

    monkeypatch.setattr(records, "_bytes", redo)
    assert measured.read_history(RUN) == "epoch,x\n1,0.125\n"
    assert capsys.readouterr().err == ""


def test_the_record_is_written_last(store, monkeypatch):
    written = []
    write = records.write_bytes
    monkeypatch.setattr(records, "write_bytes", lambda path, data: (written.append(path.name), write(path, data)))
    text = records.write_text
    monkeypatch.setattr(records, "write_text", lambda path, data: (written.append(path.name), text(path, data)))
    finished = {"run_id": RUN, "config": {}, "status": "finished"}
    store.write(finished, [{"epoch": 1}], {"profile": pd.DataFrame({"lag": [1]})})
    assert written == ["history.csv", "profile.npz", "record.json"]


@pytest.mark.parametrize(
    ("status", "settled"), [("finished", 1), ("diverged", 1), ("failed", 0), ("running", 0), ("interrupted", 0)]
)
def test_only_finished_and_diverged_runs_are_settled(store, status, settled):
    store.write({"run_id": RUN, "config": {}, "status": status})
    assert bool(store.settled(RUN)) is bool(settled)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    files.write_text(path, "old")

    def fail(file):
        file.write(b"half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        files.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_gets_its_name_and_the_old_one_stands_until_then(tmp_path, monkeypatch):
    path, steps = tmp_path / "file", []
    files.write_text(path, "old")
    sync, replace = os.fsync, os.replace

    def synced(handle):
        folder = os.path.samestat(os.fstat(handle), tmp_path.stat())
        steps.append(("sync", "folder" if folder else "file", path.read_text()))
        sync(handle)

    def replaced(source, target):
        assert source.read_text() == "new"
        steps.append(("replace", Path(target).name, path.read_text()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    files.write_text(path, "new")
    assert steps == [("sync", "file", "old"), ("replace", "file", "old"), ("sync", "folder", "new")]


def test_a_claim_is_held_by_one_and_free_when_its_holder_dies(store):
    code = (
        "import sys, time; from pathlib import Path; from gradreach.records import RecordStore\n"
        "with RecordStore(Path(sys.argv[1])).claim(sys.argv[2]): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(store.root), RUN], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(filelock.Timeout), store.claim(RUN, timeout=0.1):
            pass
        holder.kill()
    assert not store.claimed(RUN)
    with store.claim(RUN, timeout=5):
        pass
    assert not list((store.root / ".claims").iterdir())


def test_a_file_that_a_killed_writer_left_is_swept_away(tmp_path):
    stale = tmp_path / f".file.{platform.node()}.{2**22 + 1}.tmp"
    stale.write_text("half")
    files.write_text(tmp_path / "file", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_system_without_locks_is_refused_before_anything_starts(store, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    store.check_writable()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(ConfigError, match=r"results_dir=.*: files there cannot be locked \(No locks available\)"):
        store.check_writable()
