"""When a claim is decided: after which seeds, and at which error level for each part."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradreach.analysis.stats.statistics import LEVEL
from gradreach.errors import ConfigError
from gradreach.run_table.committed import CONFIRMATORY


@dataclass(frozen=True)
class Looks:
    """The looks at the runs of a sweep.

    - ``parts``: how many parts of the claim rest on runs; they and the looks share the error of 5 % (Bonferroni).
    - ``seeds``: of each look, all that it has seen, which are the first of those that were planned; none where the
      sweep has pilot seeds alone, which decide nothing.
    - ``numbers``: with how many seeds is looked, planned or done; of pilots, too, which are judged as strictly as the
      runs that decide will be.

    >>> looks = looks_of(2, [12, 18], range(100, 118))
    >>> round(looks.level, 5), [len(seeds) for seeds in looks.seeds]
    (0.0125, [12, 18])
    >>> looks_of(2, [12, 18], []).level == looks.level
    True
    """

    parts: int
    seeds: tuple[tuple[int, ...], ...] = ()
    numbers: tuple[int, ...] = ()

    @property
    def level(self) -> float:
        """α of each part at each look."""
        return LEVEL / (max(self.parts, 1) * max(len(self.numbers), 1))


def confirmatory(seeds: Iterable[int]) -> list[int]:
    """Return the seeds that decide, in ascending order."""
    return sorted({int(seed) for seed in seeds if seed >= CONFIRMATORY})


def planned_seeds(seeds: Iterable[int], stored: Mapping[str, Any] | None) -> list[int]:
    """Return the seeds that decide: those of the first plan that had any; without a stored one, those there are."""
    return confirmatory(stored["seeds"]) if stored is not None else confirmatory(seeds)


def looks_of(parts: int, numbers: Sequence[int], seeds: Iterable[int]) -> Looks:
    """Return the looks at a sweep.

    Args:
        parts: how many parts rest on runs.
        numbers: with how many seeds is looked; none: once, with all.
        seeds: that are planned and decide, in ascending order.

    Raises:
        ConfigError: the last look is not at all of them.
    """
    planned = list(seeds)
    if not planned:
        return Looks(parts, numbers=tuple(numbers))
    numbers = list(numbers) or [len(planned)]
    if numbers[-1] != len(planned):
        hint = f"plan seeds {CONFIRMATORY} to {CONFIRMATORY + numbers[-1] - 1}, or end looks by {len(planned)}"
        raise ConfigError("looks", numbers, f"must end with the number of planned seeds, {len(planned)}", hint)
    return Looks(parts, tuple(tuple(planned[:number]) for number in numbers), tuple(numbers))
