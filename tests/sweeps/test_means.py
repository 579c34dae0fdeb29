"""At its end a sweep tells its means in a small table, also where all was done before."""

import io

import pytest
from rich.console import Console

from gradreach.sweeps.means import ROWS, means_table
from gradreach.sweeps.plan import plan


@pytest.fixture
def planned(composed):
    def call(*lines):
        return plan([line.split() for line in lines], lambda overrides: composed(*overrides))

    return call


def shown(table):
    screen = io.StringIO()
    Console(file=screen, width=80).print(table)
    return [line.split() for line in screen.getvalue().splitlines() if line.strip(" ─")]


CHRONO = "model=lstm task=recall model.chrono=${seq_len}"


def test_a_row_is_a_configuration_and_a_column_a_length(planned):
    jobs = planned(
        *(
            f"{model} seq_len={n} seed={s}"
            for model in ("model=rnn task=recall", CHRONO)
            for n in (10, 40)
            for s in (0, 1)
        )
    )
    scores = {job.run_id: ("accuracy", 0.5 + job.run.seed / 4) for job in jobs}
    told = shown(means_table(jobs, scores))
    assert told == [
        ["test", "accuracy,", "mean", "over", "2", "seeds", "T=10", "T=40"],
        ["rnn", "62.5%", "62.5%"],
        ["lstm", "·", "chrono=T", "62.5%", "62.5%"],
    ]


def test_a_cell_says_how_many_runs_it_lacks(planned):
    jobs = planned(*(f"model=tcn task=recall seq_len=10 kernel_size={k} seed={s}" for k in (3, 5) for s in (0, 1)))
    scores = {job.run_id: ("accuracy", 1.0) for job in jobs[:1]}
    assert shown(means_table(jobs, scores))[1:] == [
        ["tcn", "·", "T=10", "·", "k=3", "100.0%", "(1/2)"],
        ["tcn", "·", "T=10", "·", "k=5", "–"],
    ]


def test_what_would_be_no_small_table_is_none(planned):
    jobs = planned(*(f"model=rnn seed=0 optimizer.lr={i / 100}" for i in range(1, ROWS + 2)))
    scores = {job.run_id: ("accuracy", 1.0) for job in jobs}
    assert means_table(jobs, scores) is None
    assert means_table(jobs[:ROWS], scores) is not None
    assert means_table(jobs[:1], {}) is None
