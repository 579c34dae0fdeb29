"""What the commands cost before and beside any training: start-up, planning, runs that are done, tables of many."""

import json
import os
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from benchmarks.budgets import FINISHED, HELP, MET, PLANNING, SINGLE, STATUS, TABLES, TABLES_AGAIN
from benchmarks.loop import Setting
from benchmarks.measure import PROJECT, Patience, Race, Row, Spent, call, median_row
from benchmarks.throughput import RUN_PY
from gradreach.compose import Composer, all_jobs
from gradreach.config import RunConfig
from gradreach.records import RecordStore, sealed
from gradreach.run_table.committed import read_runs, run_table, write_runs
from gradreach.sweeps.plan import plan

ONE = ["model=lstm", "seq_len=64", "kernel_size=3", "trainer.epochs=1"]
"""Runs that only the seed tells apart."""
COMMANDS = {
    "python run.py --help": (HELP, [RUN_PY, "--help"]),
    "gradreach --help": (HELP, ["-m", "gradreach", "--help"]),
    "python run.py --cfg job": ("start-up", [RUN_PY, "--cfg", "job"]),
    "python -c 'import torch'": ("start-up", ["-c", "import torch"]),
    "python -c 'import pytorch_lightning'": ("start-up", ["-c", "import pytorch_lightning"]),
}


def start_up(folder: Path, patience: Patience) -> list[Row]:
    """Measure the start of commands, and a finished run that is asked for alone."""
    line = [RUN_PY, *ONE, "seed=0", f"results_dir={folder / 'met'}"]
    call(*line, folder=folder)
    done = {**COMMANDS, "alone, start-up included": (MET, line)}
    race = Race({case: partial(call, *arguments, folder=folder) for case, (_, arguments) in done.items()})

    def rows() -> list[Row]:
        return [median_row(what, case, race.cpu[case], "s", race.wall[case]) for case, (what, _) in done.items()]

    race.round()  # with the disk's cache cold
    for times in (*race.wall.values(), *race.cpu.values()):
        times.clear()
    return patience.measure(race.round, rows)


def single_run(folder: Path, patience: Patience) -> list[Row]:
    """Measure one command, from its start to its end, against lightning-hydra-template's for the same job."""
    ours, theirs = "gradreach", "lightning-hydra-template"
    line = [RUN_PY, *Setting("lstm").overrides(), "force=true", f"results_dir={folder / 'single'}"]

    def run(*more: str) -> Spent:
        return call(*line, *more, folder=folder)

    plain = "gradreach, diagnostics and tracking off"
    race = Race(
        {
            theirs: partial(call, str(PROJECT / "benchmarks/peer.py"), folder=folder),
            ours: run,
            plain: partial(run, "diagnostics=off", "tracking=off"),
        }
    )
    case = "lstm on digits, 15 epochs"

    def rows() -> list[Row]:
        return [
            race.ratio(SINGLE, case, ours, theirs),
            race.ratio(SINGLE.replace("included", "included, all off"), case, plain, theirs),
            *(median_row("one command", f"{case}, {name}", race.cpu[name], "s", race.wall[name]) for name in race.cpu),
        ]

    return patience.measure(race.round, rows)


def planning(patience: Patience, runs: int = 500) -> list[Row]:
    """Measure what a sweep pays for each run before the first starts: composed, validated, checked."""
    taken: list[float] = []

    def once() -> None:
        with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
            master = compose("config", overrides=["experiment=digits"], return_hydra_config=True)
            loader = GlobalHydra.instance().config_loader()
            start = time.process_time()
            jobs = all_jobs(loader, master, ["model=rnn,lstm,gru,cnn", "seq_len=64", f"seed=range(0,{runs // 4})"])
            planned = plan(jobs, Composer(loader, master).compose)
            taken.append(1000 * (time.process_time() - start) / len(jobs))
        assert len(planned) >= runs

    return patience.measure(once, lambda: [median_row(PLANNING, f"of {runs}", taken, "ms")])


LINKS = 30_000
"""How many names a file is given; ext4 allows 65,000."""


def finished_runs(folder: Path, runs: int) -> tuple[Path, list[str]]:
    """Make as many finished runs as if a sweep had done them: copies of one, each with a seed of its own.

    Returns:
        Where they are, and the line that would do the sweep.
    """
    results = folder / f"finished-{runs}"
    line = [RUN_PY, "-m", "experiment=digits", *ONE, f"results_dir={results}"]
    call(*line, "seed=0", folder=folder)
    store = RecordStore(results / "runs")
    (original,) = (store.read(path.parent.name) for path in store.root.glob("*/record.json"))
    assert original is not None
    run_ids, source = [], store.folder(original["run_id"])
    for seed in range(runs):
        run = RunConfig.model_validate({**original["config"], "seed": seed})
        run_ids.append(run.run_id)
        if run.run_id != original["run_id"]:
            anew = seed % LINKS == 0
            shutil.copytree(source, store.folder(run.run_id), copy_function=shutil.copy2 if anew else os.link)
            source = store.folder(run.run_id) if anew else source
            record = {**original, "run_id": run.run_id, "config": run.canonical()}
            (store.folder(run.run_id) / "record.json").unlink()
            (store.folder(run.run_id) / "record.json").write_text(sealed(record), encoding="utf-8")
    table = run_table(results, "digits")
    write_runs(table, read_runs(table).loc[np.zeros(runs, int)].assign(run_id=run_ids, seed=range(runs)))
    shutil.copytree(PROJECT / "experiments", folder / "experiments", dirs_exist_ok=True)
    shutil.copytree(PROJECT / "conf", folder / "conf", dirs_exist_ok=True)
    return results, [*line, f"seed=range(0,{runs})"]


def finished_sweeps(folder: Path, sizes: tuple[int, ...] = (10, 100, 1000)) -> list[Row]:
    """Measure sweeps that have nothing left to do, and what each run adds to them."""
    spent = {}
    for runs in sizes:
        _, line = finished_runs(folder, runs)
        call(*line, folder=folder)  # summarized once, the sweep is as it stays
        spent[runs] = call(*line, folder=folder)
    few, many = spent[sizes[0]], spent[sizes[-1]]
    more = sizes[-1] - sizes[0]
    note = f"between {sizes[0]} and {sizes[-1]:,} runs"
    by_clock = (many.wall - few.wall) / more
    return [
        Row(MET, "in a sweep", (many.cpu - few.cpu) / more, "s", wall=by_clock, note=note),
        *(Row(FINISHED, f"{n:,} runs", s.cpu, "s", wall=s.wall) for n, s in spent.items()),
    ]


def many_records(folder: Path, records: int, states: bool) -> list[Row]:
    """Measure tables of many records, and where ``states`` says so, the state of the sweep and its resumption."""
    results, line = finished_runs(folder, records)
    rows = []
    if states:
        for case, arguments in {
            "gradreach status": ["-m", "gradreach", "status", "digits", *line[3:]],
            "the same line again": line,
        }.items():
            call(*arguments, folder=folder)
            spent = call(*arguments, folder=folder)
            rows.append(Row(STATUS, case, spent.cpu, "s", wall=spent.wall))
    tables = ["-m", "gradreach", "tables", "digits", "--results-dir", str(results)]
    first, again = (call(*tables, folder=folder) for _ in range(2))
    next((results / "runs").glob("*/record.json")).touch()
    changed = call(*tables, folder=folder)
    case = f"{records:,} records"
    shutil.rmtree(results)
    return [
        *rows,
        Row(TABLES, case, first.cpu, "s", wall=first.wall),
        Row(TABLES, f"{case}, memory", first.memory, "MiB"),
        Row(TABLES_AGAIN, case, again.cpu, "s", wall=again.wall),
        Row(TABLES_AGAIN, f"{case}, memory", again.memory, "MiB"),
        Row(TABLES_AGAIN, f"{case}, one changed", changed.cpu, "s", wall=changed.wall),
    ]


def memory(folder: Path, epochs: int = 3) -> list[Row]:
    """Measure the most memory that a process holds: the loop, one run, and a worker of a sweep of eight."""
    settings = [Setting("lstm", width=64, seq_len=128, epochs=epochs, seed=seed) for seed in range(8)]
    by_hand = ["-m", "benchmarks.loop"]
    one = [RUN_PY, f"results_dir={folder / 'memory'}", *settings[0].overrides()]
    sweep = [RUN_PY, "-m", f"results_dir={folder / 'memory'}", *settings[0].overrides(), "seed=range(1,9)"]
    cases = {
        "the loop, one run": [*by_hand, json.dumps([vars(settings[0])])],
        "the loop, eight runs": [*by_hand, json.dumps([vars(setting) for setting in settings])],
        "one run, all on": one,
        "a worker after eight runs": [*sweep, "hydra/launcher=basic"],
    }
    rows = []
    for case, line in cases.items():
        rows.append(Row("memory's high-water mark", case, call(*line, folder=folder).memory, "MiB"))
    return rows
