"""Pooling: do small changes of the input change the features?"""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from gradreach.study import (
    Claim,
    Effect,
    Quantity,
    Results,
    Study,
    by_function,
    computed,
    dots,
    effect_of,
    figure,
    measure,
    number,
    table,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

SMALL = 0.1
"""Of the distance between different examples."""
SEEDS = range(10)
STEPS, NOISE = 48, 0.1
POOLS: dict[str, tuple[Literal["none", "avg", "max"], int]] = {
    "none": ("none", 2),
    "avg in windows of 2": ("avg", 2),
    "avg in windows of 4": ("avg", 4),
    "max in windows of 2": ("max", 2),
    "max in windows of 4": ("max", 4),
}
HEADS: "dict[str, Callable[[Tensor], Tensor]]" = {
    "mean over time": lambda features: features.mean(1),
    "max over time": lambda features: features.amax(1),
}
WINDOWS = tuple(POOLS)[1:]
CHANGES = {"shift": "shifted by one step", "noise": "noise of a tenth"}


def names(runs: pd.DataFrame) -> pd.Series:
    """Name networks by their pooling."""
    windows = runs["model.pooling"] + " in windows of " + runs["model.pool_size"].astype(str)
    pooled = windows.mask(runs["model.pooling"] == "none", "none")
    return runs["model.readout"].map({"mean": "mean over time", "max": "max over time"}).astype(object).fillna(pooled)


@cache
def changes() -> pd.DataFrame:
    """Return how much features change, in units of the distance between examples: a row for each seed and kind.

    Of untrained networks, the same ones that the runs start from: two layers of kernel 5, 16 channels.
    """
    import torch  # here, as in no other study: all others are made without it, two seconds sooner

    from gradreach.models import CNN
    from gradreach.tasks import Motif

    task = Motif(seq_len=STEPS, noise=0.5, train_size=64, validation_size=64, test_size=64)
    x = torch.from_numpy(task.draw(np.random.default_rng(0), 64, "train")[0]).float()
    changed = {
        "shift": x.roll(1, dims=1),
        "noise": x + NOISE * torch.from_numpy(np.random.default_rng(1).standard_normal(x.shape)).float(),
    }
    rows = []
    for seed in SEEDS:
        for name, (pooling, size) in POOLS.items():
            torch.manual_seed(seed)
            network = CNN(1, width=16, layers=2, kernel_size=5, dilation_base=1, pooling=pooling, pool_size=size)
            readers: dict[str, Any] = {name: lambda features: features.flatten(1)} | (HEADS if name == "none" else {})
            with torch.no_grad():
                before = network(x, None)[0]
                after = {kind: network(other, None)[0] for kind, other in changed.items()}
            for reader, read in readers.items():
                for kind in changed:
                    moved = (read(after[kind]) - read(before)).norm(dim=1).mean()
                    value = float(moved / torch.pdist(read(before)).mean())
                    rows.append({"seed": seed, "features": reader, "change": kind, "value": value})
    return pd.DataFrame(rows)


def over_seeds(values: np.ndarray, label: str = "", unit: str = "") -> Effect:
    """Return the mean over seeds, with its interval, to digits that no longer depend on the machine."""
    found = effect_of(label, values, unit)
    mean, half = round(found.value, 4), round((found.high - found.low) / 2, 4)
    return found._replace(value=mean, low=mean - half, high=mean + half)


def moved(features: str, change: str) -> np.ndarray:
    """Return how far some features move, one value a seed."""
    table = changes()
    return table.loc[(table["features"] == features) & (table["change"] == change), "value"].to_numpy()


def beside_none(features: str, change: str) -> Effect:
    """Return how far features move in units of how far they do without pooling, in the same network."""
    return over_seeds(moved(features, change) / moved("none", change))


def effect(results: Results, features: str, change: str) -> Effect:
    """Return the change of some features over seeds; the label of pooled ones says what pooling has done to it."""
    label = f"untrained features, {'pooling ' * (features not in HEADS)}{features}, input {CHANGES[change]}"
    if features != "none":
        ratio = beside_none(features, change)
        done = "lessened" if ratio.high < 1 else "made greater" if ratio.low > 1 else "about as great"
        label += f" ({done}: {number(ratio.value, '.3g')} of that without pooling)"
    return over_seeds(moved(features, change), label, "of the distance between examples")


def of(features: str, change: str) -> Quantity:
    """Return the quantity of a part."""
    return by_function(partial(effect, features=features, change=change))


def sensitivity(results: Results) -> pd.DataFrame:
    """Tabulate the changes."""
    rows = []
    for features in [*POOLS, *HEADS]:
        row: dict[str, object] = {"pooling": features}
        for change, words in CHANGES.items():
            _, mean, low, high, n, *_ = effect(results, features, change)
            row |= {words: mean, f"{words}, ±": (high - low) / 2}
            ratio = beside_none(features, change).value if features != "none" else 1.0
            row |= {f"{words}, ÷ no pooling": ratio, "seeds": n}
        rows.append(row)
    return pd.DataFrame(rows)


def draw_changes(results: Results, stem: Path) -> "Figure":
    """Draw the changes, which no run has."""
    table = changes()
    table = table.assign(
        value=table["value"].round(3),  # the last digits depend on the machine
        run_id="seed " + table["seed"].astype(str),
        status="finished",
        change=table["change"].map(CHANGES),
    )
    moves = measure("value", "how far features move (1: as far as another example)", digits=3).measure(results)
    line = (SMALL, "threshold of the rule")
    return dots(Results(table), stem, by="features", beside="change", measure=moves, line=line)


STUDY = Study(
    question="Do small changes of the input change the features, and does pooling prevent it?",
    about=(
        "A signal is shifted by one step, or gets a little noise. How far do the features move that a convolution gives, "
        "without pooling, with windows, with pooling over all time?"
    ),
    architecture=names,
    choose="optimizer.lr",
    claim=Claim(
        "A convolution answers to small changes of its input; pooling does not, within its window.",
        id="C11",
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
            **{f"an untrained convolution answers to {change}": of("none", change).above(SMALL) for change in CHANGES},
            **{
                f"{words} next to nothing of {change}": {each: of(each, change).below(SMALL) for each in kinds}
                for words, kinds in (("windows leave", WINDOWS), ("pooling over all time leaves", HEADS))
                for change in CHANGES
            },
        },
    ),
    show=[
        computed(
            "sensitivity",
            sensitivity,
            "How far features move, in units of the mean distance between different examples.",
            "Ten untrained networks, 64 signals with a pattern; no run of the sweep. 1 would be as far as another "
            "example; ± is the half-width of the 95 % interval. ÷ no pooling: in units of how far the same network's "
            "features move without pooling, mean over seeds; below 1 pooling lessens the change, above it makes it greater.",
        ),
        table(
            "test/accuracy",
            caption="Test accuracy of trained networks in per cent, where the pattern may stand anywhere; it decides nothing.",
        ),
        figure(
            draw_changes,
            name="sensitivity",
            caption=(
                "How far features of untrained networks move where the input is shifted by one step or gets noise, in "
                "units of the mean distance between different examples: mean of ten networks with its 95 % interval; "
                "small points are networks. What is left of the line is next to nothing, by the rule."
            ),
        ),
        figure("dots", about="Test accuracy of trained networks by pooling.", order=[*POOLS, *HEADS]),
    ],
    caveats=[
        (
            "The verdict rests on ten untrained networks (two layers of kernel 5, 16 channels, seeds 0 to 9), which are "
            "made when the tables are: what pooling does by itself; training can make features more or less sensitive."
        ),
        (
            "The runs of the sweep decide nothing: theirs are the accuracies alone, of trained networks whose head sees all "
            "steps side by side (but for the two that pool over all time), so that nothing but the pooling could make "
            "them indifferent."
        ),
        (
            "“Refuted” says that more is left than 0.1 of the distance between examples, not that pooling does nothing: "
            "what it lessens, and to what share of that without pooling, stands with each part and in the table."
        ),
    ],
    changed=["Ratios and picture came after the runs; the rule stayed as it was."],
)
