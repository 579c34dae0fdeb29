"""What one probe costs beside one training step, and beside the usual way to get the same numbers.

``python benchmarks/diagnostics_cost.py`` writes ``results/performance/diagnostics_cost.csv`` and ``.md``. All ways are
timed in turn, in one process with one thread, by the processor's time; what counts is the ratio of medians. ``runs``
measures what whole runs pay, by the figures of their own records, whose clock it replaces by the processor's.
"""

import copy
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
from torch import Tensor

from gradreach.analysis.tables.formats import markdown
from gradreach.diagnostics import QUANTITIES, Instrument, Schedule
from gradreach.models import GRU, LSTM, RNN, SequenceModel
from gradreach.run_table.columns import csv
from gradreach.system.files import write_text
from gradreach.tasks import Batch

LENGTHS = (100, 400, 1600)
WIDTH, CHANNELS, TRAINED, PROBED, PRESET = 32, 1, 64, 32, 16
REPEATS, RUNS = 3, 1
KINDS = {  # every kind that the preset's promise has to hold for
    **dict.fromkeys(("lstm", "gru", "rnn", "cnn"), ("standard", "full")),
    **dict.fromkeys(
        ("indrnn", "mingru", "minlstm", "lru", "gated_tanh", "lstm_as_printed", "gru_as_printed"), ("standard",)
    ),
    **dict.fromkeys(("tcn", "s4d", "transformer", "mlp"), ("standard",)),
}
STANDARD: dict[str, Schedule] = {"profile": "ends", "gates": "ends", "lyapunov": "ends"}
FULL: dict[str, Schedule] = {name: "ends" for name in QUANTITIES if name != "decoding"}  # as in the preset
FOLDER = Path("results/performance")


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return each example's cross-entropy."""
    return torch.nn.functional.cross_entropy(output, target, reduction="none")


def unrolled(model: SequenceModel, batch: Batch) -> None:
    """Take the adjoints as is usual: cells in a loop, every state's gradient retained, in float64 as the probe."""
    (layer,) = model.encoder.layers  # type: ignore[misc]
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(layer, name).double() for name in names]
    zero = torch.zeros(len(batch), WIDTH, dtype=torch.float64)
    state: tuple[Tensor, ...] = (zero, zero) if layer.mode == "LSTM" else (zero,)
    step = {"GRU": torch.gru_cell, "RNN_TANH": torch.rnn_tanh_cell}.get(layer.mode)
    states = []
    for x_t in batch.x.double().unbind(1):
        state = torch.lstm_cell(x_t, list(state), *weights) if step is None else (step(x_t, state[0], *weights),)
        for part in state:
            part.retain_grad()
        states.append(state)
    head = model.head
    logits = torch.nn.functional.linear(state[0], head.weight.double(), head.bias.double())
    loss(logits, batch.target).sum().backward()
    for parts in states:
        for part in parts:
            if part.grad is not None:
                part.grad.norm(dim=1)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of the processor that one call takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def medians(kind: type, length: int) -> dict[str, float]:
    """Return the median seconds of each way, taken in turn."""
    torch.manual_seed(0)
    model = SequenceModel(kind(CHANNELS, width=WIDTH), "last", 10)
    examples = Batch(torch.randn(TRAINED, length, CHANNELS), None, torch.randint(10, (TRAINED,)))
    probe, few = examples.take(slice(PROBED)), examples.take(slice(PRESET))

    def training(model: SequenceModel, batch: Batch) -> Callable[[], object]:
        optimizer = torch.optim.Adam(model.parameters(), fused=True)

        def step() -> None:
            optimizer.zero_grad()
            loss(model(batch.x), batch.target).mean().backward()
            optimizer.step()

        return step

    def measure(schedules: dict[str, Schedule], probe: Batch = probe, exponents: int = 1) -> Callable[[], object]:
        return lambda: Instrument(model, probe, loss, schedules, exponents).measure("start")

    ways = {
        "training step": training(model, examples),
        "equal step": training(copy.deepcopy(model).double(), probe.to("cpu", torch.float64)),
        "unrolled": lambda: unrolled(model, probe),
        "profile": measure({"profile": "ends"}),
        "standard": measure(STANDARD, few),
        "full": measure(FULL, exponents=4),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(REPEATS + 1):
        for name, work in ways.items():
            taken = timed(work)
            if repeat:  # the first warms up
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}


def runs() -> pd.DataFrame:
    """Return what the presets cost whole runs of digits, as a share of their time for training and validation."""
    from hydra import compose, initialize_config_dir

    from gradreach.config import parse, plain
    from gradreach.runner import execute

    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        initialize_config_dir(str(Path("conf").resolve()), version_base="1.3"),
        mock.patch("time.perf_counter", time.process_time),  # what others do on this machine is not the instrument's
    ):
        for model, presets in KINDS.items():
            shares = dict.fromkeys(("standard", "full"), "–")
            for preset in presets:
                here = [f"model={model}", f"diagnostics={preset}", "tracking=off", f"results_dir={folder}/results"]
                taken = []
                for _ in range(RUNS):
                    record = execute(*parse(plain(compose("config", [*here, "force=true"]))))
                    taken.append(record["diagnostics_seconds"] / record["training_seconds"])
                shares[preset] = f"{statistics.median(taken):.1%}"
            rows.append({"model": model, **shares})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Time everything."""
    torch.set_num_threads(1)
    of_runs = runs()
    rows = []
    for kind in (LSTM, GRU, RNN):
        for length in LENGTHS:
            found = medians(kind, length)
            step = found["training step"]
            rows.append(
                {
                    "model": kind.__name__,
                    "length": length,
                    **{f"{name} (ms)": round(1e3 * value, 2) for name, value in found.items()},
                    "profile / equal step": round(found["profile"] / found["equal step"], 2),
                    "profile / unrolled": round(found["profile"] / found["unrolled"], 2),
                    **{
                        f"{way} / training step": round(found[way] / step, 2) for way in ("profile", "standard", "full")
                    },
                }
            )
            print(rows[-1], flush=True)
    write(pd.DataFrame(rows), of_runs)


def write(table: pd.DataFrame, of_runs: pd.DataFrame) -> None:
    """Write the tables, and what people read of them."""
    write_text(FOLDER / "diagnostics_cost.csv", csv(table))
    shown = table.drop(
        columns=[name for name in map(str, table) if name.endswith("(ms)") and name != "training step (ms)"]
    )
    text = f"""# What the instrument costs

## A run

What the presets add to a run of digits (64 steps, 15 epochs, all else at its defaults), as a share of the processor's
time that it spends in training and validation{"" if RUNS == 1 else f"; medians of {RUNS} runs"}.

{markdown(of_runs)}
## A measurement

`profile` is the exact profile of {PROBED} examples in float64, past underflow; `full` all there is, with four Lyapunov
exponents. An `equal step` trains on the same examples in float64; `unrolled` is the usual way to get these gradients
(cells in a loop, `retain_grad`, the same examples, float64), which underflows. The `training step` is what a run does:
{TRAINED} examples in float32. `standard` is one measurement of that preset, of its {PRESET} examples: a run takes two.

{markdown(shown.astype(str))}
Width {WIDTH}, {CHANNELS} input channel, one thread, medians of {REPEATS} in turn in one process, in the processor's
time; torch {torch.__version__}, {platform.machine()}, load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores. Ratios
are what counts.

Made by `python benchmarks/diagnostics_cost.py`.
"""
    write_text(FOLDER / "diagnostics_cost.md", text)


if __name__ == "__main__":
    main()
