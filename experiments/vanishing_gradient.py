"""Vanishing gradients: what the product of step Jacobians does with length, and for whom."""

import math
from dataclasses import replace
from functools import partial

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures import gradient_by_lag, metric_against
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, named, number
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW, beside
from gradreach.analysis.stats.statistics import estimate
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Computed, Measure, Table

TRAINED = {"trained": True}
BY = ["architecture", "seq_len"]
VANISHING = 0.9
"""Of one step; in 50 steps nothing but half a per cent is left."""
SOLVED = 0.9
"""Validation accuracy from which on the task counts as solved."""
AFTER = (50, 100, 400)
"""Steps."""
PARTS = {
    "before training": ("rnn", "start"),
    "after training": ("rnn", "end"),
    "with an orthogonal start": ("rnn orthogonal", "start"),
}
"""Which factors are judged: of which architecture, and when."""
LATER = range(5, 10)
"""Seeds that were added when the others had been seen."""
GATED = ("gru", "lstm")
"""With torch's start."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the starts, and choose learning rates."""
    settings = {"model.start": "{}", "model.forget_bias": "b={:g}", "model.chrono": "chrono"}
    names = named(runs, settings)
    runs = choose(runs.assign(architecture=names), BY)
    trained = runs["task.train_size"] > 64
    longest = runs.loc[trained, "seq_len"].max()
    return runs.assign(trained=trained, shown=trained & runs["chosen"] & (runs["seq_len"] == longest))


def factor(results: Results, part: str) -> Effect:
    """Return the factor of one step that a part of the rule is about."""
    name, stage = PARTS[part]
    where = {"architecture": name} | (TRAINED if stage == "end" else {})
    runs = results.runs[results.runs["chosen"]]
    return level(runs, f"gradient/{stage}/h.decay", where, label=f"factor of one step, tanh RNN, {part}")


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    parts = {}
    for part in PARTS:
        effect = factor(results, part)
        told = apart(results) if part == "after training" else left(effect.value)
        parts[f"below {VANISHING} a step {part}"] = judge_threshold(
            effect._replace(label=f"{effect.label} ({told})"),
            supported_below=VANISHING,
            refuted_above=VANISHING,
        )
    return combine_named(parts)


def left(value: float) -> str:
    """Say what so many steps leave of the gradient."""
    return f"{number(value ** AFTER[-1], '.1g')} is left after {AFTER[-1]} steps"


def apart(results: Results) -> str:
    """Say what the factor after training is where the task was solved, where not, and in the seeds that came later."""
    runs = results.finished
    runs = runs[runs["chosen"] & runs["trained"] & (runs["architecture"] == "rnn")]
    solved, later = runs["val/accuracy"] >= SOLVED, runs["seed"].isin(LATER)
    means = [
        number(float(runs.loc[mine, "gradient/end/h.decay"].mean()), ".3g") if mine.any() else "–"
        for mine in (solved, ~solved, later)
    ]
    return "runs that solved the task {}, that did not {}; seeds that were added later {}".format(*means)


def remains(results: Results) -> pd.DataFrame:
    """Tabulate what a factor leaves of the gradient over many steps: also one close to 1 makes it vanish in the end."""
    rows = []
    for part in ("before training", "with an orthogonal start"):
        value = factor(results, part).value if "gradient/start/h.decay" in results.runs else math.nan
        rows.append({"tanh RNN": part, "factor": value} | {f"after {n} steps": value**n for n in AFTER})
    return pd.DataFrame(rows)


def by_solved(results: Results) -> pd.DataFrame:
    """Tabulate the factor after training by length, apart for runs that have solved the task and those that have not."""
    runs = results.finished
    runs = runs[runs["chosen"] & runs["trained"]]
    rows = []
    for (name, seq_len), some in runs.groupby(BY, sort=False):
        row: dict[str, object] = {"architecture": name, "seq_len": seq_len}
        solved = some["val/accuracy"] >= SOLVED
        for words, mine in (("solved", some[solved]), ("not solved", some[~solved])):
            mean, _, half, n = estimate(Measure("gradient/end/h.decay", "").values(mine))
            row |= {f"{words}, runs": n, f"{words}, factor": mean, f"{words}, ±": half}
        if row["solved, runs"] or row["not solved, runs"]:  # a TCN has no state
            rows.append(row)
    return pd.DataFrame(rows)


def rnn_beside_gates(results: Results) -> pd.DataFrame:
    """Tabulate by how much the tanh RNN is more accurate than networks with gates, all with torch's start."""
    runs = results.runs[results.runs["chosen"] & results.runs["trained"]]
    places = [{"seq_len": seq_len} for seq_len in sorted(runs["seq_len"].unique())]
    return beside(runs, [("rnn", gated) for gated in GATED], places)


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
        "vanishes far more slowly. An LSTM with torch's start vanishes nearly as fast as the RNN.",
        "R. Pascanu et al. 2013; A. Saxe et al. 2014; C. Tallec and Y. Ollivier 2018",
    ),
    rule=(
        f"Per step, the gradient by the state is multiplied by a factor. Supported if it is below {VANISHING} (over "
        "50 steps less than a hundredth is left) for the tanh RNN before training, after training, and also with an "
        "orthogonal start, which has the same tanh; a part is refuted if the factor is above that. All seeds and "
        "lengths, whole 95 % interval."
    ),
    beyond=(
        "The claim itself stands: any factor below 1 leaves nothing over a sequence that is long enough; an orthogonal "
        "start, with the same tanh, puts that off. And a gradient that hardly arrives before training does not keep the task from being "
        "learned: see what the RNN reaches beside networks with gates."
    ),
    judge=judge,
    caveat=(
        "All architectures have about 5,000 parameters and 1,000 steps of Adam; learning rates 0.003 and 0.01 were "
        "tried for each architecture and length. Longer lengths than those of the accuracy table are measured "
        "before training only. “Refuted” says of a factor that it is above the threshold, not that nothing vanishes: any "
        "factor below 1 leaves nothing over a sequence that is long enough; the table of what remains says how long. The "
        "part after training is over two lengths, and over runs that have solved the task and runs that have not, which "
        "differ: their table has them apart. Training can carry the gradient back. Five seeds were added when the first five had been seen, which left the part after "
        "training undecided; with them its verdict changed. Mended after the runs: the expectation said that with an orthogonal W the gradient “nearly "
        f"does not vanish”, and the first caption that nothing can be learned where it does. {ONE_DRAW}"
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
        Computed(
            "rnn_beside_gates",
            "By how many points the tanh RNN is more accurate than networks with gates.",
            "All with torch's start; pairs share their seed; 95 % interval (Student's t). One that holds zero does not "
            "tell them apart. C15 has the same beyond 50 steps, on recall too.",
            rnn_beside_gates,
        ),
        Computed(
            "remains",
            "What is left of the gradient after many steps.",
            "The mean factor of the verdict, before training, to the power of so many steps.",
            remains,
        ),
        Computed(
            "by_solved",
            "The factor of one step after training, of runs that have solved the task and of those that have not.",
            f"Solved: validation accuracy at least {100 * SOLVED:g} %. By the hidden state, as above; ± is the half-width of "
            "the 95 % interval.",
            by_solved,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "gradient_by_lag",
            "Norm of each example's own gradient by the input against lag at the longest length that was trained, "
            "relative to its largest. Thin: the median example of every seed; thick: the median of the seeds. The "
            "cue that has to be recalled stands at the far right; where a line has fallen far below 1 % "
            "there, the cue has next to no say in what is learned at that moment. The axis ends at 1e−12. Training can carry the gradient back "
            "to it: compare left and right, and the table of accuracies.",
            lambda results, stem: gradient_by_lag(
                replace(results, runs=results.runs[results.runs["shown"]], read_profiles=lambda: results.profiles), stem
            ),
        ),
        Figure(
            "half_life_at_start",
            "Half-life of the gradient by the state before training: it is a property of the start, not of the "
            "length (chrono is a start that is made for the length). Missing where the curve is no exponential, or does not decay.",
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
            of_chosen(metric_against, TRAINED),
        ),
    ),
)
