"""Whole encoders against loops over steps and taps, written out in double precision: values and gradients."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from test_cells import B, D, H, T, Weights, gru_before, indrnn, lru, lstm, rnn, s4d, zeros
from torch import Tensor, nn

from gradreach import models as m
from gradreach.errors import ConfigError

Activation = Callable[[Tensor], Tensor]

K = 4
"""Taps; even, so that left and right differ."""


def same(x: Tensor) -> Tensor:
    return x


def weights_of(module: nn.Module) -> Weights:
    return dict(module.named_parameters())


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def layer_norm(x: Tensor, w: Weights) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w["weight"] + w["bias"]


def batch_norm(x: Tensor, w: Weights) -> Tensor:
    centred = x - x.mean((0, 1))
    return centred / (centred.square().mean((0, 1)) + 1e-5).sqrt() * w["weight"] + w["bias"]


def linear(x: Tensor, w: Weights) -> Tensor:
    return x @ w["weight"].T + w["bias"]


def convolve(
    x: Tensor, w: Weights, left: int, right: int, stride: int = 1, dilation: int = 1, wrap: bool = False
) -> Tensor:
    length, taps, outputs = x.shape[1], w["weight"].shape[-1], []
    for start in range(-left, length + right - dilation * (taps - 1), stride):
        total = w["bias"].expand(len(x), -1)
        for tap in range(taps):
            step = start + tap * dilation
            if wrap or 0 <= step < length:
                total = total + x[:, step % length] @ w["weight"][:, :, tap].T
        outputs.append(total)
    return torch.stack(outputs, 1)


def cnn(
    encoder: m.CNN,
    x: Tensor,
    edges: Callable[[int], tuple[int, int]],
    activate: Activation = torch.relu,
    stride: int = 1,
    dilation_base: int = 2,
    wrap: bool = False,
    normalize: Callable[[Tensor, Weights], Tensor] | None = None,
    pool: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Compute a stack; ``edges`` gives what is added left and right where the outer taps are this many steps apart."""
    for number, layer in enumerate(encoder.stack):
        if layer.pointwise is not None:
            x = activate(x @ layer.pointwise.weight[:, :, 0].T + layer.pointwise.bias)
        dilation = dilation_base**number
        reach = dilation * (layer.convolution.weight.shape[2] - 1)
        x = convolve(x, weights_of(layer.convolution), *edges(reach), stride, dilation, wrap)
        if normalize is not None:
            assert layer.normalization is not None
            x = normalize(x, weights_of(layer.normalization))
        x = activate(x)
        if pool is not None:
            x = torch.stack([pool(x[:, i : i + 2]) for i in range(0, x.shape[1] - 1, 2)], 1)
    return x


def centred(reach: int) -> tuple[int, int]:
    return reach // 2, (reach + 1) // 2


def notes_cnn(encoder: m.NotesCNN, x: Tensor) -> Tensor:
    kernel = encoder.conv.weight[:, 0].transpose(1, 2)
    return torch.tanh(convolve(x, {"weight": kernel, "bias": encoder.conv.bias}, *centred(K - 1)))


def kim_cnn(encoder: m.KimCNN, x: Tensor) -> Tensor:
    maps = [
        convolve(x, weights_of(layer), *centred(taps - 1))
        for layer, taps in zip(encoder.layers, (2, 3, 4), strict=True)
    ]
    return torch.relu(torch.cat(maps, 2))


def tcn(encoder: m.TCN, x: Tensor, drop: Activation = same) -> Tensor:
    for level, block in enumerate(encoder.layers):
        back = (K - 1) * 2**level
        y = drop(torch.relu(convolve(x, weights_of(block.first), back, 0, dilation=2**level)))
        y = drop(torch.relu(convolve(y, weights_of(block.second), back, 0, dilation=2**level)))
        around = x if level else convolve(x, weights_of(block.around), 0, 0)
        x = torch.relu(around + y)
    return x


def locally_connected(
    encoder: m.LocallyConnected, x: Tensor, left: int, right: int, activate: Activation = torch.relu
) -> Tensor:
    for layer in encoder.layers:
        w, length, outputs = weights_of(layer), x.shape[1], []
        for position in range(length + left + right - K + 1):
            kernel = w["weight"][position].view(H, -1, K)
            total = w["bias"][position].expand(B, -1)
            for tap in range(K):
                step = position - left + tap
                if 0 <= step < length:
                    total = total + x[:, step] @ kernel[:, :, tap].T
            outputs.append(total)
        x = activate(torch.stack(outputs, 1))
    return x


def mlp(encoder: m.MLP, x: Tensor, activate: Activation = torch.relu) -> Tensor:
    x = torch.cat([x[:, t] for t in range(T)], 1)
    for layer in encoder.layers:
        x = activate(linear(x, weights_of(layer)))
    return x.unsqueeze(1)


def residual_mlp(encoder: m.ResidualMLP, x: Tensor) -> Tensor:
    first, *others = map(weights_of, encoder.layers)
    h = torch.relu(linear(torch.cat([x[:, t] for t in range(T)], 1), first))
    for weights in others:
        h = h + torch.relu(linear(h, weights))
    return h.unsqueeze(1)


def transformer(encoder: m.Transformer, x: Tensor, heads: int = 2, causal: bool = False) -> Tensor:
    x = linear(x, weights_of(encoder.project))
    width = x.shape[2]
    if not causal:
        angles = [[t / 10_000 ** (2 * (i // 2) / width) for i in range(width)] for t in range(T)]
        waves = [[(math.cos if i % 2 else math.sin)(angle) for i, angle in enumerate(row)] for row in angles]
        x = x + torch.tensor(waves, dtype=x.dtype)
    size = width // heads
    for layer in encoder.layers:
        w = weights_of(layer)
        y = layer_norm(x, weights_of(layer.norm1))
        queries, keys, values = (y @ w["self_attn.in_proj_weight"].T + w["self_attn.in_proj_bias"]).split(width, 2)
        read = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = queries[:, :, part] @ keys[:, :, part].transpose(1, 2) / math.sqrt(size)
            shares = torch.exp(scores) * (torch.ones(T, T, dtype=x.dtype).tril() if causal else 1)
            read.append(shares / shares.sum(2, keepdim=True) @ values[:, :, part])
        x = x + torch.cat(read, 2) @ w["self_attn.out_proj.weight"].T + w["self_attn.out_proj.bias"]
        y = layer_norm(x, weights_of(layer.norm2))
        x = x + linear(torch.relu(linear(y, weights_of(layer.linear1))), weights_of(layer.linear2))
    return layer_norm(x, weights_of(encoder.normalize))


def lru_network(encoder: m.LRU, x: Tensor, drop: Activation = same) -> Tensor:
    x = linear(x, weights_of(encoder.project))
    for layer, output, skip in zip(encoder.layers, encoder.outputs, encoder.skips, strict=True):
        x = x + drop(gelu(lru(weights_of(layer), x) @ output.weight.T + skip * x))
    return x


def s4d_network(encoder: m.S4D, x: Tensor, drop: Activation = same) -> Tensor:
    x = linear(x, weights_of(encoder.project))
    for layer, mix in zip(encoder.layers, encoder.mixing, strict=True):
        x = x + drop(linear(gelu(s4d(weights_of(layer), x)), weights_of(mix)))
    return x


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def channel_by_channel(x: Tensor, w: Weights) -> Tensor:
    taps = w["weight"].shape[2]
    shifted = [torch.cat([zeros(B, taps - 1 - j, x.shape[2]), x], 1)[:, :T] for j in range(taps)]
    return sum((s * w["weight"][:, 0, j] for j, s in enumerate(shifted)), w["bias"])


def mamba(encoder: m.Mamba, x: Tensor) -> Tensor:
    """Run algorithm 2 and figure 3 of Gu and Dao (2023) channel by channel; every layer starts from nothing."""
    signed = encoder.eigenvalues == "signed"
    for layer in encoder.layers:
        cell, w = layer.recurrence, weights_of(layer)
        u, z = linear(x, weights_of(layer.from_input)).chunk(2, 2)
        u = silu(channel_by_channel(u, weights_of(layer.convolution)))
        selected = u @ cell.select.weight.T
        rank = math.ceil(encoder.d_out / 16)  # of Δ: D / 16 in §3.6, rounded up in the published code
        step = torch.log1p(torch.exp(linear(selected[:, :, :rank], weights_of(cell.step_size))))
        b, c = selected[:, :, rank:].chunk(2, 2)
        outputs = []
        for channel in range(u.shape[2]):
            s, of_channel = zeros(B, cell.states), []
            for t in range(T):
                decay = torch.exp(-step[:, t, channel, None] * cell.log_a[:, channel].exp())
                s = (2 * decay - 1 if signed else decay) * s + (step * u)[:, t, channel, None] * b[:, t]
                of_channel.append((c[:, t] * s).sum(1) + layer.skip[channel] * u[:, t, channel])
            outputs.append(torch.stack(of_channel, 1))
        x = (silu(z) * torch.stack(outputs, 2)) @ w["to_output.weight"].T
    return x


def deltanet(encoder: m.DeltaNet, x: Tensor) -> Tensor:
    """Correct every head's state step by step, example by example (Schlag et al., 2021, eq. 24; Siems et al., 2025)."""
    for layer in encoder.layers:
        cell = layer.recurrence
        heads, size, steps = cell.heads, cell.size, cell.steps
        vectors = silu(channel_by_channel(linear(x, weights_of(layer.from_input)), weights_of(layer.convolution)))
        strength = (2 if encoder.eigenvalues == "signed" else 1) * torch.sigmoid(x @ layer.write.weight.T)
        examples = []
        for one, betas in zip(vectors, strength, strict=True):
            parts = []
            for head in range(heads):
                s, outputs = zeros(size, size), []
                for t in range(T):
                    q, *kv = one[t].view(1 + 2 * steps, heads, size)[:, head]
                    for j in range(steps):
                        k, v, beta = kv[j], kv[steps + j], betas[t].view(steps, heads)[j, head]
                        k = k / (k @ k + 1e-6).sqrt()
                        s = s @ (torch.eye(size, dtype=s.dtype) - beta * torch.outer(k, k)) + beta * torch.outer(v, k)
                    y = s @ (q / (q @ q + 1e-6).sqrt())
                    outputs.append(y / (y.square().mean() + 1e-5).sqrt() * layer.normalize.weight)
                parts.append(torch.stack(outputs))
            examples.append(torch.cat(parts, 1))
        x = torch.stack(examples) @ layer.to_output.weight.T
    return x


def two_ways(
    encoder: m.Recurrent, x: Tensor, cell: Callable[[Weights, Tensor], Tensor], drop: Activation = same
) -> Tensor:
    for number, (forwards, backwards) in enumerate(zip(encoder.layers, encoder.backward_layers, strict=True)):
        x = drop(x) if number else x
        x = torch.cat([cell(weights_of(forwards), x), cell(weights_of(backwards), x.flip(1)).flip(1)], 2)
    return x


NETWORKS: dict[str, tuple[Callable[[], m.Encoder], Callable[[Any, Tensor], Tensor]]] = {
    "cnn none": (
        lambda: m.CNN(D, layers=2, kernel_size=K, padding="none"),
        lambda e, x: cnn(e, x, lambda reach: (0, 0)),
    ),
    "cnn same": (lambda: m.CNN(D, layers=3, kernel_size=K), lambda e, x: cnn(e, x, centred)),
    "cnn full": (
        lambda: m.CNN(D, layers=2, kernel_size=K, padding="full", nonlinearity="tanh"),
        lambda e, x: cnn(e, x, lambda reach: (reach, reach), torch.tanh),
    ),
    "cnn causal": (
        lambda: m.CNN(D, layers=2, kernel_size=K, first_kernel_size=2, padding="causal", nonlinearity="gelu"),
        lambda e, x: cnn(e, x, lambda reach: (reach, 0), gelu),
    ),
    "cnn circular": (
        lambda: m.CNN(D, layers=2, kernel_size=K, padding="circular"),
        lambda e, x: cnn(e, x, centred, wrap=True),
    ),
    "cnn 3 zeros, stride": (
        lambda: m.CNN(D, layers=2, kernel_size=K, padding=3, stride=2, dilation_base=1, nonlinearity="none"),
        lambda e, x: cnn(e, x, lambda reach: (3, 3), lambda x: x, stride=2, dilation_base=1),
    ),
    "cnn batch, bottleneck": (
        lambda: m.CNN(D, layers=2, kernel_size=K, normalization="batch", bottleneck=2, dilation_base=3),
        lambda e, x: cnn(e, x, centred, normalize=batch_norm, dilation_base=3),
    ),
    "cnn layer, avg": (
        lambda: m.CNN(D, layers=2, kernel_size=K, normalization="layer", pooling="avg"),
        lambda e, x: cnn(e, x, centred, normalize=layer_norm, pool=lambda window: window.mean(1)),
    ),
    "cnn of several widths": (
        lambda: m.CNN(D, layers=3, width=4, width_multiples=(1, 3, 2), kernel_sizes=(4, 2, 3), nonlinearity="sigmoid"),
        lambda e, x: cnn(e, x, centred, torch.sigmoid),
    ),
    "time_cnn": (
        lambda: m.TimeCNN(D, T, kernel_sizes=(4, 3), pool_size=2),
        lambda e, x: cnn(e, x, centred, torch.sigmoid, dilation_base=1, pool=lambda window: window.mean(1)),
    ),
    "cnn max": (
        lambda: m.CNN(D, layers=2, kernel_size=K, pooling="max"),
        lambda e, x: cnn(e, x, centred, pool=lambda window: window.amax(1)),
    ),
    "notes_cnn": (lambda: m.NotesCNN(D, kernel_size=K), notes_cnn),
    "kim_cnn": (lambda: m.KimCNN(D, width=H, kernel_sizes=(2, 3, 4)), kim_cnn),
    "tcn": (lambda: m.TCN(D, width=H, layers=2, kernel_size=K), tcn),
    "locally_connected": (
        lambda: m.LocallyConnected(D, T, width=H, layers=2, kernel_size=K),
        lambda e, x: locally_connected(e, x, *centred(K - 1)),
    ),
    "locally_connected none": (
        lambda: m.LocallyConnected(D, T, width=H, layers=2, kernel_size=K, padding="none"),
        lambda e, x: locally_connected(e, x, 0, 0),
    ),
    "locally_connected tanh": (
        lambda: m.LocallyConnected(D, T, width=H, kernel_size=K, nonlinearity="tanh"),
        lambda e, x: locally_connected(e, x, *centred(K - 1), torch.tanh),
    ),
    "mlp": (lambda: m.MLP(D, T, width=H, layers=3), mlp),
    "residual mlp": (lambda: m.ResidualMLP(D, T, width=H, layers=3), residual_mlp),
    "mlp tanh": (lambda: m.MLP(D, T, width=H, nonlinearity="tanh"), lambda e, x: mlp(e, x, torch.tanh)),
    "transformer": (lambda: m.Transformer(D, width=6, heads=2, expansion=3), transformer),
    "causal transformer": (
        lambda: m.Transformer(D, width=6, heads=3, causal=True, position="none"),
        lambda e, x: transformer(e, x, heads=3, causal=True),
    ),
    "lru": (lambda: m.LRU(D, width=6, layers=2, states=H), lru_network),
    "s4d": (lambda: m.S4D(D, width=6, layers=2, states=3), s4d_network),
    "mamba": (lambda: m.Mamba(D, width=3, layers=2, states=4), mamba),
    "mamba signed": (lambda: m.Mamba(D, width=18, states=2, expansion=1, convolution=2, eigenvalues="signed"), mamba),
    "deltanet": (lambda: m.DeltaNet(D, width=4, layers=2), deltanet),
    "deltanet signed": (
        lambda: m.DeltaNet(D, width=6, heads=3, steps=2, convolution=1, eigenvalues="signed"),
        deltanet,
    ),
    "deltanet signed, more than a chunk": (
        lambda: m.DeltaNet(D, width=4, steps=4, eigenvalues="signed"),
        deltanet,
    ),
    **{
        f"{kind.__name__} {nonlinearity}, two ways": (
            partial(kind, D, width=H, bidirectional=True, nonlinearity=nonlinearity),
            partial(two_ways, cell=partial(cell, f=activate)),
        )
        for kind, cell in ((m.RNN, rnn), (m.IndRNN, indrnn))
        for nonlinearity, activate in (("tanh", torch.tanh), ("relu", torch.relu))
    },
    "lstm, two layers, two ways": (
        lambda: m.LSTM(D, width=H, layers=2, bidirectional=True),
        lambda e, x: two_ways(e, x, lstm),
    ),
    "gru before, two layers, two ways": (
        lambda: m.GRU(D, width=H, layers=2, bidirectional=True, reset="before"),
        lambda e, x: two_ways(e, x, gru_before),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_encoder_computes_its_equations_and_their_gradient(name: str) -> None:
    torch.manual_seed(len(name))
    make, equations = NETWORKS[name]
    encoder = make().double()
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    given, expected = encoder(x, None)[0], equations(encoder, x)
    torch.testing.assert_close(given, expected, rtol=1e-10, atol=1e-12)

    seed = torch.randn_like(expected)
    by_encoder = torch.autograd.grad((given * seed).sum(), [x, *encoder.parameters()])
    by_equations = torch.autograd.grad((expected * seed).sum(), [x, *encoder.parameters()])
    for ours, theirs in zip(by_encoder, by_equations, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


RATE = 0.3


@pytest.mark.parametrize(
    ("make", "equations"),
    [
        (partial(m.TCN, D, width=H, layers=3, kernel_size=K), tcn),
        (partial(m.LRU, D, width=6, layers=2, states=H), lru_network),
        (partial(m.S4D, D, width=6, layers=2, states=3), s4d_network),
        (partial(m.LSTM, D, width=H, layers=3, bidirectional=True), partial(two_ways, cell=lstm)),
    ],
    ids=["tcn", "lru", "s4d", "lstm"],
)
def test_dropout_acts_at_its_rate_in_its_places(
    make: Callable[..., m.Encoder], equations: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    # in the place of chance: something that is not linear, so that it shows where it acts, and depends on the rate
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x + self.p * x.square())
    torch.manual_seed(0)
    encoder = make(dropout=RATE).double()
    x = torch.randn(B, T, D, dtype=torch.float64)
    expected = equations(encoder, x, drop=lambda y: y + RATE * y.square())
    torch.testing.assert_close(encoder(x, None)[0], expected, rtol=1e-10, atol=1e-12)


def test_dropout_of_the_transformer_is_that_of_torchs_layer() -> None:
    for layer in m.Transformer(D, dropout=RATE).layers:
        assert isinstance(layer, nn.TransformerEncoderLayer)
        rates = [module.p for module in layer.modules() if isinstance(module, nn.Dropout)]
        assert [*rates, layer.self_attn.dropout] == [RATE] * 4


def test_each_layer_of_a_perceptron_has_its_own_dropout_of_what_it_reads():
    torch.manual_seed(0)
    dense = m.MLP(1, 1000, width=1000, layers=2, dropouts=(0.5, 0.0))
    with torch.no_grad():
        for layer in dense.layers:
            layer.weight.copy_(torch.eye(1000))
            layer.bias.zero_()
    x = torch.ones(1, 1000, 1)
    learning = dense(x, None)[0]
    assert set(learning.unique().tolist()) == {0.0, 2.0}
    assert float((learning == 0).double().mean()) == pytest.approx(0.5, abs=0.06)
    assert torch.equal(dense.eval()(x, None)[0], torch.ones(1, 1, 1000))
    with pytest.raises(ConfigError, match=r"model.dropouts=\[0.5\]: has 1 entries for 2 layers; give 2, or null"):
        m.MLP(1, 10, layers=2, dropouts=(0.5,))
