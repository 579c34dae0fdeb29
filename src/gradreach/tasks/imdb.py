"""IMDB: sentiment of film reviews."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import PositiveInt

from gradreach.errors import ConfigError
from gradreach.tasks.cache import progress
from gradreach.tasks.download import fetch, verified
from gradreach.tasks.reading import lines
from gradreach.tasks.text import Texts, TextTask
from gradreach.tasks.tokens import torchtext


@dataclass(kw_only=True)
class IMDB(TextTask):
    """Say whether a film review is positive or negative.

    25,000 and 25,000 reviews in English, 234 words long in the mean, half of them positive; a tenth of the former
    is validation, 123 texts of the latter also stand in training (that is how the set is). Files below ``data_dir``:
    ``imdb/train.jsonl.xz`` and ``imdb/test.jsonl.xz`` (lines with ``text`` and ``label``), else
    ``imdb/aclImdb_v1.tar.gz`` as torchtext downloads it, which is read without being unpacked. Source: A. Maas et
    al., Learning word vectors for sentiment analysis, 2011.
    """

    min_frequency: PositiveInt = 2
    max_vocabulary: PositiveInt | None = 30_000

    name = "imdb"
    source = "A. Maas et al., Learning word vectors for sentiment analysis, ACL 2011"
    licence = "none stated"
    digest = "md5:7c2ac02c03563afcf9b574c7e56c153a"
    size = 25_000

    def files(self, data_dir: Path) -> list[Path]:
        """Return the two files of lines where they are, else the archive."""
        folder = data_dir / "imdb"
        line_files = [folder / "train.jsonl.xz", folder / "test.jsonl.xz"]
        if all(path.exists() for path in line_files):
            return line_files
        return [fetch(folder / "aclImdb_v1.tar.gz", torchtext().datasets.IMDB.urls, self.digest)]

    def read(self, files: list[Path]) -> tuple[Texts, None, Texts]:
        """Read the reviews."""
        if len(files) == 1:
            found = list(_from_archive(verified(files[0], self.digest), files[0].name))
            parts = [[(label, text) for part, label, text in found if part == name] for name in ("train", "test")]
            paths = [files[0], files[0]]
        else:
            parts, paths = [list(_from_lines(path)) for path in files], files
            for path, part in zip(paths, parts, strict=True):
                if len(part) != self.size:
                    raise ConfigError(
                        path,
                        allowed=f"has {len(part):,} reviews; the published set has {self.size:,}",
                        hint="delete or replace it (task.train_size draws fewer)",
                    )
        train, test = (
            Texts([text for _, text in part], [label for label, _ in part], path, range(1, len(part) + 1))
            for part, path in zip(parts, paths, strict=True)
        )
        return train, None, test


def _from_lines(path: Path) -> Iterator[tuple[str, str]]:
    with lines(path, "utf-8") as source:
        for number, line in enumerate(progress(source, f"reading {path.name}"), start=1):
            try:
                row = json.loads(line)
                label, text = {0: "negative", 1: "positive"}[row["label"]], row["text"]
            except (ValueError, KeyError, TypeError, RecursionError):
                text = None
            if not isinstance(text, str):
                raise ConfigError(path, allowed=f'line {number} must be {{"label": 0 or 1, "text": ...}}')
            yield label, text


def _from_archive(content: bytes, what: str) -> Iterator[tuple[str, str, str]]:
    """Yield part, label and text of each review, in the order of their names."""
    name = re.compile(r"aclImdb/(train|test)/(pos|neg)/\d+_\d+\.txt")
    reviews = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in progress(archive, f"reading {what}"):
            found = name.fullmatch(member.name) if member.isfile() else None
            if found and (file := archive.extractfile(member)):
                label = {"neg": "negative", "pos": "positive"}[found[2]]
                reviews[member.name] = (found[1], label, file.read().decode())
    yield from (reviews[name] for name in sorted(reviews))
