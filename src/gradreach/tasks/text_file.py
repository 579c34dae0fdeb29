"""Labelled texts of your own."""

import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from gradreach.errors import ConfigError
from gradreach.tasks.answers import FileValues
from gradreach.tasks.cache import progress
from gradreach.tasks.reading import advise_of_overlap, lines, locate
from gradreach.tasks.rows import TABLES, Format, Layout
from gradreach.tasks.splits import FOLDS, Fold, Folds, Share
from gradreach.tasks.text import Texts, TextTask

MOST_CLASSES = 1000
ENCODING = "set task.encoding to the file's own, such as latin-1 or gb18030"
DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " "}
"""Separators that are hard to type, by name."""
DECIMAL = re.compile(r"[-+]?((\d[\d_]*[.,][\d_]*|[.,]\d[\d_]*)(e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)", re.IGNORECASE)


Column = Annotated[int, Field(ge=1, le=10_000)] | str


@dataclass(kw_only=True)
class TextFile(TextTask):
    """Classify texts from your own files, plain or compressed (``.gz``, ``.xz``).

    Paths are absolute, or below ``data_dir``. Texts of length 0 are kept.

    - ``file``: training texts, or all texts.
    - ``validation_file``, ``test_file``: None: a share of ``file``, drawn with equal shares of every class; equal texts
      come into the same split.
    - ``validation_share``, ``test_share``: those shares.
    - ``fold``, ``folds``: test on this one of ``folds`` equal parts of ``file``, in place of a share.
    - ``format``: ``csv``, ``tsv`` (no quoting), ``jsonl`` (an object a line), ``lines`` (label, blank, text; no
      header); ``auto`` goes by the file's name.
    - ``header``: whether a ``csv`` or ``tsv`` file begins with the names of its columns.
    - ``delimiter``: between the fields of ``csv`` or ``tsv``: one character, or ``tab`` or ``space``; None: a comma or
      a tab.
    - ``text_column``, ``label_column``: a name in the header, or its number from 1; of ``jsonl`` a key.
    - ``encoding``: of all files.
    - ``max_rows``: a larger file is refused, for all texts are held in memory.
    """

    file: str
    validation_file: str | None = None
    test_file: str | None = None
    validation_share: Share = 0.1
    test_share: Share = 0.2
    format: Format = "auto"
    text_column: Column = "text"
    label_column: Column = "label"
    encoding: str = "utf-8"
    max_rows: PositiveInt = 1_000_000
    header: Annotated[bool, Field(exclude_if=lambda value: value is True)] = True
    delimiter: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    fold: Fold = None
    folds: Folds = FOLDS

    name = "text_file"
    licence = "that of the files"

    def __post_init__(self) -> None:
        self.source = f"the files given: {', '.join(filter(None, self._given().values()))}"
        own = {"validation": self.validation_file, "test": self.test_file}
        self.check_splits(*(name for name, file in own.items() if file is not None))
        self._check_delimiter()
        if self.text_column == self.label_column:
            raise ConfigError(
                "task.text_column",
                self.text_column,
                "the text column cannot also be the class",
                "choose two columns",
                others={"task.label_column": self.label_column},
            )

    def _check_delimiter(self) -> None:
        delimiter = self.layout.delimiter
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
            one = "must be one character, and neither a quote nor a line break"
            raise ConfigError("task.delimiter", self.delimiter, one, "choose ';', '|', tab or space")

    @property
    def layout(self) -> Layout:
        """How rows stand in the files."""
        delimiter = DELIMITERS.get(self.delimiter or "", self.delimiter)
        return Layout(self.format, self.text_column, self.label_column, self.header, delimiter)

    def _given(self) -> dict[str, str | None]:
        return {"file": self.file, "validation_file": self.validation_file, "test_file": self.test_file}

    def files(self, data_dir: Path) -> list[Path]:
        """Return the files that are given."""
        paths = [locate(f"task.{name}", file, data_dir) for name, file in self._given().items() if file is not None]
        formats = {self.layout.of(path) for path in paths}
        if not formats & set(TABLES):
            self.refuse_unused(f"in format {' and '.join(sorted(formats))}", "header", "delimiter")
        if formats == {"lines"}:
            self.refuse_unused("in format lines: the class is the first word", "text_column", "label_column")
        return paths

    def shaping(self, files: list[Path]) -> dict[str, Any]:
        """Return the settings that affect the prepared data: what the file names imply, not the names."""
        settings = super().shaping(files)
        del settings["max_rows"]
        given = {name: file is not None for name, file in self._given().items()}
        return settings | given | {"format": [self.layout.of(path) for path in files]}

    def prepare(self, data_dir: Path) -> None:
        """Read and encode the texts, where that is not kept already; note what was given twice."""
        super().prepare(data_dir)
        advise_of_overlap("texts", self.prepared.facts["also_in_training"])

    def read(self, files: list[Path]) -> tuple[Texts, Texts | None, Texts | None]:
        """Read the files."""
        remaining = iter([self._texts(path) for path in files])
        train = next(remaining)
        validation = None if self.validation_file is None else next(remaining)
        test = None if self.test_file is None else next(remaining)
        return train, validation, test

    def _texts(self, path: Path) -> Texts:
        texts: list[str] = []
        labels: list[str] = []
        numbers = array("q")
        with lines(path, self.encoding, remedy=ENCODING) as source:
            for number, text, label in progress(self.layout.rows(path, source), f"reading {path.name}"):
                if len(texts) == self.max_rows:
                    raise ConfigError(
                        path,
                        allowed=f"more than task.max_rows={self.max_rows:,} rows, all of which are held in memory",
                        hint="take a sample of the file, or raise task.max_rows",
                    )
                if not label:
                    empty = f"line {number}: {self.layout.answer_place(path)[0]} is empty"
                    raise ConfigError(path, allowed=empty, hint="every text needs a class or value")
                self._check_label(path, number, label)
                texts.append(text)
                labels.append(intern(label))
                numbers.append(number)
        if not texts:
            raise ConfigError(path, allowed="this file has no texts", hint="is it complete?")
        self._check_labels(path, labels)
        return Texts(texts, labels, path, numbers)

    def _check_label(self, path: Path, number: int, label: str) -> None:
        if DECIMAL.fullmatch(label):
            column, setting = self.layout.answer_place(path)
            raise ConfigError(
                path,
                allowed=f"line {number}: {column} has a decimal number ({label[:40]}), not a class",
                hint=f"write whole numbers or names, or set {setting}; task=text_values predicts values",
            )

    def _check_labels(self, path: Path, labels: list[str]) -> None:
        if (count := len(set(labels))) > MOST_CLASSES:
            column, setting = self.layout.answer_place(path)
            raise ConfigError(
                path,
                allowed=f"{column} has {count:,} different values; at most {MOST_CLASSES} classes are allowed",
                hint=f"set {setting}",
            )


@dataclass(kw_only=True)
class TextValues(FileValues, TextFile):
    """Predict the value that belongs to a text, such as its rating; otherwise as ``task=text_file``.

    The value stands where ``task=text_file`` has the class. Values are brought to mean 0 and standard deviation 1 of
    the training split: an error of 1 is that of always answering the mean.
    """

    name = "text_values"

    def _check_labels(self, path: Path, labels: list[str]) -> None:
        """Do nothing: there may be any number of values."""

    def _check_label(self, path: Path, number: int, label: str) -> None:
        """Do nothing: that it is a number is checked when it is made one."""
