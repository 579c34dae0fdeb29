"""1×1 convolutions: what they save, and what they cost."""

from functools import partial

import pandas as pd

from gradreach.study import Claim, Quantity, Results, Study, compare, computed, figure, measure, table

LOSS, AT_CHANCE = 1, 5
"""Points of accuracy: that may be lost; above chance, up to which a network has learned nothing."""
PLAIN, NARROW = "no 1×1, width 32", "no 1×1, width 20"
BOTTLENECKS = ("1×1 to 4, width 32", "1×1 to 8, width 32")


def names(runs: pd.DataFrame) -> pd.Series:
    """Name networks by their 1×1 convolutions."""
    pointwise = runs["model.bottleneck"].map("1×1 to {:.0f}".format, na_action="ignore").astype(object).fillna("no 1×1")
    return pointwise + ", width " + runs["model.width"].astype(str)


def at_chance(results: Results, name: str) -> str:
    """Say how many seeds of a network have learned nothing, of how many that finished."""
    runs = results.where({"architecture": name}).finished
    stuck = 100 * (runs["test/accuracy"] - runs["chance"]) <= AT_CHANCE
    return f"{stuck.sum()} of {len(runs)}"


def trained(results: Results) -> pd.DataFrame:
    """Tabulate how reliably each network learns: seeds at chance, accuracy on what was learned from, worst and best."""
    rows = []
    for name, runs in results.finished.groupby("architecture", sort=False):
        test = 100 * runs["test/accuracy"]
        rows.append(
            {
                "architecture": name,
                "seeds at chance": at_chance(results, str(name)),
                "training accuracy, %": 100 * runs["train/accuracy"].mean(),
                "test accuracy, %": test.mean(),
                "worst seed": test.min(),
                "best seed": test.max(),
                "training, s, median": runs["training_seconds"].median(),
            }
        )
    return pd.DataFrame(rows)


def gain(name: str, other: str) -> Quantity:
    """Return how much more accurate a network is than another, beside how many of its seeds are at chance."""
    return compare(
        "test/accuracy", name, other, beside={"the former's seeds at chance:": partial(at_chance, name=name)}
    )


STUDY = Study(
    question="1×1 convolutions: what do they save, and what do they cost?",
    about=(
        "A stack of four convolutions of kernel 5, with and without a 1×1 convolution before each that squeezes the "
        "channels. If the added non-linearity is worth something, a squeezed stack beats a narrower plain one."
    ),
    architecture=names,
    choose="optimizer.lr",
    claim=Claim(
        "1×1 convolutions keep the size and change the channels, which saves parameters; they add non-linearity and "
        "mix channels.",
        id="C12",
        section="1.3",
        source="founding notes",
        original="1乘1卷积核的作用：特征图大小不变，但是通道数可以改变，减小参数量；增加非线性；实现跨通道的信息交互",
        expect=(
            "Fewer parameters and multiply-adds by arithmetic; accuracy about the same while the bottleneck is not too "
            "narrow; less time than the saving suggests, since two small kernels are called for one."
        ),
        expect_source="M. Lin et al. 2013, Network in network; C. Szegedy et al. 2015; K. He et al. 2016 (bottlenecks)",
        parts={
            **{
                f"fewer {words} ({name})": compare(metric, name, PLAIN, ratio=True, outcome="fixed").below(1)
                for metric, words in (("parameters", "parameters"), ("multiply_adds", "multiply-adds"))
                for name in BOTTLENECKS
            },
            **{f"accuracy is kept to {LOSS} point ({name})": gain(name, PLAIN).above(-LOSS) for name in BOTTLENECKS},
            "better than a narrower stack of the same size": gain(BOTTLENECKS[1], NARROW).above(0),
        },
        beyond="The notes do not say that accuracy is kept; that part is ours.",
    ),
    show=[
        table(
            "multiply_adds",
            measure("test/accuracy", "accuracy, %"),
            name="cost",
            caption="What a network costs, and what it gets.",
        ),
        computed(
            "trained",
            trained,
            "How reliably the networks learn.",
            f"At chance: a test accuracy of no more than {AT_CHANCE} points above it. Training: mean accuracy on what "
            "was learned from, at the epoch that validation chose.",
        ),
        figure(
            "metric_by_cost",
            name="accuracy_by_cost",
            about="Means of seeds that may lie far apart: the other picture has every one.",
            costs=("parameters", "multiply_adds"),
        ),
        figure("dots", about="Test accuracy of every network."),
    ],
    caveats=[
        "Every layer, each 1×1 too, has a ReLU and no normalization, so that a narrow one can die: what is lost is "
        "accuracy and reliability together; the table of training has them apart.",
        "Less may be lost with normalization, or without the ReLU: neither was tried.",
        "Training time was measured while other work ran on the machine: only its order of magnitude counts.",
        "Every convolution mixes channels; a 1×1 does so by definition.",
    ],
    changed=["The learning rate 0.001 was added after the first runs, in which narrow bottlenecks failed."],
)
