"""What came out, in two pages: a template filled from the summaries of experiments, so that no result is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gradreach.analysis.order import natural
from gradreach.analysis.pages.ledger import ledger_tables
from gradreach.analysis.pages.page import told_of_arithmetic
from gradreach.analysis.pages.signs import LEGEND, signs
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

    @property
    def of_notes(self) -> bool:
        """Whether the notes make its claim."""
        return bool(self.claim.get("section"))

    @property
    def signs(self) -> str:
        """One sign for each part of its claim."""
        return signs(self.verdict)

    @property
    def standing(self) -> str:
        """What can be said of its claim: ``stands``, ``by half``, ``does not hold``, ``in part``, ``open``."""
        verdict = self.verdict
        if verdict is None or verdict.state == "open":
            return "open"
        if verdict.state in ("supported", "refuted"):
            return "stands" if verdict.state == "supported" else "does not hold"
        return "in part" if any(leaf.state == "open" for leaf in verdict.counted) else "by half"

    def part(self, name: str) -> Verdict | None:
        """Return a part by its whole name, or the verdict itself if that is empty; None where nothing was decided.

        Raises:
            KeyError: its claim has parts, and none of that name.
        """
        verdict = self.verdict
        if not name or verdict is None or not verdict.parts:
            return verdict
        return parts_by_name(verdict)[name]

    def holds(self, parts: Mapping[str, str]) -> bool:
        """Return whether parts came out so, by their whole names; an empty name is the claim."""
        return all((part := self.part(name)) is not None and part.state == state for name, state in parts.items())

    def open(self, parts: Mapping[str, str]) -> bool:
        """Return whether any of these parts is not decided yet, and none came out otherwise."""
        states = [(state, part.state if (part := self.part(name)) else "open") for name, state in parts.items()]
        return any(found == "open" for _, found in states) and all(found in (state, "open") for state, found in states)

    def number(self, parts: Mapping[str, str]) -> str:
        """Return the number of the first of these parts, with its interval and what it is of."""
        part = self.part(next(iter(parts)))
        assert part is not None
        lead = part.lead
        if lead is not None and lead.effect is not None:
            return f"{lead.effect.number} ({lead.effect.label})"
        if len(part.leaves) > 1:
            return f"{sum(leaf.state == part.state for leaf in part.leaves)} of {len(part.leaves)} checks"
        return told_of_arithmetic(part)

    def caption(self, figure: str) -> str:
        """Say how a figure is read; a summary of an older version tells nothing."""
        return str(self.summary.get("captions", {}).get(figure, ""))

    @property
    def link(self) -> str:
        """Its page, or before there is one what it is defined by; from ``docs``."""
        return f"../results/{self.name}/README.md" if self.summary["planned"] else f"../experiments/{self.name}.py"


def parts_by_name(verdict: Verdict, prefix: str = "") -> dict[str, Verdict]:
    """Return the parts of a verdict, and their parts, by their whole names: ``it gains``, ``it gains: on recall``."""
    found: dict[str, Verdict] = {}
    for part in verdict.parts:
        found |= {f"{prefix}{part.name}": part, **parts_by_name(part, f"{prefix}{part.name}: ")}
    return found


def pages(results_dir: Path) -> dict[Path, Path]:
    """Return the pages that are about these results, in each language, and the template of each."""
    folder, names = TEMPLATES
    templates = sorted(folder.glob(names)) if results_dir == Path("results") else []
    return {template.with_suffix(""): template for template in templates}


def findings(folders: Sequence[Path], experiments_dir: Path, template: Path) -> str:
    """Fill the template, from the summaries in folders of results: of an experiment the first that has it counts.

    It is given ``claims``, the findings of all experiments that test one, in order, ``of(name)``, the finding of one
    experiment, the ``ledger`` and its ``legend``. What may be told of a ``study`` if its ``parts`` came out so, is
    ``settled`` where they did, ``unsettled`` where that may still be.
    """
    summaries = known_summaries(folders, experiments_dir)
    known = {summary["name"]: Finding(summary) for summary in summaries}
    claims = [finding for finding in known.values() if finding.claim]
    environment = Environment(  # of Markdown, so nothing is escaped
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    tests = {"settled": Finding.holds, "unsettled": Finding.open}
    for name, test in tests.items():
        environment.tests[name] = lambda each, test=test: (
            each["study"] in known and test(known[each["study"]], each["parts"])
        )
    found = sorted(claims, key=lambda each: (natural(each.claim["id"]), each.name))
    return environment.get_template(template.name).render(
        claims=found,
        of=known.get,
        legend=LEGEND,
        ledger=ledger_tables(summaries, "../results/", "../experiments/"),
    )
