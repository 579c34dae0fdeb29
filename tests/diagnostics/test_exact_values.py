"""Values that are known without training: published, closed form, or counted by hand."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import (
    decay,
    gate_statistics,
    gradient_profile,
    half_life,
    log10_condition_number,
    lyapunov_spectrum,
    product_singular_values,
    recurrent_matrices,
    trace,
)
from gradreach.diagnostics.scaled import Scaled
from gradreach.diagnostics.steps import adjoints
from gradreach.models.initialization import chrono_start
from gradreach.tasks import Batch

from .maps import Maps, along


def read_last(output: tuple, target: Tensor) -> Tensor:
    return output[0][:, -1].sum(1)


def normal(batch: int, length: int, size: int) -> Batch:
    return Batch(torch.randn(batch, length, size).double(), None, torch.zeros(batch))


def autonomous(layer: nn.RNN, length: int) -> Batch:
    return Batch(torch.zeros(1, length, layer.input_size).double(), None, torch.zeros(1))


@pytest.mark.parametrize(
    ("scale", "lag", "norm"), [(1.0, 1, 2.4684068094579303), (1.0, 20, 249.495615421267), (0.5, 20, 2.3793756e-4)]
)
def test_saitos_sequence(scale, lag, norm):
    """``dh = dh @ Wh.T``, from ones; ``norm = sqrt(sum(dh²)) / N``, N = 2 (K. Saito, Deep Learning 2, 2018)."""
    weights = torch.tensor(np.random.RandomState(3).randn(3, 3)) * scale
    steps = Maps(weights.mT.expand(20, 2, 3, 3))
    seeds = torch.zeros(20, 2, 3).double()
    seeds[lag - 1] = 1
    found = adjoints(steps, Scaled.of(seeds)).initial.log_norm().exp()
    assert float(found.square().sum().sqrt() / 2) == pytest.approx(norm, rel=1e-7 if scale == 0.5 else 1e-12)


def test_henon_map():
    def trajectory() -> Iterator[Tensor]:
        x, y = 0.1, 0.1
        for i in range(9000):
            if i >= 1000:
                yield torch.tensor([[-2 * 1.4 * x, 1.0], [0.3, 0.0]], dtype=torch.float64)
            x, y = 1 - 1.4 * x * x + y, 0.3 * x

    steps = Maps(torch.stack(list(trajectory())).unsqueeze(1))
    first, second = lyapunov_spectrum(along(steps))[0].tolist()
    assert first == pytest.approx(0.4185, abs=0.01)
    assert second == pytest.approx(-1.6225, abs=0.01)
    assert first + second == pytest.approx(math.log(0.3), abs=1e-9)


def test_an_autonomous_tanh_network_below_chaos_decays_with_the_spectral_radius():
    torch.manual_seed(0)
    layer = nn.RNN(1, 12, bias=False, batch_first=True).double()
    layer.weight_hh_l0.data *= 0.9 / torch.linalg.eigvals(layer.weight_hh_l0.data).abs().max()
    found = lyapunov_spectrum(trace(layer, autonomous(layer, 1000), _anything).layers[0], k=1)
    assert float(found) == pytest.approx(math.log(0.9), abs=2e-3)
    table = recurrent_matrices(layer)
    assert table["spectral_radius"].item() == pytest.approx(0.9, rel=1e-12)
    norm = torch.linalg.matrix_norm(layer.weight_hh_l0.data, 2)
    assert table["largest_singular_value"].item() == pytest.approx(float(norm), rel=1e-12)


def _anything(output: tuple, target: Tensor) -> Tensor:
    return output[0].sum((1, 2))


def test_an_orthogonal_linear_network_keeps_every_norm():
    torch.manual_seed(0)
    turns = torch.linalg.qr(torch.randn(1, 1, 6, 6).double())[0].expand(300, 1, 6, 6)
    steps = Maps(turns)
    exponents = lyapunov_spectrum(along(steps))
    assert float(exponents.abs().max()) < 1e-12
    assert float(product_singular_values(steps).abs().max()) < 1e-10
    assert float(log10_condition_number(exponents, 300).abs().max()) < 1e-9


def test_singular_values_of_a_long_product_past_underflow():
    scales = torch.tensor([1.0, 0.5, 0.01]).double()
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(3, 3).double())[0]
    symmetric = turn @ torch.diag(scales) @ turn.T
    steps = Maps(symmetric.expand(300, 1, 3, 3))
    found = product_singular_values(steps)[0]
    assert torch.allclose(found, 300 * scales.log(), atol=1e-7)  # the least is 10^-600
    exponents = lyapunov_spectrum(along(steps), transient=60)
    assert torch.allclose(exponents[0], scales.log(), atol=1e-9)
    assert float(log10_condition_number(exponents, 300)) == pytest.approx(600, abs=1e-3)


def test_singular_values_of_a_short_product_are_those_of_the_matrix():
    torch.manual_seed(0)
    jacobians = torch.randn(4, 2, 3, 3).double()
    product = jacobians[3] @ jacobians[2] @ jacobians[1] @ jacobians[0]
    assert torch.allclose(product_singular_values(Maps(jacobians)).exp(), torch.linalg.svdvals(product), rtol=1e-8)


@pytest.mark.parametrize(("gate", "steps"), [(0.5, 1.0), (0.9, 6.58), (0.99, 68.97)])
def test_a_constant_gate_has_the_half_life_of_its_value(gate, steps):
    layer = nn.LSTM(1, 3, batch_first=True).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        layer.bias_ih_l0[3:6] = math.log(gate / (1 - gate))
        layer.weight_ih_l0[6:9] = 1.0
    found = trace(layer, normal(2, 300, 1), read_last)
    profile = gradient_profile(layer, normal(2, 300, 1), read_last)
    assert half_life(profile[profile["quantity"] == "c"]) == pytest.approx(steps, abs=0.005)
    gates = gate_statistics(found.layers[0]).set_index("gate")
    assert gates.loc["f", "mean"] == pytest.approx(gate)
    assert gates.loc["f", "half_life"] == pytest.approx(steps, abs=0.005)
    assert gates.loc["f", "open"] == float(gate > 0.9)


def fitted(layer: nn.RNNBase, quantity: str = "h"):
    torch.manual_seed(0)
    profile = gradient_profile(layer, normal(32, 101, 8), read_last)
    return decay(profile[profile["quantity"] == quantity], 20, 100)


def forget_bias(layer: nn.LSTM, value: float) -> nn.LSTM:
    width = layer.hidden_size
    with torch.no_grad():
        layer.bias_ih_l0[width : 2 * width] = value
        layer.bias_hh_l0[width : 2 * width] = 0.0
    return layer


def test_default_starts_decay_as_known():
    """Of a plain network it depends on the seed, by its largest eigenvalue: the mean over seeds is known."""
    fits = []
    for seed in range(6):
        torch.manual_seed(seed)
        fits.append(fitted(nn.RNN(8, 64, batch_first=True).double()))
    factor = math.exp(np.mean([math.log(fit.factor) for fit in fits]))
    assert factor == pytest.approx(0.575, abs=0.02)
    assert factor == pytest.approx(1 / math.sqrt(3), abs=0.02)
    assert np.mean([fit.half_life for fit in fits]) == pytest.approx(1.25, abs=0.07)
    assert min(fit.r2 for fit in fits) > 0.99
    torch.manual_seed(1)
    assert fitted(nn.GRU(8, 64, batch_first=True).double()).half_life == pytest.approx(1.61, abs=0.2)
    lstm = fitted(nn.LSTM(8, 64, batch_first=True).double())
    assert lstm.factor == pytest.approx(0.640, abs=0.02)
    assert lstm.half_life == pytest.approx(1.55, abs=0.12)


def test_the_forget_bias_sets_how_fast_an_lstm_forgets():
    torch.manual_seed(1)
    factors = []
    for bias, factor, gate in ((0, 0.640, 0.503), (1, 0.855, 0.731), (3, 1.004, 0.953)):
        layer = forget_bias(nn.LSTM(8, 64, batch_first=True).double(), bias)
        factors.append(fitted(layer).factor)
        assert factors[-1] == pytest.approx(factor, abs=0.02)
        torch.manual_seed(0)
        gates = gate_statistics(trace(layer, normal(32, 101, 8), read_last).layers[0]).set_index("gate")
        assert gates.loc["f", "mean"] == pytest.approx(gate, abs=0.012)
        assert factors[-1] > gates.loc["f", "mean"]  # the indirect paths add to what the gate lets pass
    assert factors[2] > 0.99


def test_a_chrono_start_remembers_for_as_long_as_it_is_told_to():
    """The cell's half-life is about 80 steps at T_max 200; that of h is shorter, and its curve no exponential."""

    def started(longest: int, quantity: str):
        torch.manual_seed(1)
        layer = nn.LSTM(8, 64, batch_first=True)
        chrono_start(layer, longest)
        return fitted(layer.double(), quantity)

    assert started(200, "c").half_life == pytest.approx(80, rel=0.1)
    assert started(200, "c").r2 > 0.99 > started(200, "h").r2
    assert started(200, "h").half_life < 60
    assert started(20, "c").half_life < 20


@pytest.mark.parametrize(("bias", "exponent"), [(0, -0.455), (1, -0.166), (3, 0.0), (5, 0.003)])
def test_an_lstms_largest_exponent_follows_its_forget_bias(bias, exponent):
    torch.manual_seed(0)
    layer = forget_bias(nn.LSTM(4, 32, batch_first=True).double(), bias)
    found = trace(layer, normal(4, 400, 4), read_last).layers[0]
    assert float(lyapunov_spectrum(found, k=1).mean()) == pytest.approx(exponent, abs=0.05)
    # the h-block of the Jacobian alone is wrong
    blocks = torch.stack([found.steps.jacobian(t)[:, :32, :32] for t in range(100)])
    assert float(lyapunov_spectrum(along(Maps(blocks)), k=1).mean()) < -1.2
