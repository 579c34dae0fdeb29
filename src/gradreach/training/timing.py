"""Times training steps: several configurations side by side in one process, so that what slows one slows all."""

import gc
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gradreach import kernels
from gradreach.assemble import assemble
from gradreach.config import RunConfig, RunEnvironment
from gradreach.run_table.times import CLOCKS, DIRECTIONS
from gradreach.tasks import Batches, Splits, Task
from gradreach.training.fit import shortest_of
from gradreach.training.module import TrainingModule
from gradreach.training.optimizers import make_optimizer

STEPS = 10
"""Of training in each round: what is told is their mean."""
WARM_UP = 2
"""Rounds that do not count: memory is fetched and code compiled in them."""
FEWEST = 12
"""Rounds that are made however long they take: from this many on exact tests of a claim of many parts can decide."""

Name = tuple[str, str]
"""What is timed: its setting, and the kernels that it runs through."""


class Steps:
    """A network in training, a few steps at a time on the same batches, and what they take.

    - ``run``, ``environment``: what is trained; on the CPU.
    - ``task``, ``splits``: it learns from the first batches of the first epoch.
    - ``compiled``: whether it runs through compiled loops, where it can.

    ``is_compiled`` says whether it does.
    """

    def __init__(self, run: RunConfig, environment: RunEnvironment, splits: Splits, compiled: bool) -> None:
        torch.manual_seed(run.seed)
        task, model = assemble(run, environment)
        self.is_compiled = compiled and kernels.prepare(model)
        self.limit = run.trainer.clip_norm
        self.module = TrainingModule(model, task, run.optimizer).train()
        self.optimizer = make_optimizer(run.optimizer, model, fused=True)
        batches = Batches(splits.train, run.trainer.batch_size, seed=run.seed, shortest=shortest_of(model))
        self.batches = list(itertools.islice(itertools.cycle(itertools.islice(batches, STEPS)), STEPS))

    def take(self) -> dict[str, float]:
        """Run all steps.

        Returns:
            Mean seconds a step: ``forward_cpu``, ``backward_cpu``, ``step_cpu``, and ``..._wall``.
        """
        spent = dict.fromkeys((f"{direction}_{clock}" for clock in CLOCKS for direction in DIRECTIONS), 0.0)
        for batch in self.batches:
            begun = _now()
            self.optimizer.zero_grad()
            before = _now()
            loss = self.module.training_step(batch, 0)
            forward = _now()
            loss.backward()
            backward = _now()
            if self.limit is not None:
                nn.utils.clip_grad_norm_(self.module.parameters(), self.limit)
            self.optimizer.step()
            done = _now()
            spans = ((before, forward), (forward, backward), (begun, done))
            for direction, (start, end) in zip(DIRECTIONS, spans, strict=True):
                for clock, first, last in zip(CLOCKS, start, end, strict=True):
                    spent[f"{direction}_{clock}"] += (last - first) / len(self.batches)
        return spent


def _now() -> tuple[float, float]:
    """Return the time by the clocks, in the order of ``CLOCKS``."""
    return time.process_time(), time.perf_counter()


def prepare_steps(runs: Mapping[str, tuple[RunConfig, RunEnvironment]]) -> dict[Name, Steps]:
    """Make each network ready, run by torch's own layers and, where there are such, by compiled loops beside.

    Args:
        runs: by their settings.

    Raises:
        ConfigError: task and model cannot work together, or its data are not there.
    """
    data: dict[str, Splits] = {}
    found: dict[Name, Steps] = {}
    for setting, (run, environment) in runs.items():
        key = run.task.model_dump_json()
        if key not in data:
            task: Task = run.task.make()
            task.prepare(environment.data_dir)
            data[key] = task.splits(environment.data_dir)
        found[setting, "torch"] = Steps(run, environment, data[key], compiled=False)
        if (fast := Steps(run, environment, data[key], compiled=True)).is_compiled:
            found[setting, "compiled"] = fast
    return found


def time_steps(
    networks: Mapping[Name, Steps], rounds: int, seconds: float, tell: Callable[[int], Any] = lambda done: None
) -> list[dict[str, Any]]:
    """Time networks in turn, A B C, then C B A, and so on: neither drift nor order favours one of them.

    Args:
        networks: what is timed; those that are compared stand beside each other.
        rounds: how often each has its turn.
        seconds: after this many no new round begins, once ``FEWEST`` are done.
        tell: called after each round with the number of them.

    Returns:
        A row for each network and round: ``setting``, ``kernels``, ``round`` from 0, and what ``Steps.take`` tells.
    """
    rows: list[dict[str, Any]] = []
    turn: Sequence[Name] = list(networks)
    for _ in range(WARM_UP):
        for name in turn:
            networks[name].take()
    start = time.perf_counter()
    for number in range(rounds):
        if number >= FEWEST and time.perf_counter() - start > seconds:
            break
        gc.collect()
        for setting, backend in turn if number % 2 == 0 else reversed(turn):
            taken = networks[setting, backend].take()
            rows.append({"setting": setting, "kernels": backend, "round": number, **taken})
        tell(number + 1)
    return rows
