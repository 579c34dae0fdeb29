"""What a person sees while runs go, and at their end."""

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gradreach.config import RunConfig, Workplace
from gradreach.records import SETTLED, RecordStore

POLL_SECONDS = 0.5


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class RunDisplay:
    """One run: a bar over its epochs; plain lines where the output is no terminal."""

    def __init__(self, run: RunConfig) -> None:
        self.run = run
        self.epochs = run.trainer.epochs
        self.console = _console()
        self.bar = _progress(self.console)

    def __enter__(self) -> "RunDisplay":
        self.console.print(f"[bold]{self.run.label} · seed {self.run.seed}[/bold]  run {self.run.run_id}")
        self.bar.start()
        self.task = self.bar.add_task("epoch", total=self.epochs)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.bar.stop()

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Show an epoch."""
        metric = "accuracy" if "val/accuracy" in row else "mse"
        text = f"loss {row['train/loss']:.3f}   validation {metric} {_score(metric, row[f'val/{metric}']):>6}"
        self.bar.update(self.task, completed=row["epoch"], description=text)
        every = max(1, self.epochs // 5)
        if not self.console.is_terminal and (row["epoch"] % every == 0 or row["epoch"] == self.epochs):
            self.console.print(f"  epoch {row['epoch']:>{len(str(self.epochs))}} of {self.epochs}   {text}")

    def result(self, record: Mapping[str, Any], workplace: Workplace) -> None:
        """Show the few figures that matter, and where to look next."""
        folder = workplace.results_dir / "runs" / record["run_id"]
        if record["status"] == "interrupted":
            self.console.print(f"{record['error']}; the same line goes on from there")
            return
        if record["status"] != "finished":
            self.console.print(f"[bold red]{record['status']}[/bold red]: {record.get('error')}", markup=True)
            if "traceback" in record:
                self.console.print(f"  the whole traceback stands in {folder / 'record.json'}")
            return
        metrics, metric = record["metrics"], record.get("metric", "accuracy")
        self.console.print(
            f"  {f'test {metric}':<15} {_score(metric, metrics[f'test/{metric}'])}   "
            f"chance {_score(metric, record['chance'])}   "
            f"validation {_score(metric, metrics[f'val/{metric}'])} (best epoch {record['best_epoch']})"
        )
        if "gradient/end/x.reach" in metrics:
            for stage in ("start", "end"):
                self.console.print(f"  gradient {stage:<6} {_gradient(metrics, stage)}")
        self.console.print(
            f"  size            {record['parameters']:,} parameters, "
            f"{record['multiply_adds']:,} multiply-adds a sequence, {record['seconds']:.1f} s"
        )
        self.console.print(f"  record          {folder}/record.json, history.csv, profile.npz")
        if workplace.tracking.mode == "offline":
            self.console.print(f"  look            wandb leet {workplace.results_dir / 'wandb'}")


def _score(metric: str, value: Any) -> str:
    return f"{float(value):.1%}" if metric == "accuracy" else f"{float(value):.3g}"


def _gradient(metrics: Mapping[str, Any], stage: str) -> str:
    parts = []
    for quantity, name in (("x", "input"), ("h", "state"), ("c", "cell")):
        reach = metrics.get(f"gradient/{stage}/{quantity}.reach")
        if reach is not None:
            parts.append(f"reaches {float(reach):.0f} steps back ({name})")
    return ", ".join(parts)


class SweepDisplay:
    """A whole sweep, whatever launches it: watches the records that its runs leave.

    - ``jobs``: how many combinations there were, ``planned``: how many distinct runs they make,
      ``left``: those that have to be done.
    """

    def __init__(self, store: RecordStore, jobs: int, planned: int, left: Sequence[RunConfig]) -> None:
        self.store, self.jobs, self.planned = store, jobs, planned
        self.left = {run.run_id: run for run in left}
        self.before = {run_id: self.store.stamp(run_id) for run_id in self.left}
        self.console = _console()
        self.bar = _progress(self.console)
        self.closing = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.done = planned - len(left)

    def __enter__(self) -> "SweepDisplay":
        same = f" ({self.jobs} combinations, identical ones once)" if self.jobs != self.planned else ""
        already = f", {self.done} already done" if self.done else ""
        self.console.print(f"[bold]sweep[/bold]: {self.planned} runs{same}{already}, {len(self.left)} to do")
        self.bar.start()
        self.task = self.bar.add_task("runs", total=self.planned, completed=self.done)
        self.waiting = dict(self.before)
        self.watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.closing.set()
        self.watcher.join()
        self._look()
        self.bar.stop()

    def note(self, text: str) -> None:
        """Say something beside the runs."""
        self.console.print(text, style="bold", markup=False)

    def summary(self, states: Mapping[str, int], workplace: Workplace) -> None:
        """Say what came of the sweep, which runs failed, and where to look next."""
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        self.console.print(f"[bold]{self.planned} runs[/bold]: {counts}")
        for run_id, run in self.left.items():
            record = self.store.read(run_id)
            if record is not None and record["status"] == "failed":
                error = record["error"].splitlines()[0]
                where = self.store.folder(run_id) / "record.json"
                self.console.print(
                    f"  failed: {run.label} · seed {run.seed}: {error}\n          traceback in {where}",
                    markup=False,
                )
        if set(states) - set(SETTLED):
            self.console.print("  the same line does again what is not finished")
        if workplace.experiment is not None:
            self.console.print(f"  tables and figures: gradreach tables {workplace.experiment}")
        if workplace.tracking.mode == "offline":
            self.console.print(f"  curves: wandb leet {workplace.results_dir / 'wandb'}")

    def _watch(self) -> None:
        while not self.closing.wait(POLL_SECONDS):
            self._look()

    def _look(self) -> None:
        for run_id in list(self.waiting):
            if self.store.stamp(run_id) == self.waiting[run_id]:
                continue
            record = self.store.read(run_id)
            if record is None or record["status"] in ("running", "interrupted"):
                continue
            del self.waiting[run_id]
            self.done += 1
            self.bar.update(self.task, completed=self.done)
            self.console.print(self._line(record), markup=False)

    def _line(self, record: Mapping[str, Any]) -> str:
        run = self.left[record["run_id"]]
        width = len(str(self.planned))
        head = f"[{self.done:>{width}}/{self.planned}] {run.label + f' · seed {run.seed}':<36}"
        if record["status"] != "finished":
            return f"{head} {record['status']}: {record.get('error', '').splitlines()[0]}"
        metrics, metric = record["metrics"], record.get("metric", "accuracy")
        reach = metrics.get("gradient/end/x.reach")
        far = f"   gradient reaches {float(reach):4.0f} steps" if reach is not None else ""
        score = _score(metric, metrics[f"test/{metric}"])
        return f"{head} test {metric} {score:>6}{far}   {record['seconds']:6.1f} s"
