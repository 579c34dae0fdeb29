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
    """Return the git revision of the working folder, with ``+`` where it has changes; None without git."""
    try:
        described = ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(described, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


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
