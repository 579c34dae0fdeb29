"""Sequence length: who keeps its accuracy as the sequence grows?"""

from functools import partial

import pandas as pd

from gradreach.analysis.choosing import CHOSEN, choose, chosen_accuracy, of_chosen
from gradreach.analysis.experiment import Claim, Experiment, Figure, Prediction
from gradreach.analysis.figures import metric_against
from gradreach.analysis.naming import CELLS, named
from gradreach.analysis.results import Results
from gradreach.analysis.scope import ONE_DRAW, chosen_rates
from gradreach.analysis.tables import Measure, Table
from gradreach.analysis.verdict import Verdict, combine_named, compare, judge_threshold

BY = ["architecture", "seq_len"]
SHORT, LONG = 64, 192
KEPT = 10.0
"""Points of accuracy."""
NAMES = {"lstm": "LSTM", "lstm b=1": "LSTM with forget bias 1", "gru": "GRU"}
"""Which gated networks are judged."""
REACH = Measure("gradient/end/x.reach", "reach after training (steps)", digits=0)


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the starts, and choose learning rates."""
    settings = {"model.start": "{}", "model.forget_bias": "b={:g}", "model.chrono": "chrono"}
    names = named(runs, settings)
    return choose(runs.assign(architecture=names), BY)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]
    parts = {}
    for name, words in NAMES.items():
        short, long = ({"architecture": name, "seq_len": steps} for steps in (SHORT, LONG))
        label = f"accuracy lost from {SHORT} to {LONG} steps, {words}"
        lost = compare(runs, "test/accuracy", short, long, scale=100, unit="points", label=label)
        parts[f"the {words} loses less than {KEPT:g} points"] = judge_threshold(
            lost, supported_below=KEPT, refuted_above=KEPT
        )
    return combine_named(parts)


EXPERIMENT = Experiment(
    title="Who keeps its accuracy as the sequence grows?",
    question="A handwritten digit is read pixel by pixel, 64 steps, and followed by silence. What is left of the accuracy after 32, 64 and 128 steps of silence?",
    claim=Claim(
        "C15",
        "–",
        "（笔记中没有这一条。）",
        "Gated networks keep their accuracy as the sequence grows (not of the notes; what a reader may take from §3).",
    ),
    prediction=Prediction(
        "With torch's start LSTM and GRU forget within tens of steps and do not find the digit behind a long "
        "silence; a forget bias, chrono, or an orthogonal start help. Convolutions with a maximum over time need "
        "not remember.",
        "C. Tallec and Y. Ollivier 2018; R. Jozefowicz et al. 2015",
    ),
    rule=(
        f"Test accuracy at {SHORT} steps (no silence) minus that at {LONG}, paired by seed, for LSTM, LSTM with "
        f"forget bias 1, and GRU: supported where less than {KEPT:g} points are lost, refuted where more, by the "
        "whole 95 % interval."
    ),
    judge=judge,
    caveat=(
        "About 5,000 parameters each, 1,020 steps of Adam with a cosine schedule; learning rates 0.003 and 0.01 "
        "were tried for each architecture and length. A network that has learned little at 64 steps has little to "
        "lose: the table shows both. The notes (§3) say that an LSTM solves what keeps an RNN from long-range dependence; "
        f"that accuracy is kept at any length is our reading, no translation. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        chosen_accuracy(),
        Table(
            "reach",
            "How far back the gradient by the input reaches after training, in steps.",
            f"{CELLS} The largest lag with at least 1 % of the norm at lag 1; at most seq_len − 1.",
            (REACH,),
            where=CHOSEN,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "accuracy",
            "Test accuracy against length, with 95 % intervals, of the learning rate that validation chose. Dotted: "
            "chance.",
            of_chosen(metric_against),
        ),
        Figure(
            "reach",
            "Reach of the gradient by the input after training. What lies farther back than the silence is the digit.",
            of_chosen(partial(metric_against, measure=REACH)),
        ),
    ),
)
