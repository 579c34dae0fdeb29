"""``gradreach describe``: what is known before training."""

import io
import re
import time
from pathlib import Path

import pytest
import torch
from every_encoder import FIXED, LENGTH, SHARED, make
from rich.console import Console

from gradreach.assemble import assemble
from gradreach.compose import compose
from gradreach.config import parse
from gradreach.describe import describe, layers
from gradreach.errors import ConfigError
from gradreach.models import SequenceModel

CONF = Path(__file__).parents[2] / "conf"


def described(*overrides: str) -> str:
    text = io.StringIO()
    describe(overrides, CONF, Console(file=text, width=160, highlight=False))
    return text.getvalue()


def test_it_prints_what_the_model_is() -> None:
    shown = described("model=cnn", "task=digits", "seq_len=128", "kernel_size=5")
    assert re.search(r"encoder +CNN +128 × 32 +15,648 +1,986,560 *$", shown, re.MULTILINE)
    assert re.search(r"  layers.3.convolution +Conv1d +128 × 32 +5,152 *$", shown, re.MULTILINE)
    _, model = assemble(*parse(compose(["model=cnn", "seq_len=128", "kernel_size=5"], CONF)))
    assert f"parameters       {sum(p.numel() for p in model.parameters()):,}" in shown
    assert f"multiply-adds    {128 * 32 * 5 * (1 + 3 * 32) + 320:,} a sequence of 128 steps" in shown
    assert "receptive field  61 steps of 128" in shown
    assert "causal           no" in shown


@pytest.mark.parametrize(
    ("overrides", "rows"),
    [
        (["model=kim_cnn"], ["encoder KimCNN 64 × 300 1,500 76,800", "layers.0 Conv1d 64 × 100 400"]),
        (["model=kim_cnn"], ["readout Max 300 0 0", "head Linear 10 3,010 3,000"]),
        (["model=cnn", "model.normalization=batch"], ["layers.2.normalization BatchNorm1d 64 × 32 64"]),
        (["model=cnn", "model.padding=none", "model.layers=1"], ["layers.0.convolution Conv1d 62 × 32 128"]),
        (["model=notes_cnn"], ["encoder NotesCNN 64 × 50 200 9,600", "conv Conv2d 64 × 50 200"]),
        (["model=lru"], ["layers.0 LinearRecurrence 64 × 64 2,144", "skips ParameterList 32"]),
        (["model=gru", "model.embedding_size=4"], ["embedding Projection 64 × 4 8 256", "layers.0 GRU 64 × 32 3,648"]),
    ],
)
def test_a_part_tells_its_cost_and_a_layer_its_steps_and_features(overrides: list[str], rows: list[str]) -> None:
    lines = [" ".join(line.split()) for line in described("seq_len=64", *overrides).splitlines()]
    assert set(rows) <= set(lines)


def test_it_tells_how_near_a_budget_was_reached_and_what_to_note() -> None:
    shown = described("model=gru", "model.match_params=10000", "model.bidirectional=true")
    assert "of match_params=10000" in shown
    assert "note: model.readout=last" in shown


def test_without_a_configuration_it_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config.yaml there"):
        describe([], tmp_path, Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("model.width=1000000000000", "^model.width=1000000000000: must be less than or equal to 65536$"),
        ("model=cnn model.layers=1000000000", "^model.layers=1000000000: must be less than or equal to 128$"),
        ("model.width=65536", "^model: too large, .* parameters; choose sizes that give at most 1,000,000,000$"),
        (
            "task=parity task.train_size=8 task.validation_size=8 task.test_size=8 "
            "trainer.batch_size=8 diagnostics.examples=8 "
            "model=locally_connected seq_len=100000 kernel_size=60000 model.width=65536 model.layers=2",
            r"^model: too large \(.*overflow.*\); choose a smaller width$",
        ),
    ],
)
def test_a_model_larger_than_any_memory_is_refused_in_one_line(overrides: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        described(*overrides.split())


@pytest.mark.parametrize("name", [*SHARED, *FIXED])
def test_the_layers_listed_hold_every_parameter_once(name: str) -> None:
    model = SequenceModel(make(name), "max", 2)
    listed = [parameter for _, layer in layers(model) for parameter in layer.parameters()]
    assert sum(p.numel() for p in listed) == sum(p.numel() for p in model.parameters())
    assert len({id(p) for p in listed}) == len(listed)
    assert model(torch.zeros(1, LENGTH, 3)).shape == (1, 2)


def test_of_a_task_that_the_model_does_not_fit_the_card_is_shown_before_what_is_wrong():
    text = io.StringIO()
    with pytest.raises(ConfigError, match=r"model\.readout=last: .*; set model\.readout=each_step"):
        describe(["task=copy", "seq_len=25"], CONF, Console(file=text, width=160, highlight=False))
    assert "chance    1" in text.getvalue()
    with pytest.raises(ConfigError, match=r"task\.symbols=0"):
        describe(["task=copy", "task.symbols=0"], CONF, Console(file=text, width=160, highlight=False))


def test_data_that_take_long_to_draw_are_not_drawn():
    start = time.process_time()
    assert "100,000 steps are too many to draw examples here" in described("model=cnn", "task=adding", "seq_len=100000")
    assert time.process_time() - start < 3
