"""Gate saturation: is an LSTM's factor mostly 0 or 1?"""

from functools import partial

import pandas as pd

from gradreach.analysis.choosing import CHOSEN, choose, of_chosen
from gradreach.analysis.experiment import Claim, Experiment, Figure, Prediction
from gradreach.analysis.figures.shares import gate_shares
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, named
from gradreach.analysis.results import Results
from gradreach.analysis.tables import Measure, Table
from gradreach.analysis.verdict import Verdict, combine_named, judge_threshold, level

MOSTLY = 50.0
STAGES = {"start": "before training", "end": "after training"}
FACTORS = {"notes": "tanh'(c)·f", "f": "forget gate", "i": "input gate"}


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the starts and tasks, choose learning rates, add up what is below 0.1 and above 0.9."""
    names = named(runs, {"model.forget_bias": "b={:g}", "task": "· {}"})
    runs = choose(runs.assign(architecture=names), ["architecture"])
    added = {}
    for stage in STAGES:
        for gate in FACTORS:
            name = f"gradient/{stage}/gate_{gate}"
            if f"{name}.closed" in runs:
                added[f"{name}.saturated"] = runs[f"{name}.closed"] + runs[f"{name}.open"]
    return runs.assign(**added)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    parts = {}
    for stage, when in STAGES.items():
        for task in ("recall", "adding"):
            share = level(
                results.runs[results.runs["chosen"]],
                f"gradient/{stage}/gate_notes.saturated",
                {"model": "lstm", "task": task},
                label=f"factors below 0.1 or above 0.9, {task}, {when}",
                scale=100,
                unit="%",
            )
            parts[f"{task} {when}"] = judge_threshold(share, supported_above=MOSTLY, refuted_below=MOSTLY)
    return combine_named(parts)


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
        "tanh'·σ is the notes' factor, read as tanh'(c_t)·f_t; the step Jacobian of an LSTM is more than that, as "
        "docs/diagnostics.md says. Of the simplified cell only the gates are shown. About 5,000 parameters, 1,000 "
        "steps of Adam. The table shows each start by itself."
    ),
    prepare=prepare,
    tables=(
        Table(
            "saturation",
            "Share of values below 0.1 or above 0.9, in per cent.",
            f"{CELLS} {CHOSEN_RATE} Over units, steps and 16 examples.",
            tuple(
                Measure(f"gradient/{stage}/gate_{gate}.saturated", f"{words}, {when}", scale=100)
                for gate, words in FACTORS.items()
                for stage, when in STAGES.items()
            ),
            rows=("architecture", "tried"),
            columns=(),
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
    ),
    figures=(
        Figure(
            "shares",
            "How the values of the notes' factor tanh'(c)·f, and of the forget gate alone, are shared out: below "
            "0.1, in between, above 0.9; mean over seeds. Were the claim right, there would be next to no grey. "
            "Blue that stands above and not below comes from tanh'(c), which is not on the cell's own path from "
            "step to step. The simplified cell (gated_tanh) has no bar above: its factor is not measured.",
            of_chosen(partial(gate_shares, gates={"notes": "tanh'(c)·f", "f": "forget gate"})),
        ),
    ),
)
