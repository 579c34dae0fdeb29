"""A sweep under fire: drivers and workers are killed at random until every run is done."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gradreach.records import RecordStore
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


def under_fire(line: list[str], results: Path, kills: int, seed: int, drivers: int = 2) -> int:
    """Kill until that many have been killed, then let the sweep end; return how many drivers were started."""
    chance = random.Random(seed)
    running = [start(line, results) for _ in range(drivers)]
    started, killed = drivers, 0
    while killed < kills:
        time.sleep(chance.uniform(0.1, 3.0))
        for number, driver in enumerate(running):
            if driver.poll() is not None:
                for straggler in members(driver.pid):  # workers of a killed driver end by themselves, but not at once
                    kill(straggler)
                running[number], started = start(line, results), started + 1
        driver = chance.choice(running)
        victims = [p for p in working(results) if p in members(driver.pid)] or [driver.pid]
        victim = driver.pid if chance.random() < 0.25 else chance.choice(victims)
        killed += kill(victim)
    for driver in running:
        driver.wait(timeout=600)
        for straggler in members(driver.pid):
            kill(straggler)
    last = start(line, results)
    assert last.wait(timeout=900) == 0, (results.parent / "output.txt").read_text()[-2000:]
    return started + 1


def kill(process: int) -> bool:
    """Kill without warning; return whether there was anything to kill."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


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
