"""The gradient's horizon: against float64 steps written out, where the state is cut loose by hand."""

import copy

import pytest
import torch
from torch import nn

from gradreach.errors import ConfigError
from gradreach.kernels import accelerate
from gradreach.models import CNN, GRU, LSTM, RNN, IndRNN, SequenceModel

LENGTHS = torch.tensor([9, 4, 1, 7])


def by_hand(model, x, lengths, horizon):
    """Step through one sequence at a time, detaching the state where the horizon is."""
    answers = []
    cells = {nn.RNN: nn.RNNCell, nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell}
    for sequence, length in zip(x, lengths, strict=True):
        steps = list(sequence[:length])
        for layer in model.encoder.layers:
            kind = next(cells[base] for base in cells if isinstance(layer, base))
            cell = kind(layer.input_size, layer.hidden_size).double()
            weights = {name.removesuffix("_l0"): value for name, value in layer.named_parameters()}
            state = None
            above = []
            for t, step in enumerate(steps):
                if t == length - 1 - horizon and state is not None:
                    state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
                given = step[None] if t >= length - 1 - horizon else step[None].detach()
                state = torch.func.functional_call(cell, weights, (given, state))
                above.append((state[0] if isinstance(state, tuple) else state)[0])
            steps = [each if t >= length - 1 - horizon else each.detach() for t, each in enumerate(above)]
        answers.append(model.head(steps[-1]))
    return torch.stack(answers)


@pytest.mark.parametrize("horizon", [1, 3, 7, 8, 20])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("encoder", [RNN, LSTM, GRU])
@pytest.mark.parametrize("layers", [1, 2])
def test_gradients_are_those_of_states_cut_loose_by_hand(encoder, layers, lengths, horizon):
    torch.manual_seed(0)
    model = SequenceModel(encoder(3, width=5, layers=layers), "last", outputs=2).double()
    reference = copy.deepcopy(model)
    model.limit_gradient(horizon)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    found = model(x, lengths)
    expected = by_hand(reference, x, [9] * 4 if lengths is None else lengths.tolist(), horizon)
    assert torch.allclose(found, expected, atol=1e-12)
    weight = torch.randn_like(found)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    for (name, parameter), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.allclose(parameter.grad, other.grad, atol=1e-12), name


CUE = 5
"""The step at which a cue stands, from 0."""


@pytest.mark.parametrize("encoder", [RNN, LSTM, GRU])
@pytest.mark.parametrize("horizon", [18, 19, 20])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_cue_is_learned_from_up_to_the_horizon_and_not_a_step_beyond_it(encoder, horizon, beyond):
    """One column of the input weights hears the cue alone: their gradient is what is learned from it."""
    torch.manual_seed(0)
    model = SequenceModel(encoder(3, width=5), "last", outputs=2).double()
    reference = copy.deepcopy(model)
    model.limit_gradient(horizon)
    length = CUE + 1 + horizon + beyond  # so that the cue stands horizon + beyond steps before the last one
    x = torch.randn(4, length, 3, dtype=torch.float64)
    x[:, :, 0] = 0
    x[:, CUE, 0] = 1.0
    heard = []
    for each in (model, reference):
        each(x).square().sum().backward()
        heard.append(each.encoder.layers[0].weight_ih_l0.grad[:, 0])
    learned, whole = heard
    assert (whole != 0).all()
    assert torch.equal(learned, torch.zeros(len(learned))) if beyond > 0 else torch.allclose(learned, whole, rtol=1e-9)


def test_a_horizon_as_long_as_the_sequence_changes_nothing():
    torch.manual_seed(0)
    model = SequenceModel(LSTM(3, width=5), "last", outputs=2)
    x = torch.randn(4, 9, 3)
    whole = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    model.limit_gradient(8)
    assert all(map(torch.equal, torch.autograd.grad(model(x).sum(), list(model.parameters())), whole))


def test_in_evaluation_the_whole_gradient_is_there():
    model = SequenceModel(GRU(3, width=5), "last", outputs=2)
    model.limit_gradient(2)
    x = torch.randn(1, 9, 3, requires_grad=True)
    for mode, steps in ((True, 3), (False, 9)):
        (gradient,) = torch.autograd.grad(model.train(mode)(x).sum(), x)
        assert int((gradient.abs().sum(2) > 0).sum()) == steps


@pytest.mark.parametrize("encoder", [RNN, GRU])
def test_compiled_loops_give_the_same(encoder):
    torch.manual_seed(0)
    model = SequenceModel(encoder(3, width=32), "last", outputs=2)
    fast = copy.deepcopy(model)
    assert accelerate(fast)
    x = torch.randn(16, 60, 3)
    for each in (model, fast):
        each.limit_gradient(40)
        each(x).square().sum().backward()
    for slow, quick in zip(model.parameters(), fast.parameters(), strict=True):
        assert torch.allclose(slow.grad, quick.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (SequenceModel(CNN(1, width=4), "last", outputs=1), "gradient_horizon=3: needs layers of nn.RNN"),
        (SequenceModel(IndRNN(1, width=4), "last", outputs=1), "gradient_horizon=3: needs layers of nn.RNN"),
        (SequenceModel(LSTM(1, width=4, bidirectional=True), "last", outputs=1), "read the end first"),
        (SequenceModel(LSTM(1, width=4), "mean", outputs=1), "is counted from the last step"),
    ],
)
def test_what_has_no_horizon_is_refused(model, message):
    with pytest.raises(ConfigError, match=message):
        model.limit_gradient(3)
