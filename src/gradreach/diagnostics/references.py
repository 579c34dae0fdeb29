"""Deviations of the instrument from independent references: closed forms, sixty digits, separate Jacobians.

Every function measures something with an independently known truth, and returns the largest disagreement: relative
where the number is above 1, else absolute. They draw from seed 0, take no settings, and are computed once.

>>> digits_of_a_tanh_rnn() < 1e-12
True
"""

import math
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal, localcontext
from functools import cache, wraps
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradreach.batch import Batch
from gradreach.diagnostics.products import lyapunov_spectrum
from gradreach.diagnostics.profile import profile_of
from gradreach.diagnostics.trace import LayerTrace, trace

WIDTH, STEPS = 5, 40
FACTORS = (0.5, 0.9, 1.0, 1.01)
SAITO = {1: 2.4684068094579303, 20: 249.495615421267}
"""Norm by lag (source: K. Saito, Deep Learning 2, 2018, section 6.1, of two rows of ones, divided by their number)."""


def seeded(measure: Callable[[], float]) -> Callable[[], float]:
    """Return a function that draws from seed 0, leaves the caller's generator alone, and is called once."""

    @cache
    @wraps(measure)
    def once() -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return measure()

    return once


@seeded
def digits_of_a_tanh_rnn() -> float:
    """(a) The profile of a tanh RNN, to far below the smallest float: every step written out in sixty digits."""
    layer = nn.RNN(2, 3, batch_first=True).double()
    nn.init.uniform_(weights(layer, "weight_hh_l0"), -0.012, 0.012)
    batch = probe(layer, length=160)
    with localcontext(prec=60):
        w_ih, w_hh = exact(weights(layer, "weight_ih_l0")), exact(weights(layer, "weight_hh_l0"))
        bias = exact(weights(layer, "bias_ih_l0")) + exact(weights(layer, "bias_hh_l0"))
        state, slopes = exact(torch.zeros(3)), []
        for step in exact(batch.x[0]):
            e = np.array([(2 * each).exp() for each in w_ih @ step + w_hh @ state + bias])
            state = (e - 1) / (e + 1)
            slopes.append(1 - state**2)
        adjoint, norms = exact(torch.ones(3)), []
        for slope in reversed(slopes):
            norms.append(log10_norm(adjoint))
            adjoint = w_hh.T @ (slope * adjoint)
    assert norms[-1] < -330, "not below the smallest float64"
    return apart(profile(layer, batch), norms)


@seeded
def powers_of_a_rectifier() -> float:
    """(b) Rectifiers that stay positive are linear: their profile is that of powers of a matrix, in sixty digits."""
    layer = set_all(nn.RNN(1, WIDTH, nonlinearity="relu", batch_first=True), weight_ih_l0=1, bias_ih_l0=1, bias_hh_l0=1)
    nn.init.uniform_(weights(layer, "weight_hh_l0"), 0, 1 / WIDTH)
    batch = Batch(torch.rand(1, STEPS, 1).double(), None, torch.zeros(1))
    with localcontext(prec=60):
        vector, norms = exact(torch.ones(WIDTH)), []
        for _ in range(STEPS):
            norms.append(log10_norm(vector))
            vector = exact(weights(layer, "weight_hh_l0")).T @ vector
    return apart(profile(layer, batch), norms)


def constant_gate(kind: type[nn.LSTM] | type[nn.GRU], bias: float) -> float:
    """(c) An LSTM that reads only its bias multiplies by f = σ(bias), a GRU by z: the error of one step."""
    layer = kind(1, WIDTH, batch_first=True)
    set_all(layer, weight_hh_l0=0, weight_ih_l0=0, bias_hh_l0=0, bias_ih_l0=0)
    nn.init.constant_(weights(layer, "bias_ih_l0").detach()[WIDTH : 2 * WIDTH], bias)
    curve = profile(layer, probe(layer), "c" if kind is nn.LSTM else "h")
    return abs(10 ** ((curve[30] - curve[10]) / 20) * (1 + math.exp(-bias)) - 1)


@seeded
def constant_gates() -> float:
    """(c) Gates that stand nearly closed, half open and nearly open."""
    return max(constant_gate(kind, bias) for kind in (nn.LSTM, nn.GRU) for bias in (-2.0, 0.0, 3.0))


@seeded
def multiples_of_rotations() -> float:
    """(d) c times a rotation, another one at every step: all exponents are ln c, and the profile is √width · c^lag."""
    rotations, _ = torch.linalg.qr(torch.randn(STEPS, WIDTH, WIDTH).double())
    off = []
    for factor in FACTORS:
        layer, batch = Driven(WIDTH), driven_by(factor * rotations)
        off.append(apart(exponents(layer, batch), [math.log(factor)] * WIDTH))
        norms = [math.log10(math.sqrt(WIDTH) * factor**lag) for lag in range(STEPS)]
        off.append(apart(profile(layer, batch), norms))
    return max(off)


@seeded
def triangles_in_a_basis() -> float:
    """(e) Triangles in a drawn basis, another at every step: exponents are the mean logarithms of their diagonals.

    The initial vectors are not in that basis, and what that does is lost as 1 / steps.
    """
    steps = 1000
    diagonals = torch.tensor([1.2, 0.9, 0.6, 0.3, 0.1]).double() * torch.exp(0.3 * torch.randn(steps, WIDTH).double())
    triangles = torch.tril(0.3 * torch.randn(steps, WIDTH, WIDTH).double(), -1) + torch.diag_embed(diagonals)
    basis, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH).double())
    return apart(exponents(Driven(WIDTH), driven_by(basis @ triangles @ basis.T)), diagonals.log().mean(0).tolist())


@seeded
def determinants() -> float:
    """(f) The exponents add up to the mean of ln |det J|, J by autograd: at every length, from whatever vectors."""
    return max(
        apart([sum(exponents(layer, batch))], [float(torch.linalg.slogdet(torch.stack(matrices))[1].mean())])
        for layer, batch, matrices in of_every_kind(length=STEPS)
    )


@seeded
def saitos_table() -> float:
    """(g) The norms that K. Saito's book prints of the powers of a drawn 3×3 matrix."""
    matrix = torch.tensor(np.random.RandomState(3).randn(3, 3)).T
    curve = profile(Driven(3), driven_by(matrix.expand(max(SAITO) + 1, 3, 3)))
    rows = math.sqrt(2)  # the square root of the sum over two rows, halved
    return apart([10 ** curve[lag] / rows for lag in SAITO], [*SAITO.values()])


@seeded
def products_of_own_jacobians() -> float:
    """(h) The profile is the product of the Jacobians of every step, by autograd, from cells that run forwards."""
    off = []
    for layer, batch, matrices in of_every_kind(length=STEPS):
        adjoint, norms = torch.zeros(len(matrices[0])).double(), []
        adjoint[:WIDTH] = 1
        for matrix in reversed(matrices):
            norms.append(math.log10(adjoint[:WIDTH].norm()))
            adjoint = matrix.T @ adjoint
        off.append(apart(profile(layer, batch), norms))
    return max(off)


@seeded
def forward_decompositions() -> float:
    """(h) The exponents are those of a QR that runs forwards, with these Jacobians.

    The two directions have other initial vectors, whose trace is lost as 1 / steps.
    """
    off = []
    for layer, batch, matrices in of_every_kind():
        q, logs = torch.eye(len(matrices[0])).double(), []
        for matrix in matrices:
            q, triangle = torch.linalg.qr(matrix @ q)
            logs.append(triangle.diagonal().abs().log())
        off.append(apart(exponents(layer, batch, None), torch.stack(logs).mean(0).tolist()))
    return max(off)


EVERY = (
    digits_of_a_tanh_rnn,
    powers_of_a_rectifier,
    constant_gates,
    multiples_of_rotations,
    triangles_in_a_basis,
    determinants,
    saitos_table,
    products_of_own_jacobians,
    forward_decompositions,
)


def disagreements(instrument: Any, traced: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """Measure all of them, whatever the model: a quantity for ``diagnostics.own``, so that verdicts rest on records.

    >>> scalars, tables = disagreements(None, None)
    >>> scalars["reference.saitos_table"] < 1e-12, tables
    (True, {})
    """
    return {f"reference.{measure.__name__}": measure() for measure in EVERY}, {}


class Driven(nn.Module):
    """A linear layer whose input is the matrix of each step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def initial_state(self, batch: int, device: Any, dtype: Any) -> Tensor:
        """Return ones."""
        return torch.ones(batch, self.width, device=device, dtype=dtype)

    def step(self, x_t: Tensor, state: Tensor) -> Tensor:
        """Multiply the state by the input."""
        return (x_t.view(-1, self.width, self.width) @ state.unsqueeze(2)).squeeze(2)

    def forward(self, x: Tensor) -> Tensor:
        """Return all states."""
        states = [self.initial_state(len(x), x.device, x.dtype)]
        for x_t in x.unbind(1):
            states.append(self.step(x_t, states[-1]))
        return torch.stack(states[1:], 1)


def last(output: Tensor | tuple[Tensor, Any], target: Tensor) -> Tensor:
    """Return the sum of the last state, whose gradient is one everywhere."""
    return (output[0] if isinstance(output, tuple) else output)[:, -1].sum(1)


def probe(layer: nn.RNNBase, length: int = STEPS, scale: float = 1.0) -> Batch:
    """Return one drawn sequence."""
    return Batch(scale * torch.randn(1, length, layer.input_size).double(), None, torch.zeros(1))


def driven_by(matrices: Tensor) -> Batch:
    """Return one sequence that hands these matrices, ``(steps, width, width)``, to ``Driven``."""
    return Batch(matrices.flatten(1).unsqueeze(0), None, torch.zeros(1))


def set_all(layer: nn.RNNBase, **values: float) -> nn.RNNBase:
    """Fill parameters of a layer, which is made float64."""
    for name, value in values.items():
        nn.init.constant_(weights(layer.double(), name), value)
    return layer


def weights(layer: nn.RNNBase, name: str) -> Tensor:
    """Return a parameter by its name."""
    return layer.get_parameter(name)


def traced(layer: nn.Module, batch: Batch) -> LayerTrace:
    """Return the trace of a layer."""
    return trace(layer, batch, last).layers[0]


def profile(layer: nn.Module, batch: Batch, quantity: str = "h") -> list[float]:
    """Return log10 of the norm by lag, measured by the instrument."""
    found = profile_of(trace(layer, batch, last))
    return found.loc[found["quantity"] == quantity, "median"].tolist()


def exponents(layer: nn.Module, batch: Batch, transient: int | None = 0) -> list[float]:
    """Return all exponents, measured by the instrument."""
    return lyapunov_spectrum(traced(layer, batch), transient=transient)[0].tolist()


def of_every_kind(length: int = 400) -> Iterator[tuple[nn.RNNBase, Batch, list[Tensor]]]:
    """Yield an RNN, a GRU and an LSTM, what they read, and their Jacobians."""
    for kind in (nn.RNN, nn.GRU, nn.LSTM):
        layer = kind(2, WIDTH, batch_first=True).double()
        batch = probe(layer, length, scale=0.5)
        yield layer, batch, list(jacobians(layer, batch.x[0]))


def jacobians(layer: nn.RNNBase, x: Tensor) -> Iterator[Tensor]:
    """Yield the Jacobian of every step of one sequence: states as cells compute them, derivatives by autograd."""
    kind: Any = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell}.get(layer.mode, nn.RNNCell)
    cell = kind(layer.input_size, layer.hidden_size).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})

    def step(state: Tensor, given: Tensor) -> Tensor:
        if layer.mode == "LSTM":
            return torch.cat(cell(given, state.split(layer.hidden_size)))
        return cell(given, state)  # type: ignore[no-any-return]

    state = torch.zeros(layer.hidden_size * (2 if layer.mode == "LSTM" else 1)).double()
    for given in x:
        yield torch.autograd.functional.jacobian(lambda state, given=given: step(state, given), state)
        state = step(state, given).detach()


def exact(values: Tensor) -> np.ndarray:
    """Return floats as the decimal numbers that they are."""
    return np.asarray(np.vectorize(Decimal, otypes=[object])(values.detach().double().numpy()))


def log10_norm(vector: np.ndarray) -> float:
    """Return log10 of the norm of decimal numbers."""
    return float((vector @ vector).sqrt().log10())


def apart(found: Iterable[float], known: Iterable[float]) -> float:
    """Return by how much numbers differ at most, relative to those above 1; infinite where one is NaN."""
    off = [abs(a - b) / max(1.0, abs(b)) for a, b in zip(found, known, strict=True)]
    return math.inf if any(map(math.isnan, off)) else max(off)
