"""A rebuilt experiment, and every sentence about it in pages, report and terminal."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure as Picture

from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.study.declaration import Study, outcomes
from gradreach.analysis.study.parts import named_leaves
from gradreach.analysis.tables.layout import View

HERO = "hero"
"""What the figure at the head of README and report is called, where a study draws one for it; it has SVG forms."""


@dataclass(frozen=True)
class Built:
    """What was rebuilt.

    - ``name``, ``study``: of what.
    - ``results``: what it is made of.
    - ``views``: its tables.
    - ``pictures``, ``captions``: what was drawn and how it is read, by the name of its files, in order.
    - ``verdict``: None where there is no claim.
    - ``state``: how much of the sweep there is, of what commits, and the chance level.
    - ``caveats``: what a sceptical reader has to know: of the study, and of its runs.
    - ``rule``: how the verdict is found, and what shows that it was fixed before; empty where there is no claim.
    - ``folder``: where it stands.
    """

    name: str
    study: Study
    results: Results
    views: tuple[View, ...]
    pictures: dict[str, Picture]
    captions: dict[str, str]
    verdict: Verdict | None
    state: str
    caveats: tuple[str, ...]
    rule: str
    folder: Path

    @property
    def answer(self) -> str:
        """One line for people: as written where the parts came out so, else made of them."""
        written = self.study.answer
        if written is not None and not self.outdated_answer:
            return written.text if isinstance(written.text, str) else written.text(self.results)
        return "" if self.verdict is None else self.verdict.sentence

    @property
    def outdated_answer(self) -> str:
        """Why the written answer is not printed; empty if it is, or if there is none."""
        written, found = self.study.answer, outcomes(self.verdict)
        if written is None or (found and written.outcomes == found) or (not found and not written.outcomes):
            return ""
        return (
            f"{self.name}: its answer was written for “{written.outcomes}”, but the parts came out “{found}”; rewrite "
            f"it, with outcomes={found!r}"
        )

    @property
    def parts(self) -> list[Verdict]:
        """The parts of the verdict, by their full names."""
        return [] if self.verdict is None else [leaf for leaf in named_leaves(self.verdict) if leaf.name]
