"""Errata: the recurrent cells as the notes print them, beside the real ones."""

from functools import partial

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures import gradient_by_lag, learning_curves
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, number
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, compare, judge_threshold
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Computed, Measure, Table

BY = ["architecture", "seq_len"]
FIRST = 16
"""Epochs of the first budget, 800 steps, which the GRUs kept."""
SAME = 10.0
"""Points of accuracy within which two cells count as the same."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Choose learning rates."""
    return choose(runs, BY)


def seed_by_seed(results: Results) -> pd.DataFrame:
    """Tabulate the validation accuracy of every seed, after the first budget and at the end."""
    runs = results.runs[results.runs["chosen"]]
    rows = []
    for name, some in runs.groupby("architecture", sort=False):
        row: dict[str, object] = {"architecture": name}
        mine = (
            results.history[results.history["run_id"].isin(some["run_id"])] if len(results.history) else pd.DataFrame()
        )
        last = mine["epoch"].max() if len(mine) else FIRST
        for words, epoch in (("after the first budget", FIRST), ("at the end", last)):
            values = sorted(mine.loc[mine["epoch"] == epoch, "val/accuracy"]) if len(mine) else []
            row[words] = ", ".join(number(100 * value, ".0f") for value in values)
        rows.append(row)
    return pd.DataFrame(rows)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]

    def loss_of(printed: str, real: str) -> Effect:
        return compare(
            runs,
            "test/accuracy",
            {"model": real},
            {"model": printed},
            label=f"accuracy, {real.upper()} − {real.upper()} as printed",
            scale=100,
            unit="points",
        )

    return combine_named(
        {
            f"the printed {real.upper()} does as well as {article} {real.upper()}": judge_threshold(
                loss_of(f"{real}_as_printed", real), supported_below=SAME, refuted_above=SAME
            )
            for real, article in (("gru", "a"), ("lstm", "an"))
        }
    )


EXPERIMENT = Experiment(
    title="Are the cells that the notes print a GRU and an LSTM?",
    question=(
        "The notes print a GRU that keeps the previous input where the state belongs, and an LSTM whose candidate "
        "uses one matrix for input and state. Do they still remember a symbol over 19 distractors as the real cells "
        "do?"
    ),
    claim=Claim(
        "C13",
        "5, 3",
        "GRU是一种LSTM的替代方案：s_j = (1-z) ⊙ x_{j-1} + z ⊙ s̃_j；LSTM的构成：z = tanh(x_j W^{xz} + h_{j-1} W^{xz} + b_z)",
        "These formulas are a GRU and an LSTM.",
    ),
    prediction=Prediction(
        "A GRU is s_j = (1 − z) ∘ s_{j−1} + z ∘ s̃_j: what is carried on unchanged is the state. As printed nothing "
        "is, so its gradient decays faster than a GRU's and it forgets. An LSTM with a shared matrix is a smaller "
        "LSTM and should still learn.",
        "K. Cho et al. 2014, eq. 7; S. Hochreiter and J. Schmidhuber 1997; F. Gers et al. 2000",
    ),
    rule=(
        "Test accuracy of the real cell minus that of the printed one, paired by seed: supported if it is below "
        f"{SAME:g} points, refuted if it is above, by its whole 95 % interval; one part for the GRU, one for the "
        "LSTM."
    ),
    judge=judge,
    caveat=(
        "All four have about 5,000 parameters and the same choice of learning rates. The GRUs have 800 steps of "
        "Adam; the LSTMs 2,400, because after 800 too few seeds of either had learned the task to tell anything: the "
        "table of seeds has what each had by then. That was changed after the first runs; the rule was not. One length and one task: a cell that fails here at 20 steps fails at a task that a GRU "
        "finds easy; one that does not may still differ elsewhere. "
        f"{ONE_DRAW}"
    ),
    prepare=prepare,
    profiles_of=CHOSEN,
    tables=(
        Table(
            "cells",
            "Accuracy, and the gradient by the state.",
            f"{CELLS} {CHOSEN_RATE} The gradient, ‖dL/dh_t‖, decays by a factor at every step back; half-life only "
            "where it is an exponential (R² at least 0.9).",
            (
                Measure("test/accuracy", "accuracy, %", scale=100, best="max"),
                Measure("gradient/start/h.decay", "factor, before", digits=3),
                Measure("gradient/end/h.decay", "factor, after", digits=3),
                Measure("gradient/start/h.half_life", "half-life, before", needs=("gradient/start/h.r2", 0.9)),
                Measure("gradient/end/h.half_life", "half-life, after", needs=("gradient/end/h.r2", 0.9)),
            ),
            rows=("architecture", "tried"),
            columns=(),
            where=CHOSEN,
        ),
        Computed(
            "seeds",
            "Validation accuracy of every seed, in per cent, from the worst to the best.",
            f"At the learning rate that validation chose. The first budget: {FIRST} epochs, 800 steps.",
            seed_by_seed,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "learning_curves",
            "Validation accuracy from epoch to epoch, of the learning rate that validation chose. Thin: seeds; "
            f"thick: their median. Dotted: chance. The GRUs end at epoch {FIRST}.",
            of_chosen(learning_curves),
        ),
        Figure(
            "gradient_by_lag",
            "Norm of each example's own gradient by the state against lag, relative to its largest. The cue stands "
            "at the far right.",
            of_chosen(partial(gradient_by_lag, quantity="h")),
        ),
    ),
)
