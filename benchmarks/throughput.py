"""A whole sweep, from the command line to the last record: on all cores, and met again when it is finished."""

import json
import shutil
import statistics
from dataclasses import asdict
from itertools import product
from pathlib import Path

from benchmarks.loop import Setting
from benchmarks.measure import AT_LEAST, PROJECT, Row, call, median_row, ratios

RUNS, EPOCHS = 24, 30


def sweep(folder: Path, rounds: int, runs: int = RUNS, epochs: int = EPOCHS) -> list[Row]:
    """Measure the sweep against the loop run one after another, each from a cold start.

    Args:
        folder: an empty one.
        rounds: how often both are done, in turn.
        runs: a multiple of four: rnn, lstm, gru and cnn with this many seeds.
        epochs: of each run.
    """
    seeds = range(runs // 4)
    settings = [
        Setting(model, width=64, seq_len=128, epochs=epochs, seed=seed)
        for model, seed in product(("rnn", "lstm", "gru", "cnn"), seeds)
    ]
    shared = [part for part in settings[0].overrides() if not part.startswith(("model=", "seed="))]
    line = [
        str(PROJECT / "run.py"),
        "-m",
        "model=rnn,lstm,gru,cnn",
        f"seed={','.join(map(str, seeds))}",
        *shared,
    ]
    by_hand = ["-m", "benchmarks.loop", json.dumps([asdict(setting) for setting in settings])]
    alone, swept = [], []
    for _ in range(rounds):
        alone.append(call(*by_hand, folder=folder).seconds)
        shutil.rmtree(folder / "results", ignore_errors=True)
        swept.append(call(*line, folder=folder).seconds)
    case = f"{runs} runs, all on, {statistics.median(alone):.0f} s by hand"
    throughput = ratios(alone, swept)
    rows = [median_row("sweep on all cores ÷ loop in sequence", case, throughput, "×", budget=1.7, sign=AT_LEAST)]
    return rows + met_again(folder, line, runs, rounds)


def met_again(folder: Path, line: list[str], runs: int, rounds: int) -> list[Row]:
    """Measure what a finished run costs in a sweep that has nothing else to do."""
    few = [part if not part.startswith(("model=", "seed=")) else part.split(",")[0] for part in line]
    whole, one = [], []
    for _ in range(rounds):
        whole.append(call(*line, folder=folder).seconds)
        one.append(call(*few, folder=folder).seconds)
    more = [(a - b) / (runs - 1) for a, b in zip(whole, one, strict=True)]
    return [
        median_row("a finished run met again", f"each further one of {runs}", more, "s", budget=0.25),
        median_row("a finished sweep met again", f"{runs} runs, start-up included", whole, "s"),
    ]
