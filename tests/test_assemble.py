"""What is beyond all there is, or waits for what never comes, is refused before a run starts."""

import pytest

from gradreach.assemble import check
from gradreach.errors import ConfigError
from gradreach.runner import execute

FEW = ["task.train_size=40", "task.validation_size=513", "task.test_size=1025", "trainer.batch_size=16"]
LINE = ["model=rnn", "model.width=4", "task=adding", "seq_len=20", *FEW, "trainer.epochs=3", "diagnostics.examples=8"]


@pytest.mark.parametrize(
    ("setting", "most", "beyond", "same"),
    [
        ("trainer.gradient_horizon", 18, 19, "null"),
        ("trainer.limit_train_batches", 2, 3, "null"),
        ("trainer.limit_val_batches", 1, 2, "null"),
        ("trainer.limit_test_batches", 2, 3, "null"),
        ("trainer.overfit_batches", 3, 4, "3"),
        ("trainer.accumulate_grad_batches", 3, 4, "3"),
        ("trainer.max_steps", 8, 9, "null"),
        ("diagnostics.gates", 3, 4, "ends"),
        ("diagnostics.gates", "9 steps", "10 steps", "ends"),
    ],
)
def test_what_is_beyond_all_there_is_is_refused_since_it_is_another_name_of_the_same_run(
    configured, setting, most, beyond, same
):
    check(*configured(*LINE, f"{setting}={most}"))
    with pytest.raises(ConfigError) as refused:
        check(*configured(*LINE, f"{setting}={beyond}"))
    limit = str(most).partition(" ")[0]
    hint = f"at most {limit}" if same == limit else f"{same} or at most {limit}"
    assert str(refused.value) == f"{setting}={beyond}: means the same as {same}, which is all there is; choose {hint}"


@pytest.mark.parametrize(
    "more", [[], ["trainer.accumulate_grad_batches=2"], ["trainer.limit_train_batches=2"]], ids=str
)
def test_a_bound_on_steps_is_refused_from_the_number_that_training_takes_anyway(configured, more):
    steps = execute(*configured(*LINE, *more))["steps"]
    for bound in ("trainer.max_steps={}", "trainer.stop_when={{steps: {}}}"):
        check(*configured(*LINE, *more, bound.format(steps - 1)))
        with pytest.raises(ConfigError, match="means the same as null"):
            check(*configured(*LINE, *more, bound.format(steps)))


def test_of_sizes_that_only_the_data_tell_nothing_is_refused(configured):
    check(*configured("model=rnn", "trainer.batch_size=100000", "diagnostics.examples=100000"))


def waiting(figure, *more):
    return ["callbacks=early_stopping", f"callbacks.early_stopping.monitor='{figure}'", *more]


def waits_for(figure):
    return f"{{_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: '{figure}', check_finite: false}}"


EACH_EPOCH = [
    f"diagnostics.{name}=1" for name in ("profile", "gates", "lyapunov", "jacobians", "decoding", "sensitivity")
]


def test_every_figure_of_an_epoch_can_be_waited_for_and_no_other(configured):
    line = ["model=lstm", "model.layers=2", *LINE[1:], "diagnostics.exponents=2", *EACH_EPOCH]
    rows = []
    execute(*configured(*line), rows.append)
    figures = rows[-1].keys() - {"epoch", "step", "time/seconds"}
    assert {
        "val/mse",
        "gradient/norm",
        "gradient/h1.omega",
        "gradient/h2.lyapunov",
        "gradient/c2.decoded_inputs",
        "gradient/readout.noise_25",
    } <= figures
    check(*configured(*line, *(f"+callbacks.of_{i}={waits_for(figure)}" for i, figure in enumerate(sorted(figures)))))
    for figure in ("val/mse", "gradient/norm", "gradient/h2.lyapunov"):
        with pytest.raises(ConfigError, match="task=adding has train/loss, train/mse, val/loss, val/mse; choose one"):
            check(*configured(*line, *waiting(f"{figure}s")))


@pytest.mark.parametrize(
    ("monitor", "more"),
    [
        ("foo", []),
        ("test/mse", []),
        ("epoch", []),
        ("val/accuracy", []),
        ("gradient/h.half_life", ["diagnostics.profile=ends"]),
        ("gradient/h.half_life", ["diagnostics=off"]),
        ("gradient/h.omega", ["diagnostics.profile=1"]),
    ],
)
def test_to_wait_for_what_no_epoch_has_is_refused_before_the_run(configured, monitor, more):
    refusal = f"^callbacks.early_stopping.monitor={monitor}: task=adding has train/loss"
    with pytest.raises(ConfigError, match=refusal):
        check(*configured(*LINE, *waiting(monitor, *more)))


def test_what_a_callback_of_others_logs_can_be_waited_for_and_lightnings_may_wait_for_nothing(configured):
    own = ["+callbacks.own._target_=pytorch_lightning.callbacks.LearningRateMonitor"]
    with pytest.raises(ConfigError, match="monitor=foo"):
        check(*configured(*LINE, *waiting("foo", *own)))
    check(*configured(*LINE, *waiting("foo", "+callbacks.own._target_=gradreach.training.epochs.Divergence")))
    for nothing in ("null", "epoch"):
        check(*configured(*LINE, "callbacks=model_checkpoint", f"callbacks.model_checkpoint.monitor={nothing}"))


def test_no_epoch_is_chosen_by_signals_that_were_learned_from(configured):
    everything = ("task=mnist1d", "seq_len=40", "model=linear", "task.hold_out=false")
    with pytest.raises(
        ConfigError,
        match=r"select=best, task.hold_out=false: would choose by training examples; set trainer.select=last or train",
    ):
        check(*configured(*everything))
    check(*configured(*everything, "trainer.select=last"))
