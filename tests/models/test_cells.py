"""Every recurrent layer against its equations, written out step by step in double precision."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from gradreach.models.cells import Cell, GatedTanh, GRUAsPrinted, GRUResetBefore, IndRNNCell, LSTMAsPrinted
from gradreach.models.leaky import LeakyCell
from gradreach.models.reduced import CoupledLSTM, GRUWithoutReset
from gradreach.models.scan import LinearRecurrence, MinGRUCell, MinLSTMCell, scan
from gradreach.models.state_space import S4DKernel

H, D, T, B = 5, 3, 11, 4
sigmoid, tanh = torch.sigmoid, torch.tanh
Weights = dict[str, Tensor]


def zeros(*shape: int) -> Tensor:
    return torch.zeros(*shape, dtype=torch.float64)


def rnn(w: Weights, x: Tensor, f: Callable = tanh) -> Tensor:
    h, states = zeros(B, H), []
    for t in range(T):
        h = f(x[:, t] @ w["weight_ih_l0"].T + w["bias_ih_l0"] + h @ w["weight_hh_l0"].T + w["bias_hh_l0"])
        states.append(h)
    return torch.stack(states, 1)


def relu_rnn(w: Weights, x: Tensor) -> Tensor:
    return rnn(w, x, torch.relu)


def lstm(w: Weights, x: Tensor) -> Tensor:
    h, c, states = zeros(B, H), zeros(B, H), []
    for t in range(T):
        i, f, g, o = (
            x[:, t] @ w["weight_ih_l0"][k * H : (k + 1) * H].T
            + w["bias_ih_l0"][k * H : (k + 1) * H]
            + h @ w["weight_hh_l0"][k * H : (k + 1) * H].T
            + w["bias_hh_l0"][k * H : (k + 1) * H]
            for k in range(4)
        )
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
        states.append(h)
    return torch.stack(states, 1)


def gru(w: Weights, x: Tensor, suffix: str = "_l0", before: bool = False) -> Tensor:
    w_i, w_h = w["weight_ih" + suffix], w["weight_hh" + suffix]
    b_i, b_h = w["bias_ih" + suffix], w["bias_hh" + suffix]
    h, states = zeros(B, H), []
    for t in range(T):
        r = sigmoid(x[:, t] @ w_i[:H].T + b_i[:H] + h @ w_h[:H].T + b_h[:H])
        z = sigmoid(x[:, t] @ w_i[H : 2 * H].T + b_i[H : 2 * H] + h @ w_h[H : 2 * H].T + b_h[H : 2 * H])
        if before:
            n = tanh(x[:, t] @ w_i[2 * H :].T + b_i[2 * H :] + (r * h) @ w_h[2 * H :].T + b_h[2 * H :])
        else:
            n = tanh(x[:, t] @ w_i[2 * H :].T + b_i[2 * H :] + r * (h @ w_h[2 * H :].T + b_h[2 * H :]))
        h = z * h + (1 - z) * n
        states.append(h)
    return torch.stack(states, 1)


def lstm_coupled(w: Weights, x: Tensor) -> Tensor:
    h, c, states = zeros(B, H), zeros(B, H), []
    for t in range(T):
        f, g, o = (
            x[:, t] @ w["weight_ih"][k * H : (k + 1) * H].T
            + w["bias_ih"][k * H : (k + 1) * H]
            + h @ w["weight_hh"][k * H : (k + 1) * H].T
            + w["bias_hh"][k * H : (k + 1) * H]
            for k in range(3)
        )
        c = sigmoid(f) * c + (1 - sigmoid(f)) * tanh(g)
        h = sigmoid(o) * tanh(c)
        states.append(h)
    return torch.stack(states, 1)


def gru_without_reset(w: Weights, x: Tensor) -> Tensor:
    h, states = zeros(B, H), []
    for t in range(T):
        from_input, from_state = x[:, t] @ w["weight_ih"].T + w["bias_ih"], h @ w["weight_hh"].T + w["bias_hh"]
        z, n = sigmoid(from_input[:, :H] + from_state[:, :H]), tanh(from_input[:, H:] + from_state[:, H:])
        h = z * h + (1 - z) * n
        states.append(h)
    return torch.stack(states, 1)


def gru_before(w: Weights, x: Tensor) -> Tensor:
    return gru(w, x, suffix="", before=True)


def gated_tanh(w: Weights, x: Tensor) -> Tensor:
    s, states = zeros(B, H), []
    for t in range(T):
        v = x[:, t] @ w["embed.weight"].T
        f = sigmoid(w["weight_x"][:H] @ v.T + w["weight_s"][:H] @ s.T + w["bias"][:H, None]).T
        i = sigmoid(w["weight_x"][H:] @ v.T + w["weight_s"][H:] @ s.T + w["bias"][H:, None]).T
        s = tanh(f * s + i * v)
        states.append(s)
    return torch.stack(states, 1)


def lstm_as_printed(w: Weights, x: Tensor) -> Tensor:
    w_xi, w_xf, w_xo, w_xz = w["weight_x"].split(H)
    w_hi, w_hf, w_ho = w["weight_h"].split(H)
    b_i, b_f, b_o, b_z = w["bias"].split(H)
    h, c, states = zeros(B, H), zeros(B, H), []
    for t in range(T):
        v = x[:, t] @ w["embed.weight"].T
        i = sigmoid(v @ w_xi.T + h @ w_hi.T + b_i)
        f = sigmoid(v @ w_xf.T + h @ w_hf.T + b_f)
        o = sigmoid(v @ w_xo.T + h @ w_ho.T + b_o)
        z = tanh(v @ w_xz.T + h @ w_xz.T + b_z)
        c = f * c + i * z
        h = o * tanh(c)
        states.append(h)
    return torch.stack(states, 1)


def gru_as_printed(w: Weights, x: Tensor) -> Tensor:
    w_xz, w_xr, w_x = w["weight_x"].split(H)
    w_sz, w_sr, w_xg = w["weight_s"].split(H)
    s, before, states = zeros(B, H), zeros(B, H), []
    for t in range(T):
        v = x[:, t] @ w["embed.weight"].T
        z = sigmoid(v @ w_xz.T + s @ w_sz.T)
        r = sigmoid(v @ w_xr.T + s @ w_sr.T)
        candidate = tanh(v @ w_x.T + (r * s) @ w_xg.T)
        s, before = (1 - z) * before + z * candidate, v
        states.append(s)
    return torch.stack(states, 1)


def leaky_rnn(w: Weights, x: Tensor) -> Tensor:
    h, states = zeros(B, H), []
    alpha = sigmoid(w["leak"])
    for t in range(T):
        n = tanh(x[:, t] @ w["weight_ih"].T + h @ w["weight_hh"].T + w["bias"])
        h = alpha * n + (1 - alpha) * h
        states.append(h)
    return torch.stack(states, 1)


def indrnn(w: Weights, x: Tensor, f: Callable = torch.relu) -> Tensor:
    h, states = zeros(B, H), []
    for t in range(T):
        h = f(x[:, t] @ w["from_input.weight"].T + w["from_input.bias"] + w["recurrent"] * h)
        states.append(h)
    return torch.stack(states, 1)


def indrnn_tanh(w: Weights, x: Tensor) -> Tensor:
    return indrnn(w, x, tanh)


def mingru(w: Weights, x: Tensor, doubled: int = 1) -> Tensor:
    w_z, w_h = w["from_input.weight"].split(H)
    b_z, b_h = w["from_input.bias"].split(H)
    h, states = zeros(B, H), []
    for t in range(T):
        z = doubled * sigmoid(x[:, t] @ w_z.T + b_z)
        h = (1 - z) * h + z * (x[:, t] @ w_h.T + b_h)
        states.append(h)
    return torch.stack(states, 1)


def minlstm(w: Weights, x: Tensor, doubled: int = 1) -> Tensor:
    w_f, w_i, w_h = w["from_input.weight"].split(H)
    b_f, b_i, b_h = w["from_input.bias"].split(H)
    h, states = zeros(B, H), []
    for t in range(T):
        f, i = sigmoid(x[:, t] @ w_f.T + b_f), sigmoid(x[:, t] @ w_i.T + b_i)
        taken = doubled * i / (f + i)
        h = (1 - taken) * h + taken * (x[:, t] @ w_h.T + b_h)
        states.append(h)
    return torch.stack(states, 1)


def lru(w: Weights, x: Tensor) -> Tensor:
    eigenvalues = torch.exp(torch.complex(-torch.exp(w["nu"]), torch.exp(w["theta"])))
    b = torch.complex(*w["from_input"].chunk(2))
    s, states = zeros(B, H).to(torch.complex128), []
    for t in range(T):
        s = eigenvalues * s + torch.exp(w["log_gamma"]) * (x[:, t].to(torch.complex128) @ b.T)
        states.append(torch.cat([s.real, s.imag], -1))
    return torch.stack(states, 1)


def s4d(w: Weights, x: Tensor) -> Tensor:
    a = torch.complex(-torch.exp(w["log_decay"]), w["frequency"])
    step = torch.exp(w["log_step"])
    c = torch.complex(w["output"][..., 0], w["output"][..., 1])
    s, outputs = zeros(B, *a.shape).to(torch.complex128), []
    for t in range(T):
        s = torch.exp(step * a) * s + (torch.exp(step * a) - 1) / a * x[:, t].unsqueeze(2)
        outputs.append(2 * (c * s).sum(2).real + w["skip"] * x[:, t])
    return torch.stack(outputs, 1)


EQUATIONS: dict[str, tuple[Callable[[], nn.Module], Callable[[Weights, Tensor], Tensor]]] = {
    "rnn": (lambda: nn.RNN(D, H, batch_first=True), rnn),
    "relu rnn": (lambda: nn.RNN(D, H, batch_first=True, nonlinearity="relu"), relu_rnn),
    "lstm": (lambda: nn.LSTM(D, H, batch_first=True), lstm),
    "gru": (lambda: nn.GRU(D, H, batch_first=True), gru),
    "gru before": (lambda: GRUResetBefore(D, H), gru_before),
    "lstm_coupled": (lambda: CoupledLSTM(D, H), lstm_coupled),
    "gru without reset": (lambda: GRUWithoutReset(D, H), gru_without_reset),
    "gated_tanh": (lambda: GatedTanh(D, H), gated_tanh),
    "lstm_as_printed": (lambda: LSTMAsPrinted(D, H), lstm_as_printed),
    "gru_as_printed": (lambda: GRUAsPrinted(D, H), gru_as_printed),
    "leaky_rnn": (lambda: LeakyCell(D, H, chrono=4), leaky_rnn),
    "indrnn": (lambda: IndRNNCell(D, H), indrnn),
    "indrnn tanh": (lambda: IndRNNCell(D, H, "tanh"), indrnn_tanh),
    "mingru": (lambda: MinGRUCell(D, H), mingru),
    "minlstm": (lambda: MinLSTMCell(D, H), minlstm),
    "mingru signed": (lambda: MinGRUCell(D, H, "signed"), partial(mingru, doubled=2)),
    "minlstm signed": (lambda: MinLSTMCell(D, H, "signed"), partial(minlstm, doubled=2)),
    "lru": (lambda: LinearRecurrence(D, H), lru),
    "s4d": (lambda: S4DKernel(D, 6), s4d),
}
CELLS = [name for name, (make, _) in EQUATIONS.items() if isinstance(make(), Cell)]


def layer_and_input(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(len(name))
    layer = EQUATIONS[name][0]().double()
    return layer, torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("name", EQUATIONS)
def test_layer_computes_its_equations_and_their_gradient(name: str) -> None:
    layer, x = layer_and_input(name)
    given = layer(x)
    given = given[0] if isinstance(given, tuple) else given
    weights = dict(layer.named_parameters())
    expected = EQUATIONS[name][1](weights, x)
    torch.testing.assert_close(given, expected, rtol=1e-11, atol=1e-12)

    seed = torch.randn_like(expected)
    by_layer = torch.autograd.grad((given * seed).sum(), [x, *weights.values()])
    by_equations = torch.autograd.grad((expected * seed).sum(), [x, *weights.values()])
    for ours, theirs in zip(by_layer, by_equations, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_steps_one_by_one_give_what_forward_gives(name: str) -> None:
    layer, x = layer_and_input(name)
    assert isinstance(layer, Cell)
    state = layer.initial_state(B, x.device, x.dtype)
    hidden = []
    for x_t in x.unbind(1):
        state = layer.step(x_t, state)
        hidden.append(state if isinstance(state, Tensor) else state[0])
    assert hidden[-1].shape == (B, layer.width)
    torch.testing.assert_close(torch.stack(hidden, 1), layer(x), rtol=1e-12, atol=1e-13)


def test_a_gru_has_three_quarters_of_the_weights_of_an_lstm_and_no_cell() -> None:
    gru, lstm = nn.GRU(D, H, batch_first=True), nn.LSTM(D, H, batch_first=True)
    sizes = [sum(weights.numel() for weights in layer.parameters()) for layer in (gru, lstm)]
    assert 4 * sizes[0] == 3 * sizes[1]
    x = torch.randn(B, T, D)
    assert isinstance(gru(x)[1], Tensor)
    assert [state.shape for state in lstm(x)[1]] == [(1, B, H)] * 2


@pytest.mark.parametrize("kind", [GatedTanh, LSTMAsPrinted, GRUAsPrinted])
def test_cells_of_the_notes_take_an_input_of_their_own_size_as_it_is(kind: type[Cell]) -> None:
    assert isinstance(kind(H, H).embed, nn.Identity)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 100])
def test_scan_is_the_loop(length: int) -> None:
    a = torch.rand(2, length, 3, dtype=torch.float64)
    a[0, length // 2] = 0.0
    b = torch.randn(2, length, 3, dtype=torch.float64)
    h, states = torch.zeros(2, 3, dtype=torch.float64), []
    for t in range(length):
        h = a[:, t] * h + b[:, t]
        states.append(h)
    torch.testing.assert_close(scan(a, b), torch.stack(states, 1), rtol=1e-12, atol=1e-14)


def test_minlstm_gates_stay_numbers_where_both_underflow() -> None:
    layer = MinLSTMCell(D, H)
    with torch.no_grad():
        layer.from_input.bias[: 2 * H] = -300.0
    assert layer(torch.zeros(1, T, D)).isfinite().all()


@pytest.mark.parametrize("name", ["mingru", "minlstm", "minlstm signed", "lru"])
def test_scan_in_single_precision_is_near_the_loop_over_a_long_sequence(name: str) -> None:
    layer = layer_and_input(name)[0].float()
    x = torch.randn(2, 2000, D)
    assert isinstance(layer, Cell)
    state = layer.initial_state(2, x.device, x.dtype)
    for x_t in x.unbind(1):
        state = layer.step(x_t, state)
    torch.testing.assert_close(layer(x)[:, -1], state, rtol=1e-4, atol=1e-5)


def test_the_kernel_of_s4d_is_exact_at_the_smallest_steps() -> None:
    torch.manual_seed(0)
    layer = S4DKernel(8, 2)
    torch.nn.init.constant_(layer.log_step, -9.0)
    single = layer.kernel(4)
    torch.testing.assert_close(single.double(), layer.double().kernel(4), rtol=2e-6, atol=1e-9)
