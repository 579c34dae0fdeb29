"""Learning rates that move, what decays, and steps as the budget of training."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, ReduceLROnPlateau, SequentialLR

from gradreach.assemble import check
from gradreach.config import OptimizerSettings
from gradreach.errors import ConfigError
from gradreach.models import LRU, LSTM, S4D, DeltaNet, Mamba, SequenceModel, Transformer
from gradreach.runner import execute
from gradreach.system.interruption import Interruption
from gradreach.training.optimizers import by_decay, make_optimizer, make_plateau, make_schedule
from kill import results_of
from project import SMALL

BATCHES = 17
"""Of the digits' training split, in an epoch."""
LR = 0.01
DECAY = ["optimizer.weight_decay=0.01", "optimizer.decay=weights"]


def settings(**given):
    return OptimizerSettings.model_validate(
        {"name": "sgd", "lr": LR, "weight_decay": 0, "schedule": "constant", **given}
    )


def one_weight(lr=LR):
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def rates(optimizer, schedule, steps):
    """Return the rate with which each step is taken."""
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def rates_of(steps, **given):
    optimizer = one_weight()
    return rates(optimizer, make_schedule(settings(**given), optimizer, steps), steps)


def torchs(steps, warmup, then):
    """Rates of torch's own schedulers, one after the other."""
    optimizer = one_weight()
    rise = LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
    return rates(optimizer, SequentialLR(optimizer, [rise, then(optimizer)], [warmup]), steps)


def test_a_warm_up_rises_in_a_line_and_is_torchs():
    found = rates_of(20, warmup=8)
    assert found == pytest.approx([LR * (k + 1) / 8 for k in range(8)] + [LR] * 12)
    assert found == pytest.approx(torchs(20, 8, lambda sgd: ConstantLR(sgd, 1.0, 0)), rel=1e-12)


@pytest.mark.parametrize("floor", [0.0, 1e-4])
def test_a_cosine_falls_to_its_floor_and_is_torchs_with_and_without_a_warm_up(floor):
    plain = rates_of(50, schedule="cosine", min_lr=floor)
    assert plain == pytest.approx([floor + (LR - floor) * (1 + math.cos(math.pi * k / 50)) / 2 for k in range(50)])
    optimizer = one_weight()
    assert plain == rates(optimizer, CosineAnnealingLR(optimizer, 50, floor), 50)
    warm = rates_of(50, schedule="cosine", min_lr=floor, warmup=10)
    assert warm == pytest.approx(torchs(50, 10, lambda sgd: CosineAnnealingLR(sgd, 40, floor)), rel=1e-9)
    optimizer = one_weight()
    schedule = make_schedule(settings(schedule="cosine", min_lr=floor, warmup=10), optimizer, 50)
    rates(optimizer, schedule, 50)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(floor, abs=1e-15)


def test_a_share_of_all_steps_is_that_many_and_one_at_least():
    assert rates_of(50, warmup=0.2) == rates_of(50, warmup=10)
    assert rates_of(50, warmup=0.001, schedule="cosine") == rates_of(50, warmup=1, schedule="cosine")


def keras(losses, patience, factor, floor, rate=LR):
    """Return the rate after each epoch, as ``keras.callbacks.ReduceLROnPlateau`` sets it."""
    best, wait, found = math.inf, 0, []
    for loss in losses:
        if loss < best - 1e-4:
            best, wait = loss, 0
        else:
            wait += 1
            if wait >= patience and rate > floor:
                rate, wait = max(rate * factor, floor), 0
        found.append(rate)
    return found


@pytest.mark.parametrize("patience", [1, 3])
def test_a_plateau_lowers_the_rate_as_keras_does_and_torch_an_epoch_earlier(patience):
    generator = torch.Generator().manual_seed(0)
    losses = [1 / (1 + k) + 0.05 * torch.rand((), generator=generator).item() for k in range(60)]
    losses[10:13] = [losses[9] - 5e-5] * 3  # not lower by enough to count
    ours, torchs = one_weight(), one_weight()
    plateau = make_plateau(settings(schedule="plateau", factor=0.3, patience=patience, min_lr=1e-4), ours)
    other = ReduceLROnPlateau(
        torchs, factor=0.3, patience=patience - 1, threshold=1e-4, threshold_mode="abs", min_lr=1e-4, eps=0
    )
    found, of_torch = [], []
    for loss in losses:
        plateau.step(loss)
        other.step(loss)
        found.append(ours.param_groups[0]["lr"])
        of_torch.append(torchs.param_groups[0]["lr"])
    assert found == of_torch == pytest.approx(keras(losses, patience, 0.3, 1e-4))
    assert found[-1] == 1e-4 < found[0]


def test_biases_and_norms_are_spared_and_every_parameter_is_in_one_group():
    model = SequenceModel(Transformer(3, width=8, layers=1, heads=2), "mean", 2)
    decayed, spared = (group["params"] for group in by_decay(model))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert sorted(names[id(one)] for one in [*decayed, *spared]) == sorted(names.values())
    assert {names[id(one)] for one in spared} == {name for name in names.values() if "bias" in name or ".norm" in name}
    assert {one.dim() for one in decayed} == {2}
    recurrent = SequenceModel(LSTM(3, width=8), "last", 2)
    assert [len(group["params"]) for group in by_decay(recurrent)] == [3, 3]


@pytest.mark.parametrize(
    ("encoder", "spared"),
    [
        (Mamba(3, width=8), {"bias", "log_a", "skip"}),
        (DeltaNet(3, width=8), {"bias", "normalize.weight"}),
        (LRU(3, width=8), {"bias", "nu", "theta", "log_gamma", "skips.0"}),
        (S4D(3, width=8, layers=1), {"bias", "log_step", "log_decay", "frequency", "skip"}),
    ],
    ids=["mamba", "deltanet", "lru", "s4d"],
)
def test_what_makes_eigenvalues_is_spared_and_matrices_are_not(encoder, spared):
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    decayed, rest = ([names[id(one)] for one in group["params"]] for group in by_decay(encoder))
    assert not [name for name in decayed if name.endswith(tuple(spared))]
    assert {end for end in spared for name in rest if name.endswith(end)} == spared
    assert all(name.endswith(tuple(spared)) for name in rest)


def test_what_is_spared_does_not_decay():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(settings(weight_decay=0.1, decay="weights", lr=1.0), model).step()
    assert [parameter.unique().tolist() for parameter in model.parameters()] == [[pytest.approx(0.9)], [1], [1], [1]]


@pytest.mark.parametrize("alpha", [0.99, 0.9])
def test_rmsprop_keeps_as_much_of_the_mean_square_as_alpha_says(alpha):
    model, gradients = nn.Linear(1, 1, bias=False), (0.5, -0.2, 0.3)
    nn.init.zeros_(model.weight)
    optimizer = make_optimizer(settings(name="rmsprop", lr=0.1, alpha=alpha), model)
    x = squared = 0.0
    for gradient in gradients:
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        squared = alpha * squared + (1 - alpha) * gradient**2
        x -= 0.1 * gradient / (math.sqrt(squared) + 1e-8)
    assert model.weight.item() == pytest.approx(x, rel=1e-5)


def test_adadelta_is_zeilers():
    model, gradients = nn.Linear(1, 1, bias=False), (0.5, -0.2, 0.3)
    nn.init.zeros_(model.weight)
    optimizer = make_optimizer(settings(name="adadelta", lr=1.0), model)
    x = squared = moved = 0.0
    for gradient in gradients:
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        squared = 0.95 * squared + 0.05 * gradient**2
        step = -math.sqrt(moved + 1e-7) / math.sqrt(squared + 1e-7) * gradient
        moved = 0.95 * moved + 0.05 * step**2
        x += step
    assert model.weight.item() == pytest.approx(x, rel=1e-5)


@pytest.fixture
def do(configured):
    def call(*overrides):
        run, environment = configured("model=rnn", *SMALL, "diagnostics=off", *overrides)
        record = execute(run, environment)
        assert record["status"] == "finished", record.get("traceback")
        return record, pd.read_csv(environment.results_dir / "runs" / run.run_id / "history.csv")

    return call


def test_the_rate_after_each_epoch_stands_in_the_history_where_it_moves(do):
    _, history = do("optimizer.schedule=cosine", "optimizer.warmup=0.5", "optimizer.min_lr=0.001")
    assert history["optimizer/lr"].tolist() == pytest.approx([0.01, 0.001])  # the warm-up ends with the first epoch
    _, history = do("optimizer.schedule=plateau", "optimizer.patience=1", "optimizer.lr=1e-7", "trainer.epochs=4")
    assert history["optimizer/lr"].tolist() == pytest.approx([1e-7, 1e-7, 5e-8, 2.5e-8], rel=1e-6)
    assert "optimizer/lr" not in do()[1]


def test_a_plateau_is_of_the_loss_that_is_monitored(do):
    plateau = ["optimizer.schedule=plateau", "optimizer.patience=1", "optimizer.lr=0.05", "trainer.epochs=12"]
    found = {}
    for monitor in ("train", "val"):
        _, history = do(*plateau, f"optimizer.monitor={monitor}")
        expected = keras(history[f"{monitor}/loss"].tolist(), 1, 0.5, 0.0, 0.05)
        assert history["optimizer/lr"].tolist()[1:] == pytest.approx(expected[:-1], rel=1e-6)
        found[monitor] = expected
    assert found["train"] != found["val"]


def test_a_plateau_of_validation_needs_one(configured):
    task = ["task=mnist1d", "task.hold_out=false", "trainer.select=last", "optimizer.schedule=plateau"]
    with pytest.raises(ConfigError, match=r"^optimizer\.monitor=val, task\.hold_out=false: would choose by training"):
        check(*configured(*task, "optimizer.monitor=val"))


@pytest.mark.parametrize("given", [["optimizer.warmup=0.5"], ["optimizer.warmup=4", "trainer.max_steps=10"]])
def test_a_try_out_takes_the_first_step_of_the_planned_schedule(do, given):
    record, history = do(*given, "trainer.fast_dev_run=true")
    assert record["steps"] == 1
    done = {"optimizer.warmup=0.5": 17, "optimizer.warmup=4": 4}[given[0]]
    assert history["optimizer/lr"].tolist() == pytest.approx([0.01 * 2 / done])  # that of the step to come


def test_a_warm_up_that_is_too_long_is_named_as_it_was_written():
    with pytest.raises(ConfigError, match=r"^optimizer\.warmup=0\.1: there is 1 step in all"):
        make_schedule(settings(warmup=0.1), one_weight(), 1)


def test_steps_are_the_budget_where_epochs_are_null(do):
    record, history = do("trainer.epochs=null", "trainer.max_steps=40", "optimizer.schedule=cosine")
    assert (record["steps"], history["step"].tolist()) == (40, [17, 34, 40])
    assert history["optimizer/lr"].iloc[-1] == pytest.approx(0, abs=1e-12)
    assert record["config"]["trainer"]["epochs"] is None
    assert record["stopped"] is None
    assert (
        do("trainer=steps", "trainer.epochs=null", "trainer.max_steps=20", "trainer.select=last")[0]["best_epoch"] == 2
    )


def stopping_after(epoch, interruption):
    def stop(row):
        if row["epoch"] == epoch:
            interruption.signal = 15

    return stop


@pytest.mark.parametrize(
    "schedule",
    [
        ["optimizer.schedule=plateau", "optimizer.patience=2", "optimizer.lr=1e-6"],
        ["optimizer.schedule=cosine", "optimizer.warmup=40", "optimizer.min_lr=0.001", "trainer.max_steps=80"],
        ["trainer.epochs=null", "trainer.max_steps=77", "optimizer.warmup=0.6", "optimizer=adadelta", *DECAY],
    ],
    ids=["plateau", "in its warm-up", "steps"],
)
def test_a_run_that_was_interrupted_within_a_schedule_yields_the_same_bits(configured, tmp_path, schedule):
    line = ["model=rnn", *SMALL, "trainer.epochs=6", "trainer.checkpoint_seconds=0", "diagnostics=off", *schedule]
    run, environment = configured(*line)
    assert execute(run, environment)["status"] == "finished"
    elsewhere = environment.model_copy(update={"results_dir": tmp_path / "interrupted"})
    for epoch in (1, 2, 4):
        interruption = Interruption()
        stopped = execute(run, elsewhere, stopping_after(epoch, interruption), interruption)
        assert (stopped["status"], stopped["error"]) == ("interrupted", f"stopped by SIGTERM after epoch {epoch}")
    assert execute(run, elsewhere)["status"] == "finished"
    assert results_of(elsewhere.results_dir) == results_of(environment.results_dir)


def test_what_is_not_used_is_no_part_of_the_identity(configured):
    usual = configured()[0]
    assert set(usual.canonical()["optimizer"]) == {"name", "lr", "weight_decay", "schedule"}
    as_usual = ("warmup=0.0", "min_lr=0", "factor=0.5", "patience=50", "monitor=train", "decay=all", "alpha=0.99")
    assert configured(*(f"optimizer.{each}" for each in as_usual))[0].run_id == usual.run_id
    plateau = "optimizer.schedule=plateau"
    different = [
        ["optimizer.warmup=10"],
        ["optimizer.warmup=0.1"],
        ["optimizer.weight_decay=0.01"],
        DECAY,
        ["optimizer.schedule=cosine"],
        ["optimizer.schedule=cosine", "optimizer.min_lr=0.001"],
        [plateau],
        [plateau, "optimizer.factor=0.1"],
        [plateau, "optimizer.patience=5"],
        [plateau, "optimizer.monitor=val"],
        ["optimizer.name=rmsprop"],
        ["optimizer.name=rmsprop", "optimizer.alpha=0.9"],
        ["optimizer=adadelta"],
        ["trainer.epochs=null", "trainer.max_steps=100"],
        ["trainer.max_steps=100"],
    ]
    assert len({configured(*line)[0].run_id for line in different} | {usual.run_id}) == 1 + len(different)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "optimizer.warmup=1.0",
            "optimizer.warmup=1.0: must be a number of steps such as 2000, 0 for none, or a fraction",
        ),
        ("optimizer.warmup=-1", "optimizer.warmup=-1: must be a number of steps"),
        ("optimizer.warmup=true", "optimizer.warmup=true: must be a number of steps"),
        (
            "optimizer.schedule=plateau optimizer.warmup=5",
            "schedule=plateau has no warm-up; set warmup=0",
        ),
        (
            "optimizer.min_lr=0.001",
            "optimizer.min_lr=0.001, optimizer.schedule=constant: a constant rate never reaches it",
        ),
        ("optimizer.schedule=cosine optimizer.min_lr=0.01", "optimizer.min_lr=0.01, optimizer.lr=0.01: must be below"),
        (
            "optimizer.factor=0.1",
            "optimizer.factor=0.1, optimizer.schedule=constant: only schedule=plateau uses it; choose",
        ),
        (
            "optimizer.schedule=cosine optimizer.patience=5",
            "optimizer.patience=5, optimizer.schedule=cosine: only schedule=plateau uses it",
        ),
        ("optimizer.alpha=0.9", "optimizer.alpha=0.9, optimizer.name=adam: only rmsprop has it; choose name=rmsprop"),
        ("optimizer.name=rmsprop optimizer.alpha=1", "optimizer.alpha=1: must be less than 1"),
        ("optimizer.monitor=val", "optimizer.monitor=val, optimizer.schedule=constant: only schedule=plateau uses it"),
        ("optimizer.schedule=plateau optimizer.factor=1", "optimizer.factor=1: must be less than 1"),
        ("optimizer.schedule=plateau optimizer.patience=0", "optimizer.patience=0: must be greater than 0"),
        ("optimizer.decay=weights", "optimizer.decay=weights, optimizer.weight_decay=0.0: has no effect; choose a"),
        ("optimizer.decay=none", "optimizer.decay=none: must be 'all' or 'weights'"),
        ("trainer.epochs=null", "trainer.epochs=null, trainer.max_steps=null: training would never end; set one of"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(configured, line, message):
    with pytest.raises(ConfigError) as refused:
        configured(*line.split())
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_warm_up_that_leaves_no_step_is_refused_before_the_run_where_their_number_is_known(configured):
    few = ["model=rnn", "task=adding", "seq_len=20", "task.train_size=40", "trainer.batch_size=16", "trainer.epochs=3"]
    check(*configured(*few, "optimizer.warmup=8"))
    for more in ([], ["trainer.epochs=null", "trainer.max_steps=9"]):
        with pytest.raises(
            ConfigError, match=r"optimizer\.warmup=9: there are 9 steps in all; choose fewer, or a share"
        ):
            check(*configured(*few, *more, "optimizer.warmup=9"))
    optimizer = one_weight()
    with pytest.raises(ConfigError, match=r"optimizer\.warmup=9: there are 9 steps in all"):
        make_schedule(settings(warmup=9), optimizer, 9)


def test_what_is_measured_by_epochs_is_bounded_where_steps_are_the_budget(configured):
    line = ["model=rnn", "task=adding", "seq_len=20", "task.train_size=40", "trainer.batch_size=16"]
    line += ["trainer.epochs=null", "trainer.max_steps=7", "diagnostics.examples=8"]
    check(*configured(*line, "diagnostics.profile=3"))
    with pytest.raises(
        ConfigError, match=r"diagnostics\.profile=4: means the same as ends, which is all there is; choose ends or at"
    ):
        check(*configured(*line, "diagnostics.profile=4"))
