"""Whether kernels and flushing change what is learned: ``python -m benchmarks.trajectories``, some minutes.

They change sums by rounding, training amplifies it, and after some epochs two runs of one seed are two draws. Over many
seeds the test accuracies must not differ significantly: paired by seed, signed ranks, interval of the mean difference.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd
import torch
import typer

from benchmarks.loop import Setting
from benchmarks.measure import PROJECT
from benchmarks.one_run import configure, finished
from benchmarks.page import number, table
from gradreach.analysis.stats.statistics import estimate, holm, paired_test
from gradreach.system.files import write_text
from gradreach.system.provenance import host, revision

KERNELS, FLUSHING = "kernels=auto and kernels=torch", "with and without flushing"


class Pair(NamedTuple):
    """Two ways to do the same runs, which should not differ in what is learned."""

    change: str
    model: str
    seq_len: int = 64


PAIRS = (
    Pair(KERNELS, "rnn"),
    Pair(KERNELS, "gru"),
    Pair(FLUSHING, "rnn"),
    Pair(FLUSHING, "gru"),
    Pair(FLUSHING, "lstm"),
    Pair(FLUSHING, "lstm", 200),
)


@contextlib.contextmanager
def without_flushing() -> Iterator[None]:
    """Train with denormal numbers."""
    with mock.patch.object(torch, "set_flush_denormal"):
        yield


def accuracies(pair: Pair, seeds: range, folder: Path, epochs: int) -> pd.DataFrame:
    """Return a row a seed: test accuracy and validation loss, as runs are (``a``) and changed (``b``)."""
    rows = []
    for seed in seeds:
        setting = Setting(pair.model, seq_len=pair.seq_len, epochs=epochs, seed=seed)
        off = ["diagnostics=off", "tracking=off"]
        changed = [*off, "kernels=torch"] if pair.change == KERNELS else off
        as_is = finished(*configure(setting, folder, *off))["metrics"]
        with without_flushing() if pair.change == FLUSHING else contextlib.nullcontext():
            other = finished(*configure(setting, folder, *changed))["metrics"]
        figures = {f"{key}, {side}": run[f"{key}"] for side, run in (("a", as_is), ("b", other)) for key in KEYS}
        rows.append({**pair._asdict(), "seed": seed, **figures})
    return pd.DataFrame(rows)


KEYS = ("test/accuracy", "val/loss")


def compared(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pair: mean difference of accuracies in points with its 95 % interval, p corrected (Holm)."""
    rows = []
    for key, some in runs.groupby(list(Pair._fields), sort=False):
        a, b = (100 * some[f"test/accuracy, {side}"].to_numpy(float) for side in "ab")
        mean = estimate(a - b)
        equal = int((some["val/loss, a"] == some["val/loss, b"]).sum())
        means = {"as it is (%)": a.mean(), "changed (%)": b.mean()}
        rest = {"difference": mean.mean, "half width": mean.half_width, "p": paired_test(a, b).p}
        rows.append({**dict(zip(Pair._fields, key, strict=True)), "seeds": len(a), "same bits": equal, **means, **rest})
    found = pd.DataFrame(rows)
    return found.assign(p=holm(found["p"].to_list()))


def page(found: pd.DataFrame, seconds: float) -> str:
    """Return what people read."""
    apart = found[found["p"] < 0.05]
    told = "; ".join(f"{row.model}, T = {row.seq_len}, {row.change}" for row in apart.itertuples())
    looked = " and ".join(dict.fromkeys(found["change"]))
    answer = f"Significant difference: {told}." if told else f"No significant difference: {looked}."
    lines = [
        (
            row["change"], row["model"], str(row["seq_len"]), str(row["seeds"]), str(row["same bits"]),
            number(row["as it is (%)"]), number(row["changed (%)"]),
            f"{row['difference']:+.2f} [{row['difference'] - row['half width']:+.2f}, "
            f"{row['difference'] + row['half width']:+.2f}]",
            "–" if np.isnan(row["p"]) else f"{row['p']:.2f}",
        )
        for row in found.to_dict("records")
    ]  # fmt: skip
    columns = ("compared", "model", "T", "seeds", "same bits", "first (%)", "second (%)", "difference [95 %]", "p")
    return "\n\n".join(
        [
            "# Do kernels and flushing change what is learned?",
            answer,
            table(columns, lines),
            "Test accuracy of default runs of digits, paired by seed, in per cent and percentage points; p by signed "
            "ranks, corrected for the number of comparisons (Holm). *Same bits*: seeds whose validation loss is equal "
            "to the last bit.",
            f"Made by `python -m benchmarks.trajectories` in {seconds:.0f} s on {host()['cpu']}, commit {revision()}; "
            "as data: [trajectories.csv](trajectories.csv).\n",
        ]
    )


def main(
    seeds: Annotated[int, typer.Option(help="How many.")] = 20,
    epochs: Annotated[int, typer.Option(help="Of each run.")] = 15,
    into: Annotated[Path, typer.Option(help="The folder of the page.")] = PROJECT / "results/performance",
) -> None:
    """Train, compare, write."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gradreach-trajectories-") as temporary:
        frames = []
        for pair in PAIRS:
            frames.append(accuracies(pair, range(seeds), Path(temporary), epochs))
            print(f"{time.perf_counter() - start:4.0f} s  {pair.model}, T = {pair.seq_len}: {pair.change}")
    runs = pd.concat(frames, ignore_index=True)
    found = compared(runs)
    write_text(into / "trajectories.csv", runs.to_csv(index=False, lineterminator="\n"))
    write_text(into / "trajectories.md", page(found, time.perf_counter() - start))
    print(found.to_string(index=False))


if __name__ == "__main__":
    typer.run(main)
