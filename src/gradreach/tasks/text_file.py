"""Labelled texts of your own."""

import csv
import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any, Literal

from pydantic import PositiveInt

from gradreach.errors import ConfigError
from gradreach.tasks.cache import progress
from gradreach.tasks.reading import advise_of_overlap, lines, locate, suffix_of
from gradreach.tasks.splits import Share, check_shares
from gradreach.tasks.text import Texts, TextTask

Format = Literal["auto", "csv", "tsv", "jsonl", "lines"]
FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
MOST_CLASSES = 1000
LONGEST_FIELD = 100_000_000
ENCODING = "set task.encoding to the file's own, such as latin-1 or gb18030"
DECIMAL = re.compile(r"[-+]?((\d[\d_]*[.,][\d_]*|[.,]\d[\d_]*)(e[-+]?\d+)?|\d+e[-+]?\d+|nan|inf)", re.IGNORECASE)


@dataclass(kw_only=True)
class TextFile(TextTask):
    """Say which class a text is of; texts from files of your own, also packed (``.gz``, ``.xz``).

    Paths are absolute, or below ``data_dir``. Texts of length 0 are kept.

    - ``file``: training texts, or all texts.
    - ``validation_file``, ``test_file``: None: a share of ``file``, drawn with equal shares of every class; equal texts
      come into the same split.
    - ``validation_share``, ``test_share``: those shares.
    - ``format``: ``csv``, ``tsv`` (no quoting), ``jsonl`` (an object a line), ``lines`` (label, blank, text; no
      header); ``auto`` goes by the file's name.
    - ``text_column``, ``label_column``: by the names in the header, or the keys of the objects.
    - ``encoding``: of all files.
    - ``max_rows``: a larger file is refused, for all texts are held in memory.
    """

    file: str
    validation_file: str | None = None
    test_file: str | None = None
    validation_share: Share = 0.1
    test_share: Share = 0.2
    format: Format = "auto"
    text_column: str = "text"
    label_column: str = "label"
    encoding: str = "utf-8"
    max_rows: PositiveInt = 1_000_000

    name = "text_file"
    licence = "that of the files"

    def __post_init__(self) -> None:
        self.source = f"the files given: {', '.join(filter(None, self._given().values()))}"
        if self.validation_file is None and self.test_file is None:
            check_shares(self.validation_share, self.test_share)
        if self.text_column == self.label_column:
            raise ConfigError(
                "task.text_column",
                self.text_column,
                "a text is not its own class",
                "choose two columns",
                others={"task.label_column": self.label_column},
            )

    def _given(self) -> dict[str, str | None]:
        return {"file": self.file, "validation_file": self.validation_file, "test_file": self.test_file}

    def files(self, data_dir: Path) -> list[Path]:
        """Return the files that are given."""
        return [locate(f"task.{name}", file, data_dir) for name, file in self._given().items() if file is not None]

    def shaping(self, files: list[Path]) -> dict[str, Any]:
        """Return the settings that shape what is made of the files: what their names tell, not the names."""
        settings = super().shaping(files)
        del settings["max_rows"]
        given = {name: file is not None for name, file in self._given().items()}
        return settings | given | {"format": [self._format(path) for path in files]}

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
            for number, text, label in progress(self._rows(path, source), f"reading {path.name}"):
                self._check_row(path, number, label, len(texts))
                texts.append(text)
                labels.append(intern(label))
                numbers.append(number)
        if not texts:
            raise ConfigError(path, allowed="there is no text in this file", hint="is it whole?")
        if (count := len(set(labels))) > MOST_CLASSES:
            column, setting = self._label_place(path)
            raise ConfigError(
                path,
                allowed=f"{column} holds {count:,} different values; more than {MOST_CLASSES} are not classes",
                hint=f"set {setting}",
            )
        return Texts(texts, labels, path, numbers)

    def _check_row(self, path: Path, number: int, label: str, before: int) -> None:
        if before == self.max_rows:
            raise ConfigError(
                path,
                allowed=f"more than task.max_rows={self.max_rows:,} rows, and all are held in memory",
                hint="take a sample of the file, or raise task.max_rows",
            )
        if not label:
            empty = f"line {number}: column '{self.label_column}' is empty"
            raise ConfigError(path, allowed=empty, hint="every text needs a class")
        if DECIMAL.fullmatch(label):
            column, setting = self._label_place(path)
            raise ConfigError(
                path,
                allowed=f"line {number}: {column} holds a decimal number ({label}), not a class",
                hint=f"write whole numbers or names, or set {setting}",
            )

    def _label_place(self, path: Path) -> tuple[str, str]:
        """Return where the class stands, and the setting that says so."""
        if self._format(path) == "lines":
            return "the first word", "task.format"
        return f"column '{self.label_column}'", "task.label_column"

    def _format(self, path: Path) -> str:
        kind = self.format if self.format != "auto" else FORMATS.get(suffix_of(path))
        if kind is None:
            unclear = f"{path.name} does not tell its format"
            raise ConfigError("task.format", "auto", unclear, "set task.format=csv, tsv, jsonl or lines")
        return kind

    def _rows(self, path: Path, source: Iterator[str]) -> Iterator[tuple[int, str, str]]:
        """Yield line number, text and label."""
        match self._format(path):
            case "csv":
                return self._from_table(path, csv.reader(source, strict=True))
            case "tsv":
                return self._from_table(path, csv.reader(source, delimiter="\t", quoting=csv.QUOTE_NONE))
            case "jsonl":
                return self._from_objects(path, source)
            case _:
                return self._from_lines(path, source)

    def _from_table(self, path: Path, rows: Any) -> Iterator[tuple[int, str, str]]:
        csv.field_size_limit(LONGEST_FIELD)
        begins = 1
        try:
            header = next(filter(None, rows), None)  # blank lines are passed over, here as below
            if header is None:
                begin = "it must begin with a line of column names"
                raise ConfigError(path, allowed="the file is empty", hint=begin)
            text, label = (self._column(path, name, header) for name in ("text_column", "label_column"))
            begins = rows.line_num + 1
            for row in rows:
                begins = rows.line_num + 1
                if not row:
                    continue
                if len(row) != len(header):
                    raise ConfigError(
                        path,
                        allowed=f"line {rows.line_num} has {len(row)} fields, the header has {len(header)} "
                        f"({', '.join(header)})",
                        hint="quote fields that hold the separator",
                    )
                yield rows.line_num, row[text], row[label].strip()
        except csv.Error as error:
            broken = f"what begins in line {begins} cannot be read ({error})"
            raise ConfigError(path, allowed=broken, hint="is a quote left open?") from None

    def _column(self, path: Path, setting: str, header: list[str]) -> int:
        name = getattr(self, setting)
        if name not in header:
            lacking = f"{path.name} has no such column"
            raise ConfigError(f"task.{setting}", name, lacking, choices=_legible(header))
        if header.count(name) > 1:
            several = f"{path.name} has {header.count(name)} columns of this name"
            raise ConfigError(f"task.{setting}", name, several, "rename one")
        return header.index(name)

    def _from_objects(self, path: Path, source: Iterator[str]) -> Iterator[tuple[int, str, str]]:
        for number, line in enumerate(source, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                wrong = f"line {number} is not JSON ({error})"
                raise ConfigError(path, allowed=wrong, hint="write one object a line") from None
            if not isinstance(row, dict):
                raise ConfigError(path, allowed=f"line {number} is not a JSON object with a text and a label")
            for setting in ("text_column", "label_column"):
                if (name := getattr(self, setting)) not in row:
                    lacking = f"{path.name}, line {number} has no such key"
                    raise ConfigError(f"task.{setting}", name, lacking, choices=_legible(list(row)))
            text, label = row[self.text_column], row[self.label_column]
            if not isinstance(text, str):
                wrong = f"line {number}: '{self.text_column}' is not a text but {json.dumps(text)[:40]}"
                raise ConfigError(path, allowed=wrong)
            if label is None or isinstance(label, dict | list):
                wrong = f"line {number}: '{self.label_column}' is not a class but {json.dumps(label)[:40]}"
                raise ConfigError(path, allowed=wrong)
            yield number, text, str(label).strip()

    def _from_lines(self, path: Path, source: Iterator[str]) -> Iterator[tuple[int, str, str]]:
        for number, line in enumerate(source, start=1):
            if line.strip():
                label, *text = line.strip().split(None, 1)
                yield number, "".join(text), label


def _legible(names: list[str]) -> list[str]:
    """Return names that a terminal can show: a header may be anything."""
    return [name if name.isprintable() else repr(name) for name in names]
