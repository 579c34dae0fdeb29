"""The title's question: does a network learn the cue where, and only where, its gradient reaches it?"""

import pandas as pd

from gradreach.study import Claim, Results, Study, column, computed, figure, measure, table, value

REACH = "gradient/end/x.reach"
TASKS = {
    "recall": "which symbol came first, after distractors",
    "adding": "the sum of two marked numbers, one in either half",
    "temporal_order": "in which order two symbols came, one at a tenth, one at half of the sequence",
}
CUE = {"recall": 1.0, "adding": 1.0, "temporal_order": 0.9}
"""How far back the first cue may stand, as a share of the sequence."""
EACH = ["architecture", "seq_len"]


def reach_share(runs: pd.DataFrame) -> pd.Series:
    """Return how much of the sequence the gradient reaches after training: 1 where it reaches the first step."""
    return runs[REACH] / (runs["seq_len"] - 1)


def counts(results: Results) -> pd.DataFrame:
    """Count the runs that solved their task, among those whose gradient reaches the first step and among the others."""
    rows = []
    for (task, full), some in results.finished.groupby(["task", "full"], sort=False):
        reaches = "the first cue" if full else "less"
        solved = int(some["solved"].sum())
        rows.append({"task": task, "the gradient reaches": reaches, "solved": solved, "of runs": len(some)})
    return pd.DataFrame(rows)


def exceptions(results: Results) -> pd.DataFrame:
    """List the runs that solved their task without reaching the cue, and those that reached it and did not."""
    runs = results.finished
    some = runs[runs["full"] != runs["solved"]]
    score = some["test/accuracy"].mul(100).where(some["metric"] == "accuracy", some.get("test/mse"))
    listed = some[["task", "architecture", "seq_len", "seed", REACH]].rename(columns={REACH: "reach"})
    return listed.assign(solved=some["solved"].map({True: "yes", False: "no"}), score=score.astype(float))


STUDY = Study(
    question="Does a network learn the cue where, and only where, its gradient reaches it?",
    about=(
        f"Three tasks whose answer needs what came early: {'; '.join(f'{task}, {words}' for task, words in TASKS.items())}. "
        "A gradient reaches the cue where, after training, the step at which the first cue may stand still gets 1 % of what "
        "the step before the last gets. Do the networks whose gradient does so solve the task, and do the others fail?"
    ),
    architecture={"kernel_size": "k={:g}", "model.chrono": "chrono"},
    derive={
        "reach_share": column(reach_share, "reach, share of the sequence", "%"),
        "full": lambda runs: reach_share(runs) >= runs["task"].map(CUE),
    },
    solved={"test/accuracy": 90, "test/mse": 0.017},
    claim=Claim(
        "A network has learned the cue where, and only where, its gradient reaches it.",
        id="C0",
        expect=(
            "On recall nearly all networks with full reach, and next to none of the others. Where a task can be solved in "
            "part from what is near, or its cue does not stand at the first step, less sharply."
        ),
        expect_source="our own pilots on recall (seeds 0 to 4)",
        parts={
            **{
                f"with full reach more than nine of ten solve {task}": value(
                    "solved", {"full": True}, where={"task": task}, over=EACH, outcome="ranks"
                ).above(90)
                for task in TASKS
            },
            **{
                f"without it fewer than one of ten solves {task}": value(
                    "solved", {"full": False}, where={"task": task}, over=EACH, outcome="ranks"
                ).below(10)
                for task in TASKS
            },
        },
    ),
    looks=[12, 18],
    show=[
        computed(
            "counts",
            counts,
            "Runs that solved their task, by whether their gradient reaches the first cue.",
            "Solved: at least 90 % of the test right, or a squared error of at most a tenth of chance.",
        ),
        figure(
            "metric_against",
            x="seq_len",
            where={"metric": "accuracy"},
            about="Test accuracy by length: the lines part where gradients stop to reach the first step.",
        ),
        table(measure(REACH, "reach, steps"), name="reach", rows=("task", "architecture"), columns="seq_len"),
        table(
            measure("test/accuracy", "accuracy, %"),
            measure("test/mse", "squared error"),
            name="accuracy",
            rows=("task", "architecture"),
            columns="seq_len",
        ),
        computed(
            "exceptions",
            exceptions,
            "Every exception: solved without full reach, or full reach and not solved.",
            "Score: test accuracy in per cent, of adding the squared error.",
        ),
    ],
    caveats=[
        (
            "Reach is measured after training, so this is an association: learning may bring reach, or reach learning. C18 sets "
            "how far the gradient may go, and tests the cause."
        ),
        (
            "Short sequences are easy and within everybody's reach: length alone could make both shares. The tables have reach "
            "and accuracy by architecture and length; what counts most are lengths at which some networks reach the cue."
        ),
        "The first cue of adding stands anywhere in the first half: full reach is more than most examples need.",
        "A run whose reach is not known, as where no gradient arrives at all, counts as one that does not reach the cue.",
        "A threshold of 1 % of the norm at lag 1 is a convention; profiles say what lies below.",
        "One rate, one budget: what fails here need not fail with more.",
        "Shares are of the runs of a seed, over architectures and lengths; seeds count, not runs.",
    ],
)
