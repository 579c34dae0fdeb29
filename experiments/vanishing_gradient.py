"""Vanishing gradients: what the product of step Jacobians does with length, and for whom."""

from dataclasses import replace
from functools import partial

import pandas as pd

from gradreach.analysis.choosing import CHOSEN, choose, of_chosen
from gradreach.analysis.experiment import Claim, Experiment, Figure, Prediction
from gradreach.analysis.figures import gradient_by_lag, metric_against
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, named
from gradreach.analysis.results import Results
from gradreach.analysis.tables import Measure, Table
from gradreach.analysis.verdict import Verdict, combine_named, judge_threshold, level

TRAINED = {"trained": True}
VANISHING = 0.9
"""Of one step; in 50 steps nothing but half a per cent is left."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the starts, and choose learning rates."""
    settings = {"model.start": "{}", "model.forget_bias": "b={:g}", "model.chrono": "chrono"}
    names = named(runs, settings)
    runs = choose(runs.assign(architecture=names), ["architecture", "seq_len"])
    trained = runs["task.train_size"] > 64
    longest = runs.loc[trained, "seq_len"].max()
    return runs.assign(trained=trained, shown=trained & runs["chosen"] & (runs["seq_len"] == longest))


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]

    def factor(name: str, stage: str, words: str) -> Verdict:
        where = {"architecture": name} | (TRAINED if stage == "end" else {})
        effect = level(runs, f"gradient/{stage}/h.decay", where, label=f"factor of one step, {words}")
        return judge_threshold(effect, supported_below=VANISHING, refuted_above=VANISHING)

    return combine_named(
        {
            "before training": factor("rnn", "start", "tanh RNN, before training"),
            "after training": factor("rnn", "end", "tanh RNN, after training"),
            "with an orthogonal start": factor("rnn orthogonal", "start", "tanh RNN with an orthogonal start"),
        }
    )


def gradient(stage: str) -> tuple[Measure, ...]:
    """Return what is said of the gradient by the state."""
    name = f"gradient/{stage}/h"
    return (
        Measure(f"{name}.half_life", "", "half-life, steps", needs=(f"{name}.r2", 0.9)),
        Measure(f"{name}.decay", "", "factor of one step", digits=3),
        Measure(f"{name}.reach", "", "reach, steps", digits=0),
        Measure(f"{name}.lyapunov", "", "λ_1, per step", digits=3),
    )


def lines(stage: str) -> tuple[Measure, ...]:
    """Return the same, each on a line of its own."""
    return tuple(replace(measure, label=stage) for measure in gradient(stage))


GRADIENT = (
    f"{CELLS} By the hidden state, ‖dL/dh_t‖ (the total derivative), each example's own, median of 16. Half-life: "
    "only where the curve is an exponential (R² at least 0.9). Reach: the largest lag with at least 1 % of the norm "
    "at lag 1; at most seq_len − 1. λ_1: the largest Lyapunov exponent. A TCN has no state."
)

EXPERIMENT = Experiment(
    title="Do gradients vanish with length, and for whom?",
    question=(
        "The class of a sequence is its first symbol; all that follows distracts. How fast does the gradient decay "
        "on its way back, before and after training, and what does that do to the accuracy?"
    ),
    claim=Claim(
        "C1",
        "4.1",
        "由于tanh的累乘极限为0，则序列较长时梯度消失出现",
        "The product of tanh' tends to 0, so gradients vanish where sequences are long.",
    ),
    prediction=Prediction(
        "True of the default start, where a step multiplies the gradient by about 1/√3 = 0.577; but the rate is the "
        "Lyapunov exponent of the whole step Jacobian diag(1 − h²) W, not of tanh' alone: with an orthogonal W it "
        "nearly does not vanish. An LSTM with torch's start vanishes nearly as fast as the RNN.",
        "R. Pascanu et al. 2013; A. Saxe et al. 2014; C. Tallec and Y. Ollivier 2018",
    ),
    rule=(
        f"Per step, the gradient by the state is multiplied by a factor. Supported if it is below {VANISHING} (over "
        "50 steps less than a hundredth is left) for the tanh RNN before training, after training, and also with an "
        "orthogonal start, which has the same tanh; a part is refuted if the factor is above that. All seeds and "
        "lengths, whole 95 % interval."
    ),
    judge=judge,
    caveat=(
        "All architectures have about 5,000 parameters and 1,000 steps of Adam; learning rates 0.003 and 0.01 were "
        "tried for each architecture and length. Longer lengths than those of the accuracy table are measured "
        "before training only. A gradient that arrives is necessary for learning, not sufficient."
    ),
    prepare=prepare,
    profiles_of={"shown": True},
    tables=(
        Table("before_training", "The gradient before training.", GRADIENT, lines("start"), lines="of", where=CHOSEN),
        Table(
            "after_training",
            "The gradient of the weights that validation chose.",
            GRADIENT,
            lines("end"),
            lines="of",
            where=CHOSEN | TRAINED,
        ),
        Table(
            "accuracy",
            "Test accuracy in per cent.",
            f"{CELLS} {CHOSEN_RATE}",
            (Measure("test/accuracy", "accuracy", scale=100, best="max"),),
            where=CHOSEN | TRAINED,
            rows=("architecture", "tried"),
        ),
    ),
    figures=(
        Figure(
            "gradient_by_lag",
            "Norm of each example's own gradient by the input against lag at the longest length that was trained, "
            "relative to its largest. Thin: the median example of every seed; thick: the median of the seeds. The "
            "cue that has to be recalled stands at the far right; where a line has fallen far below 1 % (black) "
            "there, nothing can be learned of it.",
            lambda results, stem: gradient_by_lag(
                replace(results, runs=results.runs[results.runs["shown"]], read_profiles=lambda: results.profiles), stem
            ),
        ),
        Figure(
            "half_life_at_start",
            "Half-life of the gradient by the state before training: it is a property of the start, not of the "
            "length. Missing where the curve is no exponential, or does not decay.",
            of_chosen(
                partial(
                    metric_against,
                    measure=Measure(
                        "gradient/start/h.half_life",
                        "half-life before training (steps)",
                        needs=("gradient/start/h.r2", 0.9),
                    ),
                    log=True,
                )
            ),
        ),
        Figure(
            "accuracy",
            "Test accuracy against length, of the learning rate that validation chose. Dotted: chance.",
            lambda results, stem: of_chosen(metric_against)(
                replace(results, runs=results.runs[results.runs["trained"]]), stem
            ),
        ),
    ),
)
