"""Prose has the field's words, and replaced ones do not come back; keys, columns and settings keep their names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from project import PROJECT

WORDS = {
    r"\brevisions?\b": "commit",
    r"\bheld against\b": "threshold, or checked against",
    r"\balike in (all|every)\b": "identical in",
    r"\b(not|cannot be|are|is) told apart\b": "no significant difference, or distinguished",
    r"\bmakes? (it|them) anew\b|\bmade anew\b": "rebuilt",
    r"\bso many\b(?! (that|inputs))": "this many",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(weights|epoch|rates?) that validation cho(se|oses)\b": "best-validation checkpoint, or best in validation",
    r"\b(torch's|orthogonal|identity|chrono) starts?\b|\b(weights|vectors) start\b": "initialization",
    r"\bthe same line\b(?! of)": "re-run the same command",
    r"(?<!there )\b(is|are|was) no (number|part|class|file|folder|list|module|mapping|record|setting)\b": "is not a",
    r"\b(is|are) none of a\b": "is not a",
    r"\bsays (its|the) checksum\b": "checksum mismatch",
    r"\bnot heeded\b": "ignored",
}
"""Old words, as prose uses them, and what to write."""
PAGES = ("*.md", "docs/*.md", "docs/*.jinja", "conf/**/*.yaml", "src/**/*.html", "src/**/*.jinja")
CODE = ("src/**/*.py", "experiments/*.py", "docs/*.py", "docs/site/*.py")
FILES = sorted({path for glob in (*PAGES, *CODE) for path in PROJECT.glob(glob) if ".zh." not in path.name})


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield lines and the prose that begins there: docstrings and texts of code, comments of YAML, else all."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield node.lineno, node.value
        return
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, line.partition("#")[2] if path.suffix == ".yaml" else line


def old_words(path: Path) -> list[str]:
    """Return what is to be written instead, by line."""
    found = []
    for number, text in prose(path):
        plain = " ".join(re.sub(r"(`+)[^`]*\1", "", text).split())
        hits = ((re.search(old, plain, re.IGNORECASE), new) for old, new in WORDS.items())
        found += [f"{path.relative_to(PROJECT)}:{number}: “{hit[0]}”: write {new}" for hit, new in hits if hit]
    return found


def test_prose_has_no_word_that_was_replaced():
    assert FILES
    assert [line for path in FILES for line in old_words(path)] == []


@pytest.mark.parametrize(
    ("name", "text", "write"),
    [
        ("page.md", "Runs of two revisions; `revision` is a column.", "commit"),
        ("code.py", '"""Of so many\n\nseeds."""', "this many"),
        ("code.py", "print(f'{x}: is no number')", "is not a"),
        ("some.yaml", "start: 1  # torch's start", "initialization"),
    ],
)
def test_an_old_word_is_found_and_the_new_one_named(name, text, write, tmp_path, monkeypatch):
    monkeypatch.setattr("test_words.PROJECT", tmp_path)
    (tmp_path / name).write_text(text)
    assert [line.rpartition("write ")[2] for line in old_words(tmp_path / name)] == [write]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "`revision`, `gradient/start/h.reach`; a run starts, so many that none is left; there is no file."),
        ("code.py", "NAMES = ['revision']"),
    ],
)
def test_keys_and_other_meanings_are_left_alone(name, text, tmp_path, monkeypatch):
    monkeypatch.setattr("test_words.PROJECT", tmp_path)
    (tmp_path / name).write_text(text)
    assert old_words(tmp_path / name) == []
