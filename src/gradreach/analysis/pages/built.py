"""What was rebuilt of an experiment."""

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure as Picture

from gradreach.analysis.experiment import Experiment
from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.tables.layout import View


@dataclass(frozen=True)
class Built:
    """What was rebuilt.

    - ``name``, ``experiment``: of what.
    - ``results``: what it is made of.
    - ``views``: its tables.
    - ``pictures``, ``captions``: what was drawn and how it is read, by the name of its files.
    - ``verdict``: None where there is no claim.
    - ``state``: how much of the sweep there is, of what revisions, and the chance level.
    - ``folder``: where it stands.
    """

    name: str
    experiment: Experiment
    results: Results
    views: tuple[View, ...]
    pictures: dict[str, Picture]
    captions: dict[str, str]
    verdict: Verdict | None
    state: str
    folder: Path

    @property
    def beyond(self) -> str:
        """Why what is refuted says nothing against the claim; empty where nothing is, or where it does."""
        return self.experiment.beyond if self.verdict is not None and self.verdict.refuted else ""
