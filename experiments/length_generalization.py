"""Does a gradient path that was trained at one length extend to longer ones?"""

import pandas as pd

from gradreach.study import Answer, Claim, Study, column, figure, measure, share, table

REACH, START = "gradient/end/x.reach", "gradient/start/x.reach"
TRAINED, LONG = 40, 320
PATHS = {"gru": "a GRU", "lstm chrono": "an LSTM with chrono", "mamba": "Mamba"}
"""What learns recall in this budget by a path that it had not at every length before."""
KEEP = {**PATHS, "deltanet": "DeltaNet"}
POINTS = 5
"""So much less may be right on long sequences than on those of the longest length of training."""
RECALL = {"task": "recall"}


def extends(runs: pd.DataFrame) -> pd.Series:
    """Return of which runs the trained gradient reaches more than half of a long sequence."""
    return (runs[f"{REACH}/{LONG}"] > LONG / 2).astype(float)


def keeps(runs: pd.DataFrame) -> pd.Series:
    """Return which runs are as right on long sequences as on those of the longest length of training."""
    short, long = (runs[f"test/accuracy/{length}"] for length in (TRAINED, LONG))
    return (long > short - POINTS / 100).astype(float)


STUDY = Study(
    answer=Answer("Not decided yet: pilot seeds only.", "8 open"),
    question="Does a gradient path that was trained at one length extend to longer ones?",
    about=(
        f"Trained on sequences of 10 to {TRAINED} steps, each batch of one length, and tested at up to {LONG}: how far does the "
        "gradient of the trained weights reach there, and do the answers stay right? In recall the cue is the first step, so "
        "its path must be as long as the sequence."
    ),
    architecture={"model.chrono": "chrono"},
    derive={
        "extends": column(extends, f"runs that reach more than half of {LONG} steps", "%", 0, "max"),
        "keeps": column(keeps, f"runs that lose at most {POINTS} points from {TRAINED} to {LONG} steps", "%", 0, "max"),
    },
    solved={"val/accuracy": 90},
    claim=Claim(
        "A gradient path that was trained on short sequences extends to longer ones; whether the answer does is another matter.",
        id="C19",
        title="Gradient paths extend",
        expect=(
            "Recurrent networks keep their answers at lengths that they were not trained at, a Transformer with sinusoidal "
            "positions does not. How far the gradient reaches there nobody has measured. In our pilots that of a GRU and of Mamba "
            f"reached the cue at {LONG} steps too, and that of DeltaNet and of a Transformer did so before training; that of an LSTM "
            "with chrono did not reach it any more, and its answers stayed right all the same."
        ),
        expect_source="G. Delétang et al. 2023; O. Press et al. 2022; our own pilots (seeds 0 and 1)",
        parts={
            f"in most runs of {words} that learned recall the gradient reaches more than half of sequences eight times as long": share(
                "extends", name, where={**RECALL, "solved": True}
            ).above(50)
            for name, words in PATHS.items()
        },
        asides={
            **{
                f"most runs of {words} recall as well on sequences eight times as long": share(
                    "keeps", name, where=RECALL
                ).above(50)
                for name, words in KEEP.items()
            },
            "fewer than half of a Transformer's runs do": share("keeps", "transformer", where=RECALL).below(50),
        },
    ),
    looks=[12, 18],
    show=[
        figure("metric_against", x="test_length", name="accuracy_by_length", about="Test accuracy by length."),
        figure(
            "metric_against",
            x="test_length",
            measure=REACH,
            name="reach_by_length",
            about="How far the gradient of the trained weights reaches; dotted: the whole sequence.",
        ),
        table("test/accuracy", name="accuracy", rows=("task", "architecture"), columns="test_length"),
        table(measure(REACH, "reach, steps"), name="reach", rows=("task", "architecture"), columns="test_length"),
        table(
            measure(START, "reach before training, steps"),
            name="reach_before",
            rows=("task", "architecture"),
            columns="test_length",
        ),
    ],
    caveats=[
        "The gradient of DeltaNet and of a Transformer reaches the cue before any training, so their reach says nothing of what is "
        "learned: it is shown, not judged.",
        "Two tasks, one budget, and one learning rate, tuned for no network: what does not extend here may do so with more.",
        f"An LSTM with chrono is given the longest training length, {TRAINED}; nothing else is.",
        "Reach is the largest lag with 1 % of the norm at lag 1: of a task that is solved, the gradient with respect to the cue may be small.",
        "The Transformer has sinusoidal positions and no causal mask, and answers from the mean of all steps; other positions are "
        "known to extend further.",
        f"A run has learned recall where at least 90 % of its validation set, of lengths up to {TRAINED}, are right.",
        "Weights are chosen by validation on training lengths; nothing is chosen at longer ones.",
        "Judged is recall; temporal order is shown. So are an LSTM and an RNN with torch's initialization, and an LRU, which in pilots did not "
        "learn recall in this budget, or not at the longest length of training.",
    ],
    changed=[
        "Mean reaches and accuracies were compared, which lie at either end and are not near normal: runs are counted now. Answers, "
        "of which the claim says nothing, were parts of it, and are asides. An LSTM with chrono, whose path did not extend in pilots, "
        "was judged by its answers alone.",
    ],
)
