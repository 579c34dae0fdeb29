"""Training chooses by the task's own score: accuracy upwards, mean squared error downwards."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gradreach.config import OptimizerSettings, TrainerSettings
from gradreach.tasks import Adding, Batch, Copy, Splits
from gradreach.training import BestWeights, Diverged, Divergence, fit
from project import bare_run

NOWHERE = Path("there is no such folder")
ADAM = OptimizerSettings(name="adam", lr=0.01, weight_decay=0.0, schedule="constant")
BUDGET = TrainerSettings(epochs=3, batch_size=32, clip_norm=None)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric", "ignore::UserWarning:pytorch_lightning")


class Sum(nn.Module):
    """Answers with a weight times the sum of marked values."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, x, lengths=None):
        return self.weight * (x[:, :, 0] * x[:, :, 1]).sum(1, keepdim=True)


class Shift(nn.Module):
    """Answers each step with a linear map of the step ``delay`` before it."""

    def __init__(self, delay):
        super().__init__()
        self.delay, self.head = delay, nn.Linear(10, 8)

    def forward(self, x, lengths=None):
        return self.head(x.roll(self.delay, 1))


def close(metric, scores):
    """Let epochs pass with these validation scores; return the number of the chosen one."""
    best = BestWeights()
    for epoch, score in enumerate(scores):
        figures = {"train/loss": 1.0, "val/loss": 1.0, f"val/{metric}": score}
        module = SimpleNamespace(figures=figures, model=nn.Linear(1, 1), task=SimpleNamespace(metric=metric))
        best.on_train_epoch_end(SimpleNamespace(current_epoch=epoch, global_step=epoch), module)
    return best.row["epoch"]


def test_accuracy_is_better_when_higher_and_an_error_when_lower():
    assert close("accuracy", [0.1, 0.9, 0.5]) == 2
    assert close("mse", [0.9, 0.1, 0.5]) == 2


@pytest.mark.parametrize("stage", ["train", "val"])
def test_a_loss_that_is_not_finite_is_a_divergence(stage):
    figures = {"train/loss": 1.0, "val/loss": 1.0, "val/mse": 1.0, f"{stage}/loss": math.nan}
    with pytest.raises(Diverged, match="loss is nan after epoch 1"):
        Divergence().on_train_epoch_end(SimpleNamespace(current_epoch=0), SimpleNamespace(figures=figures))


def test_a_task_of_values_is_learned_and_its_figures_go_by_its_metric():
    task = Adding(seq_len=10, train_size=1000, validation_size=100, test_size=100)
    run, rows = bare_run(ADAM, BUDGET)
    model = Sum()
    done = fit(run, model, task, task.splits(NOWHERE))
    assert set(done.figures) == {f"{stage}/{name}" for stage in ("train", "val", "test") for name in ("loss", "mse")}
    assert done.figures["test/mse"] == done.figures["test/loss"] < 0.01
    assert done.best_epoch == 1 + min(range(3), key=lambda i: rows[i]["val/mse"])
    assert model.weight.item() == pytest.approx(1, abs=0.1)


def test_a_task_of_steps_is_learned_on_the_steps_that_count():
    task = Copy(seq_len=30, train_size=1000, validation_size=100, test_size=100)
    budget = TrainerSettings(epochs=5, batch_size=32, clip_norm=None)
    done = fit(bare_run(ADAM, budget)[0], Shift(20), task, task.splits(NOWHERE))
    assert done.figures["test/accuracy"] == 1
    blind = fit(bare_run(ADAM, budget)[0], Shift(5), task, task.splits(NOWHERE))
    assert blind.figures["test/accuracy"] == pytest.approx(1 / 8, abs=0.05)


def test_padding_that_is_cut_off_changes_no_figure():
    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(1, 2)

        def forward(self, x, lengths):
            return self.head(x.sum(1) / lengths.clamp(min=1).unsqueeze(1))

    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, 50, (300,), generator=generator)
    x = torch.randn(300, 50, 1, generator=generator)
    x[torch.arange(50) >= lengths.unsqueeze(1)] = 0
    examples = Batch(x, lengths, (x.sum((1, 2)) > 0).long())
    whole = Batch(torch.cat([x, torch.zeros(300, 30, 1)], 1), lengths, examples.target)
    task, figures = Copy(seq_len=30), []
    for split in (examples, whole):
        torch.manual_seed(0)
        splits = Splits(split, split, split)
        done = fit(bare_run(ADAM, BUDGET)[0], Mean(), task, splits)
        figures.append(done.figures)
    assert figures[0] == pytest.approx(figures[1], abs=1e-6)
    assert figures[0]["test/accuracy"] > 0.6
