"""GRU against LSTM: size, time, overfitting, accuracy."""

import math
from dataclasses import replace
from functools import partial

import pandas as pd

from gradreach.analysis.choosing import CHOSEN, choose, of_chosen
from gradreach.analysis.experiment import Claim, Draw, Experiment, Figure, Prediction
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.naming import CELLS, CHOSEN_RATE
from gradreach.analysis.results import Results
from gradreach.analysis.tables import Measure, Table
from gradreach.analysis.verdict import LEAST, Effect, Verdict, combine_named, compare, judge_threshold

MARGIN = 2.0
"""Points of accuracy within which neither is better."""
KEYS = ["seed", "task", "examples"]
CLASSES = ["mnist1d", "trec"]


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Say what is equal, choose learning rates, and say how far training is ahead of the test."""
    equal = runs["model.match_params"].map(lambda value: "width" if pd.isna(value) else "size")
    runs = runs.assign(equal=equal, examples=runs["task.train_size"])
    runs = choose(runs, ["task", "equal", "architecture", "examples"])
    runs["setting"] = runs["task"] + ", " + runs["examples"].astype(str) + ", equal " + runs["equal"]
    if "train/accuracy" in runs:
        runs["gap/points"] = runs["train/accuracy"] - runs["test/accuracy"]
    return runs


def with_classes(draw: Draw) -> Draw:
    """Draw the chosen runs of tasks with classes."""
    return of_chosen(
        lambda results, stem: draw(replace(results, runs=results.runs[results.runs["task"].isin(CLASSES)]), stem)
    )


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]

    def ratio(column: str, equal: str) -> Effect:
        a, b = ({"model": model, "equal": equal} for model in ("gru", "lstm"))
        label = f"{column}, GRU ÷ LSTM, equal {equal}"
        return compare(runs, column, a, b, paired_by=KEYS, ratio=True, label=label)

    def difference(metric: str, label: str) -> Effect:
        a, b = ({"model": model, "task": CLASSES} for model in ("lstm", "gru"))
        return compare(runs, metric, a, b, paired_by=[*KEYS, "equal"], scale=100, unit="points", label=label)

    accuracy = difference("test/accuracy", "test accuracy, LSTM − GRU")
    gap = difference("gap/points", "training − test accuracy, LSTM − GRU")
    smaller = {
        f"the GRU takes {words}": judge_threshold(ratio(column, "width"), supported_below=1, refuted_above=1)
        for column, words in (
            ("parameters", "fewer parameters"),
            ("multiply_adds", "fewer multiply-adds"),
            ("training_seconds", "less time"),
        )
    }
    return combine_named(
        {
            **smaller,
            "the LSTM overfits more": judge_threshold(gap, supported_above=0, refuted_below=0),
            "neither is more accurate": neither_better(accuracy),
        }
    )


def neither_better(effect: Effect) -> Verdict:
    """Return whether a difference lies within the margin, wholly; refuted where it lies wholly beyond."""
    if math.isnan(effect.low) or effect.n < LEAST:
        return Verdict("undecided", effect, f"{effect}.")
    if effect.low > -MARGIN and effect.high < MARGIN:
        return Verdict("supported", effect, f"{effect}: within ±{MARGIN:g}.")
    beyond = effect.low > MARGIN or effect.high < -MARGIN
    return Verdict("refuted" if beyond else "undecided", effect, f"{effect}, held against ±{MARGIN:g}.")


EXPERIMENT = Experiment(
    title="GRU or LSTM?",
    question="Which is smaller, which is quicker, which overfits more, and is either of them better?",
    claim=Claim(
        "C5",
        "5",
        "GRU，简单有效，效率更高；LSTM，灵活，复杂导致过拟合风险高；并没有一个很普适一致的观点，来说明到底那一个更好",
        "A GRU is simpler and more efficient; an LSTM is flexible, and overfits more; there is no agreement on "
        "which is better.",
    ),
    prediction=Prediction(
        "Three quarters of the parameters and multiply-adds at equal width. On a CPU nn.GRU is no quicker than "
        "nn.LSTM. Comparisons at equal size found no consistent winner and no consistent overfitting.",
        "J. Chung et al. 2014; R. Jozefowicz et al. 2015; K. Greff et al. 2017",
    ),
    rule=(
        "Pairs share seed, task and number of examples; whole 95 % intervals. At equal width: parameters, "
        "multiply-adds and training time, GRU ÷ LSTM, supported below 1, refuted above. The LSTM overfits more: "
        "training minus test accuracy, LSTM − GRU, supported above 0, refuted below. Neither is better: test "
        f"accuracy, LSTM − GRU, supported within ±{MARGIN:g} points, refuted beyond. The last two over the tasks "
        "with classes, at equal width and equal size together."
    ),
    judge=judge,
    caveat=(
        "Torch's default start for both. Learning rates 0.003 and 0.01 were tried for each cell, task, size and "
        "number of examples. Training times were taken while other work ran on the machine; the ratio is over "
        "pairs, and its interval shows the noise. Equal size is not shown for TREC, where the embedding makes up "
        "most of the parameters. MNIST-1D is read at the last step here, which is harder than in its published "
        "table."
    ),
    prepare=prepare,
    tables=(
        Table(
            "accuracy",
            "Test accuracy in per cent (of adding: mean squared error, chance 1/6).",
            f"{CELLS} {CHOSEN_RATE}",
            (
                Measure("test/accuracy", "accuracy", scale=100),
                Measure("test/mse", "squared error", digits=4),
            ),
            rows=("task", "equal", "architecture", "tried"),
            columns="examples",
            where=CHOSEN,
        ),
        Table(
            "cost",
            "What they cost.",
            f"{CELLS} Training time was taken while other work ran on the machine.",
            (
                Measure("multiply_adds", "multiply-adds", digits=0),
                Measure("training_seconds", "training, s"),
            ),
            rows=("task", "equal", "architecture"),
            columns=(),
            where=CHOSEN | {"examples": 3200},
        ),
        Table(
            "gap",
            "Training minus test accuracy, in points.",
            CELLS,
            (Measure("gap/points", "gap", scale=100),),
            rows=("task", "equal", "architecture"),
            columns="examples",
            where=CHOSEN | {"task": CLASSES},
        ),
    ),
    figures=(
        Figure(
            "accuracy",
            "Test accuracy on MNIST-1D and TREC by number of examples and what is equal: mean of the seeds with its "
            "95 % interval; small points are seeds.",
            with_classes(partial(dots, by="setting", beside="architecture")),
        ),
        Figure(
            "gap",
            "By how much training accuracy is ahead of test accuracy: the larger, the more is overfitted.",
            with_classes(
                partial(
                    dots,
                    by="setting",
                    beside="architecture",
                    measure=Measure("gap/points", "training − test accuracy (points)", scale=100),
                )
            ),
        ),
    ),
)
