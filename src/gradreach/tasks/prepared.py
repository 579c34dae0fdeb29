"""Prepared data: made once, kept, and never read unless whole."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from gradreach.files import write_atomically

Arrays = dict[str, np.ndarray]


def cache_folder() -> Path:
    """Return where prepared data are kept: ``$GRADREACH_CACHE_DIR``, else the user's own cache folder."""
    if own := os.environ.get("GRADREACH_CACHE_DIR"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradreach"


class Prepared:
    """Arrays and facts that files and settings determine, made on first use.

    They are kept in one npz file (no pickled objects) that is named by a hash of all that shaped it: the task, its
    settings, the content of its files, our code. It is written whole or not at all, and made anew where it is
    damaged. Where the cache cannot be written, nothing is kept.

    - ``task``: its name, for the file's name and for what is told while it is made.
    - ``settings``: plain values.
    - ``files``: whose contents count.
    - ``make``: called without arguments where there is no such file; gives arrays and facts (plain values).
    """

    def __init__(
        self,
        task: str,
        settings: Mapping[str, Any],
        files: Sequence[Path],
        make: Callable[[], tuple[Arrays, dict[str, Any]]],
    ) -> None:
        content = [_code(), task, settings, [file_hash(path) for path in files]]
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
        self.task, self.make, self.path = task, make, cache_folder() / f"{task}-{key}.npz"
        self._made: tuple[Arrays, dict[str, Any]] | None = None
        facts = self._read(lambda file: json.loads(str(file["facts"])))
        self.facts: dict[str, Any] = self._make_and_keep() if facts is None else facts

    def arrays(self) -> Arrays:
        """Return the arrays."""
        if self._made is None:
            arrays = self._read(lambda file: {name: file[name] for name in file.files if name != "facts"})
            if arrays is not None:
                return arrays
            self._make_and_keep()
        assert self._made is not None
        return self._made[0]

    def _read(self, part: Callable[[Any], Any]) -> Any:
        try:
            with self.path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                return part(file)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def _make_and_keep(self) -> dict[str, Any]:
        with _one_at_a_time(self.path):
            facts = self._read(lambda file: json.loads(str(file["facts"])))
            if facts is not None and self._read(lambda file: [file[name] for name in file.files]) is not None:
                return facts  # another process has made it meanwhile
            arrays, facts = self._made = self.make()
            with suppress(OSError):  # a cache is a convenience
                write_atomically(self.path, lambda file: np.savez(file, facts=json.dumps(facts), **arrays))  # type: ignore[arg-type]
        return facts


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Keep other processes from making the same; where no lock can be made, they may."""
    lock = filelock.FileLock(path.with_suffix(".lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content; read once in a process while size and time of change stay."""
    state = path.stat()
    return _file_hash(path, state.st_size, state.st_mtime_ns)


@lru_cache
def _code() -> str:
    """Return a hash of the code of all tasks."""
    return hashlib.sha256(
        b"".join(file_hash(path).encode() for path in sorted(Path(__file__).parent.glob("*.py")))
    ).hexdigest()


@lru_cache(maxsize=256)
def _file_hash(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def progress(items: Any, what: str, total: int | None = None) -> Iterator[Any]:
    """Pass items on; on a terminal show how far they are, elsewhere say once what is being done."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        yield from track(items, description=what, total=total, console=console, transient=True)
    else:
        console.print(f"gradreach: {what}, once: the result is kept in {cache_folder()}", soft_wrap=True)
        yield from items
