"""Reads the user's own files line by line: errors name file and line."""

import codecs
import gzip
import io
import lzma
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from gradreach.errors import ConfigError, advise, first_line

PACKED = (".gz", ".xz")
UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,  # of zip: packed in a way that is not known
    RuntimeError,  # of zip: encrypted
    lzma.LZMAError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""Exceptions of damaged files."""
LONGEST_LINE = 20_000_000
"""The most characters per line: a longer line is not text by a person, and would fill the memory."""
SHORT_LINE = 20
"""Characters that a shorter line counts as: it takes as long to read."""
MOST_UNPACKED = 100_000_000
MOST_PACKING = 50
"""A file that unpacks to more than both, characters and times its size, was made to fill a memory."""
PATHS = "give an absolute path, or one relative to data_dir"


def locate(setting: str, file: str, data_dir: Path) -> Path:
    """Return the path of a file named by a setting: absolute, or below ``data_dir``.

    Raises:
        ConfigError: there is no such file.
    """
    if file == "???":
        raise ConfigError(setting, allowed="name a file", hint=PATHS)
    try:
        path = data_dir / Path(file).expanduser()
        path.stat()
    except FileNotFoundError:
        pass  # said below
    except (OSError, ValueError, RuntimeError) as error:  # too long a name, a zero in it, no such user
        why = getattr(error, "strerror", None) or error
        raise ConfigError(setting, file, str(why), PATHS) from None
    if path.is_dir():
        raise ConfigError(setting, file, f"{path.resolve()} is a folder", "name a file in it")
    if not path.is_file():
        raise ConfigError(setting, file, f"there is no file {path.absolute()}", PATHS)
    if not os.access(path, os.R_OK):
        raise ConfigError(setting, file, f"you have no permission to read {path.absolute()}", "change its permissions")
    return path


def as_number(word: str) -> float:
    """Parse a number in a file; Python's 1_000 is not accepted.

    Raises:
        ValueError: it is not a number.
    """
    if "_" in word or not word.isascii():
        raise ValueError(word)
    return float(word)


def suffix_of(path: Path) -> str:
    """Return what kind of file it is, without the packing: ``.csv`` of ``a.csv.xz``."""
    suffixes = Path(path.name.lower()).suffixes
    return "".join(suffixes[-2:-1] if suffixes and suffixes[-1] in PACKED else suffixes[-1:])


def advise_of_overlap(what: str, also_in_training: Mapping[str, int]) -> None:
    """Warn once how many examples of the user's own validation or test are also in training, if any."""
    found = ", ".join(f"{count:,} of {split}" for split, count in also_in_training.items() if count)
    note = f"{what} that are also in training: {found}; they count as if they were new: remove them from one file"
    advise(note if found else None)


@contextmanager
def lines(
    path: Path,
    encoding: str,
    *,
    remedy: str = "replace it, or save it in this encoding",
    member: str | None = None,
    strict: bool = True,
) -> Iterator[Iterator[str]]:
    """Yield the lines of a file, plain or compressed by gzip or xz, without a byte order mark; close it at the end.

    Args:
        path: where it is.
        encoding: of its text.
        remedy: what to do if that is wrong.
        member: of a zip archive, what is read in it.
        strict: whether bytes that cannot be decoded are rejected; otherwise they become lone surrogates.

    Raises:
        ConfigError: it cannot be unpacked, or a line cannot be decoded.
    """
    with closing(_lines(path, encoding, remedy, member, strict)) as source:
        yield source


def _lines(path: Path, encoding: str, remedy: str, member: str | None, strict: bool) -> Generator[str, None, None]:
    number = read = 0
    packed = path.suffix.lower() in (*PACKED, ".zip")
    try:
        most = max(MOST_UNPACKED, MOST_PACKING * path.stat().st_size) if packed else math.inf
        with _open(path, encoding, member) as file:
            for number, line in enumerate(iter(partial(file.readline, LONGEST_LINE), ""), start=1):
                read += max(len(line), SHORT_LINE)
                _check_line(path, number, line, encoding if strict else None, remedy)
                if read > most:
                    larger = f"unpacks to more than {MOST_PACKING} times its size"
                    raise ConfigError(path, allowed=larger, hint="unpack it yourself if that is intended")
                yield line
    except UnicodeError as error:
        raise ConfigError(path, allowed=f"not {encoding} after line {number} ({error})", hint=remedy) from None
    except UNREADABLE as error:
        broken = f"cannot be read after line {number} ({first_line(error)})"
        raise ConfigError(path, allowed=broken, hint="is it complete?") from None


def _check_line(path: Path, number: int, line: str, encoding: str | None, remedy: str) -> None:
    """Check that a line is text; without an encoding it may have bytes that could not be decoded."""
    if len(line) >= LONGEST_LINE:
        long = f"line {number} is longer than {LONGEST_LINE:,} characters"
        raise ConfigError(path, allowed=long, hint="is this a text file?")
    if "\0" in line:
        hint = "is this a text file?" + (" if it is UTF-16, set task.encoding=utf-16" if "encoding" in remedy else "")
        raise ConfigError(path, allowed=f"line {number} holds a zero byte", hint=hint)
    if encoding is not None and not line.isascii():
        broken = next((c for c in line if "\udc80" <= c <= "\udcff"), None)
        if broken is not None:
            wrong = f"line {number} is not {encoding} (byte 0x{ord(broken) - 0xDC00:02x})"
            raise ConfigError(path, allowed=wrong, hint=remedy)


def _open(path: Path, encoding: str, member: str | None) -> IO[str]:
    """Open text; bytes that cannot be decoded become lone surrogates, so that their line is known."""
    try:
        encoding = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    except (LookupError, ValueError):  # the latter: a zero in it
        unknown = "there is no such encoding"
        raise ConfigError("task.encoding", encoding, unknown, "try utf-8, latin-1 or gb18030") from None
    if member is not None and path.suffix.lower() == ".zip":
        raw: Any = zipfile.Path(path, member).open("rb")
    else:
        raw = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix.lower(), open)(path, "rb")  # type: ignore[operator]
    return io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="")
