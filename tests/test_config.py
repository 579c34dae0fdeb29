import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hydra.core.override_parser.types import RangeSweep
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, PositiveInt

from gradreach import models
from gradreach.assemble import check
from gradreach.compose import compose
from gradreach.config import RunConfig, checked, parse, plain
from gradreach.config.parsing import LOOPS, parts
from gradreach.errors import ConfigError, advise, explain
from project import PROJECT

OPTIONS = [
    f"{path.parent.name}={path.stem}"
    for group in ("optimizer", "trainer", "diagnostics", "tracking", "callbacks")  # models: in tests/models
    for path in sorted((PROJECT / "conf" / group).glob("*.yaml"))
] + ["+debug=fdr", "+debug=overfit", "logger=none", "logger=csv"]
EXPERIMENTS = sorted((PROJECT / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_can_be_built(configured, option):
    task, model = check(*configured(option))
    assert model.parameter_count > 0
    assert task.shape.length >= 1


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_has_its_meaning(path, composed):
    name = path.stem.removesuffix("_quick")
    assert plain(composed(f"experiment={path.stem}"))["experiment"] == name
    assert (PROJECT / "experiments" / f"{name}.py").is_file()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seq_len=0", "seq_len=0: must be greater than 0"),
        ("seed=abc", "seed=abc: must be a valid integer"),
        ("seed=-1", "seed=-1"),
        ("optimizer.lr=-1", "optimizer.lr=-1: must be greater than 0"),
        ("optimizer.lr=inf", "optimizer.lr=inf: must be a finite number"),
        ("optimizer.name=adma", "'adam', 'adamw', 'rmsprop', 'sgd' or 'adadelta'"),
        ("model.width=0", "model.width=0: must be greater than 0"),
        ("model.readout=first", "model.readout=first: must be 'last', 'mean'"),
        ("model._target_=os.system", "model._target_=os.system: must be a class"),
        ("model._target_=gradreach.models.LSTN", "model._target_=gradreach.models.LSTN: cannot be imported"),
        ("+model.wdith=3", "model.wdith: there is no such setting; did you mean width?"),
        ("+sed=3", "sed: there is no such setting; did you mean seed?"),
        ("trainer.epochs=1.5", "trainer.epochs=1.5"),
        (
            "+optimizer.betas=[0.9,0.9]",
            "optimizer.betas: there is no such setting; choose from alpha, decay, factor, lr, m",
        ),
        (
            "+trainer.epoch=3",
            "trainer.epoch: there is no such setting; did you mean epochs? Choose from accumulate_",
        ),
        ("tracking.base_url=here", "tracking.base_url=here: must be a URL: http:// or https://"),
        ("diagnostics.gates=often", "diagnostics.gates=often: must be null (never), ends, a number of epochs"),
        ("diagnostics.gates=0 steps", "diagnostics.gates=0 steps: must be null (never)"),
        ("trainer.clip_norm=0", "trainer.clip_norm=0: must be greater than 0"),
        ("tracking.project=5", "tracking.project=5: must be a valid string; quote it: \"tracking.project='5'\""),
    ],
)
def test_a_wrong_value_is_named(configured, override, message):
    with pytest.raises(ConfigError) as error:
        configured(override)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("task", "all_"), [("ts_file", "'all', "), ("text_file", "")])
def test_a_setting_of_a_task_is_named_with_its_choices(configured, task, all_):
    with pytest.raises(ConfigError) as error:
        configured(f"task={task}", "task.file=x", "task.keep=foo")
    assert str(error.value) == f"task.keep=foo: must be {all_}'head', 'tail' or 'both'"


def test_a_setting_that_may_be_of_several_kinds_is_named_once_with_all_of_them():
    class Several(BaseModel):
        width: PositiveInt | Literal["auto"] | Literal["half"] = "auto"

    with pytest.raises(ConfigError) as error:
        checked(Several, {"width": "wide"}, "model")
    assert str(error.value) == (
        "model.width=wide: must be a valid integer, unable to parse string as an integer or 'auto' or 'half'"
    )


def test_a_group_that_is_none_is_named(configured):
    valid = configured()[0].canonical()
    with pytest.raises(ConfigError, match=r"^optimizer=5: must be a valid dictionary"):
        checked(RunConfig, {**valid, "optimizer": 5})
    with pytest.raises(ConfigError, match=r"^optimizer.lr=0: must be greater than 0$"):
        checked(RunConfig, {**valid, "optimizer": {**valid["optimizer"], "lr": 0}})
    with pytest.raises(ConfigError, match=r"^callbacks.mine._target_: this setting is missing$"):
        checked(RunConfig, {**valid, "callbacks": {"mine": {}}})
    with pytest.raises(ConfigError, match=r"^callbacks.mine=5: must be a valid dictionary"):
        checked(RunConfig, {**valid, "callbacks": {"mine": 5}})


def test_a_column_whose_name_is_a_number_is_quoted(configured):
    data = ("task=text_file", "task.file=a.csv")
    with pytest.raises(ConfigError, match=r"""quote it: "task\.label_column='0'"$"""):
        configured(*data, "task.label_column=0")
    assert configured(*data, "task.label_column='0'")[0].task.arguments()["label_column"] == "0"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=cnn", "kernel_size=200"], "kernel_size=200: larger than the input of 64 steps"),
        (["task=digits", "seq_len=50"], "seq_len=50: task=digits has 64 pixels"),
    ],
)
def test_what_cannot_work_together_is_refused_before_data_is_loaded(configured, overrides, message):
    with pytest.raises(ConfigError, match=message):
        check(*configured(*overrides))


def test_what_cannot_change_the_result_is_no_part_of_the_identity(configured):
    here = configured("model=lstm")[0]
    elsewhere = configured(
        "model=lstm", "threads=2", "tracking=online", "data_dir=/x", "force=true", "device=cuda", "hydra/launcher=basic"
    )[0]
    assert here.run_id == elsewhere.run_id


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "seq_len=65",
        "model.width=33",
        "model=gru",
        "optimizer.lr=0.02",
        "trainer.epochs=3",
        "task.data_seed=1",
        "diagnostics.decoding=ends",
        "model.embedding_ngrams=2",
    ],
)
def test_what_can_change_the_result_is(configured, override):
    assert configured("model=lstm")[0].run_id != configured("model=lstm", override)[0].run_id


@pytest.mark.parametrize("name", ["decoding", "sensitivity"])
def test_a_quantity_that_came_later_is_part_of_the_identity_only_where_it_is_measured(configured, name):
    """Runs of before there was such a quantity keep theirs; see default_run_id.txt."""
    before, measured = configured()[0], configured(f"diagnostics.{name}=ends")[0]
    assert name not in before.canonical()["diagnostics"]
    assert measured.canonical()["diagnostics"][name] == "ends"
    assert measured.run_id != before.run_id
    old = before.canonical()
    assert RunConfig.model_validate(old).run_id == before.run_id
    assert RunConfig.model_validate({**old, "diagnostics": {**old["diagnostics"], name: None}}) == before


def test_a_setting_of_a_model_that_came_later_is_part_of_the_identity_only_where_it_is_used(configured):
    before, used = configured()[0], configured("model.embedding_ngrams=2")[0]
    assert "embedding_ngrams" not in before.canonical()["model"]
    assert used.canonical()["model"]["embedding_ngrams"] == 2
    assert RunConfig.model_validate(before.canonical()) == before


def test_a_gain_of_one_is_no_part_of_the_identity(configured):
    before, used = configured("model=rnn")[0], configured("model=rnn", "model.start_gain=2")[0]
    assert "start_gain" not in before.canonical()["model"]
    assert used.canonical()["model"]["start_gain"] == 2
    assert used.run_id != before.run_id


@pytest.mark.parametrize(
    ("model", "setting", "value"),
    [("mingru", "eigenvalues", "signed"), ("minlstm", "eigenvalues", "signed"), ("gru", "chrono", 9)],
)
def test_a_setting_that_others_always_had_is_part_of_the_identity_only_where_it_is_used(
    configured, composed, model, setting, value
):
    before, used = configured(f"model={model}")[0], configured(f"model={model}", f"model.{setting}={value}")[0]
    assert setting not in before.canonical()["model"]
    assert used.canonical()["model"][setting] == value
    assert used.run_id != before.run_id
    assert parts(plain(composed(f"model={model}")))[0].run_id == before.run_id  # known before its class is imported


def test_sizes_of_layers_are_no_part_of_the_identity_of_a_cnn_without(configured):
    before = configured("model=cnn")[0].canonical()["model"]
    assert not {"width_multiples", "kernel_sizes"} & before.keys()


def test_a_kernel_size_makes_no_new_run_of_a_recurrent_model(configured):
    assert configured("model=rnn", "kernel_size=5")[0].run_id == configured("model=rnn")[0].run_id
    assert configured("model=cnn", "kernel_size=5")[0].run_id != configured("model=cnn")[0].run_id


def test_equal_numbers_are_equal_settings(configured):
    for plainly, otherwise in [("seq_len=65", "seq_len=65.0"), ("optimizer.lr=1", "optimizer.lr=1.0")]:
        assert configured(plainly)[0].run_id == configured(otherwise)[0].run_id


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.data())
def test_the_order_of_settings_does_not_matter(composed, data):
    whole = plain(composed("model=cnn"))
    run = RunConfig.model_validate({key: whole[key] for key in RunConfig.model_fields})
    shuffled = {
        group: dict(data.draw(st.permutations(list(value.items())))) if isinstance(value, dict) else value
        for group, value in data.draw(st.permutations([(k, whole[k]) for k in RunConfig.model_fields]))
    }
    assert RunConfig.model_validate(shuffled).run_id == run.run_id


def test_runs_that_differ_in_the_seed_alone_form_a_group(configured):
    a, b, c = (configured(*o)[0] for o in (["seed=0"], ["seed=1"], ["seed=1", "seq_len=70"]))
    assert a.group_id == b.group_id != c.group_id


def test_the_identity_of_the_default_run_is_what_it_was(configured):
    """Records of old runs stay valid only while this holds; if a change is meant, raise IDENTITY_VERSION."""
    known = Path(__file__).with_name("default_run_id.txt").read_text().split()
    through_torch = [configured(f"model={name}", "kernels=torch") for name in ("rnn", "lstm", "gru", "cnn")]
    compiled = [configured(f"model={name}", "kernels=compiled") for name in ("rnn", "gru")]
    assert [run.run_id for run, _ in through_torch + compiled] == known


@pytest.mark.parametrize(
    "override",
    [
        "optimizer.lr=true",
        "model.width=true",
        "trainer.epochs=true",
        "seed=false",
        "task.data_seed=true",
        "threads=true",
        "seq_len=true",
    ],
)
def test_a_truth_value_is_not_a_number(configured, override):
    key, _, given = override.partition("=")
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)}={given}: must be a number, not true or false$"):
        configured(override)


def test_a_truth_value_in_a_list_is_not_a_number(configured):
    with pytest.raises(ConfigError, match=r"^model.kernel_sizes=true: must be a number, not true or false$"):
        configured("model=kim_cnn", "model.kernel_sizes=[3,true]")


@pytest.mark.parametrize(
    "override", ["seed=010", "seed='+010'", "task.data_seed=007", "optimizer.lr=00.1", "seed=' 1'"]
)
def test_a_number_with_leading_zeros_or_spaces_is_refused(configured, override):
    key = override.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)}=.*: must be a number; write it in decimal, without"):
        configured(override)


@pytest.mark.parametrize(
    ("text", "number"), [("010", 8), ("-010", -8), ("0x10", 16), ("0b11", 3), ("1:30", 90), ("0_7", 7)]
)
def test_a_number_that_yaml_reads_otherwise_than_the_command_line_is_refused(tmp_path, text, number):
    """010 is 8 to YAML, and 10 to whoever wrote it."""
    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "odd.yaml").write_text(f"# @package _global_\nseed: {text}\n")
    with pytest.raises(Exception, match="YAML reads") as raised:
        compose(["experiment=odd"], tmp_path / "conf")
    refused = explain(raised.value)
    assert str(refused).endswith(
        f"odd.yaml: line 2, column 7: YAML reads {text} as {number}; write {number}, or the number you mean; correct "
        "the YAML there"
    )


@pytest.mark.parametrize("text", ["10", "0", "1_000", "'010'", "-3"])
def test_other_numbers_of_a_file_are_read(tmp_path, text):
    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "plain.yaml").write_text(f"# @package _global_\nseed: {text}\n")
    assert str(compose(["experiment=plain"], tmp_path / "conf")["seed"]) == text.strip("'").replace("_", "")


def test_yaml_of_others_is_read_as_ever():
    assert yaml.safe_load("[010, 0x10, 1:30]") == [8, 16, 90]


def test_the_numbers_of_a_range_are_those_that_are_meant(configured):
    """FloatRange of Hydra gives 0.30000000000000004."""
    meant = [0.1, 0.2, 0.3, 0.4]
    found = [float(number) for number in RangeSweep(start=0.1, stop=0.5, step=0.1).range()]
    assert found != meant
    for setting in ("optimizer.lr", "optimizer.weight_decay", "model.dropout", "trainer.clip_norm", "task.noise"):
        for number, near in zip(meant, found, strict=True):
            one, other = (configured("task=motif", f"{setting}={value!r}")[0] for value in (number, near))
            assert one == other
            assert one.run_id == other.run_id
    assert configured("trainer.stop_when={val/loss: 0.30000000000000004}")[0].trainer.stop_when == {"val/loss": 0.3}
    assert configured("optimizer.lr=0.3")[0].run_id != configured("optimizer.lr=0.30000000001")[0].run_id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["optimizer.weight_decay=0"], ["optimizer.weight_decay=-0.0"]),
        (["task=motif", "task.noise=0.3"], ["task=motif", "task.noise='0.30000000000000004'"]),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.patience=5"],
            ["callbacks=early_stopping", "callbacks.early_stopping.patience=5.0"],
        ),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.min_delta=0.3"],
            ["callbacks=early_stopping", "callbacks.early_stopping.min_delta=0.30000000000000004"],
        ),
    ],
)
def test_numbers_that_mean_the_same_have_one_identity(configured, one, other):
    assert configured(*one)[0].run_id == configured(*other)[0].run_id


@pytest.mark.parametrize(
    ("override", "allowed"),
    [
        ("optimizer.lr=1e-300", "must be 0, or between 1e-30 and 1e+30"),
        ("optimizer.weight_decay=1e300", "must be 0, or between 1e-30 and 1e+30"),
        ("trainer.limit_train_batches=5e-200", "must be 0, or between 1e-30 and 1e+30"),
        ("trainer.epochs=10000000000", "must be less than or equal to 1000000000"),
        ("trainer.max_steps=1e40", "must be a number with fewer digits"),
        ("trainer.limit_val_batches=10000000000", "must be null (all)"),
        ("diagnostics.gates=10000000000 steps", "must be null (never)"),
        ("diagnostics.examples=1000000000", "must be less than or equal to 100000000"),
        ("threads=1000000", "must be less than or equal to 1024"),
        ("callbacks.early_stopping.patience=true", "must be a number, not true or false"),
        ("callbacks.early_stopping.patience=soon", "must be a valid integer"),
        ("callbacks.early_stopping.min_delta=1e300", "must be 0, or between"),
        ("task.name='\ud800'", "must "),
        ("data_dir='a\0b'", "must be text without null or invalid characters"),
    ],
)
def test_a_number_or_text_that_means_nothing_is_refused(configured, override, allowed):
    with pytest.raises(ConfigError) as refused:
        configured("callbacks=early_stopping", override)
    assert f"{override.partition('=')[0]}=" in str(refused.value)
    assert allowed in str(refused.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_setting_of_a_component_takes_a_number_that_is_not_finite(configured, value):
    with pytest.raises(ConfigError, match=rf"^model.forget_bias={value}: must be a finite number"):
        configured("model=lstm", f"model.forget_bias={value}")


@pytest.mark.parametrize(
    ("overrides", "kernels"),
    [
        (["model=gru"], "compiled"),
        (["model=rnn"], "compiled"),
        (["model=rnn", "kernels=compiled"], "compiled"),
        (["model=gru", "kernels=torch"], "torch"),
        (["model=lstm"], "torch"),
        (["model=cnn", "kernels=compiled"], "torch"),
        (["model=gru", "trainer.precision=64-true"], "torch"),
        (["model=gru", "trainer.precision=bf16-mixed"], "torch"),
        (["model=gru", "device=cuda:1"], "torch"),
    ],
)
def test_what_recurrent_layers_run_through_is_part_of_the_identity(configured, overrides, kernels):
    run, _ = configured(*overrides)
    assert run.trainer.kernels == kernels
    assert RunConfig.model_validate(run.canonical()).run_id == run.run_id
    same, _ = configured(*overrides, f"kernels={kernels}")
    assert same.run_id == run.run_id
    through_torch, _ = configured(*(each for each in overrides if "kernels" not in each), "kernels=torch")
    assert (through_torch.run_id == run.run_id) is (kernels == "torch")
    assert "kernels" not in through_torch.canonical()["trainer"]  # runs of before there was a choice keep theirs


def test_models_with_compiled_loops_are_known_without_importing_torch():
    ours = {name for name in models.__all__ if getattr(getattr(models, name), "compiled", False) is True}
    assert {f"gradreach.models.{name}" for name in ours} == LOOPS


def test_without_numba_auto_says_so_once_and_compiled_is_refused(configured, capsys, monkeypatch):
    monkeypatch.setattr("gradreach.config.parsing.find_spec", lambda name: None if name == "numba" else find_spec(name))
    advise.cache_clear()
    assert {configured("model=gru", f"seed={seed}")[0].trainer.kernels for seed in range(3)} == {"torch"}
    configured("model=lstm")
    assert capsys.readouterr().err.count("numba is not installed") == 1
    with pytest.raises(ConfigError, match=r"kernels=compiled: needs numba; pip install numba, or set kernels=torch"):
        configured("model=gru", "kernels=compiled")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("device=cuda", r"kernels=compiled.*works only with device=cpu"),
        ("trainer.precision=bf16-mixed", r"kernels=compiled.*and trainer.precision=32-true"),
        ("+trainer.kernels=torch", r"trainer.kernels=torch: is set by kernels"),
        ("kernels=numba", r"kernels=numba: must be 'auto', 'compiled' or 'torch'"),
    ],
)
def test_kernels_that_cannot_be_are_refused(configured, override, message):
    line = ["model=gru", *([] if "kernels" in override else ["kernels=compiled"]), override]
    with pytest.raises(ConfigError, match=message):
        configured(*line)


@pytest.mark.parametrize(
    "name", ["../../x", "a/b", ".", "..", "", "-m", "a\tb", "a\nb", "a b", "runs", "quick", "x" * 200]
)
def test_an_experiment_that_is_no_name_of_a_folder_is_refused(composed, name):
    with pytest.raises(ConfigError, match="experiment"):
        parse({**plain(composed()), "experiment": name})


@pytest.mark.parametrize("name", ["mine", "kernel_size_quick", "2nd.try-b", "试验", None])
def test_an_experiment_may_have_any_other_name(composed, name):
    assert parse({**plain(composed()), "experiment": name})[1].experiment == name
