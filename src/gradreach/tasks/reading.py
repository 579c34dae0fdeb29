"""Files of the user's own, line by line: what is wrong with them is said with file and line."""

import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

from gradreach.errors import ConfigError, advise

PACKED = (".gz", ".xz")
PATHS = "give an absolute path, or one below data_dir"


def locate(setting: str, file: str, data_dir: Path) -> Path:
    """Return the path of a file named by a setting: absolute, or below ``data_dir``.

    Raises:
        ConfigError: there is no such file.
    """
    if file == "???":
        raise ConfigError(setting, allowed="say which file", hint=PATHS)
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
        raise ConfigError(setting, file, f"you are not allowed to read {path.absolute()}", "change its permissions")
    return path


def suffix_of(path: Path) -> str:
    """Return what kind of file it is, without the packing: ``.csv`` of ``a.csv.xz``."""
    suffixes = Path(path.name.lower()).suffixes
    return "".join(suffixes[-2:-1] if suffixes and suffixes[-1] in PACKED else suffixes[-1:])


def advise_of_overlap(what: str, also_in_training: Mapping[str, int]) -> None:
    """Say once how many examples of the user's own validation or test are learned from, if any are."""
    found = ", ".join(f"{count:,} of {split}" for split, count in also_in_training.items() if count)
    note = f"{what} that also stand in training: {found}; they count as if they were new: take them out of one file"
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
    """Give the lines of a file, packed by gzip or xz or not, without a byte order mark; close it at the end.

    Args:
        path: where it is.
        encoding: of its text.
        remedy: what to do where that is wrong.
        member: of a zip archive, what is read in it.
        strict: whether bytes that cannot be decoded are refused; else they become lone surrogates.

    Raises:
        ConfigError: it cannot be unpacked, or a line cannot be decoded.
    """
    with closing(_lines(path, encoding, remedy, member, strict)) as source:
        yield source


def _lines(path: Path, encoding: str, remedy: str, member: str | None, strict: bool) -> Generator[str, None, None]:
    number = 0
    try:
        with _open(path, encoding, member) as file:
            for number, line in enumerate(file, start=1):
                broken = None
                if strict and not line.isascii():
                    broken = next((c for c in line if "\udc80" <= c <= "\udcff"), None)
                if broken is not None:
                    wrong = f"line {number} is not {encoding} (byte 0x{ord(broken) - 0xDC00:02x})"
                    raise ConfigError(path, allowed=wrong, hint=remedy)
                yield line
    except UnicodeError as error:
        raise ConfigError(path, allowed=f"not {encoding} after line {number} ({error})", hint=remedy) from None
    except (OSError, EOFError, KeyError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        broken = f"cannot be read after line {number} ({error})"
        raise ConfigError(path, allowed=broken, hint="is it whole?") from None


def _open(path: Path, encoding: str, member: str | None) -> IO[str]:
    """Open text; bytes that cannot be decoded become lone surrogates, so that their line is known."""
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    except (LookupError, ValueError):  # the latter: a zero in it
        unknown = "there is no such encoding"
        raise ConfigError("task.encoding", encoding, unknown, "try utf-8, latin-1 or gb18030") from None
    if member is not None and path.suffix.lower() == ".zip":
        raw: Any = zipfile.Path(path, member).open("rb")
    else:
        raw = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix.lower(), open)(path, "rb")  # type: ignore[operator]
    return io.TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="")
