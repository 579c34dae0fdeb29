"""Tables that a study shows: means, quantities, or computed by a function. Captions and readings follow from them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from gradreach.analysis.column_words import Column
from gradreach.analysis.naming import CELLS
from gradreach.analysis.results import Results, Where
from gradreach.analysis.stats.intervals import OUTCOMES
from gradreach.analysis.study.asked import Asked, file_stem
from gradreach.analysis.study.comparison import Comparison
from gradreach.analysis.study.parts import Quantity
from gradreach.analysis.study.selection import in_words, listed
from gradreach.analysis.tables.specification import Computed, Table
from gradreach.errors import ConfigError
from gradreach.rounding import number

Keys = str | Sequence[str]


@dataclass(frozen=True, kw_only=True)
class TableOf:
    """A table of means over seeds, as a study declares it."""

    name: str
    asked: tuple[Asked, ...]
    caption: str = ""
    note: str = ""
    rows: tuple[str, ...] = ("architecture",)
    columns: tuple[str, ...] = ()
    lines: str = "line"
    where: Where = field(default_factory=dict)

    def table(self, results: Results) -> Table:
        """Return the table; learning rates tried are a column where they differ between rows."""
        rows = [*self.rows]
        runs = self._runs(results).runs
        chosen = "tried" in runs and not runs.empty
        if chosen and runs.groupby(rows, dropna=False)["tried"].nunique().max() == 1 < runs["tried"].nunique():
            rows.append("tried")
        whole = [each.measure(results, short=True) for each in self.asked]
        general = tuple(filter(None, (CELLS, self._needs(results), choice(runs) if chosen else "")))
        return Table(
            self.name,
            self.caption or self._caption(results),
            " ".join(filter(None, (*general, self.note))),
            tuple(whole),
            tuple(rows),
            self.columns,
            self.lines,
            general=general,
        )

    def _caption(self, results: Results) -> str:
        columns = {each.column: results.column(each.column) for each in self.asked}
        said = dict.fromkeys(_with_unit(name, column) for name, column in columns.items())
        words = listed(said)
        return ", ".join(filter(None, (f"{words[:1].upper()}{words[1:]}", in_words(self.where, keys=False)))) + "."

    def _needs(self, results: Results) -> str:
        needed = [need for each in self.asked if (need := each.measure(results).needs) is not None]
        said = {
            f"Half-life: only where the curve is an exponential (R² at least {number(least, 'g')})."
            if column.endswith(".r2")
            else f"Only runs count whose {results.column(column).words} is at least {number(least, 'g')}."
            for column, least in needed
        }
        return " ".join(sorted(said))

    def view_of(self, results: Results) -> tuple[Table, Results]:
        """Return the table, and its runs."""
        return self.table(results), self._runs(results)

    def _runs(self, results: Results) -> Results:
        return results.along([*self.rows, *self.columns]).where(self.where)


def _with_unit(name: str, column: Column) -> str:
    words, unit = column.words or name, "per cent" if column.unit == "%" else column.unit
    return f"{words}{',' * (',' in words)} in {unit}" if unit else words


def choice(runs: pd.DataFrame) -> str:
    """Say how many values were tried for each architecture and setting; validation chose among them."""
    tried = runs["tried"].dropna().unique()
    if len(tried) == 0 or tried.max() < 2:
        return ""
    many = f"{tried.max()}" if len(tried) == 1 else f"{tried.min()} to {tried.max()}"
    return f"Best in validation of {many} values for each; the test split was not used to choose."


def table(
    *measures: str | Asked,
    name: str = "",
    caption: str = "",
    note: str = "",
    rows: Keys = "architecture",
    columns: Keys = (),
    lines: str = "line",
    where: Where | None = None,
) -> TableOf:
    """Declare a table of means over seeds, of the runs whose setting was chosen.

    Args:
        measures: columns of the run table, or ``measure(...)`` of them.
        name: of its files; by default what its first column measures.
        caption: what it shows; by default the words of its columns and of ``where``.
        note: what else a reader needs; how to read cells is always stated.
        rows: a key, or several.
        columns: a key, or several; none: one column a measure.
        lines: what lines of one row are called.
        where: which runs.

    >>> table("test/accuracy", columns="seq_len").name
    'accuracy'
    """
    if not measures:
        raise ConfigError("table()", allowed="shows no column", hint='name one, such as table("test/accuracy")')
    asked = tuple(Asked(each) if isinstance(each, str) else each for each in measures)
    return TableOf(
        name=name or file_stem(asked[0].column),
        asked=asked,
        caption=caption,
        note=note,
        rows=_keys(rows),
        columns=_keys(columns),
        lines=lines,
        where=where or {},
    )


@dataclass(frozen=True, kw_only=True)
class ComputedOf:
    """A table that a function computes, as a study declares it."""

    name: str
    compute: Callable[[Results], pd.DataFrame]
    caption: str
    note: str = ""
    digits: int = 3

    def table(self, results: Results) -> Computed:
        """Return the table; of a sweep of which no run has finished it has no rows."""

        def computed(every: Results) -> pd.DataFrame:
            return self.compute(every) if len(every.finished) else pd.DataFrame([{"runs": "none yet"}])

        return Computed(self.name, self.caption, self.note, computed, self.digits)

    def view_of(self, results: Results) -> tuple[Computed, Results]:
        """Return the table, and the runs that it is computed from."""
        return self.table(results), results


def computed(
    name: str, compute: Callable[[Results], pd.DataFrame], caption: str, note: str = "", digits: int = 3
) -> ComputedOf:
    """Declare a table that is not a mean over seeds.

    Args:
        name: of its files.
        compute: given the results of the chosen runs, returns the table; text is shown unchanged.
        caption: what it shows.
        note: how to read it.
        digits: significant digits of its numbers.
    """
    return ComputedOf(name=name, compute=compute, caption=caption, note=note, digits=digits)


def how_found(quantities: Iterable[Quantity]) -> str:
    """Describe by outcome class how effects were found, and what their intervals mean.

    >>> from gradreach.study import compare, share
    >>> how_found([compare("test/accuracy", "lstm", "rnn")])
    'Pseudomedian and 95 % interval (signed ranks) of pairs of one seed: one that holds 0 does not tell them apart.'
    >>> how_found([share("solved", "lstm")])
    'Share and 95 % interval (exact binomial).'
    """
    said: dict[str, None] = {}
    for each in quantities:
        outcome = OUTCOMES[each.outcome]
        found = f"{outcome.estimate} and 95 % interval ({outcome.words})" if each.outcome != "fixed" else outcome.words
        if isinstance(each, Comparison) and each.outcome != "fixed":
            none = 1 if each.ratio else 0
            found += f" of pairs of one {listed(each.paired_by)}: one that holds {none} does not tell them apart"
        said[found[:1].upper() + found[1:]] = None
    return " ".join(f"{each}." for each in said)


LEFT_OUT = "seeds left out"
"""Of which a run has no such number."""


def effects(name: str, quantities: Mapping[str, Quantity], caption: str, note: str = "") -> ComputedOf:
    """Declare a table of quantities that decide nothing: value, 95 % interval, and n, one row each.

    Args:
        name: of its files.
        quantities: by name; ``each=`` makes one row per value.
        caption: what it shows.
        note: how else to read it; the test behind its intervals is always stated.
    """

    def compute(results: Results) -> pd.DataFrame:
        rows = []
        for words, quantity in quantities.items():
            for place, each in quantity.split(results) or [({}, quantity)]:
                effect = each.of(results, words)
                ends = {"estimate": effect.value, "95 % from": effect.low, "to": effect.high, "unit": effect.unit}
                rows.append({"what": words, **place, **ends, "seeds": effect.n, LEFT_OUT: effect.absent})
        frame = pd.DataFrame(rows)
        return frame if frame[LEFT_OUT].any() else frame.drop(columns=LEFT_OUT)

    return computed(name, compute, caption, " ".join(filter(None, (how_found(quantities.values()), note))))


def _keys(keys: Keys) -> tuple[str, ...]:
    return (keys,) if isinstance(keys, str) else tuple(keys)
