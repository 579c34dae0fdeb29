"""Mean ranks over many tasks."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import Series, series_of, tell
from gradreach.analysis.figures.scores import ACCURACY
from gradreach.analysis.results import Results
from gradreach.analysis.stats.statistics import Ranks, critical_difference_ranks
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PALE, figure_of, save_figure
from gradreach.rounding import number


def critical_difference(
    results: Results,
    stem: Path,
    *,
    measure: Measure = ACCURACY,
    lower_is_better: bool = False,
    by: str = "architecture",
    over: Sequence[str] = ("task", "seq_len"),
) -> Figure:
    """Draw the mean rank of each group over many tasks (Demšar 2006): left is best.

    A thick bar joins those that do not differ significantly: their mean ranks are closer than the critical difference
    (Nemenyi, 5 %), whose length stands above. A group without a finished run in a task ranks last in it.

    Args:
        results: what is drawn.
        stem: the name of the files, without their ending.
        measure: by its mean over the finished runs, groups are ranked.
        lower_is_better: as it is for an error.
        by: what is ranked.
        over: keys; each of their combinations is a task.
    """
    runs = results.runs.assign(score=measure.values(results.runs))
    runs.loc[runs["status"] != "finished", "score"] = float("nan")
    named = series_of(runs, by)
    scores = runs.pivot_table(index=list(over), columns=by, values="score", aggfunc="mean", dropna=False, observed=True)
    scores = scores.reindex(columns=list(named)).dropna(how="all")
    with save_figure(stem, size=(7.2, 1.4 + 0.22 * ((len(named) + 1) // 2))) as (axes,):
        axes.set_axis_off()
        if len(scores) < 2 or len(named) < 3:
            found = f"{len(named)} groups over {len(scores)} tasks"
            axes.text(0.5, 0.5, f"{found}: ranks need three over two", ha="center", transform=axes.transAxes)
        else:
            ranks = critical_difference_ranks(scores.to_numpy(float), higher_is_better=not lower_is_better)
            draw_ranks(axes, ranks, list(named.values()), len(scores))
    return figure_of((axes,))


def draw_ranks(axes: Axes, ranks: Ranks, series: Sequence[Series], tasks: int) -> None:
    """Draw the axis, the groups with their names on the nearer side, the bars and the critical difference."""
    count, names = len(series), [each.label for each in series]
    order = sorted(range(count), key=lambda i: ranks.mean[i])
    first_name = 0.5 + 0.35 * len(ranks.groups)
    left_side = (count + 1) // 2
    depth = first_name + 0.55 * left_side
    axes.set(xlim=(1 - 0.35 * count, count + 0.35 * count), ylim=(depth, -1.3))
    axes.plot([1, count], [0, 0], color=INK, linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, -0.12], color=INK, linewidth=1)
        axes.text(rank, -0.2, str(rank), ha="center", va="bottom")
    for place, i in enumerate(order):
        left = place < left_side
        y = first_name + 0.55 * (place if left else count - 1 - place)
        end = 1 - 0.05 * count if left else count + 0.05 * count
        look, mean = series[i].look, float(ranks.mean[i])
        alpha = 1.0 if "(" not in names[i] else PALE + 0.2
        axes.plot([mean, mean, end], [0, y, y], color=look.color, linewidth=1, alpha=alpha)
        (mark,) = axes.plot(mean, 0, look.marker, color=look.color, markersize=5.5, alpha=alpha, label=names[i])
        tell(mark, f"{names[i]}: mean rank {number(mean, '.2f')} over {tasks} tasks")
        text = "  ".join((names[i], number(mean, ".2f")) if left else (number(mean, ".2f"), names[i]))
        axes.text(end - 0.05 if left else end + 0.05, y, text, ha="right" if left else "left", va="center")
    for level, group in enumerate(ranks.groups):
        means = [float(ranks.mean[i]) for i in group]
        y = 0.3 + 0.3 * level
        axes.plot([min(means) - 0.04, max(means) + 0.04], [y, y], color=INK, linewidth=3.5, solid_capstyle="butt")
    axes.plot([1, 1 + ranks.critical_difference], [-0.95, -0.95], color=INK, linewidth=1.5, marker="|")
    critical, p = number(ranks.critical_difference, ".2f"), number(ranks.p, ".2g")
    said = f"critical difference {critical}; Friedman p = {p}; {tasks} tasks"
    axes.text(1 + ranks.critical_difference + 0.1, -0.95, said, va="center")
