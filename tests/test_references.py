"""Every paper that is named by author and year stands in docs/references.md, with a link."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from gradreach.published.pages import address
from project import PROJECT

sys.path.append(str(PROJECT / "docs" / "site"))
from citations import TABLE, citations, prose, references

PROSE = ("*.md", "docs/*.md", "docs/*.jinja", "docs/notebooks/*", "conf/**/*.yaml")
PROSE += ("src/**/*.py", "experiments/*.py", "tests/**/*.py", "benchmarks/*.py")
PUBLISHED = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))["published"]
    for path in sorted((PROJECT / "conf" / "published").glob("*.yaml"))
}


def filed(paper: dict[str, str]) -> str:
    """Return what a paper of ``conf/published`` is filed under."""
    return f"{re.split(',| and ', paper['authors'])[0].split()[-1]} {paper['year']}"


def named() -> dict[str, set[Path]]:
    """Return where each citation stands."""
    found: dict[str, set[Path]] = {filed(paper): {Path("conf/published")} for paper in PUBLISHED.values()}
    for path in (path for pattern in PROSE for path in PROJECT.glob(pattern)):
        if path in (TABLE, Path(__file__)):
            continue
        for key, _ in citations(prose(path.read_text(encoding="utf-8"))):
            found.setdefault(key, set()).add(path.relative_to(PROJECT))
    return found


def test_every_paper_that_is_named_has_a_link_and_no_other_has() -> None:
    cited = named()
    assert {key: paths for key, paths in cited.items() if key not in references()} == {}
    assert set(references()) - set(cited) == set()


def test_papers_stand_once_each_with_a_doi_an_arxiv_number_or_an_address() -> None:
    rows = [line for line in TABLE.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(references())
    for row in rows:
        shown, link = re.fullmatch(r"\| .+ \d{4} \| .+ \| \[(.+)\]\((\S+)\) \|", row).groups()  # type: ignore[union-attr]
        assert address(shown) == link if ":" in shown else f"//{shown}/" in link.replace("//www.", "//"), row
        assert re.fullmatch(r"https?://[\w.-]+\.[a-z]{2,}/\S*", link)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_have_the_link_of_the_table(name: str) -> None:
    assert references()[filed(PUBLISHED[name])][1] == address(PUBLISHED[name]["source"])


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("as by Kim 2014, in November 2026", ["Kim 2014"]),
        ("(Kim, 2014, CNN-rand); H. Ismail Fawaz et al. (2019)", ["Kim 2014", "Fawaz 2019"]),
        ("F. Gers et al. 2000; S. Bai, J. Z. Kolter and V. Koltun, 2018", ["Gers 2000", "Bai 2018"]),
        ("O. Kayhan and J. van Gemert 2020, Le, Jaitly & Hinton 2015", ["Kayhan 2020", "Le 2015"]),
        ("J. L. Elman, Finding structure in time, 1990. X. Li and D. Roth, COLING 2002", ["Elman 1990", "Li 2002"]),
        ('A. Azulay and "\n    "Y. Weiss 2019', ["Azulay 2019"]),
        ("Size = 2000, RESAMPLES = 2000, UCI 1998, torch 2.13, section 2000", []),
    ],
)
def test_a_citation_is_an_author_and_a_year(text: str, keys: list[str]) -> None:
    assert [key for key, _ in citations(prose(text))] == keys
