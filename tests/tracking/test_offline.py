"""Offline, what W&B's file says is what the record says; and whatever happens to W&B, the record is there."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wandb

from gradreach.records import RecordStore
from gradreach.run_table.columns import read_csv
from gradreach.runner import execute
from gradreach.system.interruption import Interrupted
from gradreach.tracking.server import use_server
from gradreach.tracking.session import end, went_well
from gradreach.tracking.sync import runs_of, waiting
from gradreach.tracking.wandb_files import marker
from gradreach.tracking.wandb_run import WandbRun, tell_table
from kill import send
from project import PROJECT, SMALL
from wandb_files import PICTURE, TABLE, figures, inspect, logs, path_of

# W&B's own process outlives a run by a while; whoever collects garbage next is warned of it
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

FAMILIES = ("train/", "val/", "test/", "gradient/", "gates/", "time/")
OFFLINE = [*SMALL, "tracking=offline"]


@pytest.fixture
def do(configured):
    def call(*overrides, tell=lambda row: None):
        run, environment = configured(*OFFLINE, *overrides)
        return execute(run, environment, tell), run, environment.results_dir

    return call


def begun(run):
    """Return the record of a run that begins."""
    return {"run_id": run.run_id, "group_id": run.group_id, "label": run.label, "config": run.canonical()}


@pytest.fixture
def tracked(do):
    record, run, results = do("model=lstm", "seed=3", "experiment=digits", "seq_len=70")
    (log,) = logs(results, run.run_id)
    return record, run, results, inspect(log)


def test_w_and_b_has_what_the_record_has_value_by_value(tracked):
    record, run, _, said = tracked
    metrics, summary = record["metrics"], figures(said["summary"])
    for stage in ("start", "end"):
        measured = said["summary"][f"gradient/{stage}"]
        assert len([key for key in measured if key.startswith("gate_") and "coupling" not in key]) == 9
        summary |= {f"gradient/{stage}/{key}": float(value) for key, value in measured.items()}
    assert {"test/accuracy", "val/accuracy", "train/loss"} <= set(metrics)
    assert {key: summary[key] for key in metrics} == {key: float(value) for key, value in metrics.items()}
    for key in ("chance", "parameters", "multiply_adds", "width", "best_epoch", "steps", "training_seconds"):
        assert summary[key] == record[key]
    assert summary["time/steps_per_second"] == record["steps_per_second"]
    assert said["summary"]["status"] == "finished"
    assert said["config"].items() >= json.loads(json.dumps(run.canonical())).items()
    for key in ("revision", "versions", "host"):
        assert said["config"][key] == record[key]
    assert summary["accuracy"] == metrics["val/accuracy"], "of the chosen epoch, not of the last"
    assert summary["gradient/h.reach"] == metrics["gradient/end/h.reach"]
    assert summary["gates/i.saturated"] == metrics["gradient/end/gate_i.closed"] + metrics["gradient/end/gate_i.open"]


def test_curves_are_few_and_say_what_the_record_says(tracked):
    record, run, results, said = tracked
    first, *epochs, last = map(figures, said["history"])
    measured = [f"gradient/{norm}.{figure}" for norm in "xhc" for figure in ("reach", "half_life")]
    measured += ["gates/f.mean", "gates/i.saturated", "gates/f.saturated", "gates/o.saturated"]
    assert set(first) == {"epoch", *measured}
    assert set(last) == {"epoch", *measured}
    assert last["epoch"] == record["best_epoch"]
    for row, stage in ((first, "start"), (last, "end")):
        of = {key.removeprefix(f"gradient/{stage}/"): v for key, v in record["metrics"].items() if f"/{stage}/" in key}
        for norm in "xhc":
            assert row[f"gradient/{norm}.reach"] == of[f"{norm}.reach"]
            assert row[f"gradient/{norm}.half_life"] == of[f"{norm}.half_life"]
        for gate in "ifo":
            assert row[f"gates/{gate}.saturated"] == of[f"gate_{gate}.closed"] + of[f"gate_{gate}.open"]
        assert row["gates/f.mean"] == of["gate_f.mean"]
    stored = read_csv(RecordStore(results / "runs").folder(run.run_id) / "history.csv")
    assert [row.pop("accuracy") for row in epochs] == stored["val/accuracy"].tolist()
    assert epochs == [row.dropna().drop("step").to_dict() for _, row in stored.iterrows()]
    assert [row["_step"] for row in said["history"][1:-1]] == stored["step"].tolist()
    logged = {key for row in said["history"] for key in row if not key.startswith("_")}
    assert len({PICTURE if key.startswith(PICTURE) else key for key in logged} - {"epoch"}) == 22, "few"


def test_what_is_measured_within_epochs_is_in_the_file_of_all_epochs(do):
    schedules = ["diagnostics.gates=5 steps", "diagnostics.profile=5 steps"]
    record, run, results = do("model=gru", *schedules)
    (log,) = logs(results, run.run_id)
    store = RecordStore(results / "runs")
    assert (log.parent / "files" / "history.csv").read_text() == store.read_history(run.run_id)
    stored = read_csv(store.folder(run.run_id) / "history.csv")
    within = stored[stored["epoch"] % 1 > 0]
    assert len(within) >= 2
    told = {row["_step"]: figures(row) for row in inspect(log)["history"]}
    for _, row in within.iterrows():
        there = told[row["step"]]
        assert there["gates/z.saturated"] == row["gradient/gate_z.closed"] + row["gradient/gate_z.open"]
        assert there["gradient/h.reach"] == row["gradient/h.reach"]
        assert there["epoch"] == row["epoch"]
    assert record["status"] == "finished"


def test_profile_is_a_picture_and_a_table(tracked):
    _, run, results, said = tracked
    files = logs(results)[0].parent / "files"
    stored = RecordStore(results / "runs").read_profile(run.run_id)
    table = json.loads((files / path_of(said, TABLE)).read_text())
    frame = pd.DataFrame(table["data"], columns=table["columns"])
    assert set(frame) == set(stored)
    for name, values in stored.items():
        expected = values if values.dtype.kind == "U" else values.astype(float)
        np.testing.assert_array_equal(frame[name].to_numpy(expected.dtype), expected)
    assert (files / path_of(said, PICTURE)).read_bytes().startswith(b"\x89PNG")


def test_what_was_tested_at_several_lengths_is_one_entry_a_table_and_a_picture(do):
    lengths = ["seq_len=12", "task.train_lengths=[5,12]", "task.test_lengths=[12,30]", "task.train_size=99"]
    record, run, results = do("model=gru", "task=recall", *lengths)
    (log,) = logs(results, run.run_id)
    said, metrics = inspect(log), record["metrics"]
    here = {name: metrics[f"test/{name}"] for name in ("loss/12", "accuracy/12", "loss/30", "accuracy/30")}
    assert said["summary"]["test/by_length"] == pytest.approx(here)
    for stage in ("start", "end"):
        assert said["summary"][f"gradient/{stage}"]["h.reach/30"] == metrics[f"gradient/{stage}/h.reach/30"]
    table = json.loads((log.parent / "files" / path_of(said, "test/by_length_table")).read_text())
    frame = pd.DataFrame(table["data"], columns=table["columns"])
    assert frame["test_length"].tolist() == [12, 30]
    assert frame["test/accuracy"].tolist() == [metrics["test/accuracy/12"], metrics["test/accuracy/30"]]
    picture = log.parent / "files" / path_of(said, "test/by_length_picture")
    assert picture.read_bytes().startswith(b"\x89PNG")
    logged = {key for row in said["history"] for key in row} | set(said["summary"])
    assert not [key for key in logged if key.rpartition("/")[2].isdigit()], "few entries"


@pytest.mark.parametrize("model", ["cnn", "tcn", "transformer"])
def test_a_run_of_layers_without_a_recurrence_is_tracked_to_its_end(do, model):
    record, run, results = do(f"model={model}")
    assert record["status"] == "finished"
    assert "untracked" not in record
    (log,) = logs(results, run.run_id)
    picture = path_of(inspect(log), PICTURE)
    assert (log.parent / "files" / picture).read_bytes().startswith(b"\x89PNG")
    assert "y" in set(pd.DataFrame(RecordStore(results / "runs").read_profile(run.run_id))["quantity"])


def test_a_long_profile_is_told_whole(configured, capsys):
    run, environment = configured(*OFFLINE, "model=rnn")
    stages = ["start", *(f"epoch {n}" for n in range(1, 5)), "end"]
    profile = pd.DataFrame({"stage": np.repeat(stages, 2500), "lag": np.tile(np.arange(2500), 6)})
    tracker = WandbRun(begun(run), environment.tracking, environment.results_dir)
    tracker.log({"epoch": 0, "step": 0})
    tell_table(tracker.run, TABLE, profile)
    tracker.close(0)
    (log,) = logs(environment.results_dir)
    table = json.loads((log.parent / "files" / path_of(inspect(log), TABLE)).read_text())
    assert table["data"] == profile.to_numpy(dtype=object).tolist()
    assert not list(environment.results_dir.rglob("staging"))


def test_a_run_is_named_grouped_and_tagged_for_people(tracked, configured):
    _, run, _, said = tracked
    assert said["id"] == run.run_id
    assert said["name"] == "lstm · digits · T=70 · seed 3"
    assert said["job_type"] == "train"
    assert sorted(said["tags"]) == ["digits", "lstm"]  # the experiment, too, is called digits
    assert said["project"] == "gradreach"
    assert said["exit"] == 0
    other, _ = configured(*OFFLINE, "model=lstm", "seed=4", "seq_len=70")
    assert said["group"] == f"{other.label} · {other.group_id[:6]}"
    assert said["config"]["architecture"] == "lstm"
    assert said["config"]["seq_len"] == 70


def test_nothing_else_is_logged_and_the_epoch_is_an_axis(tracked):
    said = tracked[3]
    logged = {key for row in said["history"] for key in row if not key.startswith("_")}
    assert {key for key in logged if not key.startswith(FAMILIES)} == {"accuracy", "epoch"}  # the step is W&B's own
    assert "epoch" in said["axes"]
    assert {family: said["axes"][f"{family}*"] for family in FAMILIES} == dict.fromkeys(FAMILIES, "epoch")


def test_project_and_entity_come_from_w_and_bs_environment_or_the_configuration(do, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "from-environment")
    monkeypatch.setenv("WANDB_ENTITY", "team")
    wandb.teardown()  # what it read of the environment before
    said = inspect(*logs(do("model=rnn")[2]))
    assert (said["project"], said["entity"]) == ("from-environment", "team")
    _, run, results = do("model=rnn", "seed=1", "tracking.project=mine", "tracking.entity=me")
    said = inspect(*logs(results, run.run_id))
    assert (said["project"], said["entity"]) == ("mine", "me")
    wandb.teardown()


def test_a_diverged_run_says_so(do):
    settings = ["model.nonlinearity=relu", "optimizer.name=sgd", "optimizer.lr=1e30", "trainer.clip_norm=null"]
    record, _, results = do("model=rnn", *settings)
    assert record["status"] == "diverged"
    said = inspect(*logs(results))
    assert (said["summary"]["status"], said["exit"]) == ("diverged", 0)
    assert "test/accuracy" not in said["summary"]


@pytest.mark.parametrize("method", ["log", "_atexit_cleanup", "define_metric"])
def test_an_error_of_w_and_b_loses_nothing(do, monkeypatch, capsys, method):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wandb.Run, method, fail)
    broken, run, results = do("model=rnn")
    told = capsys.readouterr().err
    assert "gradreach: tracking stops; the run continues and is recorded: [Errno 28] No space left" in told
    assert told.count("\n") == 1
    monkeypatch.undo()
    time.sleep(1.1)  # W&B names folders by the second
    whole, _, _ = do("model=rnn", "force=true")
    assert broken["status"] == whole["status"] == "finished"
    assert broken["metrics"] == whole["metrics"]
    assert inspect(logs(results, run.run_id)[-1])["exit"] == 0


def test_w_and_bs_own_process_may_be_killed_and_the_next_run_is_tracked_again(do, capsys):
    killed = []

    def kill_core(row):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            process, name, _, parent, *_ = stat.read_text().split()
            if name.startswith("(wandb-core") and int(parent) == os.getpid() and row["epoch"] == 1:
                killed.append(send(int(process), "SIGKILL"))

    record, _, _ = do("model=rnn", tell=kill_core)
    assert killed == [True]
    assert record["status"] == "finished"
    assert "tracking stops; the run continues" in capsys.readouterr().err
    again, run, results = do("model=rnn", "seed=1")
    assert again["status"] == "finished"
    assert inspect(*logs(results, run.run_id))["exit"] == 0


def test_another_open_run_is_refused_not_written_into(do, capsys, tmp_path):
    with wandb.init(mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True, console="off")) as other:
        record, _, _ = do("model=rnn")
        assert "is still open in this process" in capsys.readouterr().err
        assert "train/loss" not in other.summary.keys()  # noqa: SIM118  a summary is not a mapping
    assert record["status"] == "finished"


def test_a_sweep_says_which_runs_are_not_tracked_and_shows_no_curves_where_there_are_none(run_py, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "wandb").write_text("a file, where a folder should be")
    done = run_py("-m", "model=rnn", "seed=0,1", *OFFLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not tracked to the end: 2 of 2 runs; the first: [Errno 20] Not a directory" in done.stdout
    assert "leet" not in done.stdout


FULL = """
set -e
mkdir -p results/wandb
mount -t tmpfs -o size=100k tmpfs results/wandb
{python} {run_py} model=lstm tracking=offline {settings}
df results/wandb | tail -1
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare: a small disk cannot be made")
def test_a_full_disk_below_w_and_bs_folder_ends_tracking_and_not_the_run(tmp_path):
    settings = " ".join([*SMALL, "trainer.epochs=40", "diagnostics.gates=1", "diagnostics.profile=1"])
    script = FULL.format(python=sys.executable, run_py=PROJECT / "run.py", settings=settings)
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[3] == "0", "the disk did not fill: nothing was tested"
    (path,) = tmp_path.glob("results/runs/*/record.json")
    record = json.loads(path.read_text())
    assert record["status"] == "finished"
    assert len((path.parent / "history.csv").read_text().splitlines()) == 41


def test_a_run_that_goes_on_is_one_run_and_its_newest_file_is_whole(do):
    def stop(row):
        if row["epoch"] == 3:
            raise Interrupted("SIGTERM")

    resumable = ["model=rnn", "trainer.checkpoint_seconds=0", "trainer.epochs=4"]
    assert do(*resumable, tell=stop)[0]["status"] == "interrupted"
    time.sleep(1.1)  # W&B names folders by the second
    record, run, results = do(*resumable)
    assert record["status"] == "finished"
    first, second = logs(results, run.run_id)
    assert inspect(first)["exit"] == 1
    said = inspect(second)
    assert said["id"] == inspect(first)["id"] == run.run_id
    assert [row["epoch"] for row in said["history"]] == [0, 1, 2, 3, 4, record["best_epoch"]]
    (one,) = waiting(results)
    assert (one.newest, list(one.older)) == (second, [first])
    marker(second).touch()
    one.close()
    assert marker(first).exists()
    assert waiting(results) == []


def test_what_somebody_is_doing_is_not_sent(do):
    _, run, results = do("model=rnn")
    with RecordStore(results / "runs").claim(run.run_id):
        assert waiting(results) == []
    assert [one.run_id for one in waiting(results)] == [run.run_id]


def test_the_line_that_shows_curves_works_as_it_is_printed(run_py, tmp_path):
    done = run_py("model=rnn", *SMALL)
    (line,) = [line.split("look")[1].strip() for line in done.stdout.splitlines() if "look" in line]
    inspected = line.replace(" leet ", " leet inspect --summary ")
    told = subprocess.run(inspected, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr + done.stderr
    assert "rnn · digits · T=64 · seed 0" in told.stdout
    assert "finished (exit code 0)" in told.stdout


def test_below_an_agent_of_a_w_and_b_sweep_the_run_is_the_one_that_the_server_waits_for(do, monkeypatch, tmp_path):
    parameters = tmp_path / "config.yaml"
    parameters.write_text("wandb_version: 1\nmodel: {value: rnn}\nseed: {value: 1}\n")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "chosenbyserver")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(parameters))
    _, run, results = do("model=rnn", "seed=1")
    said = inspect(*logs(results))
    assert (said["id"], said["config"]["run_id"]) == ("chosenbyserver", run.run_id)
    assert said["config"]["model"]["name"] == "rnn"
    table = results / "mine" / "runs.csv"
    table.parent.mkdir()
    table.write_text(f"run_id,status,model,task\n{run.run_id},finished,rnn,digits\n")
    assert [one.run_id for one in waiting(results, runs_of(results, ["mine"]))] == [run.run_id]
    with RecordStore(results / "runs").claim(run.run_id):
        assert waiting(results) == [], "an agent is at it"


def first_screen(folder, wanted):
    """Return what ``wandb leet`` draws of a run on 120 × 40 characters, without colours, as far as what is wanted."""
    pid, terminal = pty.fork()
    if not pid:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "wandb", "leet", str(folder)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    drawn, text, until = b"", "", time.monotonic() + 60
    while wanted not in text and time.monotonic() < until:
        with suppress(OSError):
            drawn += os.read(terminal, 65536) if select.select([terminal], [], [], 0.5)[0] else b""
        text = re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]", "", drawn.decode("utf-8", "replace"))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    return text


@pytest.mark.parametrize(("task", "first"), [("digits", "accuracy"), ("adding", "error")])
def test_the_terminal_opens_on_the_validation_score(do, monkeypatch, tmp_path, task, first):
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    _, run, results = do("model=rnn", f"task={task}", *(["seq_len=10", "task.train_size=64"] * (task == "adding")))
    (log,) = logs(results, run.run_id)
    charts = {key for row in inspect(log)["history"] for key in row if not key.startswith(("_", PICTURE))}
    assert next(key for key in sorted(charts) if key != "epoch") == first, "it orders charts by name"
    head = f"{first}[x: epoch]"
    assert head in first_screen(log.parent, head)


@pytest.mark.parametrize(
    ("text", "well"),
    [
        ('{"level":"INFO","msg":"started"}\n{"level": "WARN"}\n', True),
        ('{"level":"INFO","msg":"\\"level\\":\\"ERROR"}\n', True),
        ('{"level":"INFO"}\n{"level" : "ERROR+4"}\n', False),
        ('{"level":"INFO"}\n{"lev', False),
        ("level=info\n", False),
        ('{"severity":"INFO"}\n', False),
        ("", False),
    ],
)
def test_a_run_counts_as_sent_only_where_the_log_can_be_read_and_has_no_error(text, well, tmp_path):
    log = tmp_path / "debug-internal.log"
    assert not went_well(log)
    log.write_text(text)
    assert went_well(log) is well


@pytest.mark.parametrize("well", [True, False])
def test_an_online_run_is_noted_as_sent_only_where_all_went_well(tmp_path, monkeypatch, well):
    class Run:
        offline = False

        def finish(self, exit_code):
            self.code = exit_code

    file = tmp_path / "run-1.wandb"
    Run.settings = type("Settings", (), {"log_internal": str(tmp_path / "log"), "sync_file": str(file)})
    (tmp_path / "log").write_text('{"level": "INFO"}' if well else '{"level": "ERROR"}')
    end(Run(), 0)
    assert marker(file).exists() is well


def test_wandb_measures_nothing_of_the_machine_and_reads_neither_code_nor_git(do, monkeypatch):
    seen, begin = [], wandb.init

    def init(**what):
        seen.append(what["settings"])
        return begin(**what)

    monkeypatch.setattr(wandb, "init", init)
    do("model=rnn")
    (settings,) = seen
    assert settings.x_disable_stats
    assert settings.disable_git
    assert settings.disable_code
    assert (settings.init_timeout, settings.finish_timeout) == (30, 30)


def test_the_log_of_wandb_is_such_a_log(do, monkeypatch):
    monkeypatch.setattr("gradreach.tracking.session.shutil.rmtree", lambda *_, **__: None)
    _, _, results = do("model=rnn")
    (log,) = results.glob("wandb/offline-run-*/logs/debug-internal.log")
    assert went_well(log)


def test_a_run_that_went_well_leaves_few_files(do):
    _, run, results = do("model=rnn")
    (folder,) = results.glob("wandb/*run-*")
    left = {path.relative_to(folder).as_posix().split("_")[0] for path in folder.rglob("*")}
    media = {"files/media/profile", "files/media/by"}
    assert left == {f"run-{run.run_id}.wandb", "files", "files/history.csv", "files/media", *media}
    assert len(list(folder.rglob("*"))) == len(left)
    assert {path.name for path in (results / "wandb").iterdir()} == {folder.name, "latest-run"}


def test_without_an_address_the_server_is_the_one_of_wandbs_own_settings(monkeypatch):
    monkeypatch.delenv("WANDB_BASE_URL", raising=False)
    monkeypatch.setattr("wandb.setup", lambda: type("Setup", (), {"settings": wandb.Settings()}))
    assert use_server(None) == wandb.Settings.model_fields["base_url"].default.rstrip("/")
