"""Time series in files: the ``.ts`` of the UCR and UEA archives, and UCR's own ``.tsv``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from gradreach.errors import ConfigError
from gradreach.tasks.cache import progress
from gradreach.tasks.reading import as_number, lines, suffix_of

MISSING = "write ? where a value is missing"
LARGEST = float(np.finfo(np.float32).max)
COMMENTS = ("#", "%")

Answer = Literal["class", "value"]


Claims = dict[str, tuple[int, list[str]]]
"""What words of the head say, in small letters, and in which line."""


class Series(NamedTuple):
    """What a file holds: ``series[i]`` is ``(length, channels)`` float64, NaN where a value is missing.

    Steps at the end that no channel has a value of are not steps: many files are padded so to one length.

    - ``answers``: the class or the value of each, as the file spells it.
    - ``classes``: the classes that the head names; none where it names none.
    - ``lines``: where each was read, for messages.
    - ``padded``: how many series had such steps at their end.
    """

    series: list[np.ndarray]
    answers: list[str]
    classes: list[str]
    lines: list[int]
    padded: int


def read_series(path: Path, max_rows: int, answer: Answer = "class") -> Series:
    """Read a file of labelled series, up to a limit.

    A ``.ts`` file has a head of lines that begin with ``@``, then one series a line: its channels split by ``:``, their
    values by ``,``, the class or value last. A ``.tsv`` file has no head and one channel: the class or value first,
    then the values, split by tabs. Lines that begin with ``#`` or ``%`` are comments.

    Raises:
        ConfigError: naming file and line.
    """
    table = suffix_of(path) == ".tsv"
    claims: Claims = {}
    found = Series([], [], [], [], 0)
    with lines(path, "utf-8") as source:
        numbered = _content(enumerate(progress(source, f"reading {path.name}"), start=1))
        if not table:
            claims = _head(path, numbered, answer)
            found.classes.extend(claims.pop("@classlabel", (0, []))[1])
        for number, line in numbered:
            if len(found.series) == max_rows:
                raise ConfigError(
                    path,
                    allowed=f"more than task.max_rows={max_rows:,} series, all of which are held in memory",
                    hint="take a sample of the file, or raise task.max_rows",
                )
            channels, label = _from_table(path, number, line) if table else _from_ts(path, number, line)
            _check_claims(path, number, channels, claims)
            if "@serieslength" not in claims and claims.get("@equallength", (0, []))[1] == ["true"]:
                claims["@equallength"] = number, [str(len(channels))]  # the first says how long all are
            one = _without_padding(channels)
            _check_row(path, number, one, label, found)
            found.series.append(one)
            found.answers.append(label)
            found.lines.append(number)
            found = found._replace(padded=found.padded + (len(one) < len(channels)))
    if not found.series:
        raise ConfigError(path, allowed="this file has no series", hint="is it complete?")
    return found


def _content(numbered: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Pass over blank lines and comments."""
    for number, line in numbered:
        stripped = line.strip(" \r\n")
        if stripped.strip() and not stripped.startswith(COMMENTS):
            yield number, stripped


def _head(path: Path, numbered: Iterator[tuple[int, str]], answer: Answer) -> Claims:
    """Read up to ``@data``; return the classes, and what the head says of all series."""
    claims: Claims = {}
    for number, line in numbered:
        if not line.startswith("@"):
            before = f"line {number} stands before @data"
            raise ConfigError(path, allowed=before, hint="is this a .ts file? (UCR's own are named .tsv)")
        word, *rest = line.split()
        match word.lower(), [value.lower() for value in rest], answer:
            case "@data", _, _:
                break
            case "@classlabel", ["true", *_], "value":
                labelled = f"line {number}: these series have classes, not values"
                raise ConfigError(path, allowed=labelled, hint="use task=ts_file")
            case "@classlabel", ["true", *_], _:
                claims["@classlabel"] = number, rest[1:]
            case ("@classlabel", _, "class") | ("@targetlabel", ["true", *_], "class"):
                without = f"line {number}: these series have no classes"
                raise ConfigError(path, allowed=without, hint="use task=ts_values if they have values")
            case "@timestamps", ["true", *_], _:
                stamped = f"line {number}: values with time stamps cannot be read"
                raise ConfigError(path, allowed=stamped, hint="resample the series")
            case ("@dimensions" | "@univariate" | "@equallength" | "@serieslength") as claim, [said, *_], _:
                claims[claim] = number, [said]
    if claims.get("@equallength", (0, ["true"]))[1] != ["true"]:
        del claims["@equallength"]
        claims.pop("@serieslength", None)  # then it is that of the longest, or of none
    return claims


def _check_claims(path: Path, number: int, series: np.ndarray, claims: Claims) -> None:
    """Refuse a series that contradicts the header; its length includes padding."""
    length, channels = series.shape
    for claim, (line, (said, *_)) in claims.items():
        match claim, said:
            case "@dimensions", _:
                holds, found = said == str(channels), f"{channels} channels"
            case "@univariate", "true":
                holds, said, found = channels == 1, "1", f"{channels} channels"
            case "@equallength", "true":
                continue
            case "@serieslength" | "@equallength", _:
                holds, found = said == str(length), f"{length} steps"
            case _:
                continue
        if not holds:
            told = f"line {number} has {found}, but by line {line} ({claim}) it must have {said}"
            raise ConfigError(path, allowed=told, hint="correct the series, or the header")


def _from_ts(path: Path, number: int, line: str) -> tuple[np.ndarray, str]:
    *channels, label = line.split(":")
    if not channels or not label.strip() or "," in label:
        hint = "write values, then ':', then the class or value"
        raise ConfigError(path, allowed=f"line {number} has no class", hint=hint)
    values = [list(_values(path, number, channel.split(",") if channel.strip() else [])) for channel in channels]
    if len({len(channel) for channel in values}) > 1:
        different = f"line {number}: its channels have different lengths"
        raise ConfigError(path, allowed=different, hint="fill the shorter ones with ?, which means missing")
    return np.array(values, dtype=np.float64).T, label.strip()


def _from_table(path: Path, number: int, line: str) -> tuple[np.ndarray, str]:
    label, *words = line.split("\t")
    if not label.strip() or not words:
        raise ConfigError(path, allowed=f"line {number} has no values after a class", hint="separate them with tabs")
    return np.array([list(_values(path, number, words))], dtype=np.float64).T, label.strip()


def _values(path: Path, number: int, words: list[str]) -> Iterator[float]:
    for word in words:
        try:
            value = float("nan") if word.strip() == "?" else as_number(word)
        except ValueError:
            wrong = f"line {number}: '{word.strip()[:40]}' is not a number"
            raise ConfigError(path, allowed=wrong, hint=MISSING) from None
        if abs(value) > LARGEST:
            raise ConfigError(path, allowed=f"line {number}: {word.strip()[:40]} is too large", hint=MISSING)
        yield value


def _without_padding(series: np.ndarray) -> np.ndarray:
    held = np.flatnonzero(~np.isnan(series).all(axis=1))
    return series[: held[-1] + 1 if len(held) else 0]


def _check_row(path: Path, number: int, series: np.ndarray, label: str, before: Series) -> None:
    """Refuse a series that does not fit those before it, or the head."""
    if before.series and series.shape[1] != before.series[0].shape[1]:
        raise ConfigError(
            path,
            allowed=f"line {number} has {series.shape[1]} channels, earlier lines have {before.series[0].shape[1]}",
            hint="all series must have the same number",
        )
    if before.classes and label not in before.classes:
        unknown = f"line {number}: class '{label[:40]}' is not one of {', '.join(before.classes[:20])}"
        raise ConfigError(path, allowed=unknown, hint="correct the class, or @classLabel")
