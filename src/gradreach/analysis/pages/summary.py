"""``summary.json``: what the ledger, the findings and the report need to know of an experiment."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradreach.analysis.pages.built import HERO, Built
from gradreach.analysis.stats.verdict import Effect, Verdict
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.study_files import known_studies, load_study, of_project
from gradreach.errors import ConfigError, advise

ENDINGS = (".csv", ".html", ".md", ".tex", ".pdf", ".png", ".svg")
"""Of the files of a table, and of those of a figure; SVG of one alone."""


def summary(built: Built, checksums: Mapping[str, str]) -> dict[str, Any]:
    """Return what the ledger and the report need to know of an experiment.

    Args:
        built: what was rebuilt.
        checksums: the SHA-256 of the long tables, by the names of their files.
    """
    runs, study = built.results.runs, built.study
    seconds = runs["seconds"].sum() if "seconds" in runs else 0.0
    return {
        "name": built.name,
        "question": study.question,
        "about": study.about,
        "answer": built.answer,
        "claim": claim_of(study),
        "rule": built.rule,
        "verdict": None if built.verdict is None else _plain(built.verdict),
        "planned": len(runs),
        "finished": int((runs["status"] == "finished").sum()),
        "seconds": round(float(seconds), 1),
        "state": built.state,
        "caveats": built.caveats,
        "captions": built.captions,
        "files": sorted(_files(built)),
        "checksums": checksums,
    }


def _files(built: Built) -> Iterator[str]:
    """Name the tables and figures of an experiment."""
    for view in built.views:
        yield from (f"{view.table.name}{ending}" for ending in ENDINGS[:4])
    for name in built.pictures:
        yield from (f"{name}{ending}" for ending in ENDINGS[4:6])
    if HERO in built.pictures:
        yield from (f"{HERO}.svg", f"{HERO}-dark.svg")


def _plain(verdict: Verdict) -> dict[str, Any]:
    return {
        "state": verdict.state,
        "sentence": verdict.sentence,
        "effect": None if verdict.effect is None else _finite(verdict.effect),
        "parts": [_plain(part) for part in verdict.parts],
        "name": verdict.name,
        "threshold": verdict.threshold,
        "why": verdict.why,
        "aside": verdict.aside,
        "margin": verdict.margin,
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
        hint = f"gradreach tables {name} rebuilds it"
        raise ConfigError(path, allowed=f"cannot be read ({error})", hint=hint) from None
    if "question" not in stored:
        advise(f"{path}: was written by an older version; gradreach tables {name} rewrites it")
        return {}
    return stored


def known_summaries(folders: Sequence[Path], experiments_dir: Path) -> list[Mapping[str, Any]]:
    """Return the summaries of all studies of the project; of one without runs, or that cannot be read, what is known.

    Args:
        folders: of results; of an experiment the first that has it counts.
        experiments_dir: where studies are.
    """
    return [
        stored_summary(name, folders) or _unrun(name, experiments_dir)
        for name in of_project(known_studies(experiments_dir), experiments_dir)
    ]


def _unrun(name: str, experiments_dir: Path) -> Mapping[str, Any]:
    empty: dict[str, Any] = {"name": name, "question": name, "claim": None, "verdict": None}
    empty |= {"planned": 0, "finished": 0, **dict.fromkeys(("about", "answer"), "")}
    try:
        study = load_study(name, experiments_dir)
    except ConfigError as error:
        advise(str(error))
        return empty
    return {**empty, "question": study.question, "claim": claim_of(study)}


def claim_of(study: Study) -> dict[str, str] | None:
    """Return the words of a claim; None where there is none."""
    words = ("id", "section", "text", "short", "source", "original", "expect", "expect_source")
    return None if study.claim is None else {word: getattr(study.claim, word) for word in words}
