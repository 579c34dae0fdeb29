"""Translation: is what was learned in one place known in another?"""

import pandas as pd

from gradreach.study import Answer, Claim, Study, column, figure, measure, table, value

LOST = "shift/loss"
INVARIANT = 5
"""Points of accuracy: who loses less is invariant."""
HEADS = {"max": "max over time", "mean": "mean over time", "flatten": "flatten"}


def names(runs: pd.DataFrame) -> pd.Series:
    """Name convolutional networks by head, padding and stride."""
    stride = runs["model.stride"].map({2: ", stride 2"}).astype(object).fillna("")
    cnn = "cnn, " + runs["model.readout"].map(HEADS) + ", " + runs["model.padding"].astype(str) + stride
    return cnn.where(runs["model"] == "cnn", runs["model"])


STUDY = Study(
    question="Is a pattern that was learned on the left known on the right?",
    about=(
        "In training one of four patterns stands in the left half of a noisy sequence; in the test it stands in the "
        "right half. Who still knows it?"
    ),
    answer=Answer("Yes, together; sharing alone: no.", "4 supported, refuted, supported"),
    architecture=names,
    derive={LOST: column(lambda runs: runs["val/accuracy"] - runs["test/accuracy"], "accuracy lost", "points")},
    choose="optimizer.lr",
    claim=Claim(
        "Translation invariance comes from parameter sharing and pooling.",
        id="C9",
        title="Invariance: share, pool",
        section="1.3",
        source="founding notes",
        original="平移不变性是由于参数共享和池化所带来的",
        expect=(
            "Sharing gives equivariance: features move with the pattern. Invariance takes global pooling. A head on "
            "all steps side by side, weights that are not shared, or an MLP do not have it."
        ),
        expect_source="I. Goodfellow et al. 2016, Deep Learning, §9.2–9.4; O. Kayhan and J. van Gemert 2020",
        parts={
            "invariant with sharing and pooling, where no edge is": value(
                LOST, "cnn, max over time, circular", outcome="ranks"
            ).below(INVARIANT),
            **{
                f"tied to the place with {words}": value(LOST, name, outcome="ranks").above(INVARIANT)
                for words, name in (
                    ("sharing but no pooling", "cnn, flatten, circular"),
                    ("unshared windows", "locally_connected"),
                    ("neither", "mlp"),
                )
            },
        },
        asides={
            f"invariant at an edge too (padding {padding})": value(
                LOST, f"cnn, max over time, {padding}", outcome="ranks"
            ).below(INVARIANT)
            for padding in ("none", "same")
        },
    ),
    looks=[12, 18, 24],
    show=[
        table(
            measure("val/accuracy", "left", best=None),
            measure("test/accuracy", "right", best=None),
            measure(LOST, "lost, points"),
            name="shift",
            caption="Accuracy in per cent, left (as trained) and right.",
            note="Left: validation; right: test; lost: the difference, by seed.",
        ),
        figure(
            "dots",
            name="lost",
            about="Accuracy lost where the pattern stands on the other side. Zero: invariant.",
            measure=LOST,
            threshold=INVARIANT,
        ),
    ],
    caveats=[
        (
            "The notes speak of images; ours is one-dimensional: the pattern moves along one axis, and nothing is rotated or "
            "scaled."
        ),
        "Left and right are two regions that do not overlap; a smaller shift may lose less.",
        "The learning rate is chosen on the left.",
        "A small loss means nothing where little was learned on the left: the table has both.",
        "The networks differ in depth and width: three layers of 16 channels (cnn), the defaults for all others.",
        (
            "Padding `circular` treats the edges like all other steps, so that only sharing and pooling act. The effect "
            "of an edge is an aside: without padding fewer windows see it, and the loss occurs there (C6)."
        ),
        f"{INVARIANT} points are our reading of “invariant”, a convention; the table has the numbers.",
        "The pattern is nearer to the GRU's last step in the test than in training.",
    ],
    changed=[
        "Run again with ten seeds after six had been seen; no verdict changed.",
        "Ten seeds are pilots now; seeds from 100 on decide, at looks.",
        (
            "Networks with an edge were parts of the claim, explained away where pilots lost accuracy there; they are asides "
            "now, and all parts are of ranks, as accuracies lost are nearly identical in all seeds and not normal."
        ),
    ],
)
