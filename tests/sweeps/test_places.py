"""Where a launcher does runs: what this machine lacks is refused, and this process's terminal is a debugger's."""

import os
import pty
import subprocess
import sys
from unittest.mock import Mock

import pytest

import gradreach.runner
from gradreach.errors import ConfigError
from gradreach.launchers.clusters import RayLauncher, SubmititLauncher
from gradreach.launchers.cores import CoresLauncher
from gradreach.launchers.places import is_here
from gradreach.records import RecordStore
from gradreach.runner import execute_in_sweep
from gradreach.sweeps.plan import plan
from gradreach.system.interruption import Interruption
from gradreach.system.worker import DRIVER, become_driver
from project import PROJECT, SMALL

TINY = ["model=rnn", "tracking=off", *SMALL, "trainer.epochs=1"]
PAUSE = """
from pytorch_lightning import Callback

class Pause(Callback):
    def on_train_start(self, trainer, module):
        breakpoint()
"""


@pytest.mark.parametrize(
    ("launcher", "here"),
    [
        (CoresLauncher(-1), True),
        (RayLauncher({"address": None}, {}), True),
        (RayLauncher({"address": "auto"}, {}), False),
        (SubmititLauncher("local"), True),
        (SubmititLauncher("slurm"), False),
        (Mock(), False),
    ],
)
def test_whether_a_launcher_works_on_this_machine_is_known_of_ours(launcher, here):
    assert is_here(launcher) is here


UNKNOWN = "must be cpu, cuda, or cuda: with a number, such as cuda:1"
ABSENT = "this machine has no such device; choose from cpu"


@pytest.mark.parametrize(
    ("device", "launcher", "why"),
    [
        ("foo", "cores", UNKNOWN),
        ("foo", "slurm", UNKNOWN),
        ("cuda:99", "cores", ABSENT),
        ("cuda:99", "basic", ABSENT),
        ("cuda:99", "slurm_local", ABSENT),
        ("cuda:99", "ray_cluster", ABSENT),
    ],
)
def test_a_device_that_this_machine_does_not_have_is_refused_before_the_first_start(
    run_py, tmp_path, device, launcher, why
):
    package = {"slurm": "submitit", "slurm_local": "submitit", "ray_cluster": "ray"}.get(launcher, "joblib")
    pytest.importorskip(package, reason="needs an extra of gradreach")
    done = run_py("-m", *TINY, "seed=0,1", f"device={device}", f"hydra/launcher={launcher}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"gradreach: device={device}: {why}")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_another_machine_may_have_any_device_that_there_can_be(composed):
    def planned(*overrides):
        return plan([overrides], lambda overrides: composed(*overrides))

    assert len(planned("device=cuda:7")) == 1
    for device in ("foo", "cuda:", "cuda:-1", "CPU", "cpu:0"):
        with pytest.raises(
            ConfigError, match=f"^device={device}: must be cpu, cuda, or cuda: with a number, such as cuda:1$"
        ):
            planned(f"device={device}")
    with pytest.raises(ConfigError, match=r"^trainer\.precision=16-mixed: not supported on device=cpu"):
        planned("trainer.precision=16-mixed")


@pytest.mark.parametrize("driver", [True, False])
def test_what_a_run_prints_goes_to_its_log_but_not_in_the_process_of_the_sweep(configured, monkeypatch, capsys, driver):
    monkeypatch.setenv(DRIVER, "another")  # restored afterwards
    if driver:
        become_driver()
    run, environment = configured("model=rnn")
    monkeypatch.setattr(gradreach.runner, "_execute", lambda _: print("said") or {})
    execute_in_sweep(run, environment, Interruption())
    log = RecordStore(environment.results_dir / "runs").log(run.run_id)
    assert capsys.readouterr().out == ("said\n" if driver else "")
    assert (log.read_text() if log.exists() else None) == (None if driver else "said\n")


@pytest.mark.parametrize("launcher", ["hydra/launcher=basic", "hydra.launcher.n_jobs=1"])
def test_where_runs_are_done_in_the_process_of_the_sweep_its_lines_are_its_own(run_py, tmp_path, launcher):
    done = run_py("-m", *TINY, "seed=range(4)", launcher)
    assert done.returncode == 0, done.stderr
    assert [line[:5] for line in done.stdout.splitlines() if line.startswith("[")] == [f"[{n}/4]" for n in (1, 2, 3, 4)]
    assert list(tmp_path.rglob("run.log")) == []


def test_a_breakpoint_within_a_run_has_the_terminal_to_itself(tmp_path):
    (tmp_path / "pause.py").write_text(PAUSE)
    line = ["-m", *TINY, "seed=0,1", "hydra/launcher=basic", "+callbacks.pause._target_=pause.Pause"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(PROJECT / "run.py"), *line],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TERM": "xterm", "COLUMNS": "200"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = read_until(ours, "(Pdb) ")
        os.write(ours, b"p 6 * 7\n")
        answer = read_until(ours, "(Pdb) ")
        assert answer == "p 6 * 7\r\n42\r\n(Pdb) "  # nothing is drawn over it
        os.write(ours, b"c\n")
        said += read_until(ours, "(Pdb) ")
        os.write(ours, b"c\n")
        said += read_until(ours, None)
        assert process.wait(timeout=60) == 0
    os.close(ours)
    assert [said.count(f"[{n}/2] rnn") for n in (1, 2)] == [1, 1]
    assert "2 runs\x1b[0m: 2 finished" in said


def read_until(terminal, end):
    """Return what is printed on a terminal until something is, or until whoever prints there has left."""
    said = b""
    while end is None or not said.endswith(end.encode()):
        try:
            more = os.read(terminal, 4096)
        except OSError:  # nobody has the other end any more
            more = b""
        if not more:
            assert end is None, said
            break
        said += more
    return said.decode()
