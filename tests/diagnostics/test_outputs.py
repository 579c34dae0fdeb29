"""Layers without a recurrence, however their axes stand, have the gradient that autograd gives in float64."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradreach.diagnostics import Batch, gradient_profile

STEPS, EXAMPLES = 12, 5


class Attention(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=batch_first)
        self.inner, self.batch_first, self.head = nn.Linear(1, 4), batch_first, nn.Linear(4, 2)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.watched = {"encoder.layers.0": (1, 0, 2) if batch_first else (0, 1, 2)}

    def forward(self, x):
        x = self.inner(x)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        given = self.encoder(x if self.batch_first else x.transpose(0, 1), mask=mask)
        return self.head(given[:, -1] if self.batch_first else given[-1])


class Strided(nn.Module):
    """Halves the steps twice, then goes on along those that are left."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv1d(1, 4, 3, stride=2, padding=1), nn.Conv1d(4, 7, 3, stride=2, padding=1)])
        self.attention = nn.ModuleList([nn.TransformerEncoderLayer(7, 1, 8, dropout=0.0, batch_first=True)])
        self.head = nn.Linear(7, 2)
        self.watched = {"blocks.0": (2, 0, 1), "blocks.1": (2, 0, 1), "attention.0": (1, 0, 2)}

    def forward(self, x):
        x = x.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(self.attention[0](x.transpose(1, 2)).mean(1))


class Mixer(nn.Module):
    """Mixes steps by a matrix, as an MLP mixer does, and a diagonal state space computed by a convolution."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([StateSpace(), Steps()])
        self.head = nn.Linear(3, 2)
        self.watched = {"layers.0": (1, 0, 2), "layers.1": (1, 0, 2)}

    def forward(self, x):
        x = x.expand(-1, -1, 3)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, -1])


class StateSpace(nn.Module):
    def __init__(self):
        super().__init__()
        self.decay = nn.Parameter(torch.tensor([0.3, 0.6, 0.9]))

    def forward(self, x):
        kernel = self.decay ** torch.arange(x.shape[1], device=x.device).unsqueeze(1)
        size = 2 * x.shape[1]
        spectrum = torch.fft.rfft(x, size, dim=1) * torch.fft.rfft(kernel, size, dim=0)
        return torch.tanh(torch.fft.irfft(spectrum, size, dim=1)[:, : x.shape[1]])


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(STEPS, STEPS)

    def forward(self, x):
        return x + self.mix(x.transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("size", [STEPS, EXAMPLES])
@pytest.mark.parametrize("kind", [lambda: Attention(True), lambda: Attention(False), Strided, Mixer])
def test_a_layer_has_the_gradient_that_autograd_gives(kind, size):
    torch.manual_seed(0)
    model, x, target = kind(), torch.randn(EXAMPLES, size, 1), torch.arange(EXAMPLES) % 2
    if isinstance(model, Mixer) and size != STEPS:
        return
    profile = gradient_profile(model, Batch(x, None, target), nn.CrossEntropyLoss(reduction="none"))
    twin, kept = copy.deepcopy(model).double().eval(), {}
    for name in model.watched:
        twin.get_submodule(name).register_forward_hook(
            lambda module, given, output, name=name: kept.update({name: output}) or output.retain_grad()
        )
    F.cross_entropy(twin(x.double()), target, reduction="sum").backward()
    for name, axes in model.watched.items():
        gradient = kept[name].grad.permute(axes)  # (length, batch, width)
        by_lag = gradient.norm(dim=-1).flip(0).log10()
        curve = profile[profile["layer"] == name]
        assert curve["n"].eq(EXAMPLES).all()
        middle = by_lag.sort(dim=1).values[:, EXAMPLES // 2]
        np.testing.assert_allclose(curve["median"], middle, atol=1e-9)
