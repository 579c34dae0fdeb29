"""Whether all works on a GPU, and how fast: ``make gpu-check``, some minutes on one.

Everything here takes the device as an argument; the tests do it all on the CPU.
"""

import copy
import platform
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import typer
from torch import Tensor, nn

from benchmarks.loop import Setting
from benchmarks.measure import PROJECT, call
from benchmarks.one_run import configure, finished
from benchmarks.page import table
from gradreach.assemble import assemble
from gradreach.diagnostics import QUANTITIES, Instrument, gradient_profile
from gradreach.records import RecordStore
from gradreach.system.files import write_text
from gradreach.system.provenance import revision
from gradreach.tasks import Batch

MODELS = ("lstm", "gru", "cnn", "lru", "transformer")
TOLERANCE = 1e-6
"""By how much a profile in float64 may differ: norms by this in log10, figures by this share."""
PAGE = "gpu.md"
NOT_RUN = "**Not run:"
RUN_PY = str(PROJECT / "run.py")


class Check(NamedTuple):
    """What was looked at, whether it is as it should be, and what was found."""

    what: str
    right: bool
    found: str


def difference(one: Any, other: Any) -> float:
    """Return the largest difference between two arrays of numbers; equal ones, infinite and NaN included, have none."""
    a, b = np.asarray(one, float), np.asarray(other, float)
    if a.shape != b.shape:
        return float("inf")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(a - b))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def instrument(device: str, folder: Path) -> Iterator[Check]:
    """Measure all quantities of untrained models on the CPU and on the device, in float64, and compare."""
    for name in MODELS:
        run, environment = configure(Setting(name, seq_len=64), folder)
        torch.manual_seed(0)
        task, model = assemble(run, environment)
        validation = task.splits(environment.data_dir).validation
        found = {}
        for where in ("cpu", device):
            few, many = validation.take(slice(16)), validation.take(slice(128))
            schedules = dict.fromkeys(QUANTITIES, "ends")
            there = Instrument(copy.deepcopy(model).to(where), few, task.loss, schedules, 2, many)
            found[where] = ({k: v for k, v in there.measure("start").items() if "decoded" not in k}, there.tables)
        (figures, tables), (others, other_tables) = found["cpu"], found[device]
        norms = ["q10", "median", "q90"]
        apart = [
            difference(p[norms], q[norms]) for p, q in zip(tables["profile"], other_tables["profile"], strict=True)
        ]
        shares = [difference(value, others[key]) / max(1.0, abs(value)) for key, value in figures.items()]
        right = figures.keys() == others.keys() and tables.keys() == other_tables.keys()
        largest = max(apart + shares)
        said = f"profile and {len(figures)} figures, largest difference {largest:.1e}"
        yield Check(f"instrument: {name}", right and largest <= TOLERANCE, said)


class Own(nn.Module):
    """A fused layer within a forward pass that only it knows, so that the instrument must go through it by autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = _Wrapped(3, 8, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(batch, 2)``."""
        answer: Tensor = self.head(self.lstm(x)[0][:, -1])
        return answer


class _Wrapped(nn.LSTM):
    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        return super().forward(x, hx)


def evaluation(device: str) -> Iterator[Check]:
    """Measure through fused layers in evaluation mode, where cuDNN refuses its backward pass."""
    torch.manual_seed(0)
    model = Own()
    model.eval()
    batch = Batch(torch.randn(4, 12, 3), None, torch.tensor([0, 1, 0, 1]))
    profiles = []
    for where in ("cpu", device):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it cannot look into the layer
            profiles.append(gradient_profile(copy.deepcopy(model).to(where), batch, _each_loss)["median"])
    on_device = copy.deepcopy(model).to(device)
    try:
        on_device(batch.x.to(device)).sum().backward()
        alone = "torch itself takes it too"
    except RuntimeError as error:
        alone = f"torch itself refuses it: {str(error).splitlines()[0]}"
    apart = difference(*profiles)
    yield Check("a fused layer in evaluation mode", apart <= TOLERANCE, f"largest difference {apart:.1e}; {alone}")


def _each_loss(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output, target, reduction="none")


def runs(device: str, folder: Path, epochs: int = 3) -> Iterator[Check]:
    """Do one run of each model with all diagnostics."""
    for name in MODELS:
        setting = Setting(name, epochs=epochs)
        record = finished(*configure(setting, folder, f"device={device}", "diagnostics=full", "tracking=off"))
        measured = [key for key in record["metrics"] if key.startswith("gradient/end/")]
        said = f"test accuracy {record['metrics']['test/accuracy']:.2f}, {len(measured)} figures of the gradient"
        yield Check(f"a run: {name}", bool(measured), said)


def sweep(device: str, folder: Path, seeds: int = 4, epochs: int = 3) -> Iterator[Check]:
    """Do one sweep, all runs of it on one device at a time."""
    results = folder / "sweep"
    line = ["model=lstm,gru", f"seed=range(0,{seeds})", f"trainer.epochs={epochs}", "tracking=off"]
    spent = call(RUN_PY, "-m", *line, f"device={device}", f"results_dir={results}", folder=folder)
    states = [RecordStore(results / "runs").status(path.parent.name) for path in results.glob("runs/*/record.json")]
    said = f"{states.count('finished')} of {2 * seeds} finished in {spent.wall:.0f} s"
    yield Check(f"a sweep of {2 * seeds} runs on one device", states == ["finished"] * (2 * seeds), said)


def resume(device: str, folder: Path, epochs: int = 40) -> Iterator[Check]:
    """Kill a run between two epochs, let it go on, and compare it with one that was left alone."""
    line = ["model=gru", f"trainer.epochs={epochs}", "trainer.checkpoint_seconds=0", "tracking=off", f"device={device}"]
    call(RUN_PY, *line, f"results_dir={folder / 'whole'}", folder=folder)
    killed = folder / "killed"
    with (folder / "killed.txt").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, RUN_PY, *line, f"results_dir={killed}"], cwd=folder, stdout=output, stderr=output
        )
        deadline = time.monotonic() + 300
        while not list(killed.glob("runs/*/*.ckpt")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = [RecordStore(killed / "runs").status(path.parent.name) for path in killed.glob("runs/*/record.json")]
    again = datetime.now(UTC).isoformat(timespec="seconds")
    time.sleep(1)  # the record tells seconds
    call(RUN_PY, *line, f"results_dir={killed}", folder=folder)
    (_, undisturbed), (record, history) = (_record(folder / name) for name in ("whole", "killed"))
    once = history["epoch"].tolist() == list(range(1, epochs + 1))
    went_on = before != ["finished"] and record["started"] <= again
    apart = difference(undisturbed["train/loss"], history["train/loss"])
    said = f"went on: {went_on}; every epoch once: {once}; training loss apart by {apart:.1e}"
    yield Check("a killed run goes on", went_on and once and apart < 1e-2, said)


def _record(results: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    store = RecordStore(results / "runs")
    (path,) = results.glob("runs/*/record.json")
    record = store.read(path.parent.name)
    assert record is not None
    return record, pd.read_csv(path.parent / "history.csv")


def throughput(device: str, folder: Path, width: int = 256, steps: int = 40) -> Iterator[tuple[str, ...]]:
    """Train on the device and on one core of the CPU; yield model and steps a second of both."""
    for name in MODELS:
        setting = Setting(name, width=width, seq_len=200, epochs=1, task="recall", train_size=64 * steps)
        rates = []
        for where in (device, "cpu"):
            off = ["diagnostics=off", "tracking=off", f"device={where}"]
            finished(*configure(Setting(name, width=width, seq_len=200, epochs=1), folder, *off))  # warms up
            rates.append(finished(*configure(setting, folder, *off))["steps_per_second"])
        yield name, f"{rates[0]:.1f}", f"{rates[1]:.1f}", f"{rates[0] / rates[1]:.1f}"


def page(device: str, checks: list[Check], rates: list[tuple[str, ...]], seconds: float) -> str:
    """Return what people read."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else f"the CPU ({platform.machine()})"
    wrong = [check.what for check in checks if not check.right]
    verdict = f"Wrong: {', '.join(wrong)}." if wrong else f"All {len(checks)} checks are right."
    lines = [(check.what, "right" if check.right else "**wrong**", check.found) for check in checks]
    return "\n\n".join(
        [
            "# On a GPU",
            f"**Run on {name}**, {datetime.now(UTC):%Y-%m-%d}, commit {revision()}, torch {torch.__version__}, in "
            f"{seconds:.0f} s. {verdict}",
            table(("what", "", "found"), lines),
            "## Steps a second",
            "Recall, T = 200, width 256, batches of 64; beside one core of that machine's CPU.",
            table(("model", "on the device", "on one core", "ratio"), rates),
            "Made by `make gpu-check`.\n",
        ]
    )


def not_run(into: Path) -> None:
    """Say that it has not been run; what is known of a run before stays."""
    path = into / PAGE
    if path.is_file() and NOT_RUN not in path.read_text("utf-8"):
        return
    write_text(
        path,
        f"# On a GPU\n\n{NOT_RUN} no machine with a CUDA device has run `make gpu-check` yet.** Its checks are tested "
        "on the CPU\n(`tests/test_benchmarks.py`), where only the device's name differs; of GPUs that shows nothing.\n",
    )


def main(
    device: Annotated[str, typer.Option(help="cuda, cuda:1, or cpu, to see whether the check itself works.")] = "cuda",
    into: Annotated[Path, typer.Option(help="The folder of gpu.md.")] = PROJECT / "results/performance",
) -> None:
    """Check, print, write."""
    if device != "cpu" and not torch.cuda.is_available():
        not_run(into)
        raise SystemExit("gpu-check: not run: torch finds no CUDA device here")
    start = time.perf_counter()
    checks: list[Check] = []
    with tempfile.TemporaryDirectory(prefix="gradreach-gpu-") as temporary:
        folder = Path(temporary)
        parts: list[Callable[[], Iterator[Check]]] = [
            lambda: instrument(device, folder),
            lambda: evaluation(device),
            lambda: runs(device, folder),
            lambda: sweep(device, folder),
            lambda: resume(device, folder),
        ]
        for part in parts:
            for check in part():
                checks.append(check)
                verdict = "right" if check.right else "WRONG"
                print(f"{time.perf_counter() - start:4.0f} s  {verdict}  {check.what}: {check.found}")
        rates = list(throughput(device, folder))
    write_text(into / PAGE, page(device, checks, rates, time.perf_counter() - start))
    print(f"written: {into / PAGE}")
    if not all(check.right for check in checks):
        raise SystemExit("gpu-check: something is wrong")


if __name__ == "__main__":
    typer.run(main)
