"""A published table, from ``conf/published/<name>.yaml``: its source and its cells."""

from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from gradreach.config.components import Settings

PER_CENT = "%"
POINTS = 2.0
"""The largest half-width of an interval of accuracies, in points, for the outcome "within"."""
SHARE = 0.2
"""The same for other numbers: this share of the distance to chance, or to zero if there is no chance level."""


def _printed(value: str | int | float) -> str:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError("must be a number, as printed in the paper") from None
    if not number.is_finite():
        raise ValueError("must be a finite number")
    return str(value)


def half_digit(printed: object) -> float:
    """Return half a unit of a printed number's last digit: its largest rounding error.

    >>> half_digit("0.0204"), half_digit(92.3), half_digit("5.3e-5")
    (5e-05, 0.05, 5e-07)
    """
    exponent = Decimal(str(printed)).as_tuple().exponent
    assert isinstance(exponent, int)
    return 0.5 * 10.0**exponent


Printed = Annotated[str | int | float, AfterValidator(_printed)]
"""A number with the digits that it is printed with; quoted where it ends in a zero behind the first: ``'95.10'``."""
Name = Annotated[str, Field(pattern=r"^\w[\w-]{0,63}$", description="made of letters, digits, '_' and '-'")]
Text = Annotated[str, Field(min_length=1)]
Source = Annotated[
    str,
    Field(
        pattern=r"^(doi:10\.\d{4,}/\S+|arXiv:\d{4}\.\d{4,5}|https://\S+)$",
        description="a DOI (doi:10.…), an arXiv number (arXiv:1803.01271) or an address (https://…)",
    ),
]


class Computation(Settings):
    """A cell that is not trained: a function of ``gradreach.published.computations``, once for each seed.

    - ``draws``: how many seeds; 1 where nothing is drawn, so that the value has no spread.
    """

    function: Name
    arguments: dict[str, Any] = Field(default={})
    draws: Annotated[int, Field(ge=1, le=1000)] = 10


class Cell(Settings):
    """One published number, and what it is compared with.

    - ``dataset``, ``model``: names for people.
    - ``metric``: the column of the run table that is compared, or what a computation calls it; ``test/accuracy/*`` is
      the mean over the test lengths of a run.
    - ``published``: the number, with the digits that it is printed with.
    - ``spread``, ``ddof``: the published standard deviation, and whether it divides by n − 1 (1) or by n (0).
    - ``origin``: where the number is from: ``printed`` by the authors; a ``formula`` of theirs; or what their ``code``
      gives when it is run.
    - ``n``: how many of their runs the number averages; ``runs``: each of them, if published.
    - ``chance``: the value without learning, which diverged and failed runs count as.
    - ``unit``: of the published number; ``%`` turns our accuracies into per cent.
    - ``factor``: multiplies our number, for example if theirs is a mean over more.
    - ``zero``: what is taken off ours before that: with 0.5 and a factor of 2, accuracies of two classes are scaled so
      that chance is 0 and all right is 1.
    - ``widest``: instead of what ``POINTS`` and ``SHARE`` allow: less, never more.
    - ``part``: of ``hydra.sweeper.parts`` or of ``compute``; by default that of the cell's own name.
    - ``minutes``: its estimated cost on one core.
    - ``deviations``: from their protocol, beside those of the whole paper, each with its reason.
    - ``not_comparable``, ``not_run``: why no runs are planned: never, or not yet.
    """

    dataset: Text
    model: Text
    metric: Text
    published: Printed
    origin: Literal["printed", "formula", "code"] = "printed"
    spread: NonNegativeFloat | None = None
    ddof: Annotated[int, Field(ge=0, le=1)] = 1
    n: PositiveInt | None = None
    runs: list[float] = Field(default=[])
    chance: float | None = None
    unit: str = ""
    factor: PositiveFloat = 1.0
    zero: float = 0.0
    widest: PositiveFloat | None = None
    part: Name | None = None
    minutes: NonNegativeFloat | None = None
    deviations: list[Text] = Field(default=[])
    not_comparable: Text | None = None
    not_run: Text | None = None

    @property
    def value(self) -> float:
        """The published number."""
        return float(self.published)

    @property
    def half_digit(self) -> float:
        """Half a unit of its last printed digit."""
        return half_digit(self.published)

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a share of right answers: such intervals are judged in points, and end where shares do."""
        return "accuracy" in self.metric

    @property
    def usual(self) -> float:
        """The largest half-width of an interval for the outcome "within" where the paper's file says nothing else."""
        points = POINTS / 100 * self.scale
        return points if self.is_accuracy else SHARE * abs(self.value - (self.chance or 0.0))

    @property
    def allowed(self) -> float:
        """The largest half-width of an interval for the outcome "within"."""
        return min(self.usual, self.widest or self.usual)

    @property
    def scale(self) -> float:
        """The factor that brings our numbers to the unit of the published one."""
        return self.factor * (100.0 if self.unit == PER_CENT else 1.0)

    def ours(self, measured: float) -> float:
        """Return our measurement in the unit of the published number."""
        return (measured - self.zero) * self.scale

    @property
    def planned(self) -> bool:
        """Whether it has to be run or computed."""
        return self.not_comparable is None and self.not_run is None

    @field_validator("runs")
    @classmethod
    def _are_what_is_published(cls, runs: list[float], info: ValidationInfo) -> list[float]:
        if runs and not all(map(isfinite, runs)):
            raise ValueError("must be finite")
        mean, printed = sum(runs) / len(runs) if runs else 0.0, info.data.get("published")
        if runs and printed is not None and abs(mean - float(printed)) > half_digit(printed) * (1 + 1e-9):
            raise ValueError(f"must have the published mean, {printed}, but has {mean:g}")
        if runs and info.data.get("n") not in (None, len(runs)):
            raise ValueError(f"must have n = {info.data['n']} entries")
        return runs

    @field_validator("not_run")
    @classmethod
    def _is_one_of_two(cls, why: str | None, info: ValidationInfo) -> str | None:
        if why is not None and info.data.get("not_comparable") is not None:
            raise ValueError("must not be combined with not_comparable")
        return why


class Trial(Settings):
    """A cell once more with one thing changed, to explain a miss; it is no cell, and counts as none.

    - ``cell``: whose number it stands beside.
    - ``tried``: what is changed.
    - ``metric``, ``part``, ``minutes``: as of a cell; by default its metric, and the part of the trial's own name.
    """

    cell: Name
    tried: Text
    metric: Text | None = None
    part: Name | None = None
    minutes: NonNegativeFloat | None = None


class Paper(Settings):
    """A paper whose numbers are reproduced: ``published`` in ``conf/published/<name>.yaml``.

    - ``where``: in which table, figure or file of theirs the numbers stand.
    - ``deviations``: from their protocol, of all cells, each with its reason.
    - ``notes``: what else was found, such as why one is missed.
    - ``files``: data that are not downloaded: the path below ``data_dir``, and where to get it.
    - ``trials``: what was tried to explain misses.
    """

    title: Text
    authors: Text
    year: Annotated[int, Field(ge=1900, le=2100)]
    source: Source
    code: Source | None = None
    where: Text
    deviations: list[Text] = Field(default=[])
    notes: list[Text] = Field(default=[])
    compute: dict[Name, Computation] = Field(default={})
    cells: Annotated[dict[Name, Cell], Field(min_length=1)]
    trials: dict[Name, Trial] = Field(default={})
    files: dict[Text, Text] = Field(default={})

    @property
    def tried(self) -> dict[str, Cell]:
        """The trials, each as the cell that it is a variant of."""
        return {
            name: self.cells[trial.cell].model_copy(
                update={
                    "metric": trial.metric or self.cells[trial.cell].metric,
                    "part": trial.part or name,
                    "minutes": trial.minutes,
                }
            )
            for name, trial in self.trials.items()
        }

    def asked(self, cells: Collection[str] | None = None) -> dict[str, Cell]:
        """Return cells by name, all or some, with the trials of them."""
        own = {name: cell for name, cell in self.cells.items() if cells is None or name in cells}
        return own | {name: cell for name, cell in self.tried.items() if self.trials[name].cell in own}

    def part_of(self, name: str) -> str:
        """Return the part that the numbers of a cell or of a trial come from."""
        return (self.cells[name] if name in self.cells else self.trials[name]).part or name

    @property
    def trains(self) -> bool:
        """Whether a planned cell needs training."""
        return any(cell.planned and self.part_of(name) not in self.compute for name, cell in self.asked().items())

    @field_validator("trials")
    @classmethod
    def _are_of_cells(cls, trials: dict[str, Trial], info: ValidationInfo) -> dict[str, Trial]:
        cells = info.data.get("cells", {})
        for name, trial in trials.items():
            if cells and trial.cell not in cells:
                raise ValueError(f"{name}: there is no cell {trial.cell}")
            if name in cells:
                raise ValueError(f"{name} is the name of a cell")
        return trials
