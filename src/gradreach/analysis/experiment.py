"""What a named sweep means: its question, its tables and figures, the claim it puts to the test and by which rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.results import Results, selected
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.study.parts import arithmetic
from gradreach.analysis.study.study import Claim as StudyClaim
from gradreach.analysis.study.study import Study
from gradreach.analysis.tables.layout import View, make
from gradreach.analysis.tables.specification import Computed, Table
from gradreach.run_table.columns import architectures


@dataclass(frozen=True)
class Claim:
    """What the founding notes say.

    - ``id``: ``C1``.
    - ``section``: of the notes, ``4.1``.
    - ``words``: theirs, in Chinese.
    - ``translation``: into English.
    """

    id: str
    section: str
    words: str
    translation: str


@dataclass(frozen=True)
class Prediction:
    """What is to be expected before the runs.

    - ``text``: one or two sentences.
    - ``source``: who says so.
    """

    text: str
    source: str


def as_they_are(runs: pd.DataFrame) -> pd.DataFrame:
    """Add no columns."""
    return runs


@dataclass(frozen=True)
class Experiment:
    """``experiments/<name>.py`` holds one, as ``EXPERIMENT``.

    - ``title``, ``question``: what it is about.
    - ``caveat``: what a sceptical reader has to know.
    - ``tables``, ``figures``: what is shown of it.
    - ``claim``: what it puts to the test, where it does.
    - ``prediction``: what the literature lets expect.
    - ``rule``: how the verdict is found, in one sentence fixed before the runs.
    - ``beyond``: why a part that is refuted says nothing against the claim: it goes beyond its words.
    - ``judge``: the same as code; called with results in which every planned run has been tried.
    - ``prepare``: adds columns of its own to the run table, or names its ``architecture`` anew.
    - ``profiles_of``: of which runs figures show gradient profiles or what states tell, which are committed for them
      alone: a value, or a list of values, for columns of the run table.

    Raises:
        ValueError: of claim, rule and judge only some are given.
    """

    title: str
    question: str
    caveat: str
    tables: tuple[Table | Computed, ...]
    figures: tuple[Figure, ...]
    claim: Claim | None = None
    prediction: Prediction | None = None
    rule: str = ""
    beyond: str = ""
    judge: Callable[[Results], Verdict] | None = None
    prepare: Callable[[pd.DataFrame], pd.DataFrame] = as_they_are
    profiles_of: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len({self.claim is None, not self.rule, self.judge is None}) != 1:
            raise ValueError(f"{self.title}: a claim needs a rule and a judge, and they a claim")

    def as_study(self) -> Study:
        """Return it as pages take it."""
        claim, expected = None, self.prediction or Prediction("", "")
        if self.claim is not None:
            claim = StudyClaim(
                self.claim.translation,
                "founding notes",
                self.claim.words,
                expected.text,
                expected.source,
                {"rule": arithmetic(lambda: True, self.rule)},
                self.beyond,
                self.claim.id,
                self.claim.section,
            )
        caveats = [each for each in (self.rule, self.caveat) if each]
        study = Programmed(question=self.title, about=self.question, claim=claim, caveats=caveats)
        object.__setattr__(study, "experiment", self)
        return study


class Programmed(Study):
    """An experiment that is not declared yet."""

    experiment: Experiment

    def prepare(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Call what it prepares its run table by."""
        return self.experiment.prepare(runs.assign(architecture=architectures(runs)))

    def committed(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Return the runs whose profiles are committed."""
        return selected(runs, self.experiment.profiles_of)

    def views(self, results: Results) -> tuple[View, ...]:
        """Make its tables."""
        return tuple(make(table, results) for table in self.experiment.tables)

    def figures(self, results: Results) -> tuple[Figure, ...]:
        """Return its figures."""
        return self.experiment.figures

    def judge(self, results: Results) -> Verdict | None:
        """Call its judge."""
        return None if self.experiment.judge is None else self.experiment.judge(results)
