"""The ledger of claims: what the notes say, and what the records say of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.analysis.experiment import known_experiments, load_experiment
from gradreach.analysis.pages.summary import stored_summary
from gradreach.analysis.stats.verdict import READING, Verdict, stored_verdict
from gradreach.analysis.tables.formats import markdown

INTRODUCTION = f"""# Results

Every page below is made from records by `gradreach tables`, without training; the sweeps that make the records are
`python run.py -m experiment=<name>`. Verdicts follow rules that were fixed before the runs, or the page says what was
changed.

{READING} Of each claim one effect stands here: of the first part that is refuted, else of the first that is
supported by more than arithmetic."""


def ledger(folders: Sequence[Path], experiments_dir: Path = Path("experiments")) -> str:
    """Return ``results/README.md``, from the summaries of what was built and the claims of what was not.

    Args:
        folders: of results; of an experiment the first that has it counts.
        experiments_dir: where experiments are.
    """
    summaries = [_summary(name, folders, experiments_dir) for name in known_experiments(experiments_dir)]
    claims = sorted((s for s in summaries if s["claim"]), key=lambda s: (len(s["claim"]["id"]), s["claim"]["id"]))
    others = [s for s in summaries if not s["claim"]]
    parts = [INTRODUCTION]
    if claims:
        parts += ["## Claims of the notes", markdown(pd.DataFrame(map(_claim, claims))).rstrip()]
    if others:
        parts += ["## Other experiments", markdown(pd.DataFrame(map(_other, others))).rstrip()]
    return "\n\n".join(parts) + "\n"


def _summary(name: str, folders: Sequence[Path], experiments_dir: Path) -> Mapping[str, Any]:
    stored = stored_summary(name, folders)
    if stored:
        return stored
    experiment = load_experiment(name, experiments_dir)
    claim = None if experiment.claim is None else vars(experiment.claim)
    return {"name": name, "title": experiment.title, "claim": claim, "verdict": None, "planned": 0}


def _claim(summary: Mapping[str, Any]) -> dict[str, str]:
    claim, verdict = summary["claim"], summary["verdict"] and stored_verdict(summary["verdict"])
    return {
        "claim": claim["id"],
        "§": claim["section"],
        "what the notes say": claim["translation"],
        "verdict": f"**{verdict.state}**{verdict.words.removeprefix(verdict.state)}" if verdict else "not run yet",
        "because": f"{verdict.sentence} {summary.get('beyond', '')}".rstrip() if verdict else "",
        "effect": lead(verdict) if verdict else "",
        "runs": _runs(summary),
        "experiment": _link(summary),
    }


def lead(verdict: Verdict) -> str:
    """Return the effect that stands for a verdict where there is room for one, and what its part is."""
    part = verdict.lead
    return "" if part is None else f"{part.state}: {part.effect}"


def _other(summary: Mapping[str, Any]) -> dict[str, str]:
    return {"experiment": _link(summary), "title": summary["title"], "runs": _runs(summary)}


def _runs(summary: Mapping[str, Any]) -> str:
    return f"{summary['finished']} of {summary['planned']}" if summary["planned"] else "none yet"


def _link(summary: Mapping[str, Any]) -> str:
    return f"[{summary['name']}]({summary['name']}/README.md)" if summary["planned"] else summary["name"]
