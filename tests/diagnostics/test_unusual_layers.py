"""Layers as people have them: projected, packed, shared, nested, compiled, wrapped, half, quantized: right, or said."""

import copy
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gradreach.diagnostics import Batch, trace

ON_ARRIVAL = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning:torch", "ignore::FutureWarning"
)


def score(output: Tensor, target: Tensor) -> Tensor:
    return output.square().sum(1)


def probe(lengths: Tensor | None = None) -> Batch:
    torch.manual_seed(0)
    return Batch(torch.randn(4, 7, 2), lengths, torch.zeros(4))


def check(model: nn.Module, batch: Batch, names: list[tuple[str, str]], plain: nn.Module | None = None) -> None:
    """Check the names of what is measured, and the gradient w.r.t. the input, which goes through it, by autograd."""
    found = trace(model, batch, score)
    assert found.names == names
    x = batch.x.double().requires_grad_()
    reference = copy.deepcopy(plain or model).double().eval()
    score(reference(x) if batch.lengths is None else reference(x, batch.lengths), batch.target).sum().backward()
    assert x.grad is not None
    assert torch.allclose(found.input.log_norm().exp().T, x.grad.norm(dim=2), rtol=1e-9)


class Packed(nn.Module):
    def __init__(self, projected: int = 0) -> None:
        super().__init__()
        options = {"num_layers": 2, "bidirectional": True, "batch_first": True}
        self.lstm = nn.LSTM(2, 6, proj_size=projected, **options)
        self.h, self.c = (nn.Parameter(torch.randn(4, 1, size)) for size in (projected or 6, 6))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        start = (self.h.expand(-1, len(x), -1).contiguous(), self.c.expand(-1, len(x), -1).contiguous())
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, (h, c) = self.lstm(packed, start)
        return torch.cat([pad_packed_sequence(output, batch_first=True)[0].sum(1), h.sum(0), c.sum(0)], 1)


@pytest.mark.parametrize("projected", [0, 3])
def test_packed_both_ways_from_a_given_state(projected):
    torch.manual_seed(0)
    names = [(f"lstm.{layer}", direction) for layer in (0, 1) for direction in ("forward", "backward")]
    check(Packed(projected), probe(torch.tensor([7, 3, 5, 2])), names)


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.GRU(2, 2, batch_first=True)
        self.again = nn.Sequential(self.one)
        self.inside = nn.ModuleDict({"a": nn.ModuleDict({"b": nn.LSTM(2, 3, batch_first=True)})})

    def forward(self, x: Tensor) -> Tensor:
        return self.inside["a"]["b"](self.again(self.one(x)[0])[0])[0][:, -1]


def test_a_layer_in_two_places_and_one_deep_inside():
    torch.manual_seed(0)
    check(Shared(), probe(), [("one", "forward"), ("one#2", "forward"), ("inside.a.b", "forward")])


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(2, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(input=x)[0][:, -1]


FORWARD = [("lstm", "forward")]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision(dtype):
    check(Plain().to(dtype), probe(), FORWARD)


@ON_ARRIVAL
def test_compiled_and_wrapped():
    compiled = torch.compile(Plain(), backend="eager")
    check(compiled, probe(), FORWARD, Plain())  # type: ignore[arg-type]
    in_place = Plain()
    in_place.lstm.compile(backend="eager")
    check(in_place, probe(), FORWARD, Plain())
    in_place = Plain()
    in_place.compile(backend="eager")
    check(in_place, probe(), FORWARD, Plain())
    check(nn.DataParallel(Plain()), probe(), [("module.lstm", "forward")], Plain())


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_weights_that_are_computed(kind):
    model = Plain()
    getattr(nn.utils.parametrizations, kind)(model.lstm, "weight_hh_l0")
    check(model.eval(), probe(), FORWARD)


def test_hooks_of_a_layer_act():
    model = Plain()
    model.lstm.register_forward_hook(lambda module, given, output: (output[0] * 2, output[1]))
    model.lstm.register_forward_pre_hook(lambda module, given, named: ((3 * named["input"],), {}), with_kwargs=True)
    check(model, probe(), FORWARD)


def quantized() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Plain(), {nn.LSTM}, dtype=torch.qint8)


@ON_ARRIVAL
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (quantized, "lstm is quantized, and cannot be taken apart; measure the module it was made from"),
        (lambda: torch.jit.script(nn.Linear(2, 2)), "the model is TorchScript, and cannot be taken apart"),
    ],
)
def test_what_cannot_be_copied_or_has_no_gradient_is_refused_in_one_line(make, message):
    with pytest.raises(ValueError, match=message) as refused:
        trace(make(), probe(), score)
    assert "\n" not in str(refused.value)


class Silent(Plain):
    def forward(self, x: Tensor) -> Tensor:
        zero = (x.new_zeros(1, len(x), 4),) * 2
        return torch.lstm(x, zero, self.lstm._flat_weights, True, 1, 0.0, False, False, True)[0][:, -1]


class OneByOne(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.lstm(one.unsqueeze(0))[0][:, -1] for one in x])


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Silent, "LSTM is not called as a module, although its weights are used"), (OneByOne, "runs 1 sequences")],
)
def test_what_is_not_measured_is_said_and_the_input_is_right(kind, message):
    with pytest.warns(UserWarning, match=message):
        check(kind(), probe(), [])


def test_a_layer_that_a_model_has_and_does_not_use_is_no_cause_for_a_warning():
    model = Plain()
    model.other = nn.GRU(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(model, probe(), FORWARD)
