"""``python -m benchmarks``: measure the budgets of the design on this machine."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import command_line, one_run, report
from benchmarks.measure import PROJECT, Row
from benchmarks.sweep import sweep
from benchmarks.tracking import CASES, tracking

QUICK = {"small": {"width": 8, "seq_len": 64, "epochs": 1}}


def main(
    quick: Annotated[bool, typer.Option(help="Tiny sizes, one round: whether it works, not what it costs.")] = False,
    into: Annotated[Path, typer.Option(help="The folder of speed.csv and speed.md.")] = PROJECT / "results/performance",
) -> None:
    """Measure, print, write."""
    start = time.perf_counter()
    rows: list[Row] = []
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="gradreach-bench-") as temporary:
        folder = Path(temporary)
        sizes = QUICK if quick else one_run.SIZES
        parts: dict[str, Callable[[], list[Row]]] = {
            "start-up": lambda: command_line.start_up(folder, rounds=1 if quick else 5),
            "memory": lambda: command_line.memory(folder),
            **{
                f"one run, {size}": partial(one_run.one_run, folder / "one", 1 if quick else 3, {size: values})
                for size, values in sizes.items()
            },
            "tracking": partial(tracking, folder, *((1, {"lstm, 1 epoch": 1}) if quick else (7, CASES))),
            "sweep": lambda: sweep(folder, rounds=1, **({"runs": 4, "epochs": 1} if quick else {})),
            **{
                f"tables of {records:,} records": partial(command_line.tables, folder, records)
                for records in ((20,) if quick else (10_000, 100_000))
            },
        }
        for name, measure in parts.items():
            console.print(f"{time.perf_counter() - start:4.0f} s  measuring: {name}")
            rows += measure()
            report.write(rows, into, time.perf_counter() - start)  # what there is, should it be interrupted
    report.show(rows)
    console.print(f"written: {into / 'speed.md'}, speed.csv")


if __name__ == "__main__":
    typer.run(main)
