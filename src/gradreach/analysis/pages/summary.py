"""``summary.json``: what the ledger, the findings and the report need to know of an experiment."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradreach.analysis.pages.built import Built
from gradreach.analysis.results import LONG
from gradreach.analysis.stats.verdict import Effect, Verdict
from gradreach.errors import ConfigError
from gradreach.system.files import digest


def summary(built: Built) -> dict[str, Any]:
    """Return what the ledger and the report need to know of an experiment."""
    runs, experiment, asked = built.results.runs, built.experiment, built.results.asked
    seconds = runs["seconds"].sum() if "seconds" in runs else 0.0
    return {
        "name": built.name,
        "title": experiment.title,
        "claim": None if experiment.claim is None else vars(experiment.claim),
        "rule": experiment.rule,
        "beyond": built.beyond,
        "verdict": None if built.verdict is None else _plain(built.verdict),
        "planned": len(runs),
        "finished": int((runs["status"] == "finished").sum()),
        "seconds": round(float(seconds), 1),
        "state": built.state,
        "captions": built.captions,
        "checksums": {f"{table}.csv": digest(built.folder / f"{table}.csv") for table in LONG if asked(table)},
    }


def _plain(verdict: Verdict) -> dict[str, Any]:
    return {
        "state": verdict.state,
        "sentence": verdict.sentence,
        "effect": None if verdict.effect is None else _finite(verdict.effect),
        "parts": [_plain(part) for part in verdict.parts],
        "name": verdict.name,
    }


def _finite(effect: Effect) -> dict[str, Any]:
    values = effect._asdict().items()
    return {k: (v if math.isfinite(v) else None) if isinstance(v, float) else v for k, v in values}


def stored_summary(name: str, folders: Sequence[Path]) -> Mapping[str, Any]:
    """Return the summary of an experiment from the first folder of results that has one; empty where none has.

    Raises:
        ConfigError: it cannot be read.
    """
    path = next((path for folder in folders if (path := folder / name / "summary.json").is_file()), None)
    if path is None:
        return {}
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read ({error}); gradreach tables {name} makes it anew") from None
    return stored
