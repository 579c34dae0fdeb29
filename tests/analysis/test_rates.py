"""Where in its grid a learning rate chosen by validation lies."""

import pandas as pd

from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import choose
from gradreach.analysis.tables.rates import chosen_rates


def table(best, grid=(0.001, 0.003, 0.01), status="finished"):
    """Return the table of one architecture, of which each task does best with a rate of its own."""
    rows = [
        {"architecture": "a", "task": task, "optimizer.lr": rate, "val/accuracy": float(rate == good), "status": status}
        for task, good in enumerate(best)
        for rate in grid
    ]
    runs = choose(pd.DataFrame(rows).assign(metric="accuracy"), ["architecture", "task"])
    return chosen_rates(["architecture", "task"], "optimizer.lr").compute(Results(runs)).to_dict("records")


def test_choices_at_either_end_of_the_grid_are_counted():
    (row,) = table([0.001, 0.01, 0.01, 0.003])
    assert row == {
        "architecture": "a",
        "rates tried": "0.001, 0.003, 0.01",
        "lowest": "1 of 4",
        "in between": "1 of 4",
        "highest": "2 of 4",
    }


def test_what_has_no_run_or_one_rate_alone_has_chosen_nothing():
    assert table([0.001], status="missing") == table([0.001], grid=[0.001]) == [{"settings": "none chosen yet"}]
