"""A server that speaks W&B's protocol, for tests: the package openwandb, in a folder of its own.

Its licence allows no commercial use, so nobody installs it with gradreach: ``make openwandb`` puts it into
``.venv/openwandb``. It knows neither groups nor job types, nor how much of a run it has already (it answers 0 lines,
and keeps what is sent twice, where W&B's own server overwrites), and ``wandb.Api().runs`` fails against it.
"""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from project import PROJECT

PROGRAM = PROJECT / ".venv" / "openwandb" / "bin" / "openwandb"
KEY = "local" + "0" * 40


class Server:
    """A server on a free port of this machine alone; it may be killed and started again with what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.folder)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "serve", *place], env=environment, cwd=self.folder, stdout=log, stderr=log
            )
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
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

    def file(self, run_id: str, name: str) -> bytes:
        """Return a file of a run."""
        try:
            with urllib.request.urlopen(f"{self.url}/files/default/gradreach/{run_id}/{name}", timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            return f"{error}".encode()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:
            return json.load(answer)
