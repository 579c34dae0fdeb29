"""A layer's steps need not be the model's: what a model does to time before a layer is recognised, or warned of."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from gradreach.diagnostics import (
    Batch,
    LayerTrace,
    Trace,
    bptt_terms,
    gradient_profile,
    linear_decoding,
    lyapunov_spectrum,
    omega,
    step_factors,
    trace,
)

from .unrolled import adjoint_norms

LENGTHS, T = torch.tensor([9, 5, 2, 7]), 9
Forward = Callable[[nn.Module, Tensor, Tensor | None], Tensor]


class Model(nn.Module):
    def __init__(self, forward: Forward, kind: type[nn.RNNBase] = nn.LSTM, **options) -> None:
        super().__init__()
        self.rnn, self.above = kind(2, 4, batch_first=True, **options), nn.GRU(4, 4, batch_first=True)
        self.convolution, self.call = nn.Conv1d(2, 2, 3, padding=1), forward

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return self.call(self, x, lengths)


def model(forward: Forward, kind: type[nn.RNNBase] = nn.LSTM, **options) -> Model:
    torch.manual_seed(0)
    return Model(forward, kind, **options).double()


def probe(lengths: Tensor | None = LENGTHS, examples: int = 4, length: int = T) -> Batch:
    torch.manual_seed(1)
    return Batch(torch.randn(examples, length, 2).double(), lengths, torch.zeros(examples))


def score(output: Tensor, target: Tensor) -> Tensor:
    return output.square().sum(1)


def traced(forward: Forward, batch: Batch, **options) -> Trace:
    return trace(model(forward, **options), batch, score)


def norms(layer: LayerTrace) -> tuple[Tensor, Tensor]:
    size = layer.steps.parts["h"]
    return (
        layer.by_lag(layer.adjoints.state.log_norm())
        if size == layer.steps.size
        else layer.by_lag(
            torch.linalg.vector_norm(layer.adjoints.state.direction[..., :size], dim=-1).log()
            + layer.adjoints.state.log
        )
    )


def left(x: Tensor, lengths: Tensor) -> Tensor:
    """Put padding before the steps."""
    index = (torch.arange(x.shape[1]) - (x.shape[1] - lengths).unsqueeze(1)) % x.shape[1]
    return x.gather(1, index.unsqueeze(2).expand_as(x))


@pytest.mark.parametrize(
    ("turn", "direction"), [(lambda x, n: x.flip(1), "backward"), (lambda x, n: left(x, n), "forward")]
)
def test_padding_that_a_model_puts_first_is_passed_first(turn, direction):
    batch = probe()
    layer = traced(lambda m, x, n: m.rnn(turn(x, n))[0][:, -1], batch).layers[0]
    assert layer.direction == direction
    assert layer.end.tolist() == [8] * 4
    assert layer.count.tolist() == LENGTHS.tolist()
    rnn = model(lambda m, x, n: x).rnn
    truth = adjoint_norms(rnn, turn(batch.x, LENGTHS), lambda output: score(output[:, -1], batch.target))
    found, valid = norms(layer)
    assert valid.sum(0).tolist() == LENGTHS.tolist()
    assert torch.allclose(found.exp()[valid], truth[0, "forward", "h"][valid], rtol=1e-10)


def test_a_layer_that_reads_from_the_end_runs_backwards_also_without_padding_and_above_another():
    def both(m: Model, x: Tensor, n: Tensor | None) -> Tensor:
        return m.above(m.rnn(x.flip(1))[0])[0][:, -1]

    assert traced(both, probe(None)).names == [("rnn", "backward"), ("above", "backward")]
    padded = traced(both, probe())
    assert padded.names == [("rnn", "backward"), ("above", "backward")]
    assert padded.layers[1].count.tolist() == LENGTHS.tolist()
    there_and_back = traced(lambda m, x, n: m.above(m.rnn(x.flip(1))[0].flip(1))[0][:, -1], probe(None))
    assert there_and_back.names == [("rnn", "backward"), ("above", "forward")]


def test_both_directions_of_a_layer_that_is_given_turned_input_change_places():
    found = traced(lambda m, x, n: m.rnn(x.flip(1))[0][:, -1], probe(None), bidirectional=True)
    assert found.names == [("rnn", "backward"), ("rnn", "forward")]


def last(states: Tensor, lengths: Tensor) -> Tensor:
    return states[torch.arange(len(states)), lengths - 1]


def sorted_first(m: Model, x: Tensor, n: Tensor) -> Tensor:
    order = n.argsort(descending=True)
    return last(m.rnn(x[order])[0], n[order])[order.argsort()]


def packed_sorted(m: Model, x: Tensor, n: Tensor) -> Tensor:
    order = n.argsort(descending=True)
    return m.rnn(pack_padded_sequence(x[order], n[order], batch_first=True))[1][0][-1][order.argsort()]


def packed_unsorted(m: Model, x: Tensor, n: Tensor) -> Tensor:
    return m.rnn(pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False))[1][0][-1]


@pytest.mark.parametrize("forward", [sorted_first, packed_sorted, packed_unsorted])
def test_examples_that_a_model_sorts_keep_their_own_lengths(forward):
    straight = gradient_profile(model(lambda m, x, n: last(m.rnn(x)[0], n)), probe(), score)
    found = gradient_profile(model(forward), probe(), score)
    numbers = ["lag", "q10", "median", "q90", "n"]
    np.testing.assert_allclose(found[numbers], straight[numbers], rtol=1e-9)


@pytest.mark.parametrize("forward", [sorted_first, packed_sorted, packed_unsorted])
def test_what_a_sorted_example_holds_is_compared_with_its_own_past(forward):
    torch.manual_seed(0)
    lengths = torch.randint(3, 10, (160,))
    batch = Batch(torch.randn(160, 9, 2), lengths, torch.randn(160))
    straight = linear_decoding(model(lambda m, x, n: last(m.rnn(x)[0], n)), batch, [0.5, 1.0], [0, 2])
    found = linear_decoding(model(forward), batch, [0.5, 1.0], [0, 2])
    assert (straight.query("of == 'input' and lag == 0")["r2"] > 0.5).all()
    assert found["r2"].to_numpy() == pytest.approx(straight["r2"].to_numpy(), abs=1e-4)


def test_what_a_turned_layer_holds_is_what_it_read_last():
    torch.manual_seed(0)
    batch = Batch(torch.randn(160, 9, 2), None, torch.randn(160))
    read = linear_decoding(model(lambda m, x, n: m.rnn(x.flip(1))[0][:, -1]), batch, [1.0], [0, 8])
    found = read.query("of == 'input' and quantity == 'h'").set_index("lag")["r2"]
    assert found[0] > 0.8 > 0.2 > found[8]
    with pytest.warns(UserWarning, match="a different order"):
        shuffled = linear_decoding(model(lambda m, x, n: m.rnn(x[:, ORDER])[0][:, -1]), batch, [1.0], [0])
    assert set(shuffled["of"]) == {"target"}


ORDER = [3, 1, 4, 0, 5, 8, 2, 6, 7]


@pytest.mark.parametrize(
    ("forward", "batch", "message", "measured"),
    [
        (lambda m, x, n: m.rnn(x.mT.contiguous().mT.transpose(0, 1))[0][-1], probe(), "9 sequences where .* 4 ex", 0),
        (
            lambda m, x, n: m.rnn(x.transpose(0, 1))[0][-1],
            probe(None, 4, 4),
            r"over the examples, not over time \(see batch_first\)",
            0,
        ),
        (lambda m, x, n: m.rnn(x[:, ORDER])[0][:, -1], probe(None), "in a different order; its lags", 1),
        (lambda m, x, n: m.rnn(x[:, ORDER])[0][:, -1], probe(), "padding among them; its states are not measured", 0),
        (lambda m, x, n: packed_unsorted(m, x.flip(1), n), probe(), "packed sequences begin with padding", 1),
        (
            lambda m, x, n: m.rnn(m.convolution(x.mT).mT.flip(1))[0][:, -1],
            probe(),
            "seems to read the input reversed or shifted",
            1,
        ),
    ],
    ids=["transposed", "transposed square", "shuffled", "shuffled padding", "packed turned", "convolution turned"],
)
def test_what_cannot_be_followed_is_warned_of(forward, batch, message, measured):
    with pytest.warns(UserWarning, match=message):
        assert len(traced(forward, batch).layers) == measured


@pytest.mark.parametrize(
    ("forward", "batch", "end", "count"),
    [
        (lambda m, x, n: last(m.rnn(m.convolution(x.mT).mT)[0], n), probe(), [8, 4, 1, 6], [9, 5, 2, 7]),
        (lambda m, x, n: m.rnn(x[:, ::2])[0][:, -1], probe(None), [4] * 4, [5] * 4),
        (lambda m, x, n: m.rnn(torch.cat([0 * x[:, :1], x[:, :-1]], 1))[0][:, -1], probe(), [8, 5, 2, 7], [8, 5, 2, 7]),
        (
            lambda m, x, n: m.above(m.rnn(x)[0][:, -1:].expand(-1, T, -1))[0][:, -1],
            probe(None),
            [8] * 4,
            [9] * 4,
        ),
        (lambda m, x, n: last(m.rnn(torch.relu(x - 1))[0], n), probe(), [8, 4, 1, 6], [9, 5, 2, 7]),
    ],
    ids=["convolution", "thinned out", "shifted", "one state handed to every step", "mostly dead"],
)
def test_what_moves_no_step_or_moves_all_alike_is_no_cause_for_a_warning(forward, batch, end, count):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = traced(forward, batch).layers[-1]
    assert (layer.end.tolist(), layer.count.tolist()) == (end, count)


def by_steps(size: int, bare: bool = True) -> Forward:
    """Call the layer on a few steps at a time, handing its state on."""

    def forward(m: Model, x: Tensor, n: Tensor | None) -> Tensor:
        zero = x.new_zeros(m.rnn.num_layers, len(x), 4)
        state, outputs = (None if bare else (zero, zero)), []
        for part in x.split(size, 1):
            output, state = m.rnn(part, state)
            outputs.append(output)
        states = torch.cat(outputs, 1)
        return states[:, -1] if n is None else last(states, n)

    return forward


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("size", [1, 4])
def test_a_layer_that_is_called_step_by_step_is_one_layer(kind, layers, size):
    batch = probe()
    whole = traced(lambda m, x, n: last(m.rnn(x)[0], n), batch, kind=kind, num_layers=layers)
    found = traced(by_steps(size), batch, kind=kind, num_layers=layers)
    assert found.names == whole.names
    for one, other in zip(found.layers, whole.layers, strict=True):
        assert type(one.steps) is type(other.steps)
        assert (one.end.tolist(), one.count.tolist()) == (other.end.tolist(), other.count.tolist())
        assert torch.allclose(one.adjoints.state.log_norm(), other.adjoints.state.log_norm(), atol=1e-11)
        assert torch.allclose(omega(one), omega(other), equal_nan=True)
        assert torch.allclose(lyapunov_spectrum(one), lyapunov_spectrum(other), equal_nan=True)
        for name, term in bptt_terms(one).items():
            assert torch.allclose(term, bptt_terms(other)[name], atol=1e-13)
        np.testing.assert_allclose(step_factors(one)["median"], step_factors(other)["median"], atol=1e-11)


def test_rectified_steps_stay_rectified_when_they_are_joined():
    found = traced(by_steps(1), probe(None), kind=nn.RNN, nonlinearity="relu").layers[0].steps
    assert set(torch.stack(found.slopes).unique().tolist()) <= {0.0, 1.0}


def test_what_is_fed_back_between_the_steps_counts_in_the_gradient():
    """A decoder whose output is its next input: unrolled autograd goes through both paths."""

    def fed_back(m: Model, x: Tensor, n: Tensor | None) -> Tensor:
        state, given = None, x[:, :1]
        for _ in range(6):
            output, state = m.rnn(given, state)
            given = output[..., :2]
        return output[:, -1]

    layer = traced(fed_back, probe(None), kind=nn.GRU).layers[0]
    rnn, x = model(fed_back, kind=nn.GRU).rnn, probe(None).x
    cell = nn.GRUCell(2, 4).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in rnn.state_dict().items()})
    states, h, given = [], torch.zeros(4, 4).double(), x[:, 0]
    for _ in range(6):
        h = cell(given, h)
        h.retain_grad()
        states.append(h)
        given = h[:, :2]
    h.square().sum().backward()
    truth = torch.stack([state.grad.norm(dim=1).log() for state in states])
    assert torch.allclose(layer.adjoints.state.log_norm(), truth, atol=1e-12)


def test_calls_over_two_sequences_are_two_layers_and_no_loop():
    def siamese(m: Model, x: Tensor, n: Tensor | None) -> Tensor:
        zero = x.new_zeros(1, len(x), 4)
        return sum(m.rnn(part * x, (zero, zero))[0][:, -1] for part in (1, 2, 3))  # type: ignore[return-value]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [name for name, _ in traced(siamese, probe(None)).names] == ["rnn", "rnn#2", "rnn#3"]


def masked(m: Model, x: Tensor, n: Tensor) -> Tensor:
    """Hold the state where a sequence has ended."""
    state = (x.new_zeros(1, len(x), 4),) * 2
    for t in range(x.shape[1]):
        new = m.rnn(x[:, t : t + 1], state)[1]
        on = (t < n).to(x.dtype)[None, :, None]
        state = tuple(on * a + (1 - on) * b for a, b in zip(new, state, strict=True))
    return state[0][0]


def forgetful(m: Model, x: Tensor, n: Tensor | None) -> Tensor:
    return sum(m.rnn(x_t.unsqueeze(1))[0][:, 0] for x_t in x.unbind(1))  # type: ignore[return-value]


@pytest.mark.parametrize("forward", [masked, forgetful])
def test_a_loop_whose_state_is_not_handed_on_as_it_is_is_warned_of(forward):
    with pytest.warns(UserWarning, match=r"rnn: it is called \d times, each time not from its last state"):
        assert len(traced(forward, probe(LENGTHS if forward is masked else None)).layers) > 1


def test_decoding_reads_a_layer_that_is_called_step_by_step():
    torch.manual_seed(0)
    batch = Batch(torch.randn(160, 9, 2), None, torch.randn(160))
    whole = linear_decoding(model(lambda m, x, n: m.rnn(x)[0][:, -1]), batch, [0.5, 1.0], [0, 3])
    found = linear_decoding(model(by_steps(1)), batch, [0.5, 1.0], [0, 3])
    assert found["layer"].unique().tolist() == ["rnn"]
    assert found["r2"].to_numpy() == pytest.approx(whole["r2"].to_numpy(), abs=1e-4)
    assert math.isfinite(found["r2"].sum())
