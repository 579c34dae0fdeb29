"""Training against a loop written by hand, and what must never be confused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from pytorch_lightning import seed_everything
from torch import nn

from gradreach.config import OptimizerSettings, TrainerSettings
from gradreach.models import CNN, GRU, SequenceModel
from gradreach.tasks import Batch, Batches, Digits, Splits
from gradreach.training import fit
from project import bare_run

BUDGET = {"epochs": 3, "batch_size": 16, "clip_norm": 0.5, "checkpoint_seconds": 60, "keep_checkpoint": False}
ADAM = {"name": "adam", "lr": 0.02, "weight_decay": 0.01, "schedule": "cosine"}


def make_splits():
    """Three splits that cannot be taken for one another."""
    torch.manual_seed(0)
    sizes = (50, 30, 20)
    return Splits(*(Batch(torch.randn(n, 8, 1), None, torch.randint(10, (n,))) for n in sizes))


def by_hand(model, splits, optimizer, budget, seed):
    """Train as a textbook would; return the rows, the best weights and the gradient norms."""
    parameters = list(model.parameters())
    adam = torch.optim.Adam(parameters, lr=optimizer["lr"], weight_decay=optimizer["weight_decay"], fused=True)
    batches = Batches(splits.train, budget["batch_size"], seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, budget["epochs"] * len(batches))
    rows, weights = [], []
    for epoch in range(budget["epochs"]):
        batches.epoch = epoch
        losses, right = [], 0
        for batch in batches:
            logits = model(batch.x)
            loss = F.cross_entropy(logits, batch.target)
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, budget["clip_norm"])
            adam.step()
            schedule.step()
            losses += [loss.item()] * len(batch)
            right += (logits.argmax(-1) == batch.target).sum().item()
        with torch.no_grad():
            logits = model(splits.validation.x)
        rows.append(
            {
                "train/loss": sum(losses) / len(losses),
                "train/accuracy": right / len(splits.train),
                "val/loss": F.cross_entropy(logits, splits.validation.target).item(),
                "val/accuracy": (logits.argmax(-1) == splits.validation.target).float().mean().item(),
            }
        )
        weights.append(copy.deepcopy(model.state_dict()))
    best = max(range(len(rows)), key=lambda e: (rows[e]["val/accuracy"], -rows[e]["val/loss"]))
    return rows, best, weights[best]


@pytest.mark.parametrize("encoder", [GRU, CNN])
def test_training_is_what_a_loop_by_hand_does(encoder):
    splits = make_splits()
    torch.manual_seed(1)
    model = SequenceModel(encoder(1, width=6), "mean", 10)
    other = copy.deepcopy(model)
    rows, best, weights = by_hand(other, splits, ADAM, BUDGET, seed=5)

    run, told = bare_run(OptimizerSettings.model_validate(ADAM), TrainerSettings.model_validate(BUDGET), seed=5)
    fitted = fit(run, model, Digits(), splits)
    for row, reference in zip(told, rows, strict=True):
        assert {key: row[key] for key in reference} == pytest.approx(reference, rel=1e-5)
    assert fitted.best_epoch == best + 1
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, weights[name])
    with torch.no_grad():
        logits = model(splits.test.x)
    assert fitted.figures["test/loss"] == pytest.approx(F.cross_entropy(logits, splits.test.target).item(), rel=1e-5)
    accuracy = (logits.argmax(-1) == splits.test.target).float().mean().item()
    assert fitted.figures["test/accuracy"] == pytest.approx(accuracy)
    assert fitted.steps == 3 * 4


def test_the_gradient_norm_is_that_before_clipping():
    splits = make_splits()
    torch.manual_seed(1)
    model = SequenceModel(GRU(1, width=6), "last", 10)
    one = Splits(splits.train.take(slice(16)), *splits[1:])
    F.cross_entropy(model(one.train.x), one.train.target).backward()
    norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters())).item()
    budget = TrainerSettings.model_validate({**BUDGET, "epochs": 1, "clip_norm": 1e-3})
    run, told = bare_run(OptimizerSettings.model_validate(ADAM), budget)
    fit(run, model, Digits(), one)
    assert norm > 0.1
    assert told[0]["gradient/norm"] == pytest.approx(norm, rel=1e-4)


def test_the_test_split_chooses_nothing():
    splits = make_splits()
    outcomes = []
    for test in (splits.test, Batch(splits.test.x, None, (splits.test.target + 1) % 10)):
        seed_everything(1, verbose=False)
        model = SequenceModel(GRU(1, width=6), "last", 10)
        run, told = bare_run(OptimizerSettings.model_validate(ADAM), TrainerSettings.model_validate(BUDGET), seed=5)
        fit(run, model, Digits(), splits._replace(test=test))
        outcomes.append([{k: v for k, v in row.items() if k != "time/seconds"} for row in told])
    assert outcomes[0] == outcomes[1]
