"""The times behind a part on speed, measured by ``gradreach time`` side by side in one process."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from gradreach.analysis.results import Results, Where
from gradreach.analysis.study.comparison import Comparison
from gradreach.analysis.study.of_runs import Beside
from gradreach.analysis.study.selection import Over, check_closed, selector
from gradreach.run_table.times import step_settings

Direction = Literal["forward", "backward", "step"]


@dataclass(frozen=True, kw_only=True)
class TimeRatio(Comparison):
    """The ratio of two step times, round by round."""

    kernels: Literal["torch", "compiled"] = "torch"
    clock: Literal["cpu", "wall"] = "cpu"
    paired_by: tuple[str, ...] = ("round",)
    ratio: bool = True
    outcome: str = "rounds"

    @property
    def _keys(self) -> list[str]:
        """Nothing distinguishes the runs of one seed: a network is timed once."""
        return []

    def timed(self, results: Results, part: str) -> list[pd.DataFrame]:
        """Return the runs of either side, which are of one configuration.

        Raises:
            ConfigError: a selector leaves a setting open that was swept.
        """
        for side in self._sides():
            check_closed(results, self._meant(side), (), part or self.words)
        return [results.where(self._meant(side)).runs for side in self._sides()]

    def nothing(self, results: Results) -> str:
        """Say how to measure the times."""
        return f"not timed: run gradreach time {results.name}"

    def _cells(self, results: Results, side: Where, part: str) -> pd.DataFrame:
        """Return the times of one side: a row a round; of a network without compiled loops those of torch's layers."""
        check_closed(results, self._meant(side), (), part or self.words)
        direction = self.metric.removeprefix("time/")
        settings = set(step_settings(results.where(self._meant(side)).runs))
        times = results.times[results.times["setting"].isin(settings)]
        mine = times[times["kernels"] == self.kernels]
        mine = times[times["kernels"] == "torch"] if mine.empty else mine
        return pd.DataFrame(
            {
                "round": mine["round"],
                "seed": 0,
                "value": mine[f"{direction}_{self.clock}"].astype(float),
                "counts": True,
            }
        )


def time_ratio(
    a: str | Where,
    b: str | Where,
    *,
    direction: Direction = "step",
    kernels: Literal["torch", "compiled"] = "torch",
    clock: Literal["cpu", "wall"] = "cpu",
    where: Where | None = None,
    each: Over = None,
    label: str = "",
    beside: Beside | None = None,
) -> TimeRatio:
    """Declare the time of ``a`` ÷ the time of ``b`` on a CPU, with one thread, in processor seconds.

    ``gradreach time`` measures all that the parts of a claim compare so, in turn, in one process; a pair is a round.
    Seeds and learning rates make no difference to it, so the first run of either side stands for all.

    Args:
        a: which runs, as for ``value``.
        b: compared with which.
        direction: ``forward`` (the loss), ``backward`` (its gradient), or ``step`` (both, and moving the weights).
        kernels: ``torch``: its own layers, as a claim on architectures asks; ``compiled``: loops of ours where there
            are such.
        clock: ``cpu``, seconds of the processor, which other work on the machine disturbs least; or ``wall``.
        where: what both sides share.
        each: settings of which every value makes a part of its own.
        label: its name for people.
        beside: what else is shown beside the number.

    >>> time_ratio("gru", "lstm", direction="forward", where={"task": "recall"}).below(1).rule
    'time/forward, gru ÷ lstm, recall: below 1'
    """
    return TimeRatio(
        a=selector(a),
        b=selector(b),
        metric=f"time/{direction}",
        kernels=kernels,
        clock=clock,
        where=where or {},
        each=each,
        label=label,
        beside=beside or {},
    )
