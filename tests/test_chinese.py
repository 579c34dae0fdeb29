"""Chinese pages say what the English ones say: each is signed with a digest of the text that it was written from."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from gradreach.analysis.pages.findings import findings
from gradreach.analysis.study.study_files import known_studies, load_study
from project import PROJECT

FOLDER = PROJECT / "experiments"
EXPERIMENTS = known_studies(FOLDER)

PAGES = sorted(page for glob in ("*.zh.md*", "docs/*.zh.md*") for page in PROJECT.glob(glob))


def english(page: Path) -> Path:
    """Return the page that a Chinese one is written from."""
    return page.with_name(page.name.replace(".zh", ""))


WRITTEN = [page for page in PAGES if english(page).is_file() and not page.with_name(f"{page.name}.jinja").is_file()]
"""Of an English page and by hand: the notes are Chinese, and the findings are made of their template."""


UNTIL = {"README.zh.md": "\n## The settings of a run\n"}
"""Where the part ends that is there in Chinese; else all is."""

STATES = {"open": "尚无定论", "supported": "成立", "refuted": "不成立"}
STATES |= {"supported in part": "部分成立", "refuted in part": "部分不成立"}
"""What a verdict is called in Chinese."""


def signature(source: Path, until: str = "") -> str:
    """Return the last line of the page that was written from an English text; where its lines end does not count.

    Nor does a whole line in italics: of a page by hand that is the sentence that comes from the records.
    """
    text = source.read_text(encoding="utf-8")
    assert until in text, f"{source.name} has no {until.strip()} any more: say in UNTIL where its Chinese part ends"
    text = text.partition(until)[0] if until else text
    text = " ".join(re.sub(r"^\*[^*].*\*$", "", text, flags=re.MULTILINE).split())
    name, digest = source.relative_to(PROJECT), sha256(text.encode()).hexdigest()[:12]
    return f"{{# {name}: {digest} #}}" if source.suffix == ".jinja" else f"<!-- {name}: {digest} -->"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_chinese_page_was_written_from_the_english_one_as_it_is(page: Path) -> None:
    name, line = page.relative_to(PROJECT), signature(english(page), UNTIL.get(page.name, ""))
    assert page.read_text(encoding="utf-8").rstrip().splitlines()[-1] == line, (
        f"{english(page).relative_to(PROJECT)} has changed: bring {name} up to date, then sign it: "
        f"sed -i '$ s|.*|{line}|' {name}"
    )


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_a_page_and_its_chinese_one_link_each_other(page: Path) -> None:
    for here, there in ((page, english(page)), (english(page), page)):
        assert f"]({there.name.removesuffix('.jinja')})" in here.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_set_bold_is_bold(page: Path) -> None:
    """Markdown takes ** between a sign and a letter for the beginning of something, not for an end."""
    for line in re.sub(r"`[^`]*`", "x", page.read_text(encoding="utf-8")).splitlines():
        parts = line.split("**")
        for bold, after in zip(parts[1::2], parts[2::2], strict=False):
            assert not (re.search(r"[：，。；、）”]$", bold) and re.match(r"\w", after)), f"**{bold}**{after}"


def test_a_change_of_the_english_page_shows_and_one_of_its_lines_does_not(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("test_chinese.PROJECT", tmp_path)
    signed = []
    for text in ("One two.\n", "One\ntwo.\n", "One three.\n"):
        (tmp_path / "a.md").write_text(text, encoding="utf-8")
        signed.append(signature(tmp_path / "a.md"))
    assert signed[0] == signed[1] != signed[2]
    assert re.fullmatch(r"<!-- a\.md: [0-9a-f]{12} -->", signed[0])


def test_the_glossary_has_the_same_terms_in_both_languages() -> None:
    found = [
        re.findall(r"^(?:- \*\*|## )", (PROJECT / "docs" / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in ("glossary.md", "glossary.zh.md")
    ]
    assert found[0] == found[1]


def test_the_findings_are_the_same_in_both_languages() -> None:
    template = PROJECT / "docs" / "findings.md.jinja"
    both = [template, template.with_name("findings.zh.md.jinja")]
    pages = [findings([PROJECT / "results"], PROJECT / "experiments", each) for each in both]
    same = [
        r'^<img src="(\S+)".* width="320">$',
        r"^\| \[(C\w+)\]",
        r"^\|.*\| ([✔✘◌▫×()\d]+) \|",
        r"^(\*\*\d)\. ",
        r"^(- \*\*|- |## )",
    ]
    for shown in same:  # pictures, claims, signs, what was learned, points
        found = [re.findall(shown, page, re.MULTILINE) for page in pages]
        assert found[0] == found[1], shown
    says = re.findall(r'"says": "(.+)"', template.read_text(encoding="utf-8"))
    words = both[1].read_text(encoding="utf-8")
    assert [each for each in says if f'"{each}": {{' not in words] == []
    answers = {study.answer.text for name in EXPERIMENTS if (study := load_study(name, FOLDER)).claim and study.answer}
    assert [each for each in answers if f'"{each}": "' not in words] == []
    claims = re.findall(r"^\| \[(C\w+)\]", pages[0], re.MULTILINE)
    assert [each for each in claims if f'"{each}": ' not in words] == []


def test_the_chinese_readme_says_of_the_default_sweep_what_its_records_say() -> None:
    """Its sentence has the numbers of the English one, but for exceptions, and the state of what decides."""
    default, deciding = (
        json.loads((PROJECT / "results" / name / "summary.json").read_text(encoding="utf-8"))
        for name in ("quickstart", "reach_and_accuracy")
    )
    english = re.sub(r"The exceptions?: .*\)\.", "", default["answer"])
    first_screen = (PROJECT / "README.zh.md").read_text(encoding="utf-8").partition("\n## ")[0]
    said, decides = re.findall(r"^\*([^*].*)\*$", first_screen, re.MULTILINE)
    assert re.findall(r"\d+", said) == re.findall(r"\d+", english)
    assert ("预实验" in said) == ("pilot" in english)
    assert decides.endswith(f"：{STATES[deciding['verdict']['state']]}。")


def test_the_ten_lines_of_the_chinese_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", (PROJECT / "README.zh.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(lines, {"__name__": "readme"})
    assert re.fullmatch(r"可达距离 \d+ 步，半衰期 \d+\.\d\d 个时间步\n", capsys.readouterr().out)
