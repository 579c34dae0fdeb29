"""docs/notes.zh.md holds the founding notes whole, and says of each statement what tests it."""

import ast
import re
from functools import cache
from hashlib import sha256
from typing import NamedTuple

import pytest

from gradreach.analysis.study.declaration import Claim
from gradreach.analysis.study.study_files import known_studies, load_study
from project import PROJECT

PAGE = (PROJECT / "docs" / "notes.zh.md").read_text(encoding="utf-8")
TEST, CLAIM, ERRATUM, UNTESTED, NO_STATEMENT = KINDS = ("测试", "主张", "勘误", "未检验", "非论断")
WORDS = "c439e7f1d69cd8e5e22e7221fe173d691faee1630b235585a5ba4a6fe348eb67"
"""SHA-256 of the notes' own words: they stand outside the marks, and are never edited."""

BLOCK = re.compile(
    r"^```(?s:.*?)^```\n\n(?:〔.*)?"  # code, with the marks after it
    r"|^\$\$\n(?s:.*?)^\$\$\n\n(?:〔.*)?"  # a formula, likewise
    r"|^.+",  # a paragraph, an item of a list, a row of a table
    re.MULTILINE,
)
TABLE_HEAD = re.compile(r"^\|.*\n\|[-:| ]+\|\n", re.MULTILINE)
MARK = re.compile(r"〔(.*?)〕")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAMED_CLAIM = re.compile(r"\[(C\d+)\]\(\.\./(results/(\w+)/README\.md)\)")


class Statement(NamedTuple):
    """One statement of the notes: its section (the number), its words, and its marks without their brackets."""

    section: str
    text: str
    marks: list[str]

    @property
    def kinds(self) -> set[str]:
        return {kind for kind in KINDS for mark in self.marks if mark.startswith(kind)}


def notes_of(page: str) -> str:
    """Return the page without its head."""
    return page[page.index("\n## 1 ") :]


def statements(page: str) -> list[Statement]:
    """Return all that is not a heading."""
    found, section = [], ""
    for block in BLOCK.findall(TABLE_HEAD.sub("", notes_of(page))):
        if block.startswith("## "):
            section = block.split()[1]
        if not block.startswith("#"):
            found.append(Statement(section, MARK.sub("", block), MARK.findall(block)))
    return found


def words_of(page: str) -> str:
    """Return the notes' own words, without marks, spaces, and what only sets them: bullets, tables, emphasis, rows."""
    text = MARK.sub("", notes_of(page))
    text = re.sub(r"^\|[-:| ]+\|\n|^```.*|^[\s>]*(?:(?:[-*]|\d+\.)\s+)*", "", text, flags=re.MULTILINE)
    return re.sub(r"\\(?:begin|end){\w+}(?:{l})?|\\\\|[\s#*|`${}&]", "", text)


@cache
def functions_of(path: str) -> set[str]:
    """Return the names of the tests in a file; none where there is no such file."""
    file = PROJECT / path
    tree = ast.parse(file.read_text(encoding="utf-8") if file.is_file() else "")
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@cache
def claims() -> dict[str, tuple[str, Claim]]:
    """Return all claims by id, each with the name of its study."""
    studies = {name: load_study(name, PROJECT / "experiments") for name in known_studies(PROJECT / "experiments")}
    return {study.claim.id: (name, study.claim) for name, study in studies.items() if study.claim is not None}


def faults_of_mark(mark: str) -> list[str]:
    """Return what is wrong with a mark itself."""
    names, _, reason = mark.partition("：")
    refers = {
        TEST: bool(NAMED_TEST.search(names)),
        CLAIM: bool(NAMED_CLAIM.search(names)),
        ERRATUM: bool(NAMED_TEST.search(names) or NAMED_CLAIM.search(names)) and bool(reason),
        UNTESTED: bool(reason),
        NO_STATEMENT: bool(reason),
    }
    kind = names.split()[0]
    if kind not in KINDS:
        return [f"{kind} is not a kind of mark"]
    return [] if refers[kind] else [f"names nothing: {mark}"]


def counts(page: str) -> list[list[str]]:
    """Return the rows of the table of counts: a section, its statements, and those with a mark of each kind."""
    all_of_them = statements(page)
    sections = list(dict.fromkeys(one.section for one in all_of_them))
    rows = []
    for name in [*sections, "共"]:
        some = [one for one in all_of_them if name in (one.section, "共")]
        of_kinds = [sum(kind in one.kinds for one in some) for kind in KINDS]
        rows.append([name, *map(str, (len(some), *of_kinds))])
    return rows


def faults(page: str) -> list[str]:
    """Return all that is wrong with the page."""
    found = []
    for one in statements(page):
        if not one.marks:
            found.append(f"not mapped: {one.text}")
        if one.section == "1" and re.search("像|特征图|矩阵|3乘3", one.text) and "一维" not in "".join(one.marks):
            found.append(f"of images, and does not say that ours is one-dimensional: {one.text}")
        found += [fault for mark in one.marks for fault in faults_of_mark(mark)]
    found += [
        f"no such test: {path}::{name}" for path, name in NAMED_TEST.findall(page) if name not in functions_of(path)
    ]
    found += [f"no such test: {path}" for path in re.findall(r"tests/\S+?\.py(?!::)", notes_of(page))]
    for claim, path, study in NAMED_CLAIM.findall(page):
        if claims().get(claim, ("",))[0] != study:
            found.append(f"no such claim: {claim} of {study}")
        if not (PROJECT / path).is_file():
            found.append(f"no such page: {path}")
    head = page[: page.index("\n## 1 ")]
    stated = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", head, re.MULTILINE)
    ]
    if stated[2:] != counts(page):
        found.append("the table of counts should be:\n" + "\n".join(f"| {' | '.join(row)} |" for row in counts(page)))
    if sha256(words_of(page).encode()).hexdigest() != WORDS:
        found.append("the notes' own words are not all there, or have changed")
    return found


def test_every_statement_of_the_notes_is_mapped_to_what_is_there() -> None:
    assert faults(PAGE) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (r"〔主张 \[C4\][^〕]*〕〔[^〕]*〕", "", "not mapped: hidden存储到"),
        (r"^(\$\$\n)\n〔.*", r"\1", "not mapped: \\$\\$"),
        (r"^.*忽略了位置信息.*\n", "", "words are not all there"),
        (r"大部分的数值要么0要么1", "大部分的数值接近0", "words are not all there"),
        (r"::test_kims_network_by_hand", "::test_kims_network", "no such test: .*::test_kims_network"),
        (r"models/test_readout.py", "models/test_readouts.py", "no such test: .*test_readouts.py"),
        (r"\[C10\]\(", "[C99](", "no such claim: C99"),
        (r"results/position/", "results/translation/", "no such claim: C10 of translation"),
        (r"〔未检验：[^〕]*〕", "〔未检验：〕", "names nothing: 未检验"),
        (r"〔勘误 [^：]*：", "〔勘误 ：", "names nothing: 勘误"),
        (r"〔测试 ", "〔检验 ", "检验 is not a kind of mark"),
        (r"；一维", "", "one-dimensional: .*像"),
        (r"^\| 共 \| \d+", "| 共 | 1", "the table of counts should be"),
    ],
)
def test_what_is_wrong_with_the_page_is_found(old: str, new: str, fault: str) -> None:
    page, changed = re.subn(old, new, PAGE, flags=re.MULTILINE)
    assert changed
    assert any(re.search(fault, one) for one in faults(page))


def test_a_results_page_that_is_not_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(claims(), "C14", ("not_run", claims()["C14"][1]))
    page = PAGE.replace("results/text_benchmark/", "results/not_run/")
    assert set(faults(page)) == {"no such page: results/not_run/README.md"}


def test_what_a_claim_quotes_stands_in_the_notes_and_is_mapped_to_it() -> None:
    """A quotation may leave out what stands between two parts of it, and is compared in letters and digits alone."""
    letters = re.sub(r"\W", "", words_of(PAGE).replace("\\sigma", "σ"))
    mapped = {claim for claim, _, _ in NAMED_CLAIM.findall(notes_of(PAGE))}
    of_the_notes = {name: claim for name, (_, claim) in claims().items() if claim.source == "founding notes"}
    assert mapped == set(of_the_notes)
    for name, claim in of_the_notes.items():
        for piece in re.split(r"[^\w\s]+", claim.original):
            said = re.sub(r"\s", "", piece)
            assert any(said[:cut] in letters and said[cut:] in letters for cut in range(len(said) + 1)), (name, piece)
