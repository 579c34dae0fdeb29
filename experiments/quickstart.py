"""The default sweep: three lengths, four architectures, two kernel sizes, and the gradient that each of them has."""

from collections.abc import Iterable

import pandas as pd

from gradreach.study import CONFIRMATORY, Answer, Results, Study, computed, display_name, figure, measure, number, table

START, REACH = "gradient/start/x.reach", "gradient/end/x.reach"
LEARNED = 90
"""Per cent of the test that are right where a network has learned the cue."""


def reaches_cue(runs: pd.DataFrame, reach: str = REACH) -> pd.Series:
    """Return whether the gradient reaches, by default after training, back to the first step, where the cue stands."""
    return (runs[reach] >= runs["seq_len"] - 1).fillna(False).astype(bool)


def agreement(results: Results) -> str:
    """Say in how many runs the cue was learned and reached, or neither, and name those in which it was not so.

    Lengths at which most gradients reach the cue before any training are counted apart: there, little is said by it.
    """
    runs = results.ended
    agree = runs["full"] == runs["solved"]
    untrained = reaches_cue(runs, START).groupby(runs["seq_len"]).mean() > 0.5
    early = runs["seq_len"].map(untrained)
    counted = [
        f"in {agree[some.index].sum()} of {len(some)} runs at {listed(some['seq_len'].unique())} steps{why}"
        for some, why in ((runs[~early], ""), (runs[early], ", where most gradients reach it before training"))
        if len(some)
    ]
    said = (
        f"A network learned the cue (≥ {LEARNED} % right) where, and only where, its gradient reached it: this held "
        f"{', and '.join(counted)}."
    )
    seeds = runs["seed"].nunique()
    pilots = "pilot " if (runs["seed"] < CONFIRMATORY).all() else ""
    return " ".join(filter(None, (said, _exceptions(runs[~agree]), f"{seeds} {pilots}seed{'s' * (seeds != 1)}.")))


def listed(values: Iterable[int]) -> str:
    """Return values in words, in ascending order: ``10, 40 and 80``."""
    *others, last = map(str, sorted(values))
    return f"{', '.join(others)} and {last}" if others else last


def _exceptions(odd: pd.DataFrame) -> str:
    """Name the runs that learned the cue and did not reach it, or reached it and did not learn it."""
    named = [
        f"{display_name(run['architecture'])} at {run['seq_len']} steps, seed {run['seed']} "
        f"({'reached' if run['full'] else 'not reached'}, {number(100 * run['test/accuracy'], '.0f')} % right)"
        for run in odd.to_dict("records")
    ]
    return f"The exception{'s' * (len(named) > 1)}: {'; '.join(named)}." if named else ""


def counts(results: Results) -> pd.DataFrame:
    """Count at each length the runs that learned the cue, among those whose gradient reaches it and among the others."""
    rows = []
    for length, some in results.ended.groupby("seq_len"):
        there = some["full"]
        rows.append(
            {
                "sequence length": f"{length}",
                "reach the cue": f"{there.sum()}",
                "and learn it": f"{(there & some['solved']).sum()}",
                "do not reach it": f"{(~there).sum()}",
                "and learn it all the same": f"{(~there & some['solved']).sum()}",
            }
        )
    return pd.DataFrame(rows)


STUDY = Study(
    question="Does a network learn the cue where, and only where, its gradient reaches it?",
    about=(
        "The first symbol of a sequence is the cue; the rest are distractors, and at the last step a network says which "
        "one it was. The three axes: how long the sequence is, which architecture reads it, and how large a convolution's "
        "kernel is."
    ),
    answer=Answer(agreement),
    architecture={"kernel_size": "k={:g}", "model.chrono": "chrono"},
    derive={"full": reaches_cue},
    solved={"test/accuracy": LEARNED},
    show=[
        figure("reach_and_score", name="hero", seq_len=80),
        table(measure("test/accuracy", "accuracy, %"), columns="seq_len"),
        table(
            measure(START, "reach, steps", line="before training"),
            measure(REACH, "reach, steps", line="after training"),
            name="reach",
            columns="seq_len",
            lines="measured",
            caption="Reach of the gradient before and after training, in steps.",
            note=(
                "Reach: the largest lag (steps back from the last one) at which the norm of the gradient with respect to the input, ‖dL/dx‖, is "
                "at least 1 % of that at lag 1; at most the sequence length − 1, where the cue stands."
            ),
        ),
        computed(
            "counts",
            counts,
            "Runs, by whether their gradient reaches the cue after training, and whether they learned it.",
            f"Learned: at least {LEARNED} % of the test right.",
        ),
        figure(
            "metric_against",
            name="accuracy_by_length",
            about=(
                "No ranking: where an RNN stands above a GRU or an LSTM, one learning rate, one short budget and torch's "
                "initialization decide, not ability: LSTM, chrono is the same network as the LSTM, with other biases at the start."
            ),
        ),
        figure("gradient_by_lag"),
    ],
    caveats=[
        (
            "This is an association. Reach is measured after training: learning may bring reach, or reach learning. "
            "gradient_horizon (C18) sets how far a gradient may go, and tests the cause; reach_and_accuracy (C0) asks this "
            "question of three tasks and of seeds that decide."
        ),
        (
            "Over 10 steps most gradients reach the cue before any training: what the sentence says rests on 40 and 80 steps, "
            "and the last table counts lengths separately. Runs of one seed share data and batches: they are not independent draws."
        ),
        (
            "One learning rate and one short budget for all, torch's initialization but for chrono, sizes that differ: this is "
            "what happens out of the box, not a ranking. Where an RNN learns the cue and an LSTM does not, compare its reach before and "
            "after training, and look at the row of chrono: that is the same LSTM, whose gates are initialized with other biases, so that it "
            "forgets more slowly."
        ),
        (
            "A TCN of four levels sees 61 steps with kernel size 3 and 121 with 5. At 80 steps the first cannot see the cue, "
            "whatever it is trained with."
        ),
        "That chrono is given the length of the sequence is prior knowledge that the others do not have.",
    ],
)
