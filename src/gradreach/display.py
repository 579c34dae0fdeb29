"""What a person sees during runs, and at their end."""

import math
import shlex
import shutil
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from gradreach.config import RunConfig, RunEnvironment
from gradreach.records import RecordStore, left_alone
from gradreach.rounding import number, score_text
from gradreach.system.warned import kinds

POLL_SECONDS = 0.5
"""How long a sweep's display waits before it looks at the records again, where something has just happened."""
LONGEST_SECONDS = 60.0
"""How long it waits at most; longer only where a look itself takes long."""
PATIENCE, SHARE = 0.05, 0.01
"""The share of the time since something happened that it waits for more; the share of all time that looking takes."""
KINDS = 5
"""The most kinds of warnings to show."""
SLOW = 5.0
"""From this many seconds on, durations are shown."""
CHOSEN = {"best": "best epoch", "last": "last epoch", "train_loss": "epoch of the lowest training loss"}
"""What the tested epoch is called, by ``trainer.select``."""
LATEST = 8
"""How many of the latest results the table shows."""


def make_console() -> Console:
    """Return the console to print to."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 200  # a file breaks no lines
    return console


def progress_bar(console: Console, *more: ProgressColumn) -> Progress:
    """Return a bar that shows only on a terminal, with further columns behind the count."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        *more,
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def tables_line(experiment: str, results_dir: Path, published: bool = False) -> str:
    """Return the command that builds an experiment's or a published table's pages, as it works in this shell."""
    verb, folder = ("reproduce", results_dir.parent) if published else ("tables", results_dir)
    elsewhere = [] if folder.absolute() == Path("results").absolute() else ["--results-dir", str(folder)]
    return shlex.join([*_command("gradreach"), verb, experiment, *elsewhere])


def table_line(results_dir: Path) -> str:
    """Return the command that prints a table of all runs, as it works in this shell."""
    elsewhere = [] if results_dir.absolute() == Path("results").absolute() else ["--results-dir", str(results_dir)]
    return shlex.join([*_command("gradreach"), "table", *elsewhere])


def leet_line(results_dir: Path) -> str | None:
    """Return the line that opens the curves in the terminal, as it works in this shell; None where there are none."""
    if not any((results_dir / "wandb").glob("*run-*/*.wandb")):
        return None
    return shlex.join([*_command("wandb"), "leet", str(results_dir / "wandb")])


def _command(name: str) -> list[str]:
    """Return how a program is called that is also a module of ours, where its folder is not on the path."""
    return [name] if shutil.which(name) is not None else [sys.executable, "-m", name]


class RunDisplay:
    """One run: a bar over its budget, epochs or steps; plain lines where the output is not a terminal."""

    def __init__(self, run: RunConfig) -> None:
        self.run = run
        self.unit = "step" if run.trainer.epochs is None else "epoch"
        self.budget = run.trainer.epochs or run.trainer.max_steps or 0
        self.shown = 0
        self.console = make_console()
        self.bar = progress_bar(self.console, TextColumn("{task.fields[within]}"))
        self.watch = self._within if self.console.is_terminal else None

    def __enter__(self) -> "RunDisplay":
        self.console.print(f"[bold]{self.run.label} · seed {self.run.seed}[/bold]  run {self.run.run_id}")
        self.bar.start()
        self.task = self.bar.add_task(self.unit, total=self.budget, within="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.bar.stop()

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Show an epoch; measurements within an epoch are not shown."""
        if "train/loss" not in row:
            return
        metric = "accuracy" if "val/accuracy" in row else "mse"
        loss, score = number(row["train/loss"], ".3f"), score_text(metric, row[f"val/{metric}"])
        text = f"loss {loss}   validation {metric} {score:>6}"
        over = row[self.unit]
        self.bar.update(self.task, completed=over, description=f"loss {loss} · validation {score:>6}", within="")
        every = max(1, self.budget // 5)
        seconds = row.get("time/seconds", 0.0)
        slow = row["epoch"] == 1 and seconds > SLOW  # then a duration is worth a line at once
        if not self.console.is_terminal and (slow or over // every > self.shown or over == self.budget):
            left = (self.budget - over) * seconds / over
            ahead = f"   about {duration(left)} left" if left > SLOW else ""
            self.console.print(f"  {self.unit} {over:>{len(str(self.budget))}} of {self.budget}   {text}{ahead}")
            self.shown = over // every

    def _within(self, epochs: int, batch: int, batches: int, steps: int) -> None:
        """Show progress within an epoch."""
        over = epochs + batch / batches if self.unit == "epoch" else steps
        self.bar.update(self.task, completed=over, within=f"batch {batch}/{batches}")

    def result(self, record: Mapping[str, Any], environment: RunEnvironment) -> None:
        """Show the few figures that matter, and where to look next."""
        folder = environment.results_dir / "runs" / record["run_id"]
        if record["status"] == "interrupted":
            self.console.print(f"{record['error']}; re-run the same command to resume")
            return
        if record["status"] != "finished":
            self.console.print(f"[bold red]{record['status']}[/bold red]: {record.get('error')}", markup=True)
            if "traceback" in record:
                self.console.print(f"  full traceback: {folder / 'record.json'}")
            return
        metrics, metric = record["metrics"], record.get("metric", "accuracy")
        select = record["config"]["trainer"].get("select", "best")
        self.console.print(
            f"  {f'test {metric}':<15} {score_text(metric, metrics[f'test/{metric}'])}   "
            f"chance {score_text(metric, record['chance'])}   "
            f"validation {score_text(metric, metrics[f'val/{metric}'])} ({CHOSEN[select]} {record['best_epoch']})"
        )
        scores = by_length(metrics, f"test/{metric}")
        if scores:
            told = "   ".join(f"{steps}: {score_text(metric, score)}" for steps, score in scores.items())
            self.console.print(f"  by test length  {told}", markup=False)
        if record.get("stopped"):
            self.console.print(f"  stopped early   {record['stopped']}, after {record['steps']} steps", markup=False)
        if "gradient/end/x.reach" in metrics:
            for stage in ("start", "end"):
                self.console.print(f"  gradient {stage:<6} {_gradient(metrics, stage)}")
        if reaches := by_length(metrics, "gradient/end/x.reach"):
            told = "   ".join(f"{steps}: {_steps(reach)}" for steps, reach in reaches.items())
            self.console.print(f"  reach by length {told} (input, end)", markup=False)
        self.console.print(
            f"  size            {record['parameters']:,} parameters, "
            f"{record['multiply_adds']:,} multiply-adds a sequence, {number(record['seconds'], '.1f')} s"
        )
        self.console.print(f"  record          {folder}/record.json, history.csv, profile.npz")
        look = leet_line(environment.results_dir)
        if environment.tracking.mode != "off" and look is not None:
            self.console.print(f"  look            {look}")
        if "page" in record:
            self.console.print(f"                  {record['page']}")


def duration(seconds: float) -> str:
    """Write a time that is an estimate.

    >>> duration(42), duration(200), duration(9000)
    ('42 s', '3 min', '2 h 30 min')
    """
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{number(seconds, '.0f')} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def by_length(metrics: Mapping[str, Any], name: str) -> dict[int, float]:
    """Return a figure by test length.

    >>> by_length({"test/accuracy": 1.0, "test/accuracy/80": 0.5}, "test/accuracy")
    {80: 0.5}
    """
    found = {key.removeprefix(f"{name}/"): value for key, value in metrics.items() if key.startswith(f"{name}/")}
    return {int(length): float(value) for length, value in found.items()}


def counted(runs: int) -> str:
    """Return a number of runs in words."""
    return f"{runs} run" if runs == 1 else f"{runs} runs"


def warned_lines(warned: Iterable[Sequence[str]]) -> list[str]:
    """Print each kind of warning once, with the number of runs, the most frequent first.

    Args:
        warned: the warnings of each run.
    """
    found = sorted(kinds(warned).items(), key=lambda kind: -kind[1])
    lines = [f"  warning of {counted(count)}: {text}" for text, count in found[:KINDS]]
    more = f"  {len(found) - KINDS} more kinds of warnings: see the runs' records"
    return [*lines, more] if len(found) > KINDS else lines


def _gradient(metrics: Mapping[str, Any], stage: str) -> str:
    parts = []
    for quantity, name in (("x", "input"), ("h", "state"), ("c", "cell")):
        reach = metrics.get(f"gradient/{stage}/{quantity}.reach")
        if reach is not None:
            parts.append(f"reaches {_steps(reach)} steps back ({name})")
    return ", ".join(parts)


def _steps(reach: Any) -> str:
    """Return a reach in whole steps; a dash where no gradient arrives, or where its norm is not finite."""
    return "–" if math.isnan(float(reach)) else number(float(reach), ".0f")


class SweepDisplay:
    """A whole sweep, whatever launches it: watches the records that its runs leave.

    On a terminal the latest results stand in a table above what is running, failed and left; elsewhere every result is
    a line.

    - ``jobs``: how many combinations there were, ``runs``: the distinct runs that they make,
      ``left``: those that have to be done.
    - ``labels``: what each run is called.
    - ``draws``: whether it may have a terminal to itself; if not, every result is a line there too.
    """

    def __init__(
        self,
        store: RecordStore,
        jobs: int,
        runs: Sequence[RunConfig],
        left: Sequence[RunConfig],
        labels: Mapping[str, str],
        draws: bool = True,
    ) -> None:
        self.store, self.jobs, self.runs, self.planned, self.labels = store, jobs, runs, len(runs), labels
        self.left = {run.run_id: run for run in left}
        self.seen = {run_id: self.store.stamp(run_id) for run_id in self.left}
        self.running: set[str] = set()
        self.ended: dict[str, str] = {}
        self.latest: deque[tuple[str, ...]] = deque(maxlen=LATEST)
        self.already = self.planned - len(left)
        self.console = make_console()
        self.draws = draws and self.console.is_terminal
        self.bar = progress_bar(self.console)
        self.task = self.bar.add_task("", total=self.planned, completed=self.already)
        self.live = Live(get_renderable=self._picture, console=self.console, refresh_per_second=2)
        self.closing = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "SweepDisplay":
        same = f" ({self.jobs} combinations, identical ones once)" if self.jobs != self.planned else ""
        done = f", {self.already} already done" if self.already else ""
        self.console.print(f"[bold]sweep[/bold]: {counted(self.planned)}{same}{done}, {len(self.left)} to do")
        if self.draws and self.left:
            self.live.start()
        self.watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.closing.set()
        self.watcher.join()
        self._look()
        self.live.stop()

    @cached_property
    def records(self) -> dict[str, Mapping[str, Any]]:
        """What the runs have left at the end, by their ids."""
        return {run.run_id: self.store.read(run.run_id) or {} for run in self.runs}

    def note(self, text: str) -> None:
        """Print a message beside the runs."""
        self.console.print(text, style="bold", markup=False)

    def summary(
        self,
        states: Mapping[str, int],
        environment: RunEnvironment,
        unrecorded: Mapping[str, str],
        means: Table | None = None,
    ) -> None:
        """Print the result of the sweep, failed runs, and where to look next.

        Args:
            states: how many runs are in which.
            environment: where and how it was done.
            unrecorded: why runs without a record of it could not be done.
            means: of the scores, if that is a small table.
        """
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        self.console.print(f"[bold]{counted(self.planned)}[/bold]: {counts}")
        records = self.records
        failed = {run_id: r["error"] for run_id, r in records.items() if r.get("status") == "failed"}
        failed.update(unrecorded)
        if means is not None:
            self.console.print(means)
        if failed:
            table = Table("failed", "seed", "error", "its record", box=SIMPLE_HEAD, pad_edge=False)
            for run in self.runs:
                if (error := failed.get(run.run_id)) is not None:
                    where = str(self.store.folder(run.run_id) / "record.json") if records[run.run_id] else "none"
                    cells = (self.labels[run.run_id], str(run.seed), error.splitlines()[0], where)
                    table.add_row(*map(escape, cells))
            self.console.print(table)
        for line in warned_lines(record.get("warnings", ()) for record in records.values()):
            self.console.print(line, markup=False)
        if set(states) - set(left_alone(environment.retry)):
            self.console.print("  re-run the same command to resume")
        if "failed" in states and environment.retry == "none":
            self.console.print("  retry=failed re-runs what failed")
        if environment.experiment is not None:
            line = tables_line(environment.experiment, environment.results_dir, environment.published is not None)
            self.console.print(f"  next, for tables and figures: {line}")
        elif means is not None:
            self.console.print(
                f"  next, for a table of all runs, with intervals: {table_line(environment.results_dir)}"
            )
        if environment.tracking.mode != "off":
            self._tracked([records[run_id] for run_id in self.left if records[run_id]], environment)
        for project in sorted(
            {record["page"].rpartition("/runs/")[0] for record in records.values() if "page" in record}
        ):
            self.console.print(f"          {project}")

    def _tracked(self, records: Sequence[Mapping[str, Any]], environment: RunEnvironment) -> None:
        """Print where the curves are, and which runs have none, or none yet."""
        reasons = [record["untracked"] for record in records if "untracked" in record]
        if reasons:
            line = f"  not tracked to the end: {len(reasons)} of {len(records)} runs; the first: {reasons[0]}"
            self.console.print(line, markup=False)
        offline = sum("page" not in record and "untracked" not in record for record in records)
        if environment.tracking.mode == "online" and offline:
            self.console.print(f"  tracked offline: {offline} runs; 'gradreach sync' sends them")
        curves = leet_line(environment.results_dir)
        if curves is not None:
            self.console.print(f"  curves: {curves}")

    def _watch(self) -> None:
        happened, pause = time.monotonic(), POLL_SECONDS
        while not self.closing.wait(pause):
            begun = time.thread_time()
            if self._look():
                happened = time.monotonic()
            pause = pause_after(time.monotonic() - happened, time.thread_time() - begun)

    def _look(self) -> bool:
        """Read the runs' records again; return whether anything has changed."""
        changed = False
        for run_id in [run_id for run_id in self.left if run_id not in self.ended]:
            stamp = self.store.stamp(run_id)
            if stamp == self.seen[run_id]:
                continue
            record = self.store.read(run_id)
            if record is None:
                continue
            changed = True
            self.seen[run_id] = stamp
            self.running.discard(run_id)
            if record["status"] == "running":
                self.running.add(run_id)
            elif record["status"] != "interrupted":
                self._close(record)
        return changed

    def _close(self, record: Mapping[str, Any]) -> None:
        self.ended[record["run_id"]] = record["status"]
        done = self.already + len(self.ended)
        self.bar.update(self.task, completed=done)
        run = self.left[record["run_id"]]
        name, (result, reach, seconds) = f"{self.labels[run.run_id]} · seed {run.seed}", _outcome(record)
        self.latest.append((name, result, reach, seconds))
        if not self.draws:
            head = f"[{done:>{len(str(self.planned))}}/{self.planned}] {name:<36} {result}"
            self.console.print("   ".join(part for part in (head, reach, seconds) if part), markup=False)

    def _picture(self) -> Group:
        table = Table("latest runs", "result", "", "time", box=SIMPLE_HEAD, pad_edge=False)
        for row in self.latest:
            table.add_row(*map(escape, row))
        failed = Counter(self.ended.values())["failed"]
        waiting = len(self.left) - len(self.ended) - len(self.running)
        counts = f"{self.already + len(self.ended)} done · {len(self.running)} running · {waiting} waiting"
        self.bar.update(self.task, description=f"{counts} · [bold red]{failed} failed[/]" if failed else counts)
        return Group(*([table] if self.latest else []), self.bar.get_renderable())


def pause_after(quiet: float, look: float) -> float:
    """Return how long to wait for the next look at the records.

    Args:
        quiet: for how many seconds nothing has happened: runs that take hours need no look every second.
        look: how many seconds of processor time the last look took: of ten thousand runs it is long.
    """
    return max(POLL_SECONDS, min(PATIENCE * quiet, LONGEST_SECONDS), look / SHARE)


def _outcome(record: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return a run's result, the reach of its gradient, and its time."""
    seconds = f"{number(record['seconds'], '.1f'):>6} s" if "seconds" in record else ""
    if record["status"] != "finished":
        return f"{record['status']}: {record.get('error', '').splitlines()[0]}", "", seconds
    metrics, metric = record["metrics"], record.get("metric", "accuracy")
    reach = metrics.get("gradient/end/x.reach")
    far = f"gradient reaches {_steps(reach):>4} steps" if reach is not None else ""
    return f"test {metric} {score_text(metric, metrics[f'test/{metric}']):>6}", far, seconds
