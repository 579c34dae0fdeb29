"""Whatever a module keeps, draws, counts or hooks into itself: its training goes bit for bit as it would without."""

import random
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
import torchmetrics
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from gradreach.diagnostics import Batch, gradient_profile
from gradreach.watch import GradientReach, Watcher

STEPS = 12


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])

    def training_step(self, batch, batch_idx):
        x, target = batch
        return F.cross_entropy(self(x), target)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class Stateful(Module):
    """Has what changes by being called: metrics, running statistics, dropout, losses kept until the epoch ends."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(8), nn.Dropout(0.3)
        self.accuracy, self.kept = torchmetrics.Accuracy("multiclass", num_classes=2), []

    def forward(self, x):
        return self.head(self.dropout(self.norm(self.lstm(x)[0][:, -1])))

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.log("accuracy", self.accuracy(self(batch[0]), batch[1]), on_step=True, prog_bar=True)
        self.kept.append(loss)  # with its graph, as the guides of Lightning do
        return loss


class Noisy(Module):
    """Draws from every generator there is."""

    def forward(self, x):
        return super().forward(x * (1 + random.random() / 9 + np.random.rand() / 9 + torch.rand(()) / 9))  # noqa: NPY002


class Hooked(Module):
    """Keeps what its layers give, by hooks that hold the module or a list."""

    def __init__(self):
        super().__init__()
        self.kept, activations = [], []
        self.activations = activations
        self.lstm.register_forward_hook(lambda module, given, output: self.kept.append(float(output[0].sum())))
        self.head.register_forward_pre_hook(lambda module, given: activations.append(float(given[0].sum())))
        self.head.register_full_backward_hook(lambda module, given, output: self.kept.append(float(output[0].sum())))


class Patched(Module):
    """Has a forward that was put in the place of its own, and holds it."""

    def __init__(self):
        super().__init__()
        inner, self.calls = self.lstm.forward, []

        def counted(*given):
            self.calls.append(len(given))
            return inner(*given)

        self.lstm.forward = counted


class ByHand(Module):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer, loss = self.optimizers(), super().training_step(batch, batch_idx)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


class Zeroes(Module):
    """Changes its batch in place."""

    def training_step(self, batch, batch_idx):
        batch[0][:, 0] = 0
        return super().training_step(batch, batch_idx)


def trained(kind, watched):
    pl.seed_everything(0, verbose=False)
    module, x = kind(), torch.randn(32, STEPS, 1)
    data = TensorDataset(x, (x[:, 0, 0] > 0).long())
    callbacks = [GradientReach([part[:5] for part in data.tensors], every="1 steps")] if watched else []
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        trainer = pl.Trainer(max_epochs=1, callbacks=callbacks, enable_model_summary=False, **quiet)
        trainer.fit(module, DataLoader(data, batch_size=8, shuffle=True))
    state = [value.numpy().tobytes() for value in module.state_dict().values()]
    kept = [str(getattr(module, name, None)) for name in ("kept", "activations", "calls")]
    drawn = torch.rand(()).item(), np.random.rand(), random.random()  # noqa: NPY002
    known = state, kept, drawn, x.numpy().tobytes(), [part.training for part in module.modules()]
    return known, callbacks, [str(each.message) for each in said if "gradreach" in str(each.message)]


@pytest.mark.parametrize("kind", [Stateful, Noisy, Hooked, ByHand, Zeroes])
def test_a_training_goes_as_it_would_without(kind):
    alone, _, _ = trained(kind, watched=False)
    beside, (callback,), said = trained(kind, watched=True)
    assert beside == alone
    if kind is ByHand:
        assert "training_step needs its trainer" in said[0]
    else:
        assert callback.profile["stage"].nunique() == 5  # at the start, and after each step


def curve(module, probe):
    return gradient_profile(module, Batch(probe[0], None, probe[1]), nn.CrossEntropyLoss(reduction="none"))


@pytest.fixture
def probe():
    torch.manual_seed(1)
    return torch.randn(5, STEPS, 1), torch.arange(5) % 2


def test_a_replaced_forward_runs_on_the_copy(probe):
    module = Patched()
    alone = pytest.warns(UserWarning, match=r"only the gradient w\.r\.t\. the input is measured")
    with alone, pytest.warns(UserWarning, match="has its own forward"):
        assert Watcher(module, probe).measure("now")["gradient/reach/input"] > 0
    assert module.calls == []


def test_weights_that_a_hook_computes_are_measured(probe):
    plain, pruned = Module(), Module()
    pruned.load_state_dict(plain.state_dict())
    prune.l1_unstructured(pruned.head, "weight", amount=0.5)
    with torch.no_grad():
        plain.head.weight.copy_(pruned.head.weight)
    np.testing.assert_allclose(curve(pruned, probe)["median"], curve(plain, probe)["median"], rtol=1e-12)


def test_a_method_that_was_compiled_is_measured_as_what_it_was_made_from(probe):
    module = Module()
    expected = curve(module, probe)["median"]
    module.training_step = torch.compile(module.training_step, backend="eager")
    watcher = Watcher(module, probe)
    watcher.measure("now")
    np.testing.assert_allclose(watcher.profile["median"], expected, atol=1e-11)


def test_hooks_that_only_log_are_left_out(probe):
    logged = []
    module = Module()

    def hook(module, given, output):
        logged.append(output)

    hook.__module__ = "wandb.integration.torch.wandb_torch"
    module.head.register_forward_hook(hook)
    Watcher(module, probe).measure("now")
    assert logged == []
