"""Texts as sequences of words or characters."""

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from gradreach.tasks.answers import Answers, FileTask
from gradreach.tasks.cache import Arrays, Prepared, progress
from gradreach.tasks.splits import check_train_size, draw_some, key, keys_of_given
from gradreach.tasks.task import Shape, Size, Splits, check_memory
from gradreach.tasks.tokens import UNKNOWN, Tokens, bare, encode, vocabulary
from gradreach.tasks.truncate import Keep, shorten
from gradreach.tasks.vectors import VECTOR_STD, locate_vectors, read_vectors


class Texts(NamedTuple):
    """Labelled texts of one split, and where they were read, for messages."""

    texts: list[str]
    labels: list[str]
    path: Path
    lines: Sequence[int]


@dataclass(kw_only=True)
class TextTask(FileTask):
    """Classify texts.

    Token 0 is padding, token 1 any that the vocabulary lacks. The vocabulary comes from the training split only.
    Texts are equal if a model gets the same tokens, after cutting, known to the vocabulary or not. Validation never
    holds test texts: published overlaps are removed from validation.

    - ``seq_len``: longer texts are cut; ``keep`` says whether their ``head``, ``tail`` or ``both`` ends stay.
    - ``tokens``: ``basic_english`` (torchtext: lower case, punctuation apart), ``whitespace``, or ``characters``: what
      suits Chinese.
    - ``min_frequency``: how often training must hold a token for it to be known.
    - ``max_vocabulary``: only the most frequent; None: all.
    - ``vectors``: pretrained ones that the model starts from: a file, or a name that torchtext knows. Then
      ``shape.vectors`` holds one for every token.
    - ``vector_std``: those that are not pretrained are initialized from N(0, vector_std²).
    - ``train_size``: draw this many of the training texts; None: all.
    - ``data_seed``: draws ``train_size``, and the splits that the set lacks.

    Attributes of a kind of task:

    - ``name``: names its prepared data.
    """

    keep: Keep = "head"
    tokens: Tokens = "basic_english"
    min_frequency: PositiveInt = 1
    max_vocabulary: PositiveInt | None = None
    vectors: str | None = None
    vector_std: Annotated[float, Field(gt=0, le=1000)] = VECTOR_STD
    train_size: Size | None = None

    name: ClassVar[str]
    examples = "texts"

    @abstractmethod
    def files(self, data_dir: Path) -> list[Path]:
        """Return the files of the data set, downloaded if they are missing."""

    @abstractmethod
    def read(self, files: list[Path]) -> tuple[Texts, Texts | None, Texts | None]:
        """Return training, validation and test texts; None for a split that is to be drawn from training."""

    def shaping(self, files: list[Path]) -> dict[str, Any]:
        """Return the settings that affect the prepared data."""
        settings = self.settings() | {"validation_share": self.validation_share, "test_share": self.test_share}
        if self.vectors is None:
            del settings["vector_std"]
        return settings

    def prepare(self, data_dir: Path) -> None:
        """Read and encode the texts, unless they are cached."""
        files = self.files(data_dir)
        pretrained = None if self.vectors is None else locate_vectors(self.vectors, data_dir)
        shaping = files if pretrained is None else [*files, pretrained]
        self.prepared = Prepared(self.name, self.shaping(files), shaping, lambda: self._make(files, pretrained))
        facts = self.prepared.facts
        self.shape = Shape(
            channels=1,
            length=facts["length"],
            outputs=facts["outputs"],
            vocabulary=facts["vocabulary"],
            variable_length=True,
            vectors=None if pretrained is None else torch.from_numpy(self.prepared.arrays()["vectors"]),
            vector_std=self.vector_std,
        )

    def facts(self) -> dict[str, Any]:
        """Return the shares of texts cut and of test tokens unknown, and which texts stand in two splits.

        ``also_in_test`` were taken out of validation; ``also_in_training`` are as the set has them.
        """
        names = ("vocabulary", "cut", "unknown", "empty", "also_in_test", "also_in_training", "tokens", "vectors")
        told = self.prepared.facts
        return {name: told[name] for name in (*names, "value_mean", "value_std") if name in told}

    def words(self) -> list[str]:
        """Return the vocabulary by token id."""
        return list(json.loads(self.prepared.arrays()["words"].tobytes()))

    def sample(self, x: Tensor, length: int) -> str:
        """Return the tokens."""
        words = self.words()
        return ("" if self.tokens == "characters" else " ").join(words[i] for i in x[:length].tolist())

    def _make(self, files: list[Path], pretrained: Path | None) -> tuple[Arrays, dict[str, Any]]:
        read = {name: part for name, part in zip(Splits._fields, self.read(files), strict=True) if part is not None}
        answers = {name: Answers(part.labels, part.path, part.lines) for name, part in read.items()}
        texts = [text for part in read.values() for text in part.texts]
        flat, sizes, tokens = encode(progress(texts, f"cutting {self.name} into tokens", len(texts)), self.tokens)
        cut_up = _Ragged(flat, sizes)
        alike = [
            key(shorten(one, self.seq_len, self.keep).tobytes()) for one in map(cut_up.__getitem__, range(len(texts)))
        ]
        index = self.draw(answers, keys_of_given([key(bare(text)) for text in texts], alike))
        strata = self.strata(answers["train"])[index["train"]]
        check_train_size(self.train_size, strata)
        index["train"] = index["train"][draw_some(strata, self.train_size, self.data_seed)]
        index, parts, shared = self.without_overlap(answers, index, alike)
        targets, told = self.targets(parts)
        words = self._vocabulary(cut_up.joined(index["train"]), tokens)
        word_number = {word: number for number, word in enumerate(words)}
        translation = [max(word_number.get(token, UNKNOWN), UNKNOWN) for token in tokens]
        ids = _Ragged(np.array(translation, dtype=np.int32)[flat], sizes)
        kept = sizes[np.concatenate(list(index.values()))]
        length = max(1, min(self.seq_len, int(kept.max())))
        check_memory(len(kept), length, 1)
        arrays: Arrays = {"words": np.frombuffer(json.dumps(words).encode(), dtype=np.uint8)}
        for (name, numbers), target in zip(index.items(), targets, strict=True):
            x = np.zeros((len(numbers), length), dtype=np.int32)
            for row, number in zip(x, numbers, strict=True):
                one = shorten(ids[number], length, self.keep)
                row[: len(one)] = one
            arrays |= {f"{name}.x": x, f"{name}.lengths": np.minimum(sizes[numbers], length), f"{name}.target": target}
        asked = ids.joined(index["test"])
        if pretrained is not None:
            assert self.vectors is not None
            vectors, known = read_vectors(self.vectors, pretrained, words, self.vector_std, self.data_seed)
            arrays["vectors"] = vectors.numpy()
            told["vectors"] = {"size": vectors.shape[1], "known": known}
        return arrays, {
            **told,
            **shared,
            "length": length,
            "vocabulary": len(words),
            "cut": float((kept > length).mean()),
            "empty": int((kept == 0).sum()),
            "unknown": float((asked == UNKNOWN).mean()) if len(asked) else 0.0,
            "tokens": {"mean": float(kept.mean()), "p95": float(np.quantile(kept, 0.95)), "max": int(kept.max())},
        }

    def _vocabulary(self, learned_from: np.ndarray, tokens: Sequence[str]) -> list[str]:
        counts = np.bincount(learned_from, minlength=len(tokens)).tolist()
        return vocabulary(Counter(dict(zip(tokens, counts, strict=True))), self.min_frequency, self.max_vocabulary)


class _Ragged:
    """Texts one after the other in one array, each as long as it is."""

    def __init__(self, flat: np.ndarray, sizes: np.ndarray) -> None:
        self.flat, self.ends = flat, sizes.cumsum()
        self.starts = self.ends - sizes

    def __getitem__(self, number: int) -> np.ndarray:
        one: np.ndarray = self.flat[self.starts[number] : self.ends[number]]
        return one

    def joined(self, numbers: np.ndarray) -> np.ndarray:
        """Return some texts, one after the other."""
        return np.concatenate([self[number] for number in numbers])
