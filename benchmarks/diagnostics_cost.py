"""What one probe costs beside one training step, and beside the usual way to get the same numbers.

``python benchmarks/diagnostics_cost.py`` writes ``results/performance/diagnostics_cost.csv`` and ``.md``. All ways are
timed in turn, in one process with one thread; what counts is the ratio of medians.
"""

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from gradreach.analysis.frame import write_csv
from gradreach.analysis.rendering import markdown
from gradreach.diagnostics import QUANTITIES, Instrument
from gradreach.diagnostics.instrument import Schedule
from gradreach.files import write_text
from gradreach.models import GRU, LSTM, RNN, SequenceModel
from gradreach.tasks import Batch

LENGTHS = (100, 400, 1600)
WIDTH, CHANNELS, TRAINED, PROBED = 32, 1, 64, 32
REPEATS = 5
STANDARD: dict[str, Schedule] = {"profile": "ends", "gates": "ends", "lyapunov": "ends"}
FULL: dict[str, Schedule] = dict.fromkeys(QUANTITIES, "ends")
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
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(kind: type, length: int) -> dict[str, float]:
    """Return the median seconds of each way, taken in turn."""
    torch.manual_seed(0)
    model = SequenceModel(kind(CHANNELS, width=WIDTH), "last", 10)
    examples = Batch(torch.randn(TRAINED, length, CHANNELS), None, torch.randint(10, (TRAINED,)))
    probe = examples.take(slice(PROBED))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def train() -> None:
        optimizer.zero_grad()
        loss(model(examples.x), examples.target).mean().backward()
        optimizer.step()

    def measure(schedules: dict[str, Schedule], exponents: int = 1) -> Callable[[], object]:
        return lambda: Instrument(model, probe, loss, schedules, exponents).measure("start")

    ways = {
        "training step": train,
        "profile": measure({"profile": "ends"}),
        "standard": measure(STANDARD),
        "full": measure(FULL, exponents=4),
        "unrolled": lambda: unrolled(model, probe),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(REPEATS + 1):
        for name, work in ways.items():
            taken = timed(work)
            if repeat:  # the first warms up
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Time everything."""
    torch.set_num_threads(1)
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
                    **{f"{name} / step": round(found[name] / step, 2) for name in found if name != "training step"},
                    "profile / unrolled": round(found["profile"] / found["unrolled"], 2),
                }
            )
            print(rows[-1], flush=True)
    write(pd.DataFrame(rows))


def write(table: pd.DataFrame) -> None:
    """Write the table, and what people read of it."""
    write_csv(FOLDER / "diagnostics_cost.csv", table)
    shown = table.drop(
        columns=[name for name in map(str, table) if name.endswith("(ms)") and name != "training step (ms)"]
    )
    text = (
        "# What the instrument costs\n\n"
        f"One measurement of {PROBED} examples in float64, beside one training step of {TRAINED} in float32 and beside "
        "the usual way (unrolled cells with `retain_grad`, float64, the same examples), which gives the profile only "
        f"and underflows. Width {WIDTH}, {CHANNELS} input channel, one thread, medians of {REPEATS} in turn in one "
        f"process; torch {torch.__version__}, {platform.machine()}. Ratios are what counts; a run takes two "
        f"measurements at the preset `standard`.\n\n{markdown(shown.astype(str))}\n"
        "Made by `python benchmarks/diagnostics_cost.py`.\n"
    )
    write_text(FOLDER / "diagnostics_cost.md", text)


if __name__ == "__main__":
    main()
