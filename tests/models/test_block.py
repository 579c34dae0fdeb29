"""``model.block=prenorm``: any encoder in the place of attention."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_cells import B, D, T, lstm
from test_networks import layer_norm, linear, weights_of
from torch import Tensor, nn

from gradreach import models as m
from gradreach.compose import compose
from gradreach.config import parse
from gradreach.diagnostics import gradient_profile
from gradreach.errors import ConfigError
from gradreach.models import build, caveat
from gradreach.models.block import PreNorm, prenorm
from gradreach.tasks import Batch, Shape

CONF = Path(__file__).parents[2] / "conf"
SERIES = Shape(channels=2, length=40, outputs=3)
KINDS = [
    *(m.RNN, m.LSTM, m.LSTMCoupled, m.GRU, m.GatedTanhRNN, m.PrintedLSTM, m.PrintedGRU, m.IndRNN, m.MinGRU, m.LeakyRNN),
    *(m.MinLSTM, m.LRU, m.S4D, m.Mamba, m.DeltaNet, m.CNN),
]


def last(output: Tensor, target: Tensor) -> Tensor:
    return output.square().sum(1)


def test_a_block_computes_its_equations_and_their_gradient() -> None:
    torch.manual_seed(0)
    encoder = prenorm(m.LSTM, D, {"width": 5, "layers": 2}, 3, T).double()
    x = torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)
    y = linear(x, weights_of(encoder.project))
    for layer in encoder.layers:
        y = y + lstm(weights_of(layer.mixer.layers[0]), layer_norm(y, weights_of(layer.normalize_mixer)))
        first, _, second = layer.perceptron
        inside = torch.relu(linear(layer_norm(y, weights_of(layer.normalize_perceptron)), weights_of(first)))
        y = y + linear(inside, weights_of(second))
    expected, given = layer_norm(y, weights_of(encoder.normalize)), encoder(x, None)[0]
    torch.testing.assert_close(given, expected, rtol=1e-10, atol=1e-12)
    seed, inputs = torch.randn_like(given), [x, *encoder.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((given * seed).sum(), inputs),
        torch.autograd.grad((expected * seed).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def test_blocks_round_attention_would_be_a_transformer() -> None:
    """The rest of a block has the weights of torch's encoder layer, and computes the same."""
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(8, 2, 32, 0.0, batch_first=True, norm_first=True).eval()

    class Attention(m.Encoder):
        causal, receptive_field, d_out = False, None, 8

        def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
            return theirs.self_attn(x, x, x, need_weights=False)[0], lengths

        def multiply_adds(self, length: int) -> int:
            return 0

    (block,) = PreNorm(8, mixers=[Attention()], width=8).layers
    for ours, same in (
        (block.normalize_mixer, theirs.norm1),
        (block.normalize_perceptron, theirs.norm2),
        (block.perceptron[0], theirs.linear1),
        (block.perceptron[2], theirs.linear2),
    ):
        ours.load_state_dict(same.state_dict())
    x = torch.randn(3, 9, 8)
    torch.testing.assert_close(block(x, None), theirs(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_instrument_sees_every_layer_in_its_block(kind: type[m.Encoder]) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"width": 4, "layers": 2} | ({"dilation_base": 1} if kind is m.CNN else {})
    model = build(kind, settings, SERIES, readout="mean", block="prenorm")
    profile = gradient_profile(model, Batch(torch.randn(2, 12, 2), None, torch.zeros(2)), last)
    curves = profile.loc[profile["layer"] != "input"].drop_duplicates(["layer", "quantity"])
    if kind in (m.S4D, m.CNN):
        assert set(curves["quantity"]) == {"y"}
        assert [*curves["layer"]] == ["encoder.layers.0", "encoder.layers.1"]
    else:
        assert {re.sub(r"(mixer\.layers\.0)\.recurrence", r"\1", layer) for layer in curves["layer"]} == {
            f"encoder.layers.{i}.mixer.layers.0" for i in range(2)
        }
        assert set(curves["quantity"]) <= {"h", "c"}
    assert curves["median"].notna().all()


def test_dropout_acts_on_what_a_block_adds() -> None:
    encoder = prenorm(m.GRU, D, {"width": 6, "layers": 1, "dropout": 0.3}, 4, T)
    assert [module.p for module in encoder.layers[0].modules() if isinstance(module, nn.Dropout)] == [0.0, 0.3]


@pytest.mark.parametrize(("kind", "settings"), [(m.LSTM, {}), (m.DeltaNet, {"heads": 2})])
def test_match_params_counts_the_whole_block(kind: type[m.Encoder], settings: dict[str, Any]) -> None:
    settings = {"width": 2, "layers": 2, **settings}
    with torch.device("meta"):
        model = build(kind, settings, SERIES, readout="last", block="prenorm", match_params=20_000)
    assert abs(model.parameter_count - 20_000) < 800
    assert sum(p.numel() for p in model.parameters()) == model.parameter_count


def test_a_run_without_blocks_keeps_its_identity() -> None:
    plain = parse(compose(["model=lstm"], CONF))[0].canonical()["model"]
    assert not {"block", "block_expansion", "layer_defaults"} & plain.keys()
    used = parse(compose(["model=lstm", "model.block=prenorm", "model.block_expansion=2"], CONF))[0].canonical()[
        "model"
    ]
    assert (used["block"], used["block_expansion"]) == ("prenorm", 2)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (m.Transformer, {}, r"Transformer already consists of residual blocks; set model\.block=none"),
        (m.TCN, {}, "TCN already consists of residual blocks"),
        (m.Identity, {}, "Identity has no layers"),
        (m.MLP, {}, "MLP has no layers"),
        (m.KimCNN, {}, "KimCNN has no layers"),
        (m.CNN, {}, r"CNN dilates layers by their depth, .*set model\.dilation_base=1"),
        (m.CNN, {"width_multiples": [1, 2, 1], "layers": 3}, r"blocks are equal; set model\.width_multiples=null"),
        (m.CNN, {"kernel_sizes": [5, 3], "layers": 2}, r"blocks are equal; set model\.kernel_sizes=null"),
        (m.CNN, {"dilation_base": 1, "stride": 2}, "CNN turns 40 steps into 20, .*stride=1"),
        (m.DeltaNet, {"width": 7}, "model.width=7: not a multiple of heads=2; choose 8"),
    ],
)
def test_what_cannot_stand_in_a_block_is_refused_in_one_line(kind: Any, settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        build(kind, settings, SERIES, readout="max", block="prenorm")
    assert "\n" not in str(refused.value)


def test_what_blocks_do_not_do_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.block_expansion=2: there are no blocks; set model\.block=prenorm"):
        build(m.LSTM, {}, SERIES, readout="last", block_expansion=2)
    with pytest.raises(ConfigError, match=r"trainer\.gradient_horizon=5: .* set model\.block=none"):
        build(m.LSTM, {}, SERIES, readout="last", block="prenorm").limit_gradient(5)


class Misfit(m.Encoder):
    causal, receptive_field = True, None

    def __init__(self, d_in: int, *, width: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.d_out = width
        self.project = nn.Linear(d_in, width + 1)

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.project(x), lengths

    def multiply_adds(self, length: int) -> int:
        return length * self.project.weight.numel()


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Misfit, r"states of shape \(2, 40, 5\); .* is \(2, 40, 4\)"), (nn.LSTM, "LSTM has no layers")],
)
def test_an_encoder_of_ones_own_is_held_to_what_it_says_in_a_block_too(kind: Any, message: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        build(kind, {}, SERIES, readout="mean", block="prenorm")


class Learned(Misfit):
    """Has positions for 40 steps."""

    def __init__(self, d_in: int, *, width: int = 4, layers: int = 2) -> None:
        super().__init__(d_in, width=width, layers=layers)
        self.project = nn.Linear(d_in, width)

    def check_length(self, length: int) -> None:
        if length > 40:
            raise ConfigError("model.position", "learned", "has no vector beyond 40 steps")


def test_a_length_that_a_mixer_refuses_is_refused_in_its_block_too() -> None:
    build(Learned, {}, SERIES, readout="mean", block="prenorm")
    with pytest.raises(ConfigError, match=r"^task\.test_lengths=80: .*position=learned: has no vector beyond 40"):
        build(Learned, {}, replace(SERIES, lengths=(40, 80)), readout="mean", block="prenorm")


def test_a_note_names_what_stands_in_the_blocks() -> None:
    model = build(m.CNN, {"dilation_base": 1, "layers": 2}, SERIES, readout="last", block="prenorm")
    assert "CNN in blocks sees 3 of 40 steps" in str(caveat(model, SERIES))
