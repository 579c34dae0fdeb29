"""Where a result comes from: code, packages, machine."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    "gradreach",
    "torch",
    "pytorch-lightning",
    "numpy",
    "pandas",
    "scikit-learn",
    "hydra-core",
    "wandb",
)


@cache
def revision() -> str | None:
    """Return the git revision of the working folder, with ``+`` where its code has changes; None without git.

    What lies under ``results/`` gradreach writes itself: a page that was made anew changes no run.
    """
    try:
        head = _git("describe", "--always", "--abbrev=12", "--exclude=*")
        changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)results")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + "+" * bool(changes)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result rests on."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


@cache
def host() -> dict[str, str | int | None]:
    """Return what machine this is."""
    return {
        "name": platform.node(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu(),
    }


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
