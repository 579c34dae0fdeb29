"""The Stanford Sentiment Treebank: sentiment of sentences from film reviews."""

import io
import re
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from gradreach.tasks.download import download, fetch, verified
from gradreach.tasks.reading import lines
from gradreach.tasks.text import Texts, TextTask
from gradreach.tasks.tokens import torchtext


@dataclass(kw_only=True)
class SST(TextTask):
    """Say how positive a sentence of a film review is: 2 classes, or 5 from very negative to very positive.

    11,855 sentences in English, 19 words long in the mean, split as published; with 2 classes neutral ones are left out
    (6,920 / 872 / 1,821). Files as torchtext wants them: ``sst/trees/{train,dev,test}.txt`` below ``data_dir``,
    downloaded where they are absent. Source: R. Socher et al., Recursive deep models for semantic compositionality over
    a sentiment treebank, 2013.

    - ``labels``: 2 or 5 classes.
    - ``phrases``: also learn from the labelled phrases within training sentences, each different one once.
    """

    labels: Literal[2, 5] = 2
    phrases: bool = False

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
        verified(path, self.digests[path.name])
        found: dict[tuple[str, int], tuple[str, int]] = {}
        with lines(path, "utf-8") as source:
            for number, line in enumerate(source, start=1):
                *within, whole = subtrees(line)
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
        ValueError, IndexError: it is not such a tree.
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
