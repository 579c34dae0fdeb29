"""Whole sweeps, from the command line to the last record, on all cores, against the loop in sequence."""

import json
import shutil
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks.budgets import SWEEP, flushed
from benchmarks.loop import Setting
from benchmarks.measure import PROJECT, Patience, Race, Row, Spent, call, median_row, ratios
from benchmarks.one_run import LOOP, LOOP_FLUSHING, MODELS, RUNS

RUN_PY = str(PROJECT / "run.py")


class Sweep(NamedTuple):
    """Every architecture with this many seeds, at one size; by hand only this many of them are done."""

    seeds: int
    by_hand: int
    width: int = 32
    seq_len: int = 64
    epochs: int = 15

    def settings(self, seeds: int) -> list[Setting]:
        """Return the runs with the first seeds."""
        size = (self.width, self.seq_len, self.epochs)
        return [Setting(model, *size, seed) for model, seed in product(MODELS, range(seeds))]

    def line(self) -> list[str]:
        """Return the command that does the sweep."""
        (setting,) = self.settings(1)[:1]
        shared = [part for part in setting.overrides() if not part.startswith(("model=", "seed="))]
        return [RUN_PY, "-m", f"model={','.join(MODELS)}", f"seed=range(0,{self.seeds})", *shared]


SWEEPS = {
    "24 default runs": Sweep(6, 2),
    "12 runs, T = 200": Sweep(3, 1, seq_len=200),
    "24 runs, width 64, T = 128": Sweep(6, 1, width=64, seq_len=128),
}


def sweeps(folder: Path, patience: Patience, chosen: dict[str, Sweep] = SWEEPS) -> list[Row]:
    """Measure sweeps, each from a cold start. The loop does the first seeds, and all others would take as long."""
    rows = []
    for case, sweep in chosen.items():
        rows += throughput(case, sweep, folder, patience)
    return rows


def throughput(case: str, sweep: Sweep, folder: Path, patience: Patience) -> list[Row]:
    """Measure one sweep."""
    settings = json.dumps([asdict(setting) for setting in sweep.settings(sweep.by_hand)])
    more = sweep.seeds / sweep.by_hand - 1

    def in_sequence(*flags: str) -> Spent:
        spent = call("-m", "benchmarks.loop", settings, *flags, folder=folder)
        wall, cpu = (sum(part) for part in zip(*json.loads(spent.printed.splitlines()[-1]), strict=True))
        return Spent(spent.wall + more * wall, spent.cpu + more * cpu)

    def swept() -> Spent:
        shutil.rmtree(folder / "results", ignore_errors=True)
        return call(*sweep.line(), folder=folder)

    race = Race({LOOP: in_sequence, LOOP_FLUSHING: lambda: in_sequence("--flush"), RUNS: swept})

    def rows() -> list[Row]:
        loop, flushing, ours = race.wall[LOOP], race.wall[LOOP_FLUSHING], race.wall[RUNS]
        return [
            median_row(SWEEP, case, ratios(loop, ours), "×", note="by the clock"),
            median_row(flushed(SWEEP), case, ratios(flushing, ours), "×", note="by the clock"),
            race.ratio("a sweep ÷ the loop with flushing in sequence", case, RUNS, LOOP_FLUSHING),
            median_row("a sweep", case, race.cpu[RUNS], "s", ours),
        ]

    return patience.measure(race.round, rows)
