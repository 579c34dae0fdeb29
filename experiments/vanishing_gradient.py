"""Vanishing gradients: what the product of step Jacobians does with length, and for whom."""

import math
from typing import Any

import pandas as pd

from gradreach.study import (
    Answer,
    Claim,
    Results,
    Study,
    column,
    compare,
    computed,
    effect_of,
    effects,
    figure,
    measure,
    number,
    share,
    table,
    value,
)

VANISHING = -0.105
"""λ_1 per step, ln 0.9: in 50 steps half a per cent is left."""
AFTER = (50, 100, 400)
"""Steps."""
TRAINED = {"trained": True}
LENGTHS = (25, 50)
"""At which all networks are trained; longer ones are measured before training only."""
JUDGED = ((25, True), (40, True), (50, False), (75, False))
"""Lengths, and whether the RNN has solved the task, of which pilots had enough runs: it nearly always does up to 40."""
RNNS = {
    "rnn": "in an RNN",
    "rnn orthogonal": "in an RNN with an orthogonal initialization",
    "rnn orthogonal gain 2": "in an RNN with twice an orthogonal initialization",
}
GATED = {
    "lstm": "in an LSTM",
    "gru": "in a GRU",
    "lstm b=1": "in an LSTM with forget bias 1",
    "lstm chrono": "in an LSTM with chrono",
}
START, END = "gradient/start/h.lyapunov", "gradient/end/h.lyapunov"


def remains(results: Results) -> pd.DataFrame:
    """Tabulate what λ_1 leaves of the gradient over many steps, before training."""
    rows = []
    for name in (*RNNS, *GATED):
        exponent = value(START, name, over="seq_len").of(results).value
        row = {"architecture": name, "λ_1": exponent, "factor of one step": math.exp(exponent)}
        rows.append(row | {f"after {n} steps": math.exp(n * exponent) for n in AFTER})
    return pd.DataFrame(rows)


def by_solved(results: Results) -> pd.DataFrame:
    """Tabulate λ_1 after training, apart for runs that have solved the task and those that have not."""
    rows = []
    for (name, seq_len), some in results.where(TRAINED).ended.groupby(["architecture", "seq_len"], sort=False):
        if some[END].isna().all():  # a TCN has no state
            continue
        row: dict[str, object] = {"architecture": name, "seq_len": seq_len}
        for words, mine in (("solved", some[some["solved"]]), ("not solved", some[~some["solved"]])):
            exponent = effect_of("", mine[END].to_numpy(float))
            half = (exponent.high - exponent.low) / 2
            row |= {f"{words}, runs": len(mine), f"{words}, λ_1": exponent.value, f"{words}, ±": half}
            row |= {f"{words}, vanishing": int(mine["vanishes"].sum())}
        rows.append(row)
    return pd.DataFrame(rows)


def gradient(stage: str) -> list[Any]:
    """Return what is said of the gradient with respect to the state, each on a line of its own."""
    words = {"half_life": "half-life, steps", "decay": "factor of one step", "reach": "reach, steps"}
    return [
        measure(f"gradient/{stage}/h.{name}", stage, line=line)
        for name, line in {**words, "lyapunov": "λ_1, per step"}.items()
    ]


def vanishing(starts: dict[str, str]) -> dict[str, Any]:
    """Return one part for each initialization: that its gradient vanishes before training."""
    return {words: value(START, name, over="seq_len").below(VANISHING) for name, words in starts.items()}


GRADIENT = (
    "By the hidden state, ‖dL/dh_t‖ (the total derivative), each example's own, median of 16. Reach: the largest lag "
    "with at least 1 % of the norm at lag 1; at most the sequence length − 1. λ_1: the largest Lyapunov exponent. A TCN has no state."
)

STUDY = Study(
    question="Do gradients vanish with length, and for whom?",
    about=(
        "The class of a sequence is its first symbol; all that follows distracts. λ_1, the largest Lyapunov exponent, is "
        "the logarithmic growth per step of the product of step Jacobians: below 0 the product tends to 0, "
        "above 0 it grows without bound. What is it before and after training, and what does that do to the accuracy?"
    ),
    answer=Answer("Not if orthogonal, nor where it recalls.", "supported, 4 refuted, 5 supported, refuted"),
    architecture={
        "model.start": "{}",
        "model.start_gain": "gain {:g}",
        "model.forget_bias": "b={:g}",
        "model.chrono": "chrono",
    },
    derive={
        "trained": lambda runs: runs["task.train_size"] > 64,
        "shown": lambda runs: runs["trained"] & (runs["seq_len"] == LENGTHS[-1]),
        "vanishes": column(
            lambda runs: (runs[END] < VANISHING).where(runs[END].notna()).astype(float),
            "runs whose gradient vanishes after training",
            "%",
        ),
    },
    solved={"val/accuracy": 90},
    claim=Claim(
        "The product of tanh' tends to 0, so gradients vanish where sequences are long.",
        id="C1",
        title="Long gradients vanish",
        section="4.1",
        source="founding notes",
        original="由于tanh的累乘极限为0，则序列较长时梯度消失出现",
        expect=(
            "True of torch's initialization, where a step of the RNN multiplies the gradient by about 1/√3 = 0.577, and an LSTM or a "
            "GRU does little better. But the rate is the Lyapunov exponent of the whole step Jacobian, diag(1 − h²) W, not "
            "of tanh' alone: with an orthogonal W gradients vanish far more slowly, with a larger one they explode in "
            "spite of the same tanh, and a network that has learned to remember has an exponent near 0 or above."
        ),
        expect_source="R. Pascanu et al. 2013; A. Saxe et al. 2014; C. Tallec and Y. Ollivier 2018; R. Engelken et al. 2023",
        parts={
            "before training the gradient vanishes": vanishing(RNNS),
            "after training it vanishes in most RNNs": {
                f"that {'recall' if solved else 'do not recall'} over {length} steps": share(
                    "vanishes", "rnn", where={**TRAINED, "seq_len": length, "solved": solved}
                ).above(50)
                for length, solved in JUDGED
            },
        },
        asides={"before training it vanishes with gates too": vanishing(GATED)},
    ),
    looks=[12, 24, 36],
    show=[
        table(
            *gradient("start"),
            name="before_training",
            caption="The gradient before training.",
            note=GRADIENT,
            columns="seq_len",
            lines="quantity",
        ),
        table(
            *gradient("end"),
            name="after_training",
            caption="The gradient at the best-validation checkpoint.",
            note=GRADIENT,
            columns="seq_len",
            lines="quantity",
            where=TRAINED,
        ),
        table("test/accuracy", columns="seq_len", where=TRAINED),
        effects(
            "rnn_beside_gates",
            {
                f"rnn − {gated}": compare("test/accuracy", "rnn", gated, where=TRAINED, each={"seq_len": LENGTHS})
                for gated in ("gru", "lstm")
            },
            "Accuracy of the tanh RNN minus that of networks with gates, in points, all with torch's initialization.",
        ),
        computed(
            "remains",
            remains,
            "What is left of the gradient after many steps, before training.",
            "e to the power of this many times λ_1, the mean over seeds and lengths; above 1 it has grown.",
        ),
        computed(
            "by_solved",
            by_solved,
            "λ_1 after training, of runs that have solved the task and of those that have not.",
            f"Solved: validation accuracy at least 90 %. Vanishing: λ_1 below {number(VANISHING, 'g')}. ± is the half-width of "
            "the 95 % interval. A run that diverged has not solved it, and has no λ_1.",
        ),
        figure(
            "gradient_by_lag",
            about="The cue to recall is at the far right; the axis ends at 1e−12.",
            where={"shown": True},
        ),
        figure(
            "metric_against",
            name="exponent_at_start",
            measure=measure(START, "λ_1 before training (per step)"),
            threshold=VANISHING,
            about=(
                "It is a property of the initialization, not of the length (chrono is one made for the length). Above 0 "
                "gradients explode."
            ),
        ),
        figure("metric_against", where=TRAINED),
    ],
    profiles={"shown": True},
    caveats=[
        "Lengths beyond those of the accuracy table are measured before training only.",
        (
            "One rate, 0.003, for all: at 0.01 pilots of the RNN (40 steps, 3 seeds) vanished after training where at 0.003 two of "
            "three did not. Accuracies are shown at this rate, which may suit one network more than another; no part compares them."
        ),
        (
            f"A part says “vanishes” where λ_1 is below {number(VANISHING, 'g')}, a factor of 0.9 a step: any exponent below "
            "0 leaves nothing over a long enough sequence. The table of what remains says how long."
        ),
        (
            "Whether a task is solved is known only after training: networks that solve it are selected by the outcome, so "
            "that an exponent near 0 may be cause or consequence. C18 sets the reach and tests the cause."
        ),
        (
            "The number of runs that solve the task cannot be planned: in pilots nearly all RNNs do up to 40 steps, a third at 50, "
            "so each length is judged for the larger group. A saturated network can keep a symbol in states whose gradient "
            "vanishes."
        ),
        "The RNN with twice an orthogonal initialization trains without clipping; all others clip to norm 1.",
        (
            "Errata of the notes: the forward pass is printed without tanh (S_1 = W_x X_1 + W_s S_0 + b_1), and the product as "
            "if it were of tanh' alone, without W_s. Both are read as intended, ∏ diag(tanh') W_s."
        ),
    ],
    changed=[
        "Validation chose between two rates, which pilots told apart by a hair, and the sign of λ_1 with them: one rate is fixed now.",
        "27 seeds had been planned; by gradreach decide C1 the parts after training ask for 36.",
        (
            "The part after training was the mean slope of curves that are not exponentials, over runs that had solved the "
            "task and runs that had not; it changed when seeds were added. It is λ_1 now, by length and by solved or not."
        ),
        "Networks with gates, about which the claim says nothing, were parts of it; now they are asides.",
        (
            "The parts before training were slopes too; an exploding initialization and networks with gates are judged beside the RNN."
        ),
    ],
)
