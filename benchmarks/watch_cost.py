"""What ``GradientReach`` costs in the training that docs/watch.md shows, as it is written there.

``python benchmarks/watch_cost.py`` writes ``results/performance/watch_cost.md``. An epoch and what is measured after it
are timed in one run, by the processor's time; what counts is their ratio.
"""

import os
import platform
import re
import statistics
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from gradreach.system.files import write_text
from gradreach.watch import GradientReach, Watcher

PAGE, FILE = Path("docs/watch.md"), Path("results/performance/watch_cost.md")
EPOCHS = 6


class Clock(pl.Callback):
    """Takes the processor's time of each epoch, without what is measured after it; stands before the instrument."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self.start = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin."""
        self.start = time.process_time()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """End."""
        self.epochs.append(time.process_time() - self.start)


def measured(monitored: Any) -> list[float]:
    """Let each measurement take its own time, and return the list that will hold it."""
    seconds: list[float] = []
    measure = monitored.measure

    def timed(self: Watcher, *arguments: Any) -> dict[str, float]:
        start = time.process_time()
        found: dict[str, float] = measure(self, *arguments)
        seconds.append(time.process_time() - start)
        return found

    monitored.measure = timed
    return seconds


def main() -> None:
    """Train as the page does, only longer."""
    torch.set_num_threads(1)
    example = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    setting: dict[str, Any] = {}
    exec(example.partition("trainer = ")[0], setting)
    seconds, clock = measured(Watcher), Clock()
    reach: GradientReach = setting["reach"]
    quiet: Any = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=EPOCHS, callbacks=[clock, reach], accelerator="cpu", **quiet)
    trainer.fit(setting["Classifier"](), setting["loader"])
    epoch, one = statistics.median(clock.epochs[1:]), statistics.median(seconds[2:])
    x, steps = reach.asked[0][0], len(setting["loader"])
    text = f"""# What watching costs

The Lightning example of [docs/watch.md](../../docs/watch.md): an LSTM of width 32, {x.shape[1]} steps a sequence,
{steps} training steps an epoch; the probe has {len(x)} examples, and `every="epoch"` measures once an epoch.

| | processor's time |
| --- | --- |
| an epoch of training | {epoch:.2f} s |
| a measurement | {one:.4f} s |
| the first measurement, which also checks the loss | {seconds[0]:.4f} s |
| **share of an epoch** | **{one / epoch:.2%}** |

One thread, medians of {EPOCHS - 1} epochs of one run, in the processor's time; torch {torch.__version__},
{platform.machine()}, load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores. The share is what counts.

Made by `python benchmarks/watch_cost.py`.
"""
    write_text(FILE, text)
    print(text)


if __name__ == "__main__":
    main()
