"""Recurrent layers of one's own, through the door of step and initial_state."""

import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import bptt_terms, gradient_profile, lyapunov_spectrum, trace
from gradreach.models import IndRNN, MinGRU, MinLSTM, SequenceModel
from gradreach.tasks import Batch


class Own(nn.Module):
    """A layer that can take single steps; its forward is their loop."""

    def forward(self, x: Tensor) -> Tensor:
        state, outputs = self.initial_state(len(x), x.device, x.dtype), []
        for x_t in x.unbind(1):
            state = self.step(x_t, state)
            outputs.append(self.read(x_t, state))
        return torch.stack(outputs, 1)

    def read(self, x_t: Tensor, state) -> Tensor:
        return state[0] if isinstance(state, tuple) else state


class Leaky(Own):
    """h_t = a h_{t-1} + W x_t: its adjoint is a^lag, exactly."""

    def __init__(self, d_in: int, width: int, a: float) -> None:
        super().__init__()
        self.width, self.a, self.w = width, a, nn.Linear(d_in, width, bias=False)

    def initial_state(self, batch, device, dtype):
        return torch.zeros(batch, self.width, device=device, dtype=dtype)

    def step(self, x_t, state):
        return self.a * state + self.w(x_t)


class OwnLSTM(Own):
    """torch's LSTM, written as two-part steps."""

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()
        self.width, self.cell = width, nn.LSTMCell(d_in, width)

    def initial_state(self, batch, device, dtype):
        return (torch.zeros(batch, self.width, device=device, dtype=dtype),) * 2

    def step(self, x_t, state):
        return self.cell(x_t, state)


class Rotation(Own):
    """A complex state that turns and shrinks, read through its real part and past a skip: the form of an LRU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.turn = nn.Parameter(0.9 * torch.exp(1j * torch.linspace(0.1, 2.0, width)).to(torch.complex64))
        self.skip = nn.Parameter(torch.ones(width))

    def initial_state(self, batch, device, dtype):
        return torch.zeros(batch, self.width, device=device, dtype=self.turn.dtype)

    def step(self, x_t, state):
        return self.turn * state + x_t

    def output(self, x_t, state):
        return state.real + self.skip * x_t

    def read(self, x_t, state):
        return self.output(x_t, state)


def read_last(output: Tensor, target: Tensor) -> Tensor:
    return output[:, -1].square().sum(1)


def inputs(batch: int, length: int, size: int) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(batch, length, size).double(), None, torch.zeros(batch))


def test_a_known_decay_is_read_off_far_past_underflow():
    profile = gradient_profile(Leaky(2, 3, 0.1), inputs(2, 400, 2), read_last)
    h = profile[profile["quantity"] == "h"].set_index("lag")["median"]
    assert h[399] - h[1] == pytest.approx(-398, abs=1e-9)


def test_an_own_lstm_gives_the_adjoints_of_torchs():
    own = OwnLSTM(2, 4)
    fused = nn.LSTM(2, 4, batch_first=True)
    for name, weight in own.cell.named_parameters():
        getattr(fused, f"{name}_l0").data.copy_(weight.data)
    batch = inputs(3, 9, 2)

    def fused_loss(output: tuple, target: Tensor) -> Tensor:
        return read_last(output[0], target)

    ours, theirs = trace(own, batch, read_last), trace(fused, batch, fused_loss)
    (one, other) = (traced.layers[0].adjoints.state.direction for traced in (ours, theirs))
    assert torch.allclose(ours.layers[0].adjoints.state.log, theirs.layers[0].adjoints.state.log, atol=1e-10)
    assert torch.allclose(one, other, rtol=1e-8)
    assert torch.allclose(ours.input.log_norm(), theirs.input.log_norm(), atol=1e-10)
    assert torch.allclose(lyapunov_spectrum(ours.layers[0]), lyapunov_spectrum(theirs.layers[0]), atol=1e-8)


def test_a_complex_state_with_an_output_map_and_a_skip_is_measured():
    model, batch = Rotation(4), inputs(2, 30, 4)
    profile = gradient_profile(model, batch, read_last)
    h = profile[profile["quantity"] == "h"].set_index("lag")["median"]
    assert h[29] - h[1] == pytest.approx(28 * torch.log10(model.turn.abs()[0]).item(), abs=1e-5)
    x = batch.x.clone().requires_grad_()
    double = Rotation(4).double()
    double.turn = nn.Parameter(model.turn.detach().to(torch.complex128))
    double.skip = nn.Parameter(model.skip.detach().double())
    read_last(double(x), batch.target).sum().backward()
    truth = x.grad.norm(dim=-1).log10().flip(1)
    found = trace(model, batch, read_last).input_by_lag()[0].T / torch.log(torch.tensor(10.0))
    assert torch.allclose(found, truth, atol=1e-6)


def test_layers_above_each_other_are_measured_each_on_its_own():
    model = nn.Sequential(OwnLSTM(2, 3), nn.Linear(3, 3), Leaky(3, 4, 0.9))
    profile = gradient_profile(model, inputs(2, 6, 2), read_last)
    assert list(profile["layer"].unique()) == ["input", "0", "2"]


def test_a_layer_whose_output_is_no_state_is_not_measured_and_says_so():
    class Doubled(Leaky):
        def read(self, x_t, state):
            return 2 * state

    with pytest.warns(UserWarning, match="output\\(x_t, state\\)"):
        profile = gradient_profile(Doubled(2, 3, 0.5), inputs(2, 5, 2), read_last)
    assert list(profile["quantity"].unique()) == ["x"]


class Other(nn.LSTM):
    """Not what its name says: its output is halved."""

    def forward(self, x: Tensor, hx=None):
        output, state = super().forward(x, hx)
        return output / 2, state


class Loop(nn.Module):
    """A loop over torch's own cell."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(2, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        state, outputs = None, []
        for x_t in x.unbind(1):
            state = self.cell(x_t, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1), None


class Pair(Leaky):
    """Gives its last state beside its output, as torch's layers do."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        output = super().forward(x)
        return output, output[:, -1]


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Other(2, 3, batch_first=True), "Other has its own forward"),
        (Loop(), "LSTMCell is one step of a loop"),
        (Pair(2, 3, 0.5), r"Let it give a tensor"),
    ],
)
def test_a_layer_that_is_not_understood_is_left_as_it_is_and_said_so(layer, why):
    batch = inputs(3, 5, 2)
    with pytest.warns(UserWarning, match=why):
        profile = gradient_profile(layer, batch, lambda output, target: read_last(output[0], target))
    x = batch.x.clone().requires_grad_()
    read_last(layer.double()(x)[0], batch.target).sum().backward()
    assert list(profile["quantity"].unique()) == ["x"]
    truth = x.grad.norm(dim=2).log10().flip(1).median(0)[0]
    assert profile["median"].to_numpy() == pytest.approx(truth.numpy(), abs=1e-12)


@pytest.mark.parametrize("kind", [IndRNN, MinGRU, MinLSTM])
def test_elementwise_steps_are_those_that_autograd_takes_one_by_one(kind, monkeypatch):
    torch.manual_seed(0)
    model = SequenceModel(kind(2, width=4, layers=2, bidirectional=True), "last", 3).double()
    batch, found = inputs(3, 9, 2), []
    for elementwise in (True, False):
        monkeypatch.setattr(type(model.encoder.layers[0]), "elementwise", elementwise)
        found.append(trace(model, batch, lambda output, target: output.square().sum(1)))
        assert bool(found[-1].layers[0].steps.graphs) != elementwise
    assert torch.allclose(found[0].input.log_norm(), found[1].input.log_norm(), atol=1e-10)
    for one, other in zip(found[0].layers, found[1].layers, strict=True):
        assert torch.allclose(one.adjoints.state.log_norm(), other.adjoints.state.log_norm(), atol=1e-10)
        assert torch.allclose(one.steps.jacobian(4), other.steps.jacobian(4), atol=1e-14)
        for name, terms in bptt_terms(one).items():
            assert torch.allclose(terms, bptt_terms(other)[name], atol=1e-12)


def test_a_layer_that_is_not_as_elementwise_as_it_says_is_refused():
    lying = OwnLSTM(2, 3)
    lying.elementwise = True
    with pytest.raises(ValueError, match="OwnLSTM says elementwise = True"):
        gradient_profile(lying, inputs(2, 5, 2), read_last)
