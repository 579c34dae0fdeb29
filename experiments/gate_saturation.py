"""Gate saturation: is an LSTM's factor mostly 0 or 1?"""

from collections.abc import Callable
from itertools import product
from typing import Any

import pandas as pd

from gradreach.study import Claim, Quantity, Study, column, figure, measure, table, value

STAGES = {"start": "before training", "end": "after training"}
FACTORS = {"notes": "tanh'(c)·f", "f": "forget gate", "i": "input gate"}
SHARES = {"closed": "below 0.1", "open": "above 0.9"}
STARTS = ["lstm", "lstm b=1", "lstm b=3"]


def saturated(stage: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return what adds up the shares of the notes' factor that are near 0 and near 1."""
    factor = f"gradient/{stage}/gate_notes"
    return lambda runs: runs[f"{factor}.closed"] + runs[f"{factor}.open"]


def factors(stage: str, task: str, *, of: str = "saturated", starts: list[str] = STARTS, **options: Any) -> Quantity:
    """Return the share of the notes' factor that is near 0, near 1, or either; each seed with its mean over starts."""
    return value(f"gradient/{stage}/gate_notes.{of}", {"task": task}, over={"architecture": starts}, **options)


def beside(stage: str, task: str) -> dict[str, Quantity]:
    """Return what a part is the sum, and the mean, of."""
    sides = {words: factors(stage, task, of=of) for of, words in SHARES.items()}
    return sides | {start: factors(stage, task, starts=[start]) for start in STARTS}


STUDY = Study(
    question="Are the factors of an LSTM mostly 0 or 1?",
    about="A factor of mostly 0 or 1 cuts some paths of the gradient and keeps others. What values do real LSTMs have?",
    architecture={"model.forget_bias": "b={:g}"},
    derive={"setting": column(lambda runs: runs["architecture"] + " · " + runs["task"])}
    | {
        f"gradient/{stage}/gate_notes.saturated": column(saturated(stage), f"factors near 0 or 1, {when}", "%")
        for stage, when in STAGES.items()
    },
    choose="optimizer.lr",
    claim=Claim(
        "The factor of one step of an LSTM, tanh'·σ, is mostly 0 or 1.",
        id="C2",
        section="4.2",
        source="founding notes",
        original="LSTM与RNN区别就在于tanh变成了tanh'σ(x)，他的图像如下，大部分的数值要么0要么1",
        expect=(
            "No. With torch's start gates stand near 0.5; a forget bias of 3 opens them. Gates near 1, by a bias or by "
            "learning, keep the gradient, not a switch between 0 and 1."
        ),
        expect_source="F. Gers et al. 2000; R. Jozefowicz et al. 2015; K. Greff et al. 2017",
        parts={
            f"{task} {when}": factors(stage, task, beside=beside(stage, task)).above(50)
            for stage, when in STAGES.items()
            for task in ("recall", "adding")
        },
    ),
    show=[
        table(
            *(
                measure(f"gradient/{stage}/gate_{gate}.{of}", f"{SHARES[of]}, {STAGES[stage]}", line=FACTORS[gate])
                for gate, stage, of in product(FACTORS, STAGES, SHARES)
            ),
            name="saturation",
            caption="Share of values below 0.1, and above 0.9, in per cent.",
            rows=("task", "architecture"),
            lines="of",
        ),
        table(
            measure("test/accuracy", "accuracy, %", best=None),
            measure("test/mse", "squared error", best=None),
            *(measure(f"gradient/{stage}/h.decay", f"factor of one step, {when}") for stage, when in STAGES.items()),
            name="trained",
            caption="What was learned, and by which gradient.",
            rows=("task", "architecture"),
        ),
        figure(
            "gate_shares",
            name="shares",
            by="setting",
            gates={gate: FACTORS[gate] for gate in ("notes", "f")},
            about="The claim is right where grey is less than half. Blue that stands above alone comes from tanh'(c).",
        ),
    ],
    caveats=[
        "Near 0 is below 0.1, near 1 above 0.9: shares of values over units, steps and 16 examples.",
        "A part is about the mean over three starts that differ widely; each stands beside it.",
        "Read as tanh'(c_t)·f_t. But f_t alone multiplies an LSTM's cell, and its step Jacobian is more than either.",
        "The notes derive the factor for s_j = tanh(f ∘ s_{j−1} + i ∘ x): gated_tanh, of which the gates are measured.",
    ],
    changed=["Runs of one seed and several starts counted as independent draws; they count with their mean now."],
)
