"""The instrument against unrolled cells and autograd."""

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradreach.diagnostics import gradient_profile, log_adjoints, reach, replay
from gradreach.models import CNN, GRU, LSTM, RNN, SequenceModel
from gradreach.tasks import Batch

LOSS = functools.partial(F.cross_entropy, reduction="none")
KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def unrolled(layer, x, weights):
    """Return ``dL/dh_t`` (and ``dL/dc_t``) of ``L = sum(weights * h)`` by autograd through single steps.

    The cell state is cloned before it enters the next step: the clone's gradient leaves out the way through ``h_t``
    and so is that of an independent coordinate.
    """
    parameters = dict(layer.named_parameters())
    w_ih, w_hh, b_ih, b_hh = (parameters[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = c = x.new_zeros(x.shape[1], layer.hidden_size)
    hs, cs = [], []
    for step in x.unbind(0):
        from_x, from_h = F.linear(step, w_ih, b_ih), F.linear(h, w_hh, b_hh)
        if isinstance(layer, nn.RNN):
            h = torch.tanh(from_x + from_h)
        elif isinstance(layer, nn.GRU):
            (xr, xz, xn), (hr, hz, hn) = from_x.chunk(3, -1), from_h.chunk(3, -1)
            z = torch.sigmoid(xz + hz)
            h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * h
        else:
            i, f, g, o = (from_x + from_h).chunk(4, -1)
            new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h, c = torch.sigmoid(o) * torch.tanh(new), new.clone()
            cs.append(c)
        hs.append(h)
    loss = (torch.stack(hs) * weights).sum()
    return [
        torch.stack(torch.autograd.grad(loss, states, retain_graph=True, allow_unused=True, materialize_grads=True))
        for states in (hs, cs)
        if states
    ]


@pytest.mark.parametrize("readout", ["last", "all"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_adjoint_norms_equal_those_of_unrolled_autograd(kind, readout, dtype, tolerance):
    torch.manual_seed(3)
    length, batch, d_in, width = 30, 4, 3, 7
    layer = KINDS[kind](d_in, width).to(dtype)
    exact = KINDS[kind](d_in, width).double()
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(length, batch, d_in, dtype=dtype)
    weights = torch.randn(length, batch, width, dtype=torch.float64)
    weights = weights if readout == "all" else torch.cat([torch.zeros_like(weights[:-1]), weights[-1:]])

    references = unrolled(exact, x.double(), weights)
    with torch.no_grad():
        measured = log_adjoints(replay(layer, x, layer(x)[0]), weights.to(dtype))
    for logs, reference in zip(measured.values(), references, strict=True):
        norms = reference.norm(dim=-1)
        assert norms.max() > 0
        torch.testing.assert_close(logs.exp().double(), norms, rtol=tolerance, atol=0)


def test_the_adjoint_of_an_rnn_is_the_total_not_the_immediate_derivative():
    torch.manual_seed(0)
    layer = nn.RNN(2, 4)
    output, _ = layer(torch.randn(10, 1, 2))
    output.retain_grad()
    output[-1].sum().backward()
    assert (output.grad.norm(dim=-1) > 0).sum() == 1  # what a fused layer shows by itself
    logs = log_adjoints(replay(layer, torch.randn(10, 1, 2), output.detach()), output.grad)["h"]
    assert torch.isfinite(logs).all()


@pytest.mark.parametrize(("factor", "last"), [(1.0, 249.495615421267), (0.5, 2.3793756e-4)])
def test_repeated_multiplication_as_in_the_textbook(factor, last):
    """Saito, Deep Learning from Scratch 2, section 6.1: ``dh = dh @ Wh.T`` twenty times."""
    np.random.seed(3)  # noqa: NPY002 - the published numbers come from this generator
    layer = nn.RNN(1, 3, nonlinearity="relu", bias=False).double()
    weight = torch.from_numpy(np.random.randn(3, 3)) * factor  # noqa: NPY002
    layer.weight_hh_l0.data.copy_(weight.T)  # the book's gradient flows through Wh.T, ours through W_hh
    seed = torch.zeros(21, 2, 3, dtype=torch.float64)
    seed[-1] = 1
    alive = torch.ones_like(seed)  # ReLU passes everything, so the layer is linear
    logs = log_adjoints(replay(layer, torch.zeros(21, 2, 1, dtype=torch.float64), alive), seed)["h"]
    norms = ((2 * logs).exp().sum(1).sqrt() / 2).flip(0)  # the book divides the whole batch's norm by its size
    if factor == 1:
        assert norms[1].item() == pytest.approx(2.4684068094579303, rel=1e-12)
    assert norms[20].item() == pytest.approx(last, rel=1e-7)


def test_nothing_underflows():
    torch.manual_seed(0)
    layer = nn.RNN(1, 8)
    layer.weight_hh_l0.data.mul_(0.05)
    x = torch.zeros(400, 2, 1)
    seed = torch.zeros(400, 2, 8)
    seed[-1] = 1
    with torch.no_grad():
        logs = log_adjoints(replay(layer, x, layer(x)[0]), seed)["h"].mean(1)
    assert logs[0] / np.log(10) < -500
    early, late = logs[150] - logs[0], logs[350] - logs[200]
    assert early == pytest.approx(late.item(), rel=0.01)  # the same decay at every depth


@pytest.mark.parametrize("encoder", [RNN, LSTM, GRU, CNN])
def test_lag_counts_from_each_examples_last_valid_step(encoder):
    torch.manual_seed(0)
    model = SequenceModel(encoder(2, width=5), "last", 3)
    x, target = torch.randn(1, 9, 2), torch.tensor([1])
    alone = gradient_profile(model, Batch(x, None, target), LOSS)
    padded = torch.cat([x, torch.full((1, 6, 2), 1e3)], 1)
    beside = gradient_profile(model, Batch(padded, torch.tensor([9]), target), LOSS)
    assert alone["lag"].max() == beside["lag"].max() == 8
    np.testing.assert_allclose(alone["median"], beside["median"], rtol=1e-9)


def test_a_convolution_receives_exactly_nothing_from_beyond_its_receptive_field():
    model = SequenceModel(CNN(1, width=4, layers=2, kernel_size=3, dilation_base=1), "last", 2)
    profile = gradient_profile(model, Batch(torch.randn(3, 20, 1), None, torch.zeros(3, dtype=torch.long)), LOSS)
    medians = profile.set_index("lag")["median"]
    assert model.encoder.receptive_field == 5
    assert np.isfinite(medians.loc[:2]).all()  # half of the field lies in the future, which does not exist
    assert np.isneginf(medians.loc[3:]).all()
    assert reach(profile) == 2


def test_measuring_changes_nothing():
    torch.manual_seed(0)
    model = SequenceModel(LSTM(2, width=5), "last", 3).train()
    batch = Batch(torch.randn(4, 9, 2), None, torch.zeros(4, dtype=torch.long))
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    gradient_profile(model, batch, LOSS)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


def test_a_loss_that_is_a_mean_is_refused():
    model = SequenceModel(RNN(1, width=2), "last", 2)
    with pytest.raises(ValueError, match="one value an example"):
        gradient_profile(model, Batch(torch.randn(3, 5, 1), None, torch.zeros(3, dtype=torch.long)), F.cross_entropy)
