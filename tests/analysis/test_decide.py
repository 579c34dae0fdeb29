"""``gradreach decide``: what pilots say of a plan, each part with its own seeds."""

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.pages import decide as page
from gradreach.analysis.results import Results
from gradreach.analysis.study.planned_rule import check_parts, seeds_of
from gradreach.errors import ConfigError
from gradreach.study import Claim, Study, compare, value

STUDY = """
from gradreach.study import Claim, Study, compare
MORE = compare("test/accuracy", "lstm", "rnn", each="task").above(0)
STUDY = Study(question="?", claim=Claim("It is.", id="C99", parts={"more": MORE}), looks=[12, 24])
"""


def runs(seeds, status="finished"):
    """Return runs of two tasks, with so many seeds each."""
    generator = np.random.default_rng(0)
    rows = [
        {"run_id": f"{task}{model}{seed}", "model": model, "task": task, "seed": seed, "status": status}
        | {
            "seq_len": 8,
            "kernel_size": None,
            "test/accuracy": 0.5 + 0.03 * (model == "lstm") + 0.02 * generator.normal(),
        }
        for task, some in seeds.items()
        for model in ("rnn", "lstm")
        for seed in some
    ]
    return pd.DataFrame(rows)


PLAN = runs({"digits": range(100, 112), "mnist": range(100, 124)}, "missing").drop(columns="test/accuracy")


def test_each_part_is_told_what_its_own_seeds_can_find(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(STUDY, encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "runs.csv").touch()
    monkeypatch.setattr(page, "load_runs", lambda *_: runs({"digits": range(6), "mnist": range(6)}))
    name, looks, rows = page.decide("C99", tmp_path, tmp_path, lambda name: PLAN)
    assert (name, [len(seeds) for seeds in looks.seeds]) == ("mine", [12, 24])
    assert rows["planned"].tolist() == [12, 24]


def test_a_part_has_the_seeds_that_both_of_its_sides_have():
    planned = Results(Study(question="?").prepare(PLAN[(PLAN["model"] == "lstm") | (PLAN["seed"] < 103)]))
    more = compare("test/accuracy", "lstm", "rnn", where={"task": "mnist"})
    assert seeds_of(more, planned) == {100, 101, 102}
    assert seeds_of(value("test/accuracy", "lstm", where={"task": "mnist", "solved": True}), planned) == set(
        range(100, 124)
    )


def test_a_part_with_fewer_seeds_than_the_sweep_is_refused_where_these_decide_nothing():
    few = PLAN[(PLAN["task"] == "mnist") | (PLAN["seed"] < 106)]
    parts = {"more": compare("test/accuracy", "lstm", "rnn", each="task").above(0)}
    declared = Study(question="?", claim=Claim("It is.", parts=parts), looks=[12, 24])
    check_parts(declared, Results(PLAN))
    with pytest.raises(ConfigError, match=r"“more”.*no outcome of 6 seeds at the first look .* look first at 8 seeds"):
        check_parts(declared, Results(few))
