"""The rule of a verdict: in words, and as a digest that is stored when its sweep is first planned."""

import ast
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.looks import Looks, confirmatory
from gradreach.analysis.study.selection import listed
from gradreach.rounding import number

RULE = (
    "A part is supported where its whole interval lies as its threshold says, and refuted where it lies beyond; by "
    "signed ranks only where the median's interval by signs alone lies so too. Runs "
    "of one seed count with their mean, and one that diverged as the worst there is; a seed of which a run has no "
    "number is left out and told, and leaves the part open."
)

ASIDE = (
    "Asides, our own questions beside the claim's words, are among these parts; its state is made of the others alone."
)


def rule_words(looks: Looks, asides: bool = False) -> str:
    """Say by which rule a claim is decided.

    Args:
        looks: how many parts share the error, and when.
        asides: whether some of these are questions of our own.
    """
    parts = f"{looks.parts} parts share" if looks.parts > 1 else "The part has"
    after, planned = [str(number) for number in looks.numbers], "" if looks.seeds else "planned "
    seen = f" at {len(after)} {planned}looks, after {listed(after)} seeds" if len(after) > 1 else ""
    first = " Each part is decided at the first look at which it can be." if seen else ""
    covers = f"each interval covers {number(100 * (1 - looks.level), '.4g')} %"
    ours = f" {ASIDE}" if asides else ""
    return (f"{RULE} {parts} an error of 5 %{seen}: {covers}.{first}" if looks.parts else RULE) + ours


def digest_of(study: Study) -> str:
    """Return a digest of what decides: parts with their thresholds, the columns and choices they rest on, and looks.

    Words for people (names of parts, labels, what stands beside a number) do not count; of a function its code does.
    """
    rule = {
        "parts": _plain(_thresholds(claim.parts if (claim := study.claim) else {})),
        "architecture": _plain(study.architecture),
        "derive": {name: _plain(column.compute) for name, column in study.columns.items()},
        "solved": _plain(study.solved),
        "choose": study.choose,
        "looks": list(study.looks),
        **({"asides": _plain(_thresholds(claim.asides))} if claim and claim.asides else {}),
    }
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()


def _thresholds(parts: Mapping[str, Any]) -> list[Any]:
    return [_thresholds(part) if isinstance(part, Mapping) else part for part in parts.values()]


def _plain(value: Any) -> Any:
    """Return a declaration as JSON holds it."""
    if is_dataclass(value) and not isinstance(value, type):
        names = (each.name for each in fields(value) if each.name not in ("label", "beside", "words"))
        return [type(value).__name__, *(_plain(getattr(value, name)) for name in names)]
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | range):
        return [_plain(each) for each in value]
    return (
        _code(value) if callable(value) else value if isinstance(value, str | int | float | bool | None) else str(value)
    )


def _code(function: Callable[..., Any]) -> str:
    """Return the code of a function without its comments and layout; the name of one whose source is not there."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        return ast.dump(tree)
    except (OSError, TypeError, SyntaxError):
        return getattr(function, "__qualname__", type(function).__name__)


def stored_rule(study: Study, stored: Mapping[str, Any] | None, seeds: list[int]) -> str:
    """Say what the digest shows that was stored when the sweep was first planned.

    Args:
        study: as it is today.
        stored: ``date``, ``digest``, ``seeds``, and ``done``: of how many runs there were records then; None where
            nothing was stored.
        seeds: of today's plan.
    """
    if stored is None:
        return (
            "No digest of this rule was stored when the sweep was planned: nothing here shows that it was fixed before "
            "the runs."
        )
    done = int(stored["done"])
    if confirmatory(stored["seeds"]):
        when = f"when {done} of its runs had been done" if done else "before any of its runs"
    else:
        when = "when its pilots were planned"
    same = digest_of(study) == stored["digest"]
    said = f"A digest of this rule was stored on {stored['date']}, {when}; " + (
        "the rule has not changed since." if same else "the rule has changed since."
    )
    later = [seed for seed in seeds if seed not in stored["seeds"]]
    return f"{said} Seeds of no plan, which decide nothing: {', '.join(map(str, later))}." if later else said
