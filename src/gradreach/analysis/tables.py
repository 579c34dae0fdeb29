"""Runs -> grouped estimates -> CSV, Markdown, LaTeX. Rounding and order are fixed: a diff means a change."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.statistics import estimate


@dataclass(frozen=True)
class Measure:
    """One number of a run, as a table shows it.

    - ``metric``: its column in the run table.
    - ``label``: what readers call it.
    - ``line``: tells measures of one group apart that stand below each other.
    - ``digits``: behind the point.
    - ``scale``: 100 for per cent.
    - ``needs``: another column and the least it must be for the number to mean anything.
    """

    metric: str
    label: str
    line: str = ""
    digits: int = 1
    scale: float = 1.0
    needs: tuple[str, float] | None = None

    def values(self, runs: pd.DataFrame) -> np.ndarray:
        """Return the measure of every run, NaN where it has none."""
        values = _numbers(runs, self.metric) * self.scale
        if self.needs is not None:
            values[~(_numbers(runs, self.needs[0]) >= self.needs[1])] = math.nan
        return values


@dataclass(frozen=True)
class Table:
    """A grouped table.

    - ``name``: of its files.
    - ``caption``: what it shows.
    - ``reading``: how its cells are read.
    - ``measures``: side by side, but for their lines.
    - ``rows``, ``columns``: keys of the run table.
    - ``lines``: what the lines of a group are called.
    """

    name: str
    caption: str
    reading: str
    measures: tuple[Measure, ...]
    rows: str = "architecture"
    columns: str = "seq_len"
    lines: str = "line"


def summarize(runs: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return one row for each group and measure: mean, sd, 95 % interval, n, parameters, chance."""
    rows = []
    for (row_key, column_key), group in runs.groupby([table.rows, table.columns], sort=False):
        finished = group[group["status"] == "finished"]
        for measure in table.measures:
            if measure.metric not in runs or (len(finished) and finished[measure.metric].isna().all()):
                continue  # a measure that this architecture does not have
            result = estimate(measure.values(finished))
            rows.append(
                {
                    table.rows: row_key,
                    table.columns: column_key,
                    table.lines: measure.line,
                    "measure": measure.label,
                    "mean": result.mean,
                    "sd": result.sd,
                    "ci95_low": result.mean - result.half_width,
                    "ci95_high": result.mean + result.half_width,
                    "n_valid": result.n,
                    "n_finished": len(finished),
                    "n_diverged": int((group["status"] == "diverged").sum()),
                    "n": len(group),
                    "parameters": _common(finished, "parameters"),
                    "chance": _common(finished, "chance"),
                    "run_ids": " ".join(finished["run_id"]) if "run_id" in finished else "",
                }
            )
    return pd.DataFrame(rows)


def wide(
    summary: pd.DataFrame, table: Table, cell_text: Callable[[Mapping[str, Any], int], str] | None = None
) -> pd.DataFrame:
    """Return the table as people read it.

    Args:
        summary: of ``summarize``.
        table: how its cells are arranged.
        cell_text: makes the text of a cell from its row of the summary and its digits; by default
            ``mean ± half-width (valid/planned)``.
    """
    cell_text = cell_text or _cell
    digits = {measure.label: measure.digits for measure in table.measures}
    lines = []
    for (row_key, line_key), group in summary.groupby([table.rows, table.lines], sort=False):
        line = {table.rows: str(row_key)}
        line["parameters"] = ", ".join(f"{int(p):,}" for p in group["parameters"].dropna().unique())
        if line_key:
            line[table.lines] = str(line_key)
        cells = {(cell["measure"], cell[table.columns]): cell for cell in group.to_dict("records")}
        for label in digits:
            for column in sorted(summary[table.columns].unique()):
                cell = cells.get((label, column))
                line[f"{label}, {table.columns} {column}"] = "" if cell is None else cell_text(cell, digits[label])
        lines.append(line)
    return pd.DataFrame(lines)


def markdown(frame: pd.DataFrame) -> str:
    """Return a frame of texts as a Markdown table."""
    lines = [list(frame.columns), ["---"] * len(frame.columns), *frame.to_numpy().tolist()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


LATEX = {
    "±": "$\\pm$",
    "–": "--",
    "−": "$-$",
    "≥": "$\\geq$",
    "‖": "$\\|$",
    "²": "$^2$",
    "·": "$\\cdot$",
    "%": "\\%",
    "_": "\\_",
}


def latex(frame: pd.DataFrame, caption: str, label: str) -> str:
    """Return a frame of texts as a LaTeX table (packages: booktabs)."""
    signs = str.maketrans(LATEX)
    frame = frame.map(lambda cell: cell.translate(signs)).rename(columns=lambda name: name.translate(signs))
    return frame.to_latex(index=False, escape=False, caption=caption.translate(signs), label=label, position="tb")


def chance_line(runs: pd.DataFrame) -> str:
    """Say the chance level of every task."""
    known = runs.dropna(subset=["chance"]) if "chance" in runs else runs.iloc[:0]
    parts = []
    for task, group in known.groupby("task"):
        by_value = "metric" in group and (group["metric"] == "mse").all()
        levels = (f"mse {c:.3g}" if by_value else f"{100 * c:.1f} %" for c in sorted(group["chance"].unique()))
        parts.append(f"{task} {' / '.join(levels)}")
    return "Chance level: " + ", ".join(parts) + "." if parts else "Chance level: not known yet, no run has finished."


def _cell(cell: Mapping[str, Any], digits: int) -> str:
    counted = f"({cell['n_valid']}/{cell['n']})"
    if cell["n_valid"] == 0:
        return f"– {counted}"
    half = cell["ci95_high"] - cell["mean"]
    interval = f" ± {half:.{digits}f}" if math.isfinite(half) else ""
    return f"{cell['mean']:.{digits}f}{interval} {counted}"


def _numbers(runs: pd.DataFrame, column: str) -> np.ndarray:
    if column not in runs:
        return np.full(len(runs), math.nan)
    return runs[column].to_numpy(dtype=float, na_value=math.nan)


def _common(group: pd.DataFrame, column: str) -> float:
    """Return the value that all rows share, NaN where they have none."""
    if column not in group:
        return math.nan
    values = group[column].dropna().unique()
    return values[0] if len(values) == 1 else math.nan
