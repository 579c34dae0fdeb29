"""Names of an experiment's architectures, columns and cells, and how keys are written."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gradreach.rounding import number
from gradreach.run_table.columns import in_words

CELLS = (
    "Cells: mean over seeds ± half-width of its 95 % interval (Student's t), or [both ends] where it is cut at what is "
    "possible. How many seeds count, (2/3), is said where some planned one has no value; –: none has."
)


def named(runs: pd.DataFrame, settings: Mapping[str, str], base: str = "model") -> pd.Series:
    """Name each run by its model and by the settings that it has.

    Args:
        runs: the run table.
        settings: columns and how they are written, as in ``{"model.forget_bias": "b={:g}"}``; what a run does not
            have, or has as ``none``, ``default`` or False, is left out.
        base: the column that begins the name.
    """
    names = in_words(runs[[base]])[base]
    for column, form in settings.items():
        if column in runs:
            names += [_part(value, form) for value in runs[column].tolist()]
    return names


def _part(value: object, form: str) -> str:
    absent = value is None or value is pd.NA or value != value or value is False or str(value) in ("none", "default")
    if absent:
        return ""
    return " " + form.format(int(value) if isinstance(value, float) and value.is_integer() else value)


def plain(value: Any) -> str:
    """Return a key as text: a dash if it is missing, whole numbers without a decimal point even as floats."""
    if pd.isna(value):
        return "–"
    if isinstance(value, float):
        return number(value, ".0f" if value.is_integer() else "")
    return str(value).replace("-", "−") if isinstance(value, int | np.integer) else str(value)
