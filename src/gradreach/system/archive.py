"""Tables in one file: an npz archive of structured arrays, without objects, of a size known in advance."""

import io
import zipfile
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MOST = 2**31
"""The largest unpacked table in bytes: a small archive can hold a large one."""


def packed(tables: "Mapping[str, pd.DataFrame]") -> bytes:
    """Return tables as an archive."""
    arrays: Any = {name: _structured(table) for name, table in tables.items()}
    np.savez_compressed(archive := io.BytesIO(), **arrays)
    return archive.getvalue()


def columns_of(data: bytes, table: str) -> dict[str, np.ndarray]:
    """Return the columns of a table in an archive, empty if it is not there.

    Raises:
        ValueError: it is not such an archive, or its table is too large or holds objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _columns(archive, table)
    except Exception as error:  # an archive that nobody of us wrote raises whatever it likes
        raise ValueError(str(error) or type(error).__name__) from None


def _columns(archive: zipfile.ZipFile, table: str) -> dict[str, np.ndarray]:
    sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
    owners = {name: name.rpartition("/") for name in sizes}
    held = [name for name, (owner, _, _) in owners.items() if name == table or (owner or "profile") == table]
    whole = table in sizes
    if (size := sum(sizes[name] for name in ([table] if whole else held))) > MOST:
        raise ValueError(f"{table} has {size:,} bytes, more than {MOST:,}")
    if whole:
        rows = _array(archive.read(f"{table}.npy"))
        return {name: rows[name] for name in rows.dtype.names or ()}
    arrays = {owners[name][2]: _array(archive.read(f"{name}.npy")) for name in held}  # one a column: version 1
    return {name: array for name, array in arrays.items() if array.dtype.names is None}


def _array(data: bytes) -> np.ndarray:
    """Read a one-dimensional array as numpy saves it; its own reader parses the same header ten thousand times."""
    size = 10 + int.from_bytes(data[8:10], "little")  # version 1 of the format, which all short headers have
    return np.frombuffer(data, _kind(data[:size]), offset=size)


@cache
def _kind(header: bytes) -> np.dtype:
    file = io.BytesIO(header)
    np.lib.format.read_magic(file)
    kind = np.lib.format.read_array_header_1_0(file)[2]
    if any(each.kind not in "biufU" for each in (kind[name] for name in kind.names or ())) or kind.hasobject:
        raise ValueError(f"it holds {kind}, not numbers or text")
    return kind


def _structured(table: "pd.DataFrame") -> np.ndarray:
    """Return a table as one array, which is faster to read for ten thousand runs."""
    # text is stored as fixed-width unicode: an array of Python objects would need a pickle
    columns = {str(name): table[name].to_numpy() for name in table}
    columns = {name: held.astype("U") if held.dtype == object else held for name, held in columns.items()}
    rows = np.empty(len(table), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        rows[name] = column
    return rows
