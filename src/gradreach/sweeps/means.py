"""The results of a sweep in a small table: the mean score of each configuration, by sequence length."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from gradreach.config import RunConfig
from gradreach.rounding import score_text
from gradreach.sweeps.plan import Job, varied

ROWS, COLUMNS = 16, 6
"""The largest small table; ``gradreach table`` prints any."""
FOLLOWS_LENGTH = re.compile(r"\$\\?\{seq_len\\?\}")  # Hydra may have escaped the braces
Score = tuple[str, float]
"""A metric, and its value on the test."""


def means_table(jobs: Sequence[Job], scores: Mapping[str, Score]) -> Table | None:
    """Return the mean test score over seeds: a row a configuration, a column a length where there are several.

    A cell with fewer runs than planned says how many it rests on.

    Args:
        jobs: of the sweep.
        scores: of the runs that have one, by their ids.

    Returns:
        None if no run has a score, or the table would be too large.
    """
    lengths = list(dict.fromkeys(length_of(job.run) for job in jobs))
    beside = lengths if 1 < len(lengths) <= COLUMNS else [None]
    names = configurations(jobs, with_length=len(beside) == 1)
    cells: dict[str, dict[Any, list[str]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        cells[names[job.run_id]][length_of(job.run) if len(beside) > 1 else None].append(job.run_id)
    if not scores or len(cells) > ROWS:
        return None
    seeds = len({job.run.seed for job in jobs})
    head = f"test {' or '.join(sorted({metric for metric, _ in scores.values()}))}"
    table = Table(f"{head}, mean over {seeds} seeds" if seeds > 1 else head, box=SIMPLE_HEAD, pad_edge=False)
    for length in beside:
        table.add_column("" if length is None else f"T={length}", justify="right")
    for name, row in cells.items():
        table.add_row(escape(name), *(cell(row[length], scores) for length in beside))
    return table


def configurations(jobs: Sequence[Job], with_length: bool) -> dict[str, str]:
    """Return by run what its row is called; a setting that follows the length is written as that, unless it is told."""
    by_run, several = varied(jobs), len({job.run.task.name for job in jobs}) > 1
    names = {}
    for job in jobs:
        written = {key.lstrip("+"): text for key, _, text in (each.partition("=") for each in job.overrides)}
        kernel, length = job.run.model.arguments().get("kernel_size"), length_of(job.run)
        parts = [job.run.model.name]
        parts += [job.run.task.name] if several else []
        parts += [f"T={length}"] if with_length and length is not None else []
        parts += [f"k={kernel}"] if kernel is not None else []
        for key, value in by_run[job.run_id].items():
            follows = not with_length and FOLLOWS_LENGTH.search(written.get(key, ""))
            parts.append(f"{key.rpartition('.')[2]}={'T' if follows else value}")
        names[job.run_id] = " · ".join(parts)
    return names


def length_of(run: RunConfig) -> Any:
    """Return the sequence length of a run; None if its task does not define one."""
    return run.task.arguments().get("seq_len")


def cell(runs: Sequence[str], scores: Mapping[str, Score]) -> str:
    """Return the mean score of some runs; a dash if none has one."""
    found = [scores[run_id] for run_id in runs if run_id in scores]
    if not found:
        return "–"
    metric = found[0][0]
    mean = score_text(metric, fmean(value for _, value in found))
    return mean if len(found) == len(runs) else f"{mean} ({len(found)}/{len(runs)})"
