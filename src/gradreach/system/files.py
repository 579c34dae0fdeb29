"""Atomic writes: files are complete or absent, whenever the process is killed."""

import errno
import hashlib
import os
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; the file is synced to disk and then renamed.

    Args:
        path: where the file shall stand; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{platform.node()}.{os.getpid()}.tmp"
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)  # of which people know
        raise
    _sync(path.parent)
    _sweep(path)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a binary file whole, or leave what was there.

    Args:
        path: where the file shall stand; its folder is made.
        write: called with the open file.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        write(file)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes, atomically."""
    write_atomically(path, lambda file: file.write(data))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with plain newlines, atomically."""
    write_bytes(path, text.encode())


class Unreadable(ValueError):
    """The path is not a file, or the file is too large; the message continues after its name."""


def read_file(path: Path, most: int) -> bytes:
    """Read a file whole.

    Args:
        path: of the file.
        most: its largest size in bytes.

    Raises:
        Unreadable: it is a folder, a pipe or a device, which might never end, a link to itself, or larger.
        OSError: it cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unreadable("is a link to itself") from None
        raise
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("is a folder" if stat.S_ISDIR(found.st_mode) else "is not a file")
        if found.st_size > most:
            raise Unreadable(f"has {found.st_size:,} bytes, more than {most:,}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(found.st_size)
    finally:
        os.close(handle)


def lockable(folder: Path) -> None:
    """Check that files in a folder can be locked: a network file system may have no locks.

    Raises:
        OSError: they cannot.
    """
    if sys.platform == "win32":
        return
    import fcntl

    with tempfile.TemporaryFile(dir=folder) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def digest(file: BinaryIO) -> str:
    """Return the SHA-256 of what an open file has left, which may be larger than memory."""
    found = hashlib.sha256()
    while block := file.read(1 << 20):
        found.update(block)
    return found.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(path: Path) -> None:
    """Remove temporary files left by killed processes of this machine that were writing this file."""
    for stale in path.parent.glob(f".{path.name}.{platform.node()}.*.tmp"):
        if not alive(int(stale.name.split(".")[-2])):
            stale.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Return whether a process of this machine is running."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
