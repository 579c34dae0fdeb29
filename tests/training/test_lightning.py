"""The module in a Trainer that is not ours, and our callbacks in one: what Lightning's users expect of both."""

import csv
import math

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, TensorDataset

from gradreach.config import OptimizerSettings, TrainerSettings
from gradreach.models import GRU, SequenceModel
from gradreach.tasks import Batch, Batches, Digits
from gradreach.training import BestWeights, GradientMonitor, History, TrainingModule
from project import bare_run

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric"),
    pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning"),
    pytest.mark.filterwarnings("ignore:.*num_workers.*"),
    pytest.mark.filterwarnings("ignore:.*`isinstance.treespec, LeafSpec.`.*"),
]
COSINE = OptimizerSettings(name="adam", lr=0.02, weight_decay=0.0, schedule="cosine")
ADAM = COSINE.model_copy(update={"schedule": "constant"})
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "logger": False}


def examples(size, seed):
    """Signals that tell their class by their mean."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(10, (size,), generator=generator)
    x = torch.randn(size, 6, 1, generator=generator) * 0.3 + target.view(-1, 1, 1) / 3
    return Batch(x, None, target)


TRAIN, VALIDATION = examples(90, 1), examples(40, 2)


def make_module(optimizer=ADAM, **options):
    torch.manual_seed(3)
    return TrainingModule(SequenceModel(GRU(1, width=6), "last", 10), Digits(), optimizer, **options)


def fit(module, callbacks=(), train=None, **flags):
    """Fit in a Trainer that knows nothing of us, six steps an epoch."""
    train = Batches(TRAIN, 15, seed=0) if train is None else train
    options = {**QUIET, "max_epochs": 3, "num_sanity_val_steps": 0, "enable_checkpointing": bool(callbacks), **flags}
    trainer = Trainer(callbacks=list(callbacks), **options)
    trainer.fit(module, train, Batches(VALIDATION, 16))
    return trainer


class Watch(Callback):
    """Notes what happens when."""

    def __init__(self):
        self.seen = []

    def on_validation_end(self, trainer, module):
        self.seen.append(("validated", trainer.global_step))

    def on_train_epoch_end(self, trainer, module):
        self.seen.append(("epoch", trainer.current_epoch))


def our_callbacks():
    run, rows = bare_run(ADAM, TrainerSettings(epochs=3, batch_size=15, clip_norm=1.0))
    best = BestWeights()
    return [GradientMonitor(run.tables), History(run), best], best, rows


@pytest.mark.parametrize("loader", ["tuples", "batches"])
def test_the_module_works_in_anybodys_trainer(tmp_path, loader):
    if loader == "tuples":
        train = DataLoader(TensorDataset(TRAIN.x, TRAIN.target), batch_size=15, shuffle=True)
        validation = DataLoader(TensorDataset(VALIDATION.x, VALIDATION.target), batch_size=16)
    else:
        train = DataLoader(list(Batches(TRAIN, 15)), batch_size=None)
        validation = DataLoader(list(Batches(VALIDATION, 16)), batch_size=None)
    stopping = EarlyStopping(monitor="val/accuracy", mode="max", patience=1, min_delta=2.0)  # never good enough
    saving = ModelCheckpoint(tmp_path, monitor="val/accuracy", mode="max")
    logger = CSVLogger(tmp_path, name="csv", version="one")
    flags = {**QUIET, "logger": logger, "max_epochs": 9, "log_every_n_steps": 1}
    module = make_module()
    trainer = Trainer(callbacks=[stopping, saving], **flags)
    trainer.fit(module, train, validation)
    assert trainer.current_epoch == 2
    with (tmp_path / "csv" / "one" / "metrics.csv").open() as file:
        logged = [row for row in csv.DictReader(file) if row["val/accuracy"]]
    assert len(logged) == 2
    scores = [float(row["val/accuracy"]) for row in logged]
    assert saving.best_model_score.item() == pytest.approx(max(scores))
    best = torch.load(saving.best_model_path, weights_only=True)["state_dict"]
    module.load_state_dict(best)
    with torch.no_grad():
        right = (module.model(VALIDATION.x).argmax(-1) == VALIDATION.target).float().mean()
    assert right.item() == pytest.approx(max(scores))
    (tested,) = trainer.test(module, validation, verbose=False)
    assert tested["test/accuracy"] == pytest.approx(max(scores))


def test_padded_sequences_come_as_three_tensors():
    lengths = torch.full((90,), 4)
    loader = DataLoader(TensorDataset(TRAIN.x, lengths, TRAIN.target), batch_size=15)
    given = []
    module = make_module()
    module.model.register_forward_pre_hook(lambda _, inputs: given.append(inputs[1]))
    fit(module, train=loader, max_epochs=1, limit_val_batches=0)
    assert torch.equal(torch.cat(given), lengths)
    with pytest.raises(TypeError, match=r"a batch of type dict: must be Batch, \(x, target\)"):
        module.training_step({"x": TRAIN.x}, 0)


def test_figures_are_those_of_all_examples_and_logged_at_the_end_of_an_epoch():
    module = make_module(ADAM.model_copy(update={"lr": 1e-12}))
    trainer = fit(module, max_epochs=1)
    with torch.no_grad():
        losses = [module.task.loss(module.model(part.x), part.target).mean() for part in (TRAIN, VALIDATION)]
    for stage, loss in zip(("train", "val"), losses, strict=True):
        assert trainer.callback_metrics[f"{stage}/loss"].item() == pytest.approx(loss.item(), rel=1e-5)
        assert module.figures[f"{stage}/loss"] == pytest.approx(loss.item(), rel=1e-5)


def test_a_sanity_check_is_no_epoch():
    callbacks, best, rows = our_callbacks()
    callbacks[1].run.tell = lambda row, tell=callbacks[1].run.tell: tell({**row, "best": bool(best.row)})
    fit(make_module(), callbacks, num_sanity_val_steps=2, max_epochs=2)
    alone, _, reference = our_callbacks()
    fit(make_module(), alone, max_epochs=2)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["best"] for row in rows] == [False, True]  # history is told before the best is chosen
    assert [row["val/loss"] for row in rows] == [row["val/loss"] for row in reference]


def test_an_epoch_is_closed_once_however_often_it_is_validated():
    callbacks, best, rows = our_callbacks()
    watch = Watch()
    fit(make_module(), [watch, *callbacks], max_epochs=2, val_check_interval=0.5)
    assert [what for what, _ in watch.seen].count("validated") == 4
    alone, _, reference = our_callbacks()
    fit(make_module(), alone, max_epochs=2)
    kept = ("epoch", "step", "train/loss", "val/loss", "gradient/norm")
    assert [[row[key] for key in kept] for row in rows] == [[row[key] for key in kept] for row in reference]
    assert best.row["epoch"] == 2


def test_an_epoch_without_validation_is_told_and_chooses_nothing():
    callbacks, best, rows = our_callbacks()
    fit(make_module(), callbacks, check_val_every_n_epoch=2)
    assert ["val/loss" in row for row in rows] == [False, True, False]
    assert best.row["epoch"] == 2


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_schedule_ends_with_the_last_step_that_the_trainer_expects(accumulate):
    module = make_module(COSINE)
    trainer = fit(module, accumulate_grad_batches=accumulate)
    steps = 3 * math.ceil(6 / accumulate)
    assert trainer.global_step == steps
    schedule = trainer.lr_scheduler_configs[0]
    assert (schedule.interval, schedule.scheduler.T_max, schedule.scheduler.last_epoch) == ("step", steps, steps)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_a_schedule_without_an_end_is_refused():
    with pytest.raises(
        ValueError, match="schedule=cosine: needs the length of training; give the Trainer max_epochs or max_steps"
    ):
        fit(make_module(COSINE), max_epochs=-1)


class Norms(Callback):
    """Notes the norm of the gradient by which the weights are moved."""

    def __init__(self):
        self.norms = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        gradients = [parameter.grad for parameter in module.parameters()]
        self.norms.append(torch.nn.utils.get_total_norm(gradients).item())


@pytest.mark.parametrize("monitored", [True, False])
def test_clipping_is_by_the_trainers_value_where_it_has_one(monitored):
    for own, flags, limit in [
        (0.1, {}, 0.1),
        (0.1, {"gradient_clip_val": 0.02}, 0.02),
        (None, {"gradient_clip_val": 0.02}, 0.02),
    ]:
        norms, monitor = Norms(), GradientMonitor()
        module = make_module(clip_norm=own)
        fit(module, [norms, *[monitor] * monitored], max_epochs=1, enable_checkpointing=False, **flags)
        assert norms.norms == pytest.approx([limit] * 6, rel=1e-3)
        if monitored:
            assert module.figures["gradient/clip_rate"] == 1
            assert module.figures["gradient/norm"] > 0.1
            assert monitor.tables["parameters"][0]["stage"].unique().tolist() == ["epoch 1"]


def test_values_are_clipped_where_the_trainer_says_so():
    module = make_module(clip_norm=1.0)
    largest = []

    class Largest(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            largest.append(max(parameter.grad.abs().max().item() for parameter in module.parameters()))

    flags = {"gradient_clip_val": 0.003, "gradient_clip_algorithm": "value"}
    fit(module, [GradientMonitor(), Largest()], max_epochs=1, enable_checkpointing=False, **flags)
    assert max(largest) == pytest.approx(0.003)


def test_every_epoch_has_its_own_order_also_where_training_goes_on(tmp_path):
    class Orders(Callback):
        def __init__(self):
            self.orders = {}

        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            self.orders.setdefault(trainer.current_epoch, []).append(batch.x)

    whole, first, second = Orders(), Orders(), Orders()
    fit(make_module(), [whole], enable_checkpointing=False)
    trainer = fit(make_module(), [first], max_epochs=2, enable_checkpointing=False)
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    again = Trainer(callbacks=[second], **QUIET, max_epochs=3, enable_checkpointing=False)
    again.fit(make_module(), Batches(TRAIN, 15, seed=0), Batches(VALIDATION, 16), ckpt_path=tmp_path / "saved.ckpt")
    assert sorted(second.orders) == [2]
    for epoch, batches in {**first.orders, **second.orders}.items():
        assert torch.equal(torch.cat(batches), torch.cat(whole.orders[epoch]))
    assert not torch.equal(torch.cat(whole.orders[1]), torch.cat(whole.orders[2]))


def test_any_figure_of_an_epoch_can_be_monitored():
    callbacks, _, rows = our_callbacks()
    stopping = EarlyStopping(monitor="gradient/norm", mode="min", patience=1, min_delta=100.0)
    fit(make_module(), [stopping, *callbacks])
    assert len(rows) == 2


@pytest.mark.filterwarnings("ignore:The '?predict_dataloader:UserWarning", "ignore:.*num_workers:UserWarning")
def test_a_checkpoint_of_anybodys_trainer_is_loaded_and_predicts(tmp_path):
    module = make_module()
    saving = ModelCheckpoint(tmp_path)
    trainer = fit(module, [saving], max_epochs=1)
    parts = {"model": SequenceModel(GRU(1, width=6), "last", 10), "task": Digits(), "optimizer": ADAM}
    loaded = TrainingModule.load_from_checkpoint(saving.best_model_path, **parts, weights_only=True)
    with torch.no_grad():
        expected = module(VALIDATION.x)
        assert torch.equal(loaded(VALIDATION.x), expected)
    predicted = trainer.predict(loaded, Batches(VALIDATION, 16))
    assert torch.allclose(torch.cat(predicted), expected, atol=1e-6)
