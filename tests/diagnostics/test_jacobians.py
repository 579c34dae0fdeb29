"""Step Jacobians are those of autograd, and their product is what the gradient went through."""

import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import (
    Instrument,
    bptt_shares,
    bptt_terms,
    cell_jacobian,
    gate_coupling,
    gate_statistics,
    lyapunov_spectrum,
    omega,
    recurrent_matrices,
    step_factors,
    trace,
)
from gradreach.diagnostics.scaled import log_norm
from gradreach.models import GatedTanhRNN, SequenceModel
from gradreach.models.cells import GatedTanh
from gradreach.tasks import Batch

from .unrolled import cell


def read_last(output: tuple, target: Tensor) -> Tensor:
    return output[0][:, -1].square().sum(1)


def layer_of(kind: str, **options) -> nn.RNNBase:
    torch.manual_seed(2)
    if kind in ("tanh", "relu"):
        return nn.RNN(2, 5, nonlinearity=kind, batch_first=True, **options).double()
    return {"gru": nn.GRU, "lstm": nn.LSTM}[kind](2, 5, batch_first=True, **options).double()


def probe(batch: int = 3, length: int = 7) -> Batch:
    torch.manual_seed(5)
    return Batch(torch.randn(batch, length, 2).double(), None, torch.zeros(batch))


def weights_of(layer: nn.RNNBase) -> list[Tensor]:
    return [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru", "lstm"])
def test_step_jacobians_are_autograds(kind):
    layer, batch = layer_of(kind), probe()
    steps = trace(layer, batch, read_last).layers[0].steps
    sizes = list(steps.parts.values())
    for t in (1, 4):
        for i in range(3):

            def step(state: Tensor, t: int = t, i: int = i) -> Tensor:
                parts = tuple(part.unsqueeze(0) for part in state.split(sizes))
                return torch.cat(cell(layer, weights_of(layer), batch.x[i : i + 1, t], parts), 1)[0]

            truth = torch.autograd.functional.jacobian(step, steps.states[t - 1, i])
            assert torch.allclose(steps.jacobian(t)[i], truth, rtol=0, atol=1e-15)


def test_the_lstms_closed_form_is_the_printed_one():
    layer = layer_of("lstm")
    steps = trace(layer, probe(), read_last).layers[0].steps
    t = 3
    i, f, o = (steps.gates[name][t, 0] for name in "ifo")
    h, c = steps.states[t - 1, 0].split(5)
    u_i, u_f, u_g, u_o = layer.weight_hh_l0.detach().chunk(4)
    w_g, b_g = layer.weight_ih_l0.detach().chunk(4)[2], (layer.bias_ih_l0 + layer.bias_hh_l0).detach().chunk(4)[2]
    g = torch.tanh(w_g @ probe().x[0, t] + u_g @ h + b_g)
    tanh_c = torch.tanh(steps.states[t, 0, 5:])
    d = torch.diag
    a = d(c * f * (1 - f)) @ u_f + d(g * i * (1 - i)) @ u_i + d(i * (1 - g**2)) @ u_g
    top = torch.cat([d(o * (1 - tanh_c**2)) @ a + d(tanh_c * o * (1 - o)) @ u_o, d(o * (1 - tanh_c**2) * f)], 1)
    printed = torch.cat([top, torch.cat([a, d(f)], 1)])
    assert torch.allclose(steps.jacobian(t)[0], printed, rtol=0, atol=1e-15)


def test_the_cell_path_is_its_direct_and_its_indirect_part():
    layer, batch = layer_of("lstm"), probe()
    steps = trace(layer, batch, read_last).layers[0].steps
    t = 4
    direct, indirect = cell_jacobian(steps, t)
    assert torch.equal(direct, steps.gates["f"][t])
    output_gate = steps.gates["o"][t - 1, 0]

    def cell_only(c: Tensor) -> Tensor:
        state = ((output_gate * torch.tanh(c)).unsqueeze(0), c.unsqueeze(0))
        return cell(layer, weights_of(layer), batch.x[:1, t], state)[1][0]

    truth = torch.autograd.functional.jacobian(cell_only, steps.states[t - 1, 0, 5:])
    assert torch.allclose(torch.diag(direct[0]) + indirect[0], truth, rtol=0, atol=1e-15)


def test_gates_of_an_lstm_and_the_notes_own_factor():
    layer, batch = layer_of("lstm"), probe()
    table = gate_statistics(trace(layer, batch, read_last).layers[0]).set_index("gate")
    values: dict[str, list[Tensor]] = {name: [] for name in ("i", "f", "o", "notes")}
    state = (torch.zeros(3, 5).double(),) * 2
    with torch.no_grad():
        for x_t in batch.x.unbind(1):
            w, u, b, c = weights_of(layer)
            i, f, _, o = (x_t @ w.T + b + state[0] @ u.T + c).sigmoid().chunk(4, 1)
            state = cell(layer, weights_of(layer), x_t, state)
            slope = 1 / torch.cosh(state[1]) ** 2
            for name, value in (("i", i), ("f", f), ("o", o), ("notes", slope * f)):
                values[name].append(value)
    for name, parts in values.items():
        assert table.loc[name, "mean"] == pytest.approx(float(torch.stack(parts).mean()), rel=1e-12)


def test_the_notes_factor_of_their_simplified_cell_is_its_derivative_with_gates_held_fixed():
    torch.manual_seed(0)
    layer, batch = GatedTanh(2, 5).double(), probe()
    steps = trace(layer, batch, lambda output, target: output[:, -1].sum(1)).layers[0].steps
    t = 4
    f, i = (steps.gates[name][t, 0] for name in "fi")
    x = layer.embed(batch.x[0, t])
    truth = torch.autograd.functional.jacobian(lambda s: torch.tanh(f * s + i * x), steps.states[t - 1, 0])
    assert torch.allclose(torch.diag(steps.gates["notes"][t, 0]), truth, rtol=0, atol=1e-15)


@pytest.mark.parametrize("stage", ["start", "end"])
def test_every_run_of_the_simplified_cell_tells_how_much_of_its_factor_is_near_0_or_1(stage):
    torch.manual_seed(0)
    model = SequenceModel(GatedTanhRNN(2, width=5), "last", 1).double()
    found = Instrument(model, probe(), lambda output, target: output[:, 0], {"gates": "ends"}).measure(stage)
    factor = gate_statistics(trace(model, probe(), lambda output, target: output[:, 0]).layers[0]).set_index("gate")
    told = found["gate_notes.closed"], found["gate_notes.open"]
    assert told == tuple(factor.loc["notes", ["closed", "open"]]) == (0.0, 0.0), (
        "gates start near 1/2, tanh' is below 1"
    )


def test_how_near_an_lstms_gates_are_to_coupled_ones_is_that_of_its_equations():
    layer, batch = layer_of("lstm"), probe()
    with torch.no_grad():
        layer.bias_ih_l0[:5] -= 0.3  # so that i + f − 1 lies on either side of the bound
    found = gate_coupling(trace(layer, batch, read_last).layers[0]).iloc[0]
    both, state = [], (torch.zeros(3, 5).double(),) * 2
    with torch.no_grad():
        for x_t in batch.x.unbind(1):
            w, u, b, c = weights_of(layer)
            both.append((x_t @ w.T + b + state[0] @ u.T + c).sigmoid()[:, :10])
            state = cell(layer, weights_of(layer), x_t, state)
    i, f = torch.stack(both).unflatten(-1, (2, 5)).unbind(-2)
    excess = (i + f - 1).flatten()
    for name, share in (("q10", 0.1), ("median", 0.5), ("q90", 0.9)):
        assert found[name] == pytest.approx(float(excess.quantile(share)), rel=1e-10)
    assert found["coupled"] == pytest.approx(float((excess.abs() < 0.1).double().mean()))
    assert 0.1 < found["coupled"] < 0.9
    deviations = [gate - gate.mean() for gate in (i, f)]
    covariance = (deviations[0] * deviations[1]).mean()
    assert found["correlation"] == pytest.approx(
        float(covariance / (deviations[0].square().mean() * deviations[1].square().mean()).sqrt()), rel=1e-10
    )


def test_gates_that_are_one_minus_another_are_coupled_and_others_have_no_such_figure():
    layer = layer_of("lstm")
    with torch.no_grad():
        for weight in layer.parameters():
            weight[:5] = -weight[5:10]  # so that i = 1 − f
    found = gate_coupling(trace(layer, probe(), read_last).layers[0]).iloc[0]
    assert (found["coupled"], found["correlation"]) == (1, pytest.approx(-1))
    assert found[["q10", "median", "q90"]].abs().max() < 1e-12
    assert gate_coupling(trace(layer_of("gru"), probe(), read_last).layers[0]).empty


def test_the_gate_that_weighs_a_grus_old_state_is_z():
    table = gate_statistics(trace(layer_of("gru"), probe(), read_last).layers[0]).set_index("gate")
    assert table["half_life"].isna().to_dict() == {"r": True, "z": False}


def test_projected_states_are_measured_too():
    layer, batch = nn.LSTM(2, 5, proj_size=3, batch_first=True).double(), probe()
    found = trace(layer, batch, read_last)
    x = batch.x.clone().requires_grad_()
    read_last(layer(x), batch.target).sum().backward()
    assert torch.allclose(found.input.log_norm().exp().T, x.grad.norm(dim=2), rtol=1e-12)
    assert found.layers[0].steps.parts == {"h": 3, "c": 5}
    assert step_factors(found.layers[0])["median"].notna().any()


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru", "lstm"])
def test_bptt_terms_sum_to_autograds_gradient(kind):
    layer, batch = layer_of(kind, num_layers=2, bidirectional=True), probe()
    found = trace(layer, batch, lambda output, target: output[0].square().sum((1, 2)))
    layer(batch.x)[0].square().sum().backward()
    for one in found.layers:
        suffix = f"l{one.layer[-1]}" + ("_reverse" if one.direction == "backward" else "")
        terms = bptt_terms(one)
        for weight, name in (("W_x", "weight_ih"), ("W_s", "weight_hh")):
            truth = getattr(layer, f"{name}_{suffix}").grad
            assert torch.allclose(terms[weight].sum(0), truth, rtol=1e-10, atol=1e-12)
        shares = bptt_shares(one)
        assert shares.groupby("weight")["share"].sum().to_numpy() == pytest.approx([1.0, 1.0], abs=1e-12)
        for weight, table in shares.groupby("weight"):
            norms = terms[weight].flatten(1).norm(dim=1)
            alive = norms > 0
            measured = torch.tensor(table["log10_norm"].to_numpy())
            assert torch.allclose(measured[alive], norms[alive].log10(), atol=1e-7)


def test_bptt_terms_count_lags_from_each_examples_end():
    """The term of lag k is the gradient when only step k may still teach: by hand, the weights of that step alone."""
    layer, batch = layer_of("tanh"), probe(2, 5)
    lengths = torch.tensor([5, 3])

    def loss(output: tuple, target: Tensor) -> Tensor:
        return output[0][torch.arange(2), lengths - 1].square().sum(1)

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor, lengths: Tensor) -> tuple:
            return self.layer(x)

    found = trace(Reads(), Batch(batch.x, lengths, batch.target), loss).layers[0]
    copies = [[w.detach().clone().requires_grad_() for w in weights_of(layer)] for _ in range(5)]
    total = torch.zeros(()).double()
    for i, length in enumerate(lengths.tolist()):
        state = (torch.zeros(1, 5).double(),)
        for t in range(length):
            state = cell(layer, copies[length - 1 - t], batch.x[i : i + 1, t], state)
        total = total + state[0].square().sum()
    total.backward()
    terms = bptt_terms(found)
    for lag in range(5):
        assert torch.allclose(terms["W_x"][lag], copies[lag][0].grad, atol=1e-14)
        assert torch.allclose(terms["W_s"][lag], copies[lag][1].grad, atol=1e-14)


def test_pascanus_omega_is_the_sum_of_squared_deviations_from_one():
    found = trace(layer_of("tanh"), probe(), read_last).layers[0]
    norms = log_norm(found.adjoints.state.direction).add(found.adjoints.state.log).exp()
    ratios = norms[:-1] / norms[1:]  # the loss reads one step only, so every ratio is that of a step
    assert torch.allclose(omega(found), ((ratios - 1) ** 2).sum(0), rtol=1e-12)


def padded_trace(direction: str, lengths: Tensor):
    """Trace a layer over a padded batch, read at each example's end; its backward direction passes padding first."""
    torch.manual_seed(0)

    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.RNN(2, 3, batch_first=True, bidirectional=True).double()

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            output = self.layer(x)[0]
            last = output[torch.arange(len(x)), lengths - 1, :3]
            return last if direction == "forward" else output[:, 0, 3:]

    x = torch.randn(len(lengths), int(lengths.max()), 2).double()
    traced = trace(Reads(), Batch(x, lengths, torch.zeros(len(x))), lambda output, target: output.square().sum(1))
    return traced.layers[["forward", "backward"].index(direction)]


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("transient", [None, 0, 4])
def test_lyapunov_exponents_sum_to_the_mean_logarithm_of_the_determinants(direction, transient):
    lengths = torch.tensor([25, 12, 7])
    layer = padded_trace(direction, lengths)
    found = lyapunov_spectrum(layer, transient=transient).sum(1)
    for i, length in enumerate(lengths.tolist()):
        skip = length // 10 if transient is None else transient
        end = length if direction == "forward" else 25
        steps = range(end - length, end - skip)
        truth = [torch.linalg.slogdet(layer.steps.jacobian(t)[i])[1] for t in steps]
        assert float(found[i]) == pytest.approx(float(sum(truth)) / len(truth), rel=1e-10)


def test_lyapunov_exponents_of_a_padded_example_are_those_of_it_alone():
    layer = padded_trace("forward", torch.tensor([25, 12, 7]))
    found = lyapunov_spectrum(layer, 2)
    for i, length in enumerate((25, 12, 7)):
        generator = torch.Generator().manual_seed(0)
        q = torch.linalg.qr(torch.randn(3, 2, generator=generator, dtype=torch.float64))[0]
        total = torch.zeros(2).double()
        for t in reversed(range(length)):
            q, r = torch.linalg.qr(layer.steps.jacobian(t)[i].T @ q)
            if t < length - length // 10:
                total += r.diagonal().abs().log()
        assert torch.allclose(found[i], (total / (length - length // 10)).sort(descending=True)[0], rtol=1e-10)


def test_omega_of_a_padded_example_counts_its_own_steps_alone():
    for direction in ("forward", "backward"):
        layer = padded_trace(direction, torch.tensor([9, 4, 2]))
        norms, _ = layer.by_lag(layer.adjoints.state.log_norm())
        for i, length in enumerate((9, 4, 2)):
            ratios = (norms[1:length, i] - norms[: length - 1, i]).exp()
            assert float(omega(layer)[i]) == pytest.approx(float(((ratios - 1) ** 2).sum()), rel=1e-10)


def test_step_factors_of_a_constant_forget_gate_are_its_value():
    layer = layer_of("lstm")
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        layer.bias_ih_l0[5:10] = 2.0
        layer.bias_ih_l0[10:15] = 0.3
    factors = step_factors(trace(layer, probe(), read_last).layers[0]).set_index(["quantity", "lag"])["median"]
    gate = torch.sigmoid(torch.tensor(2.0)).log10().item()
    assert factors["direct", 2] == pytest.approx(gate, abs=1e-7)
    assert factors["cell", 2] == pytest.approx(gate, abs=1e-7)
    assert factors["indirect", 2] == -float("inf")


def test_the_cell_paths_parts_act_on_the_gradient_that_unrolled_cells_retain():
    layer, batch = layer_of("lstm"), probe()
    found = trace(layer, batch, read_last).layers[0]
    table = step_factors(found).set_index(["quantity", "lag"])["median"]
    steps, t, lag = found.steps, 4, 2
    of_h, of_c = (found.adjoints.state.direction[t]).split(5, 1)
    tanh_c = torch.tanh(steps.states[t, :, 5:])
    retained = of_c + of_h * steps.gates["o"][t] * (1 - tanh_c**2)
    direct, indirect = cell_jacobian(steps, t)
    through = torch.einsum("bij,bi->bj", indirect, retained)
    for name, arrived in (("direct", direct * retained), ("indirect", through), ("cell", direct * retained + through)):
        factor = (arrived.norm(dim=1) / retained.norm(dim=1)).log10().median()
        assert table[name, lag] == pytest.approx(float(factor), rel=1e-12)


def test_matrices_are_told_apart_by_layer_direction_and_gate():
    layer = layer_of("lstm", num_layers=2, bidirectional=True)
    table = recurrent_matrices(layer).set_index(["layer", "direction", "block"])
    for (number, direction), suffix in {("0", "forward"): "l0", ("1", "backward"): "l1_reverse"}.items():
        for block, matrix in zip("ifgo", getattr(layer, f"weight_hh_{suffix}").detach().chunk(4), strict=True):
            row = table.loc[f".{number}", direction, block]
            assert row["largest_singular_value"] == pytest.approx(float(torch.linalg.svdvals(matrix)[0]), rel=1e-12)
            assert row["spectral_radius"] == pytest.approx(float(torch.linalg.eigvals(matrix).abs().max()), rel=1e-12)
