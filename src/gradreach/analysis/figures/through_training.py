"""Metrics and gates through training."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import (
    THIN,
    Threshold,
    draw_curve,
    draw_threshold,
    head,
    of_one_length,
    opacity,
    series_of,
    tell,
)
from gradreach.analysis.figures.labels import label_lines
from gradreach.analysis.figures.panels import Panel, layout, leftmost
from gradreach.analysis.figures.scales import log_scale, show_whole_range
from gradreach.analysis.figures.scores import draw_chance
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import figure_of, save_figure
from gradreach.look import look_of, without_unit
from gradreach.rounding import number

VALIDATION = Measure("val/accuracy", "validation accuracy (%)", scale=100)
GATES = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "r": "reset gate",
    "z": "update gate (weighs the old state)",
    "notes": "the notes' tanh'·f",
}
"""Names of the gates of ``gradreach.diagnostics.gate_statistics``."""
SHARES = {"mean": "mean of the memory gate", "closed": "share below 0.1", "open": "share above 0.9"}


def learning_curves(
    results: Results,
    stem: Path,
    *,
    measure: Measure = VALIDATION,
    by: str = "architecture",
    panels: str | None = "seq_len",
    log: bool = False,
    threshold: Threshold = None,
) -> Figure:
    """Draw a figure of every epoch: each seed as a thin line, the median of those still running as a thick one.

    A cross ends the curve of a run that diverged or failed.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        measure: a column of the history.
        by: what makes a line.
        panels: what makes a panel; a row of them holds at most five groups.
        log: whether the measure stands on a logarithmic axis.
        threshold: a value that a rule compares with, or several by what they are called.
    """
    shown = layout(results.runs, panels, by)
    with save_figure(stem, shown.rows, shown.columns, sharex=False, size=shown.size) as drawn:
        for axes, panel in shown.fill(drawn):
            draw_curves(axes, panel, results.history, measure, by)
            draw_chance(axes, panel.runs, measure)
            draw_threshold(axes, threshold)
            axes.set(xlabel="epoch", ylabel=measure.label if leftmost(axes) else "")
            show_whole_range(axes, measure)
        if log:
            log_scale(*figure_of(drawn).axes)
        head(figure_of(drawn), f"{without_unit(measure.label)}, through training")
        label_lines(figure_of(drawn))
    return figure_of(drawn)


def draw_curves(axes: Axes, panel: Panel, history: pd.DataFrame, measure: Measure, by: str) -> None:
    """Draw the curves of every group."""
    runs = panel.runs
    for key, series in panel.series.items():
        look = series.look
        some = runs[runs[by] == key]
        curves = {run_id: curve for run_id, curve in curves_of(history, some, measure.metric).items() if len(curve)}
        for run_id, curve in curves.items():
            values = curve.to_numpy(float) * measure.scale
            status = str(some.set_index("run_id").loc[run_id, "status"])
            line = draw_curve(axes, curve.index.to_numpy(float), values, color=look.color, **THIN)
            last = f"{number(values[-1], '.4g')} at epoch {number(curve.index[-1], 'g')}"
            tell(line, f"{look.name}, run {run_id} ({status}): {last}")
            if status in ("diverged", "failed"):
                axes.plot(curve.index[-1], values[np.isfinite(values)][-1:].sum(), "x", color=look.color)
        middle = pd.DataFrame(curves).median(axis=1) * measure.scale
        if len(some):
            dashed = {"color": look.color, "linestyle": look.linestyle, "alpha": opacity(some)}
            draw_curve(axes, middle.index.to_numpy(float), middle.to_numpy(float), series.label, **dashed)


def curves_of(history: pd.DataFrame, runs: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    """Return a figure by epoch for each run that has it."""
    if column not in history:
        return {}
    mine = history[history["run_id"].isin(list(runs["run_id"]))]
    return {
        str(run_id): curve.set_index("epoch")[column].astype(float).replace([np.inf, -np.inf], np.nan).dropna()
        for run_id, curve in mine.groupby("run_id", sort=False, observed=True)
    }


def gates_through_training(
    results: Results,
    stem: Path,
    *,
    shares: tuple[str, ...] = ("mean", "closed", "open"),
    by: str = "architecture",
    seq_len: int | None = None,
    layer: str = "",
) -> Figure:
    """Draw the gates epoch by epoch: one row per gated architecture, one colour per gate.

    Thin lines are seeds, thick ones their median; epoch 0 is before training. Needs ``diagnostics.gates=1``.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        shares: a column of panels each: ``mean`` (of the gate that weighs the old state), ``closed`` (share of values
            below 0.1), ``open`` (above 0.9).
        by: what makes a row.
        seq_len: of the runs that are drawn; None takes the longest.
        layer: of several recurrent layers the number, as in ``2``, or ``2_backward``.
    """
    runs, length = of_one_length(results.runs, seq_len)
    gated = [key for key, group in runs.groupby(by, sort=False) if any(_has_gates(group, g, layer) for g in GATES)]
    with save_figure(stem, max(len(gated), 1), len(shares), sharex=False, sharey=False, size=(3.2, 2.2)) as drawn:
        for i, axes in enumerate(drawn):
            row, share = i // len(shares), shares[i % len(shares)]
            if gated:
                draw_gates(axes, runs[runs[by] == gated[row]], results.history, share, layer)
            else:
                axes.text(0.5, 0.5, "no gates measured", ha="center", transform=axes.transAxes)
            title = series_of(runs, by)[gated[row]].label if gated else ""
            axes.set(title=title, ylim=(-0.03, 1.03), ylabel=SHARES[share], xlabel="epoch")
        head(figure_of(drawn), length)
        label_lines(figure_of(drawn))
    return figure_of(drawn)


def draw_gates(axes: Axes, runs: pd.DataFrame, history: pd.DataFrame, share: str, layer: str) -> None:
    """Draw one share of all gates of an architecture."""
    for gate, name in GATES.items():
        column = f"gradient/gate_{gate}{layer}.{share}"
        start = column.replace("gradient/", "gradient/start/")
        curves = curves_of(history, runs, column)
        if start in runs:
            known = runs.set_index("run_id")[start].dropna().astype(float)
            for run_id, value in known.items():
                before = pd.Series([value], index=[0.0])
                curves[str(run_id)] = pd.concat([before, curves.get(str(run_id), pd.Series(dtype=float))])
        curves = {run_id: curve for run_id, curve in curves.items() if len(curve)}
        if not curves:
            continue
        look = look_of(name)
        for run_id, curve in curves.items():
            (line,) = axes.plot(curve.index, curve, color=look.color, **THIN)
            tell(line, f"{name}, run {run_id}: {number(curve.iloc[0], '.3f')} to {number(curve.iloc[-1], '.3f')}")
        middle = pd.DataFrame(curves).median(axis=1)
        axes.plot(middle.index, middle, color=look.color, linestyle=look.linestyle, label=name)


def _has_gates(runs: pd.DataFrame, gate: str, layer: str) -> bool:
    column = f"gradient/start/gate_{gate}{layer}.closed"
    return column in runs and bool(runs[column].notna().any())
