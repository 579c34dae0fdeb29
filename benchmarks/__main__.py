"""``python -m benchmarks``: measure the budgets of the design on this machine."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import command_line, growth, one_run, report, throughput
from benchmarks.loop import Setting
from benchmarks.measure import PROJECT, Patience, Row
from benchmarks.page import Part

ONCE = Patience(rounds=1, most=1)


def parts(folder: Path, quick: bool) -> dict[str, Callable[[], list[Row]]]:
    """Return what is measured, by name; quick: everything once and small."""
    patience = ONCE if quick else Patience(rounds=3, most=15, seconds=45)
    patient = ONCE if quick else Patience(rounds=2, most=5, seconds=150)
    tiny = {"gru, T = 64": Setting("gru", epochs=1, task="recall", train_size=128)}
    sweep = {"24 default runs": throughput.Sweep(1, 1, width=4, epochs=1)}
    return {
        "denormal numbers": lambda: growth.denormals(patience),
        "a step": lambda: one_run.steps(folder, patience, tiny if quick else one_run.STEPS),
        "a default run": lambda: one_run.whole_runs(folder, patience, epochs=1 if quick else 15),
        "growth": lambda: growth.growth(folder, ONCE if quick else Patience(3, 3), growth.settings(few=quick)),
        "a single command": lambda: command_line.single_run(folder, patience),
        "sweeps": lambda: throughput.sweeps(folder, patient, sweep if quick else throughput.SWEEPS),
        "start-up": lambda: command_line.start_up(folder, patience),
        "planning": lambda: command_line.planning(patience, 40 if quick else 500),
        "finished sweeps": lambda: command_line.finished_sweeps(folder, (2, 4) if quick else (10, 100, 1000)),
        "10,000 records": lambda: command_line.many_records(folder, 20 if quick else 10_000, states=True),
        "100,000 records": lambda: command_line.many_records(folder, 20 if quick else 100_000, states=False),
        "memory": lambda: command_line.memory(folder, epochs=1 if quick else 3),
    }


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
        all_parts = parts(Path(temporary), quick)
        chosen = {name: measure for name, measure in all_parts.items() if only in name}
        if not chosen:
            raise typer.BadParameter(f"--only {only}: no part has this in its name; choose from {', '.join(all_parts)}")
        for name, measure in chosen.items():
            console.print(f"{time.perf_counter() - start:4.0f} s  measuring: {name}")
            known[name] = Part.now(measure())
            # at once, should the rest be interrupted
            report.write({name: known[name] for name in all_parts if name in known}, into, quick)
    report.show([row for name in chosen for row in known[name].rows])
    console.print(f"written after {time.perf_counter() - start:.0f} s: {into / 'speed.md'}, speed.csv, speed.png")


if __name__ == "__main__":
    typer.run(main)
