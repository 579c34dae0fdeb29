"""How cost grows: a training step with length, width and batch; denormal numbers on this processor."""

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.budgets import STEP, flushed
from benchmarks.loop import Setting
from benchmarks.measure import Patience, Race, Row, median_row
from benchmarks.one_run import LOOP_FLUSHING, RUNS, check_same, racers, warm_up

STEPS = 12
LENGTHS = (50, 100, 200, 400, 800, 1600)
WIDTHS = (16, 32, 64, 128)
BATCHES = (16, 32, 64, 128, 256)
GROWTH = "milliseconds a step, gru"
DENORMALS = "a product with denormal numbers ÷ with others"


def settings(few: bool = False) -> dict[str, Setting]:
    """Return what is measured, by case: a GRU on recall, one of length, width and batch at a time."""

    def gru(**size: int) -> Setting:
        batch = size.get("batch_size", 64)
        return Setting("gru", epochs=1, task="recall", train_size=STEPS * batch, **{"seq_len": 200, **size})

    return {
        **{f"T = {length}": gru(seq_len=length) for length in (LENGTHS[:2] if few else LENGTHS)},
        **{f"width {width}": gru(width=width) for width in (WIDTHS[:1] if few else WIDTHS)},
        **{f"batch {batch}": gru(batch_size=batch) for batch in (BATCHES[:1] if few else BATCHES)},
    }


def growth(folder: Path, patience: Patience, chosen: dict[str, Setting]) -> list[Row]:
    """Measure steps of the loop, of the loop with flushing, and of runs, with torch's kernels and with ours."""
    warm_up(folder)
    rows = []
    for case, setting in chosen.items():
        first: dict[str, float] = {}
        race = racers(setting, folder, first)
        patience.measure(race.round, list)
        check_same(case, first)
        rows.append(race.ratio(flushed(STEP), f"gru, {case}", RUNS, LOOP_FLUSHING))
        for name, cpu in race.cpu.items():
            rows.append(median_row(f"{GROWTH}, {name}", case, [1000 * one / setting.steps for one in cpu], "ms"))
    return rows


def denormals(patience: Patience) -> list[Row]:
    """Measure how much longer a product takes where one factor is a denormal number: on this processor."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(False)
    half, matrix, out = torch.full((4096,), 0.5), torch.full((256, 256), 0.5), torch.empty(4096)

    def elementwise(factor: float) -> Callable[[], object]:
        other = torch.full((4096,), factor)
        return lambda: [torch.mul(half, other, out=out) for _ in range(5000)]

    def matrices(factor: float) -> Callable[[], object]:
        other = torch.full((256, 64), factor)
        return lambda: [torch.mm(matrix, other) for _ in range(100)]

    kinds = {"a * b": elementwise, "a @ b": matrices}
    race = Race({f"{kind}, {factor}": make(factor) for kind, make in kinds.items() for factor in (0.5, 1e-40)})
    return patience.measure(
        race.round, lambda: [race.ratio(DENORMALS, kind, f"{kind}, {1e-40}", f"{kind}, {0.5}") for kind in kinds]
    )
