"""The page over all papers of the ledger: ``results/published/README.md``."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from gradreach.analysis.tables.formats import markdown
from gradreach.config.published import POINTS, SHARE
from gradreach.published.cells import Found
from gradreach.published.outcomes import LEVEL
from gradreach.published.pages import ours_text, published_text

KINDS = ("within", "off by", "too wide to tell", "not comparable", "not run")
APART = "within (formula, code)"
READING = (
    f"*within*: the published number lies where {100 * LEVEL:g} % of further runs of ours would (where they give the "
    "mean of several runs: of further means of as many; where they give the runs themselves: where Welch's test does "
    f"not tell them from ours), and that interval reaches no farther than {POINTS:g} points from its middle, of other "
    f"numbers than accuracies {100 * SHARE:g} % of the distance to chance (to zero where there is no chance); its page "
    "says where it must be narrower. "
    "*too wide to tell*: it reaches farther. *off by*: ours less theirs. Nothing is said before all planned seeds have "
    "ended; seeds without a value (a run diverged or failed) count as chance. Of twenty cells that agree one is off by "
    "chance. What is computed once (n = 1), because nothing is drawn, must agree in every digit that is given. "
    "*(formula)*, *(code)*: the number is printed nowhere; a formula of the authors gives it, or their program when it "
    "is run. Cells of one paper may share draws, as its page says, and are no independent evidence then. What "
    "a cell that is not run would cost is an estimate."
)


def overview(everything: Sequence[Found]) -> str:
    """Return ``results/published/README.md``: what came of every cell of every paper."""
    kinds = Counter(outcome.kind for found in everything for outcome in found.outcomes.values())
    cells, redone = kinds.total(), kinds.total() - kinds["not run"] - kinds["not comparable"]
    origins = Counter(cell.origin for found in everything for cell in found.redone.paper.cells.values())
    parts = [
        "# Published numbers beside ours",
        f"{cells} numbers, {origins['printed']} of them printed, {origins['formula']} given by a formula and "
        f"{origins['code']} by a program of the authors; {redone} are redone so far, each by the protocol of its "
        "authors as far as that is known; what differs is told on the page of each paper. Cells, seeds and settings "
        "are fixed in `conf/published/` before the first run, no cell is dropped, and whatever comes out is printed.",
        markdown(counts(everything)).rstrip(),
        READING,
        "`gradreach reproduce` lists the papers, `gradreach reproduce mnist1d` runs what is missing of one; "
        "`gradreach tables` makes these pages from the records, and with `--check` says where they are not up to date.",
    ]
    misses = list(_rows(everything, ("off by",)))
    if misses:
        parts += [
            "## Every miss",
            "What was tried to explain one stands on its page.",
            markdown(pd.DataFrame(misses)).rstrip(),
        ]
    parts += ["## All cells", markdown(pd.DataFrame(list(_rows(everything, KINDS)))).rstrip()]
    return "\n\n".join(parts) + "\n"


def counts(everything: Sequence[Found]) -> pd.DataFrame:
    """Return how many cells of each paper came out how, and of all; one paper at least.

    What agrees with a number that is printed nowhere is counted apart.
    """
    rows = []
    for found in everything:
        kinds = Counter(
            outcome.kind if outcome.kind != "within" or found.redone.paper.cells[name].origin == "printed" else APART
            for name, outcome in found.outcomes.items()
        )
        paper = found.redone.paper
        rows.append(
            {
                "paper": f"[{found.redone.name}]({found.redone.name}/README.md)",
                "by": f"{short(paper.authors)} {paper.year}",
            }
            | {"cells": str(len(found.outcomes))}
            | {kind.removesuffix(" by"): str(kinds[kind] or "") for kind in (KINDS[0], APART, *KINDS[1:])}
        )
    whole = {key: str(sum(int(row[key] or 0) for row in rows)) for key in list(rows[0])[2:]}
    return pd.DataFrame([*rows, {"paper": "all", "by": "", **whole}])


def short(authors: str) -> str:
    """Return the first author's family name, and that there are others.

    >>> short("S. Bai, J. Z. Kolter and V. Koltun"), short("M. Hénon")
    ('Bai et al.', 'Hénon')
    """
    first, others, _ = authors.replace(" and ", ", ").partition(", ")
    return first.split(". ")[-1] + " et al." * bool(others)


def _differs(count: int) -> str:
    return f"in {count} {'way' if count == 1 else 'ways'}" if count else "in nothing known"


def _rows(everything: Iterable[Found], kinds: Sequence[str]) -> Iterable[Mapping[str, str]]:
    for found in everything:
        for name, outcome in found.outcomes.items():
            cell = found.redone.paper.cells[name]
            if outcome.kind in kinds:
                differs = len(found.redone.paper.deviations) + len(cell.deviations)
                yield {
                    "paper": f"[{found.redone.name}]({found.redone.name}/README.md)",
                    "cell": name,
                    "published": published_text(cell),
                    "ours": ours_text(cell, outcome),
                    "n": str(outcome.n or ""),
                    "outcome": outcome.words,
                    "differs from theirs": _differs(differs) if cell.planned else "",
                }
