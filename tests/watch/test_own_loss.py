"""Whose loss it is: that of the module's own training step, as it is at that moment, whatever the step needs."""

import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradreach.diagnostics import Batch, gradient_profile
from gradreach.watch import GradientReach, Watcher

STEPS, EXAMPLES = 9, 4


@pytest.fixture
def probe():
    torch.manual_seed(1)
    return torch.randn(EXAMPLES, STEPS, 1), torch.arange(EXAMPLES) % 2


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru, self.head = nn.GRU(1, 5, batch_first=True), nn.Linear(5, 2)
        self.weight = torch.tensor([1.0, 1.0])

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)  # only the moment changes


def medians(module, probe):
    watcher = Watcher(module, probe)
    watcher.measure("now")
    return watcher.profile["median"]


class Annealed(Module):
    """Weighs its loss by epoch and length of training; logs past ``self.log``."""

    def training_step(self, batch, batch_idx):
        self.logger.experiment.add_scalar("seen", 1.0)
        weight = 10.0 ** (self.current_epoch + self.trainer.max_epochs)
        return weight * super().training_step(batch, batch_idx)


def test_a_step_may_read_its_trainer(probe, tmp_path):
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    callback, logged = GradientReach(probe), []

    class Logger(pl.loggers.CSVLogger):
        @property
        def experiment(self):
            return self

        def add_scalar(self, name, value):
            logged.append(name)

        def log_metrics(self, metrics, step=None):
            """Keep nothing."""

        def save(self):
            """Write nothing."""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_epochs=2, callbacks=[callback], logger=Logger(tmp_path), enable_model_summary=False, **quiet
        )
        trainer.fit(Annealed(), DataLoader(TensorDataset(*probe), batch_size=4))
    at = {stage: rows["median"].to_numpy() for stage, rows in callback.profile.groupby("stage")}
    np.testing.assert_allclose(at["start"], medians(Module(), probe) + 2, atol=1e-9)  # log10
    np.testing.assert_allclose(at["epoch 2"], at["start"] + 1, atol=1e-9)
    assert logged == ["seen", "seen"]  # by training alone


class Starts(Module):
    """Makes its first state by itself, as tutorials do."""

    def forward(self, x):
        return self.head(self.gru(x, torch.zeros(1, len(x), 5))[0][:, -1])


class Casts(Module):
    def forward(self, x):
        return super().forward(x.float())


class Holds(Module):
    """Has a tensor that is not a buffer."""

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self(batch[0]), batch[1], weight=self.weight)


@pytest.mark.parametrize("kind", [Starts, Casts, Holds])
def test_code_that_names_float32_is_measured(kind, probe):
    with pytest.warns(UserWarning, match="^gradreach: the model's output is computed in float32") as said:
        found = medians(kind(), probe)
    np.testing.assert_allclose(found, medians(Module(), probe), atol=1e-5)
    assert len(said) == 1


class Failing(Module):
    def training_step(self, batch, batch_idx):
        raise KeyError("labels")


class Steps(Module):
    def training_step(self, batch, batch_idx):
        self.optimizers().step()


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (
            Failing(),
            "the loss of the probe fails ('labels'); pass a probe as the training step takes it, or loss=",
        ),
        (Steps(), "training_step needs its trainer"),
    ],
)
def test_what_a_step_lacks_is_told_with_what_to_do(module, why, probe):
    with pytest.warns(UserWarning, match="^gradreach: not measured: ") as said:
        Watcher(module, probe).measure("now")
    assert why in str(said[0].message)
    assert "or loss=, a function (model, probe)" in str(said[0].message)


def test_a_loss_that_is_no_number_says_nothing_of_how_it_is_made(probe):
    module = Module()
    watcher = Watcher(module, (probe[0] * torch.nan, probe[1]))
    assert watcher.measure("broken")["gradient/nonfinite"] == 2 * STEPS * EXAMPLES  # warnings are errors
    watcher.probe = Watcher(module, probe).probe
    watcher.measure("mended")
    assert watcher.one_by_one is False


def test_a_model_without_layers_to_watch_has_the_curve_of_its_input(probe):
    class Mixer(Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(STEPS, 2))

        def forward(self, x):
            return self.net(x)

    expected = gradient_profile(Mixer().net, Batch(probe[0], None, probe[1]), nn.CrossEntropyLoss(reduction="none"))[
        "median"
    ]
    with pytest.warns(UserWarning, match="^gradreach: no layer has an output at each step .* name modules"):
        found = medians(Mixer(), probe)
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_a_layer_of_fewer_steps_is_told_of_by_its_own(probe):
    class Halved(Module):
        def forward(self, x):
            return super().forward(x[:, ::2])

    module = Halved()
    with torch.no_grad():
        module.gru.weight_hh_l0.mul_(0)
        module.gru.bias_ih_l0[5:10] = -9  # the update gate is open: nothing is kept
    watcher = Watcher(module, probe, least=0.3)
    with pytest.warns(UserWarning, match=f"through gru the gradient reaches 1 of {STEPS // 2} steps back"):
        watcher.measure("now")
