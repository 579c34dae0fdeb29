"""A number that a function computes from the results, if no other declaration fits."""

from collections.abc import Callable
from dataclasses import dataclass

from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import Effect
from gradreach.analysis.study.parts import Quantity, Threshold


@dataclass(frozen=True)
class Computed(Quantity):
    """A number that a function computes from the results."""

    compute: Callable[[Results], Effect]

    outcome: str = "mean"

    @property
    def words(self) -> str:
        """The first line of the function's docstring."""
        return (self.compute.__doc__ or self.compute.__name__).strip().splitlines()[0].rstrip(".")

    def check(self, results: Results, part: str) -> None:
        """Nothing is known about a function before it is called."""

    def of(self, results: Results, part: str = "", threshold: Threshold | None = None) -> Effect:
        """Call the function."""
        return self.compute(results)


def by_function(compute: Callable[[Results], Effect], outcome: str = "mean") -> Computed:
    """Declare a number that a function computes from the results, if no other declaration fits.

    Args:
        compute: returns the effect, with an interval that covers ``1 − results.level``.
        outcome: the class of its numbers, see ``value``.
    """
    return Computed(compute, outcome)
