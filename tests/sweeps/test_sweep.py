"""What a sweep does when workers die, disks are full and others are at work, and what it shows meanwhile."""

import errno
import io
import os
import platform
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import pytest
from hydra.core.utils import JobReturn, JobStatus
from rich.console import Console

import gradreach.display
import gradreach.sweeps.plan
from gradreach.config import parse, plain
from gradreach.display import LONGEST_SECONDS, POLL_SECONDS, SweepDisplay, pause_after
from gradreach.errors import ConfigError
from gradreach.launchers.slurm import Cancelled
from gradreach.records import RecordStore
from gradreach.sweeps.plan import Job, labels, plan, varied
from gradreach.sweeps.sweep import ATTEMPTS, _unfinished, _workers, do_all, stopping, sweep
from gradreach.system.interruption import at_once, deferred, exit_code, not_inherited
from gradreach.system.worker import DRIVER, become_driver, worker


@pytest.fixture(autouse=True)
def no_sweep_outlives_its_test(monkeypatch):
    monkeypatch.setenv(DRIVER, "none")


@pytest.fixture
def jobs(configured):
    made = [configured("model=rnn", f"seed={seed}") for seed in range(4)]
    return [Job([f"seed={run.seed}"], run, environment, 1) for run, environment in made]


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path / "runs")


def record(job, status, **more):
    return {
        "run_id": job.run.run_id,
        "config": job.run.canonical(),
        "label": job.run.label,
        "status": status,
        "seconds": 1.5,
        "host": {"name": "elsewhere", "process": 1},
        **more,
    }


def display_of(jobs, store, left=None):
    runs = [job.run for job in jobs]
    return SweepDisplay(store, len(jobs), runs, runs if left is None else [job.run for job in left], labels(jobs))


def carry_out(jobs, store, launch):
    with display_of(jobs, store) as display:
        return do_all(jobs, store, launch, display.note)


def returned(value):
    made = JobReturn()
    made.status = JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED
    made.return_value = value
    return made


FINISHED = {"metric": "accuracy", "metrics": {"test/accuracy": 0.5, "gradient/end/x.reach": 12.0}}


def test_no_run_is_condemned_for_the_company_in_which_its_workers_died(jobs, store):
    by_line = {job.overrides[0]: job for job in jobs}
    launched = []

    def launch(lines):
        launched.append([line[0] for line in lines])
        chosen = [by_line[line[0]] for line in lines]
        for job in chosen:
            store.write(record(job, "running"))
        if len(chosen) == 1 and chosen[0] is not jobs[0]:
            store.write(record(chosen[0], "finished", **FINISHED))
            return []
        raise RuntimeError("a worker was killed")

    assert carry_out(jobs, store, launch) == {}
    assert [store.status(job.run.run_id) for job in jobs] == ["failed", "finished", "finished", "finished"]
    assert "3 times without a result" in store.read(jobs[0].run.run_id)["error"]
    everyone = [f"seed={seed}" for seed in range(4)]
    assert launched == [everyone] * (ATTEMPTS - 1) + [[line] for line in everyone]


def test_on_a_terminal_a_sweep_is_one_picture_with_the_latest_results(jobs, store, monkeypatch):
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(gradreach.display, "make_console", lambda: console)
    store.write(record(jobs[3], "finished", **FINISHED))
    with display_of(jobs, store, left=jobs[:3]) as display:
        store.write(record(jobs[0], "running"))
        store.write(record(jobs[1], "finished", **FINISHED))
        store.write(record(jobs[2], "failed", error="ValueError: on [purpose]\nat length"))
        display._look()
        with console.capture() as captured:
            console.print(display._picture())
    shown = captured.get()
    assert "test accuracy  50.0%" in shown
    assert "gradient reaches   12 steps" in shown
    assert "failed: ValueError: on [purpose]" in shown
    assert "3 done · 1 running · 0 waiting" in shown
    assert "1 failed" in shown
    assert "3/4" in shown


def test_the_longer_nothing_happens_the_more_rarely_a_sweep_looks_at_its_records(jobs, store, monkeypatch):
    now, looks = [0.0], []
    monkeypatch.setattr("gradreach.display.time.monotonic", lambda: now[0])
    display = display_of(jobs, store)
    monkeypatch.setattr(display, "closing", Mock(wait=lambda pause: wait(pause)))
    look = display._look
    monkeypatch.setattr(display, "_look", lambda: looks.append(now[0]) or look())

    def wait(pause):
        now[0] += pause
        if now[0] > 7200 and store.status(jobs[0].run.run_id) == "missing":
            store.write(record(jobs[0], "finished", **FINISHED))
        return now[0] > 7300

    display._watch()
    pauses = [after - before for before, after in pairwise([0.0, *looks])]
    assert pauses[:20] == [POLL_SECONDS] * 20
    assert max(pauses) == LONGEST_SECONDS
    assert len(looks) < 400
    assert display.ended == {jobs[0].run.run_id: "finished"}
    assert pauses[-1] < 10


def test_looking_takes_a_hundredth_of_the_time_however_many_runs_there_are():
    assert pause_after(quiet=0, look=0.001) == POLL_SECONDS
    assert pause_after(quiet=0, look=0.5) == pytest.approx(50)
    assert pause_after(quiet=1e6, look=2) == pytest.approx(200)


def test_a_run_for_which_the_disk_has_no_room_is_tried_once_and_told_with_the_true_cause(jobs, store, capsys):
    launched = []

    def launch(lines):
        launched.append(len(lines))
        for job in jobs:
            store.write(record(job, "running"))
        store.write(record(jobs[0], "finished", **FINISHED))
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "record.json")
        return [returned(0.5), *[returned(full)] * 3]

    with display_of(jobs, store) as display:
        unrecorded = do_all(jobs, store, launch, display.note)
        display.summary({"finished": 1, "interrupted": 3}, jobs[0].environment, unrecorded)
    assert launched == [4]
    said = capsys.readouterr()
    assert said.out.count("No space left on device; make room or choose another results_dir") == 3
    assert "memory" not in said.out
    assert said.err == ""


def test_a_run_that_the_launcher_cannot_start_stands_in_the_table_of_failures(jobs, store, capsys):
    def launch(lines):
        if len(lines) == 4:
            store.write(record(jobs[0], "finished", **FINISHED))
            return [returned(0.5), *[returned(RuntimeError("no such\npartition"))] * 3]
        return [returned(RuntimeError("no such\npartition"))] * len(lines)

    with display_of(jobs, store) as display:
        unrecorded = do_all(jobs, store, launch, display.note)
        display.summary({"finished": 1, "missing": 3}, jobs[0].environment, unrecorded)
    assert unrecorded == {job.run.run_id: "RuntimeError: no such" for job in jobs[1:]}
    assert capsys.readouterr().out.count("RuntimeError: no such") == 3


def test_a_launcher_that_starts_nothing_is_not_asked_for_ever_and_one_that_is_set_wrong_only_once(jobs, store):
    asked = []

    def launch(error):
        def call(lines):
            asked.append(lines)
            raise error

        return call

    assert set(carry_out(jobs, store, launch(RuntimeError("down"))).values()) == {"RuntimeError: down"}
    assert len(asked) == ATTEMPTS
    with pytest.raises(ConfigError, match="no cluster"):
        carry_out(jobs, store, launch(ConfigError("no cluster")))
    assert len(asked) == ATTEMPTS + 1


def test_runs_whose_jobs_are_cancelled_are_left_when_all_others_are_done(jobs, store, capsys):
    by_line = {job.overrides[0]: job for job in jobs}
    launched = []

    def launch(lines):
        launched.append([line[0] for line in lines])
        ends = {"seed=0": Cancelled("7_0"), "seed=1": Cancelled("7_1"), "seed=2": RuntimeError("a node died")}
        for line in lines:
            if line[0] in ("seed=1", "seed=3") or len(launched) > 1:
                store.write(record(by_line[line[0]], "finished", **FINISHED))
        return [returned(ends.get(line[0], 0.5)) for line in lines]

    with pytest.raises(KeyboardInterrupt):
        carry_out(jobs, store, launch)
    assert launched == [[f"seed={seed}" for seed in range(4)], ["seed=2"]]
    assert [store.status(job.run.run_id) for job in jobs] == ["missing", "finished", "finished", "finished"]
    assert capsys.readouterr().out.count("cancelled and not resubmitted: 1 run, SLURM job 7_0\n") == 1


def test_a_run_that_another_sweep_is_at_is_left_to_it(jobs, store):
    launched = []

    def launch(lines):
        launched.append([line[0] for line in lines])
        for job in jobs[1:]:
            store.write(record(job, "finished", **FINISHED))
        store.write(record(jobs[0], "finished", **FINISHED))
        held.__exit__(None, None, None)
        return []

    held = store.claim(jobs[0].run.run_id)
    held.__enter__()
    carry_out(jobs, store, launch)
    assert launched == [["seed=1", "seed=2", "seed=3"]]


CLAIM = """
import sys, time
from pathlib import Path
from gradreach.records import RecordStore
with RecordStore(Path(sys.argv[1])).claim(sys.argv[2]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def process(store):
    """Start a process that holds the claims of runs, or of none."""
    started = []

    def call(*run_ids):
        line = [CLAIM, str(store.root), *run_ids] if run_ids else ["print('held', flush=True); input()"]
        each = subprocess.Popen([sys.executable, "-c", *line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(each)
        assert each.stdout.readline() == "held\n"
        return each

    yield call
    for each in started:
        each.kill()
        each.communicate()


def running(job, process, driver):
    return record(job, "running", host={"name": platform.node(), "process": process.pid, "driver": driver})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_only_own_workers_that_hold_their_run_are_asked_to_stop(jobs, store, process, number):
    ids = [job.run.run_id for job in jobs]
    mine, theirs = process(ids[0]), process(ids[1])
    stranger = process()
    store.write(running(jobs[0], mine, "us"))
    store.write(running(jobs[1], theirs, "another sweep"))
    store.write(running(jobs[2], stranger, "us"))  # whose number was once a worker's, which died
    store.write(record(jobs[3], "running", host={"name": platform.node(), "process": theirs.pid}))
    assert _workers(store, ids, "us") == {mine.pid}
    assert _workers(store, ids, "another sweep") == {theirs.pid}
    before = signal.getsignal(number)
    try:
        with pytest.raises(KeyboardInterrupt) as asked, stopping(store, ids, "us", here=True):
            os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert exit_code(asked.value) == 128 + number
    assert mine.wait(timeout=60) == -number
    assert (mine.poll(), theirs.poll(), stranger.poll()) == (-number, None, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_told_also_where_a_library_raises_in_its_place(number):
    """As Ray does, whose waiting in C++ forgets by which one it was interrupted."""

    def wait() -> None:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt) as asked, at_once():
        wait()
    assert exit_code(asked.value) == 128 + number


def test_ctrl_c_reaches_a_sweep_and_not_the_workers_that_are_just_starting():
    waits = "import signal, sys; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())); sys.stdin.read()"

    def is_interrupted() -> bool:
        try:
            os.kill(os.getpid(), signal.SIGINT)  # to the process, as a terminal does
            time.sleep(10)
        except KeyboardInterrupt:
            return True
        return False

    with not_inherited():
        starting = subprocess.Popen([sys.executable, "-c", waits], stdin=-1, stdout=-1, text=True)
        assert is_interrupted()
    starting.send_signal(signal.SIGINT)
    assert starting.communicate("")[0] == "True\n"
    assert starting.returncode == 0


def test_a_worker_hears_of_ctrl_c_once_it_has_begun():
    code = (
        "import os, signal; from gradreach.system.interruption import watched\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "with watched() as asked: print(asked.signal)"
    )
    with not_inherited():
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "2\n"


def test_a_driver_of_a_cluster_dies_with_its_terminal_and_its_jobs_do_not(store):
    with stopping(store, [], "us", here=False):
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        with at_once(), deferred():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
            assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with stopping(store, [], "us", here=True):
        assert callable(signal.getsignal(signal.SIGHUP))


def test_a_sweep_that_stops_does_not_wait_for_what_another_does(jobs, store, process):
    ids = [job.run.run_id for job in jobs]
    worker = process(ids[0])
    store.write(running(jobs[0], worker, "another sweep"))
    assert not _unfinished(store, ids, "us")
    assert _unfinished(store, ids, "another sweep")
    store.write(record(jobs[0], "running"))  # a job of a cluster that knows of no driver
    assert _unfinished(store, ids, "us")


def test_every_sweep_has_a_name_of_its_own_which_its_workers_record():
    first, second = become_driver(), become_driver()
    assert first != second
    assert worker() == {"process": os.getpid(), "driver": second}
    line = [sys.executable, "-c", "from gradreach.system.worker import worker; print(worker()['driver'])"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip() == second


@pytest.fixture
def swept(composed, tmp_path):
    """Sweep with a launcher that only writes records; return in which order it was given the runs."""

    def call(lines, status="finished", *options):
        launched = []
        store = RecordStore(tmp_path / "results" / "runs")

        def compose(overrides):
            return composed("tracking=off", f"results_dir={tmp_path / 'results'}", *options, *overrides)

        def launch(given):
            for overrides in given:
                launched.append(overrides)
                (job,) = plan([overrides], compose)
                store.write(record(job, status, **(FINISHED if status == "finished" else {"error": "broken"})))
            return []

        sweep(lines, compose, launch)
        return launched

    return call


def test_the_longest_runs_are_started_first(swept):
    lines = [[f"trainer.epochs={epochs}"] for epochs in (1, 3, 2)]
    assert [line[0] for line in swept(lines)] == ["trainer.epochs=3", "trainer.epochs=2", "trainer.epochs=1"]


def test_retry_none_leaves_failed_runs_shows_them_and_says_how_they_are_done_again(swept, capsys):
    lines = [["model=rnn"], ["model=gru"]]
    for option, again in (("retry=failed", True), ("retry=none", False)):
        for _ in range(2):
            with pytest.raises(SystemExit) as left:
                swept(lines, "failed", option)
            assert left.value.code == 1
        said = capsys.readouterr().out
        assert ("2 already done, 0 to do" in said) is not again
        assert ("re-run the same command to resume" in said) is again
        assert ("retry=failed re-runs what failed" in said) is not again
        table = said.rpartition("its record")[2]
        assert [line.split()[0] for line in table.splitlines() if "broken" in line] == ["rnn", "gru"]


def test_a_sweep_does_again_a_finished_run_whose_files_are_damaged(swept, tmp_path, capsys):
    swept([["seed=0"]])
    store = RecordStore(tmp_path / "results" / "runs")
    (run_id,) = store.run_ids()
    store.write(store.read(run_id), [{"epoch": 1, "loss": 0.5}])
    assert swept([["seed=0"]]) == []
    path = store.folder(run_id) / "history.csv"
    path.write_text(path.read_text().replace("0.5", "0.4"))
    assert swept([["seed=0"]]) == [["seed=0", "kernels=torch"]]
    assert capsys.readouterr().err.count("history.csv is not what its record says") == 1


CANNOT = "cannot be swept: it does not affect results; give one value"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "sweep: has no runs, because a key has no values, such as seed=range"),
        ([["threads=1"], ["threads=2"]], f"threads=1,2: {CANNOT}"),
        (
            [["results_dir=a"], ["results_dir=b"]],
            f"results_dir=a,b: {CANNOT}",
        ),
        (
            [["results_dir=a"], ["results_dir=b", "seed=1"]],
            f"results_dir=a,b: {CANNOT}",
        ),
        (
            [["tracking=off"], ["tracking=offline"]],
            f"tracking.mode=off,offline: {CANNOT}",
        ),
        (
            [["trainer.keep_checkpoint=true"], []],
            f"trainer.keep_checkpoint=true,false: {CANNOT}",
        ),
    ],
)
def test_what_would_silently_be_done_once_or_never_is_refused(composed, lines, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        plan(lines, lambda overrides: composed(*overrides))


def test_different_runs_may_have_different_numbers_of_threads(composed):
    assert len(plan([["threads=1"], ["threads=2", "seed=1"]], lambda overrides: composed(*overrides))) == 2


def test_what_differs_in_the_seed_alone_is_checked_once(composed, monkeypatch):
    checked = Mock(wraps=gradreach.sweeps.plan.check)
    monkeypatch.setattr("gradreach.sweeps.plan.check", checked)
    lines = [[f"model={model}", f"seed={seed}"] for model in ("rnn", "cnn") for seed in (0, 1)]
    jobs = plan(lines, lambda overrides: composed(*overrides))
    assert checked.call_count == 2
    assert [job.cost for job in jobs[::2]] == [job.cost for job in jobs[1::2]]
    assert jobs[0].cost != jobs[2].cost
    with pytest.raises(ConfigError, match="kernel_size=65: larger than the input of 64 steps"):
        plan([*lines, ["model=cnn", "kernel_size=65"]], lambda overrides: composed(*overrides))


@pytest.mark.parametrize("word", [[], ["optimizer.lr=1e-3"], ["trainer.epochs=${seed}"], ["task.data_seed=${seed}"]])
def test_what_differs_in_the_seed_alone_is_composed_once_unless_a_setting_follows_it(composed, word):
    compose = Mock(side_effect=lambda overrides: composed(*overrides))
    lines = [["model=rnn", "task=recall", *word, f"seed={seed}"] for seed in (1, 2, 3)]
    jobs = plan(lines, compose)
    assert compose.call_count == (3 if any("${" in each for each in word) else 1)
    assert [(job.run, job.environment) for job in jobs] == [parse(plain(composed(*line))) for line in lines]
    assert [job.run_id for job in jobs] == [job.run.run_id for job in jobs]


@pytest.mark.parametrize("seed", ["4294967296", "-1", "1.5", "true", "010", "abc", "null"])
def test_a_seed_that_cannot_be_is_refused_also_after_one_that_can(composed, seed):
    with pytest.raises(ConfigError, match=r"^seed="):
        plan([["seed=1"], [f"seed={seed}"]], lambda overrides: composed(*overrides))


def test_runs_are_told_apart_by_all_that_a_sweep_varies(composed):
    line = ["model=rnn", "trainer.epochs=2"]
    lines = [[*line, f"optimizer.lr={lr}", f"seed={seed}"] for lr in (0.1, 0.01) for seed in (0, 1)]
    jobs = plan(lines, lambda overrides: composed(*overrides))
    assert list(labels(jobs).values()) == [f"rnn · digits · T=64 · lr={lr}" for lr in (0.1, 0.1, 0.01, 0.01)]
    assert next(iter(varied(jobs).values())) == {"optimizer.lr": "0.1"}
    both = plan([["model.width=4", "seed=1"], ["model.width=8", "seed=1"]], lambda overrides: composed(*overrides))
    assert [name.rpartition(" · ")[2] for name in labels(both).values()] == ["width=4", "width=8"]


def test_the_end_of_a_sweep_says_how_many_runs_wait_to_be_sent(jobs, store, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(gradreach.display, "make_console", lambda: Console(file=screen, width=200))
    display = display_of(jobs, store)
    told = [{"page": "https://there/team/gradreach/runs/1"}, {}, {}, {"untracked": "disk full"}]
    for job, more in zip(jobs, told, strict=True):
        store.write(record(job, "finished", **FINISHED, **more))
    environment = jobs[0].environment
    online = environment.tracking.model_copy(update={"mode": "online"})
    display.summary({"finished": 4}, environment.model_copy(update={"tracking": online}), {})
    assert "not tracked to the end: 1 of 4 runs; the first: disk full\n" in screen.getvalue()
    assert "tracked offline: 2 runs; 'gradreach sync' sends them\n" in screen.getvalue()
    assert "curves" not in screen.getvalue()
    display.summary({"finished": 4}, environment, {})
    assert screen.getvalue().count("tracked offline") == 1


def test_the_command_for_tables_names_the_folder_where_it_is_not_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    for usual in (Path("results"), tmp_path / "results"):
        assert gradreach.display.tables_line("pooling", usual) == "gradreach tables pooling"
    elsewhere = gradreach.display.tables_line("pooling", Path("results/my quick"))
    assert elsewhere == "gradreach tables pooling --results-dir 'results/my quick'"
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert gradreach.display.tables_line("pooling", usual) == f"{sys.executable} -m gradreach tables pooling"


def test_workers_are_told_what_auto_comes_to_here_so_that_one_without_numba_makes_no_other_run(jobs, store):
    told = []

    def launch(lines):
        told.extend(line[-1] for line in lines)
        for job in jobs:
            store.write(record(job, "failed", error="none"))
        return [JobReturn()] * len(lines)

    do_all(jobs, store, launch, pytest.fail)
    assert told == ["kernels=compiled"] * len(jobs)
