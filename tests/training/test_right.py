"""Which examples of the test a run gets right is kept in its record, in the order of the test."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from gradreach.assemble import assemble
from gradreach.batch import IGNORED
from gradreach.config import parse, plain
from gradreach.records import RecordStore
from gradreach.runner import execute

CONF = Path(__file__).parents[2] / "conf"
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric"),
    pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning"),
]
SMALL = ["task.train_size=128", "task.validation_size=64", "task.test_size=600", "trainer.epochs=2", "model.width=6"]


def done(folder, *overrides):
    """Do a run, and return it, its record and what is kept of its test."""
    line = ["tracking=off", f"results_dir={folder}", "diagnostics=off", "trainer.keep_weights=true", *SMALL, *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        run, environment = parse(plain(compose("config", line)))
    record = execute(run, environment)
    assert record["status"] == "finished", record.get("traceback")
    store = RecordStore(environment.results_dir / "runs")
    return run, environment, record, store.read_table(run.run_id, "examples").get("right")


SIGNAL = ["task=motif", "seq_len=30", "task.train_size=128", "trainer.epochs=2"]
TWO_STEPS = ["task=copy", "task.symbols=2", "task.values=60", "model.readout=each_step", "seq_len=6"]
TWO_STEPS += ["task.train_size=800", "trainer.epochs=8"]


@pytest.mark.parametrize("task", [SIGNAL, TWO_STEPS])
def test_right_is_what_the_weights_answer_right_in_the_order_of_the_test(task, tmp_path):
    run, environment, record, right = done(tmp_path, *task, "model=gru", "optimizer.lr=0.02")
    made, model = assemble(run, environment)
    model.load_state_dict(torch.load(RecordStore(tmp_path / "runs").weights(run.run_id), weights_only=True))
    test = made.splits(environment.data_dir).test
    with torch.no_grad():
        answers = model.eval()(test.x, test.lengths).argmax(-1)
    same = answers == test.target
    expected = same if same.dim() == 1 else (same | (test.target == IGNORED)).all(1)
    assert right.dtype == bool
    assert len(right) == 600  # more than a batch of the test
    assert np.array_equal(right, expected.numpy())
    assert 0 < right.mean() < 1
    if task != TWO_STEPS:
        assert right.mean() == pytest.approx(record["metrics"]["test/accuracy"])


def test_values_are_neither_right_nor_wrong(tmp_path):
    *_, record, right = done(
        tmp_path, "task=adding", "model=gru", "seq_len=20", "task.train_size=64", "trainer.epochs=1"
    )
    assert "test/mse" in record["metrics"]
    assert right is None
