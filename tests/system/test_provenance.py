"""A record says which code it comes from."""

import shutil
import subprocess

import pytest

from gradreach.system import provenance
from gradreach.system.provenance import PACKAGE, code_digest, project_folder, revision
from project import PROJECT


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
    (repository / "results/README.md").write_text("rebuilt")
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


FILES = {
    "run.py": "run",
    "smooth.py": "an encoder of one's own",
    "requirements.lock": "torch==2",
    "conf/config.yaml": "seed: 0",
    "conf/model/own.yaml": "name: own",
    "experiments/own.py": "STUDY = 1",
    "src/own/layer.py": "x = 1",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest_anew():
    provenance._code_digest.cache_clear()
    return code_digest()


@pytest.fixture(autouse=True)
def no_digest_outlives_its_test():
    yield
    provenance._code_digest.cache_clear()


@pytest.mark.parametrize("name", [*FILES, "conf/task/new.yaml"])
def test_a_change_of_any_code_changes_its_digest(project, name):
    before = digest_anew()
    assert len(before) == 12
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("changed")
    assert digest_anew() != before


def test_a_file_that_moves_changes_the_digest(project):
    before = digest_anew()
    (project / "src/own/layer.py").rename(project / "src/own/layers.py")
    assert digest_anew() != before


@pytest.mark.parametrize(
    "name",
    [
        "results/quickstart/runs.csv",
        "docs/page.md",
        "tests/test_own.py",
        "src/own/__pycache__/layer.cpython-311.pyc",
        "src/own.egg-info/PKG-INFO",
        "conf/.hidden.yaml",
        "conf/published/paper.yaml",
    ],
)
def test_what_is_no_code_leaves_the_digest(project, name):
    before = digest_anew()
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("anything")
    assert digest_anew() == before


def test_line_endings_permissions_and_times_leave_the_digest(project):
    before = digest_anew()
    (project / "run.py").write_bytes(b"run\r\n")
    (project / "run.py").chmod(0o755)
    (project / "conf/nowhere.yaml").symlink_to(project / "absent")
    assert digest_anew() == before


def test_two_places_of_one_checkout_have_one_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    there = digest_anew()
    monkeypatch.chdir(tmp_path)  # no project: the package's own
    assert project_folder() == PROJECT
    assert digest_anew() == there
    for name in ("conf", "experiments"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    for name in ("run.py", "requirements.lock"):
        shutil.copy(PROJECT / name, tmp_path)
    assert project_folder() == tmp_path
    assert digest_anew() == there


def test_without_a_project_the_package_alone_is_the_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    package = tmp_path / "site-packages" / "gradreach"
    shutil.copytree(PACKAGE / "system", package / "system")
    monkeypatch.setattr(provenance, "PACKAGE", package)
    assert project_folder() == tmp_path
    before = digest_anew()
    (tmp_path / "mine.py").write_text("mine")
    assert digest_anew() == before
    (package / "system" / "files.py").write_text("changed")
    assert digest_anew() != before
