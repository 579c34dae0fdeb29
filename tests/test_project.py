"""What the project promises beside its code: set-up, commands, pages that say where things are."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from typer.main import get_command
from typer.testing import CliRunner

import gradreach
from gradreach.cli import app
from project import PROJECT

SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
VERBS = set(get_command(app).commands)  # type: ignore[attr-defined]
OLDEST, NEWEST = "3.11", "3.14"


def read(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def test_gradreach_has_at_most_fifteen_verbs_and_the_readme_shows_five() -> None:
    assert len(VERBS) <= 15
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", read("README.md"), re.DOTALL))
    shown = set(re.findall(r"^gradreach ([a-z-]+)", lines, re.MULTILINE))
    assert len(shown) == 5
    assert shown <= VERBS


def test_the_readme_says_of_the_default_sweep_what_its_records_say() -> None:
    first_screen = read("README.md").partition("\n## ")[0]
    answer = json.loads(read("results/quickstart/summary.json"))["answer"]
    study = json.loads(read("results/reach_and_accuracy/summary.json"))["answer"]
    decides = f"A demonstration. The study made to decide is [C0](results/reach_and_accuracy/README.md): {study}"
    assert re.findall(r"^\*([^*].*)\*$", first_screen, re.MULTILINE) == [answer, decides]
    (picture,) = re.findall(r'<img src="(.*?)" height="300"', first_screen)
    assert (PROJECT / picture).is_file()


def test_no_command_line_of_the_readme_is_wider_than_a_page() -> None:
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", read("README.md"), re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if len(line) > 88] == []


def test_the_version_is_told() -> None:
    answer = CliRunner().invoke(app, ["--version"])
    assert (answer.exit_code, answer.output) == (0, f"gradreach {gradreach.__version__}\n")


def test_types_are_announced_to_users() -> None:
    assert files("gradreach").joinpath("py.typed").is_file()


def test_the_version_stands_in_changelog_and_citation() -> None:
    version = SETTINGS["project"]["version"]
    assert f"\n## {version}" in read("CHANGELOG.md")
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version


def pinned(python: str) -> dict[str, list[Version]]:
    """Return the versions that the lock gives a Python on Linux, by package."""
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    found: dict[str, list[Version]] = {}
    for line in map(Requirement, filter(lambda line: not line.startswith("#"), read("requirements.lock").splitlines())):
        if line.marker is None or line.marker.evaluate(machine):
            (version,) = line.specifier
            found.setdefault(canonical(line.name), []).append(Version(version.version))
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("python", [OLDEST, NEWEST])
def test_the_lock_pins_every_dependency_once_within_its_bounds(python: str) -> None:
    pins = pinned(python)
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}
    extras = SETTINGS["project"]["optional-dependencies"].values()
    for needed in map(Requirement, [*SETTINGS["project"]["dependencies"], *(one for extra in extras for one in extra)]):
        if needed.name != "gradreach":  # an extra may rest on another
            assert pins[canonical(needed.name)][0] in needed.specifier, needed


def test_what_the_lock_pins_can_be_installed_on_the_oldest_python_that_is_promised() -> None:
    assert SETTINGS["project"]["requires-python"] == f">={OLDEST}"
    refused = []
    for name, (version,) in pinned(OLDEST).items():
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        bounds = Requirement(f"python{installed.metadata.get('Requires-Python') or ''}").specifier
        if Version(installed.version) == version and Version(f"{OLDEST}.0") not in bounds:
            refused.append((name, str(bounds)))
    assert refused == []


def test_set_up_that_fails_shows_the_reason_that_pip_gives(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT / name, tmp_path)
    pip = tmp_path / ".venv" / "bin" / "python"
    pip.parent.mkdir(parents=True)
    pip.write_text("#!/bin/sh\necho 'The conflict is caused by: this and that'\nexit 1\n", encoding="utf-8")
    pip.chmod(0o755)
    (tmp_path / ".venv" / "created").touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", "install"], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "The conflict is caused by: this and that" in done.stderr
    assert not (tmp_path / ".venv" / "installed").exists()


def modules() -> set[str]:
    """Return the modules and packages at the top of ``gradreach``."""
    source = PROJECT / "src" / "gradreach"
    found = {path.stem for path in source.glob("*.py")} | {path.parent.name for path in source.glob("*/__init__.py")}
    return found - {"__init__", "__main__"}


def test_the_page_of_the_architecture_names_every_module_and_no_other() -> None:
    rows = re.findall(r"^\|[^|]*\|\s*`([a-z_]+)`\s*\|", read("docs/architecture.md"), re.MULTILINE)
    assert sorted(rows) == sorted(modules())


def test_the_page_of_the_architecture_has_the_floors_in_the_order_of_the_contract() -> None:
    layers = SETTINGS["tool"]["importlinter"]["contracts"][0]["layers"]
    floor = {name.strip(): number for number, layer in enumerate(layers) for name in layer.split("|")}
    rows = re.findall(r"^\|[^|]*\|\s*`([a-z_]+)`\s*\|", read("docs/architecture.md"), re.MULTILINE)
    assert [floor[name] for name in rows] == sorted(floor[name] for name in rows)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_what_a_page_points_to_in_code_is_there(page: str) -> None:
    """Links: tests/test_links.py."""
    named = re.findall(r"`((?:src|tests|conf|docs|experiments)/[\w/.]+)`", read(page))
    assert named
    assert [name for name in named if not (PROJECT / name).exists()] == []


def test_the_workflow_runs_what_a_change_must_pass_on_the_oldest_python() -> None:
    job = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]
    assert {"run": ".ci/run"} in job["steps"]
    assert OLDEST in job["strategy"]["matrix"]["python"]


def test_the_fast_tests_are_one_case_of_each_function_that_is_not_listed() -> None:
    listed = [line for line in read("tests/leisurely.txt").splitlines() if not line.startswith("#")]
    missing = [
        line for line in listed if f"def {line.rpartition('::')[2]}(" not in read(f"tests/{line.split('::')[0]}")
    ]
    assert missing == []
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--fast", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/models"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    functions = [line.partition("[")[0].removeprefix("tests/") for line in collected.splitlines() if "::" in line]
    assert functions
    assert len(functions) == len(set(functions))
    assert not set(functions) & set(listed)
