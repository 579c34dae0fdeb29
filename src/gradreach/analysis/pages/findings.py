"""What came out, in two pages: a template filled from the summaries of experiments, so that no result is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gradreach.analysis.experiment import Experiment, known_experiments, load_experiment
from gradreach.analysis.pages.summary import stored_summary
from gradreach.analysis.stats.verdict import Verdict, stored_verdict

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
    def verdict(self) -> Verdict | None:
        """What came out, if anything was run."""
        stored = self.summary.get("verdict")
        return stored_verdict(stored) if stored else None

    @property
    def runs(self) -> str:
        """How many there are of how many."""
        return f"{self.summary['finished']} of {self.summary['planned']}" if self.summary else "none yet"

    @property
    def complete(self) -> bool:
        """Whether there are all."""
        return bool(self.summary) and self.summary["finished"] == self.summary["planned"]

    def caption(self, figure: str) -> str:
        """Say how a figure is read; a summary of an older version tells nothing."""
        return str(self.summary.get("captions", {}).get(figure, ""))

    @property
    def link(self) -> str:
        """Its page, or before there is one what it is defined by; from ``docs``."""
        return f"../results/{self.name}/README.md" if self.summary else f"../experiments/{self.name}.py"


def applies(results_dir: Path) -> bool:
    """Return whether there is a template, and these are the results that it is about."""
    return TEMPLATE.is_file() and results_dir == Path("results")


def findings(folders: Sequence[Path], experiments_dir: Path = Path("experiments"), template: Path = TEMPLATE) -> str:
    """Fill the template, from the summaries in folders of results: of an experiment the first that has it counts.

    It is given ``claims``, the findings of all experiments that test one, in order, and ``of(name)``, the finding of
    one experiment.
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
    found = [known[name] for *_, name in ordered]
    return environment.get_template(template.name).render(claims=found, of=known.get)
