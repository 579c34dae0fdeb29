"""What all tests share: the real configurations, and the real command line."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from gradreach.config import RunConfig, RunEnvironment, parse, plain
from project import PROJECT

LEISURELY = PROJECT / "tests" / "leisurely.txt"
"""The test functions that one case of takes long; ``make test-fast`` leaves them out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know ``--fast``."""
    parser.addoption("--fast", action="store_true", help="one case of each test, and only of those that take no time")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--fast`` keep the first case of each test function that is not in the list."""
    if not config.getoption("--fast"):
        return
    seen = {line for line in LEISURELY.read_text(encoding="utf-8").splitlines() if not line.startswith("#")}
    kept, left_out = [], []
    for item in items:
        function = item.nodeid.partition("[")[0].removeprefix("tests/")
        (left_out if function in seen else kept).append(item)
        seen.add(function)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture(scope="session")
def composed() -> Callable[..., DictConfig]:
    """Compose ``conf/`` with overrides, as ``run.py`` does."""

    def call(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            return compose("config", overrides=list(overrides))

    return call


@pytest.fixture
def configured(composed: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., tuple[RunConfig, RunEnvironment]]:
    """Compose and check; results go to a temporary folder, nothing is tracked."""
    here = ["tracking=off", f"results_dir={tmp_path / 'results'}"]
    return lambda *overrides: parse(plain(composed(*here, *overrides)))


@pytest.fixture
def run_py(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Call ``python run.py`` in an empty folder."""

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "tests" / "broken"), "COLUMNS": "200"}
        environment.pop("HYDRA_FULL_ERROR", None)
        return subprocess.run(
            [sys.executable, str(PROJECT / "run.py"), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,  # against what hangs; a busy machine may be slow
            check=False,
        )

    call.folder = tmp_path  # type: ignore[attr-defined]
    return call
