"""How far does the gradient of today's mixers reach, before and after training on recall?"""

from gradreach.study import Answer, Claim, Study, compare, figure, measure, table, value

START, END = "gradient/start/x.reach", "gradient/end/x.reach"
HALF, NEARLY = 20, 35
"""Of the 39 steps between the cue and the answer."""
SHORT = {"gru": "a GRU", "lstm chrono": "an LSTM with chrono", "mamba": "Mamba"}
WHOLE = {"deltanet": "DeltaNet", "transformer": "a Transformer"}
RECALL = {"task": "recall"}

STUDY = Study(
    question="How far does the gradient of today's mixers reach, before and after training on recall?",
    about=(
        "One layer each (a Transformer and S4D two), of about equal size, on 40 steps of recall, whose cue is the first: how much of the "
        "gradient by the input arrives there, as the network starts and when it has learned? Beside it, who recalls by content: "
        "four pairs of keys and values, two layers in blocks of a Transformer."
    ),
    answer=Answer("Not decided yet: pilot seeds only.", "12 open"),
    architecture={"model.chrono": "chrono"},
    claim=Claim(
        "As they start, the gradient of some of today's mixers reaches a few steps; trained on recall, that of all reaches the cue.",
        id="C21",
        title="Training carries mixers to the cue",
        expect=(
            "Nobody has measured it. In our pilots Mamba's gradient began with 3 steps and a GRU's with 9, DeltaNet's and a "
            "Transformer's with all; after training that of each reached the cue. On MQAR attention and delta rules recall more "
            "than a recurrence whose state is as small as an LSTM's."
        ),
        expect_source="our own pilots (seed 0); of MQAR S. Arora et al. 2024, figure 2",
        parts={
            "before training": {
                **{
                    f"{words} reaches less than half": value(START, name, where=RECALL).below(HALF)
                    for name, words in SHORT.items()
                },
                **{
                    f"{words} reaches more": value(START, name, where=RECALL).above(HALF)
                    for name, words in WHOLE.items()
                },
            },
            "after training": {
                f"{words} reaches the cue, or nearly": value(END, name, where=RECALL).above(NEARLY)
                for name, words in (SHORT | WHOLE).items()
            },
            "by content": {
                f"{words} recalls more than an LSTM": compare(
                    "test/accuracy", name, "lstm", where={"task": "mqar"}
                ).above(20)
                for name, words in WHOLE.items()
            },
        },
    ),
    looks=[12, 18],
    profiles=RECALL,
    show=[
        figure("gradient_by_lag", where=RECALL, quantity="x", about="The gradient by the input, by lag."),
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
        "One length, one budget, and on each task one rate, which was searched for none: one that suits a network less counts against "
        "it. Small networks of the sizes that a laptop trains.",
        "Reach before training is that of a start: those of LRU and S4D are made to reach far, and an LSTM with chrono is told the "
        "length. A Transformer answers from the mean of all steps, so that its gradient reaches each of them by construction; all "
        "others answer from the last.",
        "λ_1 is of recurrent layers alone, in the state that each of them has: they are not of one size.",
        "MQAR here is far smaller than its source's (8,192 tokens, 64 to 512 steps): 32 tokens, 32 steps, 942 training steps.",
        "On MQAR all have one width, not one size; recurrent layers stand in blocks of a Transformer. An LSTM has more parameters "
        "there than DeltaNet and a Transformer, but a layer of it keeps 64 numbers, one of Mamba 1,024, of DeltaNet 512, and a "
        "Transformer keeps all that it has read: what is compared is not recall at one size of state, as in the source.",
        "An LSTM with torch's start and an LRU did not learn recall in this budget in our pilots.",
    ],
)
