"""Columns that a study shows, and where their presentation differs from the default."""

from dataclasses import dataclass
from typing import Literal

from gradreach.analysis.column_words import Best
from gradreach.analysis.naming import plain
from gradreach.analysis.results import Results
from gradreach.analysis.tables.specification import Measure


@dataclass(frozen=True)
class Asked:
    """A column of a table or figure, and where its presentation differs from the default."""

    column: str
    label: str = ""
    line: str = ""
    digits: int | None = None
    best: Best | Literal["known"] | None = "known"
    needs: tuple[str, float] | None = None

    def measure(self, results: Results, short: bool = False) -> Measure:
        """Return the column with its name, unit and digits."""
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
    """Name a column of a table or figure; ``table("test/accuracy")`` needs none of this.

    Args:
        column: of the run table, or the study's own.
        label: its name for people; by default the column's.
        line: distinguishes columns that are shown below each other in one row.
        digits: after the decimal point; by default what suits the column.
        best: which end is marked if it beats all others; ``known``: the column's own; None: neither.
        needs: another column and the minimum it must have for the number to be meaningful.
    """
    return Asked(column, label, line, digits, best, needs)


def file_stem(column: str) -> str:
    """Return the file name for a column: the last part of its name."""
    return plain(column.rpartition("/")[2].rpartition(".")[2])
