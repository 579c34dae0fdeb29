"""Prepared data: computed once, cached, and never read unless complete."""

import hashlib
import json
import math
import os
import stat
import struct
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, TypeVar

import filelock
import numpy as np

from gradreach.errors import ConfigError, advise
from gradreach.system.files import digest, write_atomically

FACTS = "facts"
NUMBERS_AND_TEXT = "biufU"
"""The types of arrays that are kept, as numpy abbreviates them."""

Arrays = dict[str, np.ndarray]
Read = TypeVar("Read")
Item = TypeVar("Item")


def cache_folder() -> Path:
    """Return the folder of prepared data: ``$GRADREACH_CACHE_DIR``, otherwise the user's own cache folder."""
    if own := os.environ.get("GRADREACH_CACHE_DIR"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradreach"


class Prepared:
    """Arrays and facts that follow from files and settings, computed on first use.

    They are kept in one npz file (no pickled objects) that is named by a hash of all that shaped it: the task, its
    settings, the content of its files, our code and the packages it uses. It is written atomically, and rebuilt if it
    is damaged. It is mapped into memory, so that it may be larger than that and all processes of a machine share it.
    Where the cache cannot be written, nothing is kept, and a note says so.

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
        self.make, self.path = make, cache_folder() / f"{task}-{key}.npz"
        self._arrays: Arrays | None = None
        facts = _intact(_facts, self.path)
        self.facts: dict[str, Any] = self._make_and_keep() if facts is None else facts

    def arrays(self) -> Arrays:
        """Return the arrays; changes to them do not reach the file."""
        if self._arrays is None:
            self._arrays = _intact(map_arrays, self.path)
        if self._arrays is None:
            self._make_and_keep()
        assert self._arrays is not None
        return self._arrays

    def _make_and_keep(self) -> dict[str, Any]:
        with _one_at_a_time(self.path):
            self._arrays = _intact(map_arrays, self.path)
            if self._arrays is not None:
                return _facts(self.path)  # another process has made it meanwhile
            self._arrays, facts = self.make()
            arrays, header = self._arrays, json.dumps([facts, _kinds(self._arrays)])
            try:
                write_atomically(self.path, lambda file: np.savez(file, **{FACTS: header}, **arrays))  # type: ignore[arg-type]
                self._arrays = map_arrays(self.path)
            except OSError as error:  # a cache is a convenience
                advise(
                    f"{self.path.parent}: {error.strerror or error}: prepared data are not cached, but rebuilt each "
                    f"time; make room or set GRADREACH_CACHE_DIR"
                )
        return facts


def map_arrays(path: Path) -> Arrays:
    """Map the arrays of an uncompressed npz file into memory: what is not looked at takes none.

    Raises:
        Exception: it is absent or damaged, or not of ours: zipfile and numpy answer damage in many ways.
    """
    _checked(path)
    arrays: Arrays = {}
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            dtype, shape, order, start = _place(file, member)
            arrays[member.filename.removesuffix(".npy")] = np.memmap(path, dtype, "c", start, shape, order)
    _, kinds = json.loads(arrays.pop(FACTS).item())
    if _kinds(arrays) != kinds:
        raise ValueError(f"{path}: holds {_kinds(arrays)}, not {kinds}")
    return arrays


def _place(file: IO[bytes], member: zipfile.ZipInfo) -> tuple[np.dtype[Any], tuple[int, ...], Any, int]:
    """Return type, shape, order and place of an array in an npz file, all of which fit the room that it has."""
    file.seek(member.header_offset + 26)  # a local header ends with two lengths, and what is as long as they say
    file.seek(sum(struct.unpack("<HH", file.read(4))), os.SEEK_CUR)
    begin = file.tell()
    header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, by_column, dtype = header[np.lib.format.read_magic(file)[0]](file)
    if dtype.kind not in NUMBERS_AND_TEXT:  # an object would be a memory address, which is meaningless
        raise ValueError(f"{member.filename}: must not hold {dtype}")
    if file.tell() - begin + math.prod(shape) * dtype.itemsize != member.file_size:
        raise ValueError(f"{member.filename}: {shape} of {dtype} do not take {member.file_size} bytes")
    return dtype, shape, "F" if by_column else "C", file.tell()


def _checked(path: Path) -> None:
    """Raise an exception if a file is incomplete or not ours."""
    state = path.stat()
    if not stat.S_ISREG(state.st_mode):  # a pipe would be waited for
        raise ValueError(f"{path}: not a file")
    _check(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _check(path: Path, size: int, changed: int) -> None:
    """Compare all checksums; once in a process while size and time of change stay."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError(f"{path}: is compressed, unlike ours")  # and may be any size unpacked
        if archive.testzip() is not None:
            raise zipfile.BadZipFile(path)


def _facts(path: Path) -> dict[str, Any]:
    _checked(path)
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        facts = json.loads(str(file[FACTS]))[0]
    if not isinstance(facts, dict):
        raise ValueError(f"{path}: has no facts")
    return facts


def _kinds(arrays: Arrays) -> dict[str, Any]:
    """Return type and shape of each array, as JSON has them."""
    return {name: [one.dtype.str, list(one.shape)] for name, one in sorted(arrays.items())}


def _intact(part: Callable[[Path], Read], path: Path) -> Read | None:
    """Return a part of a file; None where the file is absent or damaged."""
    try:
        return part(path)
    except Exception:
        return None


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Keep other processes from computing the same; without locks they may."""
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
    """Return the SHA-256 of a file's content; read once in a process while size and time of change stay.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # a pipe would be waited for
            raise ConfigError(path, allowed="this is not a file", hint="delete or replace it")
        return _file_hash(path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        unreadable = f"cannot be read ({error.strerror or error})"
        raise ConfigError(path, allowed=unreadable, hint="delete or replace it") from None


@lru_cache
def _code() -> list[str]:
    """Return hashes of the code of all tasks, and the versions of the packages that make data for them."""
    own = [file_hash(path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    return own + [version(package) for package in ("mnist1d", "numpy", "torch", "torchtext")]


@lru_cache(maxsize=256)
def _file_hash(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return digest(file)


def progress(items: Iterable[Item], what: str, total: int | None = None, patience: float = 2.0) -> Iterator[Item]:
    """Pass items on; a terminal shows progress, elsewhere what takes longer than this many seconds is said once."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        yield from track(items, description=what, total=total, console=console, transient=True)
        return
    start, silent = time.monotonic(), True
    for item in items:
        if silent and time.monotonic() - start >= patience:
            console.print(f"gradreach: {what}, only once: the result is cached in {cache_folder()}", soft_wrap=True)
            silent = False
        yield item
