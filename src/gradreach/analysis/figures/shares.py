"""The distribution of a gate's values: closed, in between, open."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from gradreach.analysis.figures.common import STAGES, Threshold, draw_threshold, head, tell
from gradreach.analysis.figures.labels import key_beside
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, figure_of, save_figure
from gradreach.look import display_name, look_of
from gradreach.rounding import number

PARTS = (
    ("closed", "below 0.1", look_of("after training").color),
    ("open", "above 0.9", look_of("before training").color),
    ("between", "in between", "#dddddd"),
)


def gate_shares(
    results: Results, stem: Path, *, gates: Mapping[str, str], by: str = "architecture", threshold: Threshold = None
) -> Figure:
    """Draw the mean shares of closed and open values as stacked bars: a panel for each gate and stage.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        gates: as in ``{"notes": "tanh'(c)·f"}``, and what they are called.
        by: what makes a bar.
        threshold: what a rule compares the share at both ends together with, in per cent.
    """
    runs = results.finished
    groups = list(runs.groupby(by, sort=False))
    size = (4.4, 1.0 + 0.32 * max(len(groups), 1))
    with save_figure(stem, len(gates), len(STAGES), sharex=True, sharey=True, size=size) as drawn:
        for row, (gate, name) in enumerate(gates.items()):
            for column, (stage, when) in enumerate(STAGES.items()):
                axes = drawn[row * len(STAGES) + column]
                axes.set_title(f"{name},\n{when}")
                for at, (key, some) in enumerate(groups):
                    shares = {
                        part: float(Measure(f"gradient/{stage}/gate_{gate}.{part}", part).values(some).mean())
                        for part in ("closed", "open")
                    }
                    shares["between"] = 1 - sum(shares.values())
                    if shares["between"] != shares["between"]:
                        axes.text(2, at, "not measured", va="center", color=INK)
                    left = 0.0
                    for part, label, colour in PARTS:
                        if shares[part] == shares[part]:
                            (bar,) = axes.barh(at, shares[part] * 100, left=left, color=colour, label=label, height=0.7)
                            left += shares[part] * 100
                            share = number(100 * shares[part], ".1f")
                            tell(bar, f"{display_name(key)}, {name}, {when}, {label}: {share} % of {len(some)} runs")
                axes.set_yticks(range(len(groups)), [display_name(key) for key, _ in groups])
                axes.set(xlim=(0, 100), xlabel="share of values (%)" if row == len(gates) - 1 else "")
                axes.grid(visible=False)
                draw_threshold(axes, threshold, upright=True)
                axes.invert_yaxis() if column == 0 and row == 0 else None
        head(figure_of(drawn), "Distribution of gate values")
        key_beside(figure_of(drawn))
    return figure_of(drawn)
