import json
import math
import platform
import subprocess
import sys

import filelock
import numpy as np
import pandas as pd
import pytest

from gradreach import files
from gradreach.errors import ConfigError
from gradreach.records import SCHEMA_VERSION, RecordStore

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
    assert (store.root / ".quarantine" / f"{RUN}.json").read_bytes() == text.encode(errors="surrogateescape")
    assert capsys.readouterr().err.count("\n") == 1
    assert store.read(RUN) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("edit", [("0.5", "0.6"), ("finished", "failed"), ('{\n "checksum', '{\n  "checksum')])
def test_a_record_that_was_edited_by_hand_is_put_aside(store, edit, capsys):
    store.write({"run_id": RUN, "config": {}, "status": "finished", "metrics": {"a": 0.5}})
    path = store.folder(RUN) / "record.json"
    assert store.read(RUN)["metrics"] == {"a": 0.5}
    path.write_text(path.read_text().replace(*edit))
    touched = edit[0].startswith("{")  # white space before the checksum is no part of what was written
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


def test_a_record_of_a_newer_version_is_refused_and_left_alone(store):
    store.write({"run_id": RUN, "config": {}, "status": "finished"})
    path = store.folder(RUN) / "record.json"
    path.write_text(path.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    with pytest.raises(ConfigError, match="schema_version=99 is of a newer gradreach"):
        store.read(RUN)
    assert path.exists()


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
