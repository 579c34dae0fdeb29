"""Time series of your own, or of the UCR and UEA archives."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveInt
from scipy.interpolate import make_interp_spline
from torch import Tensor

from gradreach.errors import ConfigError
from gradreach.tasks.answers import Answers, FileTask, FileValues
from gradreach.tasks.cache import Arrays, Prepared
from gradreach.tasks.reading import advise_of_overlap, locate, suffix_of
from gradreach.tasks.series import Answer, read_series
from gradreach.tasks.splits import FOLDS, Fold, Folds, HoldOut, Share, keys_of, keys_of_given
from gradreach.tasks.task import Shape, check_memory, squared_error
from gradreach.tasks.truncate import shorten

Kind = Literal["cross_entropy", "squared_error"]
# what came later and is not used is not part of the identity: runs of before it keep theirs
Criterion = Annotated[Kind, Field(exclude_if=lambda criterion: criterion == "cross_entropy")]


@dataclass(kw_only=True)
class TimeSeriesFile(FileTask):
    """Classify series from ``.ts`` and ``.tsv`` files, with several channels and different lengths.

    The formats of the UCR and UEA archives (A. Bagnall et al., The UEA multivariate time series classification
    archive, 2018). ``.ts``: lines with ``@`` are the head; then one series a line, its channels split by ``:``, the
    values by ``,``, the class last. ``.tsv``: one channel, the class first. Missing values (``?`` or ``NaN``) become
    the channel's mean; steps at the end that no channel has a value of are not steps.

    - ``file``: training series, absolute or below ``data_dir``; may be packed (``.gz``, ``.xz``).
    - ``test_file``: test series; None: a share of ``file``.
    - ``validation_share``, ``test_share``: of the series of ``file``, drawn with equal shares of every class.
    - ``fold``, ``folds``: test on this one of ``folds`` equal parts of ``file``, in place of a share.
    - ``seq_len``: the most steps a series may have.
    - ``keep``: of longer ones: ``all`` refuses them, ``head`` or ``tail`` or the two halves of ``both`` are kept.
    - ``max_rows``: a larger file is refused, for all series are held in memory.
    - ``stretch``: bring every series to ``seq_len`` steps, by a cubic spline through its own; ``keep`` is then unused.
    - ``hold_out``: keep validation out of training; without it all of ``file`` is learned from, as where a test set is
      all that is published, and validation, which has been seen then, must choose nothing.
    - ``normalize``: bring every channel to mean 0 and standard deviation 1, both of the training split.
    - ``criterion``: the loss of training: ``cross_entropy``, or the ``squared_error`` of sigmoids, as of Time-CNN.
    - ``data_seed``: draws the splits that the files do not make.
    """

    file: str
    test_file: str | None = None
    validation_share: Share = 0.2
    test_share: Share = 0.2
    keep: Literal["all", "head", "tail", "both"] = "all"
    max_rows: PositiveInt = 1_000_000
    normalize: bool = True
    fold: Fold = None
    folds: Folds = FOLDS
    stretch: Annotated[bool, Field(exclude_if=lambda stretched: stretched is False)] = False
    hold_out: HoldOut = True
    criterion: Criterion = "cross_entropy"

    licence = "that of the files"
    examples = "series"
    answer: ClassVar[Answer] = "class"

    def __post_init__(self) -> None:
        self.source = f"the files given: {', '.join(filter(None, [self.file, self.test_file]))}"
        self.check_splits(*([] if self.test_file is None else ["test"]))
        if self.stretch:
            self.refuse_unused("with task.stretch", "keep")

    def prepare(self, data_dir: Path) -> None:
        """Read the files, unless their content is cached."""
        paths = [locate("task.file", self.file, data_dir)]
        if self.test_file is not None:
            paths.append(locate("task.test_file", self.test_file, data_dir))
        irrelevant = ("file", "test_file", "max_rows", "criterion")  # the content of files counts
        settings = {name: value for name, value in self.settings().items() if name not in irrelevant}
        settings["suffixes"] = [suffix_of(path) for path in paths]
        self.prepared = Prepared(f"ts_{self.answer}", settings, paths, lambda: self._make(paths))
        facts = self.prepared.facts
        self.shape = Shape(
            channels=facts["channels"],
            length=facts["length"],
            outputs=facts["outputs"],
            variable_length=facts["variable_length"],
        )
        advise_of_overlap("series", facts["also_in_training"])

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return each example's loss by ``criterion``: ``(batch, classes), (batch,) -> (batch,)``."""
        return squared_error(logits, target) if self.criterion == "squared_error" else super().loss(logits, target)

    def facts(self) -> dict[str, Any]:
        """Return the share of series cut and of values missing, how many had padding, and which stand in two splits.

        ``padded`` counts the series that ended in steps without any value, which were taken off; ``also_in_test`` those
        that were taken out of validation; ``also_in_training`` are as the files have them.
        """
        names = ("cut", "missing", "padded", "also_in_test", "also_in_training", "value_mean", "value_std")
        return {name: self.prepared.facts[name] for name in names if name in self.prepared.facts}

    def _make(self, paths: list[Path]) -> tuple[Arrays, dict[str, Any]]:
        read = [read_series(path, self.max_rows, self.answer) for path in paths]
        names = ("train", "test")[: len(paths)]
        answers = {n: Answers(each.answers, path, each.lines) for n, each, path in zip(names, read, paths, strict=True)}
        whole = [one for each in read for one in each.series]
        channels = [each.series[0].shape[1] for each in read]
        if len(set(channels)) > 1:
            different = f"its series have {channels[1]} channels, but those of {paths[0].name} have {channels[0]}"
            raise ConfigError(paths[1], allowed=different, hint="give files of the same data set")
        if self.stretch:
            cut, too_long = [stretched(one, self.seq_len, answers["train"].path) for one in whole], 0
        else:
            cut, too_long = self._cut(whole, paths[0])
        # equal is what a model is given; by training's scale it is told apart once it is known what training is
        own = len(read[0].series)
        alike = keys_of(_scaling(cut[:own], self.normalize)(one) for one in cut[:own])
        keys = keys_of_given(keys_of(one.astype(np.float32) for one in whole[:own]), alike)
        index = self.draw(answers, keys)
        if not self.hold_out:
            index["train"] = np.concatenate([index["train"], index["validation"]])
        scaled = list(map(_scaling([cut[i] for i in index["train"]], self.normalize), cut))
        index, parts, shared = self.without_overlap(answers, index, keys_of(scaled))
        if not self.hold_out:
            shared["also_in_training"]["validation"] = 0  # it is meant to
        targets, told = self.targets(parts, read[0].classes)
        drawn = np.concatenate(list(index.values()))
        length = max(1, *(len(scaled[i]) for i in drawn))
        variable_length = any(len(scaled[i]) != length for i in drawn)
        check_memory(len(drawn), length, channels[0])
        arrays: Arrays = {}
        for (name, numbers), target in zip(index.items(), targets, strict=True):
            x = np.zeros((len(numbers), length, channels[0]), dtype=np.float32)
            for row, i in zip(x, numbers, strict=True):
                row[: len(scaled[i])] = scaled[i]
            arrays |= {f"{name}.x": x, f"{name}.target": target}
            if variable_length:
                arrays[f"{name}.lengths"] = np.array([len(scaled[i]) for i in numbers], dtype=np.int64)
        return arrays, {
            **told,
            **shared,
            "channels": channels[0],
            "length": length,
            "variable_length": variable_length,
            "cut": too_long / len(whole),
            "missing": sum(int(np.isnan(one).sum()) for one in whole) / max(1, sum(one.size for one in whole)),
            "padded": sum(each.padded for each in read),
        }

    def _cut(self, series: list[np.ndarray], path: Path) -> tuple[list[np.ndarray], int]:
        """Return what is kept of each series, and how many were too long."""
        too_long = sum(len(one) > self.seq_len for one in series)
        if too_long and self.keep == "all":
            longest = max(len(one) for one in series)
            raise ConfigError(
                "seq_len",
                self.seq_len,
                f"{too_long:,} of {len(series):,} series in {path.name} are longer, up to {longest} steps",
                f"choose {longest} or more, or task.keep=head, tail or both to cut them",
            )
        return [shorten(one, self.seq_len, self.keep) for one in series], too_long


@dataclass(kw_only=True)
class TimeSeriesValues(FileValues, TimeSeriesFile):
    """Predict the value that belongs to a series; otherwise as ``task=ts_file``.

    The format is that of the regression archive of C. W. Tan et al., Time series extrinsic regression, 2021: ``.ts``
    with ``@targetLabel true``, the value last; or ``.tsv``, the value first. Values are brought to mean 0 and standard
    deviation 1 of the training split: an error of 1 is that of always answering the mean.
    """

    answer: ClassVar[Answer] = "value"
    criterion: Criterion = field(default="squared_error", init=False, repr=False, compare=False)


def stretched(series: np.ndarray, length: int, path: Path) -> np.ndarray:
    """Return a series ``(steps, channels)`` at ``length`` evenly spaced places, from its first step to its last.

    Between them goes a cubic spline, that of ``scipy.interpolate.interp1d(kind="cubic")``.

    Args:
        series: without missing values.
        length: steps wanted.
        path: of its file, for messages.

    Raises:
        ConfigError: it has values missing, or fewer than four steps.

    >>> stretched(np.array([[0.0], [1.0], [4.0], [9.0]]), 7, Path("x.ts"))[:, 0].round(6).tolist()
    [0.0, 0.25, 1.0, 2.25, 4.0, 6.25, 9.0]
    """
    steps = len(series)
    if steps < 4 or np.isnan(series).any():
        wrong = (
            "a series has missing values" if steps >= 4 else f"a series has {steps} steps, but a cubic spline needs 4"
        )
        raise ConfigError("task.stretch", True, f"{path.name}: {wrong}", "set task.stretch=false")
    spline = make_interp_spline(np.arange(steps), series, k=3)
    values: np.ndarray = spline(np.linspace(0, steps - 1, length))
    return values


def _scaling(learned_from: list[np.ndarray], normalize: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Return what makes of a series ``(length, channels)`` what a model is given: float32, by the scale of these."""
    steps = np.concatenate(learned_from) if learned_from else np.zeros((0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a channel may have no value at all: it becomes zero
        mean = np.nan_to_num(np.nanmean(steps, axis=0))
        deviation = np.nan_to_num(np.nanstd(steps, axis=0))
    scale, shift = (np.where(deviation > 0, deviation, 1), mean) if normalize else (1.0, 0.0)
    return lambda one: ((np.where(np.isnan(one), mean, one) - shift) / scale).astype(np.float32)
