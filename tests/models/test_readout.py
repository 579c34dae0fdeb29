"""Readouts, embeddings, and the head."""

import math
from typing import Literal

import pytest
import torch
import torch.nn.functional as F

from gradreach.errors import ConfigError
from gradreach.models import GRU, LSTM, RNN, Identity, SequenceModel, build, caveat, make_embedding
from gradreach.models.embedding import BUCKETS, HASH_FACTOR, TokenEmbedding
from gradreach.models.readout import Attention, EachStep, Flatten, Last, Max, Mean
from gradreach.tasks import Shape

STATES = torch.tensor([[[1.0, -5.0], [3.0, -1.0], [2.0, -4.0]], [[7.0, -2.0], [9.0, 9.0], [9.0, 9.0]]])
LENGTHS = torch.tensor([3, 1])


def test_readouts_by_hand() -> None:
    assert Last(2)(STATES, LENGTHS).tolist() == [[2.0, -4.0], [7.0, -2.0]]
    assert Max(2)(STATES, LENGTHS).tolist() == [[3.0, -1.0], [7.0, -2.0]]
    torch.testing.assert_close(Mean(2)(STATES, LENGTHS), torch.tensor([[2.0, -10 / 3], [7.0, -2.0]]))
    assert Flatten(2, 3)(STATES, None).tolist()[0] == [1, -5, 3, -1, 2, -4]
    assert EachStep(2)(STATES, LENGTHS)[1].tolist() == [[7.0, -2.0], [0, 0], [0, 0]]


def test_attention_is_its_formula() -> None:
    torch.manual_seed(0)
    readout = Attention(2)
    scores = torch.tanh(STATES @ readout.hidden.weight.T + readout.hidden.bias) @ readout.score.weight[0]
    a = torch.exp(scores[0]) / torch.exp(scores[0]).sum()
    read = readout(STATES, LENGTHS)
    torch.testing.assert_close(read[0], (a.unsqueeze(1) * STATES[0]).sum(0))
    torch.testing.assert_close(read[1], STATES[1, 0])
    torch.testing.assert_close(readout(STATES[:1], None), read[:1])


def test_acceptor_encoder_and_transducer_are_three_readouts_of_one_recurrence() -> None:
    torch.manual_seed(0)
    recurrence, x = RNN(2, width=4), torch.randn(3, 7, 2)
    states = recurrence(x, None)[0]
    read = {"last": states[:, -1], "mean": states.mean(1), "each_step": states}
    for readout, seen in read.items():
        model = SequenceModel(recurrence, readout, 5)
        torch.testing.assert_close(model(x), seen @ model.head.weight.T + model.head.bias)
    assert SequenceModel(recurrence, "each_step", 5)(x).shape == (3, 7, 5)


@pytest.mark.parametrize("readout", ["last", "mean", "max", "attention"])
def test_sequences_of_any_length_become_vectors_of_one_size(readout: str) -> None:
    model = SequenceModel(RNN(2, width=4), readout, 5)
    for length in (1, 2, 30):
        assert model.readout(*model.encoder(torch.randn(3, length, 2), None)).shape == (3, 4)


@pytest.mark.parametrize("readout", ["last", "mean", "max", "attention"])
def test_without_lengths_all_steps_are_valid(readout: str) -> None:
    model = SequenceModel(Identity(2), readout, 3)
    torch.testing.assert_close(model(STATES), model(STATES, torch.tensor([3, 3])))


@pytest.mark.parametrize("readout", ["last", "mean", "max", "attention", "each_step"])
def test_a_batch_of_empty_sequences_has_finite_gradients(readout: str) -> None:
    model = SequenceModel(GRU(2), readout, 3)
    x = STATES.clone().requires_grad_()
    model(x, torch.tensor([0, 0])).square().sum().backward()
    assert x.grad is not None
    assert not x.grad.any()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_padding_tokens_are_the_zero_vector_and_learn_nothing() -> None:
    embedding = make_embedding(1, 10, 4)
    ids = torch.tensor([[3, 4, 0]])
    embedded = embedding(ids)
    assert embedded.shape == (1, 3, 4)
    assert not embedded[0, 2].any()
    embedded.sum().backward()
    assert isinstance(embedding, TokenEmbedding)
    touched = embedding.vectors.weight.grad.abs().sum(1).nonzero().flatten()
    assert touched.tolist() == [3, 4]


def test_vectors_of_tokens_start_as_large_as_the_task_says() -> None:
    def start(**more: float) -> torch.Tensor:
        torch.manual_seed(0)
        shape = Shape(channels=1, length=4, outputs=2, vocabulary=500, variable_length=True, **more)  # type: ignore[arg-type]
        return build(Identity, {}, shape, readout="mean").embedding.vectors.weight

    torch.testing.assert_close(start(vector_std=0.1), 0.1 * start())
    assert start()[1:].std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("kind", ["trainable", "frozen"])
def test_tokens_start_from_pretrained_vectors_of_the_task(kind: Literal["trainable", "frozen"]) -> None:
    vectors = torch.arange(15.0).view(5, 3) + 1
    shape = Shape(channels=1, length=4, outputs=2, vocabulary=5, variable_length=True, vectors=vectors)
    model = build(Identity, {}, shape, readout="mean", embedding=kind)
    assert model.embedding(torch.tensor([[4, 1]]))[0].tolist() == [[13, 14, 15], [4, 5, 6]]
    assert not model.embedding(torch.tensor([[0]])).any()
    assert model.parameter_count == 3 * 2 + 2 + (15 if kind == "trainable" else 0)
    model(torch.tensor([[4, 1, 0, 0]]), torch.tensor([2])).sum().backward()
    moved = model.embedding.vectors.weight.grad
    assert moved is None if kind == "frozen" else moved.abs().sum(1).nonzero().flatten().tolist() == [1, 4]
    assert vectors[0].tolist() == [1, 2, 3]


def test_a_model_with_pretrained_vectors_can_be_made_without_memory() -> None:
    shape = Shape(channels=1, length=4, outputs=2, vocabulary=5, vectors=torch.ones(5, 3))
    with torch.device("meta"):
        model = build(GRU, {"width": 1}, shape, readout="last", match_params=1_000, embedding_size=3)
    assert model.embedding.vectors.weight.shape == (5, 3)
    with pytest.raises(ConfigError, match=r"embedding_size=4: .* have size 3; choose that size or null"):
        build(GRU, {}, shape, readout="last", embedding_size=4)


def test_an_ngram_has_a_vector_of_its_own_wherever_it_stands() -> None:
    embedding = TokenEmbedding(10, 4, ngrams=3)
    ids = torch.tensor([[3, 4, 5, 0], [7, 3, 4, 5], [4, 3, 5, 5]])
    of_runs = embedding(ids) - embedding.vectors(ids)
    assert not of_runs[:, 0].any(), "nothing ends at the first token but itself"
    assert not of_runs[0, 3].any(), "padding ends no run"
    pair, triple = (vectors.weight for vectors in embedding.ngrams.vectors)
    torch.testing.assert_close(of_runs[0, 1], of_runs[1, 2] - _run(triple, 7, 3, 4))
    torch.testing.assert_close(of_runs[0, 1], _run(pair, 3, 4))
    torch.testing.assert_close(of_runs[0, 2], _run(pair, 4, 5) + _run(triple, 3, 4, 5))
    assert not torch.equal(of_runs[2, 1], of_runs[0, 1]), "the order counts"
    assert torch.equal(embedding(ids.int()), embedding(ids))


def test_the_hash_of_large_ids_wraps_at_64_bits() -> None:
    embedding = TokenEmbedding(30_000, 4, ngrams=3)
    ids = torch.tensor([[29_999, 20_000, 10_000]])
    (_, triple), of_runs = embedding.ngrams.vectors, embedding(ids) - embedding.vectors(ids)
    assert 10_000 * HASH_FACTOR**2 > 2**63
    pair = embedding.ngrams.vectors[0].weight
    expected = _run(pair, 20_000, 10_000) + _run(triple.weight, 29_999, 20_000, 10_000)
    torch.testing.assert_close(of_runs[0, 2], expected)


def _run(weight: torch.Tensor, *ids: int) -> torch.Tensor:
    """Look up a run by Python's whole numbers, the last token first, as an int64 that wraps would hold them."""
    hashed = ids[-1]
    for token in reversed(ids[:-1]):
        hashed = hashed * HASH_FACTOR + token
    wrapped = (hashed + 2**63) % 2**64 - 2**63
    return weight[1 + wrapped % BUCKETS]


def test_ngrams_change_nothing_before_the_first_step_of_training_but_what_they_add() -> None:
    def made(ngrams: int) -> TokenEmbedding:
        torch.manual_seed(0)
        return TokenEmbedding(10, 4, std=0.1, ngrams=ngrams)

    assert torch.equal(made(1).vectors.weight, made(2).vectors.weight)
    (pairs,) = made(2).ngrams.vectors
    assert pairs.weight.std().item() == pytest.approx(0.1, rel=0.01)


def test_ngrams_learn_with_frozen_tokens_and_padding_changes_nothing() -> None:
    shape = Shape(channels=1, length=5, outputs=2, vocabulary=9, variable_length=True)
    model = build(Identity, {}, shape, readout="mean", embedding="frozen", embedding_size=3, embedding_ngrams=2)
    ids = torch.tensor([[4, 1, 4, 1]])
    padded = F.pad(ids, (0, 1))
    assert torch.equal(model(ids, torch.tensor([4])), model(padded, torch.tensor([4])))
    model(ids, torch.tensor([4])).sum().backward()
    assert model.embedding.vectors.weight.grad is None
    assert int(model.embedding.ngrams.vectors[0].weight.grad.any(1).sum()) == 2, "4 1 and 1 4"


def test_what_stands_at_a_step_tells_of_the_tokens_before_it() -> None:
    shape = Shape(channels=1, length=6, outputs=2, vocabulary=9)
    model = build(Identity, {}, shape, readout="last", embedding_ngrams=3)
    assert model.receptive_field == 3
    assert list(model.seen_by_last(6)) == [3, 4, 5]
    assert "sees 3 of 6 steps, steps 4 to 6" in str(caveat(model, shape))


def test_series_are_projected_or_left_as_they_are() -> None:
    assert make_embedding(3, None, None)(STATES) is STATES
    assert make_embedding(2, None, 7)(STATES).shape == (2, 3, 7)
    with pytest.raises(ConfigError, match="no tokens"):
        make_embedding(2, None, 7, "frozen")
    with pytest.raises(ConfigError, match=r"embedding_ngrams=2: .* no tokens"):
        make_embedding(2, None, 7, ngrams=2)


def test_what_excludes_each_other_or_does_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="forget_bias"):
        LSTM(4, forget_bias=1.0, chrono=100)
    with pytest.raises(ConfigError, match="layers"):
        LSTM(4, dropout=0.5)


def test_dropout_and_max_norm_of_the_head_are_those_that_were_asked_for() -> None:
    shape = Shape(channels=1000, length=1, outputs=1)
    model = build(Identity, {}, shape, readout="mean", head_dropout=0.8, head_max_norm=0.5)
    torch.nn.init.constant_(model.head.weight, 1.0)
    torch.nn.init.zeros_(model.head.bias)
    x = torch.ones(1, 1, 1000)
    whole = 1000 * 0.5 / math.sqrt(1000)  # the norm shared by all weights
    assert math.isclose(model.eval()(x).item(), whole, rel_tol=1e-4)
    torch.manual_seed(0)
    kept = [model.train()(x).item() / (whole / 1000 / 0.2) for _ in range(50)]  # what is left is scaled up
    assert all(math.isclose(count, round(count), rel_tol=1e-3) for count in kept)
    assert 195 < sum(kept) / 50 < 205
    assert 8 < torch.tensor(kept).std() < 18  # of a binomial distribution: √(1000 · 0.2 · 0.8) = 12.6


def test_max_norm_scales_down_and_never_up() -> None:
    model = SequenceModel(Identity(2), "mean", 1, max_norm=1.0)
    with torch.no_grad():
        model.head.bias.zero_()
        model.head.weight.copy_(torch.tensor([[3.0, 4.0]]))
    x = torch.ones(1, 1, 2)
    assert math.isclose(model(x).item(), 7 / 5, rel_tol=1e-5)
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor([[0.3, 0.4]]))
    assert math.isclose(model(x).item(), 0.7, rel_tol=1e-6)
