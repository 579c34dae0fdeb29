"""What tables, figures and rules are given."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd


def _nothing() -> pd.DataFrame:
    return pd.DataFrame()


@dataclass(frozen=True)
class Results:
    """The runs of an experiment, and what was measured in them; docs/results.md tells every column.

    - ``runs``: one row a planned run, those not done included; ``architecture`` names what differs between models.
    - ``read_profiles``, ``read_history``: called when the long tables are first asked for, which is never where no
      table, figure or rule needs them. What was asked for is committed beside the results.

    Made-up results, for a test: ``Results(pd.DataFrame(...))``.
    """

    runs: pd.DataFrame
    read_profiles: Callable[[], pd.DataFrame] = _nothing
    read_history: Callable[[], pd.DataFrame] = _nothing

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """The gradient profiles, one row for each run, stage, layer, direction, quantity and lag."""
        return self.read_profiles()

    @cached_property
    def history(self) -> pd.DataFrame:
        """The figures of every epoch: ``run_id``, ``epoch``, and a column for each figure."""
        return self.read_history()

    @property
    def finished(self) -> pd.DataFrame:
        """The rows of ``runs`` that came to an end."""
        return self.runs[self.runs["status"] == "finished"]
