"""Links of the pages lead somewhere: on GitHub, and on the site, which is built of the same files."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from project import PROJECT

GLOBS = [
    "*.md",
    ".github/*.md",
    "docs/**/*.md",
    "results/README.md",
    "results/*/README.md",
    "results/published/*/README.md",
]
PAGES = sorted(page.relative_to(PROJECT).as_posix() for glob in GLOBS for page in PROJECT.glob(glob))
LINK = re.compile(r"\]\(\s*<?([^\s)>]+)>?[^)]*\)|\b(?:href|src|srcset)=\"([^\"]+)\"|^\[[^\]]+\]: *(\S+)", re.MULTILINE)
ADDRESS = re.compile(r"(https?://[\w.-]+\.[a-z]{2,}(/\S*)?|mailto:\S+@\S+)")
CODE = re.compile(
    r"^( *)(```+|~~~+).*?^\1\2 *$|^(?: {4}|\t)(?! *[-*\d]).*$|(`+)(?!`).+?(?<!`)\3(?!`)", re.MULTILINE | re.DOTALL
)


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    """Return all anchors of a page."""
    text = page.read_text(encoding="utf-8")
    found = set(re.findall(r"\b(?:id|name)=\"([^\"]+)\"", text))
    if page.suffix == ".md":
        counts: Counter[str] = Counter()
        for heading in re.findall(r"^#+ +(.+?)(?: +#+)?$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M):
            name = slug(heading)
            found.add(f"{name}-{counts[name]}" if counts[name] else name)
            counts[name] += 1
    return found


def faults(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    found = []
    for parts in LINK.findall(CODE.sub("", text)):
        link = next(filter(None, parts))
        if re.match(r"[a-z]+:", link):
            if not ADDRESS.fullmatch(link):
                found.append(f"{link}: not an address")
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(PROJECT) or not target.exists():
            found.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target):
            found.append(f"{link}: no such heading; there are {', '.join(sorted(anchors(target))) or 'none'}")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_to_a_file_a_heading_or_an_address(page: str) -> None:
    path = PROJECT / page
    assert faults(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("[a](docs/nowhere.md)", "no such file"),
        ("![a](results/none.png)", "no such file"),
        ("[a](docs/models.md#nowhere)", "no such heading"),
        ('<img src="results/none.svg">', "no such file"),
        ("[a](../elsewhere.md)", "no such file"),
        ("[a](https://example)", "not an address"),
        ("[a]: docs/nowhere.md", "no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(link: str, fault: str) -> None:
    assert [
        fault in found for found in faults(PROJECT / "README.md", f"Text {link}\n".replace("Text [a]:", "[a]:"))
    ] == [True]


def test_code_has_no_links() -> None:
    assert faults(PROJECT / "README.md", "`[a](b)` and\n\n```\n[a](b)\n```\n\n    x[1](2)\n") == []


def test_headings_have_the_anchors_that_github_gives_them() -> None:
    assert [slug(text) for text in ("Readouts: `model.readout`", "4.2 LSTM是怎么解决的", "A [link](x.md), *here*")] == [
        "readouts-modelreadout",
        "42-lstm是怎么解决的",
        "a-link-here",
    ]
