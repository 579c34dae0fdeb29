"""Nothing underflows: not within a layer, not between layers, not at the input."""

import math

import pytest
import torch
from torch import Tensor, nn

from gradreach.diagnostics import gradient_profile, trace
from gradreach.diagnostics.scaled import Scaled, log_norm
from gradreach.diagnostics.steps import parts_of
from gradreach.tasks import Batch


def read_last(output: Tensor, target: Tensor) -> Tensor:
    return output[:, -1].sum(1)


def shrinking(layers: int, factor: float) -> nn.RNN:
    """A linear network (rectifiers, all positive) of which every step back multiplies the gradient by a factor."""
    layer = nn.RNN(1, 1, num_layers=layers, nonlinearity="relu", batch_first=True).double()
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.fill_(factor if "weight_hh" in name else 1.0 if "weight_ih" in name else 0.5)
    return layer


class Output(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def ones(length: int) -> Batch:
    return Batch(torch.ones(2, length, 1).double(), None, torch.zeros(2))


def test_one_layer_is_right_at_ten_to_the_minus_five_hundred():
    profile = gradient_profile(Output(shrinking(1, 0.1)), ones(501), read_last)
    for quantity in "hx":
        curve = profile[profile["quantity"] == quantity].set_index("lag")["median"]
        assert curve[500] == pytest.approx(-500, abs=1e-9)
        assert curve[3] == pytest.approx(-3, abs=1e-12)


def test_stacked_layers_and_the_input_are_right_there_too():
    """Of n equal linear layers the gradient at lag t is a^t times a binomial coefficient, t + n − 1 over n − 1."""
    length = 600
    profile = gradient_profile(Output(shrinking(3, 0.1)), ones(length), read_last).set_index(["layer", "lag"])["median"]
    for layer, above in (("layer.2", 0), ("layer.1", 1), ("layer.0", 2), ("input", 2)):
        for lag in (1, 10, 300, 307, 308, 309, 400, 599):
            assert profile[layer, lag] == pytest.approx(-lag + math.log10(math.comb(lag + above, above)), abs=1e-9)


def test_mixing_between_layers_is_right_there_too():
    """Between the layers each step is replaced by the mean of itself and the one before: a convolution."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.above = shrinking(1, 0.1), shrinking(1, 0.1)

        def forward(self, x: Tensor) -> Tensor:
            h = self.below(x)[0]
            mixed = (h + torch.cat([torch.zeros_like(h[:, :1]), h[:, :-1]], 1)) / 2
            return self.above(mixed)[0]

    profile = gradient_profile(Mixed(), ones(500), read_last).set_index(["layer", "lag"])["median"]
    # dL/dmixed is 0.1^t; dL/dh_t its mean with the next later step's; then the sum over 0.1^(t−s) of those
    for lag in (5, 250, 499):
        terms = math.fsum([0.5 if s == 0 else (1 + 10) / 2 for s in range(lag + 1)])
        assert profile["below", lag] == pytest.approx(-lag + math.log10(terms), abs=1e-9)


def test_growth_past_the_largest_number_is_right_too():
    profile = gradient_profile(Output(shrinking(1, 10.0)), ones(300), read_last)
    curve = profile[profile["quantity"] == "h"].set_index("lag")["median"]
    assert curve[299] == pytest.approx(299, abs=1e-9)


@pytest.mark.parametrize("layers", [1, 2])
def test_float32_reaches_as_far_as_float64(layers):
    """Of a default LSTM the gradient at lag 299 is far below float32's smallest number, in every layer."""
    torch.manual_seed(0)
    layer = Output(nn.LSTM(8, 64, layers, batch_first=True))
    batch = Batch(torch.randn(4, 300, 8), None, torch.zeros(4))
    exact, single = (gradient_profile(layer, batch, read_last, dtype) for dtype in (torch.float64, torch.float32))
    assert exact["median"].min() < -50
    assert single["median"].to_numpy() == pytest.approx(exact["median"].to_numpy(), abs=2e-5)


def test_norms_that_square_to_zero_in_float32_are_measured():
    """Trap 1: at default initialisation float32 norms vanish long before the gradient does."""
    torch.manual_seed(0)
    layer = nn.LSTM(8, 64, batch_first=True)
    x = torch.randn(4, 160, 8)
    states = []
    state = (torch.zeros(4, 64), torch.zeros(4, 64))
    weights = [layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0]
    for x_t in x.unbind(1):
        state = torch.lstm_cell(x_t, list(state), *weights)
        state[0].retain_grad()
        states.append(state[0])
    state[0].sum().backward()
    naive = torch.stack([s.grad for s in states]).square().sum(-1).sqrt()
    assert (naive[20] == 0).all()  # the wrong way
    assert (states[20].grad.abs().amax(1) > 0).all()  # the gradient itself is alive
    right = gradient_profile(Output(layer), Batch(x, None, torch.zeros(4)), read_last)
    curve = right[right["quantity"] == "h"].set_index("lag")["median"]
    exact = log_norm(states[20].grad.double()).median() / math.log(10)
    assert curve[139] == pytest.approx(float(exact), abs=0.05)


def test_the_log_domain_agrees_with_float64_where_both_live():
    torch.manual_seed(1)
    layer = nn.GRU(3, 16, batch_first=True).double()
    batch = Batch(torch.randn(3, 200, 3).double(), None, torch.zeros(3))
    found = trace(Output(layer), batch, read_last)
    states = []
    h = torch.zeros(3, 16).double()
    for x_t in batch.x.unbind(1):
        weights = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
        h = torch.gru_cell(x_t, h, *weights)
        h.retain_grad()
        states.append(h)
    h.sum().backward()
    truth = torch.stack([s.grad.norm(dim=-1) for s in states])
    logs = parts_of(found.layers[0].steps, found.layers[0].adjoints.state)["h"].log_norm()
    assert float(truth.min()) < 1e-30
    assert float((logs.exp() / truth - 1).abs().max()) < 1e-11


def test_scaled_vectors_add_over_any_distance():
    a = Scaled.of(torch.tensor([[3.0, 4.0]]).double(), -2000.0)
    b = Scaled.of(torch.tensor([[3.0, 4.0]]).double(), -2000.0)
    zero = Scaled.of(torch.zeros(1, 2).double())
    assert float((a + b).log_norm()) == pytest.approx(-2000 + math.log(10))
    assert float((a + zero).log_norm()) == pytest.approx(-2000 + math.log(5))
    assert float((zero + zero).log_norm()) == -math.inf


def test_buckets_lose_nothing():
    logs = torch.tensor([0.0, -700.0, -1500.0, -math.inf]).double()
    directions = torch.tensor([[1.0], [0.5], [0.25], [0.0]]).double()
    total = [0.0] * 4
    for values, log in Scaled(directions, logs).buckets(torch.float64):
        for i, value in enumerate(values[:, 0].tolist()):
            if value:
                total[i] += 1
                assert math.log(value) + log == pytest.approx(float(logs[i]) + math.log(float(directions[i])))
    assert total == [1, 1, 1, 0]
