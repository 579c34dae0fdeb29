"""Texts as sequences of words or characters."""

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from gradreach.errors import ConfigError
from gradreach.tasks.cache import Arrays, Prepared, progress
from gradreach.tasks.splits import draw_some, grouped_split, key
from gradreach.tasks.task import Shape, Splits, Task, splits_of
from gradreach.tasks.tokens import UNKNOWN, Tokens, bare, encode, vocabulary
from gradreach.tasks.truncate import Keep, shorten
from gradreach.tasks.vectors import VECTOR_STD, locate_vectors, read_vectors


class Texts(NamedTuple):
    """Labelled texts of one split, and where they were read, for messages."""

    texts: list[str]
    labels: list[str]
    path: Path
    lines: Sequence[int]

    def take(self, index: Iterable[int]) -> "Texts":
        """Return the texts that stand at an index."""
        index = list(index)
        return Texts(
            [self.texts[i] for i in index], [self.labels[i] for i in index], self.path, [self.lines[i] for i in index]
        )


@dataclass(kw_only=True)
class TextTask(Task):
    """Say which class a text is of.

    Token 0 is padding, token 1 any that the vocabulary lacks. The vocabulary is made of the training split alone.
    Validation never holds a text of the test: where a set comes so, it is taken out of validation. Texts that differ in
    capitals and spaces alone are the same text there, and in the splits that we draw, whatever the tokens are.

    - ``seq_len``: longer texts are cut; ``keep`` says whether their ``head``, ``tail`` or ``both`` ends stay.
    - ``tokens``: ``basic_english`` (torchtext: lower case, punctuation apart), ``whitespace``, or ``characters``: what
      suits Chinese.
    - ``min_frequency``: how often training must hold a token for it to be known.
    - ``max_vocabulary``: only the most frequent; None: all.
    - ``vectors``: pretrained ones that the model starts from: a file, or a name that torchtext knows. Then
      ``shape.vectors`` holds one for every token.
    - ``vector_std``: those that are not pretrained start from N(0, vector_std²).
    - ``train_size``: draw so many of the training texts; None: all.
    - ``data_seed``: draws ``train_size``, and the splits that the set lacks.

    Attributes of a kind of task:

    - ``name``: names its prepared data.
    - ``validation_share``, ``test_share``: of the training texts, where the set has no such split of its own.
    """

    keep: Keep = "head"
    tokens: Tokens = "basic_english"
    min_frequency: PositiveInt = 1
    max_vocabulary: PositiveInt | None = None
    vectors: str | None = None
    vector_std: PositiveFloat = VECTOR_STD
    train_size: PositiveInt | None = None

    name: ClassVar[str]
    validation_share = 0.1
    test_share = 0.2

    @abstractmethod
    def files(self, data_dir: Path) -> list[Path]:
        """Return the files that the set is read from, downloaded where they are absent."""

    @abstractmethod
    def read(self, files: list[Path]) -> tuple[Texts, Texts | None, Texts | None]:
        """Return training, validation and test texts; None for a split that is to be drawn from training."""

    def shaping(self, files: list[Path]) -> dict[str, Any]:
        """Return the settings that shape what is made of the files."""
        settings = self.settings() | {"validation_share": self.validation_share, "test_share": self.test_share}
        if self.vectors is None:
            del settings["vector_std"]
        return settings

    def prepare(self, data_dir: Path) -> None:
        """Read and encode the texts, where that is not kept already."""
        files = self.files(data_dir)
        pretrained = None if self.vectors is None else locate_vectors(self.vectors, data_dir)
        shaping = files if pretrained is None else [*files, pretrained]
        self.prepared = Prepared(self.name, self.shaping(files), shaping, lambda: self._make(files, pretrained))
        facts = self.prepared.facts
        self.shape = Shape(
            channels=1,
            length=facts["length"],
            outputs=len(facts["classes"]),
            vocabulary=facts["vocabulary"],
            variable_length=True,
            vectors=None if pretrained is None else torch.from_numpy(self.prepared.arrays()["vectors"]),
            vector_std=self.vector_std,
        )

    def splits(self, data_dir: Path) -> Splits:
        """Return the three splits."""
        self.prepare(data_dir)
        return splits_of(self.prepared.arrays())

    def facts(self) -> dict[str, Any]:
        """Return the shares of texts cut and of test tokens unknown, and which texts stand in two splits.

        ``also_in_test`` were taken out of validation; ``also_in_training`` are as the set has them.
        """
        names = ("vocabulary", "cut", "unknown", "empty", "also_in_test", "also_in_training", "tokens", "vectors")
        return {name: self.prepared.facts[name] for name in names if name in self.prepared.facts}

    def classes(self) -> list[str]:
        """Return the labels."""
        return list(self.prepared.facts["classes"])

    def words(self) -> list[str]:
        """Return the vocabulary by token id."""
        return list(json.loads(self.prepared.arrays()["words"].tobytes()))

    def sample(self, x: Tensor, length: int) -> str:
        """Return the tokens."""
        words = self.words()
        return ("" if self.tokens == "characters" else " ").join(words[i] for i in x[:length].tolist())

    def _make(self, files: list[Path], pretrained: Path | None) -> tuple[Arrays, dict[str, Any]]:
        drawn, shared = self._draw(*self.read(files))
        classes = sorted(set(drawn[0].labels), key=lambda label: (not label.isdecimal(), label.zfill(20)))
        _check_classes(drawn, classes)
        number_of = {label: number for number, label in enumerate(classes)}
        texts = chain.from_iterable(part.texts for part in drawn)
        flat, sizes, tokens = encode(
            progress(texts, f"cutting {self.name} into tokens", sum(len(part.texts) for part in drawn)), self.tokens
        )
        ends = sizes.cumsum()
        trained = ends[len(drawn[0].texts) - 1]
        counts = np.bincount(flat[:trained], minlength=len(tokens)).tolist()
        words = vocabulary(Counter(dict(zip(tokens, counts, strict=True))), self.min_frequency, self.max_vocabulary)
        word_number = {word: number for number, word in enumerate(words)}
        translation = [max(word_number.get(token, UNKNOWN), UNKNOWN) for token in tokens]
        ids = np.array(translation, dtype=np.int32)[flat]
        length = max(1, min(self.seq_len, int(sizes.max())))
        arrays: Arrays = {"words": np.frombuffer(json.dumps(words).encode(), dtype=np.uint8)}
        first = 0
        for name, part in zip(Splits._fields, drawn, strict=True):
            own = slice(first, first + len(part.texts))
            first = own.stop
            x = np.zeros((len(part.texts), length), dtype=np.int32)
            for row, size, end in zip(x, sizes[own], ends[own], strict=True):
                kept = shorten(ids[end - size : end], length, self.keep)
                row[: len(kept)] = kept
            arrays[f"{name}.x"] = x
            arrays[f"{name}.lengths"] = np.minimum(sizes[own], length)
            arrays[f"{name}.target"] = np.array([number_of[label] for label in part.labels], dtype=np.int64)
        asked = ids[ends[own.start - 1] :]
        facts: dict[str, Any] = {}
        if pretrained is not None:
            assert self.vectors is not None
            vectors, known = read_vectors(self.vectors, pretrained, words, self.vector_std, self.data_seed)
            arrays["vectors"] = vectors.numpy()
            facts["vectors"] = {"size": vectors.shape[1], "known": known}
        return arrays, {
            **facts,
            **shared,
            "classes": classes,
            "length": length,
            "vocabulary": len(words),
            "cut": float((sizes > length).mean()),
            "empty": int((sizes == 0).sum()),
            "unknown": float((asked == UNKNOWN).mean()) if len(asked) else 0.0,
            "tokens": {"mean": float(sizes.mean()), "p95": float(np.quantile(sizes, 0.95)), "max": int(sizes.max())},
        }

    def _draw(self, train: Texts, validation: Texts | None, test: Texts | None) -> tuple[list[Texts], dict[str, Any]]:
        """Draw the splits that the set lacks; count the texts that stand in two splits of it."""
        if len(set(train.labels)) < 2:
            only = f"all texts are of class '{train.labels[0]}'"
            raise ConfigError(train.path, allowed=only, hint="there must be at least two classes")
        shares = {"train": 1.0}
        if validation is None:
            shares["validation"] = self.validation_share
        if test is None:
            shares["test"] = self.test_share
        shares["train"] = 2 - sum(shares.values())
        index = {"train": np.arange(len(train.texts))}
        if len(shares) > 1:
            keys = [key(bare(text).encode("utf-8", "surrogatepass")) for text in train.texts]
            parts = grouped_split(np.array(train.labels), keys, list(shares.values()), self.data_seed)
            index = dict(zip(shares, parts, strict=True))
        chosen_by = validation if validation is not None else train.take(index["validation"])
        reported = test if test is not None else train.take(index["test"])
        tested = {bare(text) for text in reported.texts}
        clean = [i for i, text in enumerate(chosen_by.texts) if bare(text) not in tested]
        also_in_test = len(chosen_by.texts) - len(clean)
        learned_from = train.take(self._some(np.array(train.labels), index["train"]))
        drawn = [learned_from, chosen_by.take(clean), reported]
        for name, part in zip(Splits._fields, drawn, strict=True):
            if not part.texts:
                if name == "validation" and also_in_test:
                    why = f" (the test holds {also_in_test} that it had)"
                else:
                    different = len({bare(text) for text in train.texts})
                    why = f", of {len(train.texts):,} texts with {different:,} different ones"
                none_left = f"no text is left for the {name} split{why}"
                raise ConfigError(part.path, allowed=none_left, hint="use more texts or other shares")
        learned = {bare(text) for text in learned_from.texts}
        also_in_training = {
            name: sum(bare(text) in learned for text in part.texts)
            for name, part in zip(Splits._fields[1:], drawn[1:], strict=True)
        }
        return drawn, {"also_in_test": also_in_test, "also_in_training": also_in_training}

    def _some(self, labels: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Draw ``train_size`` of the texts that stand at an index."""
        classes = len(np.unique(labels[index]))
        if self.train_size is not None and self.train_size < classes:
            needs = f"training has {classes} classes, and needs a text of each"
            raise ConfigError("task.train_size", self.train_size, needs, f"choose {classes} or more")
        some: np.ndarray = index[draw_some(labels[index], self.train_size, self.data_seed)]
        return some


def _check_classes(parts: Sequence[Texts], classes: Sequence[str]) -> None:
    train = parts[0]
    for part in parts[1:]:
        for label, line in zip(part.labels, part.lines, strict=True):
            if label not in classes:
                raise ConfigError(
                    part.path,
                    allowed=f"line {line}: class '{label}' does not occur in training ({train.path.name})",
                    hint="take it out, or add training texts of this class",
                )
