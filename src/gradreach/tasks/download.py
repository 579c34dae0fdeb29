"""Downloaded files: verified before use, and never unpacked by the names in an archive."""

import gzip
import hashlib
import io
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPException
from pathlib import Path

from gradreach.errors import ConfigError, first_line
from gradreach.system.files import write_atomically

TIMEOUT = 60
BLOCK = 1 << 20
LARGEST = 2**28
"""Bytes of a file that is read whole, packed or not: all published ones are smaller."""


_OFFLINE = ContextVar("offline", default=False)


@contextmanager
def without_download() -> Iterator[None]:
    """Forbid downloads within, for commands that only look; then missing data are an error."""
    token = _OFFLINE.set(True)
    try:
        yield
    finally:
        _OFFLINE.reset(token)


def fetch(
    target: Path,
    urls: Sequence[str],
    digest: str,
    *,
    unpack: Callable[[bytes], bytes] = bytes,
    of: Callable[[bytes], bytes] = bytes,
    get: Callable[[str], bytes] | None = None,
) -> Path:
    """Return a file, downloaded if it is missing; an existing file is ``verified`` when it is read.

    Args:
        target: its path.
        urls: its addresses, tried in order.
        digest: ``md5:...`` or ``sha256:...``.
        unpack: makes the file's content of the downloaded bytes.
        of: makes of the file's content what the digest is of.
        get: ``download``, or a replacement.

    Raises:
        ConfigError: no address gave a file with this digest, or downloads are forbidden.
    """
    if target.exists():
        return target
    if _OFFLINE.get():
        raise ConfigError(
            target, allowed="the data are missing", hint="start a run, which downloads them, or put them there"
        )
    reasons = []
    for url in urls:
        try:
            content = unpack((get or download)(url))
            found = hash_of(of(content), digest)
        except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, HTTPException) as error:
            reasons.append(f"{url}: {first_line(error)}")
            continue
        if found != digest:
            reasons.append(f"{url}: its content has {found}, not {digest}")
            continue
        try:
            write_atomically(target, lambda file, content=content: file.write(content))  # type: ignore[misc]
        except OSError as error:
            refused = f"{target} cannot be written ({error})"
            raise ConfigError("data_dir", allowed=refused, hint="choose another data_dir") from None
        return target
    raise ConfigError(
        target,
        allowed=f"there is no such file, and it could not be downloaded ({'; '.join(reasons)})",
        hint=f"put it there, or set data_dir to the folder with {target.parent.name}/{target.name}",
    )


def gunzip(content: bytes) -> bytes:
    """Unpack gzip, this much at most: a small file may be made to unpack to more than there is memory."""
    with gzip.open(io.BytesIO(content)) as file:
        unpacked = file.read(LARGEST + 1)
    if len(unpacked) > LARGEST:
        raise OSError(f"unpacks to more than {LARGEST:,} bytes")
    return unpacked


def hash_of(content: bytes, digest: str) -> str:
    """Return the digest of a content, of the same kind as another."""
    kind = digest.partition(":")[0]
    return f"{kind}:{hashlib.new(kind, content, usedforsecurity=False).hexdigest()}"


def verified(path: Path, digest: str, of: Callable[[bytes], bytes] = bytes) -> bytes:
    """Return a file's content if it is the expected one.

    Args:
        path: where it stands.
        digest: ``md5:...`` or ``sha256:...``.
        of: makes of the file's content what is returned, and what the digest is of.

    Raises:
        ConfigError: it is not, or cannot be read.
    """
    try:
        if not path.is_file():
            raise OSError("not a file")  # a pipe would be waited for
        if path.stat().st_size > LARGEST:
            raise OSError(f"larger than {LARGEST:,} bytes")
        content = of(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(path, allowed=f"cannot be read ({error})", hint="delete or replace it") from None
    if hash_of(content, digest) != digest:
        different = f"this file is damaged or not the expected one ({digest})"
        raise ConfigError(path, allowed=different, hint="delete or replace it")
    return content


def download(url: str) -> bytes:
    """Return the content of an address; a bar shows the progress."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"gradreach: downloading {url}", soft_wrap=True)
    request = urllib.request.Request(url, headers={"User-Agent": "gradreach"})
    quiet = not console.is_terminal
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, Progress(console=console, disable=quiet) as bar:
        size = int(answer.headers.get("Content-Length") or 0)
        task, content = bar.add_task(url, total=size or None), io.BytesIO()
        while block := answer.read(BLOCK):
            content.write(block)
            bar.update(task, advance=len(block))
    if size and content.tell() != size:
        raise ValueError(f"the connection broke after {content.tell():,} of {size:,} bytes")
    return content.getvalue()
