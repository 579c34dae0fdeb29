"""Every option of ``task=`` mirrors a constructor, defaults included, and says what each setting is for."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradreach import tasks
from gradreach.config import checked, resolve, signature_of

FILES = sorted((Path(__file__).parents[2] / "conf" / "task").glob("*.yaml"))
FROM_FILES = {"text_file", "text_values", "ts_file", "ts_values"}
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def settings_of(path):
    config = OmegaConf.create({"seq_len": 64, "task": OmegaConf.load(path)})
    settings = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)["task"]
    return {key: value for key, value in settings.items() if key not in ("defaults", "name", "_target_")}


def test_every_task_has_a_file():
    known = {resolve(OmegaConf.load(path)["_target_"]) for path in FILES}
    public = {getattr(tasks, name) for name in tasks.__all__}
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, tasks.Task)}
    assert known == kinds - {tasks.Task, tasks.ValueTask, tasks.Synthetic}


@every_file
def test_a_file_mirrors_its_constructor_and_its_defaults(path):
    config, schema = OmegaConf.load(path), signature_of(resolve(OmegaConf.load(path)["_target_"]))
    assert config["name"] == path.stem
    given = settings_of(path)
    assert set(given) == set(schema.model_fields)
    for name, field in schema.model_fields.items():
        if field.is_required():
            assert given[name] == "???"
        elif name != "seq_len":
            assert given[name] == field.default
    assert OmegaConf.to_container(config, resolve=False)["seq_len"] == "${seq_len}"


@every_file
def test_every_setting_says_what_it_is_for(path):
    first, *rest = path.read_text().splitlines()
    assert first.startswith("# ")
    for line in rest:
        setting = line.partition(":")[0]
        if setting == "defaults" or line == "  - _self_":
            continue
        sizes = setting in ("validation_size", "test_size")  # said at train_size, which stands above
        assert setting in ("name", "_target_") or sizes or " # " in line


@every_file
def test_the_default_seq_len_makes_every_task(path):
    kind, settings = resolve(OmegaConf.load(path)["_target_"]), settings_of(path)
    settings |= {"file": "a file"} if "file" in settings else {}
    task = kind(**checked(signature_of(kind), settings).model_dump())
    if hasattr(task, "shape"):
        assert task.shape.length == 64


def test_texts_and_copy_are_trained_slowly_unless_something_else_is_said(composed):
    rates = {path.stem: composed(f"task={path.stem}").optimizer.lr for path in FILES}
    assert {task for task, rate in rates.items() if rate == 0.001} == {
        "copy",
        "imdb",
        "sst",
        "text_file",
        "text_values",
    }
    assert {task for task, rate in rates.items() if rate == 0.003} == {"trec"}
    assert {task for task, rate in rates.items() if rate != 0.01} == {
        "copy",
        "imdb",
        "sst",
        "text_file",
        "text_values",
        "trec",
    }
    assert composed("task=trec", "optimizer=adam").optimizer.lr == 0.01
    assert composed("optimizer=adam", "task=trec").optimizer.lr == 0.01
    assert composed("task=trec", "optimizer.lr=0.02").optimizer.lr == 0.02
    assert composed("task=trec").optimizer.keys() == composed().optimizer.keys()


@every_file
def test_the_canonical_settings_of_a_task_are_those_of_the_records_there_are(path, configured):
    """Identities are made of them; if a change is meant, raise IDENTITY_VERSION."""
    known = json.loads(Path(__file__).with_name("canonical.json").read_text())
    data = ["task.file=data.csv"] if path.stem in FROM_FILES else []
    assert configured(f"task={path.stem}", *data)[0].canonical()["task"] == known[path.stem]
    assert known.keys() == {path.stem for path in FILES}


@every_file
def test_a_task_shows_its_settings_and_is_equal_to_another_of_the_same(path):
    kind, settings = resolve(OmegaConf.load(path)["_target_"]), settings_of(path)
    settings |= {"file": "a file"} if "file" in settings else {}
    task = kind(**settings)
    assert task.settings() == settings
    assert eval(repr(task), {kind.__name__: kind}) == task
    assert kind(**settings | {"data_seed": 1}) != task
