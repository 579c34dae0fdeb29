"""The LSTM of 1997: its gradient against autograd, its problems against their text, its criterion against a count."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gradreach.published.computations import FUNCTIONS, first_lstm
from gradreach.published.computations.first_lstm import ADDING, BLOCKS, ORDER, SIZE, Criterion
from gradreach.published.computations.truncated_lstm import compiled, present

PROBLEMS = pytest.mark.parametrize("problem", [ADDING, ORDER], ids=["adding", "order"])


RANGES = pytest.mark.parametrize("ranges", [(2.0, 1.0), (1.0, 2.0)], ids=["paper", "swapped"])


def large_weights(problem, seed=0):
    """Weights of order one, at which the gradient of every one of them counts."""
    random = np.random.default_rng(seed)
    return [random.normal(0, 0.7, weights.shape) for weights in problem.weights(random)]


def by_autograd(hidden, readout, x, target, truncated, g_most, h_most):
    """Errors and gradients of half their square, by torch; truncated: nothing flows back through net inputs."""
    hidden, readout = (torch.tensor(each, requires_grad=True) for each in (hidden, readout))
    one, active, state = torch.ones(1), torch.zeros(len(hidden)), torch.zeros(BLOCKS * SIZE)
    for step in torch.from_numpy(x):
        net = hidden @ torch.cat([step, active.detach() if truncated else active, one])
        in_gates, out_gates, cells = net.split([BLOCKS, BLOCKS, BLOCKS * SIZE])
        entry, way_out = (gate.sigmoid().repeat_interleave(SIZE) for gate in (in_gates, out_gates))
        state = state + entry * g_most * (cells / 2).tanh()
        active = torch.cat([in_gates.sigmoid(), out_gates.sigmoid(), way_out * h_most * (state / 2).tanh()])
    error = torch.from_numpy(target) - (readout @ torch.cat([active[2 * BLOCKS :], one])).sigmoid()
    (error.square().sum() / 2).backward()
    return error.detach().numpy(), hidden.grad.numpy(), readout.grad.numpy()


@RANGES
@PROBLEMS
def test_a_step_is_the_truncated_gradient(problem, ranges):
    random = np.random.default_rng(1)
    x, target = random.normal(size=(12, problem.inputs)), random.uniform(size=problem.outputs)
    hidden, readout = large_weights(problem)
    expected = by_autograd(hidden, readout, x, target, True, *ranges)
    whole = by_autograd(hidden, readout, x, target, False, *ranges)
    before = [hidden.copy(), readout.copy()]
    errors = present(hidden, readout, x, target, 1.0, *ranges)
    found = [errors, before[0] - hidden, before[1] - readout]
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    assert np.abs(expected[1]).min() > 1e-8  # every weight has one
    assert np.abs(whole[1] - expected[1]).max() > 1e-4  # and the truncation counts


@RANGES
@PROBLEMS
def test_compiled_loops_do_what_the_plain_ones_do(problem, ranges):
    plain, fast = large_weights(problem), large_weights(problem)
    for x, target in [next(problem.sequences(np.random.default_rng(seed))) for seed in range(3)]:
        errors = present(*plain, x, target, 0.5, *ranges)
        np.testing.assert_allclose(compiled()(*fast, x, target, 0.5, *ranges), errors, atol=1e-12)
    for one, other in zip(plain, fast, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


@PROBLEMS
def test_a_test_changes_no_weight(problem):
    weights = large_weights(problem)
    present(*weights, *next(problem.sequences(np.random.default_rng(0))), 0.0, *problem.ranges)
    assert all(map(np.array_equal, weights, large_weights(problem)))


def test_numba_is_not_needed(monkeypatch, capsys):
    monkeypatch.setattr("gradreach.published.computations.truncated_lstm.installed", lambda: False)
    assert compiled.__wrapped__() is present
    assert "pip install numba" in capsys.readouterr().err


@pytest.mark.parametrize(("problem", "weights", "biases"), [(ADDING, 93, [-3, -6]), (ORDER, 156, [-2, -4])])
def test_the_networks_have_their_numbers_of_weights_and_begin_as_theirs(problem, weights, biases):
    hidden, readout = problem.weights(np.random.default_rng(0))
    assert hidden.size + readout.size == weights
    assert hidden[:BLOCKS, -1].tolist() == biases
    hidden[:BLOCKS, -1] = 0
    assert 0.09 < max(np.abs(hidden).max(), np.abs(readout).max()) <= 0.1


def test_sequences_of_the_adding_problem_are_those_of_section_5_4():
    x, lengths, targets = ADDING.draw(np.random.default_rng(0), 5000)
    assert set(lengths) == set(range(100, 111))
    firsts, seconds = set(), set()
    for sequence, length, (target,) in zip(x, lengths, targets, strict=True):
        values, marks = sequence[:length].T
        marked = np.flatnonzero(marks == 1)
        assert marks[0] == marks[-1] == -1
        assert set(marks[1:-1]) <= {0.0, 1.0}
        assert target == 0.5 + values[marked].sum() / 4
        if values[0] == 0:  # the first pair was marked
            marked = np.append(0, marked)
        assert len(marked) == 2
        firsts.add(marked[0])
        seconds.add(marked[1])
    assert firsts == set(range(10))  # "one of the first ten pairs"
    assert seconds == set(range(1, 50))  # "one of the first T/2 - 1 still unmarked pairs"
    assert -1 <= x[..., 0].min() < -0.999
    assert 0.999 < x[..., 0].max() <= 1


def test_sequences_of_temporal_order_are_those_of_task_6a():
    x, lengths, targets = ORDER.draw(np.random.default_rng(0), 5000)
    assert set(lengths) == set(range(100, 111))
    places = []
    for one_hot, length, target in zip(x, lengths, targets, strict=True):
        symbols = "".join("EBabcdXY"[i] for i in one_hot[:length].argmax(1))
        assert symbols[0] == "E"
        assert symbols[-1] == "B"
        at = [i for i, symbol in enumerate(symbols) if symbol in "XY"]
        assert len(at) == 2
        assert set(symbols[1:-1]) <= set("abcdXY")
        assert target.tolist() == [float(symbols[at[0]] + symbols[at[1]] == pair) for pair in ("XX", "XY", "YX", "YY")]
        places.append([i + 1 for i in at])
    first, second = zip(*places, strict=True)
    assert set(first) == set(range(10, 21))
    assert set(second) == set(range(50, 61))


def test_a_trial_ends_when_enough_in_a_row_were_right_and_their_average_error_is_small():
    criterion = Criterion(right=0.3, average=0.1, window=3)
    errors = [[0.0, 0.0], [0.0, -0.3], [0.1, 0.1], [0.2, 0.2], [0.0, -0.2], [0.0, 0.1], [0.0, 0.0]]
    #         right       wrong         right       right       right, too    right,      at last
    #                                                           large as yet  as yet
    assert [criterion.met(np.array(each)) for each in errors] == [False] * 5 + [False, True]
    assert criterion.in_a_row == 5


def trial_with_errors_of(error, monkeypatch, **criterion):
    """A trial of ten sequences at most whose errors are all alike; and the rates at which sequences were shown."""
    rates = []
    monkeypatch.setattr(
        first_lstm, "compiled", lambda: lambda h, r, x, t, rate, *ranges: rates.append(rate) or np.array([error])
    )
    found = first_lstm._trial(replace(ADDING, **criterion), seed=0, rate=0.5, most=10, window=4, tested=5)
    return {name: value for name, value in found.items() if not math.isnan(value)}, rates


def test_a_trial_counts_the_sequences_that_it_learned_from(monkeypatch):
    found, rates = trial_with_errors_of(-0.25, monkeypatch, right=0.3, average=0.3)
    assert found == {"sequences": 4, "all_right": 4, "wrong": 0, "error": 0.25}
    assert rates == [0.5] * 4 + [0.0] * 5


def test_a_trial_that_is_given_up_is_tested_and_has_no_number_of_sequences(monkeypatch):
    found, rates = trial_with_errors_of(-0.25, monkeypatch, right=0.3, average=0.2)
    assert found == {"all_right": 4, "wrong": 0, "error": 0.25}
    assert rates == [0.5] * 10 + [0.0] * 5
    found, _ = trial_with_errors_of(-0.25, monkeypatch, right=0.25, average=0.3)
    assert found == {"wrong": 5, "error": 0.25}


def test_by_squared_errors_a_trial_ends_earlier_and_its_test_is_the_same(monkeypatch):
    found, _ = trial_with_errors_of(-0.25, monkeypatch, right=0.25, average=0.07, power=2)
    assert found == {"sequences": 4, "all_right": 4, "wrong": 5, "error": 0.25}
    found, _ = trial_with_errors_of(-0.25, monkeypatch, right=0.25, average=0.06, power=2)
    assert found == {"all_right": 4, "wrong": 5, "error": 0.25}


def test_what_a_variant_changes_reaches_the_trial(monkeypatch):
    kinds = []
    monkeypatch.setattr(first_lstm, "_trial", lambda problem, *_: kinds.append((problem.power, problem.ranges)) or {})
    for told in ({}, {"squared": True}, {"swapped": True}):
        FUNCTIONS["first_lstm_adding"](0, **told)
    assert kinds == [(1, (2.0, 1.0)), (2, (2.0, 1.0)), (1, (1.0, 2.0))]


def test_criterion_test_and_rate_are_those_of_the_paper():
    assert (ADDING.right, ADDING.average, ORDER.right, ORDER.average) == (0.04, 0.01, 0.3, 0.1)
    assert first_lstm.MOST == 2_000_000
    for name in ("first_lstm_adding", "first_lstm_order"):
        given = inspect.signature(FUNCTIONS[name]).parameters
        assert [given[each].default for each in ("rate", "window", "tested")] == [0.5, 2000, 2560]


def test_weights_training_and_test_are_three_draws_of_each_seed(monkeypatch):
    seen = []

    def look(hidden, readout, x, target, rate, *ranges):
        seen.append((rate, hidden.tobytes(), x.tobytes()))
        return np.ones(1)

    monkeypatch.setattr(first_lstm, "compiled", lambda: look)
    for seed in (1, 2):
        first_lstm._trial(ADDING, seed, rate=0.5, most=5, window=4, tested=5)
    assert len({weights for _, weights, _ in seen}) == 2
    assert len({x for *_, x in seen}) == 20, "no sequence is trained on and tested, or shared by two seeds"


def test_a_trial_depends_on_its_seed_alone():
    one, again, other = (FUNCTIONS["first_lstm_order"](seed, most=20, window=30, tested=5) for seed in (1, 1, 2))
    assert one["error"] == again["error"] != other["error"]
