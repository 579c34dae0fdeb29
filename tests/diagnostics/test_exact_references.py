"""The instrument against computations that share nothing with it: closed forms, sixty digits, Jacobians of our own."""

import math

import mpmath
import pytest
import torch
from torch import nn

from gradreach.diagnostics import gradient_profile, lyapunov_spectrum, trace
from gradreach.diagnostics.profile import profile_of
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


def slope(layer, batch, quantity):
    """Return ln of the factor from one lag to the next, of the middle of the curve."""
    curve = gradient_profile(layer, batch, last).query(f"quantity == {quantity!r}").set_index("lag")["median"]
    return math.log(10) * (curve[30] - curve[10]) / 20


# (a) the profile of a tanh RNN, below any float: every step written out with sixty digits


def test_a_profile_past_underflow_is_that_of_sixty_digits():
    torch.manual_seed(0)
    layer = nn.RNN(2, 3, batch_first=True).double()
    set_all(layer, weight_hh_l0=layer.weight_hh_l0 * 0.02)
    batch = probe(layer, length=160, batch=1)
    with mpmath.workdps(60):
        w_ih, w_hh = (mpmath.matrix(getattr(layer, name).tolist()) for name in ("weight_ih_l0", "weight_hh_l0"))
        bias = mpmath.matrix((layer.bias_ih_l0 + layer.bias_hh_l0).tolist())
        state, slopes = mpmath.zeros(3, 1), []
        for step in batch.x[0].tolist():
            state = (w_ih * mpmath.matrix(step) + w_hh * state + bias).apply(mpmath.tanh)
            slopes.append(mpmath.diag([1 - each**2 for each in state]))
        adjoint, norms = mpmath.ones(3, 1), []
        for derivative in reversed(slopes):
            norms.append(mpmath.log10(mpmath.norm(adjoint)))
            adjoint = w_hh.T * (derivative * adjoint)
    found = gradient_profile(layer, batch, last).query("quantity == 'h'")["median"].to_numpy()
    assert float(norms[-1]) < -330, "below the smallest float64"
    assert found == pytest.approx([float(norm) for norm in norms], rel=1e-9, abs=1e-9)


# (b) rectifiers that stay positive: powers of a matrix


def test_rectifiers_that_stay_positive_are_powers_of_their_matrix():
    torch.manual_seed(0)
    layer = nn.RNN(1, WIDTH, nonlinearity="relu", batch_first=True).double()
    set_all(layer, weight_hh_l0=torch.rand(WIDTH, WIDTH) / WIDTH, weight_ih_l0=1.0, bias_ih_l0=1.0, bias_hh_l0=1.0)
    batch = Batch(torch.rand(1, STEPS, 1).double(), None, torch.zeros(1))
    with mpmath.workdps(60):
        matrix, vector = mpmath.matrix(layer.weight_hh_l0.tolist()).T, mpmath.ones(WIDTH, 1)
        norms = [float(mpmath.log10(mpmath.norm(matrix**k * vector))) for k in range(STEPS)]
    found = gradient_profile(layer, batch, last).query("quantity == 'h'")["median"].to_numpy()
    assert found == pytest.approx(norms, rel=1e-12, abs=1e-12)


# (c) gates that hear nothing of the state


@pytest.mark.parametrize("bias", [-2.0, 0.0, 3.0])
def test_an_lstm_that_hears_only_its_bias_multiplies_by_its_forget_gate(bias):
    layer = nn.LSTM(1, WIDTH, batch_first=True).double()
    starts = torch.zeros(4 * WIDTH)
    starts[WIDTH : 2 * WIDTH] = bias
    set_all(layer, weight_hh_l0=0.0, weight_ih_l0=0.0, bias_hh_l0=0.0, bias_ih_l0=starts)
    batch = probe(layer)
    assert slope(layer, batch, "c") == pytest.approx(math.log(torch.tensor(bias).double().sigmoid()), rel=1e-12)


@pytest.mark.parametrize("bias", [-2.0, 0.0, 3.0])
def test_a_gru_that_hears_only_its_bias_multiplies_by_its_update_gate(bias):
    layer = nn.GRU(1, WIDTH, batch_first=True).double()
    starts = torch.zeros(3 * WIDTH)
    starts[WIDTH : 2 * WIDTH] = bias
    set_all(layer, weight_hh_l0=0.0, weight_ih_l0=0.0, bias_hh_l0=0.0, bias_ih_l0=starts)
    assert slope(layer, probe(layer), "h") == pytest.approx(math.log(torch.tensor(bias).double().sigmoid()), rel=1e-12)


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


# (d) and (e) again, where every step has another matrix, drawn, in a drawn basis: no two of them commute


class Driven(nn.Module):
    """A linear layer whose input is the matrix of each step."""

    input_size = WIDTH * WIDTH

    def initial_state(self, batch, device, dtype):
        return torch.ones(batch, WIDTH, device=device, dtype=dtype)

    def step(self, x_t, state):
        return (x_t.view(-1, WIDTH, WIDTH) @ state.unsqueeze(2)).squeeze(2)

    def forward(self, x):
        states = [self.initial_state(len(x), x.device, x.dtype)]
        for x_t in x.unbind(1):
            states.append(self.step(x_t, states[-1]))
        return torch.stack(states[1:], 1)


def driven_by(matrices):
    """Return one sequence that hands these matrices, ``(steps, width, width)``, to the layer, and its loss."""
    first, second = matrices[:2]
    assert not torch.allclose(first @ second, second @ first)
    return Batch(matrices.flatten(1).unsqueeze(0), None, torch.zeros(1)), lambda output, target: output[:, -1].sum(1)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.01])
def test_rotations_that_do_not_commute_have_one_exponent_and_an_exponential_profile(factor):
    torch.manual_seed(0)
    rotations, _ = torch.linalg.qr(torch.randn(STEPS, WIDTH, WIDTH).double())
    batch, loss = driven_by(factor * rotations)
    found = lyapunov_spectrum(trace(Driven(), batch, loss).layers[0], transient=0)
    assert torch.allclose(found, torch.full_like(found, math.log(factor)), atol=1e-12)
    curve = gradient_profile(Driven(), batch, loss).query("quantity == 'h'")["median"].to_numpy()
    expected = [math.log10(math.sqrt(WIDTH) * factor**lag) for lag in range(STEPS)]
    assert curve == pytest.approx(expected, rel=1e-12, abs=1e-12)


DIAGONAL = torch.tensor([1.2, 0.9, 0.6, 0.3, 0.1]).double()


def test_triangles_that_do_not_commute_have_the_exponents_of_their_diagonals_in_any_basis():
    torch.manual_seed(0)
    steps = 1000
    diagonals = DIAGONAL * torch.exp(0.3 * torch.randn(steps, WIDTH).double())
    triangles = torch.tril(0.3 * torch.randn(steps, WIDTH, WIDTH).double(), -1) + torch.diag_embed(diagonals)
    basis, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH).double())
    batch, loss = driven_by(basis @ triangles @ basis.T)
    found = lyapunov_spectrum(trace(Driven(), batch, loss).layers[0], transient=0)[0]
    logs = diagonals.log().mean(0)
    assert found.tolist() == pytest.approx(logs.tolist(), abs=0.01)
    assert found.sum() == pytest.approx(float(logs.sum()), rel=1e-9)


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


# (f) and (h) Jacobians of our own, by autograd, forwards


def jacobians(layer, x):
    """Return the Jacobian of every step of one sequence: states as cells compute them, derivatives by autograd."""
    kind = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell}.get(layer.mode, nn.RNNCell)
    cell = kind(layer.input_size, layer.hidden_size).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})

    def step(state, given):
        if layer.mode == "LSTM":
            return torch.cat(cell(given, state.split(layer.hidden_size)))
        return cell(given, state)

    state = torch.zeros(layer.hidden_size * (2 if layer.mode == "LSTM" else 1)).double()
    for given in x:
        yield torch.autograd.functional.jacobian(lambda state, given=given: step(state, given), state)
        state = step(state, given).detach()


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_exponents_are_those_of_a_decomposition_that_runs_forwards(kind):
    torch.manual_seed(0)
    layer = kind(2, WIDTH, batch_first=True).double()
    batch = probe(layer, length=400, batch=1, scale=0.5)
    q, logs, determinants = None, [], []
    for matrix in jacobians(layer, batch.x[0]):
        q = torch.eye(len(matrix)).double() if q is None else q
        q, triangle = torch.linalg.qr(matrix @ q)
        logs.append(triangle.diagonal().abs().log())
        determinants.append(torch.linalg.slogdet(matrix)[1])
    forwards = torch.stack(logs).mean(0).sort(descending=True)[0]
    found = lyapunov_spectrum(traced(layer, batch), transient=0)[0]
    assert found.sum() == pytest.approx(float(torch.stack(determinants).mean()), rel=1e-9)
    # the two directions start from other vectors, whose trace is lost as 1 / steps
    assert torch.allclose(found, forwards, atol=0.02)


def test_the_profile_is_the_product_of_these_jacobians():
    torch.manual_seed(0)
    layer = nn.LSTM(2, WIDTH, batch_first=True).double()
    batch = probe(layer, batch=1)
    adjoint = torch.cat([torch.ones(WIDTH), torch.zeros(WIDTH)]).double()
    norms = []
    for matrix in reversed(list(jacobians(layer, batch.x[0]))):
        norms.append(math.log10(adjoint[:WIDTH].norm()))
        adjoint = matrix.T @ adjoint
    found = profile_of(trace(layer, batch, last)).query("quantity == 'h'")["median"].to_numpy()
    assert found == pytest.approx(norms, rel=1e-12, abs=1e-12)


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
