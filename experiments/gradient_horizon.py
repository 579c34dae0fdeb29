"""How far must the gradient reach? Each loss is sent back to lag k at most, and k is swept."""

import numpy as np
import pandas as pd

from gradreach.study import Claim, Results, Study, column, computed, figure, measure, share, table

REACH = "gradient/end/x.reach"
SHORT = 18
"""The cue of recall stands at lag 19, one step beyond; without a horizon the gradient ends at the cue."""
NAMES = {"gru": "a GRU", "lstm chrono": "an LSTM with chrono"}
NEAR = {"accuracy": 1.0, "mse": 0.1}
"""How near to what no horizon gives counts as the same: points of accuracy, or the share of a squared error."""


def horizon(runs: pd.DataFrame) -> pd.Series:
    """Return the horizon of each run; where there is none, the lag of the first step."""
    return runs["trainer.gradient_horizon"].fillna(runs["seq_len"] - 1).astype(int)


def needed(results: Results) -> pd.DataFrame:
    """Return from which horizon on each network does as well as without one, and how far its gradient reaches then."""
    rows = []
    for (task, name), some in results.finished.groupby(["task", "architecture"], sort=False):
        metric = str(some["metric"].iloc[0])
        free = some["trainer.gradient_horizon"].isna()
        by_horizon = some[~free].groupby("horizon")[f"test/{metric}"].mean()
        best = some.loc[free, f"test/{metric}"].mean()
        near = (
            by_horizon >= best - NEAR[metric] / 100 if metric == "accuracy" else by_horizon <= best * (1 + NEAR[metric])
        )
        enough = near.iloc[::-1].cummin().iloc[::-1].astype(bool)  # and so for every longer one
        least = str(by_horizon.index[enough].min()) if enough.any() else "all of it"
        chance = some["chance"].mean()
        learned = best > (1 + chance) / 2 if metric == "accuracy" else best < chance / 2
        rows.append(
            {
                "task": task,
                "architecture": name,
                "needed horizon": least if learned else "not learned",
                "measured reach, no horizon": some.loc[free, REACH].mean(),
                "without a horizon": best * (100 if metric == "accuracy" else 1),
                "unit": "%" if metric == "accuracy" else "squared error",
                "chance": chance * (100 if metric == "accuracy" else 1),
                "seeds": int(np.count_nonzero(free)),
            }
        )
    return pd.DataFrame(rows)


STUDY = Study(
    question="How far must the gradient reach for a network to learn?",
    about=(
        "Each loss is sent back to lag k at most, k steps from the one that is read; what lies further back still changes the "
        "answer, but gets no gradient at all. From which horizon k on does a network learn as well as without one? What is "
        "measured elsewhere is how far the gradient reaches after training, which goes along with accuracy; here the reach is "
        "set, so that it is a cause."
    ),
    architecture={"model.chrono": "chrono"},
    derive={"horizon": column(horizon, "horizon", "steps", 0)},
    solved={"test/accuracy": 90, "test/mse": 0.017},
    claim=Claim(
        "A GRU and an LSTM with chrono learn to recall a cue at the last step that their gradient reaches, and not one a step "
        "beyond.",
        id="C18",
        expect=(
            "Truncated backpropagation learns nothing longer than its horizon unless a state happens to keep it: the first "
            "states of a network whose memory is long from its start may do so."
        ),
        expect_source="R. J. Williams and J. Peng 1990; H. Jaeger 2001 (echo states)",
        parts={
            **{
                f"{words} recalls a cue at the very end of its gradient": share(
                    "solved", name, where={"task": "recall", "trainer.gradient_horizon": None}
                ).above(50)
                for name, words in NAMES.items()
            },
            **{
                f"{words} does not recall a cue one step beyond": share(
                    "solved", name, where={"task": "recall", "trainer.gradient_horizon": SHORT}
                ).below(50)
                for name, words in NAMES.items()
            },
        },
    ),
    looks=[12, 18, 24],
    show=[
        computed(
            "needed",
            needed,
            "From which horizon on a network does as well as without one, beside how far its gradient reaches.",
            "Needed: the shortest horizon from which on mean test accuracy stays within a point (a squared error within a "
            "tenth) of that without a horizon; not learned: without a horizon less than half of the way from chance to no error. "
            "Reach: the largest lag at which the gradient by the input has 1 % of its "
            "norm at lag 1, after training.",
        ),
        *(
            table(
                measure("test/mse" if task == "adding" else "test/accuracy"),
                name=f"by_horizon_{task}",
                caption=f"By horizon: {task}.",
                rows=("architecture",),
                columns="horizon",
                where={"task": task},
            )
            for task in ("recall", "adding", "digits")
        ),
        figure("metric_against", x="horizon", where={"metric": "accuracy"}, about="Test accuracy by horizon."),
    ],
    caveats=[
        (
            "Recall's cue is the first of 20 steps, at lag 19. The last horizon of a table, the lag of the first step, is that of "
            "runs without one: nothing is cut."
        ),
        (
            "A horizon cuts the gradient, not the state: what a network keeps from the first step on by itself can be read "
            "from within the horizon. Chrono starts with a memory as long as the sequence, a GRU does not."
        ),
        (
            "Judged are the networks that learn recall with their whole gradient at every pilot seed. An RNN does so at some, an "
            "LSTM with torch's start at none in this budget: both are shown, as are adding and the digits."
        ),
        "Three tasks at one length each; of adding and the digits six seeds, which decide nothing.",
    ],
    changed=[
        (
            "In pilots (seeds 0 and 1) an RNN was judged too: it may learn recall or not with its whole gradient, so that no "
            "planned number of seeds would have decided what a horizon does to it. The claim was put as one of all networks."
        ),
    ],
)
