"""The commands as a user types them."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from gradreach import __version__
from gradreach.records import RecordStore
from gradreach.usage import page
from project import PROJECT, SMALL
from wandb_files import inspect

TARGETS = "model._target_=gradreach.models.RNN,broken.Broken"


def records(folder):
    store = RecordStore(folder / "results" / "runs")
    return store, [store.read(path.parent.name) for path in sorted(store.root.glob("*/record.json"))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["seq_len=0"], "seq_len=0: must be greater than 0"),
        (["model=lstn"], "model=lstn: there is no such option; did you mean lstm? Choose from"),
        (["task.digts=1"], "task.digts: there is no such setting"),
        (["seed=abc"], "seed=abc: must be a valid integer, unable to parse string as an integer"),
        (
            ["model=cnn", "kernel_size=200", "seq_len=64"],
            "kernel_size=200: larger than the input of 64 steps (seq_len)",
        ),
        (["optimizer.lr=-1"], "optimizer.lr=-1: must be greater than 0"),
        (["-m", "experiment=quickstart", "optimizer.lr=0.1,-1"], "optimizer.lr=-1: must be greater than 0"),
        (["-m", "model=lstm,lstn"], "model=lstn: there is no such option; did you mean lstm? Choose from"),
        (
            ["experiment=null"],
            "experiment=null: must be the name of an option, such as lstm; quote off and numbers: 'off'",
        ),
        (["=64"], "=64: must be the name of an option"),
        (["trainer=[long,3]"], "trainer=[long,3]: must be the name of an option"),
        (["trainer=[long,mine]"], "trainer=mine: there is no such option"),
        (["~device=3"], "~device=3: could not delete from config. The value of 'device' is cpu and not 3."),
        (["+seed=3"], "+seed=3: could not append to config. An item is already at 'seed'."),
        (["seed=1,2"], "seed=1,2: has several values; to sweep over them, add -m; write a list as [1,2]"),
        (
            ["experiment=评论"],
            "experiment=评论: is neither a number nor a word; quote text: ",
        ),
        (["-m", "seed=interval(0,3)"], "seed=interval(0,3): is a search space, but a sweep needs values; list them"),
        (["-m", "seed=range(0,3,0)"], "seed=range(0,3,0): must be finite, with a step that is not 0"),
        (["hydra.job.num=x"], "hydra.job.num=x: value 'x' of type 'str' could not be converted to Integer"),
        (["x" * 300 + "=1"], "x" * 300 + "=1: "),
        (
            ["experiment=pooling", "model.pooling=max"],
            "model.pooling: there is no such setting; choose from bidirectional, block, block_expansion, chrono",
        ),
        (
            ["+optimizer.betas=[0.9,0.9]"],
            "optimizer.betas: there is no such setting; choose from alpha, decay, factor, lr",
        ),
        (
            ["experiment=kernel_size_quick", "tracking=off"],
            "experiment=kernel_size_quick: is a sweep over model.layers, kernel_size, seed, task; without -m it would "
            "be one run; type python run.py -m experiment=kernel_size_quick tracking=off, or for a single run",
        ),
        (
            ["+search=training"],
            "+search=training: is a sweep over optimizer.lr, optimizer.schedule, trainer.batch_size",
        ),
        (["experiment=quickstrat"], "experiment=quickstrat: there is no such option; did you mean quickstart?"),
    ],
)
def test_a_mistake_gets_one_line_and_leaves_no_file(run_py, tmp_path, arguments, message):
    done = run_py(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"gradreach: {message}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\n  bad: [1\n", "line 2, column 6: mapping values are not allowed here; correct the YAML there"),
        ("defaults:\n  - override /tracking: off\n", "defaults: Unsupported item value in defaults : bool."),
    ],
)
def test_a_mistake_in_a_yaml_gets_one_line(run_py, tmp_path, text, message):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text(text)
    done = run_py("--config-dir", str(tmp_path), "optimizer=mine")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gradreach: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_sweep_with_a_failing_run_finishes_the_others_and_goes_on_where_it_stopped(run_py, tmp_path):
    line = ["-m", "model=rnn", TARGETS, "seed=0,1", "kernel_size=3,5", *SMALL]
    first = run_py(*line)
    assert first.returncode == 1
    assert "4 runs (8 combinations, identical ones once), 4 to do" in first.stdout
    assert "4 runs: 2 failed, 2 finished" in first.stdout
    assert "ValueError: broken on purpose" in first.stdout
    store, found = records(tmp_path)
    assert sorted(record["status"] for record in found) == ["failed", "failed", "finished", "finished"]
    assert all("broken on purpose" in r["traceback"] for r in found if r["status"] == "failed")
    finished = [store.folder(r["run_id"]) / "record.json" for r in found if r["status"] == "finished"]
    stamps = [path.stat().st_mtime_ns for path in finished]
    assert not list(tmp_path.rglob("*.tmp"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]

    again = run_py(*line)
    assert "4 runs (8 combinations, identical ones once), 2 already done, 2 to do" in again.stdout
    assert [path.stat().st_mtime_ns for path in finished] == stamps

    mended = run_py(*[part if part != TARGETS else "model._target_=gradreach.models.RNN" for part in line])
    assert mended.returncode == 0
    assert "2 runs (4 combinations, identical ones once), 2 already done, 0 to do" in mended.stdout


def test_a_run_that_takes_its_worker_with_it_is_given_up_and_the_others_are_done(run_py, tmp_path):
    targets = "model._target_=broken.Deadly,gradreach.models.RNN"
    done = run_py("-m", "model=rnn", targets, "tracking=off", *SMALL)
    assert done.returncode == 1
    assert "2 runs: 1 failed, 1 finished" in done.stdout
    assert "its worker ended 3 times without a result: killed from outside, or out of memory" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_sweep_and_its_status_count_the_warnings_of_its_runs_by_kind(run_py, tmp_path):
    line = ["model=rnn", "model._target_=broken.Warned", "seq_len=64,70", "seed=0,1", "tracking=off", *SMALL]
    for n_jobs in (1, 2):  # in one process a second run's warning is the same as the first one's
        (tmp_path / "results").exists() and shutil.rmtree(tmp_path / "results")
        done = run_py("-m", *line, f"hydra.launcher.n_jobs={n_jobs}")
        assert done.returncode == 0, done.stderr
        told = [text.strip() for text in done.stdout.splitlines() if "warning of" in text]
        assert len(told) == 2
        assert re.fullmatch(r"warning of 4 runs: lstm: LSTMCell in a loop of (64|70) steps; its states .*", told[0])
        assert told[1] == "warning of 2 runs: long"
    store, found = records(tmp_path)
    assert all("LSTMCell" in store.log(record["run_id"]).read_text() for record in found)
    again = run_py("-m", *line)
    assert [text.strip() for text in again.stdout.splitlines() if "warning of" in text] == told
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "tests" / "broken"), "COLUMNS": "200"}
    status = [sys.executable, "-m", "gradreach", "status", *line, "--conf-dir", str(PROJECT / "conf"), "--csv", "s.csv"]
    asked = subprocess.run(status, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert [text.strip() for text in asked.stdout.splitlines() if "warning of" in text] == told
    assert (tmp_path / "s.csv").read_text().count("LSTMCell") == 4


@pytest.mark.parametrize("line", [[], ["-m"]])
def test_results_that_cannot_be_written_are_refused_before_anything_starts(run_py, tmp_path, line):
    (tmp_path / "file").touch()
    done = run_py(*line, "model=rnn", "results_dir=file/results", *SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gradreach: results_dir=")
    assert re.search(r"(cannot be written \(Not a directory\)|is not a folder); choose another", done.stderr)
    assert done.stderr.count("\n") == 1


def test_one_worker_or_two_give_the_same_bits(run_py, tmp_path):
    line = ["-m", "model=lstm,cnn", "seed=0,1", "tracking=off", *SMALL]
    results = []
    for workers in (1, 2):
        done = run_py(*line, f"hydra.launcher.n_jobs={workers}")
        assert done.returncode == 0, done.stdout + done.stderr
        store, found = records(tmp_path)
        results.append({r["run_id"]: (r["metrics"], store.read_profile(r["run_id"])) for r in found})
        (tmp_path / "results").rename(tmp_path / f"with {workers}")
    assert results[0].keys() == results[1].keys()
    assert len(results[0]) == 4
    for (metrics, profile), (other_metrics, other_profile) in zip(*(r.values() for r in results), strict=True):
        assert metrics == other_metrics
        for name, values in profile.items():
            np.testing.assert_array_equal(values, other_profile[name])


def test_one_run_shows_its_figures_and_closes_its_tracker(run_py, tmp_path):
    done = run_py("model=gru", "seq_len=70", *SMALL)
    assert done.returncode == 0
    assert "test accuracy" in done.stdout
    assert "chance 10" in done.stdout
    assert done.stderr == ""
    _, (record,) = records(tmp_path)
    (log,) = tmp_path.glob(f"results/wandb/offline-run-*-{record['run_id']}/*.wandb")
    said = inspect(log)
    assert said["name"] == "gru · digits · T=70 · seed 0"
    assert said["group"].startswith("gru · digits · T=70")
    assert said["exit"] == 0
    assert said["config"]["task"]["seq_len"] == 70
    assert said["config"]["model"] == record["config"]["model"]
    assert said["summary"]["test/accuracy"] == record["metrics"]["test/accuracy"]
    assert said["summary"]["gradient/h.reach"] == record["metrics"]["gradient/end/h.reach"]
    assert said["summary"]["gradient/profile._type"] == "image-file"
    assert len(said["history"]) == 1 + 2 + 1


def test_a_failing_run_exits_with_1_and_closes_its_tracker_as_failed(run_py, tmp_path):
    done = run_py("model=rnn", "model._target_=broken.Broken", *SMALL)
    assert done.returncode == 1
    assert "failed: ValueError: broken on purpose" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    (log,) = tmp_path.glob("results/wandb/offline-run-*/*.wandb")
    assert inspect(log)["exit"] == 1


def test_help_tells_settings_choices_examples_and_where_the_docs_are(run_py, monkeypatch):
    done = run_py("--help")
    assert (done.returncode, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    for group in (
        "model",
        "task",
        "optimizer",
        "trainer",
        "diagnostics",
        "tracking",
        "experiment",
        "logger",
        "callbacks",
    ):
        names = sorted(path.stem for path in (PROJECT / "conf" / group).glob("*.yaml") if "_quick" not in path.stem)
        line = re.search(rf"^  {group} +(.*)$", page(PROJECT / "conf", 2000), re.MULTILINE)
        assert sorted(re.split(", |; ", line[1])[: len(names)]) == names
    examples = re.search("^Examples.*\n((?:  .*\n)+)", done.stdout, re.MULTILINE)[1]
    assert len(re.findall("^  python run.py", examples, re.MULTILINE)) == 3
    for told in ("seq_len=64 steps of the input", "optimizer.lr=0.01", "trainer.epochs=15"):
        assert told in said
    assert re.findall(r"\w+_quick", said) == []  # told once, as <name>_quick
    assert len(done.stdout.splitlines()) <= 55


def test_every_setting_of_the_help_is_one_line_and_is_there(configured):
    text = page(PROJECT / "conf", 80)
    block = re.search("^Settings.*\n((?:  .*\n)+)", text, re.MULTILINE)[1]
    lines = block.splitlines()
    settings = [line.split()[0] for line in lines]
    assert all(re.fullmatch(r"[\w./]+=\S+", setting) for setting in settings)
    configured(*(each for each in settings if not each.startswith("hydra/")))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_help_is_wrapped_at_words(width):
    text = page(PROJECT / "conf", width)
    whole = page(PROJECT / "conf", 2000)
    assert text.split() == whole.split()
    long = [line for line in text.splitlines() if len(line) > width]
    assert all(len(line.split()) == 1 or line.startswith("  python") or line[0] != " " for line in long)


def test_the_version_is_ours(run_py):
    done = run_py("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"gradreach {__version__} (Hydra ")
