"""A picture of an experiment, as it is declared."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure as Picture

from gradreach.analysis.results import Results

Draw = Callable[[Results, Path], "Picture"]
"""Draws results into files, whose name without its ending the path is, and returns what was drawn."""


@dataclass(frozen=True)
class Figure:
    """A picture of an experiment.

    - ``name``: of its files.
    - ``caption``: what it shows and how to read it.
    - ``draw``: given the results and the file name without its ending.
    """

    name: str
    caption: str
    draw: Draw
