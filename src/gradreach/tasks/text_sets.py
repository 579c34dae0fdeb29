"""The text sets that torchtext knows: TREC, the Stanford Sentiment Treebank, IMDB."""

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from gradreach.errors import ConfigError
from gradreach.tasks.download import download, fetch
from gradreach.tasks.reading import lines
from gradreach.tasks.text import Keep, Texts, TextTask
from gradreach.tasks.tokens import Tokens, torchtext


class TREC(TextTask):
    """Say what a question asks for: 6 classes, or 47 to 50 finer ones.

    5,452 and 500 questions in English, 10 words long in the mean; a tenth of the former is validation, 10 of the
    latter also stand in training (that is how the set is). Files as torchtext wants them: ``trec/train_5500.label`` and
    ``trec/TREC_10.label`` below ``data_dir``, downloaded where they are absent. Source: X. Li and D. Roth, Learning
    question classifiers, 2002.

    - ``seq_len``: longer texts are cut; ``keep`` says whether their ``head``, ``tail`` or ``both`` ends stay.
    - ``tokens``: ``basic_english`` (torchtext: lower case, punctuation apart), ``whitespace`` or ``characters``.
    - ``min_frequency``: how often training must hold a token for it to be known.
    - ``max_vocabulary``: only the most frequent; None: all.
    - ``vectors``: pretrained ones that the model starts from: a file, or a name that torchtext knows.
    - ``fine``: the finer classes.
    - ``train_size``: draw so many of the training texts; None: all.
    - ``data_seed``: draws validation and ``train_size``.
    """

    name = "trec"
    source = "X. Li and D. Roth, Learning question classifiers, COLING 2002"
    licence = "none stated"
    digests: ClassVar = {
        "train_5500.label": "sha256:9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
        "TREC_10.label": "sha256:033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
    }

    def __init__(
        self,
        *,
        seq_len: PositiveInt = 64,
        keep: Keep = "head",
        tokens: Tokens = "basic_english",
        min_frequency: PositiveInt = 1,
        max_vocabulary: PositiveInt | None = None,
        fine: bool = False,
        vectors: str | None = None,
        train_size: PositiveInt | None = None,
        data_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(
            seq_len=seq_len,
            keep=keep,
            tokens=tokens,
            min_frequency=min_frequency,
            max_vocabulary=max_vocabulary,
            vectors=vectors,
            train_size=train_size,
            data_seed=data_seed,
        )
        self.fine = fine

    def files(self, data_dir: Path) -> list[Path]:
        """Return the two files."""
        urls = {url.rpartition("/")[2]: url for url in torchtext().datasets.TREC.urls}
        return [fetch(data_dir / "trec" / name, [urls[name]], digest) for name, digest in self.digests.items()]

    def read(self, files: list[Path]) -> tuple[Texts, None, Texts]:
        """Read ``COARSE:fine text`` lines."""
        train, test = (self._texts(path) for path in files)
        return train, None, test

    def _texts(self, path: Path) -> Texts:
        rows = []
        with lines(path, "latin-1") as source:
            for number, line in enumerate(source, start=1):
                label, _, text = (
                    line.strip().replace("\xf0", " ").partition(" ")
                )  # one broken byte, as torchtext mends it
                coarse, colon, _ = label.partition(":")
                if not colon:
                    raise ConfigError(
                        f"{path}: line {number} is no 'COARSE:fine question'; delete or replace this file"
                    )
                rows.append((label if self.fine else coarse, text))
        return Texts([text for _, text in rows], [label for label, _ in rows], path, range(1, len(rows) + 1))


class SST(TextTask):
    """Say how a sentence of a film review judges: 2 classes, or 5 from very negative to very positive.

    11,855 sentences in English, 19 words long in the mean, split as published; with 2 classes neutral ones are left out
    (6,920 / 872 / 1,821). Files as torchtext wants them: ``sst/trees/{train,dev,test}.txt`` below ``data_dir``,
    downloaded where they are absent. Source: R. Socher et al., Recursive deep models for semantic compositionality over
    a sentiment treebank, 2013.

    - ``seq_len``: longer texts are cut; ``keep`` says whether their ``head``, ``tail`` or ``both`` ends stay.
    - ``tokens``: ``basic_english`` (torchtext: lower case, punctuation apart), ``whitespace`` or ``characters``.
    - ``min_frequency``: how often training must hold a token for it to be known.
    - ``max_vocabulary``: only the most frequent; None: all.
    - ``vectors``: pretrained ones that the model starts from: a file, or a name that torchtext knows.
    - ``labels``: 2 or 5 classes.
    - ``phrases``: also learn from the labelled phrases within training sentences, each different one once.
    - ``train_size``: draw so many of the training texts; None: all.
    - ``data_seed``: draws ``train_size``.
    """

    name = "sst"
    source = (
        "R. Socher et al., Recursive deep models for semantic compositionality over a sentiment treebank, EMNLP 2013"
    )
    licence = "none stated"
    digests: ClassVar = {
        "train.txt": "sha256:e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7",
        "dev.txt": "sha256:0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40",
        "test.txt": "sha256:6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761",
    }

    def __init__(
        self,
        *,
        seq_len: PositiveInt = 64,
        keep: Keep = "head",
        tokens: Tokens = "basic_english",
        min_frequency: PositiveInt = 1,
        max_vocabulary: PositiveInt | None = None,
        labels: Literal[2, 5] = 2,
        phrases: bool = False,
        vectors: str | None = None,
        train_size: PositiveInt | None = None,
        data_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(
            seq_len=seq_len,
            keep=keep,
            tokens=tokens,
            min_frequency=min_frequency,
            max_vocabulary=max_vocabulary,
            vectors=vectors,
            train_size=train_size,
            data_seed=data_seed,
        )
        self.labels, self.phrases = labels, phrases

    def files(self, data_dir: Path) -> list[Path]:
        """Return the three files; of a downloaded archive just these members are read, under these names."""
        get = cache(download)
        folder, urls = data_dir / "sst" / "trees", torchtext().datasets.SST.urls
        return [
            fetch(
                folder / name,
                urls,
                digest,
                get=get,
                unpack=lambda packed, name=name: zipfile.ZipFile(io.BytesIO(packed)).read(f"trees/{name}"),  # type: ignore[misc]
            )
            for name, digest in self.digests.items()
        ]

    def read(self, files: list[Path]) -> tuple[Texts, Texts, Texts]:
        """Read trees, one a line."""
        train, validation, test = files
        return self._texts(train, self.phrases), self._texts(validation), self._texts(test)

    def _texts(self, path: Path, phrases: bool = False) -> Texts:
        found: dict[tuple[str, int], tuple[str, int]] = {}
        with lines(path, "utf-8") as source:
            for number, line in enumerate(source, start=1):
                try:
                    *within, whole = subtrees(line)
                except (ValueError, IndexError):
                    raise ConfigError(f"{path}: line {number} is no tree; delete or replace this file") from None
                found[whole[1], number] = (whole[0], number)
                if phrases:
                    found |= {(text, 0): (label, number) for label, text in within}
        kept = [(text, self._label(label), line) for (text, _), (label, line) in found.items()]
        kept = [(text, label, line) for text, label, line in kept if label]
        return Texts([k[0] for k in kept], [k[1] for k in kept], path, [k[2] for k in kept])

    def _label(self, grade: str) -> str:
        """Return the class of a grade from 0 to 4; nothing for what is to be left out."""
        if self.labels == 5:
            return grade
        return {"0": "negative", "1": "negative", "2": "", "3": "positive", "4": "positive"}[grade]


def subtrees(line: str) -> list[tuple[str, str]]:
    """Return label and text of each subtree of ``(3 (2 It) (4 works))``, inner ones first, the whole last.

    Raises:
        ValueError, IndexError: it is no such tree.
    """
    opened: list[tuple[str, list[str]]] = []
    closed: list[tuple[str, str]] = []
    for word in re.findall(r"\(\d|\)|[^\s()]+", line):
        if word[0] == "(":
            opened.append((word[1:], []))
        elif word == ")":
            label, words = opened.pop()
            closed.append((label, " ".join(words)))
            if opened:
                opened[-1][1].extend(words)
        else:
            opened[-1][1].append({"-LRB-": "(", "-RRB-": ")"}.get(word, word.replace("\\/", "/")))
    if opened or not closed:
        raise ValueError(line)
    return closed


class IMDB(TextTask):
    """Say whether a film review is positive or negative.

    25,000 and 25,000 reviews in English, 234 words long in the mean, half of them positive; a tenth of the former
    is validation, 123 texts of the latter also stand in training (that is how the set is). Files below ``data_dir``:
    ``imdb/train.jsonl.xz`` and ``imdb/test.jsonl.xz`` (lines with ``text`` and ``label``), else
    ``imdb/aclImdb_v1.tar.gz`` as torchtext downloads it, which is read without being unpacked. Source: A. Maas et
    al., Learning word vectors for sentiment analysis, 2011.

    - ``seq_len``: longer texts are cut; ``keep`` says whether their ``head``, ``tail`` or ``both`` ends stay.
    - ``tokens``: ``basic_english`` (torchtext: lower case, punctuation apart), ``whitespace`` or ``characters``.
    - ``min_frequency``: how often training must hold a token for it to be known.
    - ``max_vocabulary``: only the most frequent; None: all.
    - ``vectors``: pretrained ones that the model starts from: a file, or a name that torchtext knows.
    - ``train_size``: draw so many of the training texts; None: all.
    - ``data_seed``: draws validation and ``train_size``.
    """

    name = "imdb"
    source = "A. Maas et al., Learning word vectors for sentiment analysis, ACL 2011"
    licence = "none stated"
    digest = "md5:7c2ac02c03563afcf9b574c7e56c153a"

    def __init__(
        self,
        *,
        seq_len: PositiveInt = 64,
        keep: Keep = "head",
        tokens: Tokens = "basic_english",
        min_frequency: PositiveInt = 2,
        max_vocabulary: PositiveInt | None = 30_000,
        vectors: str | None = None,
        train_size: PositiveInt | None = None,
        data_seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__(
            seq_len=seq_len,
            keep=keep,
            tokens=tokens,
            min_frequency=min_frequency,
            max_vocabulary=max_vocabulary,
            vectors=vectors,
            train_size=train_size,
            data_seed=data_seed,
        )

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
            found = list(_from_archive(files[0]))
            parts = [[(label, text) for part, label, text in found if part == name] for name in ("train", "test")]
            paths = [files[0], files[0]]
        else:
            parts, paths = [list(_from_lines(path)) for path in files], files
        train, test = (
            Texts([text for _, text in part], [label for label, _ in part], path, range(1, len(part) + 1))
            for part, path in zip(parts, paths, strict=True)
        )
        return train, None, test


def _from_lines(path: Path) -> Iterator[tuple[str, str]]:
    with lines(path, "utf-8") as source:
        for number, line in enumerate(source, start=1):
            try:
                row = json.loads(line)
                yield ("negative", "positive")[row["label"]], row["text"]
            except (ValueError, KeyError, IndexError, TypeError):
                raise ConfigError(f'{path}: line {number} must be {{"label": 0 or 1, "text": ...}}') from None


def _from_archive(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield part, label and text of each review, in the order of their names."""
    name = re.compile(r"aclImdb/(train|test)/(pos|neg)/\d+_\d+\.txt")
    reviews = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                found = name.fullmatch(member.name) if member.isfile() else None
                if found and (file := archive.extractfile(member)):
                    label = {"neg": "negative", "pos": "positive"}[found[2]]
                    reviews[member.name] = (found[1], label, file.read().decode())
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); delete or replace it") from None
    yield from (reviews[name] for name in sorted(reviews))
