"""A record says which code it comes from."""

import subprocess

import pytest

from gradreach.system.provenance import revision


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    for name in ("run.py", "results/README.md"):
        (tmp_path / name).write_text("committed")
    for line in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -q -m one"):
        subprocess.run(["git", *line.split()], check=True)
    revision.cache_clear()
    yield tmp_path
    revision.cache_clear()


def test_a_revision_is_the_commit(repository):
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert revision() == head[:12]


def test_changed_code_marks_it_and_new_results_do_not(repository):
    (repository / "results/README.md").write_text("made anew")
    assert not revision().endswith("+")
    revision.cache_clear()
    (repository / "run.py").write_text("changed")
    assert revision().endswith("+")


def test_without_git_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    revision.cache_clear()
    assert revision() is None
    revision.cache_clear()
