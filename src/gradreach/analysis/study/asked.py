"""Columns that a study shows, and what differs from how they are read everywhere."""

from dataclasses import dataclass
from typing import Literal

from gradreach.analysis.column_words import Best
from gradreach.analysis.naming import plain
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure


@dataclass(frozen=True)
class Asked:
    """A column that a table or a picture shows, and what differs from how it is read everywhere."""

    column: str
    label: str = ""
    line: str = ""
    digits: int | None = None
    best: Best | Literal["known"] | None = "known"
    needs: tuple[str, float] | None = None

    def measure(self, results: Results, short: bool = False) -> Measure:
        """Return it with words, unit and digits."""
        known = results.column(self.column)
        label = self.label or (known.words or self.column if short else known.label or self.column)
        digits = known.digits if self.digits is None else self.digits
        best = known.best if self.best == "known" else self.best
        unit = known.unit if short and not self.label else ""
        needs = self.needs or known.needs
        return Measure(self.column, label, self.line, digits, known.scale, needs, best, unit, known.limits)


def measure(
    column: str,
    label: str = "",
    *,
    line: str = "",
    digits: int | None = None,
    best: Best | Literal["known"] | None = "known",
    needs: tuple[str, float] | None = None,
) -> Asked:
    """Name a column that a table or a picture shows; ``table("test/accuracy")`` needs none of this.

    Args:
        column: of the run table, or the study's own.
        label: what it is called; by default its words.
        line: tells columns of one row apart that stand below each other.
        digits: behind the point; by default what suits the column.
        best: which end is marked where it beats every other; ``known``: as the column is known; None: neither.
        needs: another column and the least it must be for the number to mean anything.
    """
    return Asked(column, label, line, digits, best, needs)


def file_stem(column: str) -> str:
    """Return what files of a column are called: the last part of its name."""
    return plain(column.rpartition("/")[2].rpartition(".")[2])
