"""Parts on speed: by the ratio of each round, and by no seed."""

import numpy as np
import pandas as pd
import pytest
import scipy

from gradreach.analysis.results import Results
from gradreach.analysis.stats.intervals import signed_rank_interval
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.study.parts import leaves_of
from gradreach.analysis.study.planned_rule import check_parts
from gradreach.analysis.study.times import time_ratio
from gradreach.errors import ConfigError
from gradreach.run_table.times import COLUMNS, step_settings

ROUNDS = 20


def runs(seeds=(0, 1), status="finished"):
    rows = [
        {"model": model, "architecture": model, "task": task, "seed": seed, "status": status}
        | {"seq_len": 30, "kernel_size": None}
        for model in ("gru", "lstm")
        for task in ("adding", "recall")
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def times(slower, compiled=()):
    """Return times in which one round is like another but for what slows both sides, and a little noise."""
    rng, table = np.random.default_rng(0), runs(seeds=(0,))
    load = rng.uniform(1, 3, ROUNDS)
    rows = []
    for setting, model in zip(step_settings(table), table["model"], strict=True):
        for kernels in ("torch", *(["compiled"] if model in compiled else [])):
            factor = (slower if model == "gru" else 1) * (0.1 if kernels == "compiled" else 1)
            for number in range(ROUNDS):
                taken = factor * load[number] * rng.uniform(0.95, 1.05)
                row = dict.fromkeys(COLUMNS, 1.0) | {"setting": setting, "kernels": kernels, "round": number}
                rows.append(row | {"forward_cpu": taken, "forward_wall": taken**2})
    return pd.DataFrame(rows)


def found(slower=2.0, compiled=(), **options):
    quantity = time_ratio("gru", "lstm", direction="forward", where={"task": "recall"}, **options)
    return quantity.of(Results(runs(), times=times(slower, compiled)))


def test_the_ratio_is_the_middle_of_the_ratios_of_rounds():
    table = times(2.0)
    sides = [table[table["setting"] == f"model={model} seq_len=30 task=recall"] for model in ("gru", "lstm")]
    logs = np.log(sides[0]["forward_cpu"].to_numpy() / sides[1]["forward_cpu"].to_numpy())
    means = [(a + b) / 2 for i, a in enumerate(logs) for b in logs[i:]]
    effect = found()
    assert effect.value == pytest.approx(np.exp(np.median(means)))
    assert (effect.n, effect.unit, effect.test) == (ROUNDS, "times", "signed ranks, over rounds")
    for end, inside in ((effect.low, 1.001), (effect.high, 0.999)):
        assert scipy.stats.wilcoxon(logs - np.log(end / inside), method="exact").pvalue <= 0.05
        assert scipy.stats.wilcoxon(logs - np.log(end * inside), method="exact").pvalue > 0.05
    assert effect.high / effect.low < 1.1  # load, which is that of both sides, drops out


def test_the_wall_clock_and_compiled_kernels_are_asked_for():
    assert found(clock="wall").value == pytest.approx(4, rel=0.1)
    assert found(compiled=["gru"], kernels="compiled").value == pytest.approx(0.2, rel=0.1)  # an LSTM has none
    assert found(compiled=["gru"]).value == pytest.approx(2, rel=0.1)


PART = time_ratio("gru", "lstm", direction="forward", each="task").below(1)


def study(part=PART, looks=()):
    return Study(question="?", claim=Claim("…", parts={"p": part}), looks=looks)


def verdict(measured, **options):
    results = Results(runs(**options), times=measured, name="mine")
    return judged(study(), results, looks_at(study(), results, []))


def test_times_decide_without_a_seed():
    assert verdict(times(2.0)).state == "refuted"
    assert verdict(times(0.5)).state == "supported"


def test_without_times_a_part_is_open_and_says_what_to_run():
    for part in verdict(times(1.0).iloc[:0]).parts[0].parts:
        assert (part.state, part.why) == ("open", "not timed: run gradreach time mine")


def test_times_of_another_setting_are_none_of_these():
    measured = times(2.0)
    measured["setting"] += " model.width=64"
    assert verdict(measured).state == "open"


def test_no_number_of_seeds_is_asked_for():
    planned = Results(runs(seeds=(100, 101), status="missing"))
    check_parts(study(looks=[2]), planned)
    (part,) = leaves_of(study().parts).values()
    assert signed_rank_interval(np.zeros(2), 0.05).low != 0  # two would not do for ranks
    assert part.quantity.outcome == "rounds"


def test_a_side_of_several_configurations_is_refused_before_anything_runs():
    frame = runs(seeds=(100, 101), status="missing")
    with pytest.raises(ConfigError, match=r"task is not fixed .*each='task'"):
        check_parts(study(time_ratio("gru", "lstm").below(1)), Results(frame))


def test_a_table_is_not_called_as_the_file_of_times():
    from gradreach.analysis.study.page_tables import table

    with pytest.raises(ConfigError, match="a table cannot be named times"):
        Study(question="?", show=[table("test/accuracy", name="times")])
