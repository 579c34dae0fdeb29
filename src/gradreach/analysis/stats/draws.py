"""One seed is one draw: the mean of its runs, or NaN if one of them has no number."""

from collections.abc import Sequence

import pandas as pd


def draws(
    values: pd.Series, keys: pd.Series | Sequence[pd.Series], counts: pd.Series | None = None, *, sort: bool = True
) -> pd.Series:
    """Return the mean of each seed.

    A seed with a run without a number has none either: means over different runs would not be comparable between seeds.
    Runs that do not count are left out, such as those that lack what the study needs.

    Args:
        values: one a run; NaN where it has no number, as it failed, or diverged where neither end is worse.
        keys: the seed of each run, or several columns that tell draws apart.
        counts: which runs count; by default all.
        sort: whether draws come in the order of their keys, or of their first run.

    Returns:
        NaN where a run that counts has no number, and where none counts.

    >>> seed = pd.Series([0, 0, 1, 1])
    >>> draws(pd.Series([1.0, 2.0, 3.0, np.nan]), seed).tolist()
    [1.5, nan]
    >>> draws(pd.Series([1.0, 2.0, 3.0, np.nan]), seed, pd.Series([True, True, True, False])).tolist()
    [1.5, 3.0]
    """
    counts = pd.Series(True, index=values.index) if counts is None else counts.astype(bool)
    by = [keys] if isinstance(keys, pd.Series) else list(keys)
    means = values.where(counts).groupby(by, sort=sort, dropna=False).mean()
    return means.mask((counts & values.isna()).groupby(by, sort=sort, dropna=False).any())
