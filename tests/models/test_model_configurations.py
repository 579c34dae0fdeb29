"""Every option of conf/model: a mirror of its constructor, and a model that can be made."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradreach.assemble import check
from gradreach.compose import compose
from gradreach.config import Component, ModelSettings, parse, resolve
from gradreach.models import SequenceModel
from gradreach.tasks import Task

CONF = Path(__file__).parents[2] / "conf"
OPTIONS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
TOKENS = ("fasttext",)
"""Those that need a task with tokens."""
AXES = {"${kernel_size}": 3, "${seq_len}": 64}
ENDS = set(ModelSettings.model_fields) - set(Component.model_fields)


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("option", OPTIONS)
def test_yaml_mirrors_its_constructor(option: str) -> None:
    written = read(option)
    assert written.pop("name") == option
    assert written.pop("defaults") == [{"ends@_here_": "default"}, "_self_"]
    constructor = resolve(written.pop("_target_"))
    settings = {
        key: AXES.get(value, value) if isinstance(value, str) else value
        for key, value in written.items()
        if key not in ENDS
    }
    defaults = {
        name: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert settings == defaults
    assert list(settings) == list(defaults)


def test_the_common_settings_are_those_that_the_program_knows() -> None:
    written = read("ends/default")
    defaults = {name: ModelSettings.model_fields[name].default for name in ENDS - {"readout"}}
    assert {key: value for key, value in written.items() if key != "readout"} == defaults
    assert written["readout"] == "last"


@pytest.mark.parametrize("option", [*OPTIONS, "ends/default"])
def test_every_setting_says_what_it_is_for(option: str) -> None:
    for line in (CONF / "model" / f"{option}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith(("#", " ", "defaults:", "name:", "_target_:")):
            assert re.search(r"\S  +# \w", line), line


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    lines = [f"{number % 2}\tnumber {number} {'and so on ' * 20}" for number in range(40)]
    (folder / "texts.tsv").write_text("\n".join(["label\ttext", *lines]), encoding="utf-8")
    return folder


def made(option: str, texts: Path, *overrides: str) -> tuple[Task, SequenceModel]:
    of_texts = ["task=text_file", "task.file=texts.tsv", f"data_dir={texts}"] if option in TOKENS else []
    return check(*parse(compose([f"model={option}", "seq_len=64", *of_texts, *overrides], CONF)))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_a_model_that_can_be_made_without_memory(option: str, texts: Path) -> None:
    task, model = made(option, texts)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model.parameter_count > 0
    assert model.multiply_adds(task.shape.length) > 0


READ_BY = {
    "cnn": "max",
    "kim_cnn": "max",
    "notes_cnn": "mean",
    "bag": "mean",
    "fasttext": "mean",
    "transformer": "mean",
    "linear": "flatten",
    "time_cnn": "flatten",
    "mlp": "flatten",
    "residual_mlp": "flatten",
    "locally_connected": "flatten",
}
"""The readouts that are not ``last``."""


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_reads_out_and_takes_up_the_axes_as_its_source_does(option: str, texts: Path) -> None:
    _, model = made(option, texts, "kernel_size=5")
    assert model.readout_name == READ_BY.get(option, "last")
    assert model.dropout.p == {"kim_cnn": 0.5, "fasttext": 0.7}.get(option, 0.0)
    assert model.max_norm == (3.0 if option == "kim_cnn" else None)
    assert model.embedding.steps == (2 if option == "fasttext" else 1)
    of_kernels = {"cnn": 5, "tcn": 5, "notes_cnn": 5, "locally_connected": 5}
    assert model.encoder.kernels.get("kernel_size") == of_kernels.get(option)
