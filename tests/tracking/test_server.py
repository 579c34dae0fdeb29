"""Against a server that speaks W&B's protocol."""

import gc
import http.server
import json
import math
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wandb
from openwandb import KEY, PROGRAM, Server

from gradreach.config import TrackingSettings
from gradreach.errors import ConfigError
from gradreach.records import RecordStore
from gradreach.run_table.columns import read_csv
from gradreach.run_table.load import as_frame, row
from gradreach.runner import execute
from gradreach.sweeps.summarize import summarize_sweep
from gradreach.system.interruption import Interrupted
from gradreach.tracking import mode_now, on_server, session
from gradreach.tracking import wandb_run as tracking
from gradreach.tracking.sync import sync, waiting
from gradreach.tracking.wandb_files import marker
from gradreach.tracking.wandb_source import WandbSource
from project import PROJECT, SMALL
from wandb_api import ServerApi, ServerRun
from wandb_files import PICTURE, TABLE, figures, inspect, logs, path_of

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
needs_server = pytest.mark.skipif(not PROGRAM.exists(), reason="no openwandb here: make openwandb installs it")
NOBODY = "http://127.0.0.1:9"
OURS = TrackingSettings(mode="offline", project="gradreach", entity=None, base_url=None)


@pytest.fixture(autouse=True)
def _wandb_of_its_own(monkeypatch, tmp_path_factory):
    """Give wandb a key, a home, and no memory of the servers of other tests."""
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", NOBODY)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path_factory.mktemp("wandb")))
    for name in ("HTTP", "INIT", "FINISH"):  # a busy machine may take as long as it likes
        monkeypatch.setenv(f"WANDB_{name}_TIMEOUT", "300")
    wandb.teardown()
    yield
    wandb.teardown()
    gc.collect()  # here, not in a later test, may Python find wandb's own process, for which wandb does not wait


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("openwandb"))
    yield running
    running.kill()


@pytest.fixture
def by_place(tmp_path):
    """Keep every line of history where the protocol says that it stands, as W&B's own server does."""
    running = Server(tmp_path / "server", by_place=True)
    yield running
    running.kill()


@pytest.fixture
def do(configured):
    def call(*overrides, tell=lambda row: None):
        run, environment = configured(*SMALL, *overrides)
        return execute(run, environment, tell), run, environment.results_dir

    return call


def arrived(server, results, run_id, but=()):
    """Compare all that the server has of a run with its record, but some curves; every value is there once."""
    store = RecordStore(results / "runs")
    record, run, metrics = store.read(run_id), server.run(run_id), store.read(run_id)["metrics"]
    assert run["state"] == "finished"
    assert run["display_name"] == f"{record['label']} · seed {record['config']['seed']}"
    assert run["config"].items() >= record["config"].items()
    assert run["config"]["host"] == record["host"]
    summary = json.loads(server.file(run_id, "wandb-summary.json"))
    measured = {
        f"gradient/{stage}/{k}": v for stage in ("start", "end") for k, v in summary[f"gradient/{stage}"].items()
    }
    told = {**run["summary"], **measured}
    assert {key: float(told[key]) for key in metrics} == {key: float(value) for key, value in metrics.items()}
    files = {name: server.file(run_id, name).decode() for name in ("history.csv", summary[TABLE]["path"])}
    there = WandbSource("team/gradreach", ServerApi([ServerRun(run_id, "finished", run["config"], summary, files)]))
    unknown = {"seconds": None}
    read_back, kept = (as_frame([row({**each, **unknown})]) for each in (there.read(run_id), record))
    pd.testing.assert_frame_equal(read_back, kept, check_dtype=False)  # W&B makes 0 of 0.0
    assert there.read_history(run_id) == store.read_history(run_id)
    mine, theirs = store.read_profile(run_id), there.read_profile(run_id)
    assert list(mine) == list(theirs)
    assert all(np.array_equal(mine[k], theirs[k], equal_nan=mine[k].dtype.kind == "f") for k in mine)
    told, meant = server.history(run_id), history(record, store)
    assert told.keys() == meant.keys()
    assert {key: told[key] for key in told if key not in but} == {key: meant[key] for key in meant if key not in but}
    log = logs(results, run_id)[-1]
    for name in (path_of(inspect(log), key) for key in (PICTURE, TABLE)):
        assert server.file(run_id, name) == (log.parent / "files" / name).read_bytes(), (run_id, name)


def history(record, store):
    """Return what W&B's history has to be by a record: (step, value) of every curve, as far as they are numbers."""
    stored = read_csv(store.folder(record["run_id"]) / "history.csv")
    rows = [each.dropna().to_dict() for _, each in stored.iterrows()]
    ends = {
        stage: {k.replace(f"/{stage}/", "/"): v for k, v in record["metrics"].items() if f"gradient/{stage}/" in k}
        for stage in ("start", "end")
    }
    (best,) = (row for row in rows if row["epoch"] == record["best_epoch"])
    chosen = {"epoch": best["epoch"], **ends["end"]}
    rows = [{"epoch": 0, "step": 0, **ends["start"]}, *rows, chosen]
    steps = [*(each["step"] for each in rows[:-1]), rows[-2]["step"] + 1]
    curves = defaultdict(list)
    for step, each in zip(steps, rows, strict=True):
        for key, value in tracking.curves(each).items():
            if math.isfinite(float(value)):
                curves[key].append((step, float(value)))
    return curves


def key_is_nowhere(folder, *texts):
    assert not any(KEY in text for text in texts)
    assert not [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.slow
@needs_server
def test_eight_online_runs_in_parallel_arrive_whole_and_do_not_mix(run_py, tmp_path, server):
    line = ["model=rnn,gru", "seed=0,1,2,3", "hydra.launcher.n_jobs=2", *SMALL]
    done = run_py("-m", *line, "tracking=online", f"tracking.base_url={server.url}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert f"{server.url}/default/gradreach" in done.stdout
    assert not list(tmp_path.rglob("staging"))
    records = [json.loads(path.read_text()) for path in tmp_path.glob("results/runs/*/record.json")]
    assert len(records) == 8
    for record in records:
        assert path_of(inspect(*logs(tmp_path / "results", record["run_id"])), TABLE)
        arrived(server, tmp_path / "results", record["run_id"])
        assert record["page"] == f"{server.url}/default/gradreach/runs/{record['run_id']}"
    assert waiting(tmp_path / "results") == []
    key_is_nowhere(tmp_path, done.stdout, done.stderr)


@pytest.fixture
def offline_runs(do, monkeypatch):
    """Do four runs offline, without a key."""
    monkeypatch.delenv("WANDB_API_KEY")
    for seed in range(4):
        _, _, results = do("model=rnn", "tracking=offline", f"seed={10 + seed}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    wandb.teardown()
    assert len(waiting(results)) == 4
    return results


def start_sync(folder, server, parallel):
    command = [sys.executable, "-m", "gradreach", "sync", "-n", str(parallel), "--base-url", server.url]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@needs_server
def test_offline_runs_arrive_exactly_once_though_the_sync_is_killed_half_way(by_place, offline_runs, tmp_path, capsys):
    runs, chance = waiting(offline_runs), random.Random(8)
    for kills in range(1, 4):
        killed = start_sync(tmp_path, by_place, parallel=1)
        while sum(one.sent for one in runs) < kills and killed.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.2))
        killed.kill()
        killed.wait()
    before = [one.run_id for one in runs if one.sent]
    assert 0 < len(before) < 4, "the sync was not killed half-way: nothing was tested"
    assert sync(offline_runs, [], 4, by_place.url)
    told = capsys.readouterr().out
    assert f"{4 - len(before)} of {4 - len(before)} runs sent to {by_place.url}" in told
    assert all((f"sent  {one.run_id}  rnn · digits" in told) != (one.run_id in before) for one in runs)
    for one in runs:
        arrived(by_place, offline_runs, one.run_id)
    assert sync(offline_runs, [], 4, by_place.url)
    assert "nothing to send" in capsys.readouterr().out
    key_is_nowhere(offline_runs, told)


@pytest.mark.slow
@needs_server
def test_a_run_that_the_server_got_while_the_sync_never_learned_of_it_is_sent_again_into_its_place(
    by_place, offline_runs, tmp_path
):
    (by_place.folder / "deaf").touch()
    killed = start_sync(tmp_path, by_place, parallel=4)
    while by_place.lines() < 4 * 4 and killed.poll() is None:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    (by_place.folder / "deaf").unlink()
    runs = waiting(offline_runs)
    assert len(runs) == 4
    assert sync(offline_runs, [], 4, by_place.url)
    for one in runs:
        arrived(by_place, offline_runs, one.run_id)


@pytest.mark.slow
@needs_server
def test_a_server_that_dies_in_mid_run_costs_nothing_and_gets_the_rest_later(do, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "2")
    server = Server(tmp_path / "server", by_place=True)
    try:
        record, run, results = do(
            "model=rnn",
            "trainer.epochs=4",
            "tracking=online",
            f"tracking.base_url={server.url}",
            tell=lambda row: server.kill() if row["epoch"] == 2 else None,
        )
        assert record["status"] == "finished"
        told = capsys.readouterr().err
        assert "the server has not received everything; send the rest with 'gradreach sync'" in told
        assert told.count("\n") == 1
        assert record["untracked"] == "the server has not received everything; send the rest with 'gradreach sync'"
        (log,) = logs(results, run.run_id)
        assert not marker(log).exists()
        assert len(RecordStore(results / "runs").read_profile(run.run_id)["lag"]) > 0
        assert [row["epoch"] for row in inspect(log)["history"]] == [0, 1, 2, 3, 4, record["best_epoch"]]
        with pytest.raises(ConfigError, match=r"does not answer .*; 1 runs are waiting; try again later"):
            sync(results, [], 2, server.url)
        server.start()
        wandb.teardown()
        assert sync(results, [], 2, server.url)
        arrived(server, results, run.run_id)
    finally:
        server.kill()


@pytest.mark.slow
@needs_server
def test_the_summary_of_an_experiment_is_one_run_however_often_it_is_made(configured, by_place):
    _, environment = configured("tracking=online", f"tracking.base_url={by_place.url}", "experiment=quickstart")
    shutil.copytree(PROJECT / "results" / "quickstart", environment.results_dir / "quickstart")
    for _ in range(2):
        summarize_sweep(environment, PROJECT / "experiments")
        time.sleep(1.1)  # W&B names folders by the second
    assert len(logs(environment.results_dir, "summary-quickstart")) == 2
    assert by_place.lines() == 1
    assert by_place.run("summary-quickstart")["state"] == "finished"
    table = path_of(inspect(logs(environment.results_dir)[-1]), "tables/accuracy")
    shown = json.loads(by_place.file("summary-quickstart", table))
    built = read_csv(environment.results_dir / "quickstart" / "accuracy.csv")
    assert shown["columns"] == list(built)
    assert len(shown["data"]) == len(built)


@needs_server
def test_an_interrupted_run_goes_on_as_the_same_run_of_the_server(do, by_place):
    def stop(row):
        if row["epoch"] == 3:
            raise Interrupted("SIGTERM")

    online = ["model=lstm", "trainer.epochs=5", "tracking=online", f"tracking.base_url={by_place.url}"]
    assert do(*online, "trainer.checkpoint_seconds=0", tell=stop)[0]["status"] == "interrupted"
    time.sleep(1.1)  # W&B names folders by the second
    record, run, results = do(*online, "trainer.checkpoint_seconds=0")
    assert record["status"] == "finished"
    assert len(logs(results, run.run_id)) == 2
    assert waiting(results) == []
    arrived(by_place, results, run.run_id, but=["time/seconds"])  # the epoch that was done twice took two times


def test_without_a_network_an_online_run_is_tracked_offline(do, capsys):
    record, run, results = do("model=rnn", "tracking=online", f"tracking.base_url={NOBODY}")
    assert record["status"] == "finished"
    assert f"{NOBODY}: does not answer" in capsys.readouterr().err
    said = inspect(*logs(results, run.run_id))
    assert figures(said["summary"])["test/accuracy"] == record["metrics"]["test/accuracy"]


@pytest.fixture
def answering():
    """Serve nobody: every request is answered in the same way, until the answer is another."""
    running = []

    def start(code, text='{"errors": [{"message": "permission denied"}]}'):
        class Answer(http.server.BaseHTTPRequestHandler):
            code, text = 0, ""

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(self.code)
                self.send_header("Content-Length", str(len(self.text)))
                self.end_headers()
                self.wfile.write(self.text.encode())

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        Answer.code, Answer.text = code, text
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def refusing(answering):
    """Answer with 401, as W&B answers a wrong key."""
    return answering(401)


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (404, "", "404 Not Found"),
        (500, "", "500 Internal Server Error"),
        (503, "", "503 Service Unavailable"),
        (200, "<html>log in to the network first</html>", "no answer of W&B's"),
    ],
)
def test_a_server_that_is_not_well_is_no_refused_key(answering, capsys, code, text, reason):
    url = answering(code, text)
    settings = TrackingSettings(mode="online", project="p", entity=None, base_url=url)
    assert mode_now(settings) == "offline"
    told = capsys.readouterr().err
    assert told == (
        f"gradreach: note: {url}: does not answer ({reason}): tracked offline; 'gradreach sync' sends it later\n"
    )


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_key_is_one_though_other_servers_are_not_well(answering, code):
    settings = TrackingSettings(mode="online", project="p", entity=None, base_url=answering(code))
    with pytest.raises(ConfigError, match=r"W&B rejects the API key \("):
        mode_now(settings)


@pytest.mark.parametrize(("code", "reason"), [(503, "does not answer (503"), (401, "W&B rejects the API key")])
def test_a_server_that_fails_when_workers_have_started_is_no_loss(do, answering, capsys, code, reason):
    record, run, results = do("model=rnn", "tracking=online", f"tracking.base_url={answering(code)}")
    assert record["status"] == "finished"
    assert "untracked" not in record
    told = capsys.readouterr().err
    assert reason in told
    assert told.endswith("tracked offline; 'gradreach sync' sends it later\n")
    assert [one.run_id for one in waiting(results)] == [run.run_id]
    assert figures(inspect(*logs(results))["summary"])["test/accuracy"] == record["metrics"]["test/accuracy"]


def test_a_server_that_does_not_take_a_run_up_is_no_loss(do, monkeypatch, capsys):
    begin = wandb.init

    def init(mode, **more):
        if mode == "online":
            raise wandb.errors.CommError("Run initialization has timed out\nmore")
        return begin(mode=mode, **more)

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(session, "mode_now", lambda settings: settings.mode)
    _, run, results = do("model=rnn", "tracking=online")
    assert [one.run_id for one in waiting(results)] == [run.run_id]
    assert "Run initialization has timed out: tracked offline; 'gradreach sync'" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [[], ["-m"]])
def test_a_wrong_key_is_refused_in_one_line_before_anything_starts(run_py, tmp_path, refusing, mode):
    done = run_py(*mode, "model=rnn", "tracking=online", f"tracking.base_url={refusing}", *SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gradreach: tracking=online: W&B rejects the API key (")
    assert "permission denied); run 'wandb login' or set WANDB_API_KEY; tracking=offline needs no key" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("results/runs/*/record.json"))
    key_is_nowhere(tmp_path, done.stderr)


@pytest.mark.parametrize(("key", "reason"), [("", "there is no API key for http"), ("short", "has 5")])
def test_a_missing_or_malformed_key_is_refused_and_nobody_is_asked(refusing, monkeypatch, key, reason):
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("NETRC", os.devnull)
    wandb.teardown()
    with pytest.raises(ConfigError, match=reason) as refused:
        mode_now(TrackingSettings(mode="online", project="p", entity=None, base_url=refusing))
    assert "short" not in str(refused.value)


def test_there_is_no_setting_for_a_key(configured):
    with pytest.raises(Exception, match="api_key"):
        configured(*SMALL, "+tracking.api_key=secret")


def test_two_syncs_at_a_time_are_one_too_many(tmp_path):
    import filelock

    folder = tmp_path / "wandb"
    folder.mkdir()
    with filelock.FileLock(folder / ".sync.lock"), pytest.raises(ConfigError, match="another gradreach sync"):
        sync(tmp_path, [], 1, NOBODY)
    with pytest.raises(ConfigError, match="nothing was tracked here"):
        sync(Path(tmp_path / "elsewhere"), [], 1, NOBODY)


@needs_server
@pytest.mark.parametrize("illness", ["closed", pytest.param("slow", marks=pytest.mark.slow)])
def test_a_server_that_takes_the_key_and_not_the_run_gets_all_of_it_later(do, by_place, monkeypatch, capsys, illness):
    if illness == "slow":
        monkeypatch.setenv("WANDB_INIT_TIMEOUT", "2")
    (by_place.folder / illness).touch()
    record, run, results = do("model=rnn", "tracking=online", f"tracking.base_url={by_place.url}")
    assert (record["status"], "untracked" in record) == ("finished", False)
    assert capsys.readouterr().err.endswith("tracked offline; 'gradreach sync' sends it later\n")
    (log,) = logs(results, run.run_id)
    assert log.parent.name.startswith("offline-"), "the first attempt has left nothing"
    (by_place.folder / illness).unlink()
    wandb.teardown()
    assert sync(results, [], 2, by_place.url)
    assert "1 of 1 runs sent" in capsys.readouterr().out
    arrived(by_place, results, run.run_id)


@needs_server
def test_sent_is_what_the_server_has_not_what_wandb_says(do, by_place, monkeypatch, capsys):
    _, run, results = do("model=rnn", "tracking=offline")
    (log,) = logs(results, run.run_id)
    begun = {key: inspect(log)[key] for key in ("id", "project")}
    shutil.rmtree(log.parent)
    wandb.init(mode="offline", dir=results, **begun, settings=wandb.Settings(silent=True, console="off")).finish()
    wandb.teardown()
    monkeypatch.setattr(on_server, "PATIENCE_SECONDS", 0.0)
    assert not sync(results, [run.run_id], 2, by_place.url)
    told = capsys.readouterr().out
    assert "0 of 1 runs sent" in told
    assert f"{run.run_id}: the server has 0 of 4 lines of history; gradreach sync --from-records rebuilds it" in told
    assert [one.run_id for one in waiting(results)] == [run.run_id]
    time.sleep(1.1)  # W&B names folders by the second
    assert sync(results, [run.run_id], 2, by_place.url, OURS)
    arrived(by_place, results, run.run_id)
    assert waiting(results) == []


@needs_server
def test_runs_are_rebuilt_from_their_records_and_none_is_doubled(do, by_place, monkeypatch, capsys):
    online = ["tracking=online", f"tracking.base_url={by_place.url}"]
    _, there, _ = do("model=gru", *online)
    agent = {"WANDB_SWEEP_ID": "sweep1", "WANDB_RUN_ID": "chosenbyserver", "WANDB_PROJECT": "gradreach"}
    for name, value in agent.items():
        monkeypatch.setenv(name, value)
    wandb.teardown()
    _, agents, _ = do("model=gru", "seed=1", *online)
    for name in agent:
        monkeypatch.delenv(name)
    wandb.teardown()
    before = by_place.lines()
    _, untracked, results = do("model=rnn", "tracking=off", "diagnostics.gates=5 steps")
    _, lost, _ = do("model=rnn", "seed=1", "tracking=offline")
    shutil.rmtree(results / "wandb")
    assert sync(results, [], 2, by_place.url, OURS)
    told, noted = capsys.readouterr()
    assert "2 runs are rebuilt from their records" in told
    assert "2 of 2 runs sent" in told
    assert "is ignored" not in noted
    assert not any(run.run_id in told for run in (there, agents))
    for run in (untracked, lost):
        arrived(by_place, results, run.run_id)
    lines = sum(len(store_rows(results, run.run_id)) + 2 for run in (untracked, lost))
    assert by_place.lines() == before + lines
    assert sync(results, [untracked.run_id], 2, by_place.url, OURS)
    assert "the server has every recorded run" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"^nobody: .*has no runs of this experiment and no run with this id"):
        sync(results, ["nobody"], 2, by_place.url, OURS)


def store_rows(results, run_id):
    return RecordStore(results / "runs").read_history(run_id).splitlines()[1:]
