"""Padding: does it keep the size, and attend to the edges?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import number
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, compare, judge_threshold
from gradreach.analysis.tables.chosen import chosen_accuracy, chosen_rates
from gradreach.analysis.tables.specification import Computed

BY = ["architecture", "place"]
KINDS = ("none", "same", "circular", "full")
STEPS, KERNEL, LAYERS = 48, 5, 2
GAIN = 1.0
"""Points of accuracy that count as a difference."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name networks by their padding and tasks by where the pattern stands, and choose learning rates."""
    runs = runs.assign(architecture="padding " + runs["model.padding"].astype(str), place=runs["task.train_region"])
    return choose(runs, BY)


def after_a_layer(length: int, kind: str) -> int:
    """Return how long the output of one layer is."""
    from gradreach.models.convolutional import output_length, padding_widths  # brings torch, which takes seconds

    return output_length(length, KERNEL, padding=padding_widths(kind, KERNEL))


def touched(results: Results) -> pd.DataFrame:
    """Count how long each layer's output is, and how often its windows touch each input: no training is needed."""
    from gradreach.models.convolutional import padding_widths

    rows = []
    for kind in KINDS:
        length = STEPS
        for _ in range(LAYERS):
            length = after_a_layer(length, kind)
        windows = after_a_layer(STEPS, kind)
        left, _ = padding_widths(kind, KERNEL)
        counts = np.zeros(STEPS, dtype=int)
        for first in range(-left, windows - left):
            steps = np.arange(first, first + KERNEL)
            steps = steps % STEPS if kind == "circular" else steps[(steps >= 0) & (steps < STEPS)]
            np.add.at(counts, steps, 1)
        rows.append(
            {
                "padding": kind,
                f"length after {LAYERS} layers": length,
                **{f"step {step + 1}": int(counts[step]) for step in (0, 1, 2, 3, STEPS // 2)},
            }
        )
    return pd.DataFrame(rows)


def seen(kind: str, place: str = "edge") -> dict[str, str]:
    """Return which runs are meant: a padding, and where the pattern stands."""
    return {"architecture": f"padding {kind}", "place": place}


def gain(results: Results, a: Mapping[str, Any], b: Mapping[str, Any], label: str = "") -> Effect:
    """Return by how many points of accuracy one is better than the other, by seed."""
    runs = results.runs[results.runs["chosen"]]
    return compare(runs, "test/accuracy", a, b, scale=100, unit="points", label=label)


def shares(results: Results) -> pd.DataFrame:
    """Tabulate what padding gains at the edge, what of that is more than equal attention, and edge against middle."""
    asked = [
        *((f"edge, {kind} − none", seen(kind), seen("none")) for kind in KINDS[1:]),
        *((f"edge, {kind} − circular", seen(kind), seen("circular")) for kind in ("same", "full")),
        ("edge, same − full", seen("same"), seen("full")),
        *((f"edge − middle, {kind}", seen(kind), seen(kind, "centre")) for kind in KINDS),
    ]
    rows = []
    for words, a, b in asked if "test/accuracy" in results.runs else ():
        _, value, low, high, n, _ = gain(results, a, b)
        rows.append({"difference": words, "points": value, "95 % from": low, "to": high, "seeds": n})
    return pd.DataFrame(rows)


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    equal = number(gain(results, seen("circular"), seen("none")).value, ".3g")

    kept = all(after_a_layer(STEPS, kind) == STEPS for kind in ("same", "circular"))
    size = Verdict(
        "supported" if kept else "refuted",
        None,
        f"Arithmetic: with `same` and `circular` {STEPS} steps stay {STEPS}, without padding each layer of kernel "
        f"{KERNEL} takes {KERNEL - 1}; `full` adds as many.",
    )
    edges = {
        f"the edge is seen better with `{kind}`": judge_threshold(
            gain(
                results,
                seen(kind),
                seen("none"),
                f"accuracy with padding {kind} − none, pattern at the edge (circular, with as many windows "
                f"there as in the middle and no zeros: {equal})",
            ),
            supported_above=GAIN,
            refuted_below=GAIN,
        )
        for kind in ("same", "full")
    }
    return combine_named({"the size is kept": size, **edges})


EXPERIMENT = Experiment(
    title="Does padding keep the size, and attend to the edges?",
    question=(
        "Four patterns in noise, which stand either flush with an end of the sequence or in its middle third. Does "
        "padding help a convolutional network to tell those at the edge?"
    ),
    claim=Claim(
        "C6",
        "1.3",
        "为什么需要padding：防止图像变小；防止边缘像素点关注过少",
        "Padding keeps the size, and keeps the edges from being attended too little.",
    ),
    prediction=Prediction(
        "The size is arithmetic. Of the attention: with zeros that keep the length, the first step is still touched "
        "by 3 windows of 5, instead of by 1; only `full` and `circular` let every step be touched by as many windows as "
        "any other.",
        "V. Dumoulin and F. Visin 2016, A guide to convolution arithmetic",
    ),
    rule=(
        "Three parts: the length is kept; and at the edge, accuracy with `same` and with `full` padding minus "
        f"without, paired by seed: supported if above {GAIN:g} point, refuted if below, by the whole 95 % interval."
    ),
    judge=judge,
    caveat=(
        f"Two layers of kernel {KERNEL}, 16 channels, maximum over time, {STEPS} steps, noise of the patterns' own "
        "strength. Learning rates 0.003 and 0.01 were tried for each padding and place. A maximum over time needs "
        "one window that sees enough of the pattern, so deeper or unpooled networks may differ. That the edge is seen "
        "better need not be attention alone: `circular` makes all steps alike, and what it gains is the part that is; "
        "zeros also tell where the pattern stands, and what is gained beyond `circular` is more than attention accounts "
        "for. The table of shares has both. Mended after the runs: the expectation named `full` alone, and this reading came with the "
        f"table. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Computed(
            "windows",
            f"How often a kernel of {KERNEL} touches each of {STEPS} steps in one layer.",
            "By counting; no training. The middle is touched by all 5.",
            touched,
        ),
        chosen_accuracy("place"),
        Computed(
            "shares",
            "What is gained at the edge, and by what.",
            "Points of accuracy, by seed, with the 95 % interval. Circular − none: what it is worth that as many windows "
            "see the edge as the middle. Beyond circular: what zeros at the edge are worth, which mark the place. By the "
            "windows alone `same` should do worse than `full`, and no padding should see the edge better than the "
            "middle.",
            shares,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "accuracy",
            "Test accuracy by padding, the pattern at the edge or in the middle: mean of the seeds with its 95 % "
            "interval; small points are seeds. The axis does not begin at zero.",
            of_chosen(
                lambda results, stem: dots(
                    results, stem, by="architecture", beside="place", order=[f"padding {kind}" for kind in KINDS]
                )
            ),
        ),
    ),
)
