"""The provenance of a result: code, packages, machine."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
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
    """Return the git commit of the working folder, with ``+`` for uncommitted changes of code; None without git.

    What lies under ``results/`` gradreach writes itself: a rebuilt page changes no run.
    """
    try:
        head = _git("describe", "--always", "--abbrev=12", "--exclude=*")
        changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)results")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + "+" * bool(changes)


CODE = ("src", "conf", "experiments", "requirements.lock")
"""The parts of a project's folder that are its code, beside its top-level modules (``run.py``)."""
NO_CODE = "conf/published/"
"""Files that do not affect runs beyond their configuration: papers, whose notes are written after their runs."""
PACKAGE = Path(__file__).resolve().parents[1]


def code_digest() -> str:
    """Return a digest of the code that executes runs: 12 hexadecimal digits.

    It covers the paths and the contents of all files of this package, and of the project's ``src``, ``conf``,
    ``experiments``, ``requirements.lock`` and ``run.py``. What lies elsewhere (results, docs, tests) or in
    ``conf/published`` does not change it, nor do caches, permissions, or the line endings of a checkout: two machines
    with the same code agree on it.
    """
    return _code_digest(project_folder())


def project_folder() -> Path:
    """Return the folder with ``run.py`` and ``conf`` that runs are done from: this one, else the package's checkout.

    Where neither is one, this folder is returned: of the code there is the package alone.
    """
    here, checkout = Path.cwd(), PACKAGE.parents[1]
    return next((folder for folder in (here, checkout) if _is_project(folder)), here)


def _is_project(folder: Path) -> bool:
    return (folder / "run.py").is_file() and (folder / "conf" / "config.yaml").is_file()


@cache
def _code_digest(project: Path) -> str:
    files: dict[str, Path] = {}
    if _is_project(project):
        own = [*project.glob("*.py"), *(file for name in CODE for file in _files(project / name))]
        files = {name: file for file in own if not (name := file.relative_to(project).as_posix()).startswith(NO_CODE)}
    package = (*_files(PACKAGE), *_files(PACKAGE.parent / "hydra_plugins" / "gradreach.py"))
    files |= {f"src/{file.relative_to(PACKAGE.parent).as_posix()}": file for file in package}
    found = hashlib.sha256()
    for name in sorted(files):
        content = files[name].read_bytes().replace(b"\r\n", b"\n")
        found.update(os.fsencode(name) + f"\0{len(content)}\0".encode() + content)
    return found.hexdigest()[:12]


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or all files in a folder, without hidden files and those that tools create."""
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name != "__pycache__" and not name.endswith(".egg-info")]
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(folder) / name for name in names if not name.startswith(".") and not name.endswith(".pyc"))
        yield from (file for file in files if file.is_file())  # a link may be broken


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages behind a result."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


@cache
def host() -> dict[str, str | int | None]:
    """Return a description of this machine."""
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
