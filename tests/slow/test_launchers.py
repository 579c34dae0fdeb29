"""Several real jobs on each launcher; skipped where its packages, or its cluster, are absent."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from gradreach.records import RecordStore
from gradreach.run_table.columns import read_csv
from kill import start
from project import PROJECT

pytestmark = pytest.mark.slow

TINY = ["model=rnn", "model.width=4", "trainer.epochs=1", "tracking=off"]
SWEEP = ["-m", "seed=0,1,2", *TINY]


def figures(results):
    store = RecordStore(results / "runs")
    records = [store.read(path.parent.name) for path in store.root.glob("*/record.json")]
    assert all(record["status"] == "finished" for record in records)
    return {record["run_id"]: record["metrics"] for record in records}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What three runs yield in one process, one after the other."""
    folder = tmp_path_factory.mktemp("here")
    line = [sys.executable, str(PROJECT / "run.py"), *SWEEP, "hydra/launcher=basic"]
    subprocess.run(line, cwd=folder, capture_output=True, timeout=300, check=True)
    return figures(folder / "results")


def slurm_answers():
    if shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=30, check=False).returncode == 0


@pytest.mark.parametrize(
    ("launcher", "package"),
    [
        ("cores", "joblib"),
        ("ray_cluster", "ray"),
        ("slurm_local", "submitit"),
        pytest.param(
            "slurm", "submitit", marks=pytest.mark.skipif(not slurm_answers(), reason="no SLURM answers to sinfo")
        ),
    ],
)
def test_every_launcher_yields_the_same_bits_in_the_folder_the_sweep_was_started_in(
    run_py, tmp_path, here, launcher, package
):
    pytest.importorskip(package, reason="needs an extra of gradreach")
    settings = ["hydra.launcher.mem_gb=2"] if launcher == "slurm" else []
    done = run_py(*SWEEP, f"hydra/launcher={launcher}", *settings)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs: 3 finished" in done.stdout
    assert figures(tmp_path / "results") == here
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
    again = run_py(*SWEEP, f"hydra/launcher={launcher}", *settings)
    assert "3 already done, 0 to do" in again.stdout


def test_ray_joins_a_cluster_that_runs_already(run_py, tmp_path, tmp_path_factory, monkeypatch, here):
    pytest.importorskip("ray", reason="needs the extra gradreach[ray]")
    own = tempfile.mkdtemp(prefix="ray")  # where others look for a cluster nothing must be left; short, for its sockets
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=6399", "--num-cpus=2"]
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # Ray's own protection, with a token of this test's own
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # results must not land where the cluster was started
    with subprocess.Popen(
        [*ray, "--include-dashboard=false", f"--temp-dir={own}"],
        cwd=elsewhere,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as cluster:
        try:
            address = "hydra.launcher.init.address='127.0.0.1:6399'"
            done = run_py(*SWEEP, "hydra/launcher=ray_cluster", address)
        finally:
            cluster.terminate()
            cluster.wait(timeout=60)
            shutil.rmtree(own, ignore_errors=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs: 3 finished" in done.stdout
    assert figures(tmp_path / "results") == here


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize(("launcher", "package"), [("cores", "joblib"), ("ray_cluster", "ray")])
def test_a_sweep_that_is_asked_to_stop_says_so_in_one_line_whatever_launches_it(tmp_path, launcher, package, number):
    pytest.importorskip(package, reason="needs an extra of gradreach")
    long = ["model=rnn", "model.width=4", "seed=range(4)", "trainer.epochs=4000", "trainer.checkpoint_seconds=0.1"]
    results = tmp_path / "results"
    driver = start([*long, f"hydra/launcher={launcher}"], results)
    deadline = time.monotonic() + 120
    while len(list(results.glob("runs/*/checkpoint.ckpt"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if number == signal.SIGINT:
        os.killpg(driver.pid, number)
    else:
        driver.send_signal(number)
    code = driver.wait(timeout=60)
    said = (tmp_path / "output.txt").read_text()
    print(said)
    assert code == 128 + number
    assert said.count("stopped: finished runs are kept; re-run the same command to resume\n") == 1
    assert len(said.splitlines()) == 4  # what there is to do, that it stops, what is done, what the same line does
    store = RecordStore(results / "runs")
    assert {store.status(run_id) for run_id in store.run_ids()} == {"interrupted"}


def test_a_search_shows_validation_and_never_test(run_py, tmp_path):
    pytest.importorskip("optuna", minversion="4.9", reason="needs the extra gradreach[optuna]")
    few = ["hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "hydra.sweeper.startup_trials=2"]
    done = run_py("-m", "+search=training", *TINY, *few)
    assert done.returncode == 0, done.stdout + done.stderr
    store = RecordStore(tmp_path / "results" / "runs")
    records = [store.read(path.parent.name) for path in store.root.glob("*/record.json")]
    trials = read_csv(tmp_path / "results" / "searches" / "training" / "trials.csv")
    assert len(trials) == 4
    assert set(trials["val/accuracy"]) == {record["metrics"]["val/accuracy"] for record in records}
    assert f"best of 4: validation accuracy {trials['val/accuracy'].max():.1%}" in done.stdout
    assert "test" not in done.stdout
    assert not [column for column in trials if "test" in column]
    again = run_py("-m", "+search=training", *TINY, *few)
    assert again.stdout == done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
