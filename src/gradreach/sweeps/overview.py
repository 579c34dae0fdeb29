"""The state of all studies, one line each: planned, done and left, and the core-hours left."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from omegaconf import OmegaConf

from gradreach.config import parse, plain
from gradreach.errors import ConfigError, first_line
from gradreach.records import SETTLED, RecordStore
from gradreach.run_table.columns import GROUP_NAMES, MISSING, in_words
from gradreach.run_table.committed import planned_ids, read_runs, run_table, stored_cells, sweep_digest
from gradreach.sweeps.status import composing, core_hours, costed, expected_seconds, planned, standing, timed, together
from gradreach.system.provenance import code_digest

COUNTS = ("planned", "done", "left", "seconds_left", "unknown")
QUICK = "_quick"


def studies(conf_dir: Path) -> list[str]:
    """Return the names of all sweeps, without their quick forms."""
    return sorted(path.stem for path in (conf_dir / "experiment").glob("*.yaml") if not path.stem.endswith(QUICK))


def overview(names: Sequence[str], overrides: Sequence[str], conf_dir: Path) -> pd.DataFrame:
    """Return one row a study: ``study``, ``planned``, ``done``, ``left``, ``seconds_left``, ``unknown``, ``error``.

    Seconds are estimated from a study's own runs, or if it has none from other studies; for ``unknown`` runs there is
    no estimate. Nothing is downloaded: if a study cannot be planned because data are missing, that is its ``error``.

    Args:
        names: of the studies.
        overrides: for all of them, as on the command line of a sweep.
        conf_dir: the folder of configurations.
    """
    from rich.console import Console

    from gradreach.tasks.download import without_download

    found: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
    errors: dict[str, str] = {}
    with Console(stderr=True).status("") as progress, without_download():
        for name in names:
            progress.update(f"planning {name}")
            try:
                found[name] = _standing(name, overrides, conf_dir)
            except ConfigError as error:
                if error.setting == "results_dir":  # of all of them
                    raise
                errors[name] = first_line(error)
    everything = together([known for _, known in found.values()]) if found else pd.DataFrame()
    return pd.DataFrame(
        [
            {"study": name, **_counts(*found[name], everything), "error": None}
            if name in found
            else {"study": name, **dict.fromkeys(COUNTS, 0), "error": errors[name]}
            for name in names
        ]
    )


def _counts(runs: pd.DataFrame, own: pd.DataFrame, everything: pd.DataFrame) -> dict[str, float]:
    left = runs[~runs["status"].isin(SETTLED)]
    seconds = expected_seconds(left, own if len(own) else everything)
    counts = (len(runs), len(runs) - len(left), len(left), round(float(seconds.sum()), 1), int(seconds.isna().sum()))
    return dict(zip(COUNTS, counts, strict=True))


def show_overview(lines: pd.DataFrame) -> None:
    """Print an overview, its sum, and below it why a study could not be planned."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("study", box=SIMPLE_HEAD, pad_edge=False)
    for head in ("planned", "done", "left"):
        table.add_column(head, justify="right")
    table.add_column("core-hours left")
    lacking = lines.loc[lines["error"].notna(), "study"].tolist()
    name = f"all except {', '.join(lacking)}" if lacking else "all"
    total = {"study": name, "error": None, **lines[list(COUNTS)].sum().to_dict()}
    for line in [*lines.to_dict("records"), *([total] if len(lines) > 1 else [])]:
        left = core_hours(line["seconds_left"], int(line["left"]), int(line["unknown"]))
        counts = [str(int(line[name])) for name in COUNTS[:3]]
        if isinstance(line["error"], str):  # beside texts pandas 3 makes None NaN
            counts, left = ["–"] * 3, "cannot be planned"
        table.add_row(*map(escape, (line["study"], *counts, left)))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for line in lines[lines["error"].notna()].to_dict("records"):
        console.print(f"{line['study']}: {line['error']}", markup=False)


def _standing(name: str, overrides: Sequence[str], conf_dir: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how each run of a study stands, and the runs by which the time of others is reckoned.

    To compose all runs takes 10 ms for each, and needs their data. A run table that was planned from the same sweep
    does without, where it knows of every run, or of one like it, what it costs. Where its runs have another identity
    by now, all of them are left to do.
    """
    path = run_table(Path(str(OmegaConf.select(OmegaConf.load(conf_dir / "config.yaml"), "results_dir"))), name)
    if not overrides and path.is_file() and (current := _is_current(path, name, conf_dir)) is not None:
        runs, known = _from_plan(path)
        if runs["cost"].notna().all():
            return (runs if current else runs.assign(status=MISSING)), known
    return standing(planned([f"experiment={name}", *overrides], conf_dir))


def _is_current(path: Path, name: str, conf_dir: Path) -> bool | None:
    """Return whether a run table holds the runs that would be planned now; None where it is of another sweep.

    It is of another too where it has another number of runs: that of a pilot has some of the seeds. Settings of the
    chosen files, and how runs are identified, may have changed since it was planned: one run of each choice tells.
    """
    if stored_cells(path).get("sweep") not in {sweep_digest(name, conf_dir)} - {None}:
        return None
    known = set(planned_ids(path))
    with composing([name], conf_dir) as (jobs, compose):
        if len(jobs) != len(known):
            return None
        chosen = {tuple(text for text in job if text.partition("=")[0] in GROUP_NAMES): job for job in reversed(jobs)}
        return {parse(plain(compose(job)))[0].run_id for job in chosen.values()} <= known


def _from_plan(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the same from a run table and the records beside it; what a run costs is told by its other seeds."""
    table, store = read_runs(path), RecordStore(path.parent.parent / "runs")
    present = table["code"] == code_digest()
    for column in ("multiply_adds", "seconds"):
        held = table.get(column, pd.Series(math.nan, index=table.index))
        table[column] = held.to_numpy(dtype=float, na_value=math.nan)
    for place, run_id in enumerate(table["run_id"]):
        if (record := store.read(run_id)) is not None:
            present[place] = True
            table.loc[place, "status"] = store.status_of(record)
            for column in ("multiply_adds", "seconds"):
                table.loc[place, column] = record.get(column, math.nan)
    settings = [column for column in map(str, table) if column.startswith(("task.", "model."))]
    alike = in_words(table[settings]).agg("|".join, axis=1)
    table["multiply_adds"] = table["multiply_adds"].groupby(alike).transform("max")
    runs = costed(table)
    return runs.assign(status=runs["status"].where(present, MISSING)), timed(runs)
