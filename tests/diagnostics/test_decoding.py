"""What a linear map reads from states: against regressions done another way, and where the answer is known."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from gradreach.batch import IGNORED
from gradreach.diagnostics import linear_decoding
from gradreach.diagnostics.decoding import STRENGTHS, Decoder, decoding_figures
from gradreach.models import GRU, LSTM, SequenceModel
from gradreach.tasks import Batch

N, T = 240, 16


class Delay(nn.Module):
    """Its h is the input three steps before, its c the last four inputs, newest first."""

    def initial_state(self, batch, device, dtype):
        return torch.zeros(batch, 2, device=device, dtype=dtype), torch.zeros(batch, 8, device=device, dtype=dtype)

    def step(self, x_t, state):
        kept = torch.cat([x_t, state[1][:, :-2]], 1)
        return kept[:, -2:], kept

    def forward(self, x: Tensor) -> Tensor:
        state, outputs = self.initial_state(len(x), x.device, x.dtype), []
        for x_t in x.unbind(1):
            state = self.step(x_t, state)
            outputs.append(state[0])
        return torch.stack(outputs, 1)


class Reading(nn.Module):
    """Something before a layer, and lengths that it need not know."""

    def __init__(self, layer: nn.Module, before: nn.Module | None = None) -> None:
        super().__init__()
        self.before, self.layer = before or nn.Identity(), layer

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.layer(self.before(x))


def series(lengths: Tensor | None = None) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(N, T, 2), lengths, torch.randint(3, (N,)))


def by_lag(table: pd.DataFrame, quantity: str, position: float = 1.0) -> pd.Series:
    inputs = table[(table["of"] == "input") & (table["quantity"] == quantity) & (table["position"] == position)]
    return inputs.set_index("lag")["r2"]


def r2_of_target(table: pd.DataFrame, quantity: str, position: float = 1.0) -> float:
    target = table[(table["of"] == "target") & (table["quantity"] == quantity)]
    return target.set_index("position")["r2"][position]


def test_a_delay_tells_the_input_that_it_holds_and_no_other():
    table = linear_decoding(Reading(Delay()), series(), lags=(0, 1, 2, 3, 4, 5, 10, 20))
    h, c = by_lag(table, "h"), by_lag(table, "c")
    assert h.index.tolist() == c.index.tolist() == [0, 1, 2, 3, 4, 5, 10]  # 20 steps before there is nothing
    assert h[3] == pytest.approx(1, abs=1e-9)
    assert h.drop(3).abs().max() < 0.1
    assert c[[0, 1, 2, 3]].to_numpy() == pytest.approx(np.ones(4), abs=1e-9)
    assert c[[4, 5, 10]].abs().max() < 0.15
    assert by_lag(table, "h", 0.25).index.tolist() == [0, 1, 2, 3]  # four steps have passed
    assert (table["n"] == N // 2).all()


def test_every_example_is_read_at_shares_of_its_own_length_and_padding_changes_nothing():
    lengths = torch.arange(N) % 9 + 8
    batch = series(lengths)
    known = torch.stack([batch.x[i, n - 4] for i, n in enumerate(lengths)])
    batch = Batch(batch.x, lengths, (known[:, 0] > 0).long())
    table = linear_decoding(Reading(Delay()), batch, lags=(0, 3, 8))
    assert r2_of_target(table, "h") > 0.4  # a sign, of what is read as a number: 2/π at best
    assert by_lag(table, "h")[3] == pytest.approx(1, abs=1e-9)
    n = table[(table["quantity"] == "h") & (table["position"] == 1)].set_index("lag")["n"]
    assert n[[3.0, 8.0]].tolist() == [N // 2, int((lengths > 8).sum()) // 2]
    filled = batch.x.clone()
    filled[torch.arange(T) >= lengths.unsqueeze(1)] = 1e3
    filled = Batch(filled, lengths, batch.target)
    pd.testing.assert_frame_equal(linear_decoding(Reading(Delay()), filled, lags=(0, 3, 8)), table)


class Backwards(nn.Module):
    """Hands its layer the valid steps turned round."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Delay()
        self.layer.runs_backward = True

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        last = torch.full((len(x), 1), T - 1) if lengths is None else lengths.unsqueeze(1) - 1
        steps = torch.arange(T)
        index = torch.where(steps <= last, last - steps, steps)
        return self.layer(x.gather(1, index.unsqueeze(2).expand_as(x)))


@pytest.mark.parametrize("lengths", [None, torch.arange(N) % 9 + 8])
def test_lags_of_a_layer_that_runs_backwards_are_counted_as_it_runs(lengths):
    table = linear_decoding(Backwards(), series(lengths), lags=(2, 3, 4))
    assert set(table["direction"]) == {"backward"}
    assert by_lag(table, "h")[3] == pytest.approx(1, abs=1e-9)
    assert by_lag(table, "h", 0.5)[3] == pytest.approx(1, abs=1e-9)
    assert by_lag(table, "h")[[2, 4]].abs().max() < 0.1


def test_a_packed_bidirectional_layer_is_read_like_each_example_alone():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(2, 3, batch_first=True, bidirectional=True)

        def forward(self, x, lengths):
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0][:, 0]

    torch.manual_seed(0)
    model, lengths = Packed(), torch.arange(N) % 5 + 4
    batch = series(lengths)  # the longest has eight of sixteen steps
    table = linear_decoding(model, batch, positions=(0.5, 1.0), lags=(0, 2))
    for direction in ("forward", "backward"):
        outputs = [model.lstm(batch.x[i : i + 1, :n])[0][0] for i, n in enumerate(lengths)]
        for position in (0.5, 1.0):
            passed = [math.ceil(position * int(n)) for n in lengths]
            if direction == "forward":
                states = [out[p - 1, :3] for out, p in zip(outputs, passed, strict=True)]
                inputs = [batch.x[i, p - 3] if p > 2 else None for i, p in enumerate(passed)]
            else:
                states = [out[n - p, 3:] for out, n, p in zip(outputs, lengths, passed, strict=True)]
                ends = zip(lengths, passed, strict=True)
                inputs = [batch.x[i, n - p + 2] if p > 2 else None for i, (n, p) in enumerate(ends)]
            there = [i for i, x in enumerate(inputs) if x is not None]
            stacked = torch.stack([states[i] for i in there]).detach().double()
            truth = Decoder(stacked).test(torch.stack([inputs[i] for i in there]).double())
            mine = table[(table["direction"] == direction) & (table["quantity"] == "h")]
            row = mine[(mine["of"] == "input") & (mine["position"] == position) & (mine["lag"] == 2)].iloc[0]
            assert row["r2"] == pytest.approx(truth[0], abs=1e-5)
            assert row["n"] == truth[1]


def test_token_ids_are_told_as_one_hot_vectors():
    torch.manual_seed(0)
    ids = torch.randint(1, 4, (N, T))
    embedding = nn.Embedding(4, 2)
    embedding.weight.data = torch.tensor([[0.0, 0], [1, 0], [0, 1], [-1, -1]])
    table = linear_decoding(Reading(Delay(), embedding), Batch(ids, None, torch.zeros(N)), lags=(2, 3))
    assert by_lag(table, "h")[3] == pytest.approx(1, abs=1e-9)
    assert abs(by_lag(table, "h")[2]) < 0.1


def test_of_steps_that_all_have_a_target_the_last_that_counts_is_wanted():
    batch = series()
    signs = (batch.x[..., 0] > 0).long()
    target = signs.roll(3, 1)  # at each step the sign of three steps before
    target[:, :3] = target[::2, 12:] = IGNORED
    last = torch.where(torch.arange(N) % 2 == 0, 11, 15)
    whole, single = (
        linear_decoding(Reading(Delay()), Batch(batch.x, None, t)) for t in (target, target[torch.arange(N), last])
    )
    pd.testing.assert_frame_equal(whole, single)
    values = Batch(batch.x, None, batch.x[:, 12, 1])
    assert r2_of_target(linear_decoding(Reading(Delay()), values), "h") == pytest.approx(1, abs=1e-9)


def test_who_mixes_up_examples_reads_nothing():
    x = series().x
    target = (x[:, 12, 0] > 0).long()
    torch.manual_seed(1)
    mixed = target[torch.randperm(N)]
    right, wrong = (r2_of_target(linear_decoding(Reading(Delay()), Batch(x, None, t)), "h") for t in (target, mixed))
    assert right > 0.5
    assert abs(wrong) < 0.1


def by_least_squares(z: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit weights and an intercept that is not shrunk, as least squares with further rows: another way to a ridge."""
    n, size = z.shape
    rows = np.vstack([np.c_[z, np.ones(n)], np.c_[math.sqrt(strength) * np.eye(size), np.zeros(size)]])
    found = np.linalg.lstsq(rows, np.vstack([y, np.zeros((size, y.shape[1]))]), rcond=None)[0]
    return found[:-1], found[-1]


@pytest.mark.parametrize("noise", [0.01, 1.0, 30.0])
def test_the_ridge_is_that_of_least_squares_and_its_strength_that_of_leaving_one_out(noise):
    generator = np.random.default_rng(0)
    states = generator.normal(size=(90, 6)) * [1, 5, 0.1, 1, 1, 1] + 3
    states[:, 5] = 2.0  # never changes
    wanted = states[:, :3] @ generator.normal(size=(3, 2)) + noise * generator.normal(size=(90, 2))
    z = (states[:, :5] - states[::2, :5].mean(0)) / states[::2, :5].std(0)
    n = 45

    def left_out(strength):
        total = 0.0
        for i in range(n):
            rest = np.arange(n) != i
            weights, constant = by_least_squares(z[::2][rest], wanted[::2][rest], n * strength)
            total += ((wanted[::2][i] - z[::2][i] @ weights - constant) ** 2).sum()
        return total

    strength = min(STRENGTHS, key=left_out)
    weights, constant = by_least_squares(z[::2], wanted[::2], n * strength)
    missed = wanted[1::2] - z[1::2] @ weights - constant
    truth = 1 - (missed**2).sum() / ((wanted[1::2] - wanted[::2].mean(0)) ** 2).sum()
    assert Decoder(torch.from_numpy(states)).test(torch.from_numpy(wanted)) == (pytest.approx(truth, rel=1e-9), n)


@pytest.mark.parametrize("size", [4, 60, 300])
def test_states_that_know_nothing_tell_about_nothing_however_many_numbers_they_have(size):
    torch.manual_seed(size)
    pairs = [(torch.randn(N, size).double(), torch.eye(5).double()[torch.randint(5, (N,))]) for _ in range(20)]
    found = [Decoder(states).test(wanted)[0] for states, wanted in pairs]
    assert abs(np.mean(found)) < 0.05
    assert min(found) > -0.2


def test_what_cannot_be_known_is_nan():
    torch.manual_seed(0)
    states, wanted = torch.randn(80, 3).double(), torch.randn(80, 1).double()
    assert math.isfinite(Decoder(states).test(wanted)[0])
    assert math.isnan(Decoder(states).test(torch.ones(80, 1).double())[0])  # nothing to be told
    assert math.isnan(Decoder(states[:60]).test(wanted[:60])[0])  # too few
    states[1, 1] = math.inf
    assert math.isnan(Decoder(states).test(wanted)[0])


def test_a_layer_without_a_cell_tells_of_its_h_and_one_that_sees_other_steps_of_no_input():
    batch = series()
    gru = linear_decoding(SequenceModel(GRU(2, width=3, layers=2), "last", 3), batch)
    assert set(gru["quantity"]) == {"h"}
    assert list(decoding_figures(gru)) == [f"h{i}.decoded_{what}" for i in (1, 2) for what in ("target", "inputs")]
    halved = linear_decoding(Reading(Delay(), Halves()), batch)
    assert set(halved["of"]) == {"target"}


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, ::2]


def test_the_figures_are_means_and_the_end_does_not_count_for_the_target():
    table = linear_decoding(SequenceModel(LSTM(2, width=3), "last", 3), series())
    c = table[table["quantity"] == "c"]
    found = decoding_figures(table)
    assert found["c.decoded_inputs"] == pytest.approx(c.loc[c["of"] == "input", "r2"].mean())
    early = c[(c["of"] == "target") & (c["position"] < 1)]
    assert len(early) == 7
    assert found["c.decoded_target"] == pytest.approx(early["r2"].mean())


def test_the_model_is_left_as_it_was():
    torch.manual_seed(0)
    model, batch = SequenceModel(LSTM(2, width=3), "last", 3).train(), series()
    before, drawn = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    linear_decoding(model, batch)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
