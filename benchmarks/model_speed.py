"""What a layer of our own costs: forward and backward pass against ``nn.GRU`` and ``nn.LSTM``, on one thread.

Writes ``results/performance/model_speed.csv`` and ``.md``. Rounds go through all layers in turn, so that what else the
machine does meets all alike; the figure is the median over rounds of the ratio within a round.
"""

import statistics
import time
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from gradreach.models.cells import GatedTanh, GRUAsPrinted, GRUResetBefore, IndRNNCell, LSTMAsPrinted
from gradreach.models.deltanet import DeltaMixer
from gradreach.models.mamba import MambaMixer
from gradreach.models.scan import LinearRecurrence, MinGRUCell, MinLSTMCell
from gradreach.models.state_space import S4DKernel
from gradreach.system.files import write_text

LENGTH, WIDTH, BATCH, ROUNDS = 200, 64, 64, 15
BUDGET = 3.0
MIXERS = ("mamba", "deltanet", "deltanet, two steps", "transformer layer")
"""Layers whose state is many times as large, or that hold more than a recurrence: the budget is not theirs."""
FOLDER = Path("results/performance")


def layers() -> dict[str, nn.Module]:
    """Return the layers, the one they are measured against first."""
    return {
        "nn.GRU": nn.GRU(WIDTH, WIDTH, batch_first=True),
        "nn.RNN": nn.RNN(WIDTH, WIDTH, batch_first=True),
        "nn.LSTM": nn.LSTM(WIDTH, WIDTH, batch_first=True),
        "gru, reset before": GRUResetBefore(WIDTH, WIDTH),
        "gated_tanh": GatedTanh(WIDTH, WIDTH),
        "lstm_as_printed": LSTMAsPrinted(WIDTH, WIDTH),
        "gru_as_printed": GRUAsPrinted(WIDTH, WIDTH),
        "indrnn": IndRNNCell(WIDTH, WIDTH),
        "mingru (scan)": MinGRUCell(WIDTH, WIDTH),
        "minlstm (scan)": MinLSTMCell(WIDTH, WIDTH),
        "lru (scan)": LinearRecurrence(WIDTH, WIDTH // 2),
        "s4d (long convolution)": S4DKernel(WIDTH, 16),
        "mamba": MambaMixer(WIDTH, WIDTH, 2, 16, 4),
        "deltanet": DeltaMixer(WIDTH, WIDTH, 2, 1, 4),
        "deltanet, two steps": DeltaMixer(WIDTH, WIDTH, 2, 2, 4),
        "transformer layer": nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, 0.0, batch_first=True, norm_first=True),
    }


def seconds(layer: nn.Module, x: torch.Tensor) -> float:
    """Time one forward and backward pass."""
    start = time.perf_counter()
    states = layer(x)
    (states[0] if isinstance(states, tuple) else states).sum().backward()
    return time.perf_counter() - start


def measure() -> pd.DataFrame:
    """Return one row a layer: milliseconds and the ratios to ``nn.GRU`` and ``nn.LSTM``."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(BATCH, LENGTH, WIDTH)
    measured = layers()
    rounds = [{name: seconds(layer, x) for name, layer in measured.items()} for _ in range(ROUNDS + 2)][2:]
    return pd.DataFrame(
        {
            "layer": name,
            "milliseconds": round(1000 * statistics.median(times[name] for times in rounds), 2),
            **{
                f"times {reference}": round(statistics.median(times[name] / times[reference] for times in rounds), 2)
                for reference in ("nn.GRU", "nn.LSTM")
            },
        }
        for name in measured
    )


def main() -> None:
    """Measure, write, print, and fail where the budget is exceeded."""
    table = measure()
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    lines = [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    text = (
        f"One forward and backward pass, batch {BATCH}, {LENGTH} steps, {WIDTH} inputs, width {WIDTH}, float32, one "
        f"thread, torch {torch.__version__}; medians of {ROUNDS} rounds. Budget: {BUDGET} times `nn.GRU`, but for "
        f"{', '.join(MIXERS)}, whose states are many times as large or which hold more than a recurrence.\n\n"
    )
    write_text(FOLDER / "model_speed.csv", table.to_csv(index=False))
    write_text(FOLDER / "model_speed.md", "# Speed of recurrent layers\n\n" + text + "\n".join(lines) + "\n")
    print(table.to_string(index=False))
    slow = table.loc[(table["times nn.GRU"] > BUDGET) & ~table["layer"].isin(MIXERS), "layer"].tolist()
    if slow:
        raise SystemExit(f"slower than {BUDGET} × nn.GRU: {', '.join(slow)}")


if __name__ == "__main__":
    main()
