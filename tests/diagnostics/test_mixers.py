"""Today's mixers under the instrument: states of an inner recurrence, read through gates, norms and projections."""

import pytest
import torch
from torch import Tensor

from gradreach.diagnostics import Instrument, bptt_terms, gate_statistics, gradient_profile, lyapunov_spectrum, trace
from gradreach.models import DeltaNet, Encoder, Mamba, SequenceModel
from gradreach.tasks import Batch

D, LENGTH = 2, 40  # more than one chunk of steps
MIXERS = {
    "mamba": lambda **settings: Mamba(D, width=5, states=3, **settings),
    "mamba signed": lambda **settings: Mamba(D, width=5, states=3, eigenvalues="signed", **settings),
    "deltanet": lambda **settings: DeltaNet(D, width=6, **settings),
    "deltanet signed": lambda **settings: DeltaNet(D, width=6, steps=2, eigenvalues="signed", **settings),
}


def last(output: Tensor, target: Tensor) -> Tensor:
    return output.square().sum(1)


def made(name: str, **settings: int) -> tuple[SequenceModel, Batch]:
    torch.manual_seed(len(name))
    model = SequenceModel(MIXERS[name](**settings), "last", 2).double()
    return model, Batch(torch.randn(3, LENGTH, D).double(), None, torch.zeros(3))


def unroll(encoder: Encoder, x: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """Run every recurrence step by step, in place of its fast form; return the output, and the states of each."""
    kept: list[list[Tensor]] = []

    def loop(cell, u: Tensor) -> Tensor:
        state, states, outputs = cell.initial_state(len(u), u.device, u.dtype), [], []
        for u_t in u.unbind(1):
            state = cell.step(u_t, state)
            state.retain_grad()
            states.append(state)
            outputs.append(cell.output(u_t, state))
        kept.append(states)
        return torch.stack(outputs, 1)

    for layer in encoder.layers:
        layer.recurrence.forward = lambda u, cell=layer.recurrence: loop(cell, u)
    return encoder(x, None)[0], kept


@pytest.mark.parametrize("name", MIXERS)
def test_the_profile_is_that_of_unrolled_autograd(name):
    model, batch = made(name, layers=2)
    traced = trace(model, batch, last)
    assert traced.names == [(f"encoder.layers.{i}.recurrence", "forward") for i in range(2)]
    x = batch.x.clone().requires_grad_()
    output, kept = unroll(model.encoder, x)
    last(model.head(output[:, -1]), batch.target).sum().backward()
    for layer, states in zip(traced.layers, kept, strict=True):
        truth = torch.stack([state.grad.norm(dim=1) for state in states])
        assert torch.allclose(layer.adjoints.state.log_norm().exp(), truth, rtol=1e-12, atol=0)
    assert torch.allclose(traced.input.log_norm().exp(), x.grad.norm(dim=2).T, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["mamba", "mamba signed"])
def test_the_terms_of_a_recurrences_weights_sum_to_their_gradient(name):
    model, batch = made(name)
    terms = bptt_terms(trace(model, batch, last).layers[0])
    last(model(batch.x), batch.target).sum().backward()
    cell = model.encoder.layers[0].recurrence
    for weight in ("log_a", "step_size.weight", "step_size.bias"):
        assert torch.allclose(terms[weight].sum(0), dict(cell.named_parameters())[weight].grad, rtol=1e-10, atol=1e-14)


def test_what_mamba_keeps_is_what_its_eigenvalues_are():
    """With one step size for all, each of n states decays at its own rate, exp(−Δ n) or 2 exp(−Δ n) − 1."""
    for name, signed in (("mamba", False), ("mamba signed", True)):
        model, batch = made(name)
        cell = model.encoder.layers[0].recurrence
        with torch.no_grad():
            cell.step_size.weight.zero_()
            cell.step_size.bias.fill_(-1.0)
        step = torch.nn.functional.softplus(torch.tensor(-1.0).double())
        eigenvalues = torch.exp(-step * torch.arange(1, 4))
        eigenvalues = (2 * eigenvalues - 1 if signed else eigenvalues).abs()
        layer = trace(model, batch, last).layers[0]
        volume = 10 * eigenvalues.log().sum()  # of 10 channels; which exponent is whose, no short run can tell
        assert torch.allclose(lyapunov_spectrum(layer).sum(1), volume.expand(3), rtol=1e-6)
        gates = gate_statistics(layer).set_index("gate")
        assert gates.loc["keep", "mean"] == pytest.approx(float(eigenvalues.mean()), rel=1e-6)


@pytest.mark.parametrize("name", MIXERS)
def test_both_directions_of_a_mixer_are_told_apart(name):
    model, batch = made(name, bidirectional=True)
    profile = gradient_profile(model, batch, last)
    found = profile.loc[profile["quantity"] == "h", ["layer", "direction"]].drop_duplicates()
    assert [tuple(row) for row in found.to_numpy()] == [
        ("encoder.layers.0.recurrence", "forward"),
        ("encoder.backward_layers.0.recurrence", "backward"),
    ]
    assert set(profile["quantity"]) == {"x", "h"}


def test_a_recurrence_without_weights_has_no_terms():
    model, batch = made("deltanet", layers=2)
    instrument = Instrument(model, batch, last, {"bptt": "ends"})
    instrument.measure("start")
    (table,) = instrument.tables["bptt"]
    assert len(table) == 0
    assert bptt_terms(instrument.trace().layers[0]) == {}
