"""Our own recurrent layers go through the same door as torch's: adjoints, terms and gates, against autograd."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn, sigmoid

from gradreach.diagnostics import (
    bptt_shares,
    bptt_terms,
    decay,
    gate_histograms,
    gate_statistics,
    gradient_profile,
    half_life,
    lyapunov_spectrum,
    omega,
    step_factors,
    trace,
)
from gradreach.models import LRU, LSTM, IndRNN, MinGRU, MinLSTM, PrintedGRU, PrintedLSTM, SequenceModel
from gradreach.models.cells import Cell, GatedTanh, GRUAsPrinted, GRUResetBefore, IndRNNCell, LSTMAsPrinted
from gradreach.models.leaky import LeakyCell
from gradreach.models.scan import LinearRecurrence, MinGRUCell, MinLSTMCell
from gradreach.tasks import Batch

D, H, LENGTHS = 2, 3, (6, 4)
CELLS = {
    "gru, reset before": lambda: GRUResetBefore(D, H),
    "gated tanh": lambda: GatedTanh(D, H),
    "lstm as printed": lambda: LSTMAsPrinted(D, H),
    "gru as printed": lambda: GRUAsPrinted(D, H),
    "leaky_rnn": lambda: LeakyCell(D, H, chrono=4),
    "indrnn": lambda: IndRNNCell(D, H),
    "indrnn, tanh": lambda: IndRNNCell(D, H, "tanh"),
    "mingru": lambda: MinGRUCell(D, H),
    "minlstm": lambda: MinLSTMCell(D, H),
    "mingru signed": lambda: MinGRUCell(D, H, "signed"),
    "minlstm signed": lambda: MinLSTMCell(D, H, "signed"),
    "lru": lambda: LinearRecurrence(D, H),
}


class Reads(nn.Module):
    """A layer that is given lengths, which it need not know."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.cell(x)


def made(name: str) -> tuple[Cell, Batch]:
    torch.manual_seed(4)
    cell = CELLS[name]().double()
    return cell, Batch(torch.randn(2, 6, D).double(), torch.tensor(LENGTHS), torch.zeros(2))


def at_the_end(output: Tensor, target: Tensor) -> Tensor:
    return output[torch.arange(2), torch.tensor(LENGTHS) - 1].square().sum(1)


def by_hand(cell: Cell, x: Tensor, weights_by_lag: list[Cell]) -> list[list[Tensor]]:
    """Run each example alone, every step with weights of its own; return all flat states, and go back."""
    kept, total = [], torch.zeros(()).double()
    for i, length in enumerate(LENGTHS):
        state, states = cell.initial_state(1, x.device, x.dtype), []
        for t in range(length):
            state = weights_by_lag[length - 1 - t].step(x[i : i + 1, t], state)
            parts = state if isinstance(state, tuple) else (state,)
            flat = torch.cat(parts, 1)
            flat.retain_grad()
            states.append(flat)
            parts = flat.split([part.shape[1] for part in parts], 1)
            state = parts if isinstance(state, tuple) else parts[0]
        total = total + parts[0].square().sum()
        kept.append(states)
    total.backward()
    return kept


@pytest.mark.parametrize("name", CELLS)
def test_adjoints_and_terms_are_those_of_unrolled_autograd(name):
    cell, batch = made(name)
    layer = trace(Reads(cell), batch, at_the_end).layers[0]
    copies = [copy.deepcopy(cell) for _ in range(6)]
    kept = by_hand(cell, batch.x, copies)
    found = layer.by_lag(layer.adjoints.state.log_norm())[0].exp()
    for i, states in enumerate(kept):
        truth = torch.stack([state.grad.norm() for state in states[::-1]])
        assert torch.allclose(found[: len(states), i], truth, rtol=1e-12, atol=0)
    terms = bptt_terms(layer)
    for weight, parameter in cell.named_parameters():
        for lag, one in enumerate(copies):
            truth = dict(one.named_parameters())[weight].grad
            truth = torch.zeros_like(parameter) if truth is None else truth
            assert torch.allclose(terms[weight][lag], truth, rtol=1e-11, atol=1e-14)
    at_the_end(cell(batch.x), batch.target).sum().backward()
    for weight, parameter in cell.named_parameters():
        assert torch.allclose(terms[weight].sum(0), parameter.grad, rtol=1e-11, atol=1e-14)
    shares = bptt_shares(layer).groupby("weight")["share"].sum()
    assert set(shares.index) == set(terms)
    assert shares.to_numpy() == pytest.approx(np.ones(len(shares)), abs=1e-12)


def formulas(name: str, cell: Cell, x: Tensor, state: Tensor) -> dict[str, Tensor]:
    """Return the gates of one step as the papers and the notes write them, for one example."""
    w = dict(cell.named_parameters())
    first = state[:H]
    if name == "gru, reset before":
        (xr, xz, _), (hr, hz, _) = w["weight_ih"].chunk(3), w["weight_hh"].chunk(3)
        br, bz, _ = (w["bias_ih"] + w["bias_hh"]).chunk(3)
        return {"r": sigmoid(xr @ x + hr @ first + br), "z": sigmoid(xz @ x + hz @ first + bz)}
    if name == "gated tanh":
        x = w["embed.weight"] @ x
        (xf, xi), (sf, si), (bf, bi) = w["weight_x"].chunk(2), w["weight_s"].chunk(2), w["bias"].chunk(2)
        f, i = sigmoid(xf @ x + sf @ first + bf), sigmoid(xi @ x + si @ first + bi)
        return {"f": f, "i": i, "notes": (1 - torch.tanh(f * first + i * x) ** 2) * f}
    if name == "lstm as printed":
        x = w["embed.weight"] @ x
        parts = zip("ifo", w["weight_x"].chunk(4)[:3], w["weight_h"].chunk(3), w["bias"].chunk(4)[:3], strict=True)
        return {gate: sigmoid(wx @ x + wh @ first + b) for gate, wx, wh, b in parts}
    if name == "gru as printed":
        x = w["embed.weight"] @ x
        (xz, xr, _), (sz, sr, _) = w["weight_x"].chunk(3), w["weight_s"].chunk(3)
        return {"z": sigmoid(xz @ x + sz @ first), "r": sigmoid(xr @ x + sr @ first)}
    if name == "leaky_rnn":
        return {"keep": 1 - sigmoid(w["leak"])}
    if name == "mingru":
        z, _ = (w["from_input.weight"] @ x + w["from_input.bias"]).chunk(2)
        return {"keep": 1 - sigmoid(z)}
    if name == "mingru signed":
        z, _ = (w["from_input.weight"] @ x + w["from_input.bias"]).chunk(2)
        return {"keep": (1 - 2 * sigmoid(z)).abs()}
    if name.startswith("minlstm"):
        f, i, _ = (w["from_input.weight"] @ x + w["from_input.bias"]).chunk(3)
        taken = (1 + ("signed" in name)) * sigmoid(i) / (sigmoid(f) + sigmoid(i))
        return {"keep": (1 - taken).abs()}
    return {}


@pytest.mark.parametrize("name", CELLS)
def test_gates_are_those_of_the_formulas(name):
    cell, batch = made(name)
    with torch.no_grad():
        for weight in cell.parameters():
            weight *= 4  # so that some gates are stuck
    layer = trace(Reads(cell), batch, at_the_end).layers[0]
    values: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for i, length in enumerate(LENGTHS):
            state = torch.zeros(layer.steps.size).double()
            for t in range(length):
                for gate, value in formulas(name, cell, batch.x[i, t], state).items():
                    values.setdefault(gate, []).append(value)
                state = layer.steps.states[t, i]
    table = gate_statistics(layer).set_index("gate")
    assert set(table.index) == set(values)
    for gate, parts in values.items():
        flat = torch.cat(parts)
        assert table.loc[gate, "mean"] == pytest.approx(float(flat.mean()), rel=1e-12)
        assert table.loc[gate, "open"] == pytest.approx(float((flat > 0.9).double().mean()))
        assert table.loc[gate, "closed"] == pytest.approx(float((flat < 0.1).double().mean()))
        mean = table.loc[gate, "mean"]
        implied = math.log(0.5) / math.log(mean) if gate == cell.memory_gate else math.nan
        assert table.loc[gate, "half_life"] == pytest.approx(implied, nan_ok=True)
    counts = gate_histograms(layer)
    assert counts["count"].sum() == len(values) * sum(LENGTHS) * H


def last(output: Tensor, target: Tensor) -> Tensor:
    return output.sum(1)


def h_of(model: nn.Module, batch: Batch):
    profile = gradient_profile(model, batch, last)
    return profile[profile["quantity"] == "h"]


def normal(length: int = 200, examples: int = 4) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(examples, length, D), None, torch.zeros(examples).long())


@pytest.mark.parametrize(("kind", "rows"), [(MinGRU, (0, 4)), (MinLSTM, (4, 8))])
def test_a_minimal_gates_decay_is_read_off_as_set(kind, rows):
    """With gates that hear no input every step keeps one share: 1 − z of a minGRU, f / (f + i) of a minLSTM."""
    torch.manual_seed(0)
    model = SequenceModel(kind(D, width=4), "last", 2).double()
    (layer,) = model.encoder.layers
    keep = 0.97
    with torch.no_grad():
        layer.from_input.weight[:-4] = 0
        layer.from_input.bias[:-4] = 0
        if kind is MinGRU:
            layer.from_input.bias[:4] = math.log((1 - keep) / keep)
        else:  # f = 0.5, so i = f (1 − keep) / keep
            i = 0.5 * (1 - keep) / keep
            layer.from_input.bias[slice(*rows)] = math.log(i / (1 - i))
    fit = decay(h_of(model, normal()))
    assert fit.factor == pytest.approx(keep, rel=1e-9)
    assert fit.half_life == pytest.approx(math.log(0.5) / math.log(keep), rel=1e-6)
    assert fit.r2 == pytest.approx(1)
    layer_trace = trace(model, normal(), last).layers[0]
    assert lyapunov_spectrum(layer_trace).flatten().tolist() == pytest.approx([math.log(keep)] * 16, rel=1e-9)
    gates = gate_statistics(layer_trace).set_index("gate")
    assert gates.loc["keep", "half_life"] == pytest.approx(fit.half_life, rel=1e-6)


def test_a_mingru_as_it_starts_decays_with_what_its_gates_keep():
    """The Jacobian is diag(1 − z_t), so the adjoint of each unit is the product of its gates; nothing else adds."""
    torch.manual_seed(0)
    model, batch = SequenceModel(MinGRU(D, width=4), "last", 2).double(), normal(50)
    layer = trace(model, batch, last).layers[0]
    (cell,) = model.encoder.layers
    kept = sigmoid(-cell.from_input(batch.x.double())[..., :4]).detach()
    seed = model.head.weight.sum(0).detach()
    products = torch.cat([kept.flip(1).cumprod(1).flip(1)[:, 1:], torch.ones(4, 1, 4)], 1)
    truth = (products * seed).norm(dim=2).T
    assert torch.allclose(layer.adjoints.state.log_norm().exp(), truth, rtol=1e-12)


@pytest.mark.parametrize("radius", [0.5, 0.9, 0.999])
def test_an_lrus_decay_is_the_modulus_of_its_eigenvalues(radius):
    torch.manual_seed(0)
    model = SequenceModel(LRU(D, width=4, states=3, r_min=radius, r_max=radius), "last", 2)
    fit = decay(h_of(model, normal()))
    assert fit.factor == pytest.approx(radius, rel=1e-6)
    assert fit.half_life == pytest.approx(math.log(0.5) / math.log(radius), rel=1e-3)
    layer = trace(model, normal(), last).layers[0]
    exponents = lyapunov_spectrum(layer)
    assert exponents.flatten().tolist() == pytest.approx([math.log(radius)] * 24, abs=1e-6)
    assert step_factors(layer)["median"][1:].to_numpy() == pytest.approx(math.log10(radius), abs=1e-6)
    assert float(omega(layer)[0]) == pytest.approx(199 * (1 - radius) ** 2, rel=1e-4)


def test_an_lru_of_many_moduli_shows_each_of_them():
    torch.manual_seed(0)
    model = SequenceModel(LRU(D, width=4, states=2), "last", 2).double()
    (layer,) = model.encoder.layers
    moduli = torch.tensor([0.95, 0.6]).double()
    layer.nu.data = (-moduli.log()).log()
    exponents = lyapunov_spectrum(trace(model, normal(), last).layers[0])
    truth = torch.tensor([0.95, 0.95, 0.6, 0.6]).double().log()
    assert torch.allclose(exponents, truth.expand(4, -1), atol=0.03)


def test_independent_units_forget_each_at_its_own_rate():
    torch.manual_seed(0)
    model = SequenceModel(IndRNN(D, width=1), "last", 2).double()
    (layer,) = model.encoder.layers
    with torch.no_grad():
        layer.recurrent.fill_(0.8)
        layer.from_input.weight.zero_()
        layer.from_input.bias.fill_(1.0)  # the rectifier is never closed
    assert half_life(h_of(model, normal(60))) == pytest.approx(math.log(0.5) / math.log(0.8), rel=1e-9)


@pytest.mark.parametrize("kind", [LSTM, PrintedLSTM, PrintedGRU, MinLSTM])
def test_stacked_and_bidirectional_layers_of_our_own_are_told_apart(kind):
    torch.manual_seed(0)
    model = SequenceModel(kind(D, width=3, layers=2, bidirectional=True), "mean", 2)
    profile = gradient_profile(model, Batch(torch.randn(3, 7, D), torch.tensor([7, 5, 2]), torch.zeros(3)), last)
    kinds = profile[profile["quantity"] == "h"][["layer", "direction"]].drop_duplicates()
    assert [tuple(row) for row in kinds.to_numpy()] == [
        ("encoder.layers.0", "forward"),
        ("encoder.backward_layers.0", "backward"),
        ("encoder.layers.1", "forward"),
        ("encoder.backward_layers.1", "backward"),
    ]
    assert profile[profile["lag"] == 6]["n"].unique().tolist() == [1]
