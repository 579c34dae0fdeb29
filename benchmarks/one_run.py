"""One run, in a process that is warm, as a worker of a sweep is: against the loop written by hand."""

import statistics
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from hydra import compose, initialize_config_dir

from benchmarks.loop import Setting, train
from benchmarks.measure import PROJECT, Row, alternate, matrix_peak, median_row, ratios
from gradreach.assemble import assemble
from gradreach.config import RunConfig, RunEnvironment, parse, plain
from gradreach.runner import execute

MODELS = ("rnn", "lstm", "gru", "cnn")
SIZES = {
    "default": {"width": 32, "seq_len": 64, "epochs": 15},
    "small": {"width": 32, "seq_len": 64, "epochs": 60},
    "medium": {"width": 64, "seq_len": 128, "epochs": 15},
}
"""What ``run.py`` does unless told otherwise: a second or two, of which start and end are a tenth; small and medium
runs that take as long as those of a study."""
VARIANTS = {
    "bare": ["diagnostics=off", "tracking=off"],
    "diagnostics": ["tracking=off"],
    "tracking": ["diagnostics=off"],
    "both": [],
}
"""``run.py``'s defaults are both: gradient profiles, and W&B offline."""


def configure(setting: Setting, folder: Path, *more: str) -> tuple[RunConfig, RunEnvironment]:
    """Compose a run as ``run.py`` does."""
    here = ["force=true", f"results_dir={folder}"]
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return parse(plain(compose("config", overrides=[*here, *setting.overrides(), *more])))


def finished(run: RunConfig, environment: RunEnvironment) -> dict[str, Any]:
    """Do a run, and return its record.

    Raises:
        RuntimeError: it did not finish.
    """
    record = execute(run, environment)
    if record["status"] != "finished":
        raise RuntimeError(f"{run.label}: {record['status']}: {record.get('error')}")
    return record


def one_run(folder: Path, rounds: int, sizes: dict[str, dict[str, int]] = SIZES) -> list[Row]:
    """Measure the ratios, what is not training, and the share of the machine's matrix peak.

    Raises:
        RuntimeError: loop and run do not do the same: they would not be comparable.
    """
    torch.set_num_threads(1)
    warm = Setting("lstm", width=4, epochs=1)
    train(warm)
    execute(*configure(warm, folder))  # the first run of a process also imports, and starts W&B's service
    rows = []
    for size, values in sizes.items():
        for model in MODELS:
            rows += compare(Setting(model, **values), f"{model} {size}", folder, rounds)
    return rows


def compare(setting: Setting, case: str, folder: Path, rounds: int) -> list[Row]:
    """Measure one model at one size."""
    configured = {name: configure(setting, folder, *more) for name, more in VARIANTS.items()}
    fitting: dict[str, list[float]] = {name: [] for name in VARIANTS}

    def do(name: str) -> None:
        run, environment = configured[name]
        record = finished(run, environment)
        history = pd.read_csv(environment.results_dir / "runs" / run.run_id / "history.csv")
        first[name] = history["val/loss"].iloc[0]
        fitting[name].append(record["training_seconds"])
        if name == "both":
            probes.append(100 * record["diagnostics_seconds"] / record["training_seconds"])

    def by_hand() -> None:
        first["by hand"] = train(setting)["first/val/loss"]

    first: dict[str, float] = {}
    probes: list[float] = []
    seconds = alternate({"loop": by_hand, **{name: partial(do, name) for name in VARIANTS}}, rounds)
    # later epochs may differ: training amplifies the last bits, in which kernels of other memory layouts differ
    if max(first.values()) - min(first.values()) > 1e-4:
        raise RuntimeError(f"{case}: not the same, by the validation loss after the first epoch: {first}")

    loop, both = seconds["loop"], seconds["both"]
    case = f"{case}, {statistics.median(loop.wall):.1f} s by hand"
    rows = [median_row("one run ÷ loop, all on", case, ratios(both.wall, loop.wall), "×", budget=1.15)]
    rows.append(median_row("the same, CPU time", case, ratios(both.cpu, loop.cpu), "×"))
    rows += [
        median_row(f"one run ÷ loop, {label}", case, ratios(seconds[name].wall, loop.wall), "×")
        for name, label in (("bare", "all off"), ("diagnostics", "diagnostics on"), ("tracking", "tracking on"))
    ]
    rows.append(median_row("gradient diagnostics ÷ training", case, probes, "%", budget=5))
    beside = [whole - fit for whole, fit in zip(both.wall, fitting["both"], strict=True)]
    rows.append(
        median_row("beside training, all on", case, beside, "s", note="data, records, tracking, diagnostics, test")
    )
    rows.append(share_of_peak(setting, case, *configured["bare"], statistics.median(fitting["bare"])))
    return rows


def share_of_peak(setting: Setting, case: str, run: RunConfig, environment: RunEnvironment, seconds: float) -> Row:
    """Return which share of the machine's matrix peak training reaches.

    A multiply-add counts as two operations, forward and backward as three times the forward pass; validation
    counts forward only.
    """
    task, model = assemble(run, environment)
    splits = task.splits(environment.data_dir)
    passes = 3 * len(splits.train) + len(splits.validation)
    operations = 2 * model.multiply_adds(task.shape.length) * passes * setting.epochs
    peak = matrix_peak()
    note = f"{operations / seconds / 1e9:.1f} of {peak / 1e9:.0f} GFlop/s"
    return Row("training ÷ matrix peak", case, 100 * operations / seconds / peak, "%", note=note)
