import json
import math
import re
import shutil
from csv import DictReader

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.api.types import is_string_dtype

from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.columns import AXES, FACTS, as_frame, in_words, planned_row, row
from gradreach.run_table.committed import read_runs, write_runs
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import bits_of, load_decoding, load_examples, load_history, write_long
from gradreach.run_table.profiles import load_profiles
from made_up import decoding
from project import PROJECT

CONFIG = {
    "task": {"name": "recall", "_target_": "t", "seq_len": 50},
    "model": {"name": "cnn", "_target_": "m", "kernel_size": 3, "widths": [3, 4], "residual": True, "dropout": 0.0},
    "optimizer": {"name": "adam", "lr": 1.0},
    "trainer": {"epochs": 2, "clip_norm": None},
    "diagnostics": {"name": "standard", "profile": "ends"},
    "seed": 0,
}


def record(number, config=CONFIG, **more):
    return {"run_id": f"{number:016x}", "status": "finished", "config": config, **more}


def test_every_setting_fact_and_metric_has_a_column_of_its_type():
    host = {"name": "secret", "cpu": "C", "system": "Linux", "machine": "x86_64"}
    facts = {"chance": 0.1, "parameters": 10, "versions": {"torch": "2.13.0"}, "host": host, "schema_version": 3}
    whole = record(1, metrics={"test/accuracy": 1, "gradient/end/x.half_life": "inf"}, error="why\nwhere", **facts)
    frame = as_frame([row(whole)])
    assert frame.columns[: len(AXES)].tolist() == list(AXES)
    first = frame.iloc[0]
    assert (first["seq_len"], first["kernel_size"], first["model.kernel_size"]) == (50, 3, 3)
    assert (first["model.widths"], first["model.residual"], first["optimizer.lr"]) == ("[3, 4]", True, 1.0)
    assert (first["torch"], first["host"], first["error"]) == ("2.13.0", "C, Linux, x86_64", "why")
    assert (first["test/accuracy"], first["gradient/end/x.half_life"]) == (1.0, math.inf)
    kinds = {str(kind): set(frame.columns[frame.dtypes == kind]) for kind in frame.dtypes.unique()}
    assert {"seq_len", "seed", "parameters", "model.kernel_size", "trainer.epochs"} <= kinds["Int64"]
    assert {"chance", "test/accuracy", "optimizer.lr", "model.dropout", "trainer.clip_norm"} <= kinds["float64"]
    assert kinds["boolean"] == {"model.residual"}
    texts = {name for name, kind in frame.dtypes.items() if is_string_dtype(kind)}
    assert {"run_id", "host", "diagnostics.profile", "model.widths"} <= texts


def test_what_is_missing_is_in_words_too():
    other = {**CONFIG, "model": {"name": "a", "_target_": "m"}}
    frame = as_frame([row(record(1)), row(record(2, other))])
    assert frame[["model.widths", "model.kernel_size", "model.residual"]].isna().sum().tolist() == [1, 1, 1]
    words = in_words(frame)
    assert all(isinstance(cell, str) for _, column in words.items() for cell in column)
    assert words["model.widths"].tolist()[1] == "[3, 4]"
    assert words["model.kernel_size"].tolist() == ["<NA>", "3"]


def test_rows_and_columns_stand_in_an_order_that_no_record_changes():
    other = {**CONFIG, "model": {"name": "a", "_target_": "m", "zeta": 1}, "seed": 1}
    records = [row(record(1, metrics={"b": 1.0, "a": 2.0})), row(record(2, other, metrics={"a": 1.0, "c": 0.5}))]
    frame = as_frame(records)
    pd.testing.assert_frame_equal(as_frame(records[::-1]), frame)
    assert frame["model"].tolist() == ["a", "cnn"]
    assert frame.columns[-3:].tolist() == ["a", "b", "c"]


TEXTS = st.sampled_from(["ends", "3,4", "a b", "None", "NA"])
WHOLE = st.integers(-(2**53), 2**53)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SETTINGS = [st.booleans(), WHOLE, NUMBERS, WHOLE | NUMBERS, TEXTS | WHOLE, st.lists(st.integers(0, 9), max_size=2)]
COLUMNS = st.one_of(
    *(
        st.lists(st.tuples(st.none() | setting, st.floats(), st.integers(0, 2**31)), min_size=1, max_size=4)
        for setting in SETTINGS
    )
)


@settings(deadline=None)
@given(COLUMNS)
def test_a_run_table_reads_as_it_was_written(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("table") / "runs.csv"
    rows = [
        row(record(i, {**CONFIG, "model": {**CONFIG["model"], "some": some}}, metrics={"m": metric}, parameters=count))
        for i, (some, metric, count) in enumerate(values)
    ]
    frame = as_frame(rows)
    write_runs(path, frame)
    text = path.read_text()
    again = read_runs(path)
    pd.testing.assert_frame_equal(again, frame)
    write_runs(path, again)
    assert path.read_text() == text


def test_a_run_table_of_an_older_version_has_all_columns(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "runs.csv").write_text("run_id,status,model,task,seed\nabc,finished,cnn,recall,0\n")
    runs = load_runs("old", tmp_path)
    assert set(AXES) | set(FACTS) == set(runs.columns)
    assert runs.loc[0, "seed"] == 0
    assert runs.loc[0, "seq_len"] is pd.NA


def test_all_committed_run_tables_together_name_every_run_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows = [planned_row(CONFIG, f"{i:016x}") for i in (1, 2 if name == "a" else 3)]
        write_runs(tmp_path / name / "runs.csv", as_frame(rows))
    assert load_runs(results_dir=tmp_path)["run_id"].tolist() == [f"{i:016x}" for i in (1, 2, 3)]
    assert load_runs(tmp_path)["status"].unique().tolist() == ["missing"]


def test_histories_have_six_digits_and_the_order_of_the_runs(tmp_path):
    store = RecordStore(tmp_path / "runs")
    store.write(record(2), [{"epoch": 1, "step": 3, "val/loss": 2 / 3}, {"epoch": 2, "step": 6, "val/loss": 1e-9 / 3}])
    store.write(record(1), [{"epoch": 1, "step": 3, "val/loss": math.inf, "gradient/x.reach": 5.0}])
    runs = pd.DataFrame({"run_id": [f"{i:016x}" for i in (2, 3, 1)], "status": ["finished", "missing", "diverged"]})
    history = load_history(runs, results_dir=tmp_path)
    assert list(history) == ["run_id", "epoch", "step", "gradient/x.reach", "val/loss"]
    assert history["run_id"].str[-1].tolist() == ["2", "2", "1"]
    assert history["val/loss"].tolist() == [0.666667, 3.33333e-10, math.inf]
    assert np.isnan(history["gradient/x.reach"][0])


def test_what_states_tell_is_the_same_from_records_and_from_what_is_committed(tmp_path):
    store, ids = RecordStore(tmp_path / "runs"), [f"{i:016x}" for i in (2, 1)]
    for i in ids:
        told = pd.concat([decoding(i, stage, 1 / 3) for stage in ("start", "end")], ignore_index=True)
        store.write(record(int(i)), tables={"decoding": told.drop(columns="run_id")})
    runs = pd.DataFrame({"run_id": [*ids, f"{3:016x}"], "status": ["finished", "finished", "missing"]})
    raw = load_decoding(runs, "named", tmp_path)
    assert raw["run_id"].unique().tolist() == ids
    assert raw["r2"][0] == 0.2967  # four decimals of 0.6 − 0.01 / 3 − 0.3
    write_long(tmp_path / "named" / "decoding.csv", raw)
    shutil.rmtree(tmp_path / "runs")
    pd.testing.assert_frame_equal(load_decoding(runs, "named", tmp_path), raw)
    assert load_decoding(runs, results_dir=tmp_path).empty


def test_who_is_right_where_is_the_same_from_records_and_from_what_is_committed(tmp_path):
    store, ids = RecordStore(tmp_path / "runs"), [f"{i:016x}" for i in (2, 1, 4)]
    right = {i: np.random.default_rng(int(i)).random(1821) < 0.8 for i in ids[:2]}
    for i, bits in right.items():
        store.write(record(int(i)), tables={"examples": pd.DataFrame({"right": bits})})
    store.write(record(4))  # of before this was kept
    runs = pd.DataFrame({"run_id": [*ids, f"{3:016x}"], "status": [*3 * ["finished"], "missing"]})
    raw = load_examples(runs, "named", tmp_path)
    assert raw["run_id"].tolist() == ids[:2]
    write_long(tmp_path / "named" / "examples.csv", raw)
    assert (tmp_path / "named" / "examples.csv").stat().st_size < 2 * 500
    shutil.rmtree(tmp_path / "runs")
    again = load_examples(runs, "named", tmp_path)
    pd.testing.assert_frame_equal(again, raw)
    for run_id, n, digits in again.itertuples(index=False):
        assert np.array_equal(bits_of(digits, n), right[run_id])
    assert load_examples(runs, results_dir=tmp_path).empty


def test_an_example_that_was_flipped_by_hand_is_refused(tmp_path):
    folder, i = tmp_path / "named", f"{1:016x}"
    rows = pd.DataFrame({"run_id": [i], "n": [8], "right": ["f0"]})
    checksums = {"examples.csv": write_long(folder / "examples.csv", rows)}
    (folder / "summary.json").write_text(json.dumps({"checksums": checksums}))
    runs = pd.DataFrame({"run_id": [i], "status": ["finished"]})
    pd.testing.assert_frame_equal(load_examples(runs, "named", tmp_path), rows)
    write_long(folder / "examples.csv", rows.assign(right="f1"))
    with pytest.raises(ConfigError, match=r"examples.csv: changed after it was written"):
        load_examples(runs, "named", tmp_path)


def test_profiles_are_the_same_from_records_and_from_what_is_committed(tmp_path):
    store, i = RecordStore(tmp_path / "runs"), f"{1:016x}"
    labels = {"stage": "end", "layer": "0", "direction": "forward", "quantity": "h"}
    curve = pd.DataFrame({**labels, "lag": [0, 1], "q10": -1 / 3, "median": 0.0, "q90": math.nan, "n": [4, 4]})
    store.write(record(1), tables={"profile": curve})
    runs = pd.DataFrame({"run_id": [i], "status": ["finished"]})
    raw = load_profiles(runs, "named", tmp_path)
    write_long(tmp_path / "named" / "profiles.csv", raw)
    shutil.rmtree(tmp_path / "runs")
    pd.testing.assert_frame_equal(load_profiles(runs, "named", tmp_path), raw)


def test_what_older_versions_called_otherwise_has_todays_name(tmp_path):
    names = ("nonfinite", "profile.nonfinite", "probe.nonfinite")
    records = [record(i, metrics={f"gradient/end/{name}": float(i)}) for i, name in enumerate(names)]
    frame = as_frame(map(row, records))
    assert frame["gradient/end/probe.nonfinite"].tolist() == [0.0, 1.0, 2.0]
    assert [column for column in frame if "nonfinite" in column] == ["gradient/end/probe.nonfinite"]

    apart = {f"gradient/end/{name}": [i if i == k else None for i in range(3)] for k, name in enumerate(names)}
    older = frame.drop(columns="gradient/end/probe.nonfinite").assign(**apart)
    write_runs(tmp_path / "old" / "runs.csv", older)
    pd.testing.assert_frame_equal(load_runs("old", tmp_path), frame)


def test_every_column_is_told_on_the_page_of_results():
    page = (PROJECT / "docs" / "results.md").read_text(encoding="utf-8")
    assert [column for column in (*AXES, *FACTS) if f"`{column}`" not in page] == []


CELLS = ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "'=1", "''-x", "\t=1", "-1", "1e-5", "rnn", "'quoted'", "-"]


@pytest.mark.parametrize("text", CELLS)
def test_a_cell_that_a_spreadsheet_would_compute_is_quoted_and_comes_back(tmp_path, text):
    row = {"run_id": "a", "status": "failed", "model": "rnn", "task": "digits", "seed": 0, "error": text}
    frame = as_frame([{**row, "task.file": text}, {**row, "run_id": "b", "error": "plain", "task.file": "plain"}])
    write_runs(tmp_path / "runs.csv", frame)
    written = list(DictReader((tmp_path / "runs.csv").read_text().splitlines(keepends=True)))
    for name in ("error", "task.file"):
        cell = written[0][name]
        assert cell[0] not in "=+@-\t" or re.fullmatch(r"-?[\d.e-]+", cell) or cell == text == "-1"
    read = read_runs(tmp_path / "runs.csv")
    assert read["error"].tolist() == [text, "plain"]
    assert read["task.file"].tolist() == [text, "plain"]
