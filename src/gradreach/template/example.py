"""Example: does an LSTM recall what came first, and how far back does its gradient reach?"""

from gradreach.study import Study, figure, measure, table

STUDY = Study(
    question="Who recalls what came first?",
    about="The class of a sequence is its first symbol; all that follows distracts.",
    show=[
        table("test/accuracy", columns="seq_len"),
        table(measure("gradient/end/x.reach", "reach, steps"), name="reach", columns="seq_len"),
        figure("metric_against", x="seq_len"),
    ],
    caveats=["One task, one learning rate, one short budget."],
)
