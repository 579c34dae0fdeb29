"""Pooling: do small changes of the input change the features?"""

from functools import partial

import pandas as pd

from gradreach.study import Answer, Claim, Quantity, Study, column, figure, measure, table, value

ANSWERS, INDIFFERENT = 0.5, 0.1
"""The least movement of features that respond to a change, and the most if almost nothing of it is left."""
WINDOWS = ("avg in windows of 2", "avg in windows of 4", "max in windows of 2", "max in windows of 4")
HEADS = ("mean over time", "max over time")
CHANGES = {"shift": "a shift by one step", **{f"noise_{size}": f"noise of {size} %" for size in (1, 5, 10, 25)}}
JUDGED = ("shift", "noise_1", "noise_25")
STAGES = {"start": "before training", "end": "after training"}


def names(runs: pd.DataFrame) -> pd.Series:
    """Name networks by their pooling."""
    windows = runs["model.pooling"] + " in windows of " + runs["model.pool_size"].astype(str)
    pooled = windows.mask(runs["model.pooling"] == "none", "none")
    return runs["model.readout"].map({"mean": "mean over time", "max": "max over time"}).astype(object).fillna(pooled)


def kept(runs: pd.DataFrame, change: str, stage: str) -> pd.Series:
    """Return how far the head's input moves, in units of how far the model's input moves."""
    measured = f"gradient/{stage}"
    return runs[f"{measured}/readout.{change}"] / runs[f"{measured}/input.{change}"]


def of(network: str, change: str) -> Quantity:
    """Return how far features move after training, with the value before training beside it."""
    before = {"before training:": value(f"start, {change}", network)}
    return value(f"end, {change}", network, beside=before, outcome="ranks")


STUDY = Study(
    question="Do small changes of the input change the features, and does pooling prevent it?",
    about=(
        "A signal is shifted by one step, or gets a little noise. How far do the features move that the head of a "
        "convolutional network sees: without pooling, with windows, with pooling over all time? In units of how far "
        "the input moves, both measured by the mean distance between different examples: at 1 features pass a change on unchanged."
    ),
    answer=Answer(
        "Absorbs shifts over all time, not noise.",
        "3 supported, 12 refuted, 2 supported, 4 refuted",
    ),
    architecture=names,
    derive={
        f"{stage}, {change}": column(partial(kept, change=change, stage=stage), f"{words}, {when}", digits=2)
        for stage, when in STAGES.items()
        for change, words in CHANGES.items()
    },
    choose="optimizer.lr",
    claim=Claim(
        "A convolution answers to small changes of its input; pooling does not, within its window.",
        id="C11",
        title="Pooling absorbs changes",
        section="1.3",
        source="founding notes",
        original="稳定性：卷积层——输入特征发生细微改变时，输出结果会改变；池化层——感受域内的细微变化不影响输出结果",
        expect=(
            "Half right: windows lessen what a shift does and do not remove it, since a shift by one step crosses the "
            "borders of windows; pooling over all time removes it up to the edges. Of noise an average keeps the mean, "
            "a maximum hardly anything is taken away."
        ),
        expect_source=(
            "A. Azulay and Y. Weiss 2019, Why do deep convolutional networks generalize so poorly to small image "
            "transformations?; R. Zhang 2019"
        ),
        parts={
            **{f"a convolution answers to {CHANGES[change]}": of("none", change).above(ANSWERS) for change in JUDGED},
            **{
                f"{words} almost nothing of {CHANGES[change]}": {
                    network: of(network, change).below(INDIFFERENT) for network in networks
                }
                for words, networks in (("windows leave", WINDOWS), ("pooling over all time leaves", HEADS))
                for change in JUDGED
            },
        },
    ),
    looks=[12, 18],
    show=[
        *(
            table(
                *(measure(f"{stage}, {change}", words, best=None) for change, words in CHANGES.items()),
                name=f"movement_{stage}",
                caption=f"How far features move, in units of how far the input moves, {when}.",
            )
            for stage, when in STAGES.items()
        ),
        table(
            "test/accuracy",
            caption="Test accuracy in per cent, where the pattern may stand anywhere; it decides nothing.",
        ),
        *(
            figure(
                "dots",
                measure=measure(f"end, {change}", f"movement under {CHANGES[change]} (of the input: 1)"),
                name=change,
                about=f"How far features move under {CHANGES[change]}, after training; left of the line almost nothing is left.",
                order=["none", *WINDOWS, *HEADS],
                threshold=INDIFFERENT,
            )
            for change in ("shift", "noise_25")
        ),
        figure("dots", about="Test accuracy by pooling.", order=["none", *WINDOWS, *HEADS]),
    ],
    caveats=[
        (
            "The notes speak of images; ours is one-dimensional: windows lie along one axis, and signals move along it. On an "
            "image a window with the same side holds the square of as many values."
        ),
        "Two layers of kernel 5, 16 channels, 64 signals of the validation split. Without pooling and with windows the head "
        "sees all steps side by side, so that only pooling could make features insensitive.",
        "Noise is normal, of this many per cent of the input's standard deviation. A tenth of what the input moves is our "
        "reading of “does not influence”, one half of “changes”: conventions, and the tables have the numbers; exactly nothing is left only where arithmetic says so.",
        "“Refuted” says that more than a tenth is left, not that pooling does nothing: the tables show what it reduces.",
        "A shift is cyclic: the last step comes first. Fixed windows see it cross their borders; "
        "within one window, as the notes have it, a maximum that stays in the window does not move at all.",
        "Numbers before training describe the layers alone; training may make features more or less sensitive.",
    ],
    changed=[
        "The rule was of ten untrained networks that were built with the tables, and of absolute distances, which noise of "
        "half the size turned round.",
        "Parts used Student's t, which relies on tails that twelve seeds cannot show at so small a share of the error.",
    ],
)
