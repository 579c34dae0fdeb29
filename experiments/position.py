"""Position: do convolutional networks ignore where things stand?"""

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Verdict, combine_named, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_accuracy, chosen_rates

BY = ["architecture", "question"]
IGNORED = 55.0
"""Per cent; chance is 50."""
TASKS = {"half": "in which half?", "order": "which comes first?"}
DEEP = 4


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name networks by what could tell them the place, and choose learning rates."""
    head = runs["model.readout"].map({"max": "max over time", "flatten": "flatten"})
    names = runs["model.padding"] + ", " + head + ", layers " + runs["model.layers"].astype(str)
    runs = runs.assign(architecture=names, question=runs["task.rule"].map(TASKS))
    return choose(runs, BY)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]
    parts = {}
    for padding, readout, words in (
        ("circular", "max", "no edge and a maximum over time"),
        ("same", "max", "zeros at the edge and a maximum over time"),
        ("circular", "flatten", "no edge and all steps side by side"),
    ):
        accuracy = level(
            runs,
            "test/accuracy",
            {"task.rule": "half", "model.padding": padding, "model.readout": readout, "model.layers": DEEP},
            label=f"accuracy, in which half, {words}, {DEEP} layers",
            scale=100,
            unit="%",
        )
        parts[f"position is ignored with {words} ({DEEP} layers)"] = judge_threshold(
            accuracy, supported_below=IGNORED, refuted_above=IGNORED
        )
    return combine_named(parts)


EXPERIMENT = Experiment(
    title="Do convolutional networks ignore position?",
    question=(
        "Is the pattern in the left or in the right half; does A come before B? What in a convolutional network can "
        "answer that: the zeros at the edge, the head, the depth?"
    ),
    claim=Claim(
        "C10",
        "1.3",
        "CNN有什么不足：信息损失问题；忽略了位置信息",
        "CNNs ignore position (and lose information).",
    ),
    prediction=Prediction(
        "Right only of a network without an edge and with global pooling, which is the same for every shift. Zeros "
        "at the edge tell a deep network where it is, and a head on all steps side by side knows every place.",
        "M. Islam et al. 2020, How much position information do convolutional neural networks encode?; O. Kayhan "
        "and J. van Gemert 2020",
    ),
    rule=(
        f"Test accuracy in “in which half?” of networks of {DEEP} layers, which see all steps: supported where it is "
        f"below {IGNORED:g} % (chance is near 50), refuted where it is above, by the whole 95 % interval. Three "
        "parts: circular padding with a maximum over time, zero padding with the same, circular padding with a head "
        "on all steps."
    ),
    judge=judge,
    caveat=(
        "16 channels, kernel 5, dilations 1, 2, 4, 8, 48 steps, 500 steps of Adam; learning rates 0.003 and 0.01 "
        "were tried for each network and task. “Which comes first?” can also be answered without knowing any place, "
        "by a feature that sees both patterns. That information is lost is not tested. "
        f"Guessing is right in 50 %; “chance” in table and figure is the best constant answer on these test examples; the "
        f"threshold, {IGNORED:g} %, lies above both. Five seeds were added when the first five had "
        f"been seen; no verdict changed. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(chosen_accuracy("question"), chosen_rates(BY)),
    figures=(
        Figure(
            "accuracy",
            "Test accuracy of each network: mean of the seeds with its 95 % interval; small points are seeds. "
            "Dotted: chance; line: the threshold of the rule. A network that ignores position stays below it in “in which "
            "half?”.",
            of_chosen(
                lambda results, stem: dots(
                    results, stem, by="architecture", beside="question", line=(IGNORED, "threshold of the rule")
                )
            ),
        ),
    ),
)
