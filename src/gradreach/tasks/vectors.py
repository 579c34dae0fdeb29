"""Pretrained word vectors: torchtext's ``Vectors``, given only checked files."""

import contextlib
import io
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from gradreach.errors import ConfigError
from gradreach.tasks.cache import progress
from gradreach.tasks.download import fetch
from gradreach.tasks.reading import as_number, lines, locate
from gradreach.tasks.tokens import torchtext

VECTOR_STD = 0.1
"""Of vectors that are not pretrained. Most words of a text vocabulary are rare: vectors drawn from torch's N(0, 1) stay
noise. (Kim, 2014, draws from U(±0.25), whose standard deviation is 0.14.)"""

SETTING = "task.vectors"
SMALLEST = 3
"""The smallest vector size that torchtext can distinguish from a heading."""
GLOVE = re.compile(r"glove\.(6B|42B|840B|twitter\.27B)\.\d+d")
DIGESTS = {
    "6B": "sha256:617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    "42B": "sha256:03d5d7fa28e58762ace4b85fb71fe86a345ef0b5ff39f5390c14869da0fc1970",
    "840B": "sha256:c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f",
    "twitter.27B": "sha256:792af52f795d1a32c9842a3240f5f3fe5e941a8ff6df5eb0f9d668092ebc019c",
}
"""Of the archives at the addresses that torchtext 0.6.0 knows, as its later versions check them."""


def locate_vectors(vectors: str, data_dir: Path) -> Path:
    """Return the file that holds vectors: of a path, or the archive of a name, downloaded where it is absent.

    Raises:
        ConfigError: there is neither.
    """
    known = torchtext().vocab
    if (name := GLOVE.fullmatch(vectors)) and vectors in known.pretrained_aliases:
        corpus = name[1]
        url = known.GloVe.url[corpus]
        return fetch(data_dir / "vectors" / url.rpartition("/")[2], [url], DIGESTS[corpus])
    try:
        return locate(SETTING, vectors, data_dir)
    except ConfigError as error:
        names = ", ".join(sorted(name for name in known.pretrained_aliases if GLOVE.fullmatch(name)))
        raise replace(error, hint=f"{error.hint}, or a name: {names}") from None


def read_vectors(vectors: str, path: Path, words: Sequence[str], std: float, seed: int) -> tuple[Tensor, float]:
    """Read the vectors of some words; a word that has none is drawn from N(0, std²).

    Args:
        vectors: the setting: a path, or the name of a member of an archive.
        path: where they are. A line is a word and its numbers, with single spaces between; a heading is passed over.
        words: by token id.
        std: spread of what the file lacks.
        seed: draws it.

    Returns:
        ``(words, size)``, and the share of words that the file holds.

    Raises:
        ConfigError: the file cannot be used, or holds none of the words.
    """
    with TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        with wanted.open("wb") as file:
            file.writelines(_lines_of(vectors, path, set(words)))
        if not wanted.stat().st_size:
            raise ConfigError(
                SETTING,
                vectors,
                f"has vectors for none of the {len(words):,} training tokens",
                "choose vectors for this language and tokenization",
            )
        with _undisturbed():
            found = torchtext().vocab.Vectors(str(wanted), cache=folder)
    start = std * torch.randn(len(words), found.dim, generator=torch.Generator().manual_seed(seed))
    held = [(number, found.stoi[word]) for number, word in enumerate(words) if word in found.stoi]
    numbers, places = torch.tensor(held).T
    start[numbers] = found.vectors[places]
    return start, len(held) / len(words)


def _lines_of(vectors: str, path: Path, words: set[str]) -> Iterator[bytes]:
    """Yield the lines of some words, each checked."""
    size = 0
    with lines(path, "utf-8", member=f"{vectors}.txt", strict=False) as source:
        for number, line in enumerate(progress(source, f"reading word vectors from {path.name}"), start=1):
            word, *values = line.rstrip(" \r\n").split(" ")
            if number == 1 and len(values) == 1:
                continue
            if len(values) < SMALLEST or len(values) != (size or len(values)):
                before = f", those before {size}" if size else ""
                raise ConfigError(
                    path,
                    allowed=f"line {number} has {len(values)} numbers{before}",
                    hint=f"each line must be a word and {SMALLEST} or more numbers, separated by single spaces",
                )
            size = len(values)
            if word in words:
                if not all(map(_is_number, values)):
                    wrong = f"line {number}: the vector of '{word}' has a value that is not a finite number"
                    raise ConfigError(path, allowed=wrong)
                yield " ".join([word, *values, "\n"]).encode("utf-8", "surrogateescape")


def _is_number(text: str) -> bool:
    try:
        return isfinite(as_number(text))
    except ValueError:
        return False


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep torchtext's reader from printing, and from leaving the whole process without checks of certificates."""
    checked = ssl._create_default_https_context
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        ssl._create_default_https_context = checked
