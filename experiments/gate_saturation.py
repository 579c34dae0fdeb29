"""Gate saturation: is an LSTM's factor mostly 0 or 1?"""

from functools import partial

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.shares import gate_shares
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, named, number
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Measure, Table

MOSTLY = 50.0
BY = ["architecture"]
STAGES = {"start": "before training", "end": "after training"}
FACTORS = {"notes": "tanh'(c)·f", "f": "forget gate", "i": "input gate"}
SHARES = {"closed": "below 0.1", "open": "above 0.9"}
BIASES = {"": "none", " b=1": "1", " b=3": "3"}
"""How the names of the three starts end, and their forget bias."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the starts and tasks, choose learning rates, add up what is below 0.1 and above 0.9 of the notes' factor."""
    names = named(runs, {"model.forget_bias": "b={:g}", "task": "· {}"})
    runs = choose(runs.assign(architecture=names), BY)
    added = {}
    for stage in STAGES:
        name = f"gradient/{stage}/gate_notes"
        if f"{name}.closed" in runs:
            added[f"{name}.saturated"] = runs[f"{name}.closed"] + runs[f"{name}.open"]
    return runs.assign(**added)


def factors(results: Results, stage: str, task: str) -> Effect:
    """Return the share of factors below 0.1 or above 0.9; its label says what it is the mean and the sum of."""
    runs = results.runs[results.runs["chosen"]]

    def share(of: str, **more: str) -> Effect:
        where = {"model": "lstm", "task": task, **more}
        return level(runs, f"gradient/{stage}/gate_notes.{of}", where, scale=100, unit="%")

    def said(of: str, **more: str) -> str:
        return number(share(of, **more).value, ".3g")

    starts = " / ".join(said("saturated", architecture=f"lstm{bias} · {task}") for bias in BIASES)
    sides = ", ".join(f"{said(of)} {words}" for of, words in SHARES.items())
    each = f"{sides}; forget bias {' / '.join(BIASES.values())}: {starts}"
    return share("saturated")._replace(label=f"factors below 0.1 or above 0.9, {task}, {STAGES[stage]} ({each})")


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    return combine_named(
        {
            f"{task} {when}": judge_threshold(
                factors(results, stage, task), supported_above=MOSTLY, refuted_below=MOSTLY
            )
            for stage, when in STAGES.items()
            for task in ("recall", "adding")
        }
    )


EXPERIMENT = Experiment(
    title="Are the factors of an LSTM mostly 0 or 1?",
    question=(
        "The notes reason that an LSTM keeps its gradient because each step multiplies it by tanh'·σ, whose values "
        "are mostly 0 or 1: some paths are cut, others kept. What values do these factors have in real LSTMs?"
    ),
    claim=Claim(
        "C2",
        "4.2",
        "LSTM与RNN区别就在于tanh变成了tanh'σ(x)，他的图像如下，大部分的数值要么0要么1",
        "The factor of one step of an LSTM, tanh'·σ, is mostly 0 or 1.",
    ),
    prediction=Prediction(
        "No. At torch's start gates stand near 0.5, so next to no factor is below 0.1 or above 0.9; a forget bias "
        "of 3 opens the gates before any training. What keeps the gradient are gates near 1, by a bias or by "
        "learning, not a switch between 0 and 1.",
        "F. Gers et al. 2000; R. Jozefowicz et al. 2015; K. Greff et al. 2017",
    ),
    rule=(
        "The share of factors tanh'(c_t)·f_t below 0.1 or above 0.9, over units, steps and examples: supported if "
        f"it is above {MOSTLY:g} %, refuted if it is below, by its whole 95 % interval over seeds, each with the "
        "mean of its three starts; four parts: recall and adding, before and after training."
    ),
    judge=judge,
    caveat=(
        "tanh'·σ is what the notes find for their simplified cell, s_j = tanh(f ∘ s_{j−1} + i ∘ x) (gated_tanh): "
        "there it is the direct path of a step, and it is not measured there, only the gates are. Of an LSTM it is read as tanh'(c_t)·f_t, "
        "which is not what its cell is multiplied by (that is f_t), and its step Jacobian is more than either, as "
        "docs/diagnostics.md says. What is judged is a mean over three starts that may differ widely: each part names "
        "all three. About 5,000 parameters, 1,000 steps of Adam. Mended after the runs: runs of the three starts of one "
        f"seed counted as independent draws; they count with their mean now. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Table(
            "saturation",
            "Share of values below 0.1, and above 0.9, in per cent.",
            f"{CELLS} {CHOSEN_RATE} Over units, steps and 16 examples. The factor of gated_tanh is not measured.",
            tuple(
                Measure(f"gradient/{stage}/gate_{gate}.{share}", f"{words}, {when}", factor, scale=100)
                for gate, factor in FACTORS.items()
                for stage, when in STAGES.items()
                for share, words in SHARES.items()
            ),
            rows=("architecture", "tried"),
            columns=(),
            lines="of",
            where=CHOSEN,
        ),
        Table(
            "trained",
            "What was learned, and by which gradient.",
            f"{CELLS} Accuracy in per cent, of adding the mean squared error (chance: 1/6); the gradient decays by a "
            "factor at every step back.",
            (
                Measure("test/accuracy", "accuracy, %", scale=100),
                Measure("test/mse", "squared error", digits=4),
                Measure("gradient/start/h.decay", "factor, before", digits=3),
                Measure("gradient/end/h.decay", "factor, after", digits=3),
            ),
            rows=("architecture", "tried"),
            columns=(),
            where=CHOSEN,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "shares",
            "How the values of the notes' factor tanh'(c)·f, and of the forget gate alone, are shared out: below "
            "0.1, in between, above 0.9; mean over seeds. By the rule the claim is right where grey is less than half. "
            "Blue that stands above and not below comes from tanh'(c), which is not on the cell's own path from "
            "step to step. The simplified cell (gated_tanh) has no bar above: its factor is not measured.",
            of_chosen(partial(gate_shares, gates={"notes": "tanh'(c)·f", "f": "forget gate"})),
        ),
    ),
)
