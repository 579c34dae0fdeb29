"""What a linear map reads from hidden states and cells about past inputs and the target."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import STAGES, draw_point, head, point
from gradreach.analysis.figures.labels import label_lines
from gradreach.analysis.figures.panels import panels_of
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PANEL, figure_of, save_figure
from gradreach.look import look_of
from gradreach.rounding import number

PARTS = {"h": "hidden state h", "c": "cell c"}
R2 = Measure("r2", "R² on other examples")


def decoding_by_lag(results: Results, stem: Path, *, panels: str = "task") -> Figure:
    """Draw R² of past inputs against lag on the left, and of the target against position on the right.

    A colour a part of the state, dotted before training and solid after it; a row for each panel. Needs
    ``diagnostics.decoding=ends``.

    Args:
        results: what is drawn; of several recurrent layers the last one, running forwards.
        stem: the name of the files, without their ending.
        panels: what makes a row.
    """
    contents = panels_of(results.runs, panels)
    with save_figure(stem, len(contents), 2, sharex=False, sharey=True, size=(PANEL[0] + 0.8, PANEL[1])) as drawn:
        for row, (title, runs) in enumerate(contents):
            inputs, target = drawn[2 * row : 2 * row + 2]
            told = by_run(results.decoding, list(runs["run_id"]))
            draw_told(inputs, runs, told[told["of"] == "input"], "lag")
            draw_told(target, runs, told[told["of"] == "target"], "position")
            inputs.set(title=f"{title}: past inputs".removeprefix(": "), xlabel="lag (steps back)", ylabel=R2.label)
            target.set(title=f"{title}: the target".removeprefix(": "), xlabel="passed of the sequence (%)")
            for axes in (inputs, target):
                axes.set_ylim(-0.1, 1.05)
        head(figure_of(drawn), "What a linear map reads from the state")
        label_lines(figure_of(drawn))
    return figure_of(drawn)


def by_run(decoding: pd.DataFrame, run_ids: list[str]) -> pd.DataFrame:
    """Return R² by run, stage, part of the state, and lag (the mean over positions) or position."""
    keys = ["run_id", "stage", "quantity", "of", "lag", "position"]
    if decoding.empty:
        return pd.DataFrame(columns=[*keys, "r2"])
    mine = decoding[decoding["run_id"].isin(run_ids) & (decoding["direction"] == "forward")]
    mine = mine[mine["layer"] == mine.groupby("run_id")["layer"].transform("last")]
    lags = mine[mine["of"] == "input"].groupby([*keys[:4], "lag"], sort=False)["r2"].mean().reset_index()
    return pd.concat([lags, mine.loc[mine["of"] == "target", [*keys[:4], "position", "r2"]]], ignore_index=True)


def draw_told(axes: Axes, runs: pd.DataFrame, told: pd.DataFrame, x: str) -> None:
    """Draw a line for each part and stage."""
    places = sorted(told[x].dropna().unique()) if x in told else []
    for stage, when in STAGES.items():
        for part, name in PARTS.items():
            mine = told[(told["stage"] == stage) & (told["quantity"] == part)]
            if mine["r2"].isna().all():
                continue
            points = []
            for place in places:
                values = mine[mine[x] == place].set_index("run_id")["r2"]
                points.append(point(runs.assign(r2=runs["run_id"].map(values)), R2))
            look = replace(look_of(name), linestyle="-" if stage == "end" else ":")  # a part has one colour
            known = [(at, y.value) for at, y in zip(places, points, strict=True) if y.valid]
            axes.plot(*zip(*known, strict=True), **look.line, markevery=[], label=f"{name}, {when}")
            for at, y in zip(places, points, strict=True):
                draw_point(axes, at, y, look, f"{name}, {when}, {x} {number(at, 'g')}")
    if places:
        axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xticks(places, [number(place if x == "lag" else 100 * place, "g") for place in places])
