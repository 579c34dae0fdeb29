"""Committed tables have a checksum: a table edited by hand is rejected."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gradreach.errors import ConfigError
from gradreach.run_table.columns import csv

SEAL = re.compile(rb",([0-9a-f]{64})$", re.MULTILINE)
"""The cell that holds the checksum: the last of the first row."""
UNSEALED = "0" * 64


def sealed(frame: pd.DataFrame, once: Mapping[str, str] | None = None) -> str:
    """Return a table as CSV whose last column, ``checksum``, has one cell: the SHA-256 of the text without that cell.

    Args:
        frame: the table; at least one row.
        once: other columns that have one cell, in the first row.
    """
    once = {**(once or {}), "checksum": UNSEALED}
    cells = {name: pd.Series({0: cell}).reindex(range(len(frame))).to_numpy() for name, cell in once.items()}
    text = csv(frame.assign(**cells))
    return text.replace(UNSEALED, hashlib.sha256(text.replace(UNSEALED, "", 1).encode()).hexdigest(), 1)


def has_seal(data: bytes) -> bool:
    """Return whether a table has a checksum."""
    return data.partition(b"\n")[0].endswith(b",checksum")


def check_seal(path: Path, data: bytes, hint: str) -> None:
    """Refuse a table that was changed after it was written.

    Raises:
        ConfigError: its checksum is another; ``hint`` says what to do.
    """
    seal = SEAL.search(data)
    if seal is None or hashlib.sha256(data[: seal.start(1)] + data[seal.end(1) :]).hexdigest().encode() != seal[1]:
        raise ConfigError(path, allowed="changed after it was written (checksum mismatch)", hint=hint)
