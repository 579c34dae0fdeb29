"""What a sweep does when workers die, and what it shows meanwhile."""

import io

import pytest
from rich.console import Console

import gradreach.display
from gradreach.display import SweepDisplay
from gradreach.records import RecordStore
from gradreach.sweep import ATTEMPTS, Job, _do_all


@pytest.fixture
def jobs(configured):
    made = [configured("model=rnn", f"seed={seed}") for seed in range(4)]
    return [Job([f"seed={run.seed}"], run, workplace, 1) for run, workplace in made]


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


FINISHED = {"metric": "accuracy", "metrics": {"test/accuracy": 0.5, "gradient/end/x.reach": 12.0}}


def test_no_run_is_condemned_for_the_company_in_which_its_workers_died(jobs, store):
    by_line = {tuple(job.overrides): job for job in jobs}
    launched = []

    def launch(lines):
        launched.append([line[0] for line in lines])
        chosen = [by_line[tuple(line)] for line in lines]
        for job in chosen:
            store.write(record(job, "running"))
        if len(chosen) == 1 and chosen[0] is not jobs[0]:
            store.write(record(chosen[0], "finished", **FINISHED))
            return []
        raise RuntimeError("a worker was killed")

    with SweepDisplay(store, 4, 4, [job.run for job in jobs]) as display:
        _do_all(jobs, store, launch, display)
    assert [store.status(job.run.run_id) for job in jobs] == ["failed", "finished", "finished", "finished"]
    assert "3 times without a result" in store.read(jobs[0].run.run_id)["error"]
    everyone = [f"seed={seed}" for seed in range(4)]
    assert launched == [everyone] * (ATTEMPTS - 1) + [[line] for line in everyone]


def test_on_a_terminal_a_sweep_is_one_picture_with_the_latest_results(jobs, store, monkeypatch):
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=120, highlight=False)
    monkeypatch.setattr(gradreach.display, "make_console", lambda: console)
    store.write(record(jobs[3], "finished", **FINISHED))
    with SweepDisplay(store, 4, 4, [job.run for job in jobs[:3]]) as display:
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


def test_the_end_of_a_sweep_says_how_many_runs_wait_to_be_sent(jobs, store, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(gradreach.display, "make_console", lambda: Console(file=screen, width=200))
    display = SweepDisplay(store, 4, 4, [job.run for job in jobs])
    told = [{"page": "https://there/team/gradreach/runs/1"}, {}, {}, {"untracked": "disk full"}]
    for job, more in zip(jobs, told, strict=True):
        store.write(record(job, "finished", **FINISHED, **more))
    workplace = jobs[0].workplace
    online = workplace.tracking.model_copy(update={"mode": "online"})
    display.summary({"finished": 4}, workplace.model_copy(update={"tracking": online}))
    assert "not tracked to the end: 1 of 4 runs; the first: disk full\n" in screen.getvalue()
    assert "tracked offline: 2 runs; 'gradreach sync' sends them\n" in screen.getvalue()
    assert "curves" not in screen.getvalue()
    display.summary({"finished": 4}, workplace)
    assert screen.getvalue().count("tracked offline") == 1
