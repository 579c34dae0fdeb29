"""What a named sweep means: its question, the claim it tests, and what it shows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import pandas as pd

from gradreach.analysis.column_words import Column
from gradreach.analysis.figures.figure import Figure
from gradreach.analysis.results import LONG, Results, Where
from gradreach.analysis.stats.model_selection import CHOSEN
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.study.page_figures import FigureOf
from gradreach.analysis.study.page_tables import ComputedOf, TableOf
from gradreach.analysis.study.parts import Part, Parts, leaves_of, named_leaves
from gradreach.analysis.study.prepare import CHOICE, Architecture, prepare
from gradreach.analysis.tables.layout import View, make
from gradreach.analysis.tables.rates import chosen_rates
from gradreach.errors import ConfigError

FILES = ("runs", *LONG, "times")
"""File names reserved for a page's own data."""
Shown = TableOf | FigureOf | ComputedOf
"""What a study shows."""


@dataclass(frozen=True)
class Claim:
    """What is tested, and its parts.

    - ``text``: the claim, in English.
    - ``title``: the claim in ten words or fewer, where ``text`` has more; for lists.
    - ``source``: who makes it; empty for a question of one's own.
    - ``original``: its own words, where they are in another language.
    - ``expect``, ``expect_source``: the expectation before the runs, and its source.
    - ``parts``: by their names, ``compare(...)``, ``value(...)`` or ``share(...)``, ended by ``.above(x)``,
      ``.below(x)`` or ``.within(x)``; ``arithmetic(...)``; or a mapping of such, which is one part.
    - ``asides``: questions of our own beside its words, declared as parts are. They share its error and have a row,
      and its state is made of ``parts`` alone.
    - ``id``, ``section``: of the claims of the founding notes.
    """

    text: str
    source: str = ""
    original: str = ""
    expect: str = ""
    expect_source: str = ""
    parts: Parts = field(default_factory=dict)
    asides: Parts = field(default_factory=dict)
    id: str = ""
    section: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        if not self.parts:
            hint = "give parts={name: part}"
            raise ConfigError(f"claim “{self.text}”", allowed="has no parts, so nothing can decide it", hint=hint)
        for name in self.asides.keys() & self.parts.keys():
            raise ConfigError(
                f"aside “{name}”", allowed="is also the name of a part of the claim", hint="give it another name"
            )
        for name, part in leaves_of({**self.parts, **self.asides}).items():
            if not hasattr(part, "judge"):
                hint = "end it by .above(x), .below(x) or .within(x)"
                raise ConfigError(f"part “{name}”", allowed="has no threshold", hint=hint)

    @property
    def short(self) -> str:
        """The claim in one line."""
        return self.title or self.text


@dataclass(frozen=True)
class Answer:
    """One line for people, and the outcomes of the parts that it was written for.

    - ``text``: the line; or a function of the results that makes it, where it has numbers.
    - ``outcomes``: of the parts in their order, ``"supported, 2 refuted"``; empty where there is no claim, or no run.

    If the parts came out differently, pages print a sentence built from them instead.
    """

    text: str | Callable[[Results], str]
    outcomes: str = ""


def outcomes(verdict: Verdict | None) -> str:
    """Return the outcomes of the parts in order: what an answer is written for.

    >>> from gradreach.analysis.stats.verdict import combine_named
    >>> states = ["supported", "open", "open", "supported"]
    >>> outcomes(combine_named({str(i): Verdict(state, None, "") for i, state in enumerate(states)}))
    'supported, 2 open, supported'
    """
    if verdict is None:
        return ""
    alike = [(state, len([*some])) for state, some in groupby(leaf.state for leaf in named_leaves(verdict))]
    return ", ".join(state if many == 1 else f"{many} {state}" for state, many in alike)


@dataclass(frozen=True, kw_only=True)
class Study:
    """``experiments/<name>.py`` holds one, as ``STUDY``.

    - ``question``: what it asks, in one line; the title of its page.
    - ``about``: what a reader needs to understand the question.
    - ``answer``: written after the verdict; without one, pages list the outcomes of the parts.
    - ``claim``: the claim it tests, if any.
    - ``architecture``: how runs are named: columns and how they are written, ``{"model.forget_bias": "b={:g}"}``, or
      ``{"trainer.epochs": {60: "60 epochs"}}`` for single values, after the model; or a function of the run table.
    - ``derive``: columns of its own, by their names: ``column(function, words, unit)``, or a function alone.
    - ``solved``: when a run has solved its task: at least this accuracy in per cent, at most this error, by the
      metric, such as ``{"val/accuracy": 90}``; makes a column ``solved``.
    - ``choose``: a setting chosen by validation, for each combination of the other settings.
    - ``show``: ``table(...)``, ``figure(...)``, ``computed(...)``, ``effects(...)``.
    - ``profiles``: of which runs gradient profiles, and what states tell, are committed because a figure shows them; of
      those whose setting was chosen.
    - ``caveats``: what a sceptical reader has to know. Budget, seeds, rates and sizes are always stated.
    - ``changed``: what was changed after runs had been seen; shown for the full form only.
    - ``looks``: after how many seeds results are looked at, in ascending order; none: once, with all of them.

    Raises:
        ConfigError: two tables, or two figures, have one name; a table has that of a file of runs; looks do not ascend.
    """

    question: str
    about: str = ""
    answer: Answer | None = None
    claim: Claim | None = None
    architecture: Architecture = field(default_factory=dict)
    derive: Mapping[str, Column | Callable[[pd.DataFrame], Any]] = field(default_factory=dict)
    solved: Mapping[str, float] = field(default_factory=dict)
    choose: str = ""
    show: Sequence[Shown] = ()
    profiles: Where | Callable[[pd.DataFrame], pd.Series] = field(default_factory=dict)
    caveats: Sequence[str] = ()
    changed: Sequence[str] = ()
    looks: Sequence[int] = ()

    def __post_init__(self) -> None:
        if list(self.looks) != sorted({each for each in self.looks if each > 0}):
            raise ConfigError("looks", list(self.looks), "must be ascending numbers of seeds", "such as [12, 18, 24]")
        for kind, shown in (("figures", self.pictures), ("tables", self.tables)):
            twice = [name for name, count in Counter(each.name for each in shown).items() if count > 1]
            if twice:
                raise ConfigError(self.question, allowed=f"two {kind} are called {twice[0]}", hint="give one name=")
        for each in self.tables:
            if each.name in FILES:
                raise ConfigError(
                    self.question, allowed=f"a table cannot be named {each.name}", hint="give it another name="
                )

    @property
    def columns(self) -> dict[str, Column]:
        """The columns it adds."""
        return {
            name: each if isinstance(each, Column) else Column(name, compute=each) for name, each in self.derive.items()
        }

    @property
    def pictures(self) -> list[FigureOf]:
        """Its figures."""
        return [each for each in self.show if isinstance(each, FigureOf)]

    @property
    def tables(self) -> list[Any]:
        """Its tables."""
        return [each for each in self.show if not isinstance(each, FigureOf)]

    @property
    def parts(self) -> Parts:
        """The parts of its claim and its asides: everything that is tested."""
        return {} if self.claim is None else {**self.claim.parts, **self.claim.asides}

    @property
    def example_parts(self) -> list[Part]:
        """The parts of its claim that count example by example."""
        parts = leaves_of(self.parts).values()
        return [part for part in parts if isinstance(part, Part) and part.quantity.outcome == "examples"]

    def prepare(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the run table with what the study adds: ``architecture``, its columns, ``solved``, what was chosen."""
        return prepare(runs, self.architecture, self.columns, self.solved, self.choose)

    def committed(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the prepared runs whose profiles are committed."""
        results = self.of_chosen(Results(runs))
        return results.where(self.profiles(results.runs) if callable(self.profiles) else self.profiles).runs

    def by_example(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the prepared runs of which a part counts, example by example, which are right."""
        results = Results(runs)
        sides = [side for part in self.example_parts for side in part.quantity.sides]
        return runs[runs.index.isin([row for side in sides for row in results.where(side).runs.index])]

    def of_chosen(self, results: Results) -> Results:
        """Return the results for tables, figures and parts."""
        return results.where(CHOSEN) if self.choose else results

    def views(self, results: Results) -> tuple[View, ...]:
        """Build the tables; if settings were chosen, the last one shows where they lie in their grid."""
        chosen = self.of_chosen(results)
        views = [make(*each.view_of(chosen)) for each in self.tables]
        if self.choose and (results.runs["tried"] > 1).any():
            views.append(make(chosen_rates([CHOICE], self.choose), results))
        return tuple(views)

    def figures(self, results: Results) -> tuple[Figure, ...]:
        """Return the figures, to be drawn."""
        return tuple(each.figure(results) for each in self.pictures)
