"""The rule of a verdict: in words, and as a digest that is stored when its sweep is first planned."""

import ast
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from types import CodeType, FunctionType
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
    """Describe the rule by which a claim is decided.

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
    """Return a digest of what decides: parts with thresholds, the columns and choices they use, and looks.

    Words for people (names of parts, labels, what stands beside a number) do not count; of a function its code does,
    and the values that it takes from outside.
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
        return [_plain(each) for each in (sorted(value, key=str) if isinstance(value, set) else value)]
    return (
        _code(value) if callable(value) else value if isinstance(value, str | int | float | bool | None) else str(value)
    )


def _code(function: Callable[..., Any], within: tuple[str, ...] = ()) -> Any:
    """Return the code of a function without its comments and layout, and what it takes from outside.

    That are the values, and in turn the functions of its file, that it names. Of one whose source is not there, the
    name. Of a lambda all that begin in its line are taken: Python does not say which it is.

    Args:
        function: whose.
        within: names of those that name it.
    """
    if isinstance(function, partial):
        return [_code(function.func, within), _plain(function.args), _plain(function.keywords)]
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        lines, _ = inspect.findsource(function)
        written = _written("".join(lines)).get(function.__code__.co_firstlineno, [])
    except (OSError, TypeError, AttributeError):
        return name
    outside = {} if name in within else _outside(function, (*within, name))
    return [*written, *([outside] if outside else [])]


@cache
def _written(source: str) -> dict[int, list[str]]:
    """Return the functions of a file by their first lines, as Python writes them."""
    found: dict[int, list[str]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
            found.setdefault(first, []).append(ast.unparse(_FStrings().visit(_without_docstrings(node))))
    return found


class _FStrings(ast.NodeTransformer):
    """Writes f-strings in quotes that stand nowhere within them, as Python 3.11 does; newer ones write others."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Return what ``ast.unparse`` writes as it is."""
        inner = self._inner(node)
        quotes = next((each for each in ("'", '"', '"""', "'''") if each not in inner), None)
        return ast.Name(f"f{quotes}{inner}{quotes}") if quotes else node

    def _inner(self, node: ast.AST) -> str:
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._inner, node.values))
        if isinstance(node, ast.FormattedValue):
            value = ast.unparse(self.visit(node.value))
            if isinstance(node.value, ast.Lambda | ast.IfExp):
                value = f"({value})"
            conversion = f"!{chr(node.conversion)}" if node.conversion != -1 else ""
            form = f":{self._inner(node.format_spec)}" if node.format_spec else ""
            return f"{{{value}{conversion}{form}}}"
        assert isinstance(node, ast.Constant)
        return repr(node.value)[1:-1].replace("{", "{{").replace("}", "}}")


def _without_docstrings(node: ast.AST) -> ast.AST:
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef) and ast.get_docstring(each) is not None:
            each.body = each.body[1:] or [ast.Pass()]
    return node


def _outside(function: Any, within: tuple[str, ...]) -> dict[str, Any]:
    """Return what a function names that stands outside: data, and functions of the same file."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    known = {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}}
    found = {}
    for name in sorted(_names(function.__code__) & set(known)):
        value = known[name]
        if isinstance(value, str | int | float | list | tuple | set | range | Mapping):
            found[name] = _plain(value)
        elif isinstance(value, FunctionType) and value.__module__ == function.__module__:
            found[name] = _code(value, within)
    return found


def _names(code: CodeType) -> set[str]:
    """Return the names that code looks up outside, also those of functions within."""
    inner = [_names(each) for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(code.co_freevars, *inner)


def stored_rule(study: Study, stored: Mapping[str, Any] | None, seeds: list[int]) -> str:
    """Say what the digest stored when the sweep was first planned shows.

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
