"""Long memory: who still remembers after T steps?"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures import metric_against
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, named, number
from gradreach.analysis.pages.coverage import PENDING
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.statistics import longest_solved
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Computed, Measure, Table

BY = ["task", "architecture", "T"]
SOLVED = {"copy": 90.0, "adding": 0.017}
"""Per cent of the symbols; a tenth of chance."""
BAI = {
    ("copy", "gru"): "below 20 % by T = 200",
    ("copy", "lstm b=1"): "below 20 % by T = 50",
    ("copy", "tcn"): "100 % at all T",
    ("adding", "rnn"): "0.177 at T = 600",
    ("adding", "gru"): "5.3e−5 at T = 600",
    ("adding", "lstm b=1"): "0.164 at T = 600",
    ("adding", "tcn"): "5.8e−5 at T = 600",
}
"""S. Bai et al. 2018: copy memory, 10,000 parameters, figure 5; squared error of adding, 70,000 parameters, table 1."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the starts, count T as the literature does, and choose learning rates."""
    names = named(runs, {"model.forget_bias": "b={:g}", "model.chrono": "chrono"})
    steps = runs["seq_len"].astype(int).where(runs["task"] == "adding", runs["seq_len"].astype(int) - 20)
    return choose(runs.assign(architecture=names, T=steps), BY)


def solved(runs: pd.DataFrame) -> pd.Series:
    """Return which runs have solved their task; a run without a number has not."""
    yes = pd.Series(False, index=runs.index)
    if "test/accuracy" in runs:
        yes |= (runs["task"] == "copy") & (100 * runs["test/accuracy"] >= SOLVED["copy"])
    if "test/mse" in runs:
        yes |= (runs["task"] == "adding") & (runs["test/mse"] <= SOLVED["adding"])
    return yes


def tried(results: Results) -> pd.DataFrame:
    """Return the chosen runs, of those T at which none is still to be done; with ``solved``."""
    runs = results.runs
    pending = runs["status"].isin(PENDING).groupby([runs[key] for key in BY]).transform("any")
    return runs[runs["chosen"] & ~pending].pipe(lambda ended: ended.assign(solved=solved(ended)))


def longest(results: Results) -> pd.DataFrame:
    """Return the longest T that each architecture has solved."""
    ended = tried(results)
    rows = []
    for (task, name), planned in results.runs.groupby(["task", "architecture"], sort=False):
        some = ended[(ended["task"] == task) & (ended["architecture"] == name)]
        row = {"task": task, "architecture": name, "T tried": "none yet"}
        if len(some):
            table = some.pivot_table(index="seed", columns="T", values="solved", aggfunc="max", fill_value=False)
            lengths = [int(length) for length in table.columns]
            left = len(planned["T"].unique()) - len(lengths)
            found = longest_solved(lengths, table.to_numpy(dtype=bool), np.random.default_rng(0))
            row |= {
                "T tried": ", ".join(map(str, lengths)) + (f" ({left} to come)" if left else ""),
                "longest T solved": found.value,
                "95 % from": found.low,
                "to": found.high,
                "runs that solved it": f"{int(some['solved'].sum())}/{len(some)}",
            }
        rows.append(row | {"Bai et al. 2018": BAI.get((str(task), str(name)), "–")})
    return pd.DataFrame(rows)


def success(results: Results) -> pd.DataFrame:
    """Return how many seeds of how many have solved their task, by architecture and T; a dash: still to be done."""
    ended = tried(results)
    lengths = sorted(results.runs["T"].unique())
    rows = []
    for (task, name), planned in results.runs.groupby(["task", "architecture"], sort=False):
        some = ended[(ended["task"] == task) & (ended["architecture"] == name)]
        cells = dict.fromkeys((f"T = {length}" for length in lengths), "")
        cells |= {f"T = {length}": "–" for length in planned["T"].unique()}
        cells |= {f"T = {length}": f"{int(yes.sum())}/{len(yes)}" for length, yes in some.groupby("T")["solved"]}
        rows.append({"task": task, "architecture": name, **cells})
    return pd.DataFrame(rows)


def beside_rnn(results: Results, metric: str, task: str, length: int, words: str, **options: Any) -> Effect:
    """Return a level of the LSTM with forget bias 1; its label says that of the RNN beside it."""
    runs = results.runs[results.runs["chosen"]]
    lstm, rnn = (
        level(runs, metric, {"task": task, "architecture": name, "T": length}, **options)
        for name in ("lstm b=1", "rnn")
    )
    return lstm._replace(label=f"{task}, T = {length}, {words} of the LSTM (of the RNN: {number(rnn.value, '.3g')})")


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    copied = beside_rnn(results, "test/accuracy", "copy", 50, "symbols recalled", scale=100, unit="%")
    added = beside_rnn(results, "test/mse", "adding", 100, "mean squared error")
    budget = f"within {int(results.finished['steps'].max()):,} steps of training" if len(results.finished) else ""
    return combine_named(
        {
            f"copy over 50 steps {budget}": judge_threshold(
                copied, supported_above=SOLVED["copy"], refuted_below=SOLVED["copy"]
            ),
            f"adding over 100 steps {budget}": judge_threshold(
                added, supported_below=SOLVED["adding"], refuted_above=SOLVED["adding"]
            ),
        }
    )


EXPERIMENT = Experiment(
    title="Who still remembers after T steps?",
    question="Ten symbols are to be repeated after T blanks; two marked numbers among T are to be added. Up to which T does each architecture do it, at 10,000 parameters and a fixed budget?",
    claim=Claim(
        "C3",
        "3, 4",
        "LSTM解决的问题：梯度消失，使得 RNN 很难有效地训练；RNN 难以捕捉到长距离依赖信息",
        "The LSTM solves vanishing gradients, and catches long-range dependence.",
    ),
    prediction=Prediction(
        "Not in general: at 10,000 parameters an LSTM recalls less than 20 % of the symbols beyond T = 50, where a "
        "TCN recalls all. The adding problem is solved by LSTMs with enough training.",
        "S. Bai, J. Kolter and V. Koltun 2018, table 1 and figure 5; S. Hochreiter and J. Schmidhuber 1997",
    ),
    rule=(
        "The LSTM with forget bias 1. Copy, T = 50, from where the published one fails: supported where it recalls more "
        f"than {SOLVED['copy']:g} % of the symbols, refuted below. Adding, T = 100: supported where its squared "
        f"error is below {SOLVED['adding']} (a tenth of chance), refuted above. Whole 95 % intervals over seeds."
    ),
    judge=judge,
    caveat=(
        "The budget is small: 1,500 steps of batches of 64, 96,000 sequences (adding at T = 100 took Hochreiter and Schmidhuber's LSTM of 93 weights "
        "74,000, one by one); what is not solved here may be solved with more. Every network clips its gradients to norm 1; other values, and chrono "
        "on copy, were not tried. What counts is who solves it in the same budget. Learning rates 0.003 "
        "and 0.01 were tried for each architecture, task and length; where an architecture chose one end of this grid at "
        "nearly all lengths (the last table), a wider one may move it up. Bai et al. trained longer, with a learning "
        "rate and clipping found for each; their accuracy too is that of the ten recalled symbols. "
        "They show the LSTM below 20 % by T = 50 and the GRU by T = 200; of adding they give the squared error at T = 600, which is "
        "beyond our lengths, with seven times our parameters. Each part names the RNN beside the LSTM: where "
        f"both fail, or neither does, nothing is said of what the gates are for. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Computed(
            "longest",
            "The longest T solved.",
            f"Solved: at least {SOLVED['copy']:g} % of the symbols recalled (copy), a squared error of at most "
            f"{SOLVED['adding']} (adding). A seed counts up to the T to which it solved that and every shorter one; "
            "median over seeds, bootstrap interval. 0: not even the shortest.",
            longest,
        ),
        Computed(
            "success",
            "Seeds that solved their task.",
            "Of the seeds that were run with the learning rate that validation chose. A dash: runs are still to be done.",
            success,
        ),
        Table(
            "copy",
            "Copy: symbols recalled, in per cent.",
            f"{CELLS} {CHOSEN_RATE} T is the number of blanks, as in the literature.",
            (Measure("test/accuracy", "recalled", scale=100, best="max"),),
            rows=("architecture", "tried"),
            columns="T",
            where=CHOSEN | {"task": "copy"},
        ),
        Table(
            "adding",
            "Adding: mean squared error; chance is 1/6.",
            f"{CELLS} {CHOSEN_RATE}",
            (Measure("test/mse", "squared error", digits=4, best="min"),),
            rows=("architecture", "tried"),
            columns="T",
            where=CHOSEN | {"task": "adding"},
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "copy",
            "Copy: symbols recalled against T, with 95 % intervals. Dotted: chance.",
            of_chosen(partial(metric_against, x="T"), {"task": "copy"}),
        ),
        Figure(
            "adding",
            "Adding: mean squared error against T, logarithmic, with 95 % intervals, cut at zero: a bar that leaves the picture reaches it. One seed that "
            "fails lifts the mean of five far; small points are the seeds. Dotted: chance.",
            of_chosen(
                partial(metric_against, x="T", measure=Measure("test/mse", "mean squared error"), log=True),
                {"task": "adding"},
            ),
        ),
    ),
)
