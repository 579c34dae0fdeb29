"""Labels of models, shuffled among the runs of a committed table, leave nothing supported but what is arithmetic.

Within each cell of all settings but the model's (task, length, rate, seed), runs exchange what was measured. A
comparison that is supported then found a difference where there can be none, or its threshold lets no difference pass
for one: that is said of it.

Only comparisons are so tested. A value or a share compares no labels: it is of runs of one label, against a number that
the study names, and labels shuffled make it that of a mean of models, which may lie there too. Two columns of the same
runs move together, and what a share selects by (``full`` of C0) is measured as its score is: shuffled apart from it, it
leaves C0 open, as its pilots are anyway, which shows nothing.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.results import Results
from gradreach.analysis.study.comparison import Comparison
from gradreach.analysis.study.parts import Part, judge_parts, leaves_of
from gradreach.analysis.study.study_files import known_studies, load_study
from gradreach.run_table.columns import GROUPS
from gradreach.run_table.load import load_runs
from gradreach.study import Claim, Study, compare
from project import COMMITTED, PROJECT

ROUNDS = 20
KNOWN = ("run_id", "status", "model", "task", "seq_len", "kernel_size", "seed", "architecture", "metric", "chance")
CELLS = ("task", "seq_len", "seed", "optimizer.lr", "trainer.epochs")


def declared(name):
    study = load_study(name, PROJECT / "experiments")
    parts = {words: part for words, part in leaves_of(study.parts).items() if isinstance(part, Part)}
    compared = {words: part for words, part in parts.items() if isinstance(part.quantity, Comparison)}
    return study, {words: part for words, part in compared.items() if part.quantity.outcome != "fixed"}  # arithmetic


RUN = [name for name in known_studies(PROJECT / "experiments") if name in COMMITTED]
NAMES = [name for name in RUN if declared(name)[1]]


def shuffled(runs, generator):
    """Return a run table whose runs have exchanged what was measured, within each cell of what is not a model."""
    measured = [name for name in map(str, runs) if name not in KNOWN and not name.startswith(GROUPS)]
    cells = [name for name in map(str, runs) if name in CELLS or name.startswith("task.")]
    order = np.arange(len(runs))
    for where in runs.groupby(cells, dropna=False, sort=False).indices.values():
        order[where] = generator.permutation(where)
    moved = runs[measured].iloc[order].set_index(runs.index)
    return runs.assign(**{name: moved[name] for name in measured})


def allows_no_difference(part):
    """Return whether a part holds where there is no difference at all: that something is not worse, or about equal."""
    none = 1.0 if part.quantity.ratio else 0.0
    kind, at = part.threshold
    return {"above": none > at, "below": none < at, "within": True}[kind]


@pytest.mark.parametrize("name", NAMES)
def test_shuffled_labels_leave_no_comparison_supported(name):
    study, parts = declared(name)
    runs, generator = load_runs(name, PROJECT / "results"), np.random.default_rng(0)
    told = Counter()
    for _ in range(ROUNDS):
        prepared = study.prepare(shuffled(runs, generator))
        results = study.of_chosen(Results(prepared, derived=study.columns))
        for words, part in parts.items():
            for leaf in part.judge(results, words).leaves:
                told[words] += leaf.state == "supported" and not allows_no_difference(part)
    often = {words: count for words, count in told.items() if count > 0.2 * ROUNDS}
    assert often == {}


def test_a_difference_that_is_there_is_supported_and_gone_once_labels_are_shuffled():
    better = Study(question="?", claim=Claim("So.", parts={"b is better": compare("test/accuracy", "b", "a").above(5)}))
    rows = [
        {"run_id": f"{model}{seed}", "status": "finished", "model": model, "task": "t", "seq_len": 8, "seed": seed}
        | {"kernel_size": None, "test/accuracy": 0.5 + 0.2 * (model == "b") + 0.01 * (seed % 3)}
        for model in "ab"
        for seed in range(12)
    ]
    runs, generator = pd.DataFrame(rows), np.random.default_rng(0)
    states = [judge_parts(better.parts, Results(better.prepare(shuffled(runs, generator)))).state for _ in range(20)]
    assert judge_parts(better.parts, Results(better.prepare(runs))).state == "supported"
    assert "supported" not in states
