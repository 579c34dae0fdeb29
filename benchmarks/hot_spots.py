"""Where the time of a default run goes that is not training: what it pays however long it is."""

import cProfile
import pstats
from pathlib import Path

import torch

from benchmarks.loop import Setting
from benchmarks.measure import Row
from benchmarks.one_run import SIZES, configure, finished

PARTS = {
    "gradient profiles, two": [("instrument.py", "measure")],
    "W&B: picture": [("drawing.py", "draw_run_profile"), ("drawing.py", "as_image")],
    "W&B: table": [("tracking/wandb.py", "_tell_table")],
    "W&B: begin and end": [("tracking/wandb.py", "__init__"), ("tracking/wandb.py", "close")],
    "record, history, profile: written and flushed": [("records.py", "write")],
    "data": [("digits.py", "splits")],
    "Lightning's trainer": [("trainer.py", "make_trainer")],
    "forward and loss of the test": [("module.py", "test_step")],
}


def profile(folder: Path) -> list[Row]:
    """Profile a default LSTM run in a warm process; a profiler makes everything some tenths slower."""
    torch.set_num_threads(1)
    configured = configure(Setting("lstm", **SIZES["default"]), folder)
    finished(*configured)
    profiler = cProfile.Profile()
    record = profiler.runcall(finished, *configured)
    seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        for part, functions in PARTS.items():
            if any(file.endswith(end) and name == function for end, function in functions):
                seconds[part] += cumulative
    case = "lstm default"
    beside = record["seconds"] - record["training_seconds"]
    rows = [Row("beside training, profiled", case, beside, "s")]
    return rows + [Row(f"— {part}", case, spent, "s") for part, spent in seconds.items()]
