"""``gradreach init``: creates the files that a folder needs for runs."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gradreach.errors import ConfigError

TEMPLATE = Path(__file__).parent / "template"
CHECKOUT = Path(__file__).resolve().parents[2]
IGNORED = """# raw runs and W&B's files; the tables made from them are small
results/runs/
results/wandb/
results/published/runs/
/data/
"""


def lay_out(folder: Path) -> list[str]:
    """Create ``run.py``, ``conf``, ``experiments/example.py`` and its sweep in a folder, without overwriting anything.

    Returns:
        The names of the created files and folders.

    Raises:
        ConfigError: one of them already exists, or the folder cannot be written.
    """
    taken = next((name for name in ("run.py", "conf", "experiments") if (folder / name).exists()), None)
    if taken is not None:
        raise ConfigError(folder / taken, allowed="already exists", hint="name an empty folder: gradreach init FOLDER")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".init-", dir=folder) as draft:
            names = list(_write(Path(draft)))
            for name in names:
                if not (folder / name).exists():  # a .gitignore is the folder's own
                    (Path(draft) / name).rename(folder / name)
    except OSError as error:
        raise ConfigError(folder, allowed=f"cannot be written ({error.strerror})", hint="name another folder") from None
    return names


def _write(draft: Path) -> Iterator[str]:
    installed = (TEMPLATE / "conf").is_dir()
    origin = TEMPLATE if installed else CHECKOUT  # a wheel holds both; a checkout has them where they are worked on
    shutil.copy(origin / "run.py", draft / "run.py")
    yield "run.py"
    shutil.copytree(origin / "conf", draft / "conf", ignore=shutil.ignore_patterns("experiment", "__pycache__"))
    (draft / "conf" / "experiment").mkdir()
    shutil.copy(TEMPLATE / "example.yaml", draft / "conf" / "experiment" / "example.yaml")
    yield "conf"
    (draft / "experiments").mkdir()
    shutil.copy(TEMPLATE / "example.py", draft / "experiments" / "example.py")
    yield "experiments"
    (draft / ".gitignore").write_text(IGNORED, encoding="utf-8")
    yield ".gitignore"
