"""The ledger of claims: what the notes say, and what the records say of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.analysis.pages.summary import known_summaries
from gradreach.analysis.stats.verdict import READING, Verdict, stored_verdict
from gradreach.analysis.tables.formats import markdown

INTRODUCTION = f"""# Results

Every page below is made from records by `gradreach tables`, without training; the sweeps that make the records are
`python run.py -m experiment=<name>`. Every page says by which rule its verdict was found, what shows that the rule was
fixed before the runs, and what was changed after.

{READING} Of each claim one effect stands here: of the first part that is refuted, else of the first that is
supported by more than arithmetic."""


def ledger(folders: Sequence[Path], experiments_dir: Path = Path("experiments")) -> str:
    """Return ``results/README.md``, from the summaries of what was built and the claims of what was not.

    Args:
        folders: of results; of an experiment the first that has it counts.
        experiments_dir: where experiments are.
    """
    summaries = known_summaries(folders, experiments_dir)
    claims = sorted((s for s in summaries if s["claim"]), key=lambda s: (len(s["claim"]["id"]), s["claim"]["id"]))
    others = [s for s in summaries if not s["claim"]]
    parts = [INTRODUCTION]
    if claims:
        parts += ["## Claims", markdown(pd.DataFrame(map(_claim, claims))).rstrip()]
    if others:
        parts += ["## Other experiments", markdown(pd.DataFrame(map(_other, others))).rstrip()]
    return "\n\n".join(parts) + "\n"


def _claim(summary: Mapping[str, Any]) -> dict[str, str]:
    claim, verdict = summary["claim"], summary["verdict"] and stored_verdict(summary["verdict"])
    return {
        "claim": claim["id"],
        "§": claim["section"],
        "what it says": claim["text"],
        "verdict": f"**{verdict.state}**{verdict.words.removeprefix(verdict.state)}" if verdict else "not run yet",
        "because": summary["answer"] if verdict else "",
        "effect": lead(verdict) if verdict else "",
        "runs": _runs(summary),
        "experiment": _link(summary),
    }


def lead(verdict: Verdict) -> str:
    """Return the effect that stands for a verdict where there is room for one, and what its part is."""
    part = verdict.lead
    return "" if part is None else f"{part.state}: {part.effect}"


def _other(summary: Mapping[str, Any]) -> dict[str, str]:
    return {"experiment": _link(summary), "question": summary["question"], "runs": _runs(summary)}


def _runs(summary: Mapping[str, Any]) -> str:
    return f"{summary['finished']} of {summary['planned']}" if summary["planned"] else "none yet"


def _link(summary: Mapping[str, Any]) -> str:
    return f"[{summary['name']}]({summary['name']}/README.md)" if summary["planned"] else summary["name"]
