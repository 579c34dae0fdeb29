"""The ledger of claims: what the notes say and what the records say about it, one line per claim; and for machines."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.analysis.pages.signs import LEGEND, in_groups, signs
from gradreach.analysis.pages.summary import known_summaries
from gradreach.analysis.stats.verdict import DECIDED, Verdict, stored_verdict
from gradreach.analysis.study.parts import named_leaves
from gradreach.analysis.tables.formats import markdown
from gradreach.rounding import rounded
from gradreach.run_table.columns import csv

LONGEST = 120
"""Characters of an answer that a line has room for; in place of a longer one, made of the parts, stands the state."""
TITLE, ANSWER, NARROW = 24, 42, 24
"""Characters of a claim, an answer and a key number: with these no line of the ledger breaks on a page of GitHub."""
READING = f"""{LEGEND}: one sign a part, in brackets where settings differ; ◌×9: nine parts. The key number, with
its interval at the part's level, is of the first part refuted, else supported; of its settings the one nearest its
threshold. Pilot seeds (below 100) decide nothing."""
HEAD = f"""# Results

{READING} [Rules](../docs/results.md#an-experiment-and-its-verdict), [all numbers](ledger.csv)."""
DIGITS = ".6g"
COLUMNS = ["claim", "part", "state", "effect", "low", "high", "level", "n", "threshold", "study", "unit", "aside"]


def ledger(folders: Sequence[Path], experiments_dir: Path = Path("experiments")) -> str:
    """Return ``results/README.md``, from the summaries of what was built and the claims of what was not.

    Args:
        folders: of results; of an experiment the first that has it counts.
        experiments_dir: where experiments are.
    """
    summaries = known_summaries(folders, experiments_dir)
    return "\n\n".join([HEAD, *_tables(summaries, "", "../experiments/")]) + "\n"


def ledger_tables(summaries: Sequence[Mapping[str, Any]], results: str, experiments: str) -> str:
    """Return the tables of the ledger without key numbers, for a page that has to be short.

    Args:
        summaries: of the studies.
        results: by which links to results begin there.
        experiments: by which links to studies begin that have no results yet.
    """
    return "\n\n".join(_tables(summaries, results, experiments, without=("key number",)))


def _tables(
    summaries: Sequence[Mapping[str, Any]], results: str, experiments: str, without: Sequence[str] = ()
) -> Iterator[str]:
    for title, some in in_groups(summaries, lambda summary: summary["claim"]).items():
        lines = [line(summary, results, experiments) for summary in some]
        if some[0]["claim"]:
            known = [name for name in lines[0] if not name or any(each[name] for each in lines)]
            shown = [name for name in known if name not in without]
            rows = pd.DataFrame(lines, columns=shown)
            yield markdown(rows.rename(columns={"claim": title})).rstrip()
        else:
            links = [told[""] + _lacking(summary) for told, summary in zip(lines, some, strict=True)]
            yield f"{title.capitalize()}: {', '.join(links)}."


def line(summary: Mapping[str, Any], results: str = "", experiments: str = "../experiments/") -> dict[str, str]:
    """Return one line of the ledger."""
    claim, verdict = summary["claim"] or {}, summary["verdict"] and stored_verdict(summary["verdict"])
    where = f"{results}{summary['name']}/README.md" if summary["planned"] else f"{experiments}{summary['name']}.py"
    return {
        "": f"[{claim.get('id') or summary['name']}]({where})",
        "claim": str(claim.get("short") or claim.get("text", "")).removesuffix("."),
        "parts": signs(verdict) if verdict else "",
        "in one line": short_answer(summary, verdict),
        "key number": key_number(verdict),
    }


def short_answer(summary: Mapping[str, Any], verdict: Verdict | None) -> str:
    """Return the answer of a study; where none was written, and what is made of the parts is long, the state."""
    if verdict is None:
        return "Not run yet." if not summary["planned"] else str(summary["answer"])
    answer = str(summary["answer"])
    return (answer if 0 < len(answer) <= LONGEST else f"{verdict.state.capitalize()}.") + _lacking(summary)


def _lacking(summary: Mapping[str, Any]) -> str:
    """Say how many runs have finished where not all have."""
    complete = not summary["planned"] or summary["finished"] == summary["planned"]
    return "" if complete else f" ({summary['finished']} of {summary['planned']} runs)"


def key_number(verdict: Verdict | None) -> str:
    """Return the number of the part that decides most, and what it is of; nothing where none is decided by a number."""
    lead = verdict.lead if verdict is not None else None
    if lead is None or lead.effect is None or lead.state not in DECIDED:
        return ""
    told = f"{lead.effect.number} {lead.effect.what}"
    return told if len(told) <= NARROW else lead.effect.number


def machine_ledger(folders: Sequence[Path], experiments_dir: Path = Path("experiments")) -> str:
    """Return ``results/ledger.csv``: one row a part that has no parts, asides too."""
    rows: list[dict[str, Any]] = []
    for some in in_groups(known_summaries(folders, experiments_dir), lambda each: each["claim"]).values():
        for summary in some:
            if summary["verdict"]:
                rows += _rows(summary, stored_verdict(summary["verdict"]))
    return csv(pd.DataFrame(rows, columns=COLUMNS))


def _rows(summary: Mapping[str, Any], verdict: Verdict) -> Iterator[dict[str, Any]]:
    for leaf in named_leaves(verdict):
        effect = leaf.effect
        numbers = {"effect": math.nan, "low": math.nan, "high": math.nan, "level": math.nan, "n": 0, "unit": ""}
        if effect is not None:
            value, low, high = (rounded(each, DIGITS) for each in (effect.value, effect.low, effect.high))
            numbers |= {"effect": value, "low": low, "high": high, "level": rounded(1 - effect.level, DIGITS)}
            numbers |= {"n": effect.n, "unit": effect.unit}
        told = {"claim": summary["claim"]["id"], "part": leaf.name, "state": leaf.state, "study": summary["name"]}
        yield told | numbers | {"threshold": leaf.threshold, "aside": leaf.aside}
