"""Mean ranks over many tasks."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradreach.analysis.figures.common import Series, series_of, tell
from gradreach.analysis.figures.labels import SMALL
from gradreach.analysis.figures.scores import ACCURACY
from gradreach.analysis.results import Results
from gradreach.analysis.stats.statistics import Ranks, critical_difference_ranks
from gradreach.analysis.tables.specification import Measure
from gradreach.drawing import INK, PALE, WIDE, figure_of, save_figure
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

    A thick bar above the axis joins those that do not differ significantly: their mean ranks are closer than the
    critical difference (Nemenyi, 5 %), whose length stands on top. A group without a finished run in a task ranks last
    there.

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
    with save_figure(stem, size=(WIDE[0], 1.4 + 0.22 * len(named))) as (axes,):
        axes.set_axis_off()
        if len(scores) < 2 or len(named) < 3:
            found = f"{len(named)} groups over {len(scores)} tasks"
            axes.text(0.5, 0.5, f"{found}: ranks need three over two", ha="center", transform=axes.transAxes)
        else:
            ranks = critical_difference_ranks(scores.to_numpy(float), higher_is_better=not lower_is_better)
            draw_ranks(axes, ranks, list(named.values()), len(scores))
    return figure_of((axes,))


def draw_ranks(axes: Axes, ranks: Ranks, series: Sequence[Series], tasks: int) -> None:
    """Draw the axis, below it the groups with their names at the left, the best on top, and what joins them above."""
    count, names = len(series), [each.label for each in series]
    above = 0.3 * len(ranks.groups)
    last = max(count, 1 + ranks.critical_difference) + 0.2
    axes.set(xlim=(0.8, last), ylim=(0.5 + 0.55 * count, -2.1 - above))
    axes.plot([1, count], [0, 0], color=INK, linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, -0.12], color=INK, linewidth=1)
        axes.text(rank, -0.2, str(rank), ha="center", va="bottom")
    for place, i in enumerate(sorted(range(count), key=lambda i: ranks.mean[i])):
        y = 0.6 + 0.55 * place
        look, mean = series[i].look, float(ranks.mean[i])
        alpha = 1.0 if "(" not in names[i] else PALE + 0.2
        axes.plot([mean, mean, 0.85], [0, y, y], color=look.color, linewidth=1, alpha=alpha)
        (mark,) = axes.plot(mean, 0, look.marker, color=look.color, markersize=5.5, alpha=alpha, label=names[i])
        tell(mark, f"{names[i]}: mean rank {number(mean, '.2f')} over {tasks} tasks")
        axes.text(0.75, y, f"{names[i]}  {number(mean, '.2f')}", ha="right", va="center")
    for level, group in enumerate(ranks.groups):
        means = [float(ranks.mean[i]) for i in group]
        y = -0.9 - 0.3 * level
        axes.plot([min(means) - 0.04, max(means) + 0.04], [y, y], color=INK, linewidth=3.5, solid_capstyle="butt")
    y = -1.3 - above
    axes.plot([1, 1 + ranks.critical_difference], [y, y], color=INK, linewidth=1.5, marker="|")
    axes.text(1.1 + ranks.critical_difference, y, number(ranks.critical_difference, ".2f"), va="center")
    said = f"critical difference, over {tasks} tasks; Friedman p = {number(ranks.p, '.2g')}"
    axes.text(last, y - 0.4, said, ha="right", va="bottom", fontsize=SMALL)
