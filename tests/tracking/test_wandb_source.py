"""The same frame from a W&B server: what its public API answers is at hand."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest

from gradreach.errors import ConfigError
from gradreach.records import RecordStore, as_csv
from gradreach.run_table.committed import write_plan
from gradreach.run_table.load import disagreements, load_runs
from gradreach.run_table.measurements import load_history
from gradreach.run_table.profiles import load_profiles
from gradreach.tracking.wandb_run import under
from gradreach.tracking.wandb_source import WandbSource, open_source
from wandb_api import ServerApi, ServerRun

PROFILE = pd.DataFrame(
    {
        "layer": ["input", "encoder", "encoder"],
        "direction": ["forward", "forward", "backward"],
        "quantity": ["x", "h", "h"],
        "lag": [0, 1, 2],
        "q10": [-1.0, -math.inf, math.nan],
        "median": [-0.5, -0.25, -0.125],
        "q90": [0.0, 0.0, 0.0],
        "n": [4, 4, 4],
        "stage": ["end", "end", "end"],
    }
)
HISTORY = [
    {"epoch": 1, "step": 4, "train/loss": 1.5, "val/accuracy": 0.25, "gradient/gate_f.mean": 0.5},
    {"epoch": 2, "step": 8, "train/loss": 1.25, "val/accuracy": 0.5, "gradient/gate_f.mean": 0.75},
]


def told(record):
    """Return what W&B was told of a run: configuration, summary, files."""
    config = {**record["config"], **{key: record[key] for key in ("run_id", "revision", "versions", "host")}}
    config["wandb_version"] = "0.31.0"
    metrics = record["metrics"]
    measured = {f"gradient/{stage}": under(f"gradient/{stage}/", metrics) for stage in ("start", "end")}
    cells = [["NaN" if v != v else "-Infinity" if v == -math.inf else v for v in row] for row in PROFILE.to_numpy()]
    table = {"_type": "table-file", "path": "media/table/by_lag.table.json", "ncols": 9, "nrows": 3}
    files = {table["path"]: json.dumps({"columns": list(PROFILE), "data": cells}), "history.csv": as_csv(HISTORY)}
    facts = ("status", "chance", "width", "parameters", "multiply_adds", "best_epoch", "steps")
    summary = {**measured, **{key: record[key] for key in facts}, "gradient/by_lag": table, "_step": 3}
    summary |= {"gradient/h.half_life": metrics["gradient/end/h.half_life"], "gates/f.saturated": 0.5}
    by_length = {key: value for key, value in metrics.items() if key.endswith("/40")}
    summary |= {
        key: value for key, value in metrics.items() if not key.startswith("gradient/") and key not in by_length
    }
    summary |= {"test/by_length": under("test/", by_length), "test/by_length_table": table}
    return ServerRun(record["run_id"], "finished", config, {k: v for k, v in summary.items() if v is not None}, files)


@pytest.fixture
def both(configured):
    """Records here, and the same runs on a server."""
    runs = [configured("experiment=digits", "model=lstm", f"seed={seed}") for seed in (0, 1)]
    environment = runs[0][1]
    write_plan(environment, [run for run, _ in runs])
    store = RecordStore(environment.results_dir / "runs")
    for run, _ in runs:
        store.write(
            {
                "run_id": run.run_id,
                "status": "finished",
                "config": run.canonical(),
                "metric": "accuracy",
                "chance": 0.1,
                "width": 32,
                "parameters": 4810,
                "multiply_adds": 123456,
                "best_epoch": 2,
                "steps": 8,
                "revision": "abc",
                "versions": {"torch": "2.13.0"},
                "host": {"name": "n", "cpu": "C", "system": "Linux", "machine": "x86_64"},
                "metrics": {
                    "val/accuracy": 0.5,
                    "test/accuracy": 0.4 + run.seed,
                    "test/accuracy/40": 0.3 + run.seed,
                    "gradient/end/h.half_life/40": 3.5,
                    "gradient/start/h.half_life": 1.5,
                    "gradient/start/gate_f.mean": 0.5,
                    "gradient/end/h.half_life": 2.5,
                    "gradient/end/gate_f.mean": 0.75,
                },
            },
            HISTORY,
            {"profile": PROFILE},
        )
    return environment.results_dir, [told(store.read(run.run_id)) for run, _ in runs]


def test_the_frame_is_the_same_from_both(both):
    results, runs = both
    source = WandbSource("team/gradreach", ServerApi(runs))
    here, there = load_runs("digits", results), load_runs("digits", results, source)
    pd.testing.assert_frame_equal(there, here)
    pd.testing.assert_frame_equal(load_runs(source=source), here)
    profiles = [load_profiles(here, "digits", results, each) for each in (None, source)]
    pd.testing.assert_frame_equal(*profiles)
    assert len(profiles[0]) == 6
    assert np.isneginf(profiles[0]["q10"]).sum() == 2
    histories = [load_history(here, "digits", results, each) for each in (None, source)]
    pd.testing.assert_frame_equal(*histories)
    assert histories[0]["gradient/gate_f.mean"].tolist() == [0.5, 0.75] * 2


def test_they_agree_until_one_says_something_else(both):
    results, runs = both
    assert disagreements("digits", results, WandbSource("team/gradreach", ServerApi(runs))) == (2, [])
    runs[1].summary_metrics["test/accuracy"] = 0.9
    count, (line,) = disagreements("digits", results, WandbSource("team/gradreach", ServerApi(runs)))
    assert count == 2
    assert line == f"{runs[1].id} test/accuracy: 1.4 here, 0.9 there"
    assert disagreements("digits", results, WandbSource("team/gradreach", ServerApi(runs[:1])))[0] == 1


def test_only_runs_that_are_both_here_and_there_are_compared(both):
    results, runs = both
    store = RecordStore(results / "runs")
    runs[0].summary["test/accuracy"] = runs[1].summary["test/accuracy"] = 0.9
    shutil.rmtree(store.folder(runs[0].id))
    for there, count in ((runs, 1), (runs[:1], 0), ([], 0)):
        source = WandbSource("team/gradreach", ServerApi(there))
        if there:
            found, lines = disagreements("digits", results, source)
            assert (found, len(lines)) == (count, count)


def test_of_a_run_that_goes_on_or_crashed_the_server_knows_the_state(both):
    _, (finished, _) = both
    for state, status in (("running", "running"), ("crashed", "interrupted"), ("failed", "failed")):
        run = ServerRun(finished.id, state, {**finished.config}, {"train/loss": 1.0}, {})
        source = WandbSource("team/gradreach", ServerApi([run]))
        record = source.read(finished.id)
        assert (record["status"], record["metrics"]) == (status, {"train/loss": 1.0})
        assert (source.read_history(finished.id), source.read_profile(finished.id)) == ("", {})


def test_runs_of_others_are_left_out_and_a_run_begun_again_counts_once(both):
    _, (first, second) = both
    stranger = ServerRun("abcdefgh", "finished", {"lr": 0.1}, {"loss": 1.0}, {})
    source = WandbSource("team/gradreach", ServerApi([stranger, first, second, first]))
    assert source.run_ids() == sorted([first.id, second.id])
    assert source.read("abcdefgh") is None


def test_a_server_that_cannot_be_read_is_one_line():
    class Unreachable:
        def runs(self, *_, **__):
            raise ValueError("Could not find project team/gradreach\nmore")

    with pytest.raises(ConfigError, match=r"^source=wandb:team/gradreach: cannot be read \(Could not find project"):
        WandbSource("team/gradreach", Unreachable()).run_ids()
    with pytest.raises(ConfigError, match="must be wandb:entity/project"):
        open_source("wandb:gradreach")
    assert isinstance(open_source("wandb:team/gradreach"), WandbSource)
