"""Products that lose rank, shrink past every float, or hold equal singular values: against 300 digits."""

import math

import mpmath
import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import (
    Instrument,
    LayerTrace,
    log10_condition_number,
    lyapunov_spectrum,
    product_singular_values,
    trace,
)
from gradreach.models import RNN, SequenceModel
from gradreach.models.cells import IndRNNCell
from gradreach.models.scan import MinGRUCell
from gradreach.tasks import Batch

from .maps import Maps, along


def read_last(output: Tensor | tuple, target: Tensor) -> Tensor:
    states = output if isinstance(output, Tensor) else output[0]
    return states[:, -1].square().sum(1)


def traced(layer: nn.Module, length: int, batch: int = 2) -> LayerTrace:
    torch.manual_seed(1)
    probe = Batch(torch.randn(batch, length, 2).double(), None, torch.zeros(batch))
    return trace(layer.double(), probe, read_last).layers[0]


def exact(layer: LayerTrace, example: int, digits: int = 300) -> list[float]:
    """Return ``ln σ_i`` of the product of an example's Jacobians, multiplied and decomposed with this many digits."""
    with mpmath.workdps(digits):
        product = mpmath.eye(layer.steps.size)
        for t in range(layer.steps.length):
            product = mpmath.matrix(layer.steps.jacobian(t)[example].tolist()) * product
        sizes = sorted((abs(size) for size in mpmath.svd_r(product, compute_uv=False)), reverse=True)
        floor = max(sizes[0], mpmath.mpf(10) ** -200) * mpmath.mpf(10) ** (30 - digits)
        return [float(mpmath.log(size)) if size > floor else -math.inf for size in sizes]


def closed(layer: nn.Module, parameter: str, rows: slice, value: float) -> nn.Module:
    dict(layer.named_parameters())[parameter].data[rows] = value
    return layer


def rectified(start: str = "default", width: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return RNN(2, width=width, nonlinearity="relu", start=start).layers[0]  # type: ignore[arg-type]


def two_blocks() -> nn.Module:
    """Two networks that do not hear each other; of one, which grows faster, all units die with time."""
    layer = rectified("identity", 4)
    layer.weight_hh_l0.data[:2] *= 2
    layer.bias_ih_l0.data[:] = torch.tensor([-0.1, -0.1, 0.5, 0.5])
    return layer


CASES = {
    "rectified": (rectified, 30),
    "rectified, short": (rectified, 3),
    "rectified, identity": (lambda: rectified("identity"), 12),
    "rectified, blocks": (two_blocks, 20),
    "tanh": (lambda: nn.RNN(2, 8, batch_first=True), 14),
    "tanh, matrix of rank one": (
        lambda: closed(nn.RNN(2, 4, batch_first=True), "weight_hh_l0", slice(None), 0.3),
        9,
    ),
    "no recurrence": (lambda: closed(nn.RNN(2, 3, batch_first=True), "weight_hh_l0", slice(None), 0.0), 4),
    "lstm": (lambda: nn.LSTM(2, 3, batch_first=True), 20),
    "lstm, forget gate shut": (
        lambda: closed(nn.LSTM(2, 3, batch_first=True), "bias_ih_l0", slice(3, 6), -50.0),
        6,
    ),
    "gru": (lambda: nn.GRU(2, 4, batch_first=True), 30),
    "indrnn, dead units": (lambda: IndRNNCell(2, 5), 12),
    "mingru, gates shut": (
        lambda: closed(MinGRUCell(2, 4), "from_input.bias", slice(0, 2), 60.0),
        8,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_singular_values_and_the_number_of_finite_exponents_are_those_of_three_hundred_digits(case):
    make, length = CASES[case]
    torch.manual_seed(0)
    layer = traced(make(), length)
    found, exponents = product_singular_values(layer), lyapunov_spectrum(layer)
    for example in range(2):
        truth = exact(layer, example)
        assert found[example].tolist() == pytest.approx(truth, rel=1e-9, abs=1e-9)
        assert exponents[example].isneginf().tolist() == [size == -math.inf for size in truth]
        condition = log10_condition_number(exponents, length)[example]
        assert math.isinf(condition) == (truth[-1] == -math.inf)
        # fewer exponents lose no more
        fewer = lyapunov_spectrum(layer, 2)[example]
        assert fewer.isneginf().tolist() == exponents[example, :2].isneginf().tolist()


@pytest.mark.parametrize("k", [None, 1, 2])
def test_a_direction_that_led_and_died_leaves_its_place_to_the_next(k):
    """Units that hear only themselves: each one's exponent is the logarithm of its weight, or −∞ once it has died."""
    length, weights = 400, torch.tensor([1.5, 0.9, 0.6])
    jacobians = torch.diag(weights).double().repeat(length, 1, 1, 1)
    jacobians[10, 0, 0, 0] = 0  # long after the gradient, which comes from behind, has turned into this unit
    found = lyapunov_spectrum(along(Maps(jacobians)), k, transient=0)[0].tolist()
    assert found == pytest.approx([math.log(0.9), math.log(0.6), -math.inf][: k or 3], abs=0.01)


def test_a_direction_that_is_lost_before_counting_begins_is_lost():
    jacobians = torch.eye(3).double().repeat(30, 1, 1, 1)
    jacobians[-1, 0, 1, 1] = 0
    assert lyapunov_spectrum(along(Maps(jacobians)), transient=5)[0].tolist() == pytest.approx([0, 0, -math.inf])


def test_a_product_that_is_zero_has_no_finite_exponent_and_an_infinite_condition():
    layer = traced(closed(nn.RNN(2, 3, batch_first=True), "weight_hh_l0", slice(None), 0.0), 4)
    for k in (1, 3):
        exponents = lyapunov_spectrum(layer, k)
        assert exponents.isneginf().all()
        assert log10_condition_number(exponents, 4).isposinf().all()


def test_singular_values_that_are_equal_or_nearly_so_are_told_apart():
    torch.manual_seed(0)
    turns = [torch.linalg.qr(torch.randn(6, 6).double())[0] for _ in range(9)]
    scales = torch.tensor([1.0, 1.0, 1 - 1e-7, 0.5, 0.5, 1e-9]).double()
    steps = Maps(torch.stack([turn @ torch.diag(scales) @ turn.T for turn in turns[:1]]).unsqueeze(1))
    assert torch.allclose(product_singular_values(steps)[0], scales.log(), rtol=0, atol=1e-7)
    isometries = Maps(torch.stack(turns).unsqueeze(1) / 1000)
    assert torch.allclose(product_singular_values(isometries), torch.tensor(-9 * math.log(1000)).double(), atol=1e-12)


def test_singular_values_of_a_padded_example_are_those_of_it_alone():
    torch.manual_seed(0)
    model = SequenceModel(RNN(2, width=3), "last", 2).double()
    x, lengths = torch.randn(3, 9, 2).double(), torch.tensor([9, 4, 0])

    def score(logits: Tensor, target: Tensor) -> Tensor:
        return logits.sum(1)

    layer = trace(model, Batch(x, lengths, torch.zeros(3)), score).layers[0]
    found = product_singular_values(layer)
    for i, length in enumerate(lengths[:2].tolist()):
        alone = trace(model, Batch(x[i : i + 1, :length], None, torch.zeros(1)), score).layers[0]
        assert torch.allclose(found[i], product_singular_values(alone)[0], atol=1e-9)
    assert found[2].tolist() == pytest.approx([0, 0, 0], abs=1e-14)  # the product of nothing


def test_what_is_no_number_is_none_in_its_own_example_alone():
    jacobians = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    whole = product_singular_values(Maps(jacobians))
    jacobians[2, 1, 0, 0] = math.nan
    found = product_singular_values(Maps(jacobians))
    assert torch.equal(found[0], whole[0])
    assert found[1].isnan().all()


def test_figures_of_a_layer_that_loses_a_direction_say_so():
    torch.manual_seed(1)
    model = SequenceModel(RNN(2, width=6, nonlinearity="relu"), "last", 2)
    probe = Batch(torch.randn(4, 20, 2), None, torch.zeros(4).long())
    one = Instrument(model, probe, lambda logits, target: logits.sum(1), {"lyapunov": "ends"}, exponents=6)
    found = one.measure("start")
    assert found["h.log10_condition"] == math.inf
    assert math.isfinite(found["h.lyapunov"])
    table = one.tables["lyapunov"][0]
    assert table["exponent"].iloc[-1] == -math.inf
    assert not table["exponent"].isna().any()
