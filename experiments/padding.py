"""Padding: does it keep the size, and attend to the edges?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from gradreach.study import (
    Answer,
    Claim,
    Quantity,
    Results,
    Study,
    arithmetic,
    compare,
    computed,
    effects,
    figure,
    table,
)

KINDS = ("none", "same", "circular", "full")
STEPS, KERNEL, LAYERS = 48, 5, 2
GAIN = 1
"""Points of accuracy that count as a difference."""
EDGE = {"place": "edge"}
NO_EDGE = "circular, which has no edge:"
ASKED = {"none": ("same", "circular", "full"), "circular": ("same", "full"), "full": ("same",)}
"""The pairs of paddings that the table of shares compares."""


def after_a_layer(length: int, kind: str) -> int:
    """Return how long the output of one layer is."""
    from gradreach.models.convolutional import output_length, padding_widths  # brings torch, which takes seconds

    return output_length(length, KERNEL, padding=padding_widths(kind, KERNEL))


def touched(results: Results) -> pd.DataFrame:
    """Count how long the output is after all layers, and how often the windows of one layer touch each step."""
    from gradreach.models.convolutional import padding_widths

    rows = []
    for kind in KINDS:
        length = STEPS
        for _ in range(LAYERS):
            length = after_a_layer(length, kind)
        left, _ = padding_widths(kind, KERNEL)
        first = np.arange(after_a_layer(STEPS, kind)) - left
        steps = (first[:, None] + np.arange(KERNEL)).ravel()
        steps = steps % STEPS if kind == "circular" else steps[(steps >= 0) & (steps < STEPS)]
        counts = np.bincount(steps, minlength=STEPS)
        at = {f"step {step + 1}": int(counts[step]) for step in (0, 1, 2, 3, STEPS // 2)}
        rows.append({"padding": kind, f"length after {LAYERS} layers": length, **at})
    return pd.DataFrame(rows)


def gain(kind: str, over: str = "none", beside: Mapping[str, Quantity] | None = None) -> Quantity:
    """Return how much more accurate one padding is than another where the pattern is at the edge."""
    return compare("test/accuracy", f"padding {kind}", f"padding {over}", where=EDGE, beside=beside)


def beside_the_middle(kind: str) -> Quantity:
    """Return how much more accurate a padding is where the pattern is at the edge than where it is in the middle."""
    return compare("test/accuracy", EDGE, {"place": "centre"}, where={"architecture": f"padding {kind}"})


STUDY = Study(
    question="Does padding keep the size, and help at the edges?",
    about=(
        "Four patterns in noise stand either flush with an end of the sequence or in its middle third. Does padding "
        "help a convolutional network to tell those at the edge?"
    ),
    answer=Answer("Yes: size kept, edges seen better.", "6 supported"),
    architecture=lambda runs: "padding " + runs["model.padding"].astype(str),
    derive={"place": lambda runs: runs["task.train_region"]},
    choose="optimizer.lr",
    claim=Claim(
        "Padding keeps the size, and keeps the edges from being attended too little.",
        id="C6",
        title="Padding: size and edges",
        section="1.3",
        source="founding notes",
        original="为什么需要padding：防止图像变小；防止边缘像素点关注过少",
        expect=(
            "The size is arithmetic. Of the attention: with zeros that keep the length, 3 windows of 5 touch the first "
            "step, instead of 1; only with `full` and `circular` do all 5."
        ),
        expect_source="V. Dumoulin and F. Visin 2016, A guide to convolution arithmetic",
        parts={
            "the size is kept": arithmetic(
                lambda: all(after_a_layer(STEPS, kind) == STEPS for kind in ("same", "circular")),
                f"with `same` and `circular` {STEPS} steps stay {STEPS}; without padding each layer of kernel {KERNEL} "
                f"takes {KERNEL - 1}; `full` adds as many.",
            ),
            **{
                f"the edge is seen better with `{kind}`": gain(kind, beside={NO_EDGE: gain("circular")}).above(GAIN)
                for kind in ("same", "full")
            },
            "without padding the edge is seen worse than the middle": beside_the_middle("none").below(-GAIN),
            **{
                f"with `{kind}` the edge is seen as well as the middle": beside_the_middle(kind).above(-GAIN)
                for kind in ("same", "full")
            },
        },
    ),
    looks=[12, 18, 24],
    show=[
        computed(
            "windows",
            touched,
            f"How often a kernel of {KERNEL} touches each of {STEPS} steps in one layer.",
            f"By counting; no training. The middle is touched by all {KERNEL}.",
        ),
        table("test/accuracy", columns="place"),
        effects(
            "shares",
            {
                **{f"edge, {a} − {b}": gain(a, b) for b, kinds in ASKED.items() for a in kinds},
                **{f"edge − middle, {kind}": beside_the_middle(kind) for kind in KINDS},
            },
            "What is gained at the edge, and how.",
            "Pairs share their seed. Circular − none: what it is worth that as many windows see the edge as the middle. "
            "Beyond circular: what zeros are worth, which mark the place. By the windows alone `same` would do worse than "
            "`full`, and no padding would see the edge better than the middle.",
        ),
        figure(
            "dots",
            about="The pattern at the edge or in the middle.",
            beside="place",
            order=[f"padding {kind}" for kind in KINDS],
        ),
    ],
    caveats=[
        (
            "The notes speak of images; ours is one-dimensional. A sequence has two ends; an image has four sides, and "
            "corners that even fewer windows touch: there padding may be worth more."
        ),
        (
            f"{LAYERS} layers and a maximum over time, which needs one window that sees enough of the pattern: deeper or "
            "unpooled networks may differ. The noise is as strong as the patterns."
        ),
        (
            "A gain at the edge need not be attention alone. `circular` makes all steps alike: its gain is attention. Zeros "
            "also tell where the pattern stands: what they gain beyond `circular` is more than attention."
        ),
    ],
    changed=[
        "The expectation named `full` alone; how gains are read came with the table of shares.",
        "Ten seeds are pilots now; seeds from 100 on decide, at looks.",
        "The edge was compared with itself under other padding alone, and not with the middle.",
    ],
)
