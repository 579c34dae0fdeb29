"""What a person sees of a run while it goes."""

import io
import math
import re

import pytest
from rich.console import Console

import gradreach.display
from gradreach.display import RunDisplay, duration
from gradreach.runner import execute
from project import SMALL


@pytest.fixture
def screen(monkeypatch):
    """Where a run shows how it goes: a terminal of 80 columns, or a file."""

    def made(terminal):
        said = io.StringIO()
        console = Console(file=said, force_terminal=terminal, width=80, highlight=False)
        monkeypatch.setattr(gradreach.display, "make_console", lambda: console)
        return said

    return made


def row(epoch, seconds):
    return {"epoch": epoch, "step": 9 * epoch, "train/loss": 1.0, "val/accuracy": 0.5, "time/seconds": seconds}


def test_within_an_epoch_a_terminal_shows_batches_and_the_time_that_is_left(screen, configured, monkeypatch):
    said = screen(terminal=True)
    monkeypatch.setattr("gradreach.training.epochs.EVERY_SECONDS", 0)
    run, environment = configured(*SMALL, "model=rnn", "trainer.epochs=1")
    told = []
    with RunDisplay(run) as display:
        execute(run, environment, display.epoch, watch=lambda *place: (told.append(place), display.watch(*place)))
        display.watch(0, 3, 4, 3)
        display.bar.refresh()
    batches = told[0][2]
    assert told == [(0, i, batches, i) for i in range(1, batches + 1)]
    assert "batch 3/4" in said.getvalue()
    drawn = re.split(r"[\r\n]", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", said.getvalue()))
    assert max(map(len, drawn)) <= 80


def test_elsewhere_no_batch_is_told_and_a_slow_first_epoch_says_how_long_it_takes(screen, configured):
    said = screen(terminal=False)
    run, _ = configured("model=rnn", "trainer.epochs=20")
    with RunDisplay(run) as display:
        assert display.watch is None
        display.epoch(row(1, 12.0))
        display.epoch(row(2, 24.0))
        display.epoch(row(4, 48.0))
    first, second = said.getvalue().splitlines()[1:]
    assert first.endswith("about 4 min left")
    assert second.split()[:4] == ["epoch", "4", "of", "20"]
    assert second.endswith("about 3 min left")


@pytest.mark.parametrize(
    ("select", "words"),
    [("best", "best epoch"), ("last", "last epoch 2"), ("train_loss", "epoch of the lowest training loss")],
)
def test_the_end_of_a_run_says_which_epoch_was_tested(select, words, screen, configured):
    said = screen(terminal=False)
    run, environment = configured(*SMALL, "model=rnn", f"trainer.select={select}")
    with RunDisplay(run) as display:
        display.result(execute(run, environment), environment)
    assert f"({words}" in " ".join(said.getvalue().split())


def test_a_quick_run_says_nothing_of_time(screen, configured):
    said = screen(terminal=False)
    with RunDisplay(configured("model=rnn", "trainer.epochs=4")[0]) as display:
        display.epoch(row(1, 0.2))
        display.epoch(row(4, 0.8))
    assert "left" not in said.getvalue()


@pytest.mark.parametrize(("reach", "told"), [(12.0, "  12"), (math.nan, "   –")])
def test_a_reach_that_is_not_a_number_is_a_dash(reach, told):
    metrics = {"test/accuracy": 0.5, "gradient/end/x.reach": reach}
    record = {"status": "finished", "metric": "accuracy", "metrics": metrics}
    assert gradreach.display._outcome(record)[1] == f"gradient reaches {told} steps"
    assert gradreach.display._gradient(metrics, "end") == f"reaches {told.strip()} steps back (input)"


def test_durations_are_estimates():
    assert [duration(seconds) for seconds in (7.4, 99, 100, 5999, 9000)] == [
        "7 s",
        "99 s",
        "2 min",
        "1 h 40 min",
        "2 h 30 min",
    ]
