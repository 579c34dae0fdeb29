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
        "gradient with respect to the input arrives there, at initialization and after training? Beside it, who recalls by content: "
        "four pairs of keys and values, two layers in blocks of a Transformer."
    ),
    answer=Answer("Not decided yet: pilot seeds only.", "12 open"),
    architecture={"model.chrono": "chrono"},
    claim=Claim(
        "At initialization the gradient of some of today's mixers reaches a few steps; trained on recall, that of all reaches the cue.",
        id="C21",
        title="Training carries mixers to the cue",
        expect=(
            "Nobody has measured it. In our pilots Mamba's gradient grew from 3 steps to all, and that of each network that learned "
            "recall reached the cue; a GRU and an LSTM without chrono learned nothing, and reached no farther than before. On MQAR "
            "attention and delta rules recall more than a recurrence whose state is as small as an LSTM's."
        ),
        expect_source="our own pilots (seeds 0 and 1); of MQAR S. Arora et al. 2024, figure 2",
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
)
