"""TREC: classes of questions."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gradreach.tasks.download import fetch, verified
from gradreach.tasks.reading import lines
from gradreach.tasks.text import Texts, TextTask
from gradreach.tasks.tokens import torchtext


@dataclass(kw_only=True)
class TREC(TextTask):
    """Say what a question asks for: 6 classes, or 47 to 50 finer ones.

    5,452 and 500 questions in English, 10 words long in the mean; a tenth of the former is validation, 10 of the
    latter also stand in training (that is how the set is). Files as torchtext wants them: ``trec/train_5500.label`` and
    ``trec/TREC_10.label`` below ``data_dir``, downloaded where they are absent. Source: X. Li and D. Roth, Learning
    question classifiers, 2002.

    - ``fine``: the finer classes.
    """

    fine: bool = False

    name = "trec"
    source = "X. Li and D. Roth, Learning question classifiers, COLING 2002"
    licence = "none stated"
    digests: ClassVar = {
        "train_5500.label": "sha256:9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
        "TREC_10.label": "sha256:033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
    }

    def files(self, data_dir: Path) -> list[Path]:
        """Return the two files."""
        urls = {url.rpartition("/")[2]: url for url in torchtext().datasets.TREC.urls}
        return [fetch(data_dir / "trec" / name, [urls[name]], digest) for name, digest in self.digests.items()]

    def read(self, files: list[Path]) -> tuple[Texts, None, Texts]:
        """Read ``COARSE:fine text`` lines."""
        train, test = (self._texts(path) for path in files)
        return train, None, test

    def _texts(self, path: Path) -> Texts:
        verified(path, self.digests[path.name])
        rows = []
        with lines(path, "latin-1") as source:
            for line in source:
                mended = line.strip().replace("\xf0", " ")  # one broken byte, as torchtext fixes it
                label, _, text = mended.partition(" ")
                coarse = label.partition(":")[0]
                rows.append((label if self.fine else coarse, text))
        return Texts([text for _, text in rows], [label for label, _ in rows], path, range(1, len(rows) + 1))
