"""A model that fits a task: sizes, parameter budgets, refusals."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from gradreach import models as m
from gradreach.errors import ConfigError
from gradreach.models import SequenceModel, build, caveat
from gradreach.tasks import Shape

SERIES = Shape(channels=2, length=40, outputs=3)
TEXT = Shape(channels=1, length=30, outputs=6, vocabulary=50, variable_length=True)
TAGS = Shape(channels=1, length=30, outputs=8, vocabulary=10, per_step=True)

WITH_WIDTH = [
    *(m.CNN, m.NotesCNN, m.KimCNN, m.TCN, m.RNN, m.LSTM, m.GRU, m.GatedTanhRNN, m.PrintedLSTM, m.PrintedGRU),
    *(m.IndRNN, m.LeakyRNN, m.MinGRU, m.MinLSTM, m.LRU, m.Mamba, m.S4D, m.TimeCNN, m.MLP, m.LocallyConnected),
]


def on_meta(kind: Any, settings: dict[str, Any]) -> SequenceModel:
    with torch.device("meta"):
        return build(kind, settings, SERIES, readout="last")


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_sizes_of_the_mnist_1d_models() -> None:
    cnn = m.CNN(1, width=25, layers=3, kernel_size=3, first_kernel_size=5, stride=2, padding=1, dilation_base=1)
    assert parameters(SequenceModel(cnn, "flatten", 10, length=40)) == 5_210
    gru = m.GRU(1, width=6, bidirectional=True)
    assert parameters(SequenceModel(gru, "flatten", 10, length=40)) == 5_134
    assert parameters(SequenceModel(m.MLP(1, 40), "flatten", 10, length=40)) == 15_210
    assert parameters(SequenceModel(m.Identity(1), "flatten", 10, length=40)) == 410


@pytest.mark.parametrize(
    ("budget", "d_in", "outputs", "widths"),
    [
        (10_000, 1, 10, {m.RNN: 93, m.GRU: 54, m.LSTM: 47}),
        (16_000, 1, 10, {m.RNN: 120, m.GRU: 69, m.LSTM: 60}),
        (70_000, 2, 1, {m.RNN: 262, m.GRU: 150, m.LSTM: 130}),
    ],
    ids=["copy 10K", "copy 16K", "adding 70K"],
)
def test_published_sizes_are_the_largest_that_fit_the_budget_and_we_are_as_near(
    budget: int, d_in: int, outputs: int, widths: dict[Any, int]
) -> None:
    for kind, width in widths.items():
        sizes = [parameters(SequenceModel(kind(d_in, width=w), "last", outputs)) for w in (width, width + 1)]
        assert sizes[0] <= budget < sizes[1]
        shape = Shape(channels=d_in, length=20, outputs=outputs)
        ours = build(kind, {"width": 1}, shape, readout="last", match_params=budget)
        assert ours.parameter_count in sizes
        assert abs(ours.parameter_count - budget) == min(abs(size - budget) for size in sizes)


@pytest.mark.parametrize("target", [700, 5_000, 100_000])
@pytest.mark.parametrize("kind", WITH_WIDTH)
def test_match_params_comes_as_near_as_a_width_can(kind: type[m.Encoder], target: int) -> None:
    def size(width: int) -> int:
        return build(kind, {"width": width}, SERIES, readout="mean").parameter_count

    with torch.device("meta"):
        chosen = build(kind, {"width": 1}, SERIES, readout="mean", match_params=target)
        assert chosen.width is not None
        off = abs(chosen.parameter_count - target)
        neighbours = [w for w in (chosen.width - 1, chosen.width + 1) if w]
        assert off <= 0.02 * target or all(abs(size(w) - target) >= off for w in neighbours)
    assert chosen.parameter_count == parameters(chosen)


@pytest.mark.parametrize(
    "kind", [m.GatedTanhRNN, m.PrintedLSTM, m.PrintedGRU, m.TCN, m.KimCNN, m.Transformer, m.DeltaNet]
)
@pytest.mark.parametrize("d_in", [1, 2, 12])
def test_match_params_is_the_nearest_of_all_widths(kind: type[m.Encoder], d_in: int) -> None:
    shape = Shape(channels=d_in, length=20, outputs=2)
    settings = {"width": 4, "heads": 4} if kind.width_divisor else {"width": 1}
    step = settings["width"]
    with torch.device("meta"):
        sizes = {
            width: build(kind, {**settings, "width": width}, shape, readout="mean").parameter_count
            for width in range(step, 30 * step, step)
        }
        smallest = min(sizes.values())
        around = [size + off for width, size in sizes.items() if width <= 16 for off in (-9, 0, 7)]
        for target in [smallest, *(target for target in around if target > smallest)]:
            chosen = build(kind, settings, shape, readout="mean", match_params=target)
            assert abs(chosen.parameter_count - target) == min(abs(size - target) for size in sizes.values())
            assert chosen.width is not None
            assert sizes[chosen.width] == chosen.parameter_count


def test_match_params_finds_the_width_that_needs_no_map_of_the_input() -> None:
    shape = Shape(channels=12, length=20, outputs=2)
    assert build(m.GatedTanhRNN, {"width": 1}, shape, readout="last", match_params=626).width == 12


def test_match_params_keeps_what_must_divide_the_width() -> None:
    model = build(m.Transformer, {"heads": 4, "width": 4}, SERIES, readout="mean", match_params=30_000)
    assert model.width is not None
    assert model.width % 4 == 0
    assert abs(model.parameter_count - 30_000) < 3_000


def test_match_params_counts_what_is_trained() -> None:
    for kind, size in (("trainable", 2_000), ("frozen", 0)):
        model = build(m.GRU, {"width": 1}, TEXT, readout="last", embedding=kind, embedding_size=40, match_params=9_000)  # type: ignore[arg-type]
        assert abs(model.parameter_count - 9_000) < 180
        assert parameters(model.encoder) + parameters(model.head) == model.parameter_count - size


def test_match_params_draws_no_random_numbers() -> None:
    def first_weight(**settings: Any) -> torch.Tensor:
        torch.manual_seed(0)
        return next(build(m.RNN, {"width": 30}, SERIES, readout="last", **settings).parameters())

    width_30 = build(m.RNN, {"width": 30}, SERIES, readout="last").parameter_count
    assert torch.equal(first_weight(), first_weight(match_params=width_30))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build(m.Identity, {}, SERIES, readout="mean", match_params=100), "no width"),
        (lambda: build(m.LSTM, {"width": 3}, SERIES, readout="last", match_params=10), r"choose \d+ or more"),
        (
            lambda: build(m.IndRNN, {"width": 1}, SERIES, readout="last", match_params=10**9),
            r"match_params=1000000000: IndRNN would need a width of [\d,]+, more than 65,536; choose \d+ or less",
        ),
        (
            lambda: on_meta(m.LSTM, {"width": 20_000}),
            "^model: too large, [\\d,]+ parameters; choose sizes that give at most 1,000,000,000$",
        ),
        (lambda: build(m.LSTM, {}, TAGS, readout="last"), "readout=each_step"),
        (lambda: build(m.LSTM, {}, SERIES, readout="each_step"), "one answer per sequence"),
        (lambda: build(m.CNN, {"stride": 2}, TAGS, readout="each_step"), "30 steps into 2"),
        (lambda: build(m.CNN, {}, TEXT, readout="flatten"), "several lengths"),
        (lambda: build(m.MLP, {}, TEXT, readout="flatten"), "shares weights over time"),
        (lambda: build(m.LocallyConnected, {}, TEXT, readout="max"), "shares weights over time"),
        (lambda: build(m.CNN, {"padding": "none", "layers": 6}, SERIES, readout="max"), "seq_len=40: too short"),
        *(
            (
                partial(build, kind, {"kernel_size": 41}, SERIES, readout="max"),
                "^kernel_size=41: .* choose 1 to 40$",
            )
            for kind in (m.CNN, m.TCN, m.NotesCNN, m.LocallyConnected)
        ),
        (
            lambda: build(m.KimCNN, {"kernel_sizes": (3, 41, 5)}, SERIES, readout="max"),
            "^model.kernel_sizes=41: larger",
        ),
        (lambda: build(m.CNN, {"first_kernel_size": 41}, SERIES, readout="max"), "^model.first_kernel_size=41: larger"),
        (lambda: build(m.CNN, {"kernel_size": 41, "first_kernel_size": 3}, SERIES, readout="max"), "^kernel_size=41"),
        (lambda: m.CNN(1, dilation_base=100, layers=12), r"layers=12: .* every 100\^11-th step"),
        (lambda: m.TCN(1, layers=70), r"layers=70: .* every 2\^69-th step"),
        (lambda: build(m.Transformer, {"width": 30}, SERIES, readout="mean"), "choose 32"),
        (lambda: build(m.LRU, {"r_min": 0.9, "r_max": 0.5}, SERIES, readout="last"), "r_min=0.9"),
        (lambda: SequenceModel(m.GRU(1), "flatten", 2), "length"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_each_step_answers_every_step() -> None:
    model = build(m.GRU, {"bidirectional": True}, TAGS, readout="each_step")
    assert model(torch.zeros(5, 30, dtype=torch.long)).shape == (5, 30, 8)


def test_tokens_are_embedded_and_lengths_kept() -> None:
    model = build(m.KimCNN, {}, TEXT, readout="max")
    ids = torch.randint(1, 50, (4, 30))
    lengths = torch.tensor([30, 4, 1, 0])
    answer = model(ids, lengths)
    ids[1, 4:] = 0
    torch.testing.assert_close(model(ids, lengths), answer)
    assert parameters(model.embedding) == 50 * 100


def note(kind: Any, readout: str = "last", **settings: Any) -> str | None:
    return caveat(build(kind, settings, SERIES, readout=readout), SERIES)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (m.CNN, {}, r"CNN sees 16 of 40 steps, steps 25 to 40"),
        (m.CNN, {"padding": "causal"}, r"CNN sees 31 of 40 steps, steps 10 to 40"),
        (m.CNN, {"padding": "causal", "stride": 3, "layers": 1}, r"sees 3 of 40 steps, steps 38 to 40"),
        (m.CNN, {"padding": "causal", "stride": 4, "layers": 1}, r"sees 3 of 40 steps, steps 35 to 37"),
        (m.CNN, {"padding": 9, "layers": 1}, r"sees 0 of 40 steps; readout"),
        (m.CNN, {"layers": 9}, "CNN is not causal here: its last state depends on all 40 steps, but as seen"),
        (m.TCN, {"layers": 3}, r"TCN sees 29 of 40 steps, steps 12 to 40"),
        (m.KimCNN, {}, r"KimCNN sees 3 of 40 steps, steps 38 to 40"),
        (m.Identity, {}, r"Identity sees 1 of 40 steps, step 40; readout"),
        (m.GRU, {"bidirectional": True}, r"forward half has read all 40 steps, the backward half only the last; "),
        (m.GRU, {"bidirectional": True, "layers": 2}, r"backward half only the last of what the layer below gives; "),
        (m.Transformer, {}, "depends on all 40 steps, but as seen from one position"),
    ],
)
def test_a_last_state_that_does_not_sum_up_the_sequence_gets_a_note(
    kind: Any, settings: dict[str, Any], message: str
) -> None:
    assert re.search(message, str(note(kind, **settings)))
    for readout in ("mean", "max", "attention", "flatten"):
        assert note(kind, readout, **settings) is None


def test_answers_at_every_step_that_see_only_their_neighbourhood_get_a_note() -> None:
    for layers, message in [(3, "each answer of TCN sees 29 neighbouring steps of 30; .*more layers"), (4, "^None$")]:
        model = build(m.TCN, {"layers": layers}, TAGS, readout="each_step")
        assert re.search(message, str(caveat(model, TAGS)))
    assert caveat(build(m.LSTM, {}, TAGS, readout="each_step"), TAGS) is None


def test_a_last_state_that_sums_up_the_sequence_gets_none() -> None:
    for kind, settings in [(m.TCN, {}), (m.CNN, {"padding": "causal", "layers": 5}), (m.GRU, {}), (m.MLP, {})]:
        assert note(kind, **settings) is None
    assert note(m.Transformer, causal=True) is None
