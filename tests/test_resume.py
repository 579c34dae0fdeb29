"""A run that was stopped goes on, and yields what it would have yielded."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from gradreach.errors import explain
from gradreach.interruption import Interrupted, Interruption
from gradreach.records import RecordStore
from gradreach.runner import execute
from kill import leftovers, results_of, start, under_fire
from project import PROJECT, SMALL

DYING = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from hydra import compose, initialize_config_dir
from gradreach.config import parse, plain
from gradreach.runner import execute
with initialize_config_dir(sys.argv[1] + "/conf", version_base="1.3"):
    run, workplace = parse(plain(compose("config", overrides=sys.argv[3:])))
execute(run, workplace, lambda row: row["epoch"] > int(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL))
"""
SCHEDULED = ["model=lstm", "optimizer.schedule=cosine", "trainer.checkpoint_seconds=0", *SMALL, "trainer.epochs=5"]


BY_STEP = ["diagnostics.profile=7 steps"]


@pytest.mark.parametrize(("after", "options"), [(1, []), (4, []), (3, BY_STEP)], ids=["first", "last", "by step"])
def test_a_killed_run_goes_on_and_yields_the_same_bits(configured, tmp_path, after, options):
    run, workplace = configured(*SCHEDULED, *options)
    execute(run, workplace)
    whole = results_of(workplace.results_dir)

    elsewhere = workplace.model_copy(update={"results_dir": tmp_path / "killed"})
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
    assert (len(shown) > 5) == bool(options)
    assert results_of(elsewhere.results_dir) == whole
    assert leftovers(elsewhere.results_dir) == []


def test_a_checkpoint_holds_no_pickled_classes_and_is_kept_on_request(configured):
    run, workplace = configured(*SCHEDULED, "trainer.keep_checkpoint=true")
    execute(run, workplace)
    checkpoint = torch.load(RecordStore(workplace.results_dir / "runs").checkpoint(run.run_id), weights_only=True)
    assert checkpoint["epoch"] == 4
    assert "model.head.weight" in checkpoint["state_dict"]


def test_what_is_kept_is_no_part_of_the_identity(configured):
    assert configured(*SCHEDULED)[0].run_id == configured(*SCHEDULED, "trainer.keep_checkpoint=true")[0].run_id


def test_a_damaged_checkpoint_is_no_checkpoint(configured):
    run, workplace = configured(*SCHEDULED)
    path = RecordStore(workplace.results_dir / "runs").checkpoint(run.run_id)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    assert execute(run, workplace)["status"] == "finished"
    assert not path.exists()


def test_a_short_run_is_not_saved(configured):
    run, workplace = configured("model=lstm", *SMALL)
    path = RecordStore(workplace.results_dir / "runs").checkpoint(run.run_id)
    execute(run, workplace, lambda row: pytest.fail("saved") if path.exists() else None)


def test_a_signal_waits_for_the_epochs_end_but_not_for_ever(monkeypatch):
    interruption = Interruption()
    interruption.within_epoch()
    interruption.at_epoch_end()
    interruption.note(signal.SIGTERM, None)
    monkeypatch.setattr("gradreach.interruption._asked_to_stop", False)
    interruption.within_epoch()
    with pytest.raises(Interrupted, match="SIGTERM"):
        interruption.at_epoch_end()
    interruption.since -= 60
    with pytest.raises(Interrupted):
        interruption.within_epoch()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_saves_and_goes_on_later(tmp_path, number):
    line = ["model=rnn", "trainer.epochs=400", "model.width=4", "tracking=off", "results_dir=results"]
    command = [sys.executable, str(PROJECT / "run.py"), *line]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert any("epoch  80" in said for said in process.stdout)
        process.send_signal(number)
        said = process.stdout.read()
        assert process.wait(timeout=60) == 130
    assert f"stopped by {number.name} after epoch" in said
    store = RecordStore(tmp_path / "results" / "runs")
    (path,) = store.root.glob("*/record.json")
    record = store.read(path.parent.name)
    assert record["status"] == "interrupted"
    saved = torch.load(store.checkpoint(record["run_id"]), weights_only=True)
    assert saved["epoch"] >= 79


def test_a_sweep_that_is_asked_to_stop_lets_its_workers_save(tmp_path):
    results = tmp_path / "results"
    driver = start(["model=rnn", "model.width=4", "seed=0,1,2", "trainer.epochs=4000"], results)
    store = RecordStore(results / "runs")
    deadline = time.monotonic() + 90
    while sum(record is not None and record["status"] == "running" for record in map(store.read, ids(store))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    time.sleep(5)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=60) == 130
    records = [store.read(run_id) for run_id in ids(store)]
    assert [record["status"] for record in records] == ["interrupted"] * len(records)
    assert all(store.checkpoint(record["run_id"]).exists() for record in records)
    assert "the same line goes on from here" in (tmp_path / "output.txt").read_text()


def ids(store):
    return [path.parent.name for path in store.root.glob("*/record.json")]


def test_a_sweep_survives_the_death_of_its_workers_and_drivers(tmp_path):
    line = ["model=rnn,cnn", "seed=0,1", *SMALL, "trainer.checkpoint_seconds=0"]
    quiet, fire = tmp_path / "quiet" / "results", tmp_path / "fire" / "results"
    quiet.parent.mkdir()
    fire.parent.mkdir()
    assert start(line, quiet).wait(timeout=300) == 0
    under_fire(line, fire, kills=4, seed=0)
    assert results_of(fire) == results_of(quiet)
    assert len(results_of(fire)) == 4
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
    run, workplace = configured(*SCHEDULED)
    execute(run, workplace.model_copy(update={"results_dir": workplace.results_dir / "undisturbed"}))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "profile.npz")

    monkeypatch.setattr("gradreach.records.np.savez_compressed", full)
    with pytest.raises(OSError, match="No space left") as raised:
        execute(run, workplace)
    monkeypatch.undo()
    assert explain(raised.value).startswith("profile.npz: No space left on device; make room or choose another")
    store = RecordStore(workplace.results_dir / "runs")
    assert store.status(run.run_id) == "interrupted"
    assert not list(workplace.results_dir.glob("**/*.tmp"))
    execute(run, workplace)
    assert results_of(workplace.results_dir) == results_of(workplace.results_dir / "undisturbed")
    assert leftovers(workplace.results_dir) == []
