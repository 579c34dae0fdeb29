"""What came out, in two pages: a template filled from the summaries of experiments, so that no result is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gradreach.analysis.pages.summary import known_summaries
from gradreach.analysis.stats.verdict import Verdict, stored_verdict

TEMPLATES = Path("docs"), "findings*.md.jinja"
"""Where a template of each language is; a page has its template's name without the last ending."""


@dataclass(frozen=True)
class Finding:
    """One study, as the template sees it.

    - ``summary``: what ``gradreach tables`` wrote of it, or what is known of one of which nothing was run yet.
    """

    summary: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Which."""
        return str(self.summary["name"])

    @property
    def claim(self) -> Mapping[str, str]:
        """The words of its claim; empty where it has none."""
        return self.summary["claim"] or {}

    @property
    def verdict(self) -> Verdict | None:
        """What came out, if anything was run."""
        stored = self.summary.get("verdict")
        return stored_verdict(stored) if stored else None

    @property
    def runs(self) -> str:
        """How many there are of how many."""
        return f"{self.summary['finished']} of {self.summary['planned']}" if self.summary["planned"] else "none yet"

    @property
    def complete(self) -> bool:
        """Whether there are all."""
        return bool(self.summary["planned"]) and self.summary["finished"] == self.summary["planned"]

    def caption(self, figure: str) -> str:
        """Say how a figure is read; a summary of an older version tells nothing."""
        return str(self.summary.get("captions", {}).get(figure, ""))

    @property
    def link(self) -> str:
        """Its page, or before there is one what it is defined by; from ``docs``."""
        return f"../results/{self.name}/README.md" if self.summary["planned"] else f"../experiments/{self.name}.py"


def pages(results_dir: Path) -> dict[Path, Path]:
    """Return the pages that are about these results, in each language, and the template of each."""
    folder, names = TEMPLATES
    templates = sorted(folder.glob(names)) if results_dir == Path("results") else []
    return {template.with_suffix(""): template for template in templates}


def findings(folders: Sequence[Path], experiments_dir: Path, template: Path) -> str:
    """Fill the template, from the summaries in folders of results: of an experiment the first that has it counts.

    It is given ``claims``, the findings of all experiments that test one, in order, and ``of(name)``, the finding of
    one experiment.
    """
    known = {summary["name"]: Finding(summary) for summary in known_summaries(folders, experiments_dir)}
    claims = [finding for finding in known.values() if finding.claim]
    environment = Environment(  # of Markdown, so nothing is escaped
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    found = sorted(claims, key=lambda each: (len(each.claim["id"]), each.claim["id"], each.name))
    return environment.get_template(template.name).render(claims=found, of=known.get)
