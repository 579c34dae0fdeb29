"""Which committed rows count as done: those made by the present code.

A study can so be made over days and machines: each commits its run table, and takes up the rows of the others. A raw
record decides of its run alone, whatever is committed of it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from gradreach.errors import ConfigError, advise
from gradreach.records import SETTLED
from gradreach.run_table.committed import RESTORE, read_columns, read_runs, rows_of, run_table, run_tables
from gradreach.run_table.compressed import read_table
from gradreach.system.provenance import code_digest

ENDED = (*SETTLED, "failed")
"""Statuses of runs that are taken over from elsewhere; a run interrupted there cannot resume here."""
LONG = ("epochs", "max_steps", "batch_size", "accumulate_grad_batches")
"""The settings of ``trainer`` that determine the length of training."""
NUMBERS = ("multiply_adds", *(f"trainer.{name}" for name in LONG), "seconds")
KEPT = ("run_id", "status", "code", "model", "task", *NUMBERS)


def join(rows: pd.DataFrame, raw: Iterable[Any], name: str) -> pd.Series:
    """Return which committed rows count beside raw records, and report in one line how many others exist.

    A row counts if it is of the present code; and where all raw records are of one older code, if it is of that: a
    change of the code takes no runs out of the tables of a finished study.

    Args:
        rows: of committed run tables, of runs that have no raw record: ``status`` and ``code`` count.
        raw: the code of each raw record, None where it is not known.
        name: of the rows, for that line.
    """
    known = set(raw)
    codes = {code_digest()} | (known if len(known) == 1 and None not in known else set())
    ended = rows["status"].isin(ENDED)
    joined = ended & rows["code"].isin(codes)
    if others := int((ended & ~joined).sum()):
        runs = "1 run that is" if others == 1 else f"{others} runs that are"
        advise(f"{name}: {runs} committed but made by other code: not counted beside the raw records")
    return joined


def rows_beside(raw: pd.DataFrame, tables: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Go through the rows of committed tables that count beside raw records, each run once."""
    known = set(raw["run_id"])
    named = {path: rows for path in tables if (rows := _columns(path)) is not None}
    if not named:
        return
    rows = pd.concat([each.assign(table=str(path)) for path, each in named.items()], ignore_index=True)
    rows = rows[~rows["run_id"].isin(known)]
    rows = rows[join(rows, raw["code"].where(raw["code"].notna(), None), "other experiments")].drop_duplicates("run_id")
    for path, own in rows.groupby("table"):
        whole = read_runs(Path(str(path)))
        yield from rows_of(whole[whole["run_id"].isin(own["run_id"])])


def committed_runs(results_dir: Path, experiment: str | None = None) -> pd.DataFrame:
    """Return what is committed of runs that have ended: one row a run, those of the present code first.

    Args:
        results_dir: the folder of results.
        experiment: only its own table, which alone has beside it the measurements that its page shows; None: of all.

    Returns:
        A frame with ``table``, the file, ``present``, whether the present code made it, and the columns ``KEPT``.

    Raises:
        ConfigError: the experiment's table cannot be used. If all tables are read, an unusable one is skipped with a
            note.
    """
    if experiment is None:
        tables = {path: _columns(path) for path in run_tables(results_dir)}
    else:
        path = run_table(results_dir, experiment)
        tables = {path: _read(path) if path.is_file() else None}
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in (*KEPT, "table")})
    found = [rows.assign(table=str(path)) for path, rows in tables.items() if rows is not None]
    runs = pd.concat(found, ignore_index=True) if found else empty
    runs = runs[runs["status"].isin(ENDED)]
    runs = runs.assign(present=runs["code"] == code_digest()).sort_values("present", ascending=False, kind="stable")
    return runs.drop_duplicates("run_id", ignore_index=True)


def done_elsewhere(results_dir: Path, experiment: str | None = None) -> dict[str, str]:
    """Return the status of the runs that are committed and that the present code made; as ``committed_runs``."""
    runs = committed_runs(results_dir, experiment)
    return dict(zip(*(runs.loc[runs["present"], name] for name in ("run_id", "status")), strict=True))


def committed_note(results_dir: Path, run_id: str) -> str | None:
    """Return a note that a single run about to be executed is already committed by this code, otherwise None."""
    if (results_dir / "runs" / run_id / "record.json").exists():
        return None
    for path in run_tables(results_dir):
        if run_id.encode() in read_table(path, RESTORE) and (rows := _columns(path)) is not None:
            mine = rows[(rows["run_id"] == run_id) & (rows["code"] == code_digest()) & rows["status"].isin(ENDED)]
            if len(mine):
                return (
                    f"{path} already has this run, made by this code ({mine['status'].iloc[0]}); it is run here as well"
                )
    return None


def _read(path: Path) -> pd.DataFrame:
    """Read the needed columns of a table, with the same types in all tables, so that they can be concatenated."""
    rows = read_columns(path, KEPT)
    return rows.assign(**{name: pd.to_numeric(rows[name], errors="coerce").astype(float) for name in NUMBERS})


def _columns(path: Path) -> pd.DataFrame | None:
    """Read the needed columns of one of several tables; a note says why one is skipped."""
    try:
        return _read(path)
    except ConfigError as error:
        advise(f"{error}; until then its runs do not count")
        return None
