"""How things are timed here, and what a measurement says."""

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

PROJECT = Path(__file__).resolve().parent.parent
AT_MOST, AT_LEAST = "≤", "≥"


@dataclass(frozen=True)
class Row:
    """One line of the report.

    - ``what``, ``case``: what was measured, and of which model, size or command.
    - ``value``, ``unit``: the median.
    - ``low``, ``high``: the smallest and the largest single value.
    - ``budget``: the bound of the design, with its ``sign``; None where the figure only informs.
    - ``note``: what a reader must know.
    """

    what: str
    case: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    budget: float | None = None
    sign: str = AT_MOST
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return ``met``, ``missed``, or ``undecided`` where the range spans the budget; empty without a budget."""
        if self.budget is None:
            return ""
        ends = [self.value if end is None else end for end in (self.low, self.high)]
        kept = {end <= self.budget if self.sign == AT_MOST else end >= self.budget for end in ends}
        return "undecided" if len(kept) == 2 else "met" if True in kept else "missed"


def median_row(what: str, case: str, values: Sequence[float], unit: str, **more: object) -> Row:
    """Return a row from several values of the same."""
    return Row(what, case, statistics.median(values), unit, min(values), max(values), **more)  # type: ignore[arg-type]


class Seconds(NamedTuple):
    """What one thing took, one figure a round: by the wall clock, and of this process's own computing."""

    wall: list[float]
    cpu: list[float]


def alternate(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Seconds]:
    """Time several things in turn, A B C A B C: what slows the machine for a while slows all of them."""
    seconds = {name: Seconds([], []) for name in variants}
    for _ in range(rounds):
        for name, do in variants.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            do()
            seconds[name].cpu.append(time.process_time() - cpu)
            seconds[name].wall.append(time.perf_counter() - wall)
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Divide what was measured in the same round."""
    return [a / b for a, b in zip(above, below, strict=True)]


@dataclass(frozen=True)
class Process:
    """What a command cost: wall-clock seconds, and the largest memory it held itself, in MiB."""

    seconds: float
    memory: float


def call(*arguments: str, folder: Path) -> Process:
    """Run ``python <arguments>`` in a folder, one thread.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    paths = [str(PROJECT / "src"), str(PROJECT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / "output.txt").open("w+b") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait for it again
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(arguments)}: exit code {process.returncode}\n{said}")
    return Process(seconds, usage.ru_maxrss / 1024)


def matrix_peak(seconds: float = 1.0) -> float:
    """Return the most float32 operations per second that matrix products reach on one thread."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best
