"""1×1 convolutions: what they save, and what they cost."""

from functools import partial

import pandas as pd

from gradreach.study import (
    Answer,
    Claim,
    Quantity,
    Results,
    Study,
    arithmetic,
    column,
    compare,
    computed,
    figure,
    measure,
    share,
    table,
)

LOSS, AT_CHANCE = 1, 5
"""Points of accuracy: the allowed loss; and the margin above chance below which a network has learned nothing."""
PLAIN, NARROW = "no 1×1, width 32", "no 1×1, width 20"
BOTTLENECKS = ("1×1 to 4, width 32", "1×1 to 8, width 32")
ALONE, BEHIND, LINEAR, KERNEL = "k=5", "k=5, then 1×1", "k=5, then 1×1, no ReLU", "k=5, then k=5"
"""Networks of one k×k convolution, and of one more layer behind it."""


def names(runs: pd.DataFrame) -> pd.Series:
    """Name deep networks by their 1×1 convolutions, shallow ones by their kernels."""
    pointwise = runs["model.bottleneck"].map("1×1 to {:.0f}".format, na_action="ignore").astype(object).fillna("no 1×1")
    deep = pointwise + ", width " + runs["model.width"].astype(str)
    shallow = pd.Series(ALONE, index=runs.index).mask(runs["model.layers"] == 2, KERNEL)
    shallow = shallow.mask(runs["kernel_size"] == 1, BEHIND)
    shallow += (runs["model.nonlinearity"] == "none").map({True: ", no ReLU", False: ""})
    return deep.where(runs["model.layers"] > 2, shallow)


def learns(runs: pd.DataFrame) -> pd.Series:
    """Return whether a network has learned anything."""
    return 100 * (runs["test/accuracy"] - runs["chance"]) > AT_CHANCE


def at_chance(results: Results, name: str) -> str:
    """Say how many seeds of a network have learned nothing, of how many that finished."""
    runs = results.where({"architecture": name}).finished
    return f"{(~learns(runs)).sum()} of {len(runs)}"


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
        "channels. If the added non-linearity is worth something, a squeezed stack beats a narrower plain one. And a single "
        "convolution with one more layer behind it: a 1×1 with and without a ReLU, or another of kernel 5."
    ),
    answer=Answer(
        "Smaller; a narrower stack learns better.", "4 supported, refuted, 3 supported, 2 refuted, open, 2 supported"
    ),
    architecture=names,
    derive={"learns": column(learns, "seeds that learn", "%", best="max")},
    choose="optimizer.lr",
    claim=Claim(
        "1×1 convolutions keep the size and change the channels, which saves parameters; they add non-linearity and "
        "mix channels.",
        id="C12",
        title="1×1 saves parameters",
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
            "better than a narrower stack of the same size": gain(BOTTLENECKS[1], NARROW).above(0),
            "the size is kept": arithmetic(
                lambda: all((length - (1 - 1) - 1) // 1 + 1 == length for length in range(1, 1000)),
                "⌊(T + 2·0 − (1 − 1) − 1) / 1⌋ + 1 = T.",
            ),
            "behind a k×k, a 1×1 is worth something": gain(BEHIND, ALONE).above(0),
            "the ReLU of such a 1×1 is worth something": gain(BEHIND, LINEAR).above(0),
        },
        asides={
            **{f"accuracy is kept to {LOSS} point ({name})": gain(name, PLAIN).above(-LOSS) for name in BOTTLENECKS},
            **{f"more than half of the seeds learn ({name})": share("learns", name).above(50) for name in BOTTLENECKS},
            "another k×k in its place is worth more": gain(KERNEL, BEHIND).above(0),
        },
    ),
    looks=[12, 18],
    show=[
        table(
            "multiply_adds",
            measure("test/accuracy", "accuracy, %"),
            name="cost",
            caption="Cost and accuracy of each network.",
        ),
        computed(
            "trained",
            trained,
            "How reliably the networks learn.",
            f"At chance: a test accuracy of no more than {AT_CHANCE} points above it. Training: mean accuracy on what "
            "was learned from, at the best-validation checkpoint.",
        ),
        figure(
            "metric_by_cost",
            name="accuracy_by_cost",
            about="Means of seeds that may differ widely: the other picture shows every seed.",
            costs=("parameters", "multiply_adds"),
        ),
        figure("dots", about="Test accuracy of every network."),
    ],
    caveats=[
        (
            "The notes speak of images; ours is one-dimensional: k×k stands for a kernel of k steps. On an image it has k² weights "
            "where ours has k, so that a 1×1 before it saves more there."
        ),
        "Every layer, including each 1×1, has a ReLU and no normalization, so that a narrow one can die: losses mix "
        "accuracy and reliability; the table of training separates them.",
        "Less may be lost with normalization: it was not tried. Without its ReLU only the 1×1 behind a k×k was tried.",
        "1×1 convolutions mix channels by definition, as does every other convolution here: whether this "
        "mixing helps is not tested. That would take depthwise convolutions, which these networks do not have.",
        "Without ReLU the k×k below has none either: its effect alone is in the table of costs. A k×k and a 1×1 "
        "without one are together no more than one k×k could be.",
        "A k×k in place of the 1×1 has five times its weights and sees nine steps, not five.",
        "Training time was measured under other load: only its order of magnitude counts.",
    ],
    changed=[
        "The learning rate 0.001 was added after the first runs, in which narrow bottlenecks failed.",
        "In pilots (seeds 0 to 5) by Student's t a loss in six of six pairs was undecided: the parts are of ranks now, and "
        "seeds that learn nothing are a part of their own.",
        "Deep networks have rates up to 0.03, as with 0.001 to 0.01 pilots of three of four chose the highest.",
        "Shallow networks have rates up to 0.3: in pilots with 0.01 and 0.03 all chose the highest, and a 1×1 gained twice as "
        "much.",
    ],
)
