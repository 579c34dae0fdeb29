"""Time series of your own, or of the UCR and UEA archives: ``.ts`` files."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import PositiveInt

from gradreach.errors import ConfigError
from gradreach.tasks.cache import Arrays, Prepared, progress
from gradreach.tasks.reading import advise_of_overlap, lines, locate
from gradreach.tasks.splits import Share, check_shares, grouped_split, keys_of
from gradreach.tasks.task import Shape, Splits, Task, splits_of
from gradreach.tasks.truncate import shorten

MISSING = "write ? where a value is missing"
LARGEST = float(np.finfo(np.float32).max)


@dataclass(kw_only=True)
class TimeSeriesFile(Task):
    """Say which class a series is of; series from ``.ts`` files, several channels, different lengths.

    The format of the UCR and UEA archives (A. Bagnall et al., The UEA multivariate time series classification
    archive, 2018): lines with ``#`` or ``@`` are the head; then one series a line, its channels split by ``:``, the
    values by ``,``, the class last. Missing values (``?``) become the channel's mean.

    - ``file``: training series, absolute or below ``data_dir``; may be packed (``.gz``, ``.xz``).
    - ``test_file``: test series; None: a share of ``file``.
    - ``validation_share``, ``test_share``: of the series of ``file``, drawn with equal shares of every class.
    - ``seq_len``: the most steps a series may have.
    - ``keep``: of longer ones: ``all`` refuses them, ``head`` or ``tail`` or the two halves of ``both`` are kept.
    - ``max_rows``: a larger file is refused, for all series are held in memory.
    - ``normalize``: bring every channel to mean 0 and standard deviation 1, both of the training split.
    - ``data_seed``: draws the splits that the files do not make.
    """

    file: str
    test_file: str | None = None
    validation_share: Share = 0.2
    test_share: Share = 0.2
    keep: Literal["all", "head", "tail", "both"] = "all"
    max_rows: PositiveInt = 1_000_000
    normalize: bool = True

    licence = "that of the files"

    def __post_init__(self) -> None:
        self.source = f"the files given: {', '.join(filter(None, [self.file, self.test_file]))}"
        if self.test_file is None:
            check_shares(self.validation_share, self.test_share)

    def prepare(self, data_dir: Path) -> None:
        """Read the files, where what they hold is not kept already."""
        paths = [locate("task.file", self.file, data_dir)]
        if self.test_file is not None:
            paths.append(locate("task.test_file", self.test_file, data_dir))
        irrelevant = ("file", "test_file", "max_rows")  # the content of files counts
        settings = {name: value for name, value in self.settings().items() if name not in irrelevant}
        self.prepared = Prepared("ts_file", settings, paths, lambda: self._read(paths))
        facts = self.prepared.facts
        self.shape = Shape(
            channels=facts["channels"],
            length=facts["length"],
            outputs=len(facts["classes"]),
            variable_length=facts["variable_length"],
        )
        advise_of_overlap("series", facts["also_in_training"])

    def splits(self, data_dir: Path) -> Splits:
        """Return the three splits."""
        self.prepare(data_dir)
        return splits_of(self.prepared.arrays())

    def facts(self) -> dict[str, Any]:
        """Return the share of series cut and of values missing, and which series stand in two splits.

        ``also_in_test`` were taken out of validation; ``also_in_training`` are as the files have them.
        """
        return {name: self.prepared.facts[name] for name in ("cut", "missing", "also_in_test", "also_in_training")}

    def classes(self) -> list[str]:
        """Return the names that the head of the file gives."""
        return list(self.prepared.facts["classes"])

    def _read(self, paths: list[Path]) -> tuple[Arrays, dict[str, Any]]:
        first, *others = [read_ts(path, self.max_rows) for path in paths]
        series, labels = first.series, np.array([first.classes.index(label) for label in first.labels])
        keys, also_in_test = _keys(series), 0
        if others:
            test = others[0]
            _check_fit(paths, first, test)
            shares: tuple[float, ...] = (1 - self.validation_share, self.validation_share)
            rest, chosen_by = grouped_split(labels, keys, shares, self.data_seed)
            tested = set(_keys(test.series))
            clean = [i for i in chosen_by if keys[i] not in tested]
            also_in_test = len(chosen_by) - len(clean)
            test_labels = np.array([first.classes.index(label) for label in test.labels])
            parts = [_pick(series, labels, rest), _pick(series, labels, clean), (test.series, test_labels)]
        else:
            shares = (1 - self.validation_share - self.test_share, self.validation_share, self.test_share)
            parts = [_pick(series, labels, index) for index in grouped_split(labels, keys, shares, self.data_seed)]
        for name, (some, _) in zip(Splits._fields, parts, strict=True):
            if not some:
                why = f" (the test holds {also_in_test} that it had)" if name == "validation" and also_in_test else ""
                raise ConfigError(
                    paths[0],
                    allowed=f"too few series ({len(series):,}, {len(set(keys)):,} different) for a {name} split{why}",
                    hint="use a larger file",
                )
        learned = set(_keys(parts[0][0]))
        also_in_training = {
            name: sum(one in learned for one in _keys(some))
            for name, (some, _) in zip(Splits._fields[1:], parts[1:], strict=True)
        }
        arrays, facts = self._arrays(paths, parts, first.classes)
        return arrays, {**facts, "also_in_test": also_in_test, "also_in_training": also_in_training}

    def _arrays(
        self, paths: list[Path], parts: list[tuple[list[np.ndarray], Any]], classes: list[str]
    ) -> tuple[Arrays, dict[str, Any]]:
        everything = [one for some, _ in parts for one in some]
        longest = max(len(one) for one in everything)
        too_long = sum(len(one) > self.seq_len for one in everything)
        if too_long and self.keep == "all":
            raise ConfigError(
                "seq_len",
                self.seq_len,
                f"{too_long:,} of {len(everything):,} series in {paths[0].name} are longer, up to {longest} steps",
                f"choose {longest} or more, or task.keep=head, tail or both to cut them",
            )
        missing = sum(int(np.isnan(one).sum()) for one in everything) / max(1, sum(one.size for one in everything))
        parts = [([shorten(one, self.seq_len, self.keep) for one in some], labels) for some, labels in parts]
        length = max(1, min(longest, self.seq_len))
        variable_length = any(len(one) != length for some, _ in parts for one in some)
        learned_from = np.concatenate(parts[0][0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a channel may have no value at all: it becomes zero
            mean = np.nan_to_num(np.nanmean(learned_from, axis=0)) if len(learned_from) else 0.0
            deviation = np.nan_to_num(np.nanstd(learned_from, axis=0)) if len(learned_from) else 1.0
        scale, shift = (np.where(deviation > 0, deviation, 1), mean) if self.normalize else (1.0, 0.0)
        arrays: Arrays = {}
        for name, (some, labels) in zip(Splits._fields, parts, strict=True):
            x = np.zeros((len(some), length, everything[0].shape[1]), dtype=np.float32)
            for row, one in zip(x, some, strict=True):
                row[: len(one)] = (np.where(np.isnan(one), mean, one) - shift) / scale
            arrays |= {f"{name}.x": x, f"{name}.target": labels.astype(np.int64)}
            if variable_length:
                arrays[f"{name}.lengths"] = np.array([len(one) for one in some], dtype=np.int64)
        return arrays, {
            "channels": everything[0].shape[1],
            "length": length,
            "classes": classes,
            "variable_length": variable_length,
            "cut": too_long / len(everything),
            "missing": missing,
        }


class Series(NamedTuple):
    """What a file holds: ``series[i]`` is ``(length, channels)`` float64, NaN where a value is missing.

    - ``lines``: where each was read, for messages.
    """

    series: list[np.ndarray]
    labels: list[str]
    classes: list[str]
    lines: list[int]


def read_ts(path: Path, max_rows: int) -> Series:
    """Read a ``.ts`` file of labelled series, so many at most.

    Raises:
        ConfigError: naming file and line.
    """
    classes: list[str] = []
    series: list[np.ndarray] = []
    labels: list[str] = []
    numbers: list[int] = []
    in_data = False
    with lines(path, "utf-8") as source:
        for number, text in enumerate(progress(source, f"reading {path.name}"), start=1):
            line = text.strip()
            if not line or line.startswith("#"):
                continue
            if not line.startswith("@"):
                if not in_data:
                    before = f"line {number} stands before @data"
                    raise ConfigError(path, allowed=before, hint="is this a .ts file?")
                if len(series) == max_rows:
                    raise ConfigError(
                        path,
                        allowed=f"more than task.max_rows={max_rows:,} series, and all are held in memory",
                        hint="take a sample of the file, or raise task.max_rows",
                    )
                one, label = _series(path, number, line)
                if series and one.shape[1] != series[0].shape[1]:
                    raise ConfigError(
                        path,
                        allowed=f"line {number} has {one.shape[1]} channels, those before have {series[0].shape[1]}",
                        hint="all series must have the same",
                    )
                if classes and label not in classes:
                    unknown = f"line {number}: class '{label}' is not one of {', '.join(classes)}"
                    raise ConfigError(path, allowed=unknown, hint="correct the class, or @classLabel")
                series.append(one)
                labels.append(label)
                numbers.append(number)
                continue
            word, *rest = line.split()
            match word.lower(), [value.lower() for value in rest]:
                case "@data", _:
                    in_data = True
                case "@classlabel", ["true", *_]:
                    classes = rest[1:]
                case "@classlabel" | "@targetlabel", values:
                    if word.lower() == "@targetlabel" and values[:1] != ["true"]:
                        continue
                    without = f"line {number}: these series have no classes"
                    raise ConfigError(path, allowed=without, hint="use a classification set")
                case "@timestamps", ["true", *_]:
                    stamped = f"line {number}: values with time stamps cannot be read"
                    raise ConfigError(path, allowed=stamped, hint="resample the series")
    if not series:
        raise ConfigError(path, allowed="there is no series in this file", hint="is it whole?")
    present = sorted(set(labels))
    if len(present) < 2:
        only = f"all {len(labels)} series are of class '{present[0]}'"
        raise ConfigError(path, allowed=only, hint="there must be at least two classes")
    return Series(series, labels, classes or present, numbers)


def _series(path: Path, number: int, line: str) -> tuple[np.ndarray, str]:
    *channels, label = line.split(":")
    if not channels or not label.strip() or "," in label:
        raise ConfigError(path, allowed=f"line {number} has no class", hint="write values, then ':', then the class")
    values = [list(_values(path, number, channel)) for channel in channels]
    if len({len(channel) for channel in values}) > 1:
        raise ConfigError(path, allowed=f"line {number}: its channels have different lengths", hint="pad them with ?")
    return np.array(values, dtype=np.float64).T, label.strip()


def _values(path: Path, number: int, channel: str) -> Iterator[float]:
    for word in channel.split(",") if channel.strip() else []:
        try:
            value = float("nan") if word.strip() == "?" else float(word)
        except ValueError:
            wrong = f"line {number}: '{word.strip()[:40]}' is not a number"
            raise ConfigError(path, allowed=wrong, hint=MISSING) from None
        if abs(value) > LARGEST:
            raise ConfigError(path, allowed=f"line {number}: {word.strip()[:40]} is too large", hint=MISSING)
        yield value


def _check_fit(paths: list[Path], train: Series, test: Series) -> None:
    if train.series[0].shape[1] != test.series[0].shape[1]:
        own, others = (part.series[0].shape[1] for part in (test, train))
        different = f"its series have {own} channels, those of {paths[0].name} have {others}"
        raise ConfigError(paths[1], allowed=different, hint="give files of the same set")
    known = set(train.labels)
    for label, line in zip(test.labels, test.lines, strict=True):
        if label not in known:
            raise ConfigError(
                paths[1],
                allowed=f"line {line}: class '{label}' does not occur in {paths[0].name}",
                hint="take its series out, or add training series of this class",
            )


def _keys(series: list[np.ndarray]) -> list[bytes]:
    """Return keys that are equal for what is the same to a model, which reads 32 bits a value."""
    return keys_of(one.astype(np.float32) for one in series)


def _pick(
    series: list[np.ndarray], labels: np.ndarray, index: Sequence[int] | np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    return [series[i] for i in index], labels[index]
