"""The weights of the best epoch: kept whole or not at all, and loaded without running anything."""

import os

import pytest
import torch

import gradreach
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.runner import execute
from gradreach.weights import export_weights
from project import SMALL

KEEP = "trainer.keep_weights=true"


@pytest.fixture
def do(configured):
    def call(*overrides):
        run, environment = configured(*SMALL, *overrides)
        return execute(run, environment), run, environment

    return call


@pytest.mark.parametrize(
    "settings",
    [
        ["model=gru", "trainer.epochs=6", "optimizer.lr=0.3"],
        ["model=cnn", "task=motif", "seq_len=20"],
        ["model=lstm", "task=recall", "seq_len=12", "kernels=torch"],
        ["model=rnn", "task=adding", "seq_len=10", "task.train_size=256"],
    ],
    ids=" ".join,
)
def test_the_model_that_is_loaded_scores_what_the_record_says(do, settings):
    record, run, environment = do(KEEP, *settings)
    assert record["status"] == "finished"
    model, task, told = gradreach.load_run(run.run_id, environment.results_dir)
    assert told == RecordStore(environment.results_dir / "runs").read(run.run_id)
    assert not model.training
    test = task.splits(environment.data_dir).test
    with torch.no_grad():
        score = task.score(model(test.x, test.lengths), test.target).mean().item()
    assert score == pytest.approx(record["metrics"][f"test/{task.metric}"], rel=1e-4)


def test_keeping_changes_no_result_and_no_identity(do, configured):
    record, run, _ = do("model=gru", KEEP)
    without, other, environment = do("model=gru", "force=true")
    assert run.run_id == other.run_id
    assert without["metrics"] == record["metrics"]
    store = RecordStore(environment.results_dir / "runs")
    assert not store.weights(run.run_id).exists(), "those of another time"
    with pytest.raises(
        ConfigError, match=rf"^run={run.run_id}: kept no weights; .*force=true trainer.keep_weights=true"
    ):
        gradreach.load_run(run.run_id, environment.results_dir)


def test_who_asks_for_what_is_not_there_gets_one_line(do, tmp_path):
    _, run, environment = do("model=rnn", KEEP)
    results = environment.results_dir
    for name in ("0" * 16, "../runs", "", "."):
        with pytest.raises(ConfigError, match="no such run in"):
            export_weights(name, results, None)
    with pytest.raises(ConfigError, match=r"^--to=.*: cannot be written \(No such file or directory\)"):
        export_weights(run.run_id, results, tmp_path / "nowhere" / "here.pt")
    path = export_weights(run.run_id, results, None)
    assert export_weights(run.run_id, results, tmp_path / "copy.pt").read_bytes() == path.read_bytes()
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ConfigError, match="does not match the run's record"):
        gradreach.load_run(run.run_id, results)


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("it ran",)


def test_nothing_that_a_file_or_a_record_holds_is_run(do, tmp_path, monkeypatch):
    import hashlib

    monkeypatch.chdir(tmp_path)
    record, run, environment = do("model=rnn", KEEP)
    store = RecordStore(environment.results_dir / "runs")
    path = store.weights(run.run_id)
    torch.save({"model": Hostile()}, path)
    mine = {key: value for key, value in record.items() if key != "files"}
    store.write(mine | {"weights": hashlib.sha256(path.read_bytes()).hexdigest()})
    with pytest.raises(ConfigError, match="does not fit the model that this version builds for the run"):
        gradreach.load_run(run.run_id, environment.results_dir)
    config = record["config"] | {"task": {"_target_": "os.mkdir", "name": "digits", "path": "it ran"}}
    store.write(mine | {"weights": hashlib.sha256(path.read_bytes()).hexdigest(), "config": config})
    with pytest.raises(ConfigError, match=r"^task\._target_=os\.mkdir: must be a subclass of Task"):
        gradreach.load_run(run.run_id, environment.results_dir)
    assert not (tmp_path / "it ran").exists()


def test_a_name_that_the_package_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'load_walk'"):
        gradreach.load_walk  # noqa: B018
