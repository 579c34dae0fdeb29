"""An ad-hoc table: ``gradreach table --rows model --columns seq_len --value test/accuracy``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api.types import is_string_dtype

from gradreach.analysis.naming import CELLS
from gradreach.analysis.order import natural
from gradreach.analysis.results import has, selected
from gradreach.analysis.tables.specification import Measure, Table
from gradreach.config.validation import NUMBER
from gradreach.errors import ConfigError, advise, value_text
from gradreach.run_table.columns import GROUPS, in_words

MIXED = (
    "Cells mix runs of different settings ({settings}): runs of one seed count with their mean; separate them "
    "with --rows, --columns or --where."
)
DEFAULT = ("model", "seq_len")
"""The default keys of rows and columns."""
PER_CENT = ("accuracy", "closed", "open")


def table(
    runs: pd.DataFrame,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[str],
    best: Literal["max", "min"] | None = None,
) -> Table:
    """Check a request against the existing runs, and warn about keys that do not vary.

    Raises:
        ConfigError: there are no runs, a key or a metric is named twice or does not exist, a metric is not a number, or
            the best is asked for among cells that mix settings.
    """
    if runs.empty:
        hint = "make some with python run.py, or relax --where"
        raise ConfigError("table", allowed="there are no runs to show", hint=hint)
    if not rows:
        raise ConfigError("rows", allowed="empty", hint="name one or more keys, such as --rows model,kernel_size")
    asked = Counter([*rows, *columns, *values])
    twice = [name for name, count in asked.items() if count > 1]
    if twice:
        again = "named twice in --rows, --columns and --value"
        raise ConfigError(", ".join(twice), allowed=again, hint="name each once")
    for key in (*rows, *columns):
        if key not in runs:
            keys = [str(column) for column in runs if "/" not in str(column)]
            raise ConfigError(key, allowed="there is no such key", choices=keys)
        distinct = runs[key].unique()
        if len(distinct) == 1:
            advise(f"{key} does not vary: it is {distinct[0]} in all {len(runs)} runs")
    for value in values:
        if is_string_dtype(has(runs, value).dtype):
            raise ConfigError(value, allowed="is text, not a number", hint="give it to --rows or --columns")
    settings = mixed(runs, [*rows, *columns])
    if settings and best:
        mix = f"cells mix runs of different settings ({settings}), so no best can be marked"
        raise ConfigError("best", best, mix, "separate them with --rows, --columns or --where")
    return Table(
        "table",
        f"{', '.join(values)} of {runs['run_id'].nunique()} runs.",
        " ".join([CELLS, *([MIXED.format(settings=settings)] if settings else [])]),
        tuple(_measure(runs, value, best) for value in values),
        rows=tuple(rows),
        columns=tuple(columns),
    )


def mixed(runs: pd.DataFrame, keys: Sequence[str]) -> str:
    """Name the first few settings that vary within a cell; empty if only the seed does."""
    settings = ["task", "model", *(key for key in map(str, runs) if key.startswith(GROUPS) and "._" not in key)]
    cells = in_words(runs[[*dict.fromkeys([*settings, *keys])]]).groupby(list(keys), sort=False)
    values = cells[[key for key in settings if key not in keys]].nunique()
    vary = [str(key) for key in values if values[key].max() > 1]
    others = [key for key in vary if not key.endswith(".name")]
    return ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")


def _measure(runs: pd.DataFrame, value: str, best: Literal["max", "min"] | None) -> Measure:
    """Show shares in per cent, other values with as many digits as distinguish them."""
    if value.endswith(PER_CENT):
        return Measure(value, f"{value} %", scale=100, best=best, limits=(0.0, 100.0))
    numbers = runs[value].to_numpy(dtype=float, na_value=np.nan)
    typical = np.median(np.abs(numbers[np.isfinite(numbers)])) if np.isfinite(numbers).any() else 0.0
    digits = int(np.clip(2 - np.floor(np.log10(typical)), 0, 6)) if typical > 0 else 2
    return Measure(value, value, digits=digits, best=best)


def keys_of(rows: str | None, columns: str | None) -> tuple[list[str], list[str]]:
    """Return the keys of rows and of columns; by default those that the other leaves.

    >>> keys_of(None, None), keys_of("seq_len", None), keys_of(None, "model")
    ((['model'], ['seq_len']), (['seq_len'], []), (['seq_len'], ['model']))
    """
    asked = [None if text is None else [k.strip() for k in text.split(",") if k.strip()] for text in (rows, columns)]
    below, beside = asked
    if below is None:
        below = [next(key for key in (*DEFAULT, "task") if key not in (beside or ()))]
    if beside is None:
        beside = [DEFAULT[1]] if DEFAULT[1] not in below else []
    return below, beside


def narrowed(runs: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Return the runs selected by ``key=value`` or ``key=value,value``, with values as on a run's command line.

    Raises:
        ConfigError: a condition is malformed, its key does not exist, or no run has the value.
    """
    for condition in conditions:
        key, sign, texts = condition.partition("=")
        if not sign:
            raise ConfigError("where", condition, "must be key=value or key=value,value")
        column = runs[key] if key in runs else has(runs, key)
        values = sorted(column.dropna().unique().tolist(), key=natural)
        known = {value_text(value): value for value in [*([None] if column.isna().any() else []), *values]}
        runs = selected(runs, {key: [_meant(key, text.strip(), known) for text in texts.split(",")]})
    return runs


def _meant(key: str, text: str, known: Mapping[str, Any]) -> Any:
    """Return the value of a text: 1e-2 is 0.01, True is true."""
    for each in (text, text.lower()):
        if each in known:
            return known[each]
    if NUMBER.fullmatch(text):  # else it is not a number on a run's own line either
        for value in known.values():
            if isinstance(value, int | float) and not isinstance(value, bool) and value == float(text):
                return value
    raise ConfigError(f"where {key}", text, "no run has this", choices=list(known))
