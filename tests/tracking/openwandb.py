"""A server that speaks W&B's protocol, for tests: the package openwandb, in a folder of its own.

Its licence allows no commercial use, so nobody installs it with gradreach: ``make openwandb`` puts it into
``.venv/openwandb``. It knows neither groups nor job types, nor how much of a run it has already (it answers 0 lines,
and keeps what is sent twice, where W&B's own server overwrites: ``openwandb_by_place.py`` does that too), and
``wandb.Api().runs`` fails against it.
"""

import json
import os
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from project import PROJECT

PROGRAM = PROJECT / ".venv" / "openwandb" / "bin" / "openwandb"
BY_PLACE = [str(PROGRAM.with_name("python")), "-I", str(Path(__file__).with_name("openwandb_by_place.py"))]
KEY = "local" + "0" * 40
PATIENCE = 600.0
"""Seconds that an answer may take: of a busy machine, not of a server that hangs."""


class Server:
    """A server on a free port of this machine alone; it may be killed and started again with what it had.

    - ``by_place``: keeps history line by line, each in its place, as W&B's own server does.
    """

    def __init__(self, folder: Path, by_place: bool = False) -> None:
        self.folder, self.command = folder, BY_PLACE if by_place else [str(PROGRAM)]
        folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "OPENWANDB_DATA_DIR": str(self.folder),
            "OPENWANDB_HOST": "127.0.0.1",
            "OPENWANDB_PORT": str(self.port),
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "serve"], env=environment, cwd=self.folder, stdout=log, stderr=log
            )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                urllib.request.urlopen(self.url, timeout=PATIENCE).close()
                return
            except urllib.error.URLError:
                time.sleep(0.2)
        raise TimeoutError(f"openwandb does not start: {(self.folder / 'server.log').read_text()[-1000:]}")

    def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        self.process.wait()

    def run(self, run_id: str) -> dict[str, Any]:
        """Return what it knows of a run: state, configuration, summary, name, tags."""
        run = self._get(f"/api/v2/runs/{run_id}")["run"]
        config = {key: entry["value"] for key, entry in run["config"].items()}
        return {**run, "config": config, "summary": json.loads(run["summary_json"])}

    def history(self, run_id: str) -> dict[str, list[tuple[int, float]]]:
        """Return every value it has got, by name: (step, value), as often as it has got it."""
        metrics = self._get(f"/api/v2/runs/{run_id}/metrics")["metrics_by_key"]
        return {key: [(point["step"], point["value"]) for point in points] for key, points in metrics.items()}

    def lines(self) -> int:
        """Return how many lines of history it has, of all runs; of a server that keeps them by place."""
        with closing(sqlite3.connect(self.folder / "openwandb.db")) as database:
            known = database.execute("SELECT name FROM sqlite_master WHERE name = 'lines'").fetchall()
            return database.execute("SELECT count(*) FROM lines").fetchone()[0] if known else 0

    def file(self, run_id: str, name: str) -> bytes:
        """Return a file of a run."""
        try:
            with urllib.request.urlopen(
                f"{self.url}/files/default/gradreach/{run_id}/{name}", timeout=PATIENCE
            ) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            return f"{error}".encode()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE) as answer:
            return json.load(answer)
