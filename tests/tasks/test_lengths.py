"""Sequences of one length at a time: uniform over the range, reproducible, and right by the rule of their task."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from gradreach.assemble import check
from gradreach.config import RunConfig
from gradreach.errors import ConfigError
from gradreach.models import Encoder, build
from gradreach.tasks import (
    IGNORED,
    MQAR,
    Adding,
    Copy,
    CycleNavigation,
    EvenPairs,
    ModularArithmetic,
    Motif,
    Parity,
    Position,
    Recall,
    SelectiveCopy,
    TemporalOrder,
    Warping,
)

NOWHERE = Path("there is no such folder")
RECALL = ["task=recall", "seq_len=20", "task.train_lengths=[2,20]", "task.test_lengths=[20,40]"]
TASKS = [
    Adding(seq_len=30, train_lengths=[10, 30]),
    Copy(seq_len=30, symbols=3, train_lengths=[10, 30]),
    Motif(seq_len=30, train_lengths=[10, 30]),
    Parity(seq_len=30, train_lengths=[10, 30]),
    Position(seq_len=30, train_lengths=[16, 30]),
    Recall(seq_len=30, train_lengths=[10, 30]),
    TemporalOrder(seq_len=30, train_lengths=[10, 30]),
    CycleNavigation(seq_len=30, train_lengths=[10, 30]),
    EvenPairs(seq_len=30, train_lengths=[10, 30]),
    ModularArithmetic(seq_len=30, train_lengths=[10, 30]),
    MQAR(seq_len=30, train_lengths=[16, 30]),
    Parity(seq_len=30, per_step=True, train_lengths=[10, 30]),
    SelectiveCopy(seq_len=30, symbols=3, train_lengths=[10, 30]),
    Warping(seq_len=30, max_warp=4, warp="variable", train_lengths=[10, 30]),
]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)


def same(a, b):
    return a.x.shape == b.x.shape and torch.equal(a.x, b.x) and torch.equal(a.target, b.target)


def test_lengths_of_batches_are_uniform_over_the_range():
    task = Parity(seq_len=12, train_lengths=[3, 12])
    drawn = Counter(task.training_batch(0, number, 1).x.shape[1] for number in range(2000))
    assert set(drawn) == set(range(3, 13))
    assert chisquare(list(drawn.values())).pvalue > 0.001


@every_task
def test_a_batch_follows_from_data_seed_epoch_and_number_alone(task):
    again = type(task)(**task.settings())
    other = type(task)(**task.settings() | {"data_seed": 1})
    for epoch, number in ((0, 0), (3, 7)):
        batch = task.training_batch(epoch, number, 16)
        assert batch.lengths is None
        assert same(batch, again.training_batch(epoch, number, 16))
        assert not same(batch, task.training_batch(epoch + 1, number, 16))
        assert not same(batch, task.training_batch(epoch, number + 1, 16))
        assert not same(batch, other.training_batch(epoch, number, 16))


def test_what_is_tested_and_probed_at_a_length_follows_from_the_data_seed():
    task, again, other = (Recall(seq_len=30, test_lengths=[60], data_seed=seed) for seed in (0, 0, 1))
    for draw in (lambda each: each.test_block(60, 1), lambda each: each.probe(60, 16)):
        assert same(draw(task), draw(again))
        assert not same(draw(task), draw(other))


def test_what_is_learned_from_validated_on_tested_and_probed_are_other_draws():
    task = Recall(
        seq_len=30, train_lengths=[29, 30], test_lengths=[30], train_size=64, validation_size=64, test_size=64
    )
    splits = task.splits(NOWHERE)
    several = [task.training_batch(0, n, 64).x for n in range(4)] + [part.x for part in splits]
    several += [task.test_block(30, 0).x, task.probe(30, 64).x]
    rows = [row[:29].argmax(-1).tolist() for x in several for row in x]
    assert len({tuple(row) for row in rows}) == len(rows)


@every_task
def test_validation_and_test_have_the_lengths_of_the_range_and_nothing_beyond_an_end(task):
    low, high = task.train_lengths
    for part in task.splits(NOWHERE)[1:]:
        found = part.lengths.tolist()
        assert found == sorted(found)
        assert (found[0], found[-1], part.x.shape[1]) == (low, high, high)
        assert len(set(Counter(found).values())) <= 2
        beyond = torch.arange(high) >= part.lengths[:, None]
        assert not part.x[beyond].any()
        assert part.target.dim() == 1 or bool((part.target[beyond] == IGNORED).all())


@every_task
def test_a_task_at_another_length_has_examples_of_it(task):
    batch = task.at(77).examples(np.random.default_rng(0), 5, "test")
    assert batch.x.shape[:2] == (5, 77)
    assert batch.x.is_floating_point() or batch.x.dtype == torch.int64
    assert task.at(77).shape.length == 77
    assert task.seq_len == 30


def test_the_test_at_a_length_is_drawn_in_blocks_that_do_not_grow_with_it():
    task = Recall(seq_len=20, test_lengths=[40, 100_000], test_size=2000)
    assert task.test_blocks(40) == [1000, 1000]
    assert set(task.test_blocks(100_000)) == {5}
    assert sum(task.test_blocks(100_000)) == 2000
    assert not same(task.test_block(40, 0), task.test_block(40, 1))


def test_parity_of_short_sequences_may_repeat_inputs_where_lengths_are_drawn():
    assert Parity(seq_len=8, train_lengths=[1, 8]).training_batch(0, 0, 64).x.shape[0] == 64
    with pytest.raises(ConfigError, match="has only 256 different inputs"):
        Parity(seq_len=8)


def test_lengths_are_part_of_the_identity_only_where_they_are_set(configured):
    before, drawn = configured("task=recall", "seq_len=20")[0], configured(*RECALL)[0]
    assert not {"train_lengths", "test_lengths"} & set(before.canonical()["task"])
    assert drawn.canonical()["task"]["train_lengths"] == [2, 20]
    assert len({before.run_id, drawn.run_id, configured(*RECALL[:-1])[0].run_id}) == 3
    assert RunConfig.model_validate(drawn.canonical()).run_id == drawn.run_id


REFUSED = {
    "task.train_lengths=[2,20] seq_len=30": r"seq_len=30: task.train_lengths=\[2,20\] says .* 20 steps; set seq_len=20",
    "task.train_lengths=[20,2] seq_len=20": r"task.train_lengths=\[20, ?2\]: must be \[shortest, longest\]",
    "task.train_lengths=[2] seq_len=20": "task.train_lengths=.*: must .*at least 2 items",
    "task.test_lengths=[40,20]": r"task.test_lengths=\[40, ?20\]: must ascend; write \[20,40\]",
    "task.test_lengths=[]": "task.test_lengths=.*: must .*at least 1 item",
    "task.test_lengths=[0,20]": "task.test_lengths.*greater than or equal to 1",
    "task.symbols=3 task.values=2 task.test_lengths=[2]": r"task.test_lengths=\[2\]: with 2 steps Recall needs",
    "task.test_lengths=[40] model.readout=flatten": "model.readout=flatten: .* sequences of several lengths",
    "task.test_lengths=[40] model=mlp": "model: MLP has weights for every step, but this task has sequences of several",
    "task.test_lengths=[40] model=locally_connected kernel_size=3": "model: LocallyConnected has weights for every",
    "task.train_lengths=[2,64] model=cnn kernel_size=3 model.padding=none": "model: CNN would give no state for",
    "task.test_lengths=[1000000] model=transformer": r"task.test_lengths=1000000: its 2,000 examples take \de",
    "task.test_lengths=[40,30000] model=transformer task.test_size=9": "task.test_lengths=30000: the gradient through",
    "task.train_lengths=[2,64] trainer.overfit_batches=2": "trainer.overfit_batches=2: repeats the same batches",
}


@pytest.mark.parametrize("line", REFUSED)
def test_lengths_that_cannot_be_are_refused_in_one_line(configured, line):
    with pytest.raises(ConfigError, match=f"^{REFUSED[line]}") as refused:
        check(*configured("task=recall", *line.split()))
    assert "\n" not in str(refused.value)


def test_a_task_whose_examples_are_given_has_no_such_setting(run_py):
    done = run_py("task=digits", "task.train_lengths=[2,64]", "tracking=off")
    assert done.returncode == 2
    assert done.stderr.startswith("gradreach: task.train_lengths: there is no such setting")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("model", ["lstm", "gru", "tcn", "transformer", "s4d", "lru", "mingru"])
def test_models_that_share_their_weights_over_steps_take_any_length(configured, model):
    task, _ = check(*configured(*RECALL, f"model={model}"))
    assert task.shape.lengths == (2, 40)


class Learned(Encoder):
    """An encoder with a vector for each of 30 positions."""

    causal, receptive_field, d_out = True, None, 4

    def __init__(self, d_in: int, *, width: int = 4) -> None:
        super().__init__()
        self.positions = torch.nn.Parameter(torch.zeros(30, width))

    def check_length(self, length: int) -> None:
        if length > 30:
            raise ConfigError("model.position", "learned", "has no vector beyond 30 steps", "choose shorter ones")

    def multiply_adds(self, length: int) -> int:
        return 0

    def forward(self, x, lengths):
        return self.positions[: x.shape[1]].expand(len(x), -1, -1), lengths


def test_positions_that_are_not_defined_beyond_training_are_refused_in_one_line():
    task = Recall(seq_len=20, test_lengths=[30])
    task.prepare(NOWHERE)
    build(Learned, {}, task.shape, readout="last")
    longer = Recall(seq_len=20, test_lengths=[30, 31])
    longer.prepare(NOWHERE)
    with pytest.raises(ConfigError) as refused:
        build(Learned, {}, longer.shape, readout="last")
    why = "Learned: model.position=learned: has no vector beyond 30 steps"
    assert str(refused.value) == f"task.test_lengths=31: {why}; choose shorter ones"
