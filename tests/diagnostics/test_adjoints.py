"""The adjoints are those of unrolled autograd, for every layer, direction, depth, length and readout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gradreach.diagnostics import gradient_profile, trace
from gradreach.diagnostics.steps import parts_of
from gradreach.tasks import Batch

from .unrolled import adjoint_norms

KINDS = ("tanh", "relu", "gru", "lstm")


def make(kind: str, d_in: int, width: int, **options) -> nn.RNNBase:
    if kind in ("tanh", "relu"):
        return nn.RNN(d_in, width, nonlinearity=kind, batch_first=True, **options).double()
    return {"gru": nn.GRU, "lstm": nn.LSTM}[kind](d_in, width, batch_first=True, **options).double()


class Wrapped(nn.Module):
    """A layer and a readout of its output."""

    def __init__(self, layer: nn.RNNBase, readout) -> None:
        super().__init__()
        self.layer, self.readout = layer, readout

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.readout(self.layer(x)[0])


READOUTS = {
    "last": lambda output: output[:, -1],
    "mean": lambda output: output.mean(1),
    "max": lambda output: output.amax(1),
    "each step": lambda output: output.flatten(1),
}


def square(output: Tensor, target: Tensor) -> Tensor:
    return ((output - target[:, None]) ** 2).sum(1)


def measured(model: nn.Module, batch: Batch, dtype: torch.dtype) -> dict[tuple[str, str, str], Tensor]:
    traced = trace(model, batch, square, dtype)
    return {
        (layer.layer, layer.direction, name): layer.by_lag(part.log_norm())[0].exp()
        for layer in traced.layers
        for name, part in parts_of(layer.steps, layer.adjoints.state).items()
    }


def errors(layer: nn.RNNBase, readout, batch: Batch, dtype: torch.dtype) -> list[float]:
    model = Wrapped(layer, readout)
    found = measured(model, batch, dtype)
    truth = adjoint_norms(layer, batch.x, lambda output: square(readout(output), batch.target))
    assert len(found) == len(truth)
    out = []
    for (k, direction, part), norms in truth.items():
        name = "layer" if layer.num_layers == 1 else f"layer.{k}"
        alive = norms > 0
        assert alive.any() or part == "c"  # nothing but h reads the last cell
        assert torch.equal(found[name, direction, part] > 0, alive)
        out += (found[name, direction, part][alive] / norms[alive] - 1).abs().tolist()
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_one_layer_agrees_with_unrolled_autograd(kind, readout, dtype, tolerance):
    torch.manual_seed(1)
    layer = make(kind, 3, 8)
    batch = Batch(torch.randn(4, 12, 3, dtype=torch.float64), None, torch.randn(4, dtype=torch.float64))
    assert max(errors(layer, READOUTS[readout], batch, dtype)) <= tolerance


@given(
    kind=st.sampled_from(KINDS),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    length=st.integers(1, 9),
    size=st.integers(1, 4),
    width=st.integers(1, 5),
    batch=st.integers(1, 3),
    readout=st.sampled_from(["last", "mean", "each step"]),
)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_any_stack_agrees_with_unrolled_autograd(kind, layers, bidirectional, length, size, width, batch, readout):
    torch.manual_seed(length * 100 + width)
    layer = make(kind, size, width, num_layers=layers, bidirectional=bidirectional)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.abs_()  # so that no rectifier is dead everywhere
    probe = Batch(torch.rand(batch, length, size).double() + 0.1, None, -torch.ones(batch).double())
    assert max(errors(layer, READOUTS[readout], probe, torch.float64)) <= 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_the_fused_layer_itself_is_what_is_measured(kind):
    """The taken-apart forward pass gives the very numbers of the fused one."""
    torch.manual_seed(0)
    layer = make(kind, 3, 5, num_layers=2, bidirectional=True)
    seen = []
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    model = Wrapped(layer, lambda output: output)
    seen.append(model(x).detach())
    loss = lambda output, target: seen.append(output.detach()) or square(output[:, -1], target)  # noqa: E731
    trace(model, Batch(x, None, torch.zeros(2).double()), loss)
    assert torch.allclose(seen[0], seen[1], rtol=0, atol=1e-14)


def test_the_profile_of_stacked_layers_tells_layers_and_directions_apart():
    layer = make("lstm", 2, 3, num_layers=2, bidirectional=True)
    batch = Batch(torch.randn(3, 5, 2).double(), None, torch.zeros(3).double())
    profile = gradient_profile(Wrapped(layer, READOUTS["mean"]), batch, square)
    kinds = set(map(tuple, profile[["layer", "direction", "quantity"]].drop_duplicates().to_numpy()))
    layers = {(f"layer.{k}", d, q) for k in (0, 1) for d in ("forward", "backward") for q in "hc"}
    assert kinds == layers | {("input", "forward", "x")}
    assert (profile["n"] == 3).all()


class Final(nn.Module):
    """Reads the final state, as many do, not the output."""

    def __init__(self, layer: nn.RNNBase, part: str) -> None:
        super().__init__()
        self.layer, self.part = layer, part

    def forward(self, x: Tensor) -> Tensor:
        state = self.layer(x)[1]
        if isinstance(state, tuple):
            state = dict(zip("hc", state, strict=True))[self.part]
        return state.transpose(0, 1).flatten(1)


@pytest.mark.parametrize(("kind", "part"), [("tanh", "h"), ("gru", "h"), ("lstm", "h"), ("lstm", "c")])
def test_a_loss_that_reads_the_final_state_is_seen(kind, part):
    torch.manual_seed(3)
    layer = make(kind, 2, 4, num_layers=2, bidirectional=True)
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    batch = Batch(x, None, torch.zeros(3).double())
    profile = gradient_profile(Final(layer, part), batch, square)
    leaf = x.clone().requires_grad_()
    square(Final(layer, part)(leaf), batch.target).sum().backward()
    truth = leaf.grad.norm(dim=-1).flip(1).log10().median(0).values
    assert torch.allclose(torch.tensor(profile[profile.quantity == "x"]["median"].to_numpy()), truth, atol=1e-12)


class EncoderDecoder(nn.Module):
    """A second layer that starts in the state in which the first ends."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = (nn.LSTM(2, 4, batch_first=True).double() for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        return self.decode(x[:, half:], self.encode(x[:, :half])[1])[0][:, -1]


def test_the_gradient_passes_from_a_decoder_to_its_encoder():
    torch.manual_seed(4)
    model, x = EncoderDecoder(), torch.randn(3, 8, 2, dtype=torch.float64, requires_grad=True)
    target = torch.zeros(3).double()
    square(model(x), target).sum().backward()
    found = trace(model, Batch(x.detach(), None, target), square)
    assert torch.allclose(found.input.log_norm().exp().T, x.grad.norm(dim=-1), rtol=1e-12)
    assert all(torch.isfinite(layer.adjoints.state.log).all() for layer in found.layers)


def test_the_bands_of_a_profile_are_quantiles_over_examples():
    torch.manual_seed(5)
    layer = make("tanh", 2, 4)
    batch = Batch(torch.randn(7, 5, 2).double(), None, torch.zeros(7).double())
    profile = gradient_profile(Wrapped(layer, READOUTS["last"]), batch, square).query("quantity == 'h'")
    truth = adjoint_norms(layer, batch.x, lambda output: square(output[:, -1], batch.target))[0, "forward", "h"].log10()
    for column, share in (("q10", 0.1), ("median", 0.5), ("q90", 0.9)):
        assert profile[column].to_numpy() == pytest.approx(truth.quantile(share, dim=1).numpy(), abs=1e-10)
