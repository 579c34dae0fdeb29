"""How far does the gradient of today's mixers reach, before and after training on recall?"""

import pandas as pd

from gradreach.study import Answer, Claim, Quantity, Study, column, compare, figure, measure, share, table

START, END = "gradient/start/x.reach", "gradient/end/x.reach"
HALF, NEARLY = 20, 35
"""Of the 39 steps between the cue and the answer."""
MIXERS = {"mamba": "Mamba", "deltanet": "DeltaNet"}
BESIDE = {"lstm chrono": "an LSTM with chrono", "transformer": "a Transformer"}
CONTENT = {"deltanet": "DeltaNet", "transformer": "a Transformer"}
RECALL = {"task": "recall"}


def short(runs: pd.DataFrame) -> pd.Series:
    """Return of which runs the gradient reaches less than half of the way to the cue before training."""
    return (runs[START] < HALF).astype(float)


def arrives(runs: pd.DataFrame) -> pd.Series:
    """Return of which runs the gradient reaches the cue after training, or nearly."""
    return (runs[END] >= NEARLY).astype(float)


def before(name: str) -> Quantity:
    """Return the share of a network's seeds whose gradient is short before training."""
    return share("short", name, where=RECALL)


def after(name: str) -> Quantity:
    """Return the share of a network's runs that solved recall whose gradient reaches the cue."""
    return share("arrives", name, where={**RECALL, "solved": True})


STUDY = Study(
    question="How far does the gradient of today's mixers reach, before and after training on recall?",
    about=(
        "One layer each (a Transformer and S4D two), of about equal size, on 40 steps of recall, whose cue is the first: how much of the "
        "gradient with respect to the input arrives there, at initialization and after training? Beside it, who recalls by content: "
        "four pairs of keys and values, two layers in blocks of a Transformer."
    ),
    answer=Answer("Yes: once it recalls, Mamba reaches too.", "11 supported"),
    architecture={"model.chrono": "chrono"},
    derive={
        "short": column(short, f"runs that reach less than {HALF} steps before training", "%", 0),
        "arrives": column(arrives, f"runs that reach at least {NEARLY} steps after training", "%", 0, "max"),
    },
    solved={"val/accuracy": 90},
    claim=Claim(
        "At initialization Mamba's gradient reaches a few steps, DeltaNet's all; trained until they recall, both reach the cue. "
        "By content, delta rules and attention recall more than an LSTM.",
        id="C21",
        title="Mixers reach by training",
        expect=(
            "Nobody has measured it. In our pilots Mamba's gradient grew from 3 steps to all, and that of each network that learned "
            "recall reached the cue; a GRU and an LSTM without chrono learned nothing, and reached no farther than before. On MQAR "
            "attention and delta rules recall more than a recurrence whose state is as small as an LSTM's."
        ),
        expect_source="our own pilots (seeds 0 and 1); of MQAR S. Arora et al. 2024, figure 2",
        parts={
            "before training": {
                "Mamba reaches less than half of the way in more than half of the seeds": before("mamba").above(50),
                "DeltaNet does in fewer than half": before("deltanet").below(50),
            },
            "of runs that recall, more than half reach the cue, or nearly": {
                words: after(name).above(50) for name, words in MIXERS.items()
            },
            "by content": {
                f"{words} recalls more than an LSTM": compare(
                    "test/accuracy", name, "lstm", where={"task": "mqar"}
                ).above(20)
                for name, words in CONTENT.items()
            },
        },
        asides={
            "before training a GRU reaches less than half of the way in more than half of the seeds": before(
                "gru"
            ).above(50),
            **{
                f"before training {words} does in fewer than half": before(name).below(50)
                for name, words in BESIDE.items()
            },
            **{
                f"of the runs of {words} that recall, more than half reach the cue, or nearly": after(name).above(50)
                for name, words in BESIDE.items()
            },
        },
    ),
    looks=[12, 18],
    profiles=RECALL,
    show=[
        figure(
            "gradient_by_lag",
            where=RECALL,
            quantity="x",
            about="The gradient with respect to the input, by lag; networks that did not learn recall in this budget are drawn too (table of accuracies).",
        ),
        table(
            measure(START, "reach before, steps"),
            measure(END, "reach after, steps"),
            measure("gradient/start/h.lyapunov", "λ_1 before"),
            measure("gradient/end/h.lyapunov", "λ_1 after"),
            name="reach",
            where=RECALL,
        ),
        table("test/accuracy", name="accuracy", rows="architecture", columns="task"),
    ],
    caveats=[
        "One length, one budget, and on each task one rate, not tuned for any of them: one that suits a network less counts against "
        "it. Small networks that a laptop can train.",
        "Reach before training is that of an initialization: those of LRU and S4D are made to reach far, and an LSTM with chrono is told the "
        "length. A Transformer answers from the mean of all steps, so that its gradient reaches each of them by construction; all "
        "others answer from the last.",
        "λ_1 is only for recurrent layers, each in its own state: these differ in size.",
        "MQAR here is far smaller than its source's (8,192 tokens, 64 to 512 steps): 32 tokens, 32 steps, 942 training steps.",
        "On MQAR all have one width, not one size; recurrent layers stand in blocks of a Transformer. An LSTM has more parameters "
        "there than DeltaNet and a Transformer, but a layer of it keeps 64 numbers, one of Mamba 1,024, of DeltaNet 512, and a "
        "Transformer keeps all that it has read: what is compared is not recall at one size of state, as in the source.",
        "A network that did not learn recall in this budget is drawn as the others are: what training does to its gradient is then "
        "not known, only what this training did. The table of accuracies says which.",
    ],
    changed=[
        "Mean reaches were compared, which lie at either end and are not near normal: runs are counted now. A GRU, which learned no "
        "recall in pilots, and an LSTM with chrono, which is told the length, were parts of a claim on today's mixers; they and "
        "a Transformer, whose mean reaches each step by construction, are asides.",
    ],
)
