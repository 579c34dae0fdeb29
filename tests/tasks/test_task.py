"""Loss, score, batches and splits, whatever the task."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

from gradreach.models import RNN, KimCNN, build
from gradreach.tasks import IGNORED, Adding, Batch, Batches, Copy, Digits, Parity, Shape
from gradreach.tasks.splits import draw_some, grouped_split, keys_of

NOWHERE = Path("there is no such folder")


def test_the_loss_of_steps_is_the_mean_over_those_that_count():
    task = Copy(seq_len=30)
    logits = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.tensor(
        [[1, 2, 3, 4, 5, 6], [IGNORED] * 5 + [7], [IGNORED] * 6, [0, IGNORED, 0, IGNORED, 0, IGNORED]]
    )
    by_hand = [
        np.mean([-F.log_softmax(row[t], -1)[c].item() for t, c in enumerate(classes) if c != IGNORED] or [0])
        for row, classes in zip(logits, target.tolist(), strict=True)
    ]
    assert task.loss(logits, target).tolist() == pytest.approx(by_hand, abs=1e-12)
    answers = logits.argmax(-1).tolist()
    right = [
        np.mean([a == c for a, c in zip(row, classes, strict=True) if c != IGNORED] or [0])
        for row, classes in zip(answers, target.tolist(), strict=True)
    ]
    assert task.score(logits, target).tolist() == pytest.approx(right)


def test_steps_that_are_ignored_give_no_gradient():
    logits = torch.zeros(1, 3, 8, requires_grad=True)
    Copy(seq_len=30).loss(logits, torch.tensor([[IGNORED, 2, IGNORED]])).sum().backward()
    assert logits.grad.abs().sum(-1).squeeze().tolist() == pytest.approx([0, 2 * 7 / 8, 0])


def test_the_error_of_a_value_is_squared():
    task = Adding()
    assert task.metric == "mse"
    assert task.loss(torch.tensor([[1.0], [3.0]]), torch.tensor([1.5, 1.0])).tolist() == [0.25, 4]
    assert task.score(torch.tensor([[1.0], [3.0]]), torch.tensor([1.5, 1.0])).tolist() == [0.25, 4]


def padded(n=200, length=40):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, length + 1, (n,), generator=generator)
    x = torch.arange(1, n + 1).unsqueeze(1).expand(n, length).clone()
    x[torch.arange(length) >= lengths.unsqueeze(1)] = 0
    return Batch(x, lengths, torch.arange(n))


def test_buckets_give_every_example_once_and_cut_nothing_but_padding():
    examples = padded()
    batches = Batches(examples, 16, seed=3, shortest=1)
    given = list(batches)
    assert len(given) == len(batches)
    assert torch.cat([b.target for b in given]).sort().values.tolist() == list(range(200))
    for batch in given:
        whole = examples.take(batch.target)
        assert torch.equal(whole.x[:, : batch.x.shape[1]], batch.x)
        assert not whole.x[:, batch.x.shape[1] :].any()
    assert sum(b.x.numel() for b in given) < 0.7 * examples.x.numel()


def test_the_order_of_buckets_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        batches = Batches(padded(), 16, seed=seed, shortest=1)
        batches.epoch = epoch
        return torch.cat([batch.target for batch in batches]).tolist()

    torch.manual_seed(0)
    first = order(0, 0)
    torch.manual_seed(1)
    assert order(0, 0) == first
    assert order(0, 1) != first
    assert order(1, 0) != first


def test_who_shares_a_batch_changes_even_where_all_lengths_differ():
    def together(epoch):
        batches = Batches(Batch(torch.zeros(200, 200), torch.arange(200), torch.arange(200)), 2, seed=0, shortest=1)
        batches.epoch = epoch
        return {frozenset(batch.target.tolist()) for batch in batches}

    assert together(0) != together(1)


@pytest.mark.parametrize(("kind", "readout"), [(RNN, "last"), (KimCNN, "max")])
def test_a_cut_batch_is_answered_as_an_uncut_one(kind, readout):
    torch.manual_seed(0)
    shape = Shape(channels=1, length=40, outputs=3, vocabulary=201, variable_length=True)
    model = build(kind, {}, shape, readout=readout).double().eval()
    for batch in Batches(padded(), 16, seed=0, shortest=1):
        whole = padded().take(batch.target)
        assert (model(batch.x, batch.lengths) - model(whole.x, whole.lengths)).abs().max() < 1e-12


def test_a_cut_batch_keeps_the_steps_that_a_model_needs():
    batch = Batch(torch.zeros(2, 40), torch.tensor([3, 0]), torch.zeros(2, 40))
    assert batch.cut().x.shape == (2, 8)
    assert batch.cut().target.shape == (2, 8)
    assert batch.cut(11).x.shape == (2, 11)
    assert batch.cut(100).x.shape == (2, 40)
    assert Batch(torch.zeros(2, 40), torch.tensor([0, 0]), torch.zeros(2)).cut().x.shape == (2, 1)
    assert all(b.x.shape[1] == 40 for b in Batches(batch, 1, seed=0))


def test_unpadded_sequences_are_only_shuffled():
    examples = Batch(torch.arange(10).view(10, 1), None, torch.arange(10))
    order = torch.cat([b.target for b in Batches(examples, 3, seed=0, shortest=1)])
    expected = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(order, expected)


def test_equal_examples_never_stand_in_two_parts():
    generator = np.random.default_rng(0)
    labels, keys = generator.integers(3, size=1000), [str(i).encode() for i in generator.integers(300, size=1000)]
    parts = grouped_split(labels, keys, (0.6, 0.2, 0.2), seed=0)
    assert sorted(np.concatenate(parts)) == list(range(1000))
    contents = [{keys[i] for i in part} for part in parts]
    assert not contents[0] & contents[1]
    assert not contents[0] & contents[2]
    assert not contents[1] & contents[2]


def test_values_that_a_model_cannot_tell_apart_have_one_key():
    x = np.array([[0.0, 1.0], [-0.0, 1.0], [np.nan, 1.0], [-np.nan, 1.0], [0.5, 1.0]], dtype=np.float32)
    zero, minus_zero, missing, missing_too, half = keys_of(x)
    assert zero == minus_zero
    assert missing == missing_too
    assert len({zero, missing, half}) == 3
    assert len(set(keys_of(np.arange(12).reshape(4, 3)))) == 4


def test_every_part_has_its_share_of_every_class_and_the_seed_draws_it():
    labels = np.repeat([0, 1], [900, 100])
    keys = keys_of(np.arange(1000).reshape(-1, 1))
    parts = grouped_split(labels, keys, (0.7, 0.1, 0.2), seed=0)
    assert [len(part) for part in parts] == [700, 100, 200]
    assert [int(labels[part].sum()) for part in parts] == [70, 10, 20]
    again, other = (grouped_split(labels, keys, (0.7, 0.1, 0.2), seed=seed) for seed in (0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    assert not np.array_equal(np.sort(parts[2]), np.sort(other[2]))
    assert len(set(labels[parts[1]][:30].tolist())) == 2  # not sorted by class


def test_the_only_example_of_a_class_is_learned_from():
    learned_from, *_ = grouped_split(
        np.repeat([0, 1], [10, 1]), keys_of(np.arange(11).reshape(-1, 1)), (0.4, 0.3, 0.3), seed=0
    )
    assert 10 in learned_from


def test_some_examples_hold_every_class_and_fewer_are_the_beginning_of_more():
    labels = np.repeat([0, 1, 2], [500, 498, 2])
    few, more, everything = (draw_some(labels, size, seed=0) for size in (10, 100, None))
    assert set(labels[few]) == {0, 1, 2}
    assert few.tolist() == more[:10].tolist()
    assert len(set(more.tolist())) == 100
    assert everything.tolist() == list(range(1000))


def test_digits_are_split_in_every_class_and_end_in_silence():
    splits = Digits(seq_len=70).splits(NOWHERE)
    assert [len(split) for split in splits] == [1078, 360, 359]
    for split in splits:
        assert (torch.bincount(split.target).float() / len(split) - 0.1).abs().max() < 0.01
        assert not split.x[:, 64:].any()
        assert split.x.amax() == 1
    rows = torch.cat([split.x for split in splits]).flatten(1)
    assert len(rows.unique(dim=0)) == 1797
    assert not torch.equal(Digits(seq_len=70, data_seed=1).splits(NOWHERE).test.x, splits.test.x)


def test_equal_digits_stand_in_one_split(monkeypatch):
    twice = tuple(np.concatenate([part, part]) for part in load_digits(return_X_y=True))
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda **_: twice)
    assert [len(split.x.unique(dim=0)) for split in Digits().splits(NOWHERE)] == [1078, 360, 359]


def test_a_task_without_files_needs_no_preparation():
    task = Parity()
    assert task.prepare(NOWHERE) is None
    assert task.facts() == {}
