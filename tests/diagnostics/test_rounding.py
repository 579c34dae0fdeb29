"""What is exactly so is said so: no logarithm, ratio or rank is decided by rounding."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import (
    Batch,
    bptt_shares,
    decay,
    figures,
    gate_statistics,
    gradient_profile,
    half_life,
    linear_decoding,
    omega,
    step_factors,
    trace,
)
from gradreach.diagnostics.scaled import Scaled
from gradreach.diagnostics.steps import adjoints

from .maps import Maps


def read_last(output: tuple, target: Tensor) -> Tensor:
    return output[0][:, -1].square().sum(1)


def probe(batch: int = 3, length: int = 20) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(batch, length, 2).double(), None, torch.zeros(batch))


def test_a_gradient_that_keeps_its_norm_has_an_infinite_half_life_whatever_rounds():
    torch.manual_seed(0)
    turns = [torch.linalg.qr(torch.randn(6, 6).double())[0] for _ in range(200)]
    seeds = torch.zeros(200, 1, 6).double()
    seeds[-1] = torch.randn(6)
    found = adjoints(Maps(torch.stack(turns).unsqueeze(1)), Scaled.of(seeds)).state.log_norm()[:, 0].flip(0)
    medians = found.numpy() / math.log(10)
    assert len(set(medians.tolist())) > 1  # they do differ by rounding
    fit = decay(pd.DataFrame({"lag": np.arange(200), "median": medians}))
    assert (fit.factor, fit.half_life, fit.r2) == (1.0, math.inf, 1.0)


@pytest.mark.parametrize("rate", [1e-9, -1e-9])
def test_a_slow_decay_is_no_rounding(rate):
    lags = np.arange(100)
    fit = decay(pd.DataFrame({"lag": lags, "median": rate * lags}))
    assert math.log(fit.factor) == pytest.approx(rate * math.log(10), rel=1e-5)
    assert fit.half_life == (pytest.approx(-math.log10(2) / rate, rel=1e-5) if rate < 0 else math.inf)


@pytest.mark.parametrize(("bias", "implied"), [(60.0, math.inf), (-800.0, 0.0)])
def test_a_gate_that_never_moves_implies_a_half_life(bias, implied):
    layer = nn.LSTM(2, 3, batch_first=True).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        layer.bias_ih_l0[3:6] = bias
    gates = gate_statistics(trace(layer, probe(), read_last).layers[0]).set_index("gate")
    assert gates.loc["f", "half_life"] == implied
    assert math.isnan(gates.loc["i", "half_life"])


def test_shares_of_terms_that_cancel_are_none():
    """The loss reads an RNN over ±x: what one step teaches, the next takes back."""
    layer = nn.RNN(1, 2, bias=False, batch_first=True).double()
    nn.init.zeros_(layer.weight_hh_l0)
    x = torch.tensor([0.1, -0.1] * 4).double().reshape(1, 8, 1)

    def even(output: tuple, target: Tensor) -> Tensor:
        return (output[0] * torch.tensor([0.7, 0.3]).double()).sum((1, 2))

    shares = bptt_shares(trace(layer, Batch(x, None, torch.zeros(1)), even).layers[0])
    shares = shares.set_index("weight")
    assert np.isfinite(shares.loc["W_x", "log10_norm"]).all()
    assert shares.loc["W_x", "share"].isna().all()
    assert shares.loc["W_s", "share"].sum() == pytest.approx(1)  # before the first step there is no state


def test_a_rectified_layer_that_is_dead_passes_nothing_and_says_so_everywhere():
    layer = nn.RNN(2, 3, nonlinearity="relu", batch_first=True).double()
    nn.init.constant_(layer.bias_ih_l0, -100.0)

    def linear(output: tuple, target: Tensor) -> Tensor:
        return output[0][:, -1].sum(1)

    profile = gradient_profile(layer, probe(), linear)
    curve = profile[profile["quantity"] == "h"].set_index("lag")["median"]
    assert math.isfinite(curve[0])
    assert np.isneginf(curve.loc[1:]).all()
    found = figures(profile)
    assert found["h.reach"] == 0
    assert math.isnan(found["h.half_life"])
    assert found["probe.nonfinite"] == 0
    one = trace(layer, probe(), linear).layers[0]
    assert omega(one).tolist() == [1.0] * 3  # one step with a gradient, of which nothing is kept
    factors = step_factors(one).set_index("lag")
    assert factors["n"].tolist() == [3] + [0] * 19
    assert factors["median"][0] == -math.inf


def test_a_fit_needs_lags_that_are_alive():
    curve = pd.DataFrame({"lag": range(9), "median": [0.0, -1, -2, -3, *[-math.inf] * 5]})
    assert half_life(curve) == pytest.approx(math.log10(2))
    assert math.isnan(half_life(curve, 2))


def test_what_does_not_differ_between_those_that_test_is_not_decoded():
    torch.manual_seed(0)
    x = torch.randn(160, 6, 2)
    x[:, :, 0] = 0.1  # whose mean is not 0.1 to the last digit
    constant = Batch(x, None, torch.full((160,), 0.7))
    silent = Batch(torch.full_like(x, 0.1), None, torch.randn(160))
    layer = nn.RNN(2, 3, batch_first=True)
    read = linear_decoding(layer, constant, [1.0], [0])
    assert read.loc[read["of"] == "target", "r2"].isna().all()
    assert read.loc[read["of"] == "input", "r2"].notna().all()
    read = linear_decoding(layer, silent, [1.0], [0])
    assert read.loc[read["of"] == "input", "r2"].isna().all()
