"""States and all gradients are those of cells in float64, and as exact as torch's own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from gradreach.kernels.suitability import WIDEST

from .unrolled import KINDS, accelerated, make, three

OUTPUTS = ("states", "last")


def check(ours, torchs, exact, *, chaos: float = 0.0) -> None:
    """``chaos`` allows for what differs by chance where weights are large."""
    assert list(ours) == list(torchs) == list(exact)
    for name, truth in exact.items():
        error, theirs = ((part[name].double() - truth) for part in (ours, torchs))
        if name in OUTPUTS:
            assert error.abs().max() <= 1e-6 + chaos * theirs.abs().max(), name
        else:
            size = truth.norm()
            assert error.norm() <= 1e-5 * size + chaos * theirs.norm() + 1e-30, name
            assert error.norm() <= (2 + chaos) * theirs.norm() + 5e-7 * size + 1e-30, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("batch", "length", "d_in", "width"),
    [(1, 1, 1, 1), (5, 1, 3, 8), (1, 20, 2, 16), (16, 64, 1, 32), (64, 12, 40, 64), (3, 9, 2, WIDEST)],
)
def test_states_and_gradients_are_those_of_cells_in_float64(kind, batch, length, d_in, width):
    torch.manual_seed(batch + length)
    check(*three(kind, make(kind, d_in, width), torch.randn(batch, length, d_in)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("started", [True, False])
def test_so_they_are_in_every_form_of_a_call(kind, batch_first, bias, started):
    torch.manual_seed(0)
    layer = make(kind, 2, 5, batch_first=batch_first, bias=bias)
    x = torch.randn(*((7, 30) if batch_first else (30, 7)), 2)
    check(*three(kind, layer, x, torch.randn(1, 7, 5) if started else None))


@given(
    kind=st.sampled_from(("tanh", "gru")),
    length=st.integers(1, 6),
    batch=st.integers(1, 5),
    width=st.integers(1, 6),
    scale=st.sampled_from([1e-3, 1.0, 4.0]),
    bias=st.sampled_from([0.0, -12.0, 12.0, -40.0, 80.0, -200.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_so_they_are_with_saturated_weights(kind, length, batch, width, scale, bias, seed):
    torch.manual_seed(seed)
    layer = make(kind, 2, width)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(scale)
        layer.bias_ih_l0[: math.ceil(len(layer.bias_ih_l0) * 2 / 3)] += bias  # of a GRU: both gates
    check(*three(kind, layer, torch.randn(batch, length, 2)), chaos=3)


def test_a_closed_gate_lets_through_what_torchs_lets_through():
    """A σ made of tanh is wrong by a hundredth at -12, where a gate stands under chrono initialization."""
    torch.manual_seed(0)
    layer = make("gru", 1, 4)
    with torch.no_grad():
        layer.bias_ih_l0[4:8] = -12
    ours, torchs, exact = three("gru", layer, torch.randn(2, 6, 1), torch.randn(1, 2, 4))
    for found in (ours, torchs):
        assert (found["start"] / exact["start"] - 1).abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["x", "start", "weight_hh_l0", "bias_ih_l0"])
def test_what_is_not_a_number_stays_none(kind, poison, where):
    torch.manual_seed(0)
    layer = make(kind, 2, 4)
    x, start = torch.randn(3, 5, 2), torch.randn(1, 3, 4)
    target = {"x": x, "start": start}.get(where)
    with torch.no_grad():
        (getattr(layer, where) if target is None else target).view(-1)[1] = poison
    ours, torchs, _ = three(kind, layer, x, start)
    for name, theirs in torchs.items():
        assert torch.equal(ours[name].isnan(), theirs.isnan()), name
        assert torch.equal(ours[name].isinf(), theirs.isinf()), name


def test_a_rectifier_that_explodes_does_so_as_torchs():
    torch.manual_seed(0)
    layer = make("relu", 1, 4)
    torch.nn.init.constant_(layer.weight_hh_l0, 30.0)
    ours, torchs, _ = three("relu", layer, torch.rand(2, 40, 1))
    assert ours["states"].isinf().any()
    for name, theirs in torchs.items():
        finite = theirs.isfinite()
        assert torch.equal(ours[name].isfinite(), finite), name
        torch.testing.assert_close(ours[name][finite], theirs[finite])


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_tanh_and_sigmoid_are_right_everywhere(name):
    from numba import njit

    from gradreach.kernels import loops

    function = getattr(loops, name)

    @njit(error_model="numpy", fastmath={"contract"})
    def each(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    x = np.concatenate([np.linspace(-120, 120, 200_001), np.linspace(-2, 2, 100_001), [1e-30, 1e30, -1e30]])
    x = x.astype(np.float32)
    out = np.empty_like(x)
    each(x, out)
    exact = (np.tanh if name == "tanh" else expit)(x.astype(np.float64))
    normal = np.abs(exact) > 1e-37
    assert np.abs(out[normal] / exact[normal] - 1).max() < 2e-7
    assert np.abs(out - exact)[~normal].max() < 1e-37
    special = np.array([np.nan, np.inf, -np.inf, 0], np.float32)
    each(special, special)
    np.testing.assert_array_equal(special, [np.nan, 1, -1, 0] if name == "tanh" else [np.nan, 1, 0, 0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_bits_do_not_depend_on_where_the_input_lies(kind):
    torch.manual_seed(0)
    layer = accelerated(make(kind, 3, 32))
    x = torch.randn(16, 50, 3)
    seen = []
    for offset in range(5):
        moved = torch.empty(x.numel() + 8)[offset : offset + x.numel()].view_as(x).copy_(x)
        states, _ = layer(moved)
        seen.append([states, *torch.autograd.grad(states.sum(), list(layer.parameters()))])
    for other in seen[1:]:
        for first, again in zip(seen[0], other, strict=True):
            assert torch.equal(first, again)
