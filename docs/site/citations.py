"""Papers that prose names by author and year, and the table in ``docs/references.md`` that has a link to each."""

import calendar
import re
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "references.md"

_INITIALS = r"(?:[A-Z]\.[ -]?)*"
_NAME = r"(?:van |de |der )?[A-ZÀ-Ž][a-zà-ž][^\W\d_]*(?:-[A-Z][^\W\d_]+)?"
_AUTHORS = rf"{_INITIALS}(?P<first>{_NAME})(?:(?:,| and|,? &) {_INITIALS}{_NAME})*(?: et al\.?)?"
CITATION = re.compile(
    rf"(?<![\w.])(?:(?=[A-Z]\.){_AUTHORS}(?:, [^.;()|]{{1,120}}?)?"
    rf"|{_AUTHORS.replace('<first>', '<only>')}(?:'s palette)?)"
    r"(?:,? (?P<bracket>\()?|, \w+ )(?P<year>(?:18|19|20)\d\d)\b(?(bracket)\))"
)
"""An author and a year: Kim 2014; Gers et al. (2000); after initials a title too: J. L. Elman, Finding …, 1990."""
NO_AUTHORS = {*calendar.month_name, "Since", "In", "Per"}


def citations(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield what each citation in a text is filed under, such as ``Gers 2000``, and where it stands."""
    for match in CITATION.finditer(text):
        first = (match["first"] or match["only"]).split()[-1]
        if first not in NO_AUTHORS:
            yield f"{first} {match['year']}", match


def prose(text: str) -> str:
    """Return a file's text with its lines joined: comments, strings and paragraphs are broken anywhere."""
    return re.sub(r"\s+", " ", re.sub(r"[\"`]?[ \t]*\n[ \t]*(?:#+ ?|f?\"(?=[^\"]))?", " ", text))


def references() -> dict[str, tuple[str, str]]:
    """Return title and link of every paper, filed under its first author's last name and its year."""
    rows = re.findall(r"^\| (.+?) (\d{4}) \| (.+?) \| \[.+?\]\((.+?)\) \|$", TABLE.read_text("utf-8"), re.MULTILINE)
    return {
        f"{re.split(' et al| & ', cited)[0].split()[-1]} {year}": (title, link) for cited, year, title, link in rows
    }
