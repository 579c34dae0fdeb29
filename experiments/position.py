"""Position: do convolutional networks ignore where things stand?"""

import pandas as pd

from gradreach.study import Answer, Claim, Study, compare, figure, table, value

IGNORED, LOST = 55, 5
"""Per cent, where chance is 50; points, by which more is known where all steps are seen."""
DEEP = 4
"""Layers: this many see all steps."""
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
    answer=Answer(
        "Only without edges, pooled over time.",
        "supported, 2 refuted, supported, refuted",
    ),
    architecture=names,
    derive={"question": lambda runs: runs["task.rule"].map({"half": HALF, "order": FIRST})},
    choose="optimizer.lr",
    claim=Claim(
        "CNNs ignore position (and lose information).",
        id="C10",
        title="CNNs ignore position",
        section="1.3",
        source="founding notes",
        original="CNN有什么不足：信息损失问题；忽略了位置信息",
        expect=(
            "True only of a network without an edge and with global pooling, which is the same for every shift. Zeros "
            "at the edge tell a deep network where it is; a head on all steps side by side knows every place. A maximum over "
            "time loses the order in which features came."
        ),
        expect_source=(
            "M. Islam et al. 2020, How much position information do convolutional neural networks encode?; O. Kayhan "
            "and J. van Gemert 2020"
        ),
        parts={
            **{
                f"position is ignored with {words} ({DEEP} layers)": value(
                    "test/accuracy", f"{network}, layers {DEEP}", where={"question": HALF}, outcome="ranks"
                ).below(IGNORED)
                for network, words in {
                    "circular, max over time": "no edge and a maximum over time",
                    "same, max over time": "zeros at the edge and a maximum over time",
                    "circular, flatten": "no edge and all steps side by side",
                }.items()
            },
            **{
                f"information is lost by a maximum over time with {words} ({DEEP} layers)": compare(
                    "test/accuracy",
                    f"{padding}, max over time, layers {DEEP}",
                    f"{padding}, flatten, layers {DEEP}",
                    where={"question": FIRST},
                ).below(-LOST)
                for padding, words in {"circular": "no edge", "same": "zeros at the edge"}.items()
            },
        },
    ),
    looks=[12, 18],
    show=[
        table("test/accuracy", columns="question"),
        figure(
            "dots",
            about=f"A network that ignores position stays below the line in “{HALF}”.",
            beside="question",
            threshold=IGNORED,
        ),
    ],
    caveats=[
        (
            "The notes speak of images; ours is one-dimensional: a position is one number, and a border is one of two ends. Zeros at "
            "the four sides of an image tell two numbers, and are nearer to most positions."
        ),
        f"Networks of {DEEP} layers see all steps, and are judged; those of one layer see few, and are shown.",
        "“Which comes first?” does not need position: a feature that sees both patterns answers it too.",
        f"Information is lost where a maximum over time does worse than all steps side by side at “{FIRST}”, by more than "
        f"{LOST} points; how much of the input could be rebuilt from features is not tested. The head on all steps has more "
        "weights.",
        (
            "Guessing is right in 50 %; “chance” is the best constant answer on these test examples. The threshold, "
            f"{IGNORED} %, lies above both."
        ),
    ],
    changed=[
        "In pilots (seeds 0 to 9) that information is lost was not a part; accuracies that were identical in all seeds were "
        "judged by Student's t.",
    ],
)
