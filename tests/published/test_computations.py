"""The instrument's exponents and fields, against loops that share nothing with it."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from gradreach.published.computations import FUNCTIONS
from gradreach.published.computations.spectra import along, drawn, mean_exponent, summary
from gradreach.tasks import MNIST1D


def by_a_plain_loop(weights, state, steps, turn):
    """All exponents by NumPy's QR, forwards in time."""
    weights, h = weights.numpy(), state.numpy()
    q = np.linalg.qr(np.random.default_rng(1).standard_normal(weights.shape))[0]
    logs = []
    for _ in range(steps + turn):
        h = np.tanh(weights @ h)
        q, r = np.linalg.qr((1 - h**2)[:, None] * weights @ q)
        logs.append(np.log(np.abs(np.diag(r))))
    return np.sort(np.mean(logs[turn:], axis=0))[::-1]


def test_the_spectrum_of_a_chaotic_network_is_that_of_a_plain_loop():
    weights, state = drawn(0, 2.0, 16, settle=100)
    plain = by_a_plain_loop(weights, state, 1500, 100)
    ours = along(weights, state, 1600, 16, 100).numpy()
    assert ours == pytest.approx(plain, abs=0.06)  # rounding parts the two trajectories
    assert mean_exponent(weights, state, 1600, 1500) == pytest.approx(plain.mean(), abs=0.03)


def test_the_mean_of_all_exponents_is_finite_where_units_are_saturated():
    weights, state = drawn(0, 30.0, 16, settle=20)
    assert bool(((weights @ state).abs() > 20).any())  # tanh' is 0 in float64
    assert math.isfinite(mean_exponent(weights, state, 200, 200))


def test_a_spectrum_is_summarized_as_by_hand():
    found = summary(torch.tensor([0.3, 0.1, -0.2, -0.4]), size=8)
    assert found["fraction_positive"] == 2 / 8
    assert found["entropy_rate"] == pytest.approx(0.4 / 8)
    assert found["ky_dimension"] == pytest.approx((3 + 0.2 / 0.4) / 8)
    assert math.isnan(summary(torch.tensor([0.3, 0.1]), size=8)["ky_dimension"])


def test_the_trend_in_one_over_n_is_a_straight_line():
    found = FUNCTIONS["chaotic_spectrum"](0, gain=3.0, sizes=[16, 32], at=64, steps=50, settle=20, turn=10)
    one, two, there = (found[name] for name in ("max_exponent_16", "max_exponent_32", "max_exponent"))
    assert there == pytest.approx(two + (two - one) * (1 / 64 - 1 / 32) / (1 / 32 - 1 / 16))


def test_at_rest_the_exponents_are_the_logarithms_of_eigenvalues():
    found = FUNCTIONS["spectrum_at_rest"](0, gain=0.5, size=16, below=[math.log(0.5)], steps=2000, settle=200)
    sizes = torch.linalg.eigvals(drawn(0, 0.5, 16, 0)[0]).abs()
    assert found["below_0"] == float((sizes < 0.25).double().mean())
    assert found["mean_exponent"] == pytest.approx(float(sizes.log().mean()), abs=1e-6)


def test_the_henon_map_contracts_areas_by_its_b():
    found = FUNCTIONS["henon_exponents"](0, steps=1000)
    assert found["sum"] == pytest.approx(math.log(0.3), abs=1e-9)
    assert found["first"] == pytest.approx(0.42, abs=0.05)


def test_saitos_norms_are_those_of_his_lines():
    random = np.random.RandomState(3)
    weights, dh = random.randn(3, 3), np.ones((2, 3))
    for _ in range(20):
        dh = dh @ weights.T
    assert FUNCTIONS["saito_gradients"](0)["norm_20"] == pytest.approx(np.sqrt((dh**2).sum()) / 2, rel=1e-12)


def test_uniform_kernels_look_as_wide_as_luo_says():
    for layers, kernel_size in ((3, 5), (7, 3)):
        found = FUNCTIONS["uniform_kernels"](0, kernel_size=kernel_size, layers=layers)
        assert found["variance"] == pytest.approx(layers * (kernel_size**2 - 1) / 12)


def test_a_tcn_sees_as_far_as_its_formula_says():
    assert FUNCTIONS["tcn_receptive_field"](0, kernel_size=3, layers=4) == {"measured": 61.0, "formula": 61.0}


def test_a_draw_depends_on_its_seed_alone():
    one, again, other = (
        FUNCTIONS["random_kernels"](seed, kernel_size=3, depths=[2, 4], channels=2) for seed in (20, 20, 21)
    )
    assert one == again
    assert one != other


def test_the_trial_of_mnist1d_takes_its_batches_in_the_order_of_the_file():
    """Two steps: the first and the second hundred signals, from torch's initialization at that seed."""
    task = MNIST1D()
    task.prepare(Path())
    arrays = {name: torch.from_numpy(array) for name, array in task.prepared.arrays().items()}
    state = torch.get_rng_state()
    found = FUNCTIONS["mnist1d_gru"](20, steps=1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(20)
    gru, linear = torch.nn.GRU(1, 6, batch_first=True, bidirectional=True), torch.nn.Linear(480, 10)
    optimizer = torch.optim.Adam([*gru.parameters(), *linear.parameters()], lr=0.01)

    def scores(x):
        return linear(gru(x[:, :, None])[0].reshape(len(x), -1))

    for first in (0, 100):
        optimizer.zero_grad()
        x, y = arrays["x"][first : first + 100], arrays["y"][first : first + 100]
        torch.nn.functional.cross_entropy(scores(x), y).backward()
        optimizer.step()
    right = (scores(arrays["x_test"]).argmax(1) == arrays["y_test"]).double().mean()
    assert found == {"accuracy": pytest.approx(float(right)), "accuracy_1": pytest.approx(float(right))}
    assert FUNCTIONS["mnist1d_gru"](20, steps=1, shuffled=True) != found
