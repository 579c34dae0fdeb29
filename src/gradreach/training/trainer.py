"""A Lightning Trainer that only trains."""

import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler

from gradreach.batch import limited
from gradreach.config import resolve
from gradreach.run_state import Run

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # the list of devices is not news

NOTHING = nullcontext()


class NoProfiler(PassThroughProfiler):
    """A profiler that does nothing: Lightning calls it a hundred times per step."""

    def profile(self, action_name: str) -> Any:
        """Return a context that does nothing."""
        return NOTHING


def make_trainer(run: Run, callbacks: list[Callback], loggers: list[Logger], batches: dict[str, int]) -> Trainer:
    """Make the Trainer of a run: the settings that Lightning knows are given to it, what it could show we show.

    Args:
        run: what to do, and where.
        callbacks: all of them, in their order.
        loggers: who is told what is logged.
        batches: how many there are of each: train, val, test.
    """
    budget = run.config.trainer
    accelerator, _, index = run.environment.device.partition(":")
    return Trainer(
        logger=loggers or False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        max_epochs=-1 if budget.epochs is None else budget.epochs,
        precision=budget.precision,
        accumulate_grad_batches=budget.accumulate_grad_batches,
        limit_train_batches=limited(budget.limit_train_batches, batches["train"]),
        limit_val_batches=limited(budget.limit_val_batches, batches["val"]),
        limit_test_batches=limited(budget.limit_test_batches, batches["test"]),
        fast_dev_run=budget.fast_dev_run,
        accelerator=accelerator,
        devices=[int(index)] if index else 1,
        callbacks=callbacks,
        profiler=NoProfiler(),
        default_root_dir=run.store.folder(run.config.run_id),
        plugins=[LightningEnvironment()],  # one process, whatever Lightning would infer from a SLURM job's variables
    )


def make_loggers(run: Run) -> list[Logger]:
    """Make the run's loggers; each is told which run it is, and its configuration."""
    config = run.config
    loggers = []
    if run.environment.logger:
        (run.environment.results_dir / "logs").mkdir(parents=True, exist_ok=True)  # a database makes no folder
    for target in run.environment.logger.values():
        names = {"version": config.run_id, "run_name": f"{config.label} · seed {config.seed}"}
        known = inspect.signature(resolve(target.target)).parameters
        logger: Logger = target.make(**{name: value for name, value in names.items() if name in known})
        logger.log_hyperparams({**config.canonical(), "run_id": config.run_id})
        loggers.append(logger)
    return loggers


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Lightning's advice on worker processes and on srun: we use neither."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        yield
