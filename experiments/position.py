"""Position: do convolutional networks ignore where things stand?"""

import pandas as pd

from gradreach.study import Claim, Study, figure, table, value

IGNORED = 55
"""Per cent; chance is 50."""
DEEP = 4
"""Layers: so many see all steps."""
HALF, FIRST = "in which half?", "which comes first?"


def names(runs: pd.DataFrame) -> pd.Series:
    """Name networks by what could tell them the place."""
    head = runs["model.readout"].map({"max": "max over time", "flatten": "flatten"})
    return runs["model.padding"] + ", " + head + ", layers " + runs["model.layers"].astype(str)


STUDY = Study(
    question="Do convolutional networks ignore position?",
    about=(
        "Is the pattern in the left or in the right half; does A come before B? What in a convolutional network can "
        "answer that: the zeros at the edge, the head, the depth?"
    ),
    architecture=names,
    derive={"question": lambda runs: runs["task.rule"].map({"half": HALF, "order": FIRST})},
    choose="optimizer.lr",
    claim=Claim(
        "CNNs ignore position (and lose information).",
        id="C10",
        section="1.3",
        source="founding notes",
        original="CNN有什么不足：信息损失问题；忽略了位置信息",
        expect=(
            "True only of a network without an edge and with global pooling, which is the same for every shift. Zeros "
            "at the edge tell a deep network where it is; a head on all steps side by side knows every place."
        ),
        expect_source=(
            "M. Islam et al. 2020, How much position information do convolutional neural networks encode?; O. Kayhan "
            "and J. van Gemert 2020"
        ),
        parts={
            f"position is ignored with {words} ({DEEP} layers)": value(
                "test/accuracy", f"{network}, layers {DEEP}", where={"question": HALF}
            ).below(IGNORED)
            for network, words in {
                "circular, max over time": "no edge and a maximum over time",
                "same, max over time": "zeros at the edge and a maximum over time",
                "circular, flatten": "no edge and all steps side by side",
            }.items()
        },
    ),
    show=[
        table("test/accuracy", columns="question"),
        figure(
            "dots",
            about=f"A network that ignores position stays below the line in “{HALF}”.",
            beside="question",
            line=(IGNORED, "threshold of the rule"),
        ),
    ],
    caveats=[
        f"Networks of {DEEP} layers see all steps, and are judged; those of one layer see a few, and are shown.",
        "“Which comes first?” needs no place: a feature that sees both patterns answers it too.",
        "That information is lost is not tested.",
        (
            "Guessing is right in 50 %; “chance” is the best constant answer on these test examples. The threshold, "
            f"{IGNORED} %, lies above both."
        ),
    ],
    changed=["Five seeds were added when the first five had been seen; no verdict changed."],
)
