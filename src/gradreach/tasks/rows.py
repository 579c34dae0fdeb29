"""Rows of a text and its answer, in files of several formats."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gradreach.errors import ConfigError
from gradreach.tasks.reading import LONGEST_LINE, suffix_of

Format = Literal["auto", "csv", "tsv", "jsonl", "lines"]
FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
TABLES = ("csv", "tsv")
SEPARATORS = {sign: f"\"task.delimiter='{sign}'\"" for sign in ";|,"} | {"\t": "task.delimiter=tab"}
"""Separators of columns, and their names."""
Row = tuple[int, str, str]
"""Where it ends, the text, the answer."""


@dataclass(frozen=True)
class Layout:
    """How rows stand in a file.

    - ``format``: ``auto`` goes by the file's name.
    - ``text_column``, ``label_column``: a name in the header or a key; of tables also a number, from 1.
    - ``header``: whether a table begins with the names of its columns.
    - ``delimiter``: of a table's fields; None: that of the format.
    """

    format: Format
    text_column: str | int
    label_column: str | int
    header: bool
    delimiter: str | None

    def of(self, path: Path) -> str:
        """Return the format of a file."""
        kind = self.format if self.format != "auto" else FORMATS.get(suffix_of(path))
        if kind is None:
            unclear = f"{path.name} does not show its format"
            raise ConfigError("task.format", "auto", unclear, "set task.format=csv, tsv, jsonl or lines")
        return kind

    def answer_place(self, path: Path) -> tuple[str, str]:
        """Return the column of the answer, and the setting that names it."""
        if self.of(path) == "lines":
            return "the first word", "task.format"
        named = f"'{self.label_column}'" if isinstance(self.label_column, str) else self.label_column
        return f"column {named}", "task.label_column"

    def rows(self, path: Path, source: Iterator[str]) -> Iterator[Row]:
        """Yield the rows of the lines of a file.

        Raises:
            ConfigError: naming file and line.
        """
        match self.of(path):
            case "csv":
                return self._from_table(path, csv.reader(source, delimiter=self.delimiter or ",", strict=True))
            case "tsv":
                plain = csv.reader(source, delimiter=self.delimiter or "\t", quoting=csv.QUOTE_NONE)
                return self._from_table(path, plain)
            case "jsonl":
                return self._from_objects(path, source)
            case _:
                return _from_lines(source)

    def _from_table(self, path: Path, rows: Any) -> Iterator[Row]:
        csv.field_size_limit(LONGEST_LINE)
        begins, width, columns = 1, 0, (0, 0)
        try:
            for row in rows:
                if row and not width:
                    width, columns = len(row), self._columns(path, row)
                    if self.header:
                        begins = rows.line_num + 1
                        continue
                if row and len(row) != width:
                    of = f"the header has {width}" if self.header else f"those before {width}"
                    raise ConfigError(
                        path,
                        allowed=f"line {rows.line_num} has {len(row)} fields, {of}",
                        hint="quote fields that hold the separator, or set task.delimiter",
                    )
                if row:
                    text, label = (row[column] for column in columns)
                    yield rows.line_num, text, label.strip()
                begins = rows.line_num + 1
        except csv.Error as error:
            broken = f"the row that begins in line {begins} cannot be read ({error})"
            raise ConfigError(path, allowed=broken, hint="is there an unclosed quote?") from None
        if not width:
            begin = "it must begin with a line of column names" if self.header else ""
            raise ConfigError(path, allowed="the file is empty", hint=begin)

    def _columns(self, path: Path, first: list[str]) -> tuple[int, int]:
        text, label = (self._column(path, setting, first) for setting in ("text_column", "label_column"))
        if text == label:
            both = {"task.label_column": self.label_column}
            raise ConfigError(
                "task.text_column", self.text_column, "is the same column", "choose two different columns", others=both
            )
        return text, label

    def _column(self, path: Path, setting: str, first: list[str]) -> int:
        name = getattr(self, setting)
        if isinstance(name, int):
            if name > len(first):
                has = f"{path.name} has {len(first)} columns"
                raise ConfigError(f"task.{setting}", name, has, "set task.delimiter if it has more")
            return name - 1
        if not self.header:
            unnamed = "without a header columns have numbers"
            raise ConfigError(f"task.{setting}", name, unnamed, f"choose 1 to {len(first)}")
        if name not in first:
            lacking = f"{path.name} has no such column"
            raise ConfigError(f"task.{setting}", name, lacking, self._hint(first), choices=_legible(first))
        if first.count(name) > 1:
            several = f"{path.name} has {first.count(name)} columns of this name"
            raise ConfigError(f"task.{setting}", name, several, "rename one, or give its number")
        return first.index(name)

    def _hint(self, first: list[str]) -> str:
        """Return a hint from the first line of a table that lacks a column."""
        if len(first) == 1:
            other = next((word for sign, word in SEPARATORS.items() if sign in first[0]), None)
            return "" if other is None else f"set {other} if that separates its columns"
        return "set task.header=false if its first line is not a header; columns then have numbers"

    def _from_objects(self, path: Path, source: Iterator[str]) -> Iterator[Row]:
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


def _from_lines(source: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(source, start=1):
        if line.strip():
            label, *text = line.strip().split(None, 1)
            yield number, "".join(text), label


def _legible(names: list[str]) -> list[str]:
    """Return names that a terminal can show: a header may be anything."""
    short = [name if len(name) <= 40 else f"{name[:39]}…" for name in names[:50]]
    return [name if name.isprintable() else repr(name) for name in short]
