"""The instrument against computations that share nothing with it: closed forms, sixty digits, Jacobians of our own."""

import math

import mpmath
import pytest
import torch
from torch import nn

from gradreach.diagnostics import lyapunov_spectrum, references, trace
from gradreach.tasks import Batch

STEPS, WIDTH = 40, 5


def last(output, target):
    return output[0][:, -1].sum(1)


def probe(layer, length=STEPS, batch=3, scale=1.0):
    torch.manual_seed(1)
    return Batch(scale * torch.randn(batch, length, layer.input_size).double(), None, torch.zeros(batch))


def traced(layer, batch):
    return trace(layer, batch, last).layers[0]


def set_all(layer, **values):
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).copy_(torch.as_tensor(value, dtype=torch.float64).expand_as(getattr(layer, name)))
    return layer


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("digits_of_a_tanh_rnn", 1e-12),
        ("powers_of_a_rectifier", 1e-12),
        ("multiples_of_rotations", 1e-12),
        ("triangles_in_a_basis", 0.01),  # over 1,000 steps; their start leaves a trace of some 1 / steps
        ("determinants", 1e-9),
        ("saitos_table", 1e-12),
        ("forward_decompositions", 0.02),  # over 400 steps, likewise
    ],
)
def test_the_instrument_agrees_with_what_is_known_without_it(name, near):
    assert getattr(references, name)() < near


@pytest.mark.parametrize("bias", [-2.0, 0.0, 3.0])
def test_an_lstm_that_hears_only_its_bias_multiplies_by_its_forget_gate(bias):
    assert references.constant_gate(nn.LSTM, bias) < 1e-12


@pytest.mark.parametrize("bias", [-2.0, 0.0, 3.0])
def test_a_gru_that_hears_only_its_bias_multiplies_by_its_update_gate(bias):
    assert references.constant_gate(nn.GRU, bias) < 1e-12


def test_the_profile_is_the_product_of_these_jacobians():
    assert references.products_of_own_jacobians() < 1e-12


@pytest.mark.parametrize("function", ["profile_of", "lyapunov_spectrum"])
def test_an_instrument_that_is_off_by_a_thousandth_is_found(monkeypatch, function):
    true = getattr(references, function)

    def off(*args, **options):
        found = true(*args, **options)
        return found.assign(median=found["median"] * 1.001) if function == "profile_of" else found * 1.001

    monkeypatch.setattr(references, function, off)
    names = {"profile_of": ["digits_of_a_tanh_rnn", "saitos_table"], "lyapunov_spectrum": ["determinants"]}
    for name in names[function]:
        assert getattr(references, name).__wrapped__() > 1e-4, "recomputed"
    assert references.apart([math.nan], [0.0]) == math.inf


def test_references_leave_the_generator_of_whoever_asks_alone():
    torch.manual_seed(7)
    references.saitos_table.cache_clear()
    references.saitos_table()
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert torch.rand(1) == drawn


# (d) and (e) matrices whose exponents are known


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0])
def test_a_multiple_of_a_rotation_has_one_exponent(factor):
    torch.manual_seed(0)
    layer = nn.RNN(1, WIDTH, batch_first=True).double()
    rotation, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH).double())
    set_all(layer, weight_hh_l0=factor * rotation, weight_ih_l0=0.0, bias_ih_l0=0.0, bias_hh_l0=0.0)
    found = lyapunov_spectrum(traced(layer, probe(layer)), transient=0)
    assert torch.allclose(found, torch.full_like(found, math.log(factor)), atol=1e-12)


def test_a_triangle_has_the_exponents_of_its_diagonal():
    torch.manual_seed(0)
    layer = nn.RNN(1, WIDTH, batch_first=True).double()
    diagonal = torch.tensor([0.9, 0.7, 0.5, 0.3, 0.1]).double()
    triangle = torch.tril(torch.randn(WIDTH, WIDTH).double(), -1) + torch.diag(diagonal)
    set_all(layer, weight_hh_l0=triangle, weight_ih_l0=0.0, bias_ih_l0=0.0, bias_hh_l0=0.0)
    found = lyapunov_spectrum(traced(layer, probe(layer, length=3000, batch=1)))
    assert found[0].tolist() == pytest.approx(diagonal.log().tolist(), abs=5e-3)


DIAGONAL = torch.tensor([1.2, 0.9, 0.6, 0.3, 0.1]).double()


def test_a_tanh_rnn_that_hears_its_input_has_the_exponents_of_its_triangle_and_its_slopes():
    """J_t = diag(1 − h_t²) W is triangular where W is, and another matrix at every step."""
    torch.manual_seed(0)
    layer = nn.RNN(2, WIDTH, batch_first=True).double()
    triangle = torch.tril(0.3 * torch.randn(WIDTH, WIDTH).double(), -1) + torch.diag(DIAGONAL)
    set_all(layer, weight_hh_l0=triangle)
    batch = probe(layer, length=2000, batch=1)
    slopes = 1 - layer(batch.x)[0][0].detach() ** 2
    assert slopes.std(0).min() > 0.05
    logs = (slopes * DIAGONAL).log().mean(0).sort(descending=True)[0]
    found = lyapunov_spectrum(traced(layer, batch), transient=0)[0]
    assert found.tolist() == pytest.approx(logs.tolist(), abs=0.01)
    assert found.sum() == pytest.approx(float(logs.sum()), rel=1e-9)


# what the founding notes derive in §4: a product without its matrix, and a curve


def test_without_the_recurrent_matrix_the_product_is_not_what_the_gradient_goes_through():
    torch.manual_seed(0)
    layer, batch = nn.RNN(2, WIDTH, batch_first=True).double(), probe(nn.RNN(2, WIDTH), length=7, batch=1)
    states, first = layer(batch.x)[0][0].detach(), layer(batch.x[:, :1])[0][0, 0].detach()
    whole, printed = torch.eye(WIDTH).double(), torch.eye(WIDTH).double()
    for state in states[1:]:
        slope = torch.diag(1 - state**2)
        whole, printed = slope @ layer.weight_hh_l0.detach() @ whole, slope @ printed
    truth = torch.autograd.functional.jacobian(lambda h: layer(batch.x[:, 1:], h.view(1, 1, -1))[0][0, -1], first)
    assert torch.allclose(whole, truth, rtol=1e-10, atol=1e-15)
    assert torch.linalg.matrix_norm(printed - truth) > torch.linalg.matrix_norm(truth)


def test_the_curve_that_the_notes_print_never_comes_near_one():
    """``tanh'(x) σ(x)`` is flat where ``2 tanh x = 1 − σ(x)``."""

    def curve(x):
        return (1 - mpmath.tanh(x) ** 2) * mpmath.sigmoid(x)

    top = mpmath.findroot(lambda x: 2 * mpmath.tanh(x) - 1 + mpmath.sigmoid(x), 0.2)
    assert float(curve(top)) == pytest.approx(0.5288, abs=1e-4)
    assert max(curve(x / 100) for x in range(-1000, 1001)) <= curve(top)
    assert max(curve(-10), curve(10)) < 1e-8
