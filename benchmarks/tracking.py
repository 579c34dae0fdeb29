"""What W&B offline adds to a run, in a process that is warm, as a worker of a sweep is."""

import os
import statistics
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.loop import Setting
from benchmarks.measure import Row, alternate, median_row
from benchmarks.one_run import configure, finished
from gradreach.config import RunConfig, RunEnvironment

MODES = ("off", "offline")
CASES = {
    "lstm, 1 epoch": {"epochs": 1},
    "lstm medium, 60 epochs": {"epochs": 60, "width": 64, "seq_len": 128},
    "lstm, 300 epochs": {"epochs": 300},
}
"""A run that is over at once, which is all start and end; and two of some twenty seconds, of few and of many epochs."""
CLOCK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def tracking(folder: Path, rounds: int, cases: dict[str, dict[str, int]] = CASES) -> list[Row]:
    """Measure what is added, by the wall clock and in processor time with that of wandb's own process."""
    torch.set_num_threads(1)
    for mode in MODES:
        do(pairs(folder, mode, 1, {"epochs": 1}))  # the first run of a process also imports, and starts wandb's own
    return [row for case, values in cases.items() for row in compare(folder, rounds, case, values)]


def pairs(folder: Path, mode: str, rounds: int, values: dict[str, int]) -> Iterator[tuple[RunConfig, RunEnvironment]]:
    """Yield runs that were composed beforehand; W&B names folders by the second, so no two are the same."""
    settings = [Setting("lstm", **values, seed=seed) for seed in range(rounds)]
    return iter([configure(setting, folder / mode, f"tracking={mode}") for setting in settings])


def do(runs: Iterator[tuple[RunConfig, RunEnvironment]]) -> None:
    """Do the next run.

    Raises:
        RuntimeError: it did not finish.
    """
    finished(*next(runs))


def compare(folder: Path, rounds: int, case: str, values: dict[str, int]) -> list[Row]:
    """Measure one length of run, off and offline in turn."""
    service: list[float] = []

    def offline(runs: Iterator[tuple[RunConfig, RunEnvironment]]) -> None:
        before = service_seconds()
        do(runs)
        service.append(service_seconds() - before)

    runs = {mode: pairs(folder, mode, rounds, values) for mode in MODES}
    seconds = alternate({"off": partial(do, runs["off"]), "offline": partial(offline, runs["offline"])}, rounds)
    off, on = seconds["off"], seconds["offline"]
    case = f"{case}, {statistics.median(off.wall):.1f} s without"
    added = [a - b for a, b in zip(on.wall, off.wall, strict=True)]
    worked = [a + c - b for a, b, c in zip(on.cpu, off.cpu, service, strict=True)]
    shares = [100 * a / b for a, b in zip(added, off.wall, strict=True)]
    work_shares = [100 * a / b for a, b in zip(worked, off.cpu, strict=True)]
    what, note = "W&B offline adds", "with wandb's own process"
    if values["epochs"] == 1:
        return [
            median_row(f"{what} to start and end", case, added, "s", budget=0.3),
            median_row(f"{what}, processor time", case, worked, "s", note=note),
        ]
    return [
        median_row(f"{what} to a run", case, shares, "%", budget=3),
        median_row(f"{what}, processor time", case, work_shares, "%", note=note),
    ]


def service_seconds() -> float:
    """Return the processor time of wandb's own process, which serves this one; 0 where it cannot be seen."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if name.startswith("wandb-core") and int(fields[1]) == os.getpid():
            total += int(fields[11]) + int(fields[12])
    return total / CLOCK
