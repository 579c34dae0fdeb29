import math

import numpy as np
import pandas as pd
import pytest
import torch

from gradreach.records import RecordStore
from gradreach.runner import execute
from gradreach.tasks import Batches, Digits
from gradreach.training import BestWeights, Diverged, Divergence
from project import SMALL


@pytest.fixture
def do(configured):
    def call(*overrides, tell=lambda row: None):
        run, environment = configured(*SMALL, *overrides)
        return execute(run, environment, tell), RecordStore(environment.results_dir / "runs")

    return call


def test_a_run_leaves_a_whole_record(do):
    rows = []
    record, store = do("model=gru", tell=rows.append)
    stored = store.read(record["run_id"])
    assert stored["status"] == "finished"
    assert stored["config"]["model"]["width"] == 4
    assert set(stored["metrics"]) >= {"val/loss", "val/accuracy", "test/loss", "test/accuracy", "train/loss"}
    assert set(stored["metrics"]) >= {f"gradient/{s}/{q}.reach" for s in ("start", "end") for q in ("x", "h")}
    assert stored["parameters"] == 3 * (4 + 16 + 8) + 4 * 10 + 10
    assert stored["chance"] == pytest.approx(0.1, abs=0.01)
    assert stored["steps"] == 2 * math.ceil(1078 / 64)
    assert stored["versions"]["torch"]
    assert [row["epoch"] for row in rows] == [1, 2]
    history = pd.read_csv(store.folder(record["run_id"]) / "history.csv")
    assert history["val/loss"].tolist() == [row["val/loss"] for row in rows]
    profile = store.read_profile(record["run_id"])
    assert set(profile["stage"]) == {"start", "end"}
    assert set(profile["quantity"]) == {"x", "h"}
    assert profile["lag"].max() == 63


def test_the_same_seed_twice_is_bit_for_bit_the_same_and_another_is_not(do):
    first, store = do("model=lstm")
    profile = store.read_profile(first["run_id"])
    again, _ = do("model=lstm", "force=true")
    assert again["started"] is not first["started"]
    assert again["metrics"] == first["metrics"]
    for name, values in store.read_profile(first["run_id"]).items():
        np.testing.assert_array_equal(values, profile[name])
    assert do("model=lstm", "seed=1")[0]["metrics"] != first["metrics"]


@pytest.mark.parametrize("model", ["rnn", "cnn"])
def test_diagnostics_disturb_nothing(do, model):
    on, _ = do(f"model={model}")
    off, _ = do(f"model={model}", "diagnostics=off")
    assert on["run_id"] != off["run_id"]
    trained = {key: value for key, value in on["metrics"].items() if not key.startswith("gradient/")}
    assert trained == off["metrics"]


def test_a_finished_run_is_not_done_again(do):
    first, store = do("model=rnn")
    written = (store.folder(first["run_id"]) / "record.json").stat().st_mtime_ns
    assert do("model=rnn")[0] == store.read(first["run_id"])
    assert (store.folder(first["run_id"]) / "record.json").stat().st_mtime_ns == written


def test_a_run_that_raises_is_a_failed_record_and_is_tried_again(do, monkeypatch):
    monkeypatch.setattr(Digits, "splits", lambda self, data_dir: 1 / 0)
    record, store = do("model=rnn")
    assert record["status"] == store.read(record["run_id"])["status"] == "failed"
    assert record["error"] == "ZeroDivisionError: division by zero"
    assert "splits" in record["traceback"]
    monkeypatch.undo()
    assert do("model=rnn")[0]["status"] == "finished"


def test_retry_none_leaves_a_failed_run_unless_it_is_forced(do, monkeypatch):
    monkeypatch.setattr(Digits, "splits", lambda self, data_dir: 1 / 0)
    record, store = do("model=rnn")
    monkeypatch.undo()
    assert do("model=rnn", "retry=none")[0] == store.read(record["run_id"])
    assert store.status(record["run_id"]) == "failed"
    assert do("model=rnn", "retry=none", "force=true")[0]["status"] == "finished"


def test_a_loss_that_is_no_longer_finite_is_a_diverged_record(do):
    record, store = do(
        "model=rnn", "model.nonlinearity=relu", "optimizer.name=sgd", "optimizer.lr=1e30", "trainer.clip_norm=null"
    )
    assert record["status"] == "diverged"
    assert "training loss is" in record["error"]
    assert "test/accuracy" not in record["metrics"]
    assert store.settled(record["run_id"])


def test_the_epoch_is_chosen_on_validation_and_ties_by_loss():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Linear(1, 1)
            self.task = Digits()

    class Trainer:
        current_epoch = global_step = 0

    best, module, trainer = BestWeights(), Module(), Trainer()
    for epoch, (accuracy, loss) in enumerate([(0.5, 1.0), (0.9, 0.7), (0.9, 0.5), (0.9, 0.6), (0.8, 0.1)]):
        trainer.current_epoch = epoch
        torch.nn.init.constant_(module.model.weight, epoch)
        module.figures = {"train/loss": 1.0, "val/accuracy": accuracy, "val/loss": loss}
        best.on_train_epoch_end(trainer, module)
    assert best.row["epoch"] == 3
    assert best.weights["weight"].item() == 2
    module.figures = {"train/loss": math.nan, "val/accuracy": 1.0, "val/loss": 0.0}
    with pytest.raises(Diverged):
        Divergence().on_train_epoch_end(trainer, module)


def test_splits_share_no_example_and_depend_on_the_data_seed_alone(tmp_path):
    splits = Digits().splits(tmp_path)
    rows = [{tuple(example.flatten().tolist()) for example in split.x} for split in splits]
    assert [len(split) for split in splits] == [1078, 360, 359]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 1797
    torch.manual_seed(9)
    again, other = Digits().splits(tmp_path), Digits(data_seed=1).splits(tmp_path)
    assert torch.equal(again.test.x, splits.test.x)
    assert not torch.equal(other.test.x, splits.test.x)
    for split in splits:
        share = torch.bincount(split.target) / len(split)
        assert (share - 0.1).abs().max() < 0.01


def test_silence_follows_the_digit(tmp_path):
    long, short = Digits(seq_len=100).splits(tmp_path).train, Digits().splits(tmp_path).train
    assert torch.equal(long.x[:, :64], short.x)
    assert not long.x[:, 64:].any()
    assert 0 <= short.x.min() < short.x.max() == 1


def test_every_epoch_shows_every_example_once_in_its_own_order(tmp_path):
    examples = Digits().splits(tmp_path).validation
    batches = Batches(examples, 50, seed=3)
    orders = []
    for epoch in (0, 1, 0):
        batches.set_epoch(epoch)
        orders.append(torch.cat([batch.x for batch in batches]))
    assert len(batches) == 8
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(orders[0].flatten().sort().values, orders[1].flatten().sort().values)
