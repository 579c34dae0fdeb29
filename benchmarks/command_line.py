"""What the commands cost before any training: start-up, memory, tables of many records."""

import json
import shutil
from pathlib import Path

import numpy as np

from benchmarks.loop import Setting
from benchmarks.measure import PROJECT, Row, call, median_row
from gradreach.config import RunConfig
from gradreach.records import RecordStore, sealed
from gradreach.run_table.committed import read_runs, run_table, write_runs

COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "python run.py --help": ([str(PROJECT / "run.py"), "--help"], 1.0),
    "gradreach --help": (["-m", "gradreach", "--help"], 1.0),
    "python run.py --cfg job": ([str(PROJECT / "run.py"), "--cfg", "job"], None),
    "python -c 'import torch'": (["-c", "import torch"], None),
}

TABLES = {10_000: (5.0, 1024.0), 100_000: (20.0, 2048.0)}
"""Seconds and MiB that ``gradreach tables`` may take of so many records, once there is an index of them."""


def start_up(folder: Path, rounds: int) -> list[Row]:
    """Measure start-up in turn; the median leaves out the first time, when the disk's cache is cold."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, (arguments, _) in COMMANDS.items():
            seconds[name].append(call(*arguments, folder=folder).seconds)
    return [median_row("start-up", name, seconds[name], "s", budget=budget) for name, (_, budget) in COMMANDS.items()]


def memory(folder: Path) -> list[Row]:
    """Measure the peak of a process's own memory: one run, and the same by hand."""
    setting = Setting("lstm", width=64, seq_len=128, epochs=1)
    by_hand = call("-m", "benchmarks.loop", json.dumps([vars(setting)]), folder=folder).memory
    here = f"results_dir={folder / 'memory'}"
    run = call(str(PROJECT / "run.py"), here, *setting.overrides(), folder=folder).memory
    return [
        Row("peak memory", "one lstm run, all on", run, "MiB"),
        Row("peak memory", "the same loop by hand", by_hand, "MiB"),
    ]


def tables(folder: Path, records: int) -> list[Row]:
    """Measure ``gradreach tables`` over copies of one finished quickstart run, each with a seed of its own.

    At first there is no index of the records, then there is one, then one record has changed.
    """
    results = folder / f"records-{records}"
    line = ["-m", "experiment=quickstart", "model=lstm", "seq_len=64", "kernel_size=3", "seed=0"]
    call(str(PROJECT / "run.py"), *line, "trainer.epochs=1", f"results_dir={results}", folder=folder)
    store = RecordStore(results / "runs")
    (original,) = (store.read(path.parent.name) for path in store.root.glob("*/record.json"))
    assert original is not None
    run_ids = []
    for seed in range(records):
        run = RunConfig.model_validate({**original["config"], "seed": seed})
        run_ids.append(run.run_id)
        if run.run_id != original["run_id"]:
            shutil.copytree(store.folder(original["run_id"]), store.folder(run.run_id))
            record = {**original, "run_id": run.run_id, "config": run.canonical()}
            (store.folder(run.run_id) / "record.json").write_text(sealed(record), encoding="utf-8")
    table = run_table(results, "quickstart")
    plan = read_runs(table).loc[np.zeros(records, int)].assign(run_id=run_ids, seed=range(records))
    write_runs(table, plan)
    shutil.copytree(PROJECT / "experiments", folder / "experiments", dirs_exist_ok=True)
    command = ["-m", "gradreach", "tables", "quickstart", "--results-dir", str(results)]
    first, again = (call(*command, folder=folder) for _ in range(2))
    (store.folder(original["run_id"]) / "record.json").touch()
    changed = call(*command, folder=folder)
    ad_hoc = call("-m", "gradreach", "table", "--results-dir", str(results), folder=folder)
    case = f"{records:,} records"
    seconds, memory = TABLES.get(records, (None, None))
    rows = []
    for state, made in {"no index": first, "an index": again, "an index, one run changed": changed}.items():
        known = made is not first
        rows += [
            Row("gradreach tables", f"{case}, {state}", made.seconds, "s", budget=seconds if known else None),
            Row("gradreach tables", f"{case}, {state}, peak memory", made.memory, "MiB", budget=memory),
        ]
    return [*rows, Row("gradreach table", f"{case}, no profiles", ad_hoc.seconds, "s")]
