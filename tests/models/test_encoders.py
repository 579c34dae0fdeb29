"""What every encoder promises, checked against what it does."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from every_encoder import FIXED, LENGTH, SHARED, make
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from gradreach import models as m
from gradreach.models import READOUTS, S4D, SequenceModel
from gradreach.models.embedding import Projection

EVERY = [*SHARED, *FIXED]


def random(batch: int = 4, d_in: int = 3) -> Tensor:
    return torch.randn(batch, LENGTH, d_in, dtype=torch.float64)


@pytest.mark.parametrize("name", EVERY)
def test_shape_is_as_stated_and_double_precision_works(name: str) -> None:
    encoder = make(name).double()
    states, lengths = encoder(random(), None)
    assert states.shape == (4, encoder.output_length(LENGTH), encoder.d_out)
    assert states.dtype == torch.float64
    assert lengths is None


@pytest.mark.parametrize("name", EVERY)
def test_causal_encoders_and_only_they_ignore_what_comes_later(name: str) -> None:
    torch.manual_seed(0)
    encoder = make(name).double().eval()
    x, changed_at = random(8), 13
    changed = x.clone()
    changed[:, changed_at:] = random(8)[:, changed_at:]
    before, after = encoder(x, None)[0], encoder(changed, None)[0]
    earlier = -(-changed_at // _stride(encoder, before))
    difference = (before - after)[:, :earlier].abs().max()
    if encoder.causal:
        assert difference <= (1e-12 if isinstance(encoder, S4D) else 0)
    elif name != "cnn full":  # its states lag behind the input, so it looks ahead in no index
        assert difference > 1e-6
    assert (before - after).abs().max() > 1e-6


def _stride(encoder: torch.nn.Module, states: Tensor) -> int:
    return max(1, round(LENGTH / states.shape[1]))


@pytest.mark.parametrize("name", EVERY)
def test_gradient_is_zero_outside_the_receptive_field_and_not_inside(name: str) -> None:
    torch.manual_seed(0)
    encoder = make(name).double().eval()
    x = random(64).requires_grad_()
    states = encoder(x, None)[0]
    (gradient,) = torch.autograd.grad(states[:, states.shape[1] // 2].square().sum(), x)
    touched = (gradient.abs().amax((0, 2)) > 0).nonzero().flatten().tolist()
    if encoder.receptive_field is None:
        middle = LENGTH // 2 + 1 if encoder.causal else LENGTH
        if not isinstance(encoder, S4D):  # a Fourier transform leaves rounding errors
            assert touched == list(range(middle))
        return
    holes = name == "cnn even kernel"  # a dilation larger than the layer below sees
    span = max(touched) - min(touched) + 1
    assert span == min(encoder.receptive_field, LENGTH)
    assert holes or touched == list(range(min(touched), max(touched) + 1))


@pytest.mark.parametrize("name", ["minlstm signed", "mamba signed", "deltanet signed"])
def test_mixed_precision_is_near_single(name: str) -> None:
    torch.manual_seed(0)
    encoder, x = make(name), random().float()
    single = encoder(x, None)[0].detach()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encoder(x, None)[0].float()
    mixed.square().sum().backward()
    assert (mixed.detach() - single).abs().max() < 0.1 * single.abs().max()
    assert all(weights.grad.isfinite().all() for weights in encoder.parameters() if weights.grad is not None)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "s4d"])
def test_the_last_state_depends_on_the_steps_that_it_is_said_to(name: str) -> None:
    torch.manual_seed(0)
    encoder = make(name).double().eval()
    x = random(64).requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(x, None)[0][:, -1].square().sum(), x)
    assert (gradient.abs().amax((0, 2)) > 0).nonzero().flatten().tolist() == list(encoder.seen_by_last(LENGTH))


# One readout of all states for every encoder, and the other readouts for two: what an encoder gives at padding reaches
# each of them (the identity's states are the input's, NaN included), and what a sequence without a state reads as.
PADDED = [(name, "each_step") for name in SHARED]
PADDED += [(name, readout) for name in ("identity", "cnn max") for readout in READOUTS if readout != "flatten"]


@pytest.mark.parametrize(("name", "readout"), dict.fromkeys(PADDED))
def test_padding_never_influences_a_result(name: str, readout: str) -> None:
    torch.manual_seed(0)
    model = SequenceModel(make(name), readout, 2).double().eval()
    lengths = torch.tensor([LENGTH, 13, 6, 1, 0])
    x = random(5)
    padding = torch.arange(LENGTH) >= lengths.unsqueeze(1)
    answer = model(x, lengths)
    assert torch.equal(answer, model(x.masked_fill(padding.unsqueeze(2), float("nan")), lengths))
    bias = model.head.bias
    torch.testing.assert_close(answer[-1], bias.expand_as(answer[-1]), msg="no step reads as zero")
    for row, length in enumerate(lengths.tolist()):
        if length and model.encoder.output_length(length):
            alone = model(x[row : row + 1, :length])[0]
            seen = answer[row][: alone.shape[0]] if readout == "each_step" else answer[row]
            torch.testing.assert_close(seen, alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{"kernel_size": 5}, {"pooling": "max"}, {"pooling": "avg", "stride": 2}])
def test_sequences_too_short_for_an_unpadded_stack_read_as_zero(settings: dict[str, Any]) -> None:
    model = SequenceModel(m.CNN(3, padding="none", dilation_base=1, layers=2, **settings), "mean", 2)
    for length in (1, 3, 4):
        x = torch.randn(2, length, 3)
        for lengths in (None, torch.tensor([length, 1])):
            torch.testing.assert_close(model(x, lengths), model.head.bias.expand(2, 2))


@pytest.mark.parametrize("name", [name for name in SHARED if "batch norm" in name])
def test_padding_is_no_part_of_batch_statistics(name: str) -> None:
    torch.manual_seed(0)
    encoder = make(name).double().train()
    lengths = torch.tensor([LENGTH, 13, 6, 1])
    x = random()
    padding = (torch.arange(LENGTH) >= lengths.unsqueeze(1)).unsqueeze(2)
    first = encoder(x, lengths)[0].masked_fill(padding, 0)
    longer = torch.cat([x, random()], 1)
    second = encoder(longer, lengths)[0][:, :LENGTH].masked_fill(padding, 0)
    torch.testing.assert_close(first, second)


class OnlyMeta(TorchDispatchMode):
    """Refuses every operation that gives a tensor on another device than ``meta``."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        devices = {leaf.device.type for leaf in tree_leaves(given) if isinstance(leaf, Tensor)}
        assert devices <= {"meta"}, f"{func} gives a tensor on {devices}"
        return given


@pytest.mark.parametrize(
    ("name", "readout"),
    dict.fromkeys([*((name, "max") for name in EVERY), *(("lstm", readout) for readout in READOUTS)]),
)
def test_nothing_is_made_on_the_cpu_while_a_model_on_another_device_runs(name: str, readout: str) -> None:
    with torch.device("meta"):
        model = SequenceModel(make(name), readout, 2, length=LENGTH, embedding=Projection(2, 3))
        x, lengths = torch.empty(4, LENGTH, 2), torch.ones(4, dtype=torch.long)
    picking_valid_steps = torch.fx.experimental._config.patch(meta_nonzero_assume_all_nonzero=True)
    with OnlyMeta(), picking_valid_steps:
        model(x, None if name in FIXED else lengths).sum().backward()


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")  # of looking up what fuses
@pytest.mark.parametrize("name", [name for name in EVERY if name != "s4d"])
def test_multiply_adds_are_those_that_torch_counts(name: str) -> None:
    encoder = make(name)
    unfused = torch.backends.mkldnn.flags(enabled=False)  # torch counts no fused LSTM
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), unfused:
        encoder(torch.randn(1, LENGTH, 3), None)
    assert encoder.multiply_adds(LENGTH) == counter.get_total_flops() / 2


def test_multiply_adds_of_s4d_are_matrices_and_six_a_complex_state() -> None:
    s4d = m.S4D(3, width=7, layers=2, states=5)
    assert s4d.multiply_adds(LENGTH) == LENGTH * (3 * 7 + 2 * (7 * 7 + 6 * 7 * 5))


@pytest.mark.parametrize("readout", READOUTS)
def test_multiply_adds_of_embedding_readout_and_head_are_those_that_torch_counts(readout: str) -> None:
    model = SequenceModel(make("tcn"), readout, 5, length=LENGTH, embedding=Projection(2, 3))
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, LENGTH, 2))
    weighted_mean = LENGTH * model.encoder.d_out if readout == "attention" else 0  # elementwise for torch
    assert model.multiply_adds(LENGTH) - weighted_mean == counter.get_total_flops() / 2


@pytest.mark.parametrize("name", ["lstm", "bidirectional lstm", "tcn", "transformer", "lru", "s4d"])
def test_dropout_follows_torchs_seed_and_is_off_in_evaluation(name: str) -> None:
    maker = SHARED[name]
    encoder = maker(3, dropout=0.5).double()
    x = random()

    def seeded() -> Tensor:
        torch.manual_seed(1)
        return encoder(x, None)[0]

    assert torch.equal(seeded(), seeded())
    dropped = seeded()
    encoder.eval()
    assert not torch.equal(dropped, seeded())


@pytest.mark.parametrize("name", SHARED)
def test_without_a_gradient_states_are_the_same_and_finite(name: str) -> None:
    torch.manual_seed(0)
    encoder, x, lengths = make(name).double().eval(), random(), torch.tensor([LENGTH, 13, 1, 0])
    states, valid = encoder(x, lengths)
    with torch.no_grad():  # torch has other kernels for that
        without = encoder(x, lengths)[0]
    assert without.isfinite().all()
    for ours, theirs, length in zip(without, states, valid.tolist(), strict=True):
        torch.testing.assert_close(ours[:length], theirs[:length])


def test_a_backward_layer_reads_each_sequence_from_its_own_end() -> None:
    encoder = make("bidirectional gru before").double()
    lengths = torch.tensor([LENGTH, 7, 1, 0])
    x = random()
    states = encoder(x, lengths)[0]
    width = encoder.d_out // 2
    for row, length in enumerate(lengths[:3].tolist()):
        alone = encoder.backward_layers[0](x[row : row + 1, :length].flip(1)).flip(1)[0]
        torch.testing.assert_close(states[row, :length, width:], alone)


def answer_and_gradient(model: Callable[..., Tensor], weights: list[Tensor], *inputs: Any) -> list[Tensor]:
    answer = model(*inputs)
    return [answer, *torch.autograd.grad(answer.square().sum(), weights)]


def compare_with_compiled(name: str, backend: str) -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    length = 5
    model = SequenceModel(make(name, length=length), "mean", 2).double()
    x = random()[:, :length].requires_grad_()
    lengths = None if name in FIXED else torch.tensor([5, 4, 2, 1])
    weights = [x, *model.parameters()]
    eager = answer_and_gradient(model, weights, x, lengths)
    compiled = answer_and_gradient(torch.compile(model, backend=backend), weights, x, lengths)
    for theirs, ours in zip(eager, compiled, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


of_the_compiler_itself = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:torch", "ignore::UserWarning:torch", "ignore:Guards may run slower on Python 3.13.0"
)


@of_the_compiler_itself
@pytest.mark.parametrize("name", [name for name in EVERY if " " not in name])
def test_torch_compile_traces_every_encoder_and_its_gradient(name: str) -> None:
    compare_with_compiled(name, "aot_eager")


@pytest.mark.slow
@of_the_compiler_itself
@pytest.mark.parametrize("name", EVERY)
def test_torch_compile_makes_code_that_gives_the_same(name: str) -> None:
    compare_with_compiled(name, "inductor")
