"""1×1 convolutions: what they save, and what they cost."""

from functools import partial

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures import metric_by_cost
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, compare, judge_threshold
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Computed, Measure, Table

BY = ["architecture"]
LOSS, AT_CHANCE = 1.0, 5.0
"""Points of accuracy: that may be lost; above chance, up to which a network has learned nothing."""
PLAIN, NARROW = "no 1×1, width 32", "no 1×1, width 20"
BOTTLENECKS = ("1×1 to 4, width 32", "1×1 to 8, width 32")


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name networks by their 1×1 convolutions, and choose learning rates."""
    channels = runs["model.bottleneck"]
    kind = ["no 1×1" if pd.isna(value) else f"1×1 to {int(value)}" for value in channels]
    names = pd.Series(kind, index=runs.index) + ", width " + runs["model.width"].astype(str)
    return choose(runs.assign(architecture=names), BY)


def at_chance(runs: pd.DataFrame) -> str:
    """Say how many of these runs have learned nothing, of how many that finished."""
    finished = runs[runs["status"] == "finished"]
    stuck = 100 * (finished["test/accuracy"] - finished["chance"]) <= AT_CHANCE
    return f"{int(stuck.sum())} of {len(finished)}"


def trained(results: Results) -> pd.DataFrame:
    """Tabulate how reliably each network learns: seeds at chance, accuracy on what was learned from, worst and best."""
    finished = results.finished
    rows = []
    for name, some in finished[finished["chosen"]].groupby("architecture", sort=False):
        seconds = some["training_seconds"]
        rows.append(
            {
                "architecture": name,
                "seeds at chance": at_chance(some),
                "training accuracy, %": 100 * some["train/accuracy"].mean(),
                "test accuracy, %": 100 * some["test/accuracy"].mean(),
                "worst seed": 100 * some["test/accuracy"].min(),
                "best seed": 100 * some["test/accuracy"].max(),
                "training, s, median": seconds.median(),
            }
        )
    return pd.DataFrame(rows)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]

    def ratio(column: str, name: str) -> Effect:
        a, b = {"architecture": name}, {"architecture": PLAIN}
        return compare(runs, column, a, b, ratio=True, label=f"{column.replace('_', '-')}, {name} ÷ without")

    def gain(name: str, other: str) -> Effect:
        a, b = {"architecture": name}, {"architecture": other}
        stuck = at_chance(runs[runs["architecture"] == name])
        label = f"accuracy, {name} − {other} ({stuck} seeds of the former at chance)"
        return compare(runs, "test/accuracy", a, b, scale=100, unit="points", label=label)

    smaller = {
        f"fewer {column.replace('_', '-')} ({name})": judge_threshold(
            ratio(column, name), supported_below=1, refuted_above=1
        )
        for column in ("parameters", "multiply_adds")
        for name in BOTTLENECKS
    }
    no_worse = {
        f"accuracy is kept to {LOSS:g} point ({name})": judge_threshold(
            gain(name, PLAIN), supported_above=-LOSS, refuted_below=-LOSS
        )
        for name in BOTTLENECKS
    }
    worth_it = judge_threshold(gain(BOTTLENECKS[1], NARROW), supported_above=0, refuted_below=0)
    return combine_named({**smaller, **no_worse, "better than a narrower stack of the same size": worth_it})


EXPERIMENT = Experiment(
    title="1×1 convolutions: what do they save, and what do they cost?",
    question=(
        "A stack of four convolutions of kernel 5, with and without a 1×1 convolution before each that squeezes the "
        "channels: parameters, multiply-adds, time and accuracy."
    ),
    claim=Claim(
        "C12",
        "1.3",
        "1乘1卷积核的作用：特征图大小不变，但是通道数可以改变，减小参数量；增加非线性；实现跨通道的信息交互",
        "1×1 convolutions keep the size and change the channels, which saves parameters; they add non-linearity and "
        "mix channels.",
    ),
    prediction=Prediction(
        "Fewer parameters and multiply-adds by arithmetic; accuracy about the same while the bottleneck is not too "
        "narrow; less time than the saving suggests, since two small kernels are called for one.",
        "M. Lin et al. 2013, Network in network; C. Szegedy et al. 2015; K. He et al. 2016 (bottlenecks)",
    ),
    rule=(
        "Paired by seed, whole 95 % intervals. Parameters and multiply-adds with bottlenecks of 4 and 8 ÷ without: "
        f"supported below 1. Accuracy with − without: supported above −{LOSS:g} point. And the added non-linearity "
        "is worth something: accuracy with a bottleneck of 8 minus that of a narrower plain stack of as many "
        "parameters: supported above 0, refuted below."
    ),
    beyond="The notes do not say that accuracy is kept; that part is ours.",
    judge=judge,
    caveat=(
        "MNIST-1D, 20 epochs with a cosine schedule; learning rates 0.001, 0.003 and 0.01 were tried for each "
        "network, 0.001 only after the first runs, in which narrow bottlenecks failed. Every layer, each 1×1 "
        "too, has a ReLU and no normalisation, so that a narrow one can die: what is lost is accuracy and reliability "
        "together, and the table of training has them apart. With normalisation or without the ReLU it may be less; "
        "neither was tried. Training time was measured while other work ran on "
        "the machine: only its order of magnitude counts. Mixing of channels is what a 1×1 convolution does by "
        "definition; every convolution does it. "
        f"{ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Table(
            "cost",
            "What a network costs, and what it gets.",
            f"{CELLS} {CHOSEN_RATE}",
            (
                Measure("multiply_adds", "multiply-adds", digits=0),
                Measure("test/accuracy", "accuracy, %", scale=100, best="max"),
            ),
            rows=("architecture", "tried"),
            columns=(),
            where=CHOSEN,
        ),
        Computed(
            "trained",
            "How reliably the networks learn.",
            f"At chance: a test accuracy of no more than {AT_CHANCE:g} points above it. Training: mean accuracy on what was "
            "learned from, at the epoch that validation chose.",
            trained,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "accuracy_by_cost",
            "Test accuracy against parameters and multiply-adds, with 95 % intervals; ringed points are on the "
            "Pareto front. Means of seeds that may lie far apart: the other picture has every one.",
            of_chosen(partial(metric_by_cost, costs=("parameters", "multiply_adds"))),
        ),
        Figure(
            "accuracy",
            "Test accuracy of every network: mean of the seeds with its 95 % interval; small points are seeds. Dotted: "
            "chance.",
            of_chosen(dots),
        ),
    ),
)
