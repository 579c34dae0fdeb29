"""A run that was stopped goes on, and yields what it would have yielded."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gradreach.errors import explain
from gradreach.records import RecordStore
from gradreach.runner import execute, execute_in_sweep
from gradreach.system.interruption import Interrupted, Interruption
from gradreach.training import Saving
from kill import bystander, leftovers, members, results_of, start, under_fire
from project import PROJECT, SMALL

DYING = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from hydra import compose, initialize_config_dir
from gradreach.config import parse, plain
from gradreach.runner import execute, execute_in_sweep
with initialize_config_dir(sys.argv[1] + "/conf", version_base="1.3"):
    run, environment = parse(plain(compose("config", overrides=sys.argv[3:])))
execute(run, environment, lambda row: row["epoch"] > int(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL))
"""
SCHEDULED = ["model=lstm", "optimizer.schedule=cosine", "trainer.checkpoint_seconds=0", *SMALL, "trainer.epochs=5"]
BY_STEP = ["diagnostics.profile=7 steps"]
DRAWN = ["task=recall", "seq_len=12", "task.train_lengths=[4,12]", "task.test_lengths=[12,20]", "task.train_size=900"]


@pytest.mark.parametrize(
    ("after", "options"),
    [
        pytest.param(1, [], id="first"),
        pytest.param(4, [], id="last", marks=pytest.mark.slow),
        pytest.param(3, BY_STEP, id="by step"),
        pytest.param(2, [*DRAWN, *BY_STEP], id="lengths drawn by batch"),
    ],
)
def test_a_killed_run_goes_on_and_yields_the_same_bits(configured, tmp_path, after, options):
    run, environment = configured(*SCHEDULED, *options)
    execute(run, environment)
    whole = results_of(environment.results_dir)

    elsewhere = environment.model_copy(update={"results_dir": tmp_path / "killed"})
    arguments = [*SCHEDULED, *options, "tracking=off", f"results_dir={elsewhere.results_dir}"]
    died = subprocess.run([sys.executable, "-c", DYING, str(PROJECT), str(after), *arguments], check=False)
    assert died.returncode == -signal.SIGKILL
    store = RecordStore(elsewhere.results_dir / "runs")
    assert store.read(run.run_id)["status"] == "running"
    assert store.checkpoint(run.run_id).exists()
    shown = []
    execute(run, elsewhere, lambda row: shown.append(row["epoch"]))
    assert [epoch for epoch in shown if isinstance(epoch, int)] == [1, 2, 3, 4, 5]
    assert shown == sorted(set(shown))
    assert (len(shown) > 5) == bool(options)  # it was killed within an epoch
    assert results_of(elsewhere.results_dir) == whole
    assert leftovers(elsewhere.results_dir) == []


def test_a_checkpoint_holds_no_pickled_classes_and_is_kept_on_request(configured):
    run, environment = configured(*SCHEDULED, "trainer.keep_checkpoint=true")
    execute(run, environment)
    checkpoint = torch.load(RecordStore(environment.results_dir / "runs").checkpoint(run.run_id), weights_only=True)
    assert checkpoint["epoch"] == 4
    assert "model.head.weight" in checkpoint["state_dict"]


def test_what_is_kept_is_no_part_of_the_identity(configured):
    assert configured(*SCHEDULED)[0].run_id == configured(*SCHEDULED, "trainer.keep_checkpoint=true")[0].run_id


@pytest.fixture
def stopped(configured):
    """Do a run until its second epoch, in this process; return what goes on with it, and its checkpoint."""

    def call(*overrides):
        run, environment = configured(*SCHEDULED, *overrides)
        interruption = Interruption()

        def stop(row):
            if row["epoch"] == 2:
                interruption.signal = signal.SIGTERM

        assert execute(run, environment, stop, interruption)["status"] == "interrupted"
        checkpoint = RecordStore(environment.results_dir / "runs").checkpoint(run.run_id)
        assert checkpoint.exists()
        return run, environment, checkpoint

    return call


class Evil:
    """What a pickle does that is loaded as it comes."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def other_model(saved):
    saved["state_dict"]["model.head.weight"] = torch.zeros(2, 2)


def other_layout(saved):
    saved["callbacks"]["Resume"]["run"].pop("history")


DAMAGES = {
    "half": (lambda path: path.write_bytes(path.read_bytes()[:1000]), "cannot be read"),
    "no checkpoint": (lambda path: torch.save({"epoch": 1}, path), "written by another version"),
    "layout": (lambda path: change(path, other_layout), "written by another version"),
    "model": (lambda path: change(path, other_model), "its weights belong to another model"),
    "class": (lambda path: torch.save(Evil(path.parent / "evil"), path), "cannot be read"),
    "bit": (lambda path: flip(path), "is damaged"),
}


def change(path, how):
    saved = torch.load(path, weights_only=True)
    how(saved)
    torch.save(saved, path)


def flip(path):
    """Flip one bit of a weight, which torch does not notice."""
    weight = torch.load(path, weights_only=True)["state_dict"]["model.head.weight"].numpy().tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(weight)] ^= 1
    path.write_bytes(data)
    torch.load(path, weights_only=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_checkpoint_that_is_not_what_was_saved_is_told_in_one_line_and_the_run_begins_anew(stopped, damage, capsys):
    run, environment, checkpoint = stopped()
    how, why = DAMAGES[damage]
    how(checkpoint)
    record = execute(run, environment)
    assert (record["status"], record["steps"]) == ("finished", 5 * 17)
    said = capsys.readouterr().err
    assert why in said
    assert said.endswith("the run starts from the beginning\n")
    assert said.count("\n") == 1
    assert not checkpoint.exists()
    assert not (checkpoint.parent / "evil").exists()


def test_the_random_generator_goes_on_where_it_was(stopped, tmp_path):
    run, environment, _ = stopped("model.head_dropout=0.5")
    whole = environment.model_copy(update={"results_dir": tmp_path / "whole"})
    execute(run, whole)
    execute(run, environment)
    assert results_of(environment.results_dir) == results_of(whole.results_dir)


def test_a_forced_run_begins_at_its_start(stopped):
    run, environment, checkpoint = stopped()
    earlier = {"seconds": 7000.0, "training_seconds": 7000.0}
    change(checkpoint, lambda saved: saved["callbacks"]["Resume"]["run"].update(earlier))
    told = []
    record = execute(run, environment.model_copy(update={"force": True}), told.append)
    assert record["status"] == "finished"
    assert all(row["time/seconds"] < 7000 for row in told)
    assert record["seconds"] < 7000


def test_what_a_run_cost_is_summed_over_its_parts(stopped, monkeypatch):
    run, environment, checkpoint = stopped("diagnostics.profile=1")
    first = RecordStore(environment.results_dir / "runs").read(run.run_id)
    assert 0 < first["diagnostics_seconds"] < first["seconds"]
    before = {"started": "2020-01-01T00:00:00+00:00", "seconds": 10000.0, "diagnosing": 2000.0}

    def earlier(saved):
        spent = saved["callbacks"]["Resume"]["run"]
        assert spent["started"] == first["started"]
        assert spent["seconds"] == pytest.approx(first["seconds"], abs=1)
        spent |= {**before, "training_seconds": 7000.0, "measuring": 1000.0}

    change(checkpoint, earlier)
    record = execute(run, environment)
    assert record["started"] == before["started"]
    assert 10000 < record["seconds"] < 11000
    assert 2000 < record["diagnostics_seconds"] < 3000
    assert 6000 < record["training_seconds"] < 7000
    last = (checkpoint.parent / "history.csv").read_text().splitlines()[-1].rpartition(",")[2]
    assert 7000 < float(last) < 8000


def test_a_run_that_another_worker_does_is_left_to_it_with_its_log(configured):
    run, environment = configured(*SCHEDULED)
    store = RecordStore(environment.results_dir / "runs")
    with store.claim(run.run_id):
        store.log(run.run_id).parent.mkdir()
        store.log(run.run_id).touch()
        assert execute_in_sweep(run, environment, Interruption()) == {}
        assert store.log(run.run_id).exists()
    assert store.stamp(run.run_id) == 0


def test_the_log_of_a_run_is_opened_and_removed_by_who_holds_the_run(configured, monkeypatch):
    run, environment = configured(*SCHEDULED)
    store = RecordStore(environment.results_dir / "runs")
    held = []
    for name in ("open", "unlink"):
        real = getattr(Path, name)

        def watched(path, *arguments, real=real, **options):
            if path == store.log(run.run_id):
                held.append(store.claimed(run.run_id))
            return real(path, *arguments, **options)

        monkeypatch.setattr(Path, name, watched)
    monkeypatch.setattr("gradreach.runner._execute", lambda *_: {"status": "finished"})
    execute_in_sweep(run, environment, Interruption())
    assert held == [True, True]
    assert not store.log(run.run_id).exists()


def test_a_short_run_is_not_saved(configured):
    run, environment = configured("model=lstm", *SMALL)
    path = RecordStore(environment.results_dir / "runs").checkpoint(run.run_id)
    execute(run, environment, lambda row: pytest.fail("saved") if path.exists() else None)


def test_a_signal_waits_for_the_epochs_end_but_not_for_ever(monkeypatch):
    interruption = Interruption()
    interruption.within_epoch()
    interruption.at_epoch_end()
    interruption.note(signal.SIGTERM, None)
    monkeypatch.setattr("gradreach.system.interruption._asked_to_stop", False)
    interruption.within_epoch()
    with pytest.raises(Interrupted, match="SIGTERM"):
        interruption.at_epoch_end()
    interruption.since -= 60
    with pytest.raises(Interrupted):
        interruption.within_epoch()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_later(tmp_path, number):
    line = ["model=rnn", "trainer.epochs=400", "model.width=4", "tracking=off", "results_dir=results"]
    command = [sys.executable, str(PROJECT / "run.py"), *line]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert any("epoch  80" in said for said in process.stdout)
        process.send_signal(number)
        said = process.stdout.read()
        assert process.wait(timeout=60) == 128 + number
    assert f"stopped by {number.name} after epoch" in said
    store = RecordStore(tmp_path / "results" / "runs")
    (path,) = store.root.glob("*/record.json")
    record = store.read(path.parent.name)
    assert record["status"] == "interrupted"
    saved = torch.load(store.checkpoint(record["run_id"]), weights_only=True)
    assert saved["epoch"] >= 79


def test_a_signal_between_saving_and_leaving_waits_for_the_next_epoch_so_that_nothing_is_lost(configured, monkeypatch):
    run, environment = configured("model=rnn", *SMALL, "trainer.epochs=3")
    interruption, asked = Interruption(), []
    due = Saving.due

    def signalled(self, seconds, last, stopping):
        asked.append(stopping)
        if len(asked) == 1:
            interruption.note(signal.SIGTERM, None)
        return due(self, seconds, last, stopping)

    monkeypatch.setattr(Saving, "due", signalled)
    monkeypatch.setattr("gradreach.system.interruption._asked_to_stop", False)
    record = execute(run, environment, interruption=interruption)
    assert asked == [False, True]
    assert (record["status"], record["error"]) == ("interrupted", "stopped by SIGTERM after epoch 2")
    assert RecordStore(environment.results_dir / "runs").checkpoint(run.run_id).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_sweep_that_is_asked_to_stop_lets_its_workers_save(tmp_path, number):
    results = tmp_path / "results"
    driver = start(["model=rnn", "model.width=4", "seed=0,1,2", "trainer.epochs=4000"], results)
    store = RecordStore(results / "runs")
    deadline = time.monotonic() + 90
    while sum(record is not None and record["status"] == "running" for record in map(store.read, ids(store))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(5)
    driver.send_signal(number)
    assert driver.wait(timeout=60) == 128 + number
    records = [store.read(run_id) for run_id in ids(store)]
    assert [record["status"] for record in records] == ["interrupted"] * len(records)
    assert all(store.checkpoint(record["run_id"]).exists() for record in records)
    assert "re-run the same command to resume" in (tmp_path / "output.txt").read_text()
    assert all_gone(driver.pid)


def all_gone(session):
    """Wait for the last process of a session, which is Python's tracker of resources."""
    deadline = time.monotonic() + 20
    while members(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not members(session)


TERMINAL = """
import os, pty, select, sys
process, terminal = pty.fork()
if not process:
    os.execv(sys.argv[1], sys.argv[1:])
print(process, flush=True)
while sys.stdin not in select.select([sys.stdin, terminal], [], [])[0]:
    os.read(terminal, 65536)
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
"""
"""Runs a command in a terminal that closes when something is said to it."""


@pytest.fixture
def in_terminal(tmp_path):
    started = []

    def call(*line):
        command = [sys.executable, str(PROJECT / "run.py"), *line, "tracking=off", f"results_dir={tmp_path}/results"]
        script = [sys.executable, "-c", TERMINAL, *command]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(script, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True))
        return started[-1], int(started[-1].stdout.readline())

    yield call
    for each in started:
        each.kill()
        each.communicate()


@pytest.mark.parametrize("several", [["seed=0"], ["-m", "seed=0,1,2"]], ids=["run", "sweep"])
def test_the_end_of_the_terminal_stops_what_was_started_in_it(in_terminal, tmp_path, several):
    long = ["model=rnn", "model.width=4", "trainer.epochs=4000", "trainer.checkpoint_seconds=0.1"]
    holder, session = in_terminal(*several, *long)
    deadline = time.monotonic() + 90
    while len(list(tmp_path.glob("results/runs/*/checkpoint.ckpt"))) < len(several):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    holder.communicate("close\n", timeout=60)
    assert holder.returncode == 128 + signal.SIGHUP
    assert all_gone(session)
    store = RecordStore(tmp_path / "results" / "runs")
    assert {store.status(run_id) for run_id in ids(store)} == {"interrupted"}


def test_under_nohup_the_end_of_the_terminal_stops_nothing():
    asked = "import signal; from gradreach.system.interruption import watched\nwith watched() as it: "
    asked += "signal.raise_signal(signal.SIGHUP); print(it.signal)"
    ignore = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    line = [sys.executable, "-c", ignore, sys.executable, "-c", asked]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "None\n"


def ids(store):
    return [path.parent.name for path in store.root.glob("*/record.json")]


@pytest.mark.slow
def test_a_sweep_survives_the_death_of_its_workers_and_drivers(tmp_path):
    line = ["model=rnn,cnn", "seed=0,1", *SMALL, "trainer.checkpoint_seconds=0"]
    quiet, fire = tmp_path / "quiet" / "results", tmp_path / "fire" / "results"
    quiet.parent.mkdir()
    fire.parent.mkdir()
    assert start(line, quiet).wait(timeout=300) == 0
    whole = results_of(quiet)
    assert len(whole) == 4
    with bystander(fire, whole) as innocent:
        under_fire(line, fire, kills=8, seed=0)
        assert innocent.poll() is None
    assert results_of(fire) == whole
    assert leftovers(fire) == []


def test_two_sweeps_at_once_do_every_run_once(tmp_path):
    line = ["model=rnn", "seed=0,1,2", *SMALL]
    results = tmp_path / "results"
    drivers = [start(line, results) for _ in range(2)]
    assert [driver.wait(timeout=300) for driver in drivers] == [0, 0]
    assert [result["status"] for result, *_ in results_of(results).values()] == ["finished"] * 3
    said = (tmp_path / "output.txt").read_text()
    assert said.count("3 runs: 3 finished") == 2


def test_a_disk_that_fills_up_leaves_nothing_half_written_and_the_run_goes_on_later(configured, monkeypatch):
    run, environment = configured(*SCHEDULED)
    execute(run, environment.model_copy(update={"results_dir": environment.results_dir / "undisturbed"}))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "profile.npz")

    monkeypatch.setattr("gradreach.records.np.savez_compressed", full)
    with pytest.raises(OSError, match="No space left") as raised:
        execute(run, environment)
    monkeypatch.undo()
    assert str(explain(raised.value)).startswith("profile.npz: No space left on device; make room or choose another")
    store = RecordStore(environment.results_dir / "runs")
    assert store.status(run.run_id) == "interrupted"
    assert store.read(run.run_id)["error"] == "No space left on device; make room or choose another results_dir"
    assert not list(environment.results_dir.glob("**/*.tmp"))
    execute(run, environment)
    assert results_of(environment.results_dir) == results_of(environment.results_dir / "undisturbed")
    assert leftovers(environment.results_dir) == []
