"""How things are timed here, and what a measurement says."""

import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.budgets import AT_MOST, BUDGETS

PROJECT = Path(__file__).resolve().parent.parent
CLOCK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Row:
    """One line of the report.

    - ``what``, ``case``: what was measured, and of which model, size or command.
    - ``value``, ``unit``: the median; of times and their ratios in seconds of the processor, unless ``what`` is a
      throughput.
    - ``low``, ``high``: where the median of many more rounds lies, see ``median_interval``.
    - ``wall``: the same by the wall clock.
    - ``rounds``: how often it was measured.
    - ``note``: what a reader must know.
    """

    what: str
    case: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    wall: float | None = None
    rounds: int = 1
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return ``met`` or ``missed``, by the median; empty without a budget."""
        if (self.what, self.case) not in BUDGETS:
            return ""
        return "met" if self._keeps(self.value) else "missed"

    @property
    def spans(self) -> bool:
        """Whether the range holds the budget: not yet measured often enough."""
        ends = (self.low, self.high)
        return bool(self.verdict) and len({self._keeps(end) for end in ends if end is not None}) == 2

    def _keeps(self, value: float) -> bool:
        budget = BUDGETS[self.what, self.case]
        return value <= budget.bound if budget.sign == AT_MOST else value >= budget.bound


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return between which of the values the true median lies, 19 times of 20; of up to eight the whole range.

    By order statistics: the k-th lies above the median as often as fewer than k of n fair coins show heads.

    >>> median_interval([4, 1, 3]), median_interval(range(1, 10))
    ((1, 4), (2, 8))
    """
    ordered, n = sorted(values), len(values)
    cut = 0
    while 2 * sum(math.comb(n, heads) for heads in range(cut + 2)) / 2**n <= 0.05:
        cut += 1
    return ordered[cut], ordered[n - 1 - cut]


def median_row(
    what: str, case: str, values: Sequence[float], unit: str, wall: Sequence[float] = (), note: str = ""
) -> Row:
    """Return a row from several values of the same, in seconds of the processor and by the wall clock."""
    by_clock = statistics.median(wall) if wall else None
    return Row(what, case, statistics.median(values), unit, *median_interval(values), by_clock, len(values), note)


@dataclass(frozen=True)
class Patience:
    """How often something is measured: this many rounds, then more while a budget is open, as long as time is left."""

    rounds: int = 3
    most: int = 15
    seconds: float = 60.0

    def measure(self, once: Callable[[], object], rows: Callable[[], list[Row]]) -> list[Row]:
        """Measure round by round, and return what came out; what is still open then is decided by the median.

        Args:
            once: does one round.
            rows: what all rounds so far say.
        """
        start, done = time.perf_counter(), 0
        while done < self.rounds or (
            done < self.most
            and time.perf_counter() - start < self.seconds * (1 - 1 / (done + 1))  # another fits
            and any(row.spans for row in rows())
        ):
            once()
            done += 1
        return [replace(row, note=f"{row.note}; by the median".lstrip("; ")) if row.spans else row for row in rows()]


@dataclass(frozen=True)
class Spent:
    """What one thing took.

    - ``wall``, ``cpu``: seconds, by the clock and of the processor, child processes included.
    - ``memory``: of a command, the most that one of its processes held, in MiB.
    - ``printed``: of a command.
    """

    wall: float
    cpu: float
    memory: float = 0.0
    printed: str = ""


class Race:
    """Several things timed in turn, A B C A B C: what slows the machine for a while slows all of them.

    - ``variants``: by name; one that returns ``Spent`` has timed itself.
    """

    def __init__(self, variants: Mapping[str, Callable[[], object]]) -> None:
        self.variants = variants
        self.wall: dict[str, list[float]] = {name: [] for name in variants}
        self.cpu: dict[str, list[float]] = {name: [] for name in variants}

    def round(self) -> None:
        """Do each once."""
        for name, do in self.variants.items():
            gc.collect()
            beside, wall, cpu = service_seconds(), time.perf_counter(), time.process_time()
            spent = do()
            if not isinstance(spent, Spent):
                own, clock = time.process_time() - cpu, time.perf_counter() - wall
                spent = Spent(clock, own + service_seconds() - beside)
            self.wall[name].append(spent.wall)
            self.cpu[name].append(spent.cpu)

    def ratio(self, what: str, case: str, above: str, below: str, note: str = "") -> Row:
        """Return a row of what was measured in the same rounds, divided."""
        by_cpu, by_wall = (ratios(times[above], times[below]) for times in (self.cpu, self.wall))
        return median_row(what, case, by_cpu, "×", by_wall, note)


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Divide what was measured in the same round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def service_seconds() -> float:
    """Return the processor time of W&B's own process, which serves this one; 0 where it cannot be seen."""
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


def call(*arguments: str, folder: Path) -> Spent:
    """Run ``python <arguments>`` in a folder, one thread.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    paths = [str(PROJECT / "src"), str(PROJECT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    usage = folder / "spent.json"
    command = [sys.executable, "-I", "-S", str(PROJECT / "benchmarks/spent.py"), str(usage), sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    printed = done.stdout.decode(errors="replace")
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {done.returncode}\n{printed[-2000:]}")
    return Spent(**json.loads(usage.read_text("utf-8")), printed=printed)
