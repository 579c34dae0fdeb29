"""Tasks with answers in files: names of classes, or values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from gradreach.errors import ConfigError
from gradreach.tasks.cache import Prepared
from gradreach.tasks.reading import as_number
from gradreach.tasks.splits import FOLDS, check_shares, draw_splits
from gradreach.tasks.task import Splits, Task, ValueTask, splits_of

LARGEST = float(np.finfo(np.float32).max)


class Answers(NamedTuple):
    """The classes or values of examples as their file spells them, and where they stand, for messages."""

    words: Sequence[str]
    path: Path
    lines: Sequence[int]

    def take(self, index: Iterable[int]) -> "Answers":
        """Return those at an index."""
        index = list(index)
        return Answers([self.words[i] for i in index], self.path, [self.lines[i] for i in index])


@dataclass(kw_only=True)
class FileTask(Task):
    """Classify examples of a file.

    ``prepare`` sets ``prepared``, whose facts hold what ``targets`` tells.

    Attributes, settings of some kinds of task:

    - ``validation_share``, ``test_share``: of the training file, where a split has no file of its own.
    - ``fold``, ``folds``: test on this one of ``folds`` equal parts of the training file, in place of a share.
    """

    validation_share = 0.1
    test_share = 0.2
    fold = cast(int | None, None)
    folds = FOLDS
    examples = "examples"
    """Their name in messages."""
    prepared: Prepared = field(init=False, repr=False, compare=False)

    def splits(self, data_dir: Path) -> Splits:
        """Return the three splits."""
        self.prepare(data_dir)
        return splits_of(self.prepared.arrays())

    def classes(self) -> list[str]:
        """Return the names of the classes."""
        return list(self.prepared.facts["classes"])

    def check_splits(self, *own_files: str) -> None:
        """Refuse shares and folds that cannot be, or that the files of validation or test make useless."""
        for name in own_files:
            self.refuse_unused(f"with a task.{name}_file", f"{name}_share")
        if self.fold is None:
            self.refuse_unused("without a task.fold", "folds")
            drawn = {name: getattr(self, f"{name}_share") for name in ("validation", "test") if name not in own_files}
            check_shares(drawn)
            return
        if "test" in own_files:
            published = "task.test_file already gives the test"
            raise ConfigError("task.fold", self.fold, published, "remove one of them")
        if self.fold >= self.folds:
            most = f"must be below task.folds={self.folds}"
            raise ConfigError("task.fold", self.fold, most, f"choose 0 to {self.folds - 1}")
        self.refuse_unused("with a task.fold", "test_share")

    def refuse_unused(self, why: str, *names: str) -> None:
        """Refuse a setting that is not the default but has no effect: one run has one identity."""
        defaults = {each.name: each.default for each in fields(self)}
        for name in names:
            if (value := getattr(self, name)) != defaults[name]:
                raise ConfigError(f"task.{name}", value, f"has no effect {why}", f"remove task.{name}")

    def draw(self, answers: Mapping[str, Answers], keys: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Return the examples of each split, by their number among those of all files, in order.

        Args:
            answers: of the files there are, in the order of ``Splits``.
            keys: equal for equal examples, of all files.
        """
        index, first = dict[str, np.ndarray](), 0
        for name, some in answers.items():
            index[name] = np.arange(first, first + len(some.words))
            first += len(some.words)
        shares = {"validation": self.validation_share, "test": self.test_share}
        shares = {name: share for name, share in shares.items() if name not in answers}
        own = keys[: len(answers["train"].words)]
        drawn = draw_splits(self.strata(answers["train"]), own, shares, self.data_seed, self.fold, self.folds)
        return {name: (index | drawn)[name] for name in Splits._fields}

    def without_overlap(
        self, answers: Mapping[str, Answers], index: Mapping[str, np.ndarray], keys: Sequence[bytes]
    ) -> tuple[dict[str, np.ndarray], list[Answers], dict[str, Any]]:
        """Remove test examples from validation.

        Args:
            answers, index: as for ``draw``.
            keys: equal where a model is given the same.

        Returns:
            The index, the answers of each split, and as facts how many were taken out and how many are learned from.
        """
        tested, learned = ({keys[i] for i in index[name]} for name in ("test", "train"))
        clean = np.array([i for i in index["validation"] if keys[i] not in tested], dtype=np.int64)
        also_in_test = len(index["validation"]) - len(clean)
        index = {**index, "validation": clean}
        first, parts = (
            dict(zip(answers, np.cumsum([0, *(len(some.words) for some in answers.values())]), strict=False)),
            [],
        )
        for name, numbers in index.items():
            file = name if name in answers else "train"
            parts.append(answers[file].take(numbers - first[file]))
            if not len(numbers):
                of = f", of {len(answers[file].words):,} with {len(set(keys)):,} different ones"
                why = (
                    f" ({also_in_test} of them also stand in the test)" if name == "validation" and also_in_test else of
                )
                none_left = f"no {self.examples} are left for the {name} split{why}"
                raise ConfigError(answers[file].path, allowed=none_left, hint="use a larger file or other shares")
        shared = {name: sum(keys[i] in learned for i in index[name]) for name in Splits._fields[1:]}
        return index, parts, {"also_in_test": also_in_test, "also_in_training": shared}

    def strata(self, answers: Answers) -> np.ndarray:
        """Return the labels by which drawn splits are stratified: ``(n,)``."""
        if len(set(answers.words)) < 2:
            only = f"all {len(answers.words):,} {self.examples} are of class '{answers.words[0][:40]}'"
            raise ConfigError(answers.path, allowed=only, hint="at least two classes are needed")
        return np.array(answers.words)

    def targets(self, parts: Sequence[Answers], named: Sequence[str] = ()) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return each part's targets, and facts of them, ``outputs`` among these; the first part is learned from.

        Args:
            parts: of training, validation and test.
            named: the classes that the file names itself.
        """
        learned = set(parts[0].words)
        classes = list(named) or sorted(learned, key=lambda name: (not name.isdecimal(), name.zfill(20)))
        for part in parts[1:]:
            for word, line in zip(part.words, part.lines, strict=True):
                if word not in learned:
                    raise ConfigError(
                        part.path,
                        allowed=f"line {line}: class '{word[:40]}' does not occur in training ({parts[0].path.name})",
                        hint="remove it, or add training examples of this class",
                    )
        number_of = {name: number for number, name in enumerate(classes)}
        numbers = [np.array([number_of[word] for word in part.words], dtype=np.int64) for part in parts]
        return numbers, {"outputs": len(classes), "classes": classes}


class FileValues(ValueTask):
    """Predict a value.

    Values are brought to mean 0 and standard deviation 1 of the training split, so that an error of 1 is that of always
    answering the mean; ``data.value_mean`` and ``data.value_std`` bring them back.
    """

    def strata(self, answers: Answers) -> np.ndarray:
        """Return zeros: values have no classes that a split could have its share of."""
        _values(answers)
        return np.zeros(len(answers.words), dtype=np.int64)

    def targets(self, parts: Sequence[Answers], named: Sequence[str] = ()) -> tuple[list[np.ndarray], dict[str, Any]]:
        """Return each part's values, scaled, and how."""
        values = list(map(_values, parts))
        mean, deviation = float(values[0].mean()), float(values[0].std())
        scaled = [((some - mean) / (deviation or 1.0)).astype(np.float32) for some in values]
        if np.ptp(scaled[0]) == 0:
            same = f"all {len(values[0]):,} training values are {mean:g}"
            raise ConfigError(parts[0].path, allowed=same, hint="at least two different values are needed")
        return scaled, {"outputs": 1, "value_mean": mean, "value_std": deviation}


def _values(part: Answers) -> np.ndarray:
    return np.array([_value(part, i) for i in range(len(part.words))])


def _value(part: Answers, number: int) -> float:
    word = part.words[number]
    try:
        value = as_number(word)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or abs(value) > LARGEST:
        wrong = f"line {part.lines[number]}: '{word[:40]}' is not a value"
        raise ConfigError(part.path, allowed=wrong, hint="write a finite number such as 0.5")
    return value
