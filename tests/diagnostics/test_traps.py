"""Each known way to measure gradients wrongly is shown to differ, and ours to be right."""

import math
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gradreach.diagnostics import (
    GradientNorms,
    decay,
    gradient_norms,
    gradient_profile,
    half_life,
    step_factors,
    trace,
)
from gradreach.models import GRU, LSTM, RNN, MinGRU, SequenceModel
from gradreach.tasks import Batch


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, reduction="none")


def padded(seed: int = 0) -> Batch:
    torch.manual_seed(seed)
    return Batch(torch.randn(4, 9, 2).double(), torch.tensor([9, 5, 2, 7]), torch.tensor([0, 1, 1, 0]))


def h_of(profile, **where):
    chosen = profile[profile["quantity"] == "h"]
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    return chosen.set_index("lag")


def test_a_fused_layers_own_output_gradient_shows_only_one_step():
    torch.manual_seed(0)
    model = SequenceModel(LSTM(2, width=4), "last", 2).double()
    x = torch.randn(3, 8, 2).double()
    output, _ = model.encoder.layers[0](x)
    output.retain_grad()
    cross_entropy(model.head(output[:, -1]), torch.zeros(3).long()).sum().backward()
    assert (output.grad.norm(dim=2) > 0).sum(1).tolist() == [1, 1, 1]
    profile = gradient_profile(model, Batch(x, None, torch.zeros(3).long()), cross_entropy)
    assert np.isfinite(h_of(profile)["median"]).all()


def test_the_norm_of_a_batch_mean_is_not_the_norm_of_an_example():
    """Trap 2: it is smaller by far more than the batch's 1/n undone would explain."""
    torch.manual_seed(0)
    model = SequenceModel(LSTM(2, width=8), "last", 2).double()
    batch = Batch(torch.randn(64, 12, 2).double(), None, torch.randint(2, (64,)))
    x = batch.x.clone().requires_grad_()
    cross_entropy(model(x), batch.target).mean().backward()
    wrong = x.grad[:, -2].mean(0).norm()
    right = gradient_profile(model, batch, cross_entropy).query("quantity == 'x' and lag == 1")["median"].item()
    assert right == pytest.approx(float((64 * x.grad[:, -2].norm(dim=1)).log10().quantile(0.5)), rel=1e-12)
    assert 10**right > 100 * float(wrong)


def test_lag_counts_from_each_examples_last_valid_step():
    """Trap 3: by columns of the padded tensor, the axis would be wrong for all but the longest."""
    batch = padded()
    model = SequenceModel(LSTM(2, width=4), "last", 2).double()
    whole = trace(model, batch, cross_entropy).input_by_lag()[0]
    for i, length in enumerate(batch.lengths.tolist()):
        alone = Batch(batch.x[i : i + 1, :length], None, batch.target[i : i + 1])
        assert torch.allclose(whole[:length, i], trace(model, alone, cross_entropy).input_by_lag()[0][:, 0], atol=1e-10)
    profile = gradient_profile(model, batch, cross_entropy)
    assert h_of(profile)["n"].tolist() == [4, 4, 3, 3, 3, 2, 2, 1, 1]
    valid = torch.arange(9)[None, :, None] < batch.lengths[:, None, None]
    noise = Batch(torch.where(valid, batch.x, 1e3), batch.lengths, batch.target)
    assert gradient_profile(model, noise, cross_entropy).equals(profile)


class Packed(nn.Module):
    """Somebody else's model: packed, two layers, both directions, read where each sequence ends."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, (h, _) = self.lstm(packed)
        states = pad_packed_sequence(output, batch_first=True)[0]
        return self.head(torch.cat([h[-2], h[-1]], 1) + states.sum(1))


@given(
    kind=st.sampled_from([RNN, GRU, LSTM, MinGRU]),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    readout=st.sampled_from(["last", "mean", "attention"]),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_any_padded_batch_is_measured_as_each_example_alone(kind, layers, bidirectional, readout, lengths):
    torch.manual_seed(0)
    model = SequenceModel(kind(2, width=3, layers=layers, bidirectional=bidirectional), readout, 2).double()
    batch = Batch(torch.randn(len(lengths), 6, 2).double(), torch.tensor(lengths), torch.zeros(len(lengths)).long())
    whole = trace(model, batch, cross_entropy)
    for i, length in enumerate(lengths):
        alone = trace(model, Batch(batch.x[i : i + 1, :length], None, batch.target[i : i + 1]), cross_entropy)
        assert torch.allclose(whole.input_by_lag()[0][:length, i], alone.input_by_lag()[0][:, 0], atol=1e-9)
        for one, other in zip(whole.layers, alone.layers, strict=True):
            here = one.by_lag(one.adjoints.state.log_norm())[0][:length, i]
            assert torch.allclose(here, other.by_lag(other.adjoints.state.log_norm())[0][:, 0], atol=1e-9)


def test_packed_sequences_are_measured_as_each_example_alone():
    batch = padded()
    model = Packed().double()
    whole = trace(model, batch, cross_entropy)
    for i, length in enumerate(batch.lengths.tolist()):
        alone = Batch(batch.x[i : i + 1, :length], batch.lengths[i : i + 1], batch.target[i : i + 1])
        single = trace(model, alone, cross_entropy)
        for one, other in zip(whole.layers, single.layers, strict=True):
            here = one.by_lag(one.adjoints.state.log_norm())[0][:length, i]
            assert torch.allclose(here, other.by_lag(other.adjoints.state.log_norm())[0][:, 0], atol=1e-10)
    x = batch.x.clone().requires_grad_()
    cross_entropy(model(x, batch.lengths), batch.target).sum().backward()
    found = whole.input.log_norm().exp().T
    assert torch.allclose(found, x.grad.norm(dim=2), rtol=1e-10)


def test_a_loss_at_every_step_hides_the_decay():
    """Trap 4: the profile of such a loss is flat; step factors and a single seed show what one step does."""
    torch.manual_seed(0)
    layer = nn.RNN(2, 16, batch_first=True).double()
    batch = Batch(torch.randn(8, 60, 2).double(), None, torch.zeros(8))

    def everywhere(output, target):
        return output[0].square().sum((1, 2))

    def at_the_end(output, target):
        return output[0][:, -1].square().sum(1)

    flat = decay(h_of(gradient_profile(layer, batch, everywhere)).reset_index())
    steep = decay(h_of(gradient_profile(layer, batch, at_the_end)).reset_index())
    assert flat.factor > 0.95
    assert steep.factor < 0.75
    steps = step_factors(trace(layer, batch, everywhere).layers[0])
    assert 10 ** steps["median"][5:40].median() < 0.75


def test_dropout_is_off_while_probing_and_nothing_else_changes():
    """Trap 5, and the promise that measuring disturbs nothing."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.LSTM(2, 4, num_layers=2, dropout=0.5, batch_first=True)).train()
    model[1].weight_ih_l0.grad = torch.ones_like(model[1].weight_ih_l0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    batch = Batch(torch.randn(3, 6, 2), None, torch.zeros(3))
    random = torch.get_rng_state()

    def loss(output, target):
        return output[0][:, -1].sum(1)

    once, twice = (gradient_profile(model, batch, loss) for _ in range(2))
    assert once.equals(twice)
    assert torch.equal(random, torch.get_rng_state())
    assert model.training
    assert model[1].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(model[1].weight_ih_l0.grad, torch.ones_like(model[1].weight_ih_l0))
    assert all(p.requires_grad for p in model.parameters())
    assert "forward" not in vars(model[1])


def test_it_works_where_gradients_are_switched_off():
    layer = nn.GRU(2, 3, batch_first=True)
    batch = Batch(torch.randn(2, 5, 2), None, torch.zeros(2))

    def loss(output, target):
        return output[0][:, -1].sum(1)

    outside = gradient_profile(layer, batch, loss)
    with torch.inference_mode():
        assert gradient_profile(layer, batch, loss).equals(outside)


def test_the_two_directions_have_opposite_lag_axes():
    """Trap 6: on one common axis the backward direction would seem to explode."""
    torch.manual_seed(0)
    layer = nn.RNN(2, 8, bidirectional=True, batch_first=True).double()
    batch = Batch(torch.randn(4, 40, 2).double(), None, torch.zeros(4))

    def both_ends(output, target):
        return output[0][:, -1, :8].sum(1) + output[0][:, 0, 8:].sum(1)

    profile = gradient_profile(layer, batch, both_ends)
    for direction in ("forward", "backward"):
        curve = h_of(profile, direction=direction).reset_index()
        assert 0.5 < half_life(curve) < 3
        assert decay(curve).r2 > 0.95
    both = half_life(h_of(profile).reset_index())  # never one line through the two
    alone = [half_life(h_of(profile, direction=which).reset_index()) for which in ("forward", "backward")]
    assert both.tolist() == alone


def test_a_backward_direction_over_padding_ends_at_the_first_input():
    """Somebody else's model, padded and not packed: its backward direction passes the padding first."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.RNN(2, 4, bidirectional=True, batch_first=True)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.layer(x)[0][:, 0, 4:]

    torch.manual_seed(0)
    batch, model = padded(), Padded().double()
    layer = trace(model, batch, lambda output, target: output.sum(1)).layers[1]
    norms, valid = layer.by_lag(layer.adjoints.state.log_norm())
    assert norms[0].exp().tolist() == pytest.approx([2.0] * 4)  # of four ones, where the loss reads
    assert valid.sum(0).tolist() == batch.lengths.tolist()
    slope = 1 - layer.steps.states[-1] ** 2
    one_back = slope @ model.layer.weight_hh_l0_reverse.detach()
    assert torch.allclose(norms[1].exp(), one_back.norm(dim=1), rtol=1e-12)


def test_the_norm_is_taken_before_clipping():
    """Trap 7."""
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    model = nn.Module()
    model.weight = weight
    weight.grad = torch.tensor([30.0, 40.0])
    norms = GradientNorms(model, clip_norm=1.0)
    assert gradient_norms(model) == {"weight": 50.0, "total": 50.0}
    norms.add()
    nn.utils.clip_grads_with_norm_([weight], 1.0, norms.total)
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]))
    assert norms.take()[0] == {"norm": 50.0, "clip_rate": 1.0, "nonfinite": 0.0}


def test_gradients_that_are_no_numbers_are_counted():
    """Trap 8: dropped in silence, an exploding run looks healthy."""
    model = nn.Linear(2, 1)
    norms = GradientNorms(model, clip_norm=10.0)
    for gradient in ([3.0, 4.0], [math.inf, 0.0], [math.nan, 0.0], [1e30, 1e30]):
        model.weight.grad = torch.tensor([gradient])
        model.bias.grad = torch.zeros(1)
        norms.add()
    found, table = norms.take()
    assert found["nonfinite"] == 2
    assert found["norm"] == pytest.approx((5 + math.sqrt(2) * 1e30) / 2, rel=1e-6)  # float32 would square to infinity
    assert found["clip_rate"] == 0.5
    assert dict(zip(table["name"], table["nonfinite"], strict=True)) == {"weight": 2, "bias": 0, "total": 2}
    assert math.isnan(norms.take()[0]["norm"])


def test_norms_of_parameters_layers_and_all_are_those_of_their_entries():
    torch.manual_seed(0)
    model = nn.Sequential(nn.LSTM(2, 3), nn.Linear(3, 1), nn.Linear(1, 1))
    norms, entries = GradientNorms(model), []
    for _ in range(2):
        model.zero_grad()
        model[1](model[0](torch.randn(5, 2))[0]).sum().backward()  # the last layer takes no part
        norms.add()
        entries.append({n: p.grad.double() for n, p in model.named_parameters() if p.grad is not None})
    found = norms.by_name()
    for step, gradients in enumerate(entries):
        for name, gradient in gradients.items():
            assert found[name][step] == pytest.approx(float(gradient.norm()), rel=1e-12)
        for layer in "01":
            parts = [gradient.flatten() for name, gradient in gradients.items() if name.startswith(layer)]
            assert found[layer][step] == pytest.approx(float(torch.cat(parts).norm()), rel=1e-12)
        whole = torch.cat([gradient.flatten() for gradient in gradients.values()])
        assert found["total"][step] == pytest.approx(float(whole.norm()), rel=1e-12)
        assert found["2"][step] == found["2.weight"][step] == 0
    now = gradient_norms(model)
    assert now == {name: norms[1] for name, norms in found.items()}
    table = norms.take()[1].set_index("name")
    assert table.loc["0", "norm"] == pytest.approx(found["0"].mean())
    assert table.loc["0", "largest"] == found["0"].max()


def test_steps_are_walked_without_quadratic_cost():
    """Trap 9: four times the length must cost about four times the time, not sixteen."""
    layer = nn.RNN(1, 2, batch_first=True)

    def cost(length: int) -> float:
        batch = Batch(torch.randn(1, length, 1), None, torch.zeros(1))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            trace(layer, batch, lambda output, target: output[0][:, -1].sum(1))
            times.append(time.perf_counter() - start)
        return min(times)

    assert cost(2000) / cost(500) < 10


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
def test_forward_mode_derivatives_are_not_what_it_rests_on():
    """Trap 10: torch has none of its fused LSTM in float32 on a CPU; ours has the Jacobian all the same."""
    torch.manual_seed(0)
    layer, x = nn.LSTM(2, 3, batch_first=True), torch.randn(2, 5, 2)
    with pytest.raises(NotImplementedError, match="forward AD"):
        torch.func.jvp(lambda x: layer(x)[0], (x,), (torch.ones_like(x),))
    found = trace(layer, Batch(x, None, torch.zeros(2)), lambda output, target: output[0][:, -1].sum(1), torch.float32)
    assert torch.isfinite(found.layers[0].steps.jacobian(2)).all()


def test_cudnn_is_left_out_of_a_probe_and_of_nothing_else():
    """It refuses gradients of recurrent layers in evaluation mode, in which the probe is."""
    seen = []

    class Watching(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.backends.cudnn.enabled)
            return super().forward(x[:, -1])

    batch = Batch(padded().x, None, padded().target)
    gradient_profile(Watching(2, 2), batch, cross_entropy)
    assert seen == [False]
    assert torch.backends.cudnn.enabled
    with pytest.raises(ZeroDivisionError):
        gradient_profile(Watching(2, 2), batch, lambda output, target: 1 / 0)
    assert torch.backends.cudnn.enabled
