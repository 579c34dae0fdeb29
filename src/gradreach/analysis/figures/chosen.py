"""Pictures of the runs whose setting validation chose."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gradreach.analysis.figures.specification import Draw
from gradreach.analysis.results import Results, selected
from gradreach.analysis.stats.model_selection import CHOSEN


def of_chosen(draw: Draw, where: Mapping[str, Any] = CHOSEN) -> Draw:
    """Draw the runs of chosen settings only, and of them those that ``where`` means."""

    def drawn(results: Results, stem: Path) -> Figure:
        kept = chosen_results(results)
        return draw(replace(kept, runs=selected(kept.runs, where)), stem)

    return drawn


def chosen_results(results: Results) -> Results:
    """Return the results of the runs of chosen settings; what else was measured is read where it was read before."""
    return replace(
        results,
        runs=results.runs[results.runs["chosen"]],
        read_profiles=lambda: results.profiles,
        read_history=lambda: results.history,
        read_decoding=lambda: results.decoding,
    )
