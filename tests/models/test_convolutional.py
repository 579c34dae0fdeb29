"""Convolutions: lengths, paddings, and the networks of papers and notes, exactly."""

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gradreach.errors import ConfigError
from gradreach.models import (
    CNN,
    LSTM,
    MLP,
    TCN,
    KimCNN,
    LocallyConnected,
    NotesCNN,
    SequenceModel,
    TimeCNN,
    build,
    output_length,
)
from gradreach.models.convolutional import padding_widths
from gradreach.tasks import Shape


@settings(deadline=None, max_examples=200)
@given(
    length=st.integers(1, 60),
    kernel_size=st.integers(1, 9),
    stride=st.integers(1, 4),
    padding=st.integers(0, 6),
    dilation=st.integers(1, 4),
)
def test_output_length_is_that_of_torch(
    length: int, kernel_size: int, stride: int, padding: int, dilation: int
) -> None:
    ours = output_length(length, kernel_size, stride=stride, padding=padding, dilation=dilation)
    layer = nn.Conv1d(1, 1, kernel_size, stride, padding, dilation, device="meta")
    if ours < 1:
        with pytest.raises(RuntimeError):
            layer(torch.empty(1, 1, length, device="meta"))
    else:
        assert layer(torch.empty(1, 1, length, device="meta")).shape[2] == ours


def test_output_length_at_dilation_1_is_the_formula_of_the_notes() -> None:
    for length, width, pad, stride in [(20, 3, 1, 1), (20, 4, 0, 3), (7, 7, 0, 2), (40, 5, 1, 2)]:
        notes = int(np.floor((length - width + 2 * pad) / stride)) + 1
        assert output_length(length, width, stride=stride, padding=pad) == notes


def test_the_notes_cnn_is_the_code_of_the_notes() -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 20, 200)
    model = NotesCNN(200, width=50, kernel_size=3)
    conv = nn.Conv2d(in_channels=1, out_channels=50, kernel_size=[3, 200], stride=1, padding=[1, 0])
    conv.load_state_dict(model.conv.state_dict())
    y = conv(x.unsqueeze(1))
    assert y.shape == (3, 50, 20, 1)
    y = torch.tanh(y.squeeze(3))
    y = F.avg_pool1d(y, kernel_size=20, padding=0, stride=1).squeeze(2)
    assert y.shape == (3, 50)

    pooled = SequenceModel(model, "mean", 2)
    features = pooled.readout(*pooled.encoder(x, None))
    torch.testing.assert_close(features, y)


@pytest.mark.parametrize("kernel_size", range(1, 8))
def test_the_notes_cnn_keeps_the_length_with_every_kernel(kernel_size: int) -> None:
    assert NotesCNN(4, kernel_size=kernel_size)(torch.rand(2, 9, 4), None)[0].shape == (2, 9, 50)


def touches(padding: str | int, kernel_size: int = 5, length: int = 12) -> list[float]:
    """Return how many outputs each input takes part in."""
    encoder = CNN(1, width=1, layers=1, kernel_size=kernel_size, padding=padding, nonlinearity="none")
    for weights in encoder.parameters():
        nn.init.ones_(weights)
    x = torch.zeros(1, length, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(x, None)[0].sum(), x)
    return gradient.flatten().tolist()


def test_how_often_each_input_is_touched() -> None:
    assert touches("none") == [1, 2, 3, 4, 5, 5, 5, 5, 4, 3, 2, 1]
    assert touches("same") == [3, 4, 5, 5, 5, 5, 5, 5, 5, 5, 4, 3]
    assert touches("full") == [5] * 12
    assert touches("circular") == [5] * 12
    assert touches("causal") == [5, 5, 5, 5, 5, 5, 5, 5, 4, 3, 2, 1]
    assert touches(2) == touches("same")


@pytest.mark.parametrize(("kernel_size", "shift"), [(4, 5.0), (5, 0.0)])
def test_even_kernels_shift_the_centre_by_half_a_step_a_layer(kernel_size: int, shift: float) -> None:
    encoder = CNN(1, width=1, layers=10, kernel_size=kernel_size, dilation_base=1, nonlinearity="none").double()
    for weights in encoder.parameters():
        nn.init.constant_(weights, 1.0 / kernel_size)
    x = torch.zeros(1, 101, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(x, None)[0][0, 50].sum(), x)
    share = gradient.flatten() / gradient.sum()
    centroid = (share * torch.arange(101)).sum()
    variance = (share * (torch.arange(101) - centroid) ** 2).sum()
    torch.testing.assert_close(centroid.item(), 50 + shift)
    torch.testing.assert_close(variance.item(), 10 * (kernel_size**2 - 1) / 12)


def test_an_even_kernel_is_lopsided_at_odd_dilations_only() -> None:
    assert [padding_widths("same", 4, dilation) for dilation in (1, 2, 3, 4)] == [(1, 2), (3, 3), (4, 5), (6, 6)]
    assert [padding_widths("circular", 5, dilation) for dilation in (1, 2)] == [(2, 2), (4, 4)]


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("kernel_size", [2, 3, 7])
def test_receptive_fields_in_closed_form(layers: int, kernel_size: int) -> None:
    plain = CNN(1, layers=layers, kernel_size=kernel_size, dilation_base=1)
    assert plain.receptive_field == layers * (kernel_size - 1) + 1
    assert TCN(1, layers=layers, kernel_size=kernel_size).receptive_field == 1 + 2 * (kernel_size - 1) * (2**layers - 1)


def test_circular_padding_is_equivariant_to_rotation() -> None:
    encoder = CNN(2, padding="circular").double()
    x = torch.randn(3, 20, 2, dtype=torch.float64)
    torch.testing.assert_close(encoder(x.roll(7, 1), None)[0], encoder(x, None)[0].roll(7, 1))


def test_circular_padding_wraps_each_sequence_at_its_own_end() -> None:
    encoder = CNN(2, padding="circular", layers=3).double()
    x = torch.randn(2, 20, 2, dtype=torch.float64)
    lengths = torch.tensor([20, 9])
    torch.testing.assert_close(encoder(x, lengths)[0][1, :9], encoder(x[1:, :9], None)[0][0])


def test_a_locally_connected_layer_with_equal_weights_everywhere_is_a_convolution() -> None:
    layer, shared = LocallyConnected(2, 10, width=3, kernel_size=4), CNN(2, width=3, layers=1, kernel_size=4)
    kernel, bias = shared.stack[0].convolution.weight, shared.stack[0].convolution.bias
    with torch.no_grad():
        layer.layers[0].weight.copy_(kernel.flatten(1).expand(10, 3, 8))
        layer.layers[0].bias.copy_(bias.expand(10, 3))
    x = torch.randn(5, 10, 2)
    torch.testing.assert_close(layer(x, None)[0], shared(x, None)[0])


def test_kims_network_by_hand() -> None:
    torch.manual_seed(0)
    encoder = KimCNN(6, width=4)
    model = SequenceModel(encoder, "max", 2, dropout=0.5, max_norm=0.3).eval()
    x = torch.randn(3, 11, 6)
    features = []
    for layer, size in zip(encoder.layers, (3, 4, 5), strict=True):
        padded = F.pad(x.transpose(1, 2), ((size - 1) // 2, size // 2))
        maps = [torch.einsum("bct,oct->bo", padded[:, :, t : t + size], layer.weight) + layer.bias for t in range(11)]
        features.append(torch.stack(maps).relu().amax(0))
    norms = model.head.weight.norm(dim=1, keepdim=True)
    assert (norms > 0.3).any()
    weight = model.head.weight * (0.3 / norms).clamp(max=1)
    expected = torch.cat(features, 1) @ weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


def test_kims_network_drops_numbers_of_its_words_in_training_only():
    torch.manual_seed(0)
    plain, dropping = KimCNN(6, width=4), KimCNN(6, width=4, input_dropout=0.5)
    dropping.load_state_dict(plain.state_dict())
    x = torch.randn(3, 11, 6)
    assert not torch.equal(dropping(x, None)[0], plain(x, None)[0])
    torch.testing.assert_close(dropping.eval()(x, None)[0], plain(x, None)[0])


def test_a_bottleneck_is_a_1x1_convolution_and_a_nonlinearity_before_the_other() -> None:
    layer = CNN(3, width=5, layers=1, bottleneck=2).stack[0]
    assert layer.pointwise is not None
    x = torch.randn(2, 3, 9)
    expected = F.relu(F.conv1d(F.relu(layer.pointwise(x)), layer.convolution.weight, layer.convolution.bias, padding=1))
    torch.testing.assert_close(layer(x, None)[0], expected)
    assert sum(p.numel() for p in layer.parameters()) == 3 * 2 + 2 + 2 * 5 * 3 + 5


def test_a_convolution_of_one_step_is_a_linear_map_of_the_channels_at_each_step() -> None:
    encoder = CNN(7, width=3, layers=1, kernel_size=1, nonlinearity="none")
    x = torch.randn(2, 9, 7)
    weight, bias = encoder.stack[0].convolution.weight, encoder.stack[0].convolution.bias
    states = encoder(x, None)[0]
    assert states.shape == (2, 9, 3), "as many steps, other channels"
    torch.testing.assert_close(states, torch.einsum("btc,oc->bto", x, weight[:, :, 0]) + bias)


def parameters(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_a_convolution_changes_the_channels_and_pooling_the_length(pooling: Literal["avg", "max"]) -> None:
    convolved = CNN(2, width=5, layers=1)
    pooled = CNN(2, width=5, layers=1, pooling=pooling, pool_size=4)
    pooled.load_state_dict(convolved.state_dict())
    x = torch.randn(3, 20, 2)
    assert convolved(x, None)[0].shape == (3, 20, 5)
    assert pooled(x, None)[0].shape == (3, 5, 5)
    assert parameters(pooled) == parameters(convolved)


@pytest.mark.parametrize("kernel_size", [1, 4, 9])
@pytest.mark.parametrize("width", [1, 6])
def test_parameters_of_a_convolution_are_those_of_its_kernels(kernel_size: int, width: int) -> None:
    assert parameters(CNN(3, width=width, layers=1, kernel_size=kernel_size)) == width * (3 * kernel_size + 1)


def test_pooling_takes_parameters_from_a_head_on_all_steps() -> None:
    for pool_size, steps in ((1, 24), (2, 12), (4, 6)):
        encoder = CNN(2, width=5, layers=1, pooling="max", pool_size=pool_size)
        model = SequenceModel(encoder, "flatten", 3, length=24)
        assert parameters(model.head) == 3 * (5 * steps + 1)


def test_max_pooling_loses_where_in_its_window_a_value_stands() -> None:
    encoder = CNN(1, width=1, layers=1, kernel_size=1, nonlinearity="none", pooling="max", pool_size=2)
    nn.init.ones_(encoder.stack[0].convolution.weight)
    x = torch.tensor([[1.0, 0, 3, 2], [0.0, 1, 2, 3]]).unsqueeze(2)
    first, second = encoder(x, None)[0]
    assert torch.equal(first, second)


def test_windows_save_parameters_and_multiply_adds_and_sharing_parameters_alone() -> None:
    """One feature at each of ``length`` steps, with ``kernel_size`` weights, or with one for every step."""
    length, kernel_size = 1000, 5
    shared = CNN(1, width=1, layers=1, kernel_size=kernel_size)
    unshared = LocallyConnected(1, length, width=1, kernel_size=kernel_size)
    dense = MLP(1, length, width=length, layers=1)
    assert parameters(dense) == length * (length + 1)
    assert parameters(unshared) == length * (kernel_size + 1)
    assert parameters(shared) == kernel_size + 1
    assert dense.multiply_adds(length) == length * length
    assert unshared.multiply_adds(length) == shared.multiply_adds(length) == length * kernel_size


def test_a_time_cnn_keeps_the_length_of_short_series_alone() -> None:
    for length, steps in ((59, 6), (60, 4)):
        encoder = TimeCNN(2, length)
        assert [layer.convolution.weight.shape for layer in encoder.stack] == [(6, 2, 7), (12, 6, 7)]
        assert encoder(torch.zeros(1, length, 2), None)[0].shape == (1, steps, 12)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width_multiples": (1, 2)}, r"width_multiples=\[1, 2\]: has 2 entries for 4 layers; set model\.layers=2"),
        ({"kernel_sizes": (3,)}, r"kernel_sizes=\[3\]: has 1 entries for 4 layers"),
        ({"kernel_sizes": (8, 5), "layers": 2}, r"the last must equal kernel_size=3; set kernel_size=5"),
        ({"kernel_sizes": (8, 3), "layers": 2, "first_kernel_size": 5}, "first_kernel_size=5 also sets the first"),
    ],
)
def test_sizes_of_layers_that_contradict_others_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CNN(1, **sizes)


def test_fcn_is_a_cnn_by_its_settings() -> None:
    """Z. Wang, W. Yan and T. Oates, 2017: 128 filters of 8, 256 of 5, 128 of 3, batch normalisation, global mean."""
    sizes = {"width": 128, "layers": 3, "width_multiples": (1, 2, 1), "kernel_sizes": (8, 5, 3)}
    shape = Shape(channels=1, length=150, outputs=2)
    torch.manual_seed(0)
    model = build(
        CNN,
        {**sizes, "dilation_base": 1, "normalization": "batch"},
        shape,
        readout="mean",
        layer_defaults="keras",
    )
    of_keras = 128 * 8 + 128 + 256 * (128 * 5) + 256 + 128 * (256 * 3) + 128 + 2 * (128 + 256 + 128) + 128 * 2 + 2
    assert model.parameter_count == of_keras
    for layer in model.encoder.stack:
        weight, norm = layer.convolution.weight, layer.normalization
        bound = math.sqrt(6 / (weight[0].numel() + weight.shape[0] * weight.shape[2]))
        assert 0.98 * bound < weight.abs().max() <= bound
        assert not layer.convolution.bias.any()
        assert (norm.momentum, norm.eps) == (0.01, 1e-3)
    assert not model.head.bias.any()


def test_a_model_that_keras_defaults_are_not_for_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"layer_defaults=keras: LSTM is not a linear layer.*set model\.layer_defaults=torch"
    ):
        build(LSTM, {}, Shape(channels=1, length=9, outputs=2), readout="last", layer_defaults="keras")
