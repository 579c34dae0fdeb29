"""What cannot be measured is refused by name, or is NaN and flagged; never a wrong number."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import (
    Instrument,
    LayerTrace,
    bptt_shares,
    bptt_terms,
    cell_jacobian,
    decay,
    effective_receptive_field,
    figures,
    gate_histograms,
    gate_statistics,
    gradient_norms,
    gradient_profile,
    half_life,
    linear_decoding,
    log10_condition_number,
    lyapunov_spectrum,
    omega,
    product_singular_values,
    profile_of,
    reach,
    recurrent_matrices,
    sensitivity,
    step_factors,
    theoretical_receptive_field,
    trace,
    windows_of,
)
from gradreach.diagnostics.profile import quantiles_by_lag
from gradreach.diagnostics.scaled import Scaled
from gradreach.models import GRU, LSTM, SequenceModel, make_embedding
from gradreach.tasks import Batch


def score(logits: Tensor, target: Tensor) -> Tensor:
    return logits.sum(1)


def model(width: int = 4) -> SequenceModel:
    torch.manual_seed(0)
    return SequenceModel(LSTM(2, width=width), "last", 2)


def batch(length: int = 6, lengths: Tensor | None = None) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(3, length, 2), lengths, torch.zeros(3).long())


def test_a_model_without_any_recurrence_has_an_input_profile_and_no_other():
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    profile = gradient_profile(mlp, batch(), score)
    assert list(profile["quantity"].unique()) == ["x"]
    with pytest.raises(ValueError, match="the profile has no curves"):
        half_life(profile[profile["quantity"] == "h"])
    with pytest.raises(ValueError, match="no receptive field"):
        windows_of(mlp)


def test_a_single_step_has_a_norm_and_no_reach():
    profile = gradient_profile(model(), batch(1), score)
    curve = profile[profile["quantity"] == "h"]
    assert curve["lag"].tolist() == [0]
    assert np.isfinite(curve["median"]).all()
    assert math.isnan(reach(curve))
    assert math.isnan(half_life(curve))
    assert math.isnan(figures(profile)["h.log10_norm"])


def test_an_example_of_nothing_but_padding_does_not_count():
    some = gradient_profile(model(), batch(6, torch.tensor([6, 0, 6])), score)
    others = batch()
    without = Batch(others.x[[0, 2]], None, others.target[[0, 2]])
    columns = ["quantity", "lag", "q10", "median", "q90", "n"]
    np.testing.assert_allclose(some[columns[1:]], gradient_profile(model(), without, score)[columns[1:]], rtol=1e-12)
    exponents = lyapunov_spectrum(trace(model(), batch(6, torch.tensor([6, 0, 6])), score).layers[0], k=1)
    assert exponents.isnan().flatten().tolist() == [False, True, False]


def test_nothing_but_padding_gives_no_rows():
    nothing = gradient_profile(model(), batch(6, torch.tensor([0, 0, 0])), lambda o, t: o.sum(1))
    assert len(nothing) == 0


def test_a_loss_that_depends_on_no_state_says_so():
    with pytest.raises(ValueError, match="neither on the input nor on any state"):
        gradient_profile(model(), batch(), lambda output, target: torch.zeros(3))
    profile = gradient_profile(Beside(), batch(), score)
    state = profile[profile["quantity"] == "h"]
    assert np.isneginf(state["median"]).all()
    assert math.isnan(reach(state))
    assert math.isnan(half_life(state))


class Beside(nn.Module):
    """Has a recurrent layer, and does not listen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 3, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        self.lstm(x)
        return x.sum(1)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_weights_that_are_no_numbers_give_nan_and_a_flag(poison):
    sick = model()
    sick.encoder.layers[0].weight_ih_l0.data[:4] = poison  # infinite weights saturate a gate; inf · 0 is not a number
    sick.head.weight.data[0, 0] = poison
    profile = gradient_profile(sick, batch(), score)
    assert profile.loc[(profile["quantity"] == "h") & (profile["lag"] == 0), "median"].isna().all()
    found = figures(profile)
    assert found["probe.nonfinite"] > 0
    assert math.isnan(found["h.reach"])
    assert math.isnan(found["h.half_life"])


def test_one_sick_example_is_flagged_and_not_hidden():
    sick = batch()
    sick.x[1, 2, 0] = math.nan
    profile = gradient_profile(model(), sick, score)
    assert (profile["nonfinite"] <= 1).all()
    assert profile["nonfinite"].sum() > 0
    assert profile.loc[profile["nonfinite"] > 0, "median"].isna().all()


def test_what_follows_from_weights_that_are_no_numbers_is_none_either():
    sick = model()
    sick.encoder.layers[0].weight_hh_l0.data[0, 0] = math.nan
    layer = trace(sick, batch(), score).layers[0]
    assert omega(layer).isnan().all()
    gates = gate_statistics(layer).set_index("gate")
    assert gates.loc["i", ["mean", "closed", "open"]].isna().all()
    assert lyapunov_spectrum(layer, 1).isnan().all()


def test_without_a_step_back_there_is_no_omega():
    assert omega(trace(model(), batch(1), score).layers[0]).isnan().all()
    padded = trace(model(), batch(6, torch.tensor([6, 0, 1])), score).layers[0]
    assert omega(padded).isnan().tolist() == [False, True, True]


def test_figures_over_examples_are_nan_where_one_of_them_is_sick_and_leave_padding_out():
    sick = batch()
    sick.x[1, 2, 0] = math.nan
    names = ("h.lyapunov", "h.log10_condition", "h.omega")
    schedules = {"lyapunov": "ends", "jacobians": "ends"}
    found = Instrument(model(), sick, score, schedules, exponents=2).measure("start")
    assert all(math.isnan(found[name]) for name in names)
    padded = Instrument(model(), batch(6, torch.tensor([6, 0, 6])), score, schedules, exponents=2).measure("start")
    assert all(math.isfinite(padded[name]) for name in names)


def test_a_step_without_one_before_it_is_undefined_and_not_sick():
    lengths = torch.tensor([6, 4, 6])
    layer = trace(model(), batch(6, lengths), score).layers[0]
    table = step_factors(layer).set_index(["quantity", "lag"])
    assert table["nonfinite"].sum() == 0
    assert table.loc["step", "n"].tolist() == [3, 3, 3, 3, 2, 2]
    for quantity in ("direct", "indirect", "cell"):
        assert table.loc[quantity, "n"].tolist() == [3, 3, 3, 2, 2, 0]
        assert table.loc[quantity, "median"].notna().tolist() == [True] * 5 + [False]
    with pytest.raises(ValueError, match="t=0: choose a step with a previous one, 1 to 5"):
        cell_jacobian(layer.steps, 0)


def test_steps_at_which_no_gradient_arrives_have_no_factor():
    layer = nn.LSTM(2, 3, batch_first=True)
    middle = trace(layer, batch(), lambda output, target: output[0][:, 3].sum(1)).layers[0]
    table = step_factors(middle).set_index(["quantity", "lag"])
    assert table.loc["step", "n"].tolist() == [0, 0, 3, 3, 3, 3]
    assert table.loc["cell", "n"].tolist() == [0, 0, 3, 3, 3, 0]
    assert table["nonfinite"].sum() == 0
    early = trace(layer, Batch(batch().x[:, :4], None, batch().target), lambda output, target: output[0][:, 3].sum(1))
    assert torch.allclose(omega(middle), omega(early.layers[0]))


def test_half_precision_is_computed_in_double_and_refused_as_a_dtype():
    half = model().half()
    again = gradient_profile(half.float(), batch(), score)
    assert gradient_profile(model().half(), batch(), score).equals(again)
    with pytest.raises(ValueError, match=r"torch\.float16.*choose torch\.float32 or torch\.float64"):
        gradient_profile(half, batch(), score, dtype=torch.float16)


def test_a_mean_loss_is_refused():
    with pytest.raises(ValueError, match=r"one value per example, \(3,\)"):
        gradient_profile(model(), batch(), lambda output, target: output.mean())


def test_lengths_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="each must be 0 to 6"):
        gradient_profile(model(), batch(6, torch.tensor([6, 7, 2])), score)


class Tokens(nn.Module):
    def __init__(self, embed: bool = True) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 3, padding_idx=0) if embed else None
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        x = (
            ids.unsqueeze(-1).expand(-1, -1, 3).to(self.gru.weight_hh_l0.dtype)
            if self.embed is None
            else self.embed(ids)
        )
        return self.gru(x)[0][:, -1]


def test_token_ids_are_measured_by_what_the_embedding_gives():
    torch.manual_seed(0)
    tokens, ids = Tokens().double(), torch.randint(1, 9, (3, 5))
    profile = gradient_profile(tokens, Batch(ids, None, torch.zeros(3)), score)
    given = tokens.embed(ids).detach().requires_grad_()
    score(tokens.gru(given)[0][:, -1], torch.zeros(3)).sum().backward()
    truth = given.grad.norm(dim=2).log10().flip(1).median(0)[0]
    assert np.allclose(profile[profile["quantity"] == "x"]["median"], truth, atol=1e-12)


def test_tokens_with_ngrams_are_measured_by_the_sum_that_stands_at_a_step():
    torch.manual_seed(0)
    whole = SequenceModel(GRU(3, width=4), "last", 2, embedding=make_embedding(1, 9, 3, ngrams=3)).double()
    ids = torch.randint(1, 9, (3, 5))
    profile = gradient_profile(whole, Batch(ids, None, torch.zeros(3)), score)
    given = whole.embedding(ids).detach().requires_grad_()
    score(whole.head(whole.encoder(given, None)[0][:, -1]), torch.zeros(3)).sum().backward()
    truth = given.grad.norm(dim=2).log10().flip(1).median(0)[0]
    assert np.allclose(profile[profile["quantity"] == "x"]["median"], truth, atol=1e-12)


class TimeFirst(Tokens):
    def forward(self, ids: Tensor) -> Tensor:
        return self.gru(self.embed(ids.T).transpose(0, 1))[0][:, -1]


def test_token_ids_may_be_turned_time_first():
    torch.manual_seed(0)
    tokens, ids = Tokens().double(), torch.randint(1, 9, (3, 5))
    turned = TimeFirst().double()
    turned.load_state_dict(tokens.state_dict())
    batch = Batch(ids, None, torch.zeros(3))
    assert gradient_profile(turned, batch, score).equals(gradient_profile(tokens, batch, score))


def test_a_layer_of_another_length_than_the_padded_input_is_refused():
    x = torch.randn(3, 6, 6)
    with pytest.raises(ValueError, match="it is unknown which are valid"):
        trace_halved(x, torch.tensor([6, 4, 2]))
    assert trace_halved(x, torch.tensor([6, 6, 6])).layers[0].count.tolist() == [3, 3, 3]


def trace_halved(x: Tensor, lengths: Tensor):
    class Halved(nn.Module):
        """Reads every second step."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(6, 3, batch_first=True)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            return self.lstm(x[:, ::2])[0][:, -1]

    return trace(Halved(), Batch(x, lengths, torch.zeros(3)), score)


@pytest.mark.parametrize(
    ("given", "found"),
    [((None, None, None), "tuple"), (batch()._replace(lengths=[6, 6, 6]), r"lengths are \[6, 6, 6\]")],
)
def test_what_is_no_batch_is_refused(given, found):
    with pytest.raises(ValueError, match=rf"{found}; pass Batch\(x, lengths, target\)"):
        gradient_profile(model(), given, score)


@pytest.mark.parametrize("k", [0, 9])
def test_no_more_exponents_than_there_are(k):
    with pytest.raises(ValueError, match=f"k={k}: the state has 8 exponents; choose 1 to 8"):
        lyapunov_spectrum(trace(model(), batch(), score).layers[0], k)


def test_infinite_norms_are_counted():
    logs = torch.tensor([[0.0, 1.0], [0.0, math.inf], [math.nan, math.inf]])
    there = torch.tensor([[True, True], [True, True], [True, False]])
    found = quantiles_by_lag("layer", "forward", "h", logs, there)
    assert found["nonfinite"].tolist() == [0, 1, 1]
    assert np.isnan(found["median"]).tolist() == [False, True, True]


def test_what_is_no_number_goes_through_the_buckets_as_such():
    values = Scaled(torch.ones(2, 1).double(), torch.tensor([math.nan, 0.0]).double())
    ((found, log),) = values.buckets(torch.float64)
    assert log == 0
    assert found.isnan().flatten().tolist() == [True, False]


def test_a_fit_over_what_is_no_number_is_none():
    lags = np.arange(30)
    curve = pd.DataFrame({"lag": lags, "median": np.where(lags == 9, np.nan, -0.1 * lags)})
    assert math.isnan(half_life(curve))
    assert half_life(curve, 10) == pytest.approx(math.log10(2) / 0.1)
    with pytest.raises(ValueError, match="threshold=0: must be above 0"):
        reach(curve, 0)


def test_a_whole_profile_gives_each_of_its_curves_a_figure():
    profile = gradient_profile(model(), batch(), score)
    halves, fits, reaches = half_life(profile), decay(profile), reach(profile)
    assert halves.index.names == ["layer", "direction", "quantity"]
    assert halves.index.get_level_values("quantity").tolist() == ["x", "h", "c"]
    for kind, curve in profile.groupby(["layer", "direction", "quantity"]):
        assert halves[kind] == half_life(curve)
        assert tuple(fits.loc[kind]) == decay(curve)
        assert reaches[kind] == reach(curve)


def test_a_layer_may_be_called_input():
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input = nn.LSTM(2, 3, batch_first=True, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.input(x)[0].mean(1)

    found = figures(gradient_profile(Named(), batch(), score))
    assert {"x.reach", "h.reach", "h_backward.reach"} <= set(found)


class Twice(nn.Module):
    """Embeds the same token ids twice."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Embedding(9, 3), nn.Embedding(9, 3)
        self.shared = shared

    def forward(self, ids: Tensor) -> Tensor:
        one, other = self.first(ids), (self.first if self.shared else self.second)(ids)
        return (one + other**2).sum(1)


def test_an_embedding_that_is_asked_twice_is_one_input_and_two_are_refused():
    torch.manual_seed(0)
    ids, twice = torch.randint(9, (3, 5)), Twice(shared=True).double()
    profile = gradient_profile(twice, Batch(ids, None, torch.zeros(3)), score)
    truth = (1 + 2 * twice.first(ids)).norm(dim=2).log10().flip(1).median(0)[0]
    assert np.allclose(profile["median"], truth.detach(), atol=1e-12)
    with pytest.raises(ValueError, match="first and second both embed the token ids"):
        gradient_profile(Twice(shared=False), Batch(ids, None, torch.zeros(3)), score)


def test_a_loss_that_holds_numbers_of_its_own_is_computed_in_double_too():
    weight = torch.tensor([1.0, 3.0])
    loss = nn.CrossEntropyLoss(weight=weight, reduction="none")
    profile = gradient_profile(model(), batch(), loss)
    assert loss.weight is weight
    assert loss.weight.dtype == torch.float32
    plain = gradient_profile(model(), batch(), nn.CrossEntropyLoss(reduction="none"))
    assert np.allclose(profile["median"], plain["median"], atol=1e-12)  # all targets are 0, of weight 1

    def hidden(output: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, target, weight, reduction="none")

    with pytest.raises(ValueError, match=r"the loss holds tensors of float32.*dtype=torch\.float32"):
        gradient_profile(model(), batch(), hidden)
    assert np.allclose(gradient_profile(model(), batch(), hidden, torch.float32)["median"], plain["median"], atol=1e-5)


def test_token_ids_without_an_embedding_are_refused():
    with pytest.raises(ValueError, match=r"no nn\.Embedding"):
        gradient_profile(Tokens(embed=False), Batch(torch.ones(2, 5).long(), None, torch.zeros(2)), score)


def test_a_curve_that_grows_has_no_half_life_and_one_that_bends_says_so():
    lags = np.arange(30)
    grows = pd.DataFrame({"lag": lags, "median": 0.1 * lags})
    bends = pd.DataFrame({"lag": lags, "median": np.abs(lags - 15.0)})
    assert half_life(grows) == math.inf
    assert decay(grows).factor == pytest.approx(10**0.1)
    assert decay(bends).r2 < 0.1
    assert reach(grows) == 29


def test_what_arrives_at_lag_zero_is_neither_fitted_nor_compared_with():
    """There the state is read directly, which says nothing of a step back."""
    lags = np.arange(30)
    read = pd.DataFrame({"lag": lags, "median": np.where(lags == 0, 5.0, -0.1 * lags)})
    assert decay(read).factor == pytest.approx(10**-0.1)
    assert decay(read).first == 1
    assert decay(read, 5, 9)[3:] == (5, 9)
    assert reach(read) == 21  # lag 1 stands at 10^-0.1, a hundredth of it at 10^-2.1
    assert reach(read, 0.1) == 11
    assert figures(read.assign(layer="a", direction="forward", quantity="h", nonfinite=0)) == {
        "h.reach": 21.0,
        "h.half_life": pytest.approx(math.log10(2) / 0.1),
        "h.r2": pytest.approx(1.0),
        "h.decay": pytest.approx(10**-0.1),
        "h.log10_norm": pytest.approx(-0.1),
        "probe.nonfinite": 0.0,
    }


def test_terms_of_nothing_are_none_and_those_of_a_dead_gradient_say_so():
    nothing = trace(model(), batch(6, torch.tensor([0, 0, 0])), lambda o, t: o.sum(1)).layers[0]
    assert bptt_terms(nothing) == {}
    assert len(bptt_shares(nothing)) == 0
    deaf = bptt_shares(trace(Beside(), batch(), score).layers[0])
    assert np.isneginf(deaf["log10_norm"]).all()
    assert deaf["share"].isna().all()


def test_a_dead_network_has_no_receptive_field():
    dead = nn.Conv1d(1, 1, 3, padding=1)
    nn.init.zeros_(dead.weight)
    with pytest.raises(ValueError, match="sums to 0"):
        effective_receptive_field(lambda x: dead(x.transpose(1, 2)).transpose(1, 2), torch.ones(1, 9, 1))


def test_r2_is_the_squared_correlation_of_the_line_with_the_curve():
    lags = np.arange(1, 12)
    curve = pd.DataFrame({"lag": lags, "median": -0.2 * lags + np.sin(lags)})
    assert decay(curve).r2 == pytest.approx(np.corrcoef(lags, curve["median"])[0, 1] ** 2, rel=1e-12)


def traced_gru() -> LayerTrace:
    return trace(nn.GRU(2, 3, batch_first=True), batch(), lambda output, target: output[0].sum((1, 2))).layers[0]


WRONG = {
    "layer must be one of trace\\(model, batch, loss\\).layers, not a LSTM": [
        lyapunov_spectrum,
        product_singular_values,
        omega,
        step_factors,
        gate_statistics,
        gate_histograms,
        bptt_terms,
        bptt_shares,
    ],
    "steps must be those of a traced nn.LSTM, layer.steps, not a LSTM": [lambda layer: cell_jacobian(layer, 1)],
    "traced must be what trace\\(model, batch, loss\\) returns, not a LSTM": [profile_of],
    "exponents must be those of lyapunov_spectrum\\(layer\\)": [lambda layer: log10_condition_number(layer, 3)],
    "the profile must be what gradient_profile\\(model, batch, loss\\) returns, not a LSTM": [
        decay,
        half_life,
        reach,
        figures,
    ],
    "windows must be several Windows": [theoretical_receptive_field],
    "LSTM holds no one-dimensional convolution": [windows_of],
}


@pytest.mark.parametrize(("message", "function"), [(m, f) for m, functions in WRONG.items() for f in functions])
def test_a_module_where_something_measured_is_wanted_is_refused_by_the_name_of_what_gives_it(message, function):
    with pytest.raises((TypeError, ValueError), match=message):
        function(nn.LSTM(2, 3))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: trace(None, batch(), score), "model must be an nn.Module, not a NoneType"),
        (lambda: gradient_profile(score, batch(), score), "model must be an nn.Module, not a function"),
        (lambda: trace(model(), batch(), None), "loss must be a function"),
        (lambda: linear_decoding({}, batch()), "model must be an nn.Module, not a dict"),
        (lambda: sensitivity({}, batch()), "model must be an nn.Module, not a dict"),
        (lambda: recurrent_matrices({}), "model must be an nn.Module"),
        (lambda: gradient_norms(model().state_dict()), "model must be an nn.Module"),
        (
            lambda: Instrument(trace(model(), batch(), score), batch(), score, {}),
            "model must be an nn.Module, not a Trace",
        ),
        (lambda: windows_of([]), "model must be an nn.Module, not a list"),
        (lambda: lyapunov_spectrum(trace(model(), batch(), score)), "one of trace.*layers, not a Trace"),
        (lambda: figures(pd.DataFrame({"lag": [1]})), "not a table without layer, direction, quantity, median"),
        (lambda: cell_jacobian(traced_gru().steps, 1), "a traced nn.LSTM, layer.steps, not a GRUSteps"),
    ],
)
def test_the_wrong_kind_of_thing_is_refused_by_name(function, message):
    with pytest.raises(TypeError, match=message):
        function()
