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
from benchmarks.hot_spots import profile
from benchmarks.measure import PROJECT, Row
from benchmarks.throughput import sweep
from benchmarks.tracking import CASES, tracking

QUICK = {"small": {"width": 8, "seq_len": 64, "epochs": 1}}


def main(
    quick: Annotated[bool, typer.Option(help="Tiny sizes, one round: whether it works, not what it costs.")] = False,
    only: Annotated[str, typer.Option(help="Parts whose name has this in it; what is known of the others stays.")] = "",
    into: Annotated[Path, typer.Option(help="The folder of speed.csv and speed.md.")] = PROJECT / "results/performance",
) -> None:
    """Measure, print, write."""
    start = time.perf_counter()
    known = report.read(into)
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
            "profile of a default run": lambda: profile(folder / "profile"),
            "tracking": partial(tracking, folder, *((1, {"lstm, 1 epoch": {"epochs": 1}}) if quick else (7, CASES))),
            "sweep": lambda: sweep(folder, rounds=1, **({"runs": 4, "epochs": 1} if quick else {})),
            **{
                f"tables of {records:,} records": partial(command_line.tables, folder, records)
                for records in ((20,) if quick else (10_000, 100_000))
            },
        }
        chosen = {name: measure for name, measure in parts.items() if only in name}
        if not chosen:
            raise typer.BadParameter(f"--only {only}: no part has this in its name; choose from {', '.join(parts)}")
        for name, measure in chosen.items():
            console.print(f"{time.perf_counter() - start:4.0f} s  measuring: {name}")
            known[name] = report.Part.now(measure())
            # at once, should the rest be interrupted
            report.write({name: known[name] for name in parts if name in known}, into)
    report.show([row for name in chosen for row in known[name].rows])
    console.print(f"written: {into / 'speed.md'}, speed.csv")


if __name__ == "__main__":
    typer.run(main)
