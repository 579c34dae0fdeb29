"""How weights are initialized: as in torch, or as the paper says."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gradreach.models import (
    GRU,
    LRU,
    LSTM,
    RNN,
    S4D,
    IndRNN,
    LeakyRNN,
    LocallyConnected,
    LSTMCoupled,
    Mamba,
    initialization,
)
from gradreach.models.cells import GatedTanh, GRUAsPrinted, GRUResetBefore, LSTMAsPrinted
from gradreach.models.leaky import LeakyCell
from gradreach.models.reduced import CoupledLSTM, GRUWithoutReset


def test_only_one_file_draws_a_weight() -> None:
    own = Path(initialization.__file__)
    drawing = re.compile(r"nn\.init\.|\b(rand|randn|normal_|uniform_)\(")
    for path in own.parent.glob("*.py"):
        assert path == own or not drawing.search(path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize(("ours", "torchs"), [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])
def test_the_default_start_is_that_of_torch(ours: type, torchs: type) -> None:
    torch.manual_seed(3)
    encoder = ours(4, width=6)
    torch.manual_seed(3)
    layer = torchs(4, 6)
    for mine, theirs in zip(encoder.layers[0].parameters(), layer.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_our_own_gru_starts_like_that_of_torch() -> None:
    torch.manual_seed(3)
    mine = dict(GRUResetBefore(4, 6).named_parameters())
    torch.manual_seed(3)
    for name, theirs in nn.GRU(4, 6).named_parameters():
        assert torch.equal(mine[name.removesuffix("_l0")], theirs)


def test_orthogonal_and_identity_starts() -> None:
    w = RNN(4, width=6, start="orthogonal").layers[0].weight_hh_l0.detach()
    torch.testing.assert_close(w @ w.T, torch.eye(6))
    layer = RNN(50, width=60, start="identity", nonlinearity="relu").layers[0]
    assert torch.equal(layer.weight_hh_l0, torch.eye(60))
    assert not layer.bias_hh_l0.any()
    assert not layer.bias_ih_l0.any()
    assert 0.0009 < layer.weight_ih_l0.std() < 0.0011


@pytest.mark.parametrize("start", ["default", "orthogonal", "identity"])
def test_a_gain_multiplies_the_recurrent_matrix_and_nothing_else(start) -> None:
    torch.manual_seed(0)
    plain = dict(RNN(4, width=6, start=start).layers[0].named_parameters())
    torch.manual_seed(0)
    for name, found in RNN(4, width=6, start=start, start_gain=2.5).layers[0].named_parameters():
        assert torch.equal(found, plain[name] * (2.5 if name == "weight_hh_l0" else 1)), name


def test_forget_bias_is_the_sum_of_both_biases() -> None:
    layer = LSTM(4, width=6, forget_bias=3.0).layers[0]
    assert torch.equal((layer.bias_ih_l0 + layer.bias_hh_l0)[6:12], torch.full((6,), 3.0))
    assert (layer.bias_hh_l0[12:].abs() > 0).all()
    coupled = LSTMCoupled(4, width=6, forget_bias=3.0).layers[0]
    assert torch.equal((coupled.bias_ih + coupled.bias_hh)[:6], torch.full((6,), 3.0))
    assert (coupled.bias_hh[6:].abs() > 0).all()


def test_chrono_spreads_memory_between_1_and_the_longest_time() -> None:
    torch.manual_seed(0)
    layer = LSTM(4, width=500, chrono=100).layers[0]
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    spans = bias[500:1000].exp()
    assert 1 <= spans.min() < 3 < 97 < spans.max() <= 99
    assert torch.equal(bias[:500], -bias[500:1000])
    assert abs(spans.mean() - 50) < 5


@pytest.mark.parametrize("reset", ["after", "before", "none"])
def test_chrono_of_a_gru_spreads_what_its_update_gate_keeps_and_changes_nothing_else(reset: str) -> None:
    torch.manual_seed(0)
    plain = dict(GRU(4, width=500, reset=reset).layers[0].named_parameters())
    torch.manual_seed(0)
    found = dict(GRU(4, width=500, reset=reset, chrono=100).layers[0].named_parameters())
    update = slice(500) if reset == "none" else slice(500, 1000)
    of_input, of_state = (next(w for name, w in found.items() if f"bias_{of}" in name) for of in ("ih", "hh"))
    spans = (of_input + of_state).detach()[update].exp()
    assert 1 <= spans.min() < 3 < 97 < spans.max() <= 99
    assert abs(spans.mean() - 50) < 5
    for name, weights in found.items():
        kept = torch.ones(len(weights), dtype=torch.bool)
        kept[update] = "weight" in name
        assert torch.equal(weights[kept], plain[name][kept]), name


def test_a_leaky_network_forgets_in_two_steps_or_with_chrono_in_2_up_to_the_longest_time() -> None:
    torch.manual_seed(0)
    for name, weights in LeakyCell(400, 400).named_parameters():
        assert_uniform(weights.detach(), -1 / 20, 1 / 20), name
    plain, chrono = (
        LeakyRNN(4, width=2000, chrono=longest).layers[0].leak.sigmoid().detach() for longest in (None, 100)
    )
    assert (plain - 0.5).abs().max() < 0.01
    assert_uniform(1 / chrono, 2, 100)


def assert_uniform(weights: Tensor, low: float, high: float) -> None:
    """Hold the range, mean and variance of many draws against U(low, high)."""
    assert low <= weights.min() < low + 0.02 * (high - low)
    assert high - 0.02 * (high - low) < weights.max() <= high
    assert abs(weights.mean() - (low + high) / 2) < 0.02 * (high - low)
    assert abs(weights.std() - (high - low) / math.sqrt(12)) < 0.02 * (high - low)


@pytest.mark.parametrize("kind", [GatedTanh, LSTMAsPrinted, GRUAsPrinted, GRUResetBefore, CoupledLSTM, GRUWithoutReset])
def test_our_own_cells_start_like_recurrent_layers_of_torch(kind: type) -> None:
    torch.manual_seed(0)
    for name, weights in kind(400, 400).named_parameters():
        assert name.startswith(("weight", "bias"))
        assert_uniform(weights.detach(), -1 / 20, 1 / 20)


def test_an_unshared_layer_starts_like_a_convolution_of_torch() -> None:
    torch.manual_seed(0)
    bound = nn.Conv1d(5, 1000, 5).weight.abs().max().item()
    for weights in LocallyConnected(5, 400, kernel_size=5).parameters():
        assert_uniform(weights.detach(), -1 / 5, 1 / 5)
    assert abs(bound - 1 / 5) < 0.001


def test_indrnn_starts_between_forgetting_and_keeping() -> None:
    torch.manual_seed(0)
    assert_uniform(IndRNN(1, width=3000).layers[0].recurrent.detach(), 0, 1)


def test_an_lru_starts_uniformly_on_its_ring() -> None:
    torch.manual_seed(0)
    layer = LRU(1, width=100, states=5000, r_min=0.4, r_max=0.9).layers[0]
    eigenvalues = layer.eigenvalues().detach()
    assert_uniform(eigenvalues.abs().square(), 0.16, 0.81)  # uniform in area
    assert_uniform(torch.exp(layer.theta.detach()), 0, 2 * math.pi)
    torch.testing.assert_close(layer.log_gamma.exp() ** 2, 1 - eigenvalues.abs().square())
    assert abs(layer.from_input.std() - 1 / math.sqrt(2 * 100)) < 1e-3


def test_an_s4d_starts_as_s4d_lin() -> None:
    torch.manual_seed(0)
    layer = S4D(1, width=2000, states=4).layers[0]
    a = torch.complex(-torch.exp(layer.log_decay), layer.frequency).detach()
    expected = torch.complex(torch.tensor(-0.5), torch.tensor(math.pi)) + 1j * math.pi * torch.arange(-1, 3)
    torch.testing.assert_close(a, expected.expand(2000, 4))
    assert_uniform(layer.log_step.detach(), math.log(0.001), math.log(0.1))
    c = torch.view_as_complex(layer.output.detach())
    assert abs(c.abs().square().mean() - 1) < 0.05
    assert abs(layer.skip.std() - 1) < 0.05
    assert abs(LRU(1, width=2000).skips[0].std() - 1) < 0.05


def test_a_mamba_starts_with_rates_1_to_n_and_step_sizes_of_two_decades() -> None:
    torch.manual_seed(0)
    cell = Mamba(1, width=2000, states=3).layers[0].recurrence
    torch.testing.assert_close(cell.log_a.exp().detach(), torch.tensor([[1.0], [2.0], [3.0]]).expand(3, 4000))
    steps = torch.nn.functional.softplus(cell.step_size.bias.detach())
    assert_uniform(steps.log(), math.log(0.001), math.log(0.1))
