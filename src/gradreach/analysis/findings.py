"""What came out, in two pages: a template filled from the summaries of experiments, so that no number is typed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gradreach.analysis.experiment import Experiment, known_experiments, load_experiment
from gradreach.analysis.summary import stored_summary
from gradreach.analysis.verdict import Effect, stored_effect

PAGE = Path("docs/findings.md")
TEMPLATE = Path("docs/findings.md.jinja")


@dataclass(frozen=True)
class Finding:
    """One experiment, as the template sees it.

    - ``name``, ``experiment``: which.
    - ``summary``: what ``gradreach tables`` wrote of it; empty where nothing was run yet.
    """

    name: str
    experiment: Experiment
    summary: Mapping[str, Any]

    @property
    def state(self) -> str:
        """Its verdict, in a word."""
        verdict = self.summary.get("verdict")
        return str(verdict["state"]) if verdict else "not run yet"

    @property
    def sentence(self) -> str:
        """Its verdict, in a sentence."""
        verdict = self.summary.get("verdict")
        return str(verdict["sentence"]) if verdict else ""

    @property
    def effects(self) -> list[tuple[str, Effect]]:
        """What the verdict rests on: the state of each part, and its effect."""
        verdict = self.summary.get("verdict")
        return list(_effects(verdict)) if verdict else []

    @property
    def runs(self) -> str:
        """How many there are of how many."""
        return f"{self.summary['finished']} of {self.summary['planned']}" if self.summary else "none yet"

    def caption(self, figure: str) -> str:
        """Say how a figure is read."""
        return next(each.caption for each in self.experiment.figures if each.name == figure)


def _effects(verdict: Mapping[str, Any]) -> Iterator[tuple[str, Effect]]:
    if verdict["effect"]:
        yield str(verdict["state"]), stored_effect(verdict["effect"])
    for part in verdict["parts"]:
        yield from _effects(part)


def applies(results_dir: Path) -> bool:
    """Return whether there is a template, and these are the results that it is about."""
    return TEMPLATE.is_file() and results_dir == Path("results")


def findings(folders: Sequence[Path], experiments_dir: Path = Path("experiments"), template: Path = TEMPLATE) -> str:
    """Fill the template, from the summaries in folders of results: of an experiment the first that has it counts.

    It is given ``claims``, the findings of all experiments that test one, in order; and ``of(name)``, the finding
    of one experiment.
    """
    known = {
        name: Finding(name, load_experiment(name, experiments_dir), stored_summary(name, folders))
        for name in known_experiments(experiments_dir)
    }
    claims = [(finding.experiment.claim, finding) for finding in known.values()]
    ordered = sorted((len(claim.id), claim.id, finding.name) for claim, finding in claims if claim is not None)
    environment = Environment(  # of Markdown, so nothing is escaped
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(template.name).render(claims=[known[name] for *_, name in ordered], of=known.get)
