"""``make site`` builds pages, API and report; what is built needs no network, and its links lead somewhere."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gradreach import diagnostics, models, study, tasks, watch
from project import PROJECT

sys.path.append(str(PROJECT / "docs" / "site"))
from built import faults

SITE = PROJECT / "docs" / "site"


@pytest.mark.parametrize(
    ("tag", "fault"),
    [
        ('<script src="https://cdn.example.org/a.js"></script>', "comes from the network"),
        ('<link rel="stylesheet" href="//fonts.example.org/css">', "comes from the network"),
        ('<img srcset="a.png 2x">', "is not there"),
        ('<a href="nowhere.html">', "is not there"),
        ('<a href="other.html#nowhere">', "no such anchor"),
    ],
)
def test_what_is_built_needs_no_network_and_leads_nowhere_that_is_not_there(
    tag: str, fault: str, tmp_path: Path
) -> None:
    (tmp_path / "other.html").write_text('<p id="here">', encoding="utf-8")
    fine = (
        '<a href="other.html#here"><a href="https://example.org"><img src="data:image/gif;base64,R0lGODdh"><a href=".">'
    )
    (tmp_path / "index.html").write_text(fine, encoding="utf-8")
    assert faults(tmp_path) == []
    page = tmp_path / f"{len(fault)}.html"  # pages are read once
    page.write_text(tag, encoding="utf-8")
    assert [fault in found for found in faults(tmp_path)] == [True]


def test_the_site_is_built_for_every_change_and_published_from_main() -> None:
    jobs = yaml.safe_load((PROJECT / ".github" / "workflows" / "site.yml").read_text(encoding="utf-8"))["jobs"]
    assert {"run": "make site"} in jobs["build"]["steps"]
    assert "refs/heads/main" in jobs["publish"]["if"]


def test_the_reference_has_every_public_module() -> None:
    shown = (SITE / "api.rst").read_text(encoding="utf-8")
    assert [one.__name__ for one in (diagnostics, watch, models, tasks, study) if one.__name__ not in shown] == []


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="make site installs it")
    line = ["-m", "sphinx", "--fail-on-warning", "--quiet", "-c", str(SITE), "-d", str(tmp_path / "doctrees")]
    done = subprocess.run(
        [sys.executable, *line, str(PROJECT), str(tmp_path / "site")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "docs" / "site" / "api.html").read_text(encoding="utf-8")
    for module in (diagnostics, models, tasks, study):
        assert [name for name in module.__all__ if f'.{name}"' not in reference] == []
    for page in ("index.html", "results/report.html", "results/index.html", "docs/glossary.zh.html"):
        assert (tmp_path / "site" / page).is_file()
    assert 'lang="zh-CN"' in (tmp_path / "site" / "docs" / "glossary.zh.html").read_text(encoding="utf-8")
