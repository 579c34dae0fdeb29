"""Files that are whole or absent, whenever the process is killed."""

import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; what stands there is synced to the disk and then gets its own name.

    Args:
        path: where the file shall stand; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{platform.node()}.{os.getpid()}.tmp"
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
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


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, which may be larger than memory."""
    found = hashlib.sha256()
    with path.open("rb") as file:
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
    """Remove what processes that were killed while they wrote this file have left on this machine."""
    for stale in path.parent.glob(f".{path.name}.{platform.node()}.*.tmp"):
        if not alive(int(stale.name.split(".")[-2])):
            stale.unlink(missing_ok=True)


def alive(process: int) -> bool:
    """Return whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
