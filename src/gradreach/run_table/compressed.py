"""Committed tables are CSV; once they are large they are compressed, so that a clone of the project stays small.

``runs.csv`` becomes ``runs.csv.bz2``, which pandas and R read by its name as they read the other. Of the formats that
both read, bzip2 packs most of these tables tighter than gzip, and several times as fast as xz.
"""

import bz2
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from gradreach.errors import ConfigError
from gradreach.system.files import digest, write_atomically

PACKED = ".bz2"
"""What the name of a compressed table ends in, behind that of the plain one."""
LARGE = 2**17
"""Tables of more bytes are compressed."""
BLOCK = 2**20


def stored_at(path: Path) -> Path:
    """Return the file that holds a table: ``path`` or, beside it, ``path`` with ``.bz2``.

    Where both stand, because a process was killed before it removed the other, it is the one written last.

    >>> stored_at(Path("results/quickstart/runs.csv")).name
    'runs.csv'
    """
    plain, packed = _forms(path)
    if not packed.exists() or (plain.exists() and plain.stat().st_mtime_ns > packed.stat().st_mtime_ns):
        return plain
    return packed


def tables_named(results_dir: Path, name: str) -> list[Path]:
    """Return the tables of this name in all folders of results, compressed or not, in the order of the folders."""
    folders = {path.parent for path in (*results_dir.glob(f"*/{name}"), *results_dir.glob(f"*/{name}{PACKED}"))}
    return [stored_at(folder / name) for folder in sorted(folders)]


@contextmanager
def open_table(path: Path, hint: str = "restore it") -> Iterator[BinaryIO]:
    """Open a table to read its CSV, compressed or not.

    Raises:
        ConfigError: it cannot be decompressed; ``hint`` says what to do.
    """
    packed = path.suffix == PACKED
    try:
        with cast(BinaryIO, bz2.open(path)) if packed else path.open("rb") as file:
            yield file
    except (OSError, EOFError) as error:
        if not packed or getattr(error, "errno", None) is not None:  # of the file, not of what it holds
            raise
        raise ConfigError(path, allowed=f"cannot be decompressed ({error})", hint=hint) from None


def read_table(path: Path, hint: str) -> bytes:
    """Read the CSV of a table, compressed or not; errors as of ``open_table``."""
    with open_table(path, hint) as file:
        return file.read()


def write_table(path: Path, text: str) -> None:
    """Write a table whole, compressed if it is large; its path may have ``.bz2`` or not: the size decides."""
    write_table_by(path, lambda file: file.write(text.encode()))


def write_table_by(path: Path, write: Callable[[BinaryIO], object]) -> Path:
    """Write a table as ``write_table`` does, by calling ``write`` with an open file; return where it stands."""
    plain, packed = _forms(path)
    plain.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=plain.parent) as table:
        write(table)
        large = table.tell() > LARGE
        table.seek(0)
        if large:
            write_atomically(packed, lambda file: _compress(table, file))
        else:
            write_atomically(plain, lambda file: shutil.copyfileobj(table, file, BLOCK))
    (plain if large else packed).unlink(missing_ok=True)
    return packed if large else plain


def table_digest(path: Path) -> str:
    """Return the SHA-256 of a table's CSV, compressed or not."""
    with open_table(path) as file:
        return digest(file)


def _forms(path: Path) -> tuple[Path, Path]:
    plain = path.with_suffix("") if path.suffix == PACKED else path
    return plain, plain.with_name(f"{plain.name}{PACKED}")


def _compress(table: BinaryIO, file: BinaryIO) -> None:
    with bz2.open(file, "wb") as compressed:
        shutil.copyfileobj(table, compressed, BLOCK)
