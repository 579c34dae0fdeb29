"""The page of results, made of results that are made up."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gradreach.analysis.pages.report import Section, write_report
from made_up_report import STUDY, made_up_sections


@pytest.fixture(scope="session")
def sections(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Section]:
    """Experiments of the page."""
    return made_up_sections(tmp_path_factory.mktemp("figures"))


@pytest.fixture(scope="session")
def page(sections: Sequence[Section], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, with one study that was not run yet."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(sections, path, {"not_yet": STUDY})
    return path
