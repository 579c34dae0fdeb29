"""Vanishing gradients: what the product of step Jacobians does with length, and for whom."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from gradreach.study import (
    Claim,
    Results,
    Study,
    compare,
    computed,
    effect_of,
    effects,
    figure,
    measure,
    number,
    table,
    value,
)

VANISHING = 0.9
"""Of one step; in 50 steps nothing but half a per cent is left."""
AFTER = (50, 100, 400)
"""Steps."""
LATER = range(5, 10)
"""Seeds that were added when the others had been seen."""
TRAINED = {"trained": True}
START, END = "gradient/start/h.decay", "gradient/end/h.decay"
FACTORS = {
    "before training": value(START, "rnn", over="seq_len"),
    "with an orthogonal start": value(START, "rnn orthogonal", over="seq_len"),
}
"""What the rule and the table of what remains are about."""


def left(factor: str) -> Callable[[Results], str]:
    """Return what says how much of the gradient the factor leaves after many steps."""
    return lambda results: number(FACTORS[factor].of(results).value ** AFTER[-1], ".1g")


def mean_of(**where: Any) -> Callable[[Results], float]:
    """Return what says the mean factor of some trained runs of the RNN."""
    return lambda results: float(results.where({"architecture": "rnn", **TRAINED, **where}).finished[END].mean())


def remains(results: Results) -> pd.DataFrame:
    """Tabulate what a factor leaves of the gradient over many steps."""
    factors = {name: factor.of(results).value for name, factor in FACTORS.items()}
    return pd.DataFrame(
        [{"tanh RNN": name, "factor": f} | {f"after {n} steps": f**n for n in AFTER} for name, f in factors.items()]
    )


def by_solved(results: Results) -> pd.DataFrame:
    """Tabulate the factor after training, apart for runs that have solved the task and those that have not."""
    rows = []
    for (name, seq_len), some in results.where(TRAINED).finished.groupby(["architecture", "seq_len"], sort=False):
        row: dict[str, object] = {"architecture": name, "seq_len": seq_len}
        for words, mine in (("solved", some[some["solved"]]), ("not solved", some[~some["solved"]])):
            factor = effect_of("", mine[END].to_numpy(float))
            half = (factor.high - factor.low) / 2
            row |= {f"{words}, runs": factor.n, f"{words}, factor": factor.value, f"{words}, ±": half}
        if row["solved, runs"] or row["not solved, runs"]:  # a TCN has no state
            rows.append(row)
    return pd.DataFrame(rows)


def gradient(stage: str) -> list[Any]:
    """Return what is said of the gradient by the state, each on a line of its own."""
    words = {"half_life": "half-life, steps", "decay": "factor of one step", "reach": "reach, steps"}
    return [
        measure(f"gradient/{stage}/h.{name}", stage, line=line)
        for name, line in {**words, "lyapunov": "λ_1, per step"}.items()
    ]


GRADIENT = (
    "By the hidden state, ‖dL/dh_t‖ (the total derivative), each example's own, median of 16. Reach: the largest lag "
    "with at least 1 % of the norm at lag 1; at most seq_len − 1. λ_1: the largest Lyapunov exponent. A TCN has no state."
)

STUDY = Study(
    question="Do gradients vanish with length, and for whom?",
    about=(
        "The class of a sequence is its first symbol; all that follows distracts. How fast does the gradient decay "
        "on its way back, before and after training, and what does that do to the accuracy?"
    ),
    architecture={"model.start": "{}", "model.forget_bias": "b={:g}", "model.chrono": "chrono"},
    derive={
        "trained": lambda runs: runs["task.train_size"] > 64,
        "shown": lambda runs: runs["trained"] & (runs["seq_len"] == runs.loc[runs["trained"], "seq_len"].max()),
    },
    solved={"val/accuracy": 90},
    choose="optimizer.lr",
    claim=Claim(
        "The product of tanh' tends to 0, so gradients vanish where sequences are long.",
        id="C1",
        section="4.1",
        source="founding notes",
        original="由于tanh的累乘极限为0，则序列较长时梯度消失出现",
        expect=(
            "True of the default start, where a step multiplies the gradient by about 1/√3 = 0.577; but the rate is the "
            "Lyapunov exponent of the whole step Jacobian diag(1 − h²) W, not of tanh' alone: with an orthogonal W it "
            "vanishes far more slowly. An LSTM with torch's start vanishes nearly as fast as the RNN."
        ),
        expect_source="R. Pascanu et al. 2013; A. Saxe et al. 2014; C. Tallec and Y. Ollivier 2018",
        parts={
            "below 0.9 a step before training": value(
                START, "rnn", over="seq_len", beside={f"left after {AFTER[-1]} steps:": left("before training")}
            ).below(VANISHING),
            "below 0.9 a step after training": value(
                END,
                "rnn",
                where=TRAINED,
                over="seq_len",
                beside={
                    "runs that solved the task": mean_of(solved=True),
                    "that did not": mean_of(solved=False),
                    "seeds that were added later": mean_of(seed=LATER),
                },
            ).below(VANISHING),
            "below 0.9 a step with an orthogonal start": value(
                START,
                "rnn orthogonal",
                over="seq_len",
                beside={f"left after {AFTER[-1]} steps:": left("with an orthogonal start")},
            ).below(VANISHING),
        },
        beyond=(
            "The claim itself stands: any factor below 1 leaves nothing over a sequence that is long enough; an "
            "orthogonal start, with the same tanh, puts that off. And a gradient that hardly arrives before training does "
            "not keep the task from being learned: see what the RNN reaches beside networks with gates."
        ),
    ),
    show=[
        table(
            *gradient("start"),
            name="before_training",
            caption="The gradient before training.",
            note=GRADIENT,
            columns="seq_len",
            lines="of",
        ),
        table(
            *gradient("end"),
            name="after_training",
            caption="The gradient of the weights that validation chose.",
            note=GRADIENT,
            columns="seq_len",
            lines="of",
            where=TRAINED,
        ),
        table("test/accuracy", columns="seq_len", where=TRAINED),
        effects(
            "rnn_beside_gates",
            {
                f"rnn − {gated}": compare("test/accuracy", "rnn", gated, where=TRAINED, each="seq_len")
                for gated in ("gru", "lstm")
            },
            "By how many points the tanh RNN is more accurate than networks with gates, all with torch's start.",
        ),
        computed(
            "remains",
            remains,
            "What is left of the gradient after many steps.",
            "The mean factor of the verdict, before training, to the power of so many steps.",
        ),
        computed(
            "by_solved",
            by_solved,
            "The factor of one step after training, of runs that have solved the task and of those that have not.",
            "Solved: validation accuracy at least 90 %. By the hidden state; ± is the half-width of the 95 % interval.",
        ),
        figure(
            "gradient_by_lag",
            about="The cue that has to be recalled stands at the far right; the axis ends at 1e−12.",
            where={"shown": True},
        ),
        figure(
            "metric_against",
            name="half_life_at_start",
            measure=measure("gradient/start/h.half_life", "half-life before training (steps)"),
            log=True,
            about=(
                "It is a property of the start, not of the length (chrono is a start that is made for the length). "
                "Missing where the curve is no exponential, or does not decay."
            ),
        ),
        figure("metric_against", where=TRAINED),
    ],
    profiles={"shown": True},
    caveats=[
        "Lengths beyond those of the accuracy table are measured before training only.",
        (
            "“Refuted” says of a factor that it is above the threshold, not that nothing vanishes: any factor below 1 leaves "
            "nothing over a sequence that is long enough; the table of what remains says how long."
        ),
        (
            "The part after training is over runs that have solved the task and runs that have not, which differ: their "
            "table has them apart. Training can carry the gradient back."
        ),
    ],
    changed=[
        (
            "Five seeds were added when the first five had been seen, which left the part after training undecided; with "
            "them its verdict changed."
        ),
        (
            "The expectation said that with an orthogonal W the gradient “nearly does not vanish”, and the first caption "
            "that nothing can be learned where it does."
        ),
    ],
)
