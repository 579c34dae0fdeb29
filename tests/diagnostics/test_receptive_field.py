"""What convolutions see: counted, measured, and never beyond what is possible."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gradreach.diagnostics import (
    Window,
    effective_receptive_field,
    measured_receptive_field,
    theoretical_receptive_field,
    touched,
    windows_of,
)
from gradreach.models import CNN, TCN, KimCNN, LocallyConnected


def uniform(kernel_size: int, layers: int, **options) -> nn.Sequential:
    stack = nn.Sequential(*(nn.Conv1d(1, 1, kernel_size, bias=False, **options) for _ in range(layers))).double()
    for layer in stack:
        nn.init.ones_(layer.weight)
    return stack


def over_time(stack: nn.Module):
    return lambda x: stack(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize(("n", "k"), [(1, 3), (4, 3), (10, 5), (6, 4)])
def test_plain_stacks_see_n_times_k_minus_one_plus_one(n, k):
    assert theoretical_receptive_field([Window(k)] * n) == n * (k - 1) + 1


@pytest.mark.parametrize(("n", "k"), [(1, 3), (4, 3), (5, 7)])
def test_a_tcn_with_two_convolutions_a_level(n, k):
    levels = [Window(k, dilation=2**i) for i in range(n) for _ in range(2)]
    assert theoretical_receptive_field(levels) == 1 + 2 * (k - 1) * (2**n - 1)


@given(
    shapes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(1, 3)), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_the_formula_is_what_the_gradient_touches(shapes):
    stack = nn.Sequential(*(nn.Conv1d(1, 1, k, stride=s, dilation=d, bias=False) for k, s, d in shapes)).double()
    for layer in stack:
        nn.init.ones_(layer.weight)
    field = theoretical_receptive_field(windows_of(stack))
    steps = sum((k - 1) * d + 1 for k, s, d in shapes) * 20
    x = torch.zeros(1, 1, steps, dtype=torch.float64, requires_grad=True)
    hit = touched(x, stack(x)[..., 0])[0, 0].nonzero().flatten()
    assert int(hit[-1]) + 1 == field
    assert int(hit[0]) == 0


@pytest.mark.parametrize(("k", "n"), [(3, 5), (5, 10), (7, 3)])
def test_the_variance_of_uniform_kernels_is_that_of_a_sum_of_uniform_numbers(k, n):
    stack = uniform(k, n, padding="same")
    found = effective_receptive_field(over_time(stack), torch.zeros(1, 151, 1).double())
    assert found.variance == pytest.approx(n * (k**2 - 1) / 12, rel=1e-10)
    assert found.spread == pytest.approx((n * (k**2 - 1) / 12) ** 0.5)
    assert found.centroid == pytest.approx(0, abs=1e-10)
    assert found.extent == n * (k - 1) + 1
    assert not found.beyond(n * (k - 1) + 1)
    assert found.beyond(n * (k - 1))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_even_kernels_shift_the_centre_to_later_steps_by_half_a_step_a_layer():
    for k, shift in ((4, 5.0), (5, 0.0)):
        found = effective_receptive_field(over_time(uniform(k, 10, padding="same")), torch.zeros(1, 101, 1).double())
        assert found.centroid == pytest.approx(shift, abs=1e-10)  # torch pads the longer side at the end
        assert found.variance == pytest.approx(10 * (k**2 - 1) / 12, rel=1e-10)


@pytest.mark.parametrize(
    ("padding", "counts"),
    [
        (0, [1, 2, 3, 4, 5, 5, 5, 5, 4, 3, 2, 1]),
        ("same", [3, 4, 5, 5, 5, 5, 5, 5, 5, 5, 4, 3]),
        (4, [5] * 12),
    ],
)
def test_how_often_each_input_is_touched(padding, counts):
    x = torch.zeros(1, 1, 12, dtype=torch.float64, requires_grad=True)
    assert touched(x, uniform(5, 1, padding=padding)(x))[0, 0].tolist() == counts


def test_an_output_that_reads_what_comes_later_has_its_centre_there():
    stack = uniform(3, 1, padding="same")
    stack[0].weight.data[0, 0] = torch.tensor([0.0, 0.0, 1.0])
    found = effective_receptive_field(over_time(stack), torch.zeros(1, 21, 1).double())
    assert found.centroid == 1
    assert found.weights.set_index("offset")["weight"][1] == 1


def test_gradients_of_opposite_examples_do_not_cancel():
    x = torch.linspace(1, 2, 21).double().reshape(1, -1, 1)
    squares = lambda x: over_time(uniform(5, 1, padding="same"))(x**2)  # noqa: E731
    one, both = (effective_receptive_field(squares, examples) for examples in (x, torch.cat([x, -x])))
    assert both.weights["weight"].to_numpy() == pytest.approx(one.weights["weight"].to_numpy(), abs=1e-15)


@pytest.mark.parametrize(
    "layer", [nn.ConvTranspose1d(2, 2, 3), nn.AdaptiveAvgPool1d(1), nn.Conv2d(2, 2, 3), nn.Upsample(scale_factor=2)]
)
def test_layers_whose_window_cannot_be_counted_are_refused(layer):
    with pytest.raises(ValueError, match="receptive field cannot be calculated"):
        windows_of(nn.Sequential(nn.Conv1d(2, 2, 3), layer))


def test_convolutions_beside_each_other_are_refused():
    with pytest.raises(ValueError, match="do not follow each other"):
        windows_of(KimCNN(3, width=8))
    assert windows_of(TCN(3, width=8, layers=2))  # its shortcut of one step is no trouble


class Branches(nn.Module):
    """A skip connection around two convolutions, and a third beside them; a transposed one on top."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 2, 3, dilation=2, padding="same"), nn.Conv1d(2, 2, 3, padding="same")
        self.beside, self.top = nn.Conv1d(2, 2, 9, padding="same"), nn.ConvTranspose1d(2, 2, 3, padding=1)

    def forward(self, x):
        x = x.mT
        return self.top((x + self.second(self.first(x).relu())).relu() + self.beside(x)).mT


@pytest.mark.parametrize(
    ("encode", "expected"),
    [
        (lambda x: TCN(2, width=4, layers=2, kernel_size=3).double().eval()(x, None)[0], 1 + 2 * 2 * 3),
        (lambda x: KimCNN(2, width=6).double().eval()(x, None)[0], 5),  # of kernels 3, 4 and 5
        (Branches().double(), 9 + 2),
        (lambda x: x.flip(1), 1),
    ],
    ids=["skip connections", "parallel branches", "all at once", "turned"],
)
def test_a_receptive_field_is_measured_through_whatever_there_is(encode, expected):
    torch.manual_seed(0)
    assert measured_receptive_field(encode, torch.randn(1, 61, 2)) == expected


def test_a_dead_unit_has_the_field_that_its_windows_say():
    convolution = nn.Conv1d(1, 1, 5, padding="same").double()
    nn.init.constant_(convolution.weight, -1.0)
    nn.init.constant_(convolution.bias, -100.0)
    assert measured_receptive_field(lambda x: convolution(x.mT).relu().mT, torch.rand(1, 20, 1)) == 5


@pytest.mark.parametrize(
    ("encode", "at", "why"),
    [
        (lambda x: torch.zeros(len(x), 5, 1), None, "does not depend on the input"),
        (lambda x: x, 30, "there are only 20 outputs"),
    ],
)
def test_a_field_that_cannot_be_measured_is_refused(encode, at, why):
    with pytest.raises(ValueError, match=why):
        measured_receptive_field(encode, torch.rand(1, 20, 1), at)


def test_our_cnn_looks_at_no_more_than_it_says():
    torch.manual_seed(0)
    cnn = CNN(2, width=8, layers=3, kernel_size=3).double().eval()
    found = effective_receptive_field(lambda x: cnn(x, None)[0], torch.randn(16, 61, 2).double())
    assert found.extent == cnn.receptive_field == theoretical_receptive_field(windows_of(cnn))


def test_offsets_count_from_the_centre_of_what_a_strided_output_stands_for():
    found = effective_receptive_field(over_time(uniform(2, 2, stride=2)), torch.zeros(1, 40, 1).double())
    assert found.extent == 4
    assert found.centroid == pytest.approx(0, abs=1e-12)


def windows(seed: int) -> tuple[nn.Sequential, float, int]:
    """Return a stack, the middle of its first output's window, and its stride; halves of all padding on both ends."""
    torch.manual_seed(seed)
    layers, middle, jump = [], 0.0, 1
    for _ in range(int(torch.randint(1, 5, ()))):
        k, s, d = (int(torch.randint(1, most, ())) for most in (6, 4, 4))
        p = int(torch.randint(0, (k - 1) * d // 2 + 1, ()))
        layers.append(nn.Conv1d(1, 1, k, stride=s, dilation=d, padding=p, bias=False).double())
        nn.init.ones_(layers[-1].weight)
        middle += jump * ((k - 1) * d / 2 - p)
        jump *= s
    return nn.Sequential(*layers), middle, jump


@pytest.mark.parametrize("seed", range(40))
def test_offsets_count_from_the_middle_of_the_outputs_own_window(seed):
    stack, middle, jump = windows(seed)
    x = torch.zeros(1, 900 + 7 * seed, 1).double()
    outputs = over_time(stack)(x).shape[1]
    for at in (0, outputs // 2, -1):
        found = effective_receptive_field(over_time(stack), x, at)
        assert found.weights["offset"][0] == pytest.approx(-(middle + jump * (at % outputs)), abs=1e-9)
        if at > 0:  # equal weights, far from both ends, stand evenly about their middle
            assert found.centroid == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("at", [0, 5, -1])
@pytest.mark.parametrize(("k", "stride"), [(8, 1), (8, 2), (3, 2), (4, 3)])
def test_without_padding_the_first_and_the_last_output_stand_at_the_middle_of_what_they_see(k, stride, at):
    found = effective_receptive_field(over_time(uniform(k, 2, stride=stride)), torch.zeros(1, 90, 1).double(), at)
    assert found.centroid == pytest.approx(0, abs=1e-9)


def test_an_encoder_of_one_length_spreads_its_outputs_evenly():
    for padding, first in (("none", 1.5), ("same", 0)):
        local = LocallyConnected(1, 30, width=2, kernel_size=4, padding=padding).double()
        found = effective_receptive_field(lambda x, local=local: local(x, None)[0], torch.randn(4, 30, 1).double(), 0)
        assert found.weights["offset"][0] == -first
    summed = effective_receptive_field(lambda x: x.sum(1, keepdim=True), torch.randn(2, 9, 1).double())
    assert summed.centroid == pytest.approx(0)


def test_outputs_that_are_more_than_the_inputs_stand_between_them():
    twice = nn.Upsample(scale_factor=2)
    found = effective_receptive_field(lambda x: twice(x.mT).mT, torch.randn(2, 9, 1).double(), 0)
    assert found.weights["offset"][0] == 0.25


def test_pools_and_full_padding_count_too():
    x = torch.randn(2, 41, 3).double()
    for options in ({"padding": "full"}, {"padding": "none", "pooling": "avg", "layers": 2}, {"padding": "causal"}):
        torch.manual_seed(0)
        cnn = CNN(3, width=4, kernel_size=3, dilation_base=1, nonlinearity="none", **options).double()
        nn.init.ones_(cnn.layers[0].convolution.weight)
        found = effective_receptive_field(lambda x, cnn=cnn: cnn(x, None)[0], x, 0)
        first = {"full": -4.0, "none": 1 + 0.5 + 2 * (1 + 0.5), "causal": 0.0}[options["padding"]]
        assert found.weights["offset"][0] == -first, options


@pytest.mark.parametrize(
    ("encode", "at", "message"),
    [
        (lambda x: x, 9, "at=9: there are only 9 outputs; choose 0 to 8"),
        (lambda x: x, -10, "at=-10: there are only 9 outputs"),
        (lambda x: (x, None), 0, "encode gives tuple; it must give one tensor"),
        (lambda x: x[:, 0], 0, r"encode gives \(2, 1\); it must give one tensor"),
        ("cnn", 0, "pass a function"),
    ],
)
def test_what_is_no_output_is_refused(encode, at, message):
    with pytest.raises((TypeError, ValueError), match=message):
        effective_receptive_field(encode, torch.randn(2, 9, 1), at)
