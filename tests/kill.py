"""A sweep under fire: drivers and workers are sent signals at random until every run is done."""

import json
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gradreach.records import SETTLED, RecordStore
from gradreach.system.files import alive
from project import PROJECT


def start(line: list[str], results: Path) -> "subprocess.Popen[bytes]":
    """Start a sweep in a session of its own, so that its workers can be told from all others."""
    command = [sys.executable, str(PROJECT / "run.py"), "-m", *line, f"results_dir={results}", "tracking=off"]
    with (results.parent / "output.txt").open("ab") as output:
        return subprocess.Popen(command, cwd=results.parent, stdout=output, stderr=output, start_new_session=True)


def members(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def working(results: Path) -> list[int]:
    """Return the processes that do a run just now."""
    found = []
    for path in results.glob("runs/*/record.json"):
        record = json.loads(path.read_text())
        if record["status"] == "running" and alive(record["host"]["process"]):
            found.append(record["host"]["process"])
    return found


SHOTS = {"SIGKILL": 4, "SIGTERM": 2, "SIGINT": 1, "SIGHUP": 1, "SIGSTOP": 2}
"""What a process may be sent, and how often; one that is stopped goes on after a while."""
PAUSES = (0.1, 2.0)
"""Between which numbers of seconds there are from one shot to the next, and for which a process is stopped."""
AT_WORK = 0.75
"""How many shots wait until a run is under way: a sweep that is always shot at while it starts never gets there."""


def under_fire(line: list[str], results: Path, kills: int, seed: int, drivers: int = 2) -> Counter[str]:
    """Shoot at drivers and workers this many times, restart what has died, then let the sweep end.

    Once a run has settled its record must stay as it is: nothing is done twice.

    Returns:
        How many shots there were of each kind, how many ``drivers`` were started, and how many shots came ``late``:
        after all runs had settled.
    """
    chance = random.Random(seed)
    running = [start(line, results) for _ in range(drivers)]
    counts, settled = Counter({"drivers": drivers}), dict[str, bytes]()
    while sum(counts[shot] for shot in SHOTS) < kills:
        time.sleep(chance.uniform(*PAUSES))
        for number, driver in enumerate(running):
            if driver.poll() is not None:
                for straggler in members(driver.pid):  # workers of a killed driver end by themselves, but not at once
                    send(straggler, "SIGKILL")
                running[number] = start(line, results)
                counts["drivers"] += 1
        driver = chance.choice(running)
        workers = at_work(results, driver) if chance.random() < AT_WORK else []
        victim = chance.choice([*workers, *workers, driver.pid])
        (shot,) = chance.choices(list(SHOTS), list(SHOTS.values()))
        if shot in ("SIGINT", "SIGHUP") and victim == driver.pid:
            victim = -victim  # a terminal sends these to all that was started from it
        if send(victim, shot):
            counts[shot] += 1
            counts["late"] += all_settled(results, settled)
        if shot == "SIGSTOP":
            time.sleep(chance.uniform(*PAUSES))
            send(victim, "SIGCONT")
    for driver in running:
        driver.wait(timeout=600)
        for straggler in members(driver.pid):
            send(straggler, "SIGKILL")
    last = start(line, results)
    assert last.wait(timeout=900) == 0, (results.parent / "output.txt").read_text()[-2000:]
    assert all_settled(results, settled)
    return counts


def at_work(results: Path, driver: "subprocess.Popen[bytes]") -> list[int]:
    """Wait for workers of a sweep that do a run, while it goes on; return them."""
    deadline = time.monotonic() + 30
    while driver.poll() is None and time.monotonic() < deadline:
        if workers := [process for process in working(results) if process in members(driver.pid)]:
            return workers
        time.sleep(0.05)
    return []


def send(process: int, shot: str) -> bool:
    """Send a signal to a process, or to the group whose number is negative; return whether there was any."""
    try:
        os.kill(process, signal.Signals[shot])
    except ProcessLookupError:
        return False
    return True


def all_settled(results: Path, settled: dict[str, bytes]) -> bool:
    """Take up the records of runs that have settled; none that had may have changed. Return whether all have."""
    everyone = True
    for path in results.glob("runs/*/record.json"):
        content = path.read_bytes()
        if json.loads(content)["status"] in SETTLED:
            assert settled.setdefault(path.parent.name, content) == content, f"{path.parent.name} was done twice"
        else:
            everyone = False
            assert path.parent.name not in settled, f"{path.parent.name} was lost"
    return everyone and bool(settled)


@contextmanager
def bystander(results: Path, run_ids: Iterable[str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that has nothing to do with a sweep, but whose number stands in records of runs that have died."""
    store, drivers = RecordStore(results / "runs"), [{}, {"driver": "dead"}]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        for number, run_id in enumerate(run_ids):
            host = {"name": platform.node(), "process": process.pid, **drivers[number % 2]}
            store.write({"run_id": run_id, "config": {}, "label": "dead", "status": "running", "host": host})
        try:
            yield process
        finally:
            process.kill()


def results_of(results: Path) -> dict[str, Any]:
    """Return what every run yielded, without what a clock or a process id has to say of it."""
    store = RecordStore(results / "runs")
    found = {}
    for path in sorted(store.root.glob("*/record.json")):
        record = json.loads(path.read_text())
        profile = store.read_profile(record["run_id"])
        history = (path.parent / "history.csv").read_text().splitlines()
        epochs = [line.rsplit(",", 1)[0] for line in history]  # the last column is the time
        arrays = {name: values.tobytes() for name, values in profile.items()}
        kept = ("status", "metrics", "best_epoch", "steps", "parameters", "config")
        found[record["run_id"]] = ({key: record[key] for key in kept}, epochs, arrays)
    return found


def leftovers(results: Path) -> list[Path]:
    """Return temporary files, locks and checkpoints."""
    patterns = ("**/*.tmp", "runs/.claims/*", "runs/*/checkpoint.ckpt", "runs/.quarantine/*")
    return [path for pattern in patterns for path in results.glob(pattern)]
