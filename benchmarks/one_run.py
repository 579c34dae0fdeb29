"""Runs in a process that is warm, as a worker of a sweep is: a step, and a whole default run, against the loop.

The loop runs in a process of its own, which is warm too.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from hydra import compose, initialize_config_dir

import gradreach.training
from benchmarks.budgets import DIAGNOSTICS, RUN, STEP, flushed
from benchmarks.loop import Outcome, Setting, train
from benchmarks.measure import PROJECT, Patience, Race, Row, Spent, median_row
from gradreach.config import RunConfig, RunEnvironment, parse, plain
from gradreach.run_state import Run, Stopwatch
from gradreach.runner import execute
from gradreach.system import machine

MODELS = ("rnn", "gru", "lstm", "cnn")
LOOP, LOOP_FLUSHING, RUNS, RUNS_TORCH = "loop", "loop with flushing", "gradreach", "gradreach, kernels=torch"
STEPS = {
    **{
        f"{model}, T = {length}": Setting(model, seq_len=length, epochs=1, task="recall")
        for length in (200, 64)
        for model in ("lstm", "gru", "rnn")
    },
    "cnn, default run": Setting("cnn"),
}
VARIANTS = {
    "all off": ["diagnostics=off", "tracking=off"],
    "diagnostics on": ["tracking=off"],
    "tracking on": ["diagnostics=off"],
    "all on": [],
}
"""``run.py``'s defaults are all on: gradient profiles, and W&B offline."""


def configure(setting: Setting, folder: Path, *more: str) -> tuple[RunConfig, RunEnvironment]:
    """Compose a run as ``run.py`` does."""
    here = ["force=true", f"results_dir={folder}"]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return parse(plain(compose("config", overrides=[*here, *setting.overrides(), *more])))


def finished(run: RunConfig, environment: RunEnvironment) -> dict[str, Any]:
    """Do a run, and return its record.

    Raises:
        RuntimeError: it did not finish.
    """
    record = execute(run, environment)
    if record["status"] != "finished":
        raise RuntimeError(f"{run.label}: {record['status']}: {record.get('error')}")
    return record


class BothClocks(Stopwatch):
    """Counts the processor's seconds too: ``cpu``, as of when it was last read."""

    cpu_since, cpu = 0.0, 0.0

    def start(self) -> None:
        """Start to count."""
        super().start()
        self.cpu_since = time.process_time()

    @property
    def seconds(self) -> float:
        """How many have passed."""
        self.cpu = time.process_time() - self.cpu_since
        return super().seconds


def epochs_of(run: RunConfig, environment: RunEnvironment) -> tuple[Spent, float]:
    """Do a run; return what its epochs took, validation included, and the validation loss after the first.

    Raises:
        RuntimeError: it did not finish.
    """
    clocks: list[Spent] = []
    first: list[float] = []
    train_it = gradreach.training.fit

    def fit(run: Run, *others: Any) -> Any:
        run.training = clock = BothClocks()
        run.listeners.append(lambda row: first.append(row["val/loss"]))
        fitted = train_it(run, *others)
        clocks.append(Spent(fitted.seconds, clock.cpu))
        return fitted

    with mock.patch.object(gradreach.training, "fit", fit):
        finished(run, environment)
    (spent,) = clocks
    return spent, first[0]


@cache
def elsewhere() -> ProcessPoolExecutor:
    """Return another process, for the loop: what a run sets in this one, such as the allocator, is not set there."""
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))


def by_hand(setting: Setting, flush: bool) -> tuple[Outcome, Spent]:
    """Do the loop there; return what it came to, and what all of it took."""
    return elsewhere().submit(_by_hand, setting, flush).result()


def _by_hand(setting: Setting, flush: bool) -> tuple[Outcome, Spent]:
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = train(setting, flush)
    return outcome, Spent(time.perf_counter() - wall, time.process_time() - cpu)


def racers(setting: Setting, folder: Path, first: dict[str, float]) -> Race:
    """Return the epochs of loop, loop with flushing and runs, of which nothing is on that the loop has not."""

    def loop(name: str, flush: bool) -> Spent:
        outcome, _ = by_hand(setting, flush)
        first[name] = outcome.first_validation_loss
        return Spent(outcome.wall, outcome.cpu)

    def run(name: str, configured: tuple[RunConfig, RunEnvironment]) -> Spent:
        spent, first[name] = epochs_of(*configured)
        return spent

    kernels = {RUNS: [], RUNS_TORCH: ["kernels=torch"]}
    off = VARIANTS["all off"]
    return Race(
        {
            LOOP: partial(loop, LOOP, False),
            LOOP_FLUSHING: partial(loop, LOOP_FLUSHING, True),
            **{name: partial(run, name, configure(setting, folder, *off, *more)) for name, more in kernels.items()},
        }
    )


def warm_up(folder: Path) -> None:
    """Do one small run of each kind: the first of a process imports, compiles, and starts W&B's own process."""
    torch.set_num_threads(1)
    machine.take_over()
    for model in MODELS:
        setting = Setting(model, width=4, epochs=1)
        by_hand(setting, False)
        finished(*configure(setting, folder))


def check_same(case: str, first: dict[str, float]) -> None:
    """See that all have done the same, by the validation loss after the first epoch.

    Later epochs may differ: training amplifies the last bits, in which kernels of other memory layouts differ.

    Raises:
        RuntimeError: they have not: they would not be comparable.
    """
    if max(first.values()) - min(first.values()) > 1e-3:
        raise RuntimeError(f"{case}: not the same, by the validation loss after the first epoch: {first}")


def steps(folder: Path, patience: Patience, settings: dict[str, Setting] = STEPS) -> list[Row]:
    """Measure training steps: epochs of a run by Lightning against those of the loop, validation in both."""
    warm_up(folder)
    rows = []
    for case, setting in settings.items():
        rows += step(case, setting, folder, patience)
    return rows


def step(case: str, setting: Setting, folder: Path, patience: Patience) -> list[Row]:
    """Measure one setting."""
    first: dict[str, float] = {}
    race = racers(setting, folder, first)

    def rows() -> list[Row]:
        against = [
            race.ratio(STEP, case, RUNS, LOOP),
            race.ratio(flushed(STEP), case, RUNS, LOOP_FLUSHING),
            race.ratio("the loop ÷ the loop with flushing", case, LOOP, LOOP_FLUSHING),
        ]
        if setting.task != "recall":
            return against
        took = (
            median_row("a step, milliseconds", f"{case}, {name}", [1000 * cpu / setting.steps for cpu in cpus], "ms")
            for name, cpus in race.cpu.items()
        )
        return [*against, *took]

    measured = patience.measure(race.round, rows)
    check_same(case, first)
    return measured


def whole_runs(folder: Path, patience: Patience, epochs: int = 15) -> list[Row]:
    """Measure whole default runs against the loop, data, records, test and all."""
    warm_up(folder)
    rows = []
    for model in MODELS:
        rows += whole_run(Setting(model, epochs=epochs), folder, patience)
    return rows


def whole_run(setting: Setting, folder: Path, patience: Patience) -> list[Row]:
    """Measure one model."""
    configured = {name: configure(setting, folder, *more) for name, more in VARIANTS.items()}
    shares: list[float] = []
    beside: list[float] = []

    def do(name: str) -> None:
        start = time.perf_counter()
        record = finished(*configured[name])
        if name == "all on":
            shares.append(100 * record["diagnostics_seconds"] / record["training_seconds"])
            beside.append(time.perf_counter() - start - record["training_seconds"])

    def loop(flush: bool) -> Spent:
        return by_hand(setting, flush)[1]

    loops = {LOOP: partial(loop, False), LOOP_FLUSHING: partial(loop, True)}
    race = Race({**loops, **{name: partial(do, name) for name in VARIANTS}})
    case = setting.model

    def rows() -> list[Row]:
        return [
            race.ratio(RUN, case, "all on", LOOP),
            *(race.ratio(flushed(RUN.replace("all on", name)), case, name, LOOP_FLUSHING) for name in VARIANTS),
            median_row(DIAGNOSTICS, case, shares, "%"),
            median_row("a default run, beside training", case, beside, "s", note="by the clock"),
            median_row("a default run by hand", case, race.cpu[LOOP], "s", race.wall[LOOP]),
        ]

    return patience.measure(race.round, rows)
