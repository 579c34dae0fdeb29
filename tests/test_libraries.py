"""What we call of libraries beyond their public names is there, and has an upper bound: the test that fails first."""

import inspect
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement
from wandb.cli.cli import cli
from wandb.sdk.wandb_settings import Settings
from wandb_workspaces.workspaces import Workspace, internal

from project import PROJECT

PROMISED = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ALL = [*PROMISED["dependencies"], *PROMISED["optional-dependencies"]["bench"]]
PYTHONS = ("3.11", "3.14")
"""The oldest and the newest that are promised."""
NO_WHEEL = {"antlr4-python3-runtime"}
"""What has no wheel, and is pure Python."""


@pytest.mark.parametrize("name", ["hydra-core", "pandas", "torchtext", "wandb", "wandb-workspaces"])
def test_a_library_whose_private_names_or_types_we_need_has_an_upper_bound(name: str) -> None:
    """Those of Hydra: tests/test_compose.py."""
    (needed,) = (one for one in map(Requirement, ALL) if one.name == name)
    assert any(bound.operator in ("<", "==") for bound in needed.specifier)


def test_wandb_syncs_as_we_ask_it_to() -> None:
    options = {text for parameter in cli.commands["sync"].params for text in parameter.opts}
    assert {"--include-online", "-n"} <= options
    assert isinstance(inspect.getattr_static(Settings, "log_internal"), property)


def test_a_workspace_can_be_found_again_and_renewed() -> None:
    assert list(inspect.signature(internal.View.from_name).parameters) == ["entity", "project", "view_name"]
    view: Any = Workspace(entity="e", project="p")
    view._internal_name = "nw-gradreachx-v"
    assert view._to_model().name == "nw-gradreachx-v"


def test_torch_takes_the_norms_of_a_list_at_once() -> None:
    norms = torch._foreach_norm([torch.tensor([3.0, 4.0]), torch.tensor([2.0])], 2, torch.float64)
    assert [norm.item() for norm in norms] == [5.0, 2.0]


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("platform", ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"])
def test_the_lock_can_be_installed(python: str, platform: str, tmp_path: Path) -> None:
    """As set-up does, but without downloading more than what packages say of themselves."""
    uv = PROJECT / ".venv" / "bin" / "uv"
    found = str(uv) if uv.exists() else shutil.which("uv")
    if found is None:
        pytest.skip("uv is absent: make test-slow installs it")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT / name, tmp_path)
    command = [found, "pip", "compile", "--quiet", "pyproject.toml", "--all-extras", "--only-binary", ":all:"]
    command += ["--constraint", "requirements.lock", "--python-version", python, "--python-platform", platform]
    command += [word for name in NO_WHEEL for word in ("--no-binary", name)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "error sending request" in done.stderr.lower() or "dns error" in done.stderr.lower():
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
