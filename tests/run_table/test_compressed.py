"""Committed tables that are large are compressed, and read as the others are."""

import bz2
import hashlib
import os

import pandas as pd
import pytest

from gradreach.errors import ConfigError
from gradreach.run_table import compressed
from gradreach.run_table.columns import as_frame
from gradreach.run_table.committed import read_columns, read_runs, run_table, run_tables, stored_cells, write_runs
from gradreach.run_table.compressed import read_table, stored_at, table_digest, tables_named, write_table

ROW = {"run_id": "a", "status": "finished", "model": "cnn", "task": "recall", "seq_len": 10, "seed": 0}


def test_the_size_decides_and_one_form_stands(tmp_path, monkeypatch):
    path = tmp_path / "some" / "runs.csv"
    for limit, stands, gone in ((100, "runs.csv", "runs.csv.bz2"), (1, "runs.csv.bz2", "runs.csv")):
        monkeypatch.setattr(compressed, "LARGE", limit)
        write_table(stored_at(path), "a,b\n1,2\n")
        assert stored_at(path).name == stands
        assert not path.with_name(gone).exists()
        assert read_table(stored_at(path), "") == b"a,b\n1,2\n"
        assert table_digest(stored_at(path)) == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
        assert tables_named(tmp_path, "runs.csv") == [path.with_name(stands)]
        assert pd.read_csv(stored_at(path)).to_numpy().tolist() == [[1, 2]]


def test_the_same_table_is_the_same_bytes_on_another_day_and_under_another_name(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "LARGE", 1)
    for name in ("a.csv", "b.csv"):
        write_table(tmp_path / name, "x\n" * 99)
        monkeypatch.setattr("time.time", lambda: 0.0)
    assert (tmp_path / "a.csv.bz2").read_bytes() == (tmp_path / "b.csv.bz2").read_bytes()


def test_of_two_forms_that_stand_the_last_one_counts(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("plain\n", encoding="utf-8")
    path.with_name("runs.csv.bz2").write_bytes(bz2.compress(b"packed\n"))
    for plain, packed, counts in ((2, 1, b"plain\n"), (1, 2, b"packed\n")):
        os.utime(path, (plain, plain))
        os.utime(path.with_name("runs.csv.bz2"), (packed, packed))
        assert read_table(stored_at(path), "") == counts


def test_a_compressed_run_table_is_read_as_it_was_written_and_a_damaged_one_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "LARGE", 1)
    runs = as_frame([ROW, ROW | {"run_id": "b", "seed": 1}])
    write_runs(run_table(tmp_path, "mine"), runs, {"sweep": "digest"})
    path = run_table(tmp_path, "mine")
    assert run_tables(tmp_path) == [path] == [tmp_path / "mine" / "runs.csv.bz2"]
    pd.testing.assert_frame_equal(read_runs(path)[list(ROW)], runs[list(ROW)])
    assert stored_cells(path) == {"sweep": "digest"}
    whole = path.read_bytes()
    every = (read_runs, stored_cells, lambda path: read_columns(path, ["seed"]))
    for damaged, reading in (
        (b"no bzip2", every),
        (whole[:20] + bytes(9) + whole[29:], every),
        (whole[:-9], every[:1]),
    ):
        path.write_bytes(damaged)
        for read in reading:
            with pytest.raises(ConfigError, match=r"runs.csv.bz2: cannot be decompressed .*; restore it, or "):
                read(path)
    path.write_bytes(bz2.compress(bz2.decompress(whole).replace(b"finished", b"diverged", 1)))
    with pytest.raises(ConfigError, match="changed after it was written"):
        read_runs(path)
