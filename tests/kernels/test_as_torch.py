"""In all but speed the layers are torch's: as modules, in autograd, and wherever the loops do not run."""

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import pack_padded_sequence
from torch.testing import assert_close

from gradreach import kernels
from gradreach.kernels import accelerate
from gradreach.kernels.suitability import WIDEST

from .unrolled import KINDS, accelerated, make


@pytest.fixture(params=KINDS)
def pair(request) -> tuple[nn.RNNBase, nn.RNNBase]:
    """torch's layer, and ours of the same weights."""
    torch.manual_seed(0)
    layer = make(request.param)
    return layer, accelerated(layer)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def runs(monkeypatch) -> list[str]:
    """What the loops ran."""
    seen: list[str] = []
    run = kernels.layers.run
    monkeypatch.setattr(kernels.layers, "run", lambda mode, *rest: seen.append(mode) or run(mode, *rest))
    return seen


def gradients(layer: nn.Module) -> list[torch.Tensor]:
    return [weight.grad for weight in layer.parameters()]


# As modules


def test_a_layer_is_torchs_in_all_but_its_forward(pair, x, runs):
    theirs, ours = pair
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert {name for name in vars(type(ours)) if not name.startswith("__")} == {"forward"}
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    assert_close(ours(x), theirs(x))
    assert runs == [theirs.mode]


def test_accelerate_turns_what_the_loops_can_run_and_counts_it(x):
    class Own(nn.GRU):
        """A layer that may do something else."""

    model = nn.ModuleDict(
        {
            "rnn": nn.RNN(3, 4),
            "gru": nn.GRU(3, 4, bias=False),
            "lstm": nn.LSTM(3, 4),
            "deep": nn.GRU(3, 4, num_layers=2),
            "both ways": nn.RNN(3, 4, bidirectional=True),
            "wide": nn.GRU(3, WIDEST + 1),
            "own": Own(3, 4),
            "normed": parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0"),
        }
    )
    types = {name: type(layer) for name, layer in model.items()}
    assert accelerate(model) == accelerate(model) == 2
    assert {name for name, layer in model.items() if type(layer) is not types[name]} == {"rnn", "gru"}
    assert type(model["rnn"]) is kernels.RNN
    assert type(model["gru"]) is kernels.GRU


def test_copies_and_pickles_are_layers_of_their_own(pair, x, runs):
    _, ours = pair
    stored = io.BytesIO()
    torch.save(ours, stored)
    stored.seek(0)
    loaded = torch.load(stored, weights_only=False)
    for again in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), loaded):
        assert type(again) is type(ours)
        assert torch.equal(again(x)[0], ours(x)[0])
        nn.init.zeros_(again.weight_hh_l0)
        assert not torch.equal(again(x)[0], ours(x)[0])
    assert len(runs) == 12


def test_hooks_fire(pair, x):
    _, ours = pair
    fired = []
    ours.register_forward_pre_hook(lambda *_: fired.append("before"))
    ours.register_forward_hook(lambda *_: fired.append("after"))
    ours.register_full_backward_hook(lambda *_: fired.append("back"))
    ours.weight_hh_l0.register_hook(lambda _: fired.append("weight"))
    ours(x.requires_grad_())[0].sum().backward()
    assert sorted(fired) == ["after", "back", "before", "weight"]
    assert fired[:2] == ["before", "after"]


def test_weights_that_are_computed_are_read_anew_at_each_call(pair, x, runs):
    theirs, ours = pair

    class Half(nn.Module):
        def forward(self, weight):
            return weight / 2

    parametrize.register_parametrization(ours, "weight_hh_l0", Half())
    for scale in (1, 3):
        with torch.no_grad():
            ours.parametrizations.weight_hh_l0.original.mul_(scale)
            theirs.weight_hh_l0.copy_(ours.weight_hh_l0)
        assert_close(ours(x), theirs(x))
        theirs.weight_hh_l0.grad = ours.parametrizations.weight_hh_l0.original.grad = None
        theirs(x)[0].sum().backward()
        ours(x)[0].sum().backward()
        assert_close(ours.parametrizations.weight_hh_l0.original.grad, theirs.weight_hh_l0.grad / 2)
    assert len(runs) == 4


# In autograd


@pytest.mark.parametrize("frozen", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "all but x"])
def test_gradients_are_given_where_they_are_asked_for(pair, x, frozen):
    for layer in pair:
        layer.requires_grad_(frozen != "all but x")
        if frozen != "all but x":
            getattr(layer, frozen).requires_grad_(False)
        layer.x = x.clone().requires_grad_(frozen == "all but x")
        layer(layer.x)[1].sum().backward()
    theirs, ours = pair
    for first, second in zip([theirs.x.grad, *gradients(theirs)], [ours.x.grad, *gradients(ours)], strict=True):
        assert (first is None) == (second is None)
        assert first is None or torch.allclose(first, second, atol=1e-6)


def test_a_readout_of_the_last_state_alone_or_of_none_is_right(pair, x):
    for readout in (lambda states, last: last, lambda states, last: states[:, 2], lambda states, last: states.mean(1)):
        for layer in pair:
            layer.zero_grad()
            readout(*layer(x)).square().sum().backward()
        assert_close(gradients(pair[1]), gradients(pair[0]))


def test_one_tensor_in_two_places_gets_both_gradients(x):
    torch.manual_seed(0)
    theirs = make("gru")
    theirs.bias_hh_l0 = theirs.bias_ih_l0
    ours = accelerated(theirs)
    for again in (False, True):
        found = [torch.autograd.grad(m(x)[0].sum(), list(m.parameters()), create_graph=again) for m in (theirs, ours)]
        assert_close(found[1], found[0])


def test_second_derivatives_are_torchs(pair, x):
    def penalty(layer):
        leaves = [x.clone().requires_grad_(), torch.zeros(1, 4, 8, requires_grad=True), *layer.parameters()]
        states, last = layer(*leaves[:2])
        first = torch.autograd.grad(states.square().sum() + last.pow(3).sum(), leaves, create_graph=True)
        return [*first, *torch.autograd.grad(sum(part.square().sum() for part in first), leaves)]

    for ours, theirs in zip(penalty(pair[1]), penalty(pair[0]), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


@pytest.mark.parametrize("batched", [False, True])
def test_jacobians_are_torchs(pair, x, batched):
    theirs, ours = (
        torch.autograd.functional.jacobian(lambda given, m=m: m(given)[0][:, -1].sum(0), x, vectorize=batched)
        for m in pair
    )
    assert_close(ours, theirs)


def test_a_graph_that_is_kept_gives_the_same_gradients_again(pair, x):
    loss = pair[1](x)[0].sum()
    first = torch.autograd.grad(loss, list(pair[1].parameters()), retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, list(pair[1].parameters()))))


def test_a_way_back_under_autocast_is_as_exact_as_the_way_there(pair, x):
    found = []
    for layer, cast in zip(pair, (False, True), strict=True):
        loss = layer(x)[0].square().sum()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
            found.append(torch.autograd.grad(loss, list(layer.parameters())))
    assert_close(found[1], found[0])


@pytest.mark.parametrize(
    "write",
    [
        lambda states, last: states.mul_(2),
        lambda states, last: F.relu_(states),
        lambda states, last: states[:, 0].zero_(),
        lambda states, last: last.mul_(3),
    ],
)
def test_states_may_be_written_to(pair, x, write):
    for layer in pair:
        layer.zero_grad()
        states, last = layer(x)
        write(states, last)
        (states.square().sum() + last.sum()).backward()
    assert_close(gradients(pair[1]), gradients(pair[0]))


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "x"])
def test_what_changed_since_it_was_used_is_refused(pair, x, name):
    _, ours = pair
    states, _ = ours(x.requires_grad_())
    with torch.no_grad():
        (x if name == "x" else getattr(ours, name)).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        states.sum().backward()


def test_without_a_graph_nothing_is_kept_and_the_states_are_the_same(pair, x, runs):
    _, ours = pair
    states = ours(x)[0]
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            again = ours(x)[0]
        assert torch.equal(states, again)
        assert again.is_inference() == (context is torch.inference_mode)
        assert again.grad_fn is None
    assert ours.requires_grad_(False)(x)[0].grad_fn is None
    assert len(runs) == 4


def test_saved_tensors_go_through_hooks(pair, x):
    theirs, ours = pair
    with torch.autograd.graph.save_on_cpu():
        loss = ours(x)[0].sum()
    loss.backward()
    theirs(x)[0].sum().backward()
    assert_close(gradients(ours), gradients(theirs))


def test_checkpointed_layers_have_their_gradients(pair, x):
    for layer in pair:
        torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)[0].sum().backward()
    assert_close(gradients(pair[1]), gradients(pair[0]))


# Where the loops do not run


def same(pair, *given):
    theirs, ours = pair
    expected, found = theirs(*given), ours(*given)
    assert_close(found, expected)
    return found


def test_packed_sequences_are_torchs(pair, x, runs):
    packed = pack_padded_sequence(x, torch.tensor([6, 2, 5, 1]), batch_first=True, enforce_sorted=False)
    theirs, ours = (layer(packed) for layer in pair)
    assert torch.equal(ours[0].data, theirs[0].data)
    assert torch.equal(ours[1], theirs[1])
    assert not runs


def test_a_sequence_without_a_batch_is_torchs(pair, x, runs):
    same(pair, x[0])
    same(pair, x[0], torch.ones(1, 8))
    assert not runs


def test_an_empty_batch_is_torchs(pair, x, runs):
    same(pair, x[:0])
    assert not runs


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: (x[:, :0],),
        lambda x: (x[..., :2],),
        lambda x: (x.double(),),
        lambda x: (x, torch.zeros(1, 3, 8)),
        lambda x: (x, torch.zeros(4, 8)),
        lambda x: (x.unsqueeze(0),),
    ],
)
def test_a_wrong_input_gets_torchs_error(pair, x, wrong):
    theirs, ours = pair
    with pytest.raises((RuntimeError, ValueError)) as expected:
        theirs(*wrong(x))
    with pytest.raises(type(expected.value)) as found:
        ours(*wrong(x))
    assert str(found.value) == str(expected.value)


def test_other_numbers_are_torchs(pair, x, runs):
    assert same([layer.double() for layer in pair], x.double())[0].dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same([layer.float() for layer in pair], x)
    assert pair[1].to("meta")(x.to("meta"))[0].is_meta
    assert not runs


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_functions_of_torch_func_are_torchs(pair, x, runs):
    theirs, ours = pair
    weights = dict(theirs.named_parameters())

    def loss(weights, layer, x, start):
        return functional_call(layer, weights, (x, start))[0].square().sum()

    start = torch.zeros(1, 4, 8)
    assert_close(grad(loss)(weights, ours, x, start), grad(loss)(weights, theirs, x, start))
    each = vmap(grad(loss), in_dims=(None, None, 0, 0))
    one = x.unsqueeze(1), start.unsqueeze(0).transpose(0, 2)
    assert_close(each(weights, ours, *one), each(weights, theirs, *one))
    tangents = [jvp(lambda given, m=m: m(given)[0], (x,), (torch.ones_like(x),)) for m in pair]
    assert_close(tangents[1], tangents[0])
    with forward_ad.dual_level():
        states, _ = ours(forward_ad.make_dual(x, torch.ones_like(x)))
        assert_close(forward_ad.unpack_dual(states).tangent, tangents[0][1])
    assert not runs


def test_the_weights_of_a_functional_call_are_those_used(pair, x, runs):
    theirs, ours = pair
    halved = {name: weight / 2 for name, weight in theirs.named_parameters()}
    assert_close(functional_call(ours, halved, (x,)), functional_call(theirs, halved, (x,)))
    assert runs == [theirs.mode]


@pytest.mark.filterwarnings("ignore")
def test_compilers_and_tracers_see_torchs_layer(pair, x, runs):
    theirs, ours = pair
    traced = torch.jit.trace(ours, (x,), check_trace=False)
    assert_close(traced(x), theirs(x))
    exported = torch.export.export(ours, (x,)).module()
    assert_close(exported(x), theirs(x))
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
        assert_close(compiled(x), theirs(x))
    assert not runs


@pytest.mark.filterwarnings("ignore")
def test_a_compiler_that_leaves_recurrent_layers_alone_may(pair, x):
    theirs, ours = pair
    torch._dynamo.reset()
    for layer in (theirs, torch.compile(ours, backend="eager")):
        layer(x)[0].sum().backward()
    assert_close(gradients(ours), gradients(theirs))


def test_a_mode_that_counts_operations_sees_them(pair, x, runs):
    from torch.utils.flop_counter import FlopCounterMode

    counts = []
    for layer in pair:
        with FlopCounterMode(display=False) as counter:
            layer(x)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
    assert not runs
