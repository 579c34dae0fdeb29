"""What ``trainer.*``, ``callbacks``, ``logger`` and ``+debug`` do to a run."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import own_callbacks
import pandas as pd
import pytest
import torch
from pytorch_lightning.callbacks import LambdaCallback

from gradreach.assemble import check, check_device
from gradreach.config import OptimizerSettings, TrainerSettings
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.columns import as_frame, row
from gradreach.runner import execute
from gradreach.tasks import Digits
from gradreach.training import BestWeights
from gradreach.training.fit import make_callbacks
from kill import leftovers, results_of
from project import PROJECT, SMALL, bare_run

BATCHES = 17
"""Of the digits' training split, in an epoch."""
STOPPING = "trainer.stop_when="


@pytest.fixture
def do(configured):
    def call(*overrides, tell=lambda row: None):
        run, environment = configured("model=rnn", *SMALL, *overrides)
        record = execute(run, environment, tell)
        assert record["status"] == "finished", record.get("traceback")
        return record, pd.read_csv(environment.results_dir / "runs" / run.run_id / "history.csv")

    return call


@pytest.fixture
def weights(monkeypatch):
    """The model of the latest run."""
    import gradreach.runner as runner

    kept = []
    assemble = runner.assemble
    monkeypatch.setattr(runner, "assemble", lambda *parts: kept.append(assemble(*parts)) or kept[-1])
    return lambda: kept[-1][1]


def validation_loss(model):
    split = Digits().splits(None).validation
    with torch.no_grad():
        return Digits().loss(model(split.x), split.target).mean().item()


@pytest.mark.parametrize("setting", ["trainer.max_steps=20", STOPPING + "{steps: 20}"])
def test_training_that_ends_within_an_epoch_is_validated_with_its_last_weights(do, weights, setting):
    record, history = do(setting, "trainer.epochs=9")
    assert record["steps"] == 20
    assert record["stopped"] == setting.removeprefix("trainer.").replace("={steps: 20}", " steps=20")
    assert history["step"].tolist() == [17, 20]
    assert history["epoch"].tolist() == [1, 2]
    last = history.iloc[-1]
    assert last["val/accuracy"] > history["val/accuracy"][0] or record["best_epoch"] == 1
    chosen = history.set_index("epoch").loc[record["best_epoch"], "val/loss"]
    assert chosen == pytest.approx(validation_loss(weights().eval()), rel=1e-5)


def test_figures_at_the_end_are_those_of_the_weights_at_the_end(do, weights):
    record, history = do("trainer.max_steps=3", "trainer.epochs=1")
    assert history["step"].tolist() == [3]
    assert history["val/loss"][0] == pytest.approx(validation_loss(weights().eval()), rel=1e-5)
    assert record["best_epoch"] == 1


def test_the_last_weights_are_tested_where_nothing_is_selected(do, weights):
    hard = ("optimizer.lr=0.3", "trainer.epochs=4")
    chosen, history = do(*hard)
    record, same = do(*hard, "trainer.select=last")
    assert chosen["best_epoch"] < record["best_epoch"] == 4
    assert same["val/loss"].tolist() == history["val/loss"].tolist(), "training is the same"
    assert record["metrics"]["val/loss"] == history["val/loss"].iloc[-1] > chosen["metrics"]["val/loss"]
    assert record["metrics"]["val/loss"] == pytest.approx(validation_loss(weights().eval()), rel=1e-5)


@pytest.mark.parametrize("setting", ["trainer.max_steps=20", STOPPING + "{steps: 20}"])
def test_a_schedule_ends_with_max_steps_but_does_not_know_when_it_is_stopped(do, monkeypatch, setting):
    monkeypatch.setattr(own_callbacks.Rate, "rates", [])
    do("optimizer.schedule=cosine", setting, "+callbacks.rate._target_=own_callbacks.Rate", "+callbacks.rate.factor=10")
    rates = own_callbacks.Rate.rates
    assert len(rates) == 20
    last = 0 if "max_steps" in setting else (1 + math.cos(math.pi * 20 / (2 * BATCHES))) / 2
    assert rates[-1] == pytest.approx(10 * 0.01 * last, abs=1e-12)


def test_training_stops_with_the_epoch_in_which_a_figure_reaches_its_bound(do):
    _, history = do("trainer.epochs=6")
    bound = round(sorted(history["train/accuracy"])[-3] - 1e-9, 9)  # settings have 12 digits
    record, stopped = do("trainer.epochs=6", f"{STOPPING}{{train/accuracy: {bound}}}")
    first = int((history["train/accuracy"] >= bound).to_numpy().argmax()) + 1
    assert first < 6
    assert stopped["epoch"].tolist() == list(range(1, first + 1))
    assert stopped["train/loss"].tolist() == history["train/loss"][:first].tolist()
    assert record["stopped"] == f"stop_when train/accuracy={bound}"
    loss = round(history["val/loss"][1] + 1e-9, 9)
    record, stopped = do("trainer.epochs=6", f"{STOPPING}{{val/loss: {loss}}}")
    assert stopped["val/loss"].iloc[-1] <= loss < stopped["val/loss"][:-1].min()
    assert do("trainer.epochs=6")[0]["stopped"] is None


def test_steps_add_up_the_gradients_of_their_batches_and_are_counted_once(do):
    told = []
    record, history = do("trainer.accumulate_grad_batches=3", "diagnostics.profile=2 steps", tell=told.append)
    assert record["steps"] == 2 * 6  # the sixth of an epoch adds up two
    steps = [row["step"] for row in told if "gradient/x.reach" in row]
    assert steps == [2, 4, 6, 8, 10, 12]
    epochs = [row["epoch"] for row in told]
    assert epochs == sorted(set(epochs))
    assert epochs[0] == round(6 / BATCHES, 6)
    assert history["gradient/norm"].notna().sum() == 2


KILLING = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from hydra import compose, initialize_config_dir
from gradreach.config import parse, plain
from gradreach.run_table.columns import as_frame, row
from gradreach.runner import execute
import gradreach.training.measuring as measuring

end = measuring.Measurement.on_train_batch_end

def die(self, trainer, module, outputs, batch, batch_idx):
    if trainer.current_epoch == 2 and batch_idx == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    end(self, trainer, module, outputs, batch, batch_idx)

measuring.Measurement.on_train_batch_end = die
with initialize_config_dir(sys.argv[1] + "/conf", version_base="1.3"):
    execute(*parse(plain(compose("config", overrides=sys.argv[2:]))))
"""


def test_a_kill_between_the_batches_of_a_step_changes_no_bit(configured, tmp_path):
    line = ["model=rnn", *SMALL, "trainer.epochs=4", "trainer.accumulate_grad_batches=3", "optimizer.schedule=cosine"]
    line += ["trainer.checkpoint_seconds=0", "trainer.max_steps=22", "model.head_dropout=0.2"]
    run, environment = configured(*line)
    record = execute(run, environment)
    assert record["status"] == "finished", record.get("traceback")
    whole = results_of(environment.results_dir)
    killed = tmp_path / "killed"
    command = [sys.executable, "-c", KILLING, str(PROJECT), *line, "tracking=off", f"results_dir={killed}"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    store = RecordStore(killed / "runs")
    assert torch.load(store.checkpoint(run.run_id), weights_only=True)["global_step"] == 12
    execute(run, environment.model_copy(update={"results_dir": killed}))
    assert results_of(killed) == whole
    assert leftovers(killed) == []


@pytest.mark.parametrize("setting", [STOPPING + "{val/loss: 2.25}", "callbacks=early_stopping"])
def test_a_run_that_has_stopped_does_not_go_on_from_its_checkpoint(configured, setting):
    line = ["model=rnn", *SMALL, "trainer.epochs=6", "trainer.keep_checkpoint=true", setting]
    line += ["callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=9"] * (setting[0] == "c")
    run, environment = configured(*line)
    first = execute(run, environment)
    assert first["steps"] < 6 * BATCHES, "the bound is never met"
    (environment.results_dir / "runs" / run.run_id / "record.json").unlink()  # died before it was written
    again = execute(run, environment)
    for key in ("status", "steps", "stopped", "best_epoch", "metrics"):
        assert again[key] == first[key]
    assert first["stopped"] == ("EarlyStopping" if setting[0] == "c" else "stop_when val/loss=2.25")


def test_limits_are_of_batches_or_a_share_and_leave_one_at_least(do):
    record, history = do("trainer.limit_train_batches=5", "trainer.epochs=1")
    assert (record["steps"], history["step"].tolist()) == (5, [5])
    assert do("trainer.limit_train_batches=0.5", "trainer.epochs=1")[0]["steps"] == 8
    assert do("trainer.limit_train_batches=0.001", "trainer.epochs=1")[0]["steps"] == 1
    assert do("trainer.limit_train_batches=99", "trainer.epochs=1")[0]["steps"] == BATCHES


def test_validation_and_test_are_limited_apart(do, monkeypatch):
    monkeypatch.setattr(sys.modules["gradreach.training.fit"], "EVALUATION_BATCH", 100)
    whole, few = do()[0]["metrics"], do("trainer.limit_test_batches=1")[0]["metrics"]
    assert few["val/loss"] == whole["val/loss"]
    assert few["test/loss"] != whole["test/loss"]
    assert do("trainer.limit_val_batches=1")[0]["metrics"]["val/loss"] != whole["val/loss"]


def test_precision_is_that_of_the_weights_or_of_the_products(do, weights):
    double, _ = do("trainer.precision=64-true")
    assert {p.dtype for p in weights().parameters()} == {torch.float64}
    mixed, _ = do("trainer.precision=bf16-mixed")
    assert {p.dtype for p in weights().parameters()} == {torch.float32}
    single, _ = do()
    losses = [record["metrics"]["train/loss"] for record in (double, single, mixed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert losses[1] == pytest.approx(losses[2], rel=0.1)
    assert len(set(losses)) == 3


def test_early_stopping_stops_and_is_said(do):
    early = ["callbacks=early_stopping", "callbacks.early_stopping.min_delta=9", "callbacks.early_stopping.patience=1"]
    record, history = do("trainer.epochs=6", *early)
    assert (len(history), record["stopped"]) == (2, "EarlyStopping")


def test_lightnings_checkpoints_lie_beside_the_record(configured):
    run, environment = configured("model=rnn", *SMALL, "callbacks=model_checkpoint")
    execute(run, environment)
    folder = environment.results_dir / "runs" / run.run_id / "checkpoints"
    saved = torch.load(folder / "last.ckpt", weights_only=True)
    assert "model.head.weight" in saved["state_dict"]


def test_a_logger_is_told_the_figures_of_the_history_and_the_configuration(configured):
    run, environment = configured("model=rnn", *SMALL, "logger=csv", "diagnostics.profile=1")
    record = execute(run, environment)
    folder = environment.results_dir / "logs" / "csv" / run.run_id
    history = pd.read_csv(environment.results_dir / "runs" / run.run_id / "history.csv")
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in ("train/loss", "val/accuracy", "gradient/norm", "gradient/x.reach"):
        logged = [float(row[name]) for row in rows if row[name]]
        assert logged == pytest.approx(history[name].tolist(), rel=1e-6), name
    assert [float(row["test/accuracy"]) for row in rows if row["test/accuracy"]] == pytest.approx(
        [record["metrics"]["test/accuracy"]]
    )
    assert run.run_id in (folder / "hparams.yaml").read_text()


@pytest.mark.parametrize(
    "override",
    [
        "trainer.precision=bf16-mixed",
        "trainer.accumulate_grad_batches=2",
        "trainer.max_steps=20",
        STOPPING + "{steps: 20}",
        STOPPING + "{train/accuracy: 0.9}",
        "trainer.limit_train_batches=5",
        "trainer.limit_val_batches=5",
        "trainer.limit_test_batches=0.5",
        "trainer.overfit_batches=2",
        "trainer.fast_dev_run=true",
        "callbacks=early_stopping",
    ],
)
def test_what_changes_a_result_is_part_of_the_identity(configured, override):
    run = configured(override)[0]
    assert run.run_id != configured()[0].run_id
    assert type(run).model_validate(json.loads(json.dumps(run.canonical()))) == run


def test_who_listens_and_what_is_kept_is_no_part_of_the_identity(configured):
    here = configured()[0]
    assert configured("logger=csv", "trainer.keep_checkpoint=true")[0].run_id == here.run_id


def test_equal_settings_have_one_identity(configured):
    pairs = [
        (STOPPING + "{steps: 20}", STOPPING + "{steps: 20.0}"),
        (STOPPING + "{val/accuracy: 1}", STOPPING + "{val/accuracy: 1.0}"),
        ("trainer.max_steps=20", "trainer.max_steps=20.0"),
        ("trainer.limit_val_batches=null", "trainer.fast_dev_run=false"),
    ]
    for one, other in pairs:
        assert configured(one)[0].run_id == configured(other)[0].run_id


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.precision=8", "trainer.precision=8: must be '32-true', '64-true', 'bf16-mixed' or '16-mixed'"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches=0: must be greater than 0"),
        ("trainer.max_steps=0", "trainer.max_steps=0: must be greater than 0"),
        ("trainer.limit_train_batches=1.0", "trainer.limit_train_batches=1.0: must be null (all), a number of batches"),
        ("trainer.limit_val_batches=0", "trainer.limit_val_batches=0: must be null (all)"),
        ("trainer.limit_test_batches=true", "trainer.limit_test_batches=true: must be null (all)"),
        ("trainer.fast_dev_run=3", "trainer.fast_dev_run=3: must be a valid boolean"),
        (STOPPING + "0.9", "trainer.stop_when=0.9: must be null, or one bound on a training or validation metric"),
        (STOPPING + "{train/accuracy: 99}", "must be null, or one bound"),
        (STOPPING + "{test/accuracy: 0.9}", "must be null, or one bound"),
        (STOPPING + "{steps: 0}", "must be null, or one bound"),
        (STOPPING + "{steps: 1.5}", "must be null, or one bound"),
        (STOPPING + "{val/loss: inf}", "must be null, or one bound"),
        (STOPPING + "{val/loss: 1, steps: 9}", "must be null, or one bound"),
        ("callbacks.early_stopping.patienc=3", "callbacks.early_stopping.patienc: there is no such setting; did you"),
        ("callbacks.early_stopping.mode=up", "callbacks.early_stopping: `mode` can be "),
        ("callbacks.early_stopping.min_delta=nan", "callbacks.early_stopping.min_delta=nan: must be a finite number"),
        ("callbacks.early_stopping._target_=torch.nn.Linear", "must be a subclass of pytorch_lightning.Callback"),
        (
            "callbacks.early_stopping._target_=nowhere.At",
            "callbacks.early_stopping._target_=nowhere.At: cannot be imported",
        ),
        ("logger.csv.save_dirs=x", "logger.csv.save_dirs: there is no such setting; did you mean save_dir?"),
        ("logger.csv._target_=torch.nn.Linear", "must be a subclass of pytorch_lightning.loggers.Logger"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(configured, override, message):
    groups = [f"{group}={option}" for group, option in GROUPS.items() if override.startswith(f"{group}.")]
    with pytest.raises(ConfigError) as error:
        configured(*groups, f"++{override}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


GROUPS = {"callbacks": "early_stopping", "logger": "csv"}


@pytest.mark.parametrize("logger", ["tensorboard", "mlflow", "trackio"])
def test_a_logger_whose_package_is_missing_says_what_to_install(configured, composed, monkeypatch, logger):
    assert composed(f"logger={logger}").logger[logger].package == logger
    with pytest.raises(ConfigError, match=rf"^logger={logger}: needs not_there; pip install not_there$"):
        configured(f"logger={logger}", f"logger.{logger}.package=not_there")
    known = configured(f"logger={logger}", f"logger.{logger}.package=torch")[1].logger[logger]
    assert "package" not in known.arguments()


@pytest.mark.parametrize("override", [STOPPING + "{val/mse: 0.1}", "callbacks.early_stopping.monitor=val/acuracy"])
def test_to_wait_for_a_figure_that_the_task_does_not_have_is_refused(configured, override):
    with pytest.raises(ConfigError, match="task=digits has train/loss, train/accuracy, val/loss, val/accuracy; choose"):
        check(*configured("callbacks=early_stopping", override))


def test_a_precision_that_a_device_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="16-mixed: not supported on device=cpu; choose bf16-mixed"):
        check_device("cpu", "16-mixed")


def test_debug_fdr_tries_one_batch_of_each_apart_from_results(run_py):
    said = run_py("model=rnn", "model.width=4", "+debug=fdr")
    assert said.returncode == 0, said.stderr
    (path,) = (run_py.folder / "results" / "debug" / "runs").glob("*/record.json")
    record = json.loads(path.read_text())
    assert record["steps"] == 1
    assert not (run_py.folder / "results" / "runs").exists()
    assert os.listdir(run_py.folder / "results") == ["debug"]


def test_debug_overfit_learns_few_examples_by_heart(configured, composed):
    line = ["model=cnn", "+debug=overfit", "trainer.epochs=40", "trainer.overfit_batches=1", "trainer.batch_size=16"]
    assert composed(*line[:2]).results_dir == "results/debug"
    run, environment = configured(*line)
    record = execute(run, environment)
    assert record["steps"] == 40
    assert record["metrics"]["val/accuracy"] >= 0.9
    assert record["metrics"]["test/accuracy"] < 0.6
    assert environment.tracking.mode == "off"


def test_settings_of_trainer_and_callbacks_are_columns_of_the_run_table(configured):
    line = ["callbacks=early_stopping", STOPPING + "{train/accuracy: 0.9}", "trainer.accumulate_grad_batches=2"]
    runs = [configured(*line)[0], configured()[0]]
    records = [{"run_id": run.run_id, "status": "finished", "config": run.canonical()} for run in runs]
    frame = as_frame(map(row, records)).set_index("run_id").loc[[run.run_id for run in runs]]
    assert frame["trainer.accumulate_grad_batches"].tolist() == [2, 1]
    assert frame["trainer.precision"].tolist() == ["32-true"] * 2
    assert frame["trainer.stop_when"].tolist() == ["{'train/accuracy': 0.9}", None]
    assert "'patience': 5" in frame["callbacks.early_stopping"].iloc[0]
    assert "trainer.max_steps" not in frame


def test_a_callback_keeps_the_hooks_that_it_was_given_when_it_was_made():
    calls = []
    given = LambdaCallback(on_train_batch_end=lambda *arguments: calls.append(arguments))
    adam = OptimizerSettings(name="adam", lr=0.01, weight_decay=0.0, schedule="constant")
    run, _ = bare_run(adam, TrainerSettings(epochs=1, batch_size=8, clip_norm=None), prune=None)
    made = make_callbacks(run, [given], BestWeights())
    assert given in made
    assert given.on_train_batch_end is not None
    assert given.on_train_batch_start is None  # which it has no use for


def test_loops_that_cannot_be_had_fail_a_run_instead_of_changing_what_it_goes_through(configured, monkeypatch):
    def broken(*kinds):
        raise ConfigError("kernels", "compiled", "numba needs another numpy", "choose kernels=torch")

    monkeypatch.setattr("gradreach.kernels.compile_all", broken)
    record = execute(*configured("model=gru", *SMALL))
    assert (record["status"], "kernels" in record) == ("failed", False)
    assert "kernels=compiled: numba needs another numpy; choose kernels=torch" in record["error"]
    assert execute(*configured("model=lstm", *SMALL))["kernels"] == "torch"
    monkeypatch.undo()
    assert execute(*configured("model=gru", *SMALL))["kernels"] == "compiled"


def test_a_horizon_changes_what_is_learned_and_what_a_run_is(configured, do):
    whole, _ = configured("model=rnn", *SMALL)
    short, environment = configured("model=rnn", *SMALL, "trainer.gradient_horizon=2")
    assert whole.run_id != short.run_id
    assert "gradient_horizon" not in whole.canonical()["trainer"]
    of_all, of_two = do()[0], do("trainer.gradient_horizon=2")[0]
    key = "gradient/start/h.reach"
    assert of_all["metrics"][key] == of_two["metrics"][key], "the instrument sees the whole gradient"
    assert of_all["metrics"]["train/loss"] != of_two["metrics"]["train/loss"]
    run, environment = configured("model=cnn", "trainer.gradient_horizon=2")
    with pytest.raises(ConfigError, match=r"trainer\.gradient_horizon=2: needs layers"):
        check(run, environment)


def test_the_epoch_with_the_lowest_training_loss_is_kept_where_that_is_asked_for():
    model = torch.nn.Linear(1, 1, bias=False)
    module = SimpleNamespace(task=SimpleNamespace(metric="accuracy"), model=model, figures={})
    trainer = SimpleNamespace(current_epoch=0, global_step=0)
    kept = {select: BestWeights(select) for select in ("best", "train_loss", "last")}
    for epoch, (lost, score) in enumerate([(0.5, 0.9), (0.1, 0.2), (0.1, 0.3), (0.4, 0.1)]):
        trainer.current_epoch = epoch
        module.figures = {"train/loss": lost, "val/loss": 1.0, "val/accuracy": score}
        for one in kept.values():
            one.on_train_epoch_end(trainer, module)
    assert {select: one.row["epoch"] for select, one in kept.items()} == {"best": 1, "train_loss": 2, "last": 4}
