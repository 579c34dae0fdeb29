"""Sensitivity: against convolutions and distances written out in numpy, in float64."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gradreach.batch import Batch
from gradreach.diagnostics import sensitivity
from gradreach.diagnostics.sensitivity import NOISES, SEED, sensitivity_figures
from gradreach.models import CNN, GRU, SequenceModel

POOLS = [("none", 1), ("avg", 2), ("max", 4)]


def signals(examples=9, steps=24, channels=2, seed=0):
    x = torch.randn(examples, steps, channels, generator=torch.Generator().manual_seed(seed)) * 3 + 1
    return Batch(x, None, torch.zeros(examples, dtype=torch.long))


def convolved(layer, x, pooling, size):
    """One layer by its sum, one step after the other: zeros at the edges, ReLU, windows."""
    weight, bias = (p.detach().double().numpy() for p in (layer.convolution.weight, layer.convolution.bias))
    taps = weight.shape[2]
    padded = np.pad(x, ((taps // 2, taps // 2), (0, 0)))
    y = np.array(
        [[(w * padded[t : t + taps].T).sum() + b for w, b in zip(weight, bias, strict=True)] for t in range(len(x))]
    )
    y = np.maximum(y, 0)
    windows = [y[t : t + size] for t in range(0, len(y) - size + 1, size)]
    return np.array([getattr(w, "mean" if pooling == "avg" else "max")(0) for w in windows])


def expected(model, batch, pooling, size):
    """All of it again: what is changed, what the layers make of it, how far it is."""
    x = batch.x.double().numpy()
    drawn = torch.randn(x.shape, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64).numpy() * x.std()
    changes = {("shift", 1.0): np.stack([np.concatenate((one[-1:], one[:-1])) for one in x])}
    changes |= {("noise", size): x + size * drawn for size in NOISES}

    def read(inputs):
        features = []
        for one in inputs:
            for layer in model.encoder.layers:
                one = convolved(layer, one, pooling, size)
            features.append(one)
        features = np.array(features)
        return {"input": inputs, "features": features, "readout": features.max(1)}

    before, found = read(x), {}
    for (change, amount), inputs in changes.items():
        for of, after in read(inputs).items():
            n = len(x)
            pairs = [(i, j) for i in range(n) for j in range(i)]
            apart = np.mean([np.sqrt(((before[of][i] - before[of][j]) ** 2).sum()) for i, j in pairs])
            moved = np.mean([np.sqrt(((after[i] - before[of][i]) ** 2).sum()) for i in range(n)])
            found[of, change, amount] = moved / apart
    return found


@pytest.mark.parametrize(("pooling", "size"), POOLS)
def test_movements_are_those_of_layers_written_out(pooling, size):
    torch.manual_seed(1)
    options = {
        "width": 5,
        "layers": 2,
        "kernel_size": 3,
        "dilation_base": 1,
        "pooling": pooling,
        "pool_size": max(size, 2),
    }
    model, batch = SequenceModel(CNN(2, **options), "max", 3), signals()
    table = sensitivity(model, batch)
    found = {(row.of, row.change, row.size): row.moved for row in table.itertuples(index=False)}
    wanted = expected(model, batch, pooling, size)
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key], rel=1e-10) for key in wanted)
    assert set(table["n"]) == {9}


def test_pooling_over_all_time_without_an_edge_knows_no_shift_and_the_input_moves_by_the_noise():
    batch = signals(40, 60, 1)
    found = sensitivity_figures(sensitivity(SequenceModel(CNN(1, width=6, padding="circular"), "mean", 2), batch))
    assert found["readout.shift"] < 1e-12 < 0.1 < found["features.shift"]
    # noise of σ·size moves by σ·size·√T, and examples stand σ·√(2T) apart
    assert found["input.noise_10"] == pytest.approx(0.1 / math.sqrt(2), rel=0.05)
    assert found["input.noise_25"] == pytest.approx(25 * found["input.noise_1"])


def test_padding_counts_nowhere_and_a_shift_turns_each_example_within_its_own_length():
    torch.manual_seed(2)
    model = SequenceModel(GRU(2, width=4), "last", 3)
    whole, lengths = signals(6, 20), torch.tensor([20, 5, 9, 1, 13, 20])
    padded = Batch(whole.x, lengths, whole.target)
    other = whole.x.clone()
    for i, length in enumerate(lengths):
        other[i, length:] = 1e6
    once, again = (sensitivity(model, Batch(x, lengths, whole.target), [0.1]) for x in (padded.x, other))
    assert np.allclose(once["moved"], again["moved"], rtol=1e-12)
    alone = torch.tensor([5] * 6)
    short = sensitivity(model, Batch(whole.x[:, :5], None, whole.target), [])
    assert np.allclose(sensitivity(model, Batch(whole.x, alone, whole.target), [])["moved"], short["moved"])


def test_features_that_are_the_same_for_all_examples_have_no_unit():
    model = SequenceModel(CNN(2, width=3), "max", 2)
    nn.init.zeros_(model.encoder.layers[0].convolution.weight)
    found = sensitivity_figures(sensitivity(model, signals()))
    assert math.isnan(found["features.shift"])
    assert found["input.shift"] > 0


def test_the_model_is_left_as_it_was_and_dropout_is_off():
    torch.manual_seed(0)
    model = SequenceModel(CNN(2, width=3), "max", 3, dropout=0.5).train()
    before, drawn = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    first, second = (sensitivity(model, signals())["moved"] for _ in range(2))
    assert first.equals(second)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert model.training


@pytest.mark.parametrize(
    ("model", "batch", "said"),
    [
        (nn.LSTM(2, 3), signals(), "needs a model with embedding, encoder, readout"),
        (SequenceModel(CNN(2, width=3), "max", 2), signals(1), "at least two examples"),
        (
            SequenceModel(CNN(2, width=3), "max", 2),
            Batch(torch.zeros(4, 8, dtype=torch.long), None, torch.zeros(4, dtype=torch.long)),
            "token ids cannot be changed by a small step",
        ),
    ],
)
def test_what_cannot_be_measured_is_refused(model, batch, said):
    with pytest.raises(ValueError, match=said):
        sensitivity(model, batch)
