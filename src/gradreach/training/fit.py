"""Trains on one split, selects on another, and reports the third once."""

from dataclasses import dataclass

import pandas as pd
import torch
from pytorch_lightning import Callback
from torch import nn

from gradreach.batch import EVALUATION_BATCH, limited
from gradreach.run_state import Run
from gradreach.tasks import Batches, Splits, Synthetic, Task
from gradreach.training.checkpoint import Resume
from gradreach.training.epochs import BestWeights, Divergence, History, Progress, see_finite
from gradreach.training.gradients import GradientMonitor
from gradreach.training.lengths import at_test_lengths, drawn_loaders
from gradreach.training.measuring import Measurement
from gradreach.training.module import TrainingModule
from gradreach.training.stopping import Interruptible, Prune, StopAtStep, StopWhen
from gradreach.training.trainer import make_loggers, make_trainer, quiet

EVERY_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
"""The hooks of a step, which a callback need not have."""


@dataclass(frozen=True)
class Fit:
    """The result of training.

    - ``figures``: ``train/*`` and ``val/*`` of the chosen epoch, ``test/*`` of its weights; at each of the task's test
      lengths ``test/accuracy/160``, ``test/loss/160``.
    - ``best_epoch``: the chosen epoch, from 1.
    - ``seconds``: time spent in training and validation, without what was measured in between.
    - ``steps``: the number of optimizer steps.

    The run's table ``examples`` holds which test examples are right, in order; for values there is none.
    """

    figures: dict[str, float]
    best_epoch: int
    seconds: float
    steps: int


def fit(run: Run, model: nn.Module, task: Task, splits: Splits) -> Fit:
    """Train a model; afterwards it holds the best-validation checkpoint, or the weights of the last epoch.

    Args:
        run: says how; where it has a checkpoint, it goes on from there.
        model: on its device, with its initial weights.
        task: says what loss and score are.
        splits: to learn from, to choose by, to report once.

    Raises:
        Diverged: the loss stopped being finite, in training or of the chosen weights in the test.
        Interrupted: the process was asked to stop, or validation was worse than ``prune`` allows.
    """
    budget = run.config.trainer
    loaders = make_loaders(run, model, task, splits)
    module = TrainingModule(model, task, run.config.optimizer, budget.clip_norm, budget.max_steps)
    own: list[Callback] = [target.make() for target in run.config.callbacks.values()]
    best = BestWeights(budget.select)
    callbacks = make_callbacks(run, own, best)
    batches = {stage: len(loader) for stage, loader in loaders.items()}
    if budget.epochs is not None:
        in_epoch = limited(budget.limit_train_batches, batches["train"])
        module.planned = budget.epochs * -(-in_epoch // budget.accumulate_grad_batches)
    else:
        module.planned = budget.max_steps
    with quiet():
        loggers = make_loggers(run)
        module.heard = bool(own or loggers)
        trainer = make_trainer(run, callbacks, loggers, batches)
        saved = run.checkpoint if run.checkpoint.exists() else None
        trainer.fit(module, loaders["train"], loaders["val"], ckpt_path=saved, weights_only=True)
        seconds, steps = run.training.seconds - run.measuring, trainer.global_step
        over = budget.epochs is None and steps == budget.max_steps
        if trainer.should_stop and run.stopped is None and not over:
            run.stopped = next((type(one).__name__ for one in own if getattr(one, "stopped_epoch", 0)), "a callback")
        model.load_state_dict(best.weights)
        trainer.test(module, loaders["test"], verbose=False)
        see_finite("test", module.figures["test/loss"])
        if module.right:
            run.tables["examples"] = [pd.DataFrame({"right": torch.cat(module.right).cpu().numpy()})]
        at_test_lengths(run, trainer, module)
        model.to(run.environment.device)  # Lightning leaves it on the CPU
    chosen = {key: value for key, value in best.row.items() if key.startswith(("train/", "val/"))}
    tested = {key: value for key, value in module.figures.items() if key.startswith("test/")}
    return Fit({**chosen, **tested}, best.row["epoch"], seconds, steps)


def make_loaders(run: Run, model: nn.Module, task: Task, splits: Splits) -> dict[str, Batches]:
    """Cut the splits into batches; those of ``overfit_batches`` are both learned from and chosen by."""
    budget, device = run.config.trainer, run.environment.device
    if isinstance(task, Synthetic) and task.train_lengths is not None:
        return drawn_loaders(run, task, splits)
    shortest = shortest_of(model)
    train, validation, test = (split.to(device) for split in splits)
    if budget.overfit_batches is not None:
        train = validation = train.take(slice(budget.overfit_batches * budget.batch_size))
    return {
        "train": Batches(train, budget.batch_size, seed=run.config.seed, shortest=shortest),
        "val": Batches(validation, EVALUATION_BATCH, shortest=shortest),
        "test": Batches(test, EVALUATION_BATCH, shortest=shortest),
    }


def make_callbacks(run: Run, own: list[Callback], best: BestWeights) -> list[Callback]:
    """Return all callbacks in their order: who stops before who measures, who saves last."""
    budget = run.config.trainer
    stop_when = dict(budget.stop_when or {})
    limits = {
        "max_steps" if budget.epochs is not None else None: budget.max_steps,
        "stop_when steps": stop_when.pop("steps", None),
    }
    interruptible = Interruptible(run.interruption)
    callbacks: list[Callback] = [
        GradientMonitor(run.tables),
        *(StopAtStep(run, int(steps), setting) for setting, steps in limits.items() if steps is not None),
        Measurement(run),
        *own,
        *([Progress(run.watch)] if run.watch is not None else []),
        History(run),
        Divergence(),
        best,
        *(StopWhen(run, figure, bound) for figure, bound in stop_when.items()),
        interruptible,
        *([Prune(run, run.environment.prune, interruptible)] if run.environment.prune else []),
        Resume(run, interruptible),
    ]
    for callback in callbacks:
        for hook in EVERY_STEP:
            if getattr(type(callback), hook) is getattr(Callback, hook) and hook not in vars(callback):
                setattr(callback, hook, None)  # Lightning calls every hook that exists, forty times a step
    return callbacks


def shortest_of(model: nn.Module) -> int:
    """Return how many steps a padded batch must keep, so that convolutions without padding still give a step."""
    return getattr(getattr(model, "encoder", None), "receptive_field", None) or 1
